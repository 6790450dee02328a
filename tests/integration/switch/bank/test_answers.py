"""What the bank answers, and what it leaves behind in the ledger."""

import asyncio

from tests.integration.switch.bank.bank_stage import Books, issue_cards, open_bank, purchase


def test_an_approval_holds_the_money_and_tells_the_pipeline(postgres_dsn: str) -> None:
    """1100 in; hold, authorization and relay row committed; 1110 with 000 and an approval code out."""
    (card,) = issue_cards(postgres_dsn)
    books = Books(postgres_dsn)

    async def play() -> None:
        async with open_bank(postgres_dsn) as terminal:
            answer = await terminal.ask(purchase(card))
            assert (answer.mti, answer[39]) == ("1110", "000")
            assert len(answer[38]) == 6
            assert 2 not in answer.fields

    asyncio.run(play())
    assert books.standing(card) == (100_000, 2_550)
    assert books.one("SELECT status FROM bank.cards") == "active"
    assert len(books.items()) == 1
