"""Reversals and completions: whatever their order and number, a payment is undone once, and the books are right."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from tests.integration.switch.bank.bank_stage import (
    Books,
    Terminal,
    advice,
    cash,
    completion,
    issue_cards,
    open_bank,
    original_data,
    partial_reversal,
    pre_authorisation,
    purchase,
    refund,
    repeated,
    reversal,
    until,
)
from tests.integration.switch.bank.pipeline import content, differences, post_items, post_relayed

from postrail.contracts.events import AuthorizationReversed, Event
from switch.bank.policy import BankPolicy
from switch.iso8583.message import Message
from switch.issuing.card_sample import SampleCard

Play = Callable[[Terminal], Coroutine[Any, Any, Any]]
SETTLE_SECONDS_MAX = 10


def ask(dsn: str, *messages: Message) -> list[str]:
    """The action codes of the answers to messages, asked one after the other."""

    async def run() -> list[str]:
        async with open_bank(dsn) as terminal:
            return [(await terminal.ask(message))[39] for message in messages]

    return asyncio.run(run())


def settle(dsn: str, books: Books) -> None:
    """Let a bank run until no reversal waits for what is posted already."""
    books.execute("UPDATE bank.reversals SET look_again_at = now() - interval '1 minute' WHERE status = 'waiting'")

    async def run() -> None:
        async with open_bank(dsn) as terminal, asyncio.timeout(SETTLE_SECONDS_MAX):
            await terminal.bank._settler.settle_due()

    asyncio.run(run())


def events(books: Books) -> list[AuthorizationReversed]:
    """The events in the outbox, read with the contract."""
    return [Event[AuthorizationReversed].model_validate_json(detail).data for detail in books.events()]


@pytest.fixture
def card(postgres_dsn: str) -> SampleCard:
    return issue_cards(postgres_dsn)[0]


@pytest.fixture
def books(postgres_dsn: str) -> Books:
    return Books(postgres_dsn)


def test_a_reversal_before_the_posting_releases_the_hold(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The money is free at once, an event tells of it, and the posting that comes later is refused: net zero."""
    request = purchase(card)
    assert ask(postgres_dsn, request, reversal(request, de25="4021")) == ["000", "400"]
    assert books.standing(card) == (100_000, 0)
    (event,) = events(books)
    item = content(books.items()[0])
    assert (event.payment_id, event.hold_id) == (item["payment_id"], item["hold_id"])
    assert (event.reversed_minor, event.remaining_minor, event.message_reason) == (2_550, 0, "4021")
    report = post_relayed(books, [card])
    assert [result.reason for result in report.refused] == ["HOLD_RELEASED"]
    assert books.standing(card) == (100_000, 0)
    assert differences(postgres_dsn) == []


def test_a_reversal_after_the_posting_turns_the_money_back(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Leg by leg, fees included; the event names the ledger's transaction."""
    request = cash(card, 5_000)
    ask(postgres_dsn, request)
    post_relayed(books, [card])
    assert books.standing(card) == (94_950, 0)
    assert ask(postgres_dsn, reversal(request)) == ["400"]
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    (event,) = events(books)
    assert event.hold_id is None
    assert event.transaction_id is not None
    assert books.rows("SELECT status FROM bank.reversals") == [("done",)]
    assert differences(postgres_dsn) == []


def test_a_running_bank_settles_by_itself(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """A reversal of what is posted wakes whoever settles: no round has to be waited for."""
    request = purchase(card)
    ask(postgres_dsn, request)
    post_relayed(books, [card])

    async def run() -> None:
        async with open_bank(postgres_dsn, policy=BankPolicy(settle_seconds=3_600)) as terminal:
            await terminal.ask(reversal(request))
            await until(lambda: books.standing(card) == (100_000, 0))

    asyncio.run(run())


def test_a_reversal_before_its_original_keeps_it_from_being_approved(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """400 for the reversal, a refusal for the original and its repetitions, nothing held."""
    request = purchase(card)
    undo = reversal(request)
    assert ask(postgres_dsn, undo, repeated(undo), request, repeated(request)) == ["400", "400", "100", "100"]
    assert books.standing(card) == (100_000, 0)
    assert books.items() == []


def test_an_advice_after_its_reversal_is_not_taken_over(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The network undid what it had approved in the bank's stead, and its advice came second."""
    told = advice(card)
    assert ask(postgres_dsn, reversal(told), told) == ["400", "900"]
    assert books.items() == []


def test_many_reversals_of_one_payment_have_one_effect(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The terminal's, the network's, and repetitions of both: released once, told once."""
    request = purchase(card)
    mine, theirs = reversal(request), reversal(request, de25="4021")
    answers = ask(postgres_dsn, request, mine, repeated(mine), theirs, repeated(theirs))
    assert answers == ["000"] + ["400"] * 4
    assert books.standing(card) == (100_000, 0)
    assert len(events(books)) == 1


def test_a_payment_and_its_reversal_at_the_same_time_come_to_nothing(postgres_dsn: str, books: Books) -> None:
    """Thirty payments, each with its reversal beside it, at two processes of the bank: whichever comes first."""
    cards = issue_cards(postgres_dsn, 30)

    async def run() -> None:
        async with open_bank(postgres_dsn) as here, open_bank(postgres_dsn) as there:
            asked = []
            for place, card in enumerate(cards):
                request = purchase(card)
                one, other = (here, there) if place % 2 else (there, here)
                asked += [one.ask(request), other.ask(reversal(request))]
            await asyncio.gather(*asked)

    asyncio.run(run())
    assert {books.standing(card) for card in cards} == {(100_000, 0)}


def test_the_reversal_of_a_refused_payment_is_accepted_and_does_nothing(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """400 all the same."""
    request = purchase(card, 999_999)
    assert ask(postgres_dsn, request, reversal(request)) == ["116", "400"]
    assert events(books) == []


def test_a_known_reversal_with_other_content_is_a_duplicate(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """913: the same key must not undo two payments."""
    one, other = purchase(card), purchase(card)
    undo = reversal(one)
    wrong = repeated(undo, de56=original_data(other))
    assert ask(postgres_dsn, one, other, undo, wrong) == ["000", "000", "400", "913"]
    assert books.standing(card) == (100_000, 2_550)


def test_a_reversal_gives_back_what_the_card_has_used(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """A day's limit is there again for the next payment."""
    books.execute("UPDATE bank.cards SET day_limit_count = 1, day_limit_minor = 3000")
    one, other, third = (purchase(card) for _ in range(3))
    assert ask(postgres_dsn, one, other, reversal(one), third) == ["000", "121", "400", "000"]


@pytest.mark.parametrize("posted_first", [False, True])
def test_a_partial_reversal_is_turned_back_when_the_payment_is_posted(
    postgres_dsn: str, card: SampleCard, books: Books, posted_first: bool
) -> None:
    """10.00 of 25.50: whether before or after the posting, 15.50 is taken in the end."""
    request = purchase(card, 2_550)
    assert ask(postgres_dsn, request) == ["000"]
    if posted_first:
        post_relayed(books, [card])
    assert ask(postgres_dsn, partial_reversal(request, 1_000)) == ["400"]
    post_relayed(books, [card])
    settle(postgres_dsn, books)
    assert books.standing(card) == (98_450, 0)
    (event,) = events(books)
    assert (event.reversed_minor, event.remaining_minor) == (1_000, 1_550)
    assert differences(postgres_dsn) == []


def test_parts_that_add_up_to_all_take_back_all_to_the_penny(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Three odd parts of a cash withdrawal with a fee; a fourth reversal finds nothing left."""
    request = cash(card, 1_001)
    ask(postgres_dsn, request)
    post_relayed(books, [card])
    parts = [partial_reversal(request, part) for part in (333, 333)]
    assert ask(postgres_dsn, *parts, reversal(request), reversal(request)) == ["400"] * 4
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    assert [event.reversed_minor for event in events(books)] == [333, 333, 335]
    assert differences(postgres_dsn) == []


def test_a_partial_and_then_a_full_reversal_before_the_posting_release_all(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """Nothing is left to be turned back: the partial reversal waits for nothing any more."""
    request = purchase(card)
    ask(postgres_dsn, request, partial_reversal(request, 1_000), reversal(request))
    post_relayed(books, [card])
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    assert {row[0] for row in books.rows("SELECT status FROM bank.reversals")} == {"done"}


def test_a_partial_reversal_before_its_original_reduces_it(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The original is approved, and the part is turned back when it is posted."""
    request = purchase(card, 2_550)
    assert ask(postgres_dsn, partial_reversal(request, 1_000), request) == ["400", "000"]
    post_relayed(books, [card])
    settle(postgres_dsn, books)
    assert books.standing(card) == (98_450, 0)


def test_a_partial_reversal_that_makes_no_sense_is_refused(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Without the original amount, and with more than that."""
    request = purchase(card)
    wrong = [partial_reversal(request, 1_000, de30=None), partial_reversal(request, 1_000, de4="000000009999")]
    assert ask(postgres_dsn, request, *wrong) == ["000", "904", "110"]
    assert books.standing(card) == (100_000, 2_550)


def test_the_reversal_of_a_refund_waits_for_its_posting(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The credit comes and goes, even when the customer has spent the money."""
    request = refund(card, 5_000)
    assert ask(postgres_dsn, request, reversal(request)) == ["000", "400"]
    post_relayed(books, [card])
    assert books.standing(card) == (105_000, 0)
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    assert differences(postgres_dsn) == []


def test_the_reversal_of_an_advice_without_a_hold_waits_for_its_posting(postgres_dsn: str, books: Books) -> None:
    """The account is overdrawn by the posting, and made good by its reversal."""
    (poor,) = issue_cards(postgres_dsn, balance_minor=1_000)
    told = advice(poor, 2_550)
    assert ask(postgres_dsn, told, reversal(told)) == ["000", "400"]
    post_relayed(books, [poor])
    settle(postgres_dsn, books)
    assert books.standing(poor) == (1_000, 0)
    assert differences(postgres_dsn) == []


def test_a_hold_that_expired_is_undone_after_its_late_posting(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """The sweep ended the hold, the reversal came, then the posting: the issuer owed it, and it is turned back."""
    request = purchase(card)
    ask(postgres_dsn, request)
    books.rows("SELECT * FROM ledger.expire_holds(100, now() + interval '1 year')")
    assert ask(postgres_dsn, reversal(request)) == ["400"]
    assert len(post_relayed(books, [card]).posted) == 1
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    assert differences(postgres_dsn) == []


@pytest.mark.parametrize("amount", [8_000, 10_000, 11_000])
def test_a_completion_captures_the_hold_of_its_pre_authorisation(
    postgres_dsn: str, card: SampleCard, books: Books, amount: int
) -> None:
    """Less, the same, a little more: what is debited is the completion's amount, and nothing is held any more."""
    request = pre_authorisation(card, 10_000)
    done = completion(request, amount)
    assert ask(postgres_dsn, request, done, repeated(done)) == ["000", "000", "000"]
    resting, due = books.items()
    assert content(due)["hold_id"] == content(resting)["hold_id"]
    assert len(post_relayed(books, [card]).posted) == 1
    assert books.standing(card) == (100_000 - amount, 0)
    assert differences(postgres_dsn) == []


def test_completions_that_the_bank_does_not_owe(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Far too much, a second one, of a purchase, of what was undone: 900. Of nothing known: 914."""
    first, undone, plain = pre_authorisation(card, 10_000), pre_authorisation(card, 10_000), purchase(card)
    unknown = pre_authorisation(card)
    answers = ask(
        postgres_dsn,
        first,
        completion(first, 12_001),
        completion(first, 10_000),
        completion(first, 10_000),
        undone,
        reversal(undone),
        completion(undone, 10_000),
        plain,
        completion(plain, 2_550),
        completion(unknown, 1_000),
    )
    assert answers == ["000", "900", "000", "900", "000", "400", "900", "000", "900", "914"]
    assert sum("capture" not in item for item in books.items()) == 2


@pytest.mark.parametrize("posted_first", [False, True])
@pytest.mark.parametrize("names", ["completion", "pre_authorisation"])
def test_a_completed_pre_authorisation_is_undone_by_either_name(
    postgres_dsn: str, card: SampleCard, books: Books, names: str, posted_first: bool
) -> None:
    """Before its posting and after."""
    request = pre_authorisation(card, 10_000)
    done = completion(request, 9_000)
    ask(postgres_dsn, request, done)
    if posted_first:
        post_relayed(books, [card])
    assert ask(postgres_dsn, reversal(done if names == "completion" else request)) == ["400"]
    report = post_relayed(books, [card])
    assert report.posted == ()
    settle(postgres_dsn, books)
    assert books.standing(card) == (100_000, 0)
    assert differences(postgres_dsn) == []


def test_both_names_at_once_undo_once(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """In one batch: the second finds nothing left."""
    request = pre_authorisation(card, 10_000)
    done = completion(request, 9_000)

    async def run() -> list[str]:
        async with open_bank(postgres_dsn) as terminal:
            await terminal.ask(request)
            await terminal.ask(done)
            futures = [terminal.begin(reversal(done)), terminal.begin(reversal(request))]
            return [(await future)[39] for future in futures]

    assert asyncio.run(run()) == ["400", "400"]
    assert len(events(books)) == 1
    assert books.standing(card) == (100_000, 0)


def test_a_part_of_a_pre_authorisation_is_released_at_once(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """And the completion may only be of what is left, and a little more."""
    request = pre_authorisation(card, 10_000)
    answers = ask(postgres_dsn, request, partial_reversal(request, 4_000), completion(request, 9_000))
    assert answers == ["000", "400", "900"]
    assert books.standing(card) == (100_000, 6_000)
    assert ask(postgres_dsn, completion(request, 6_000)) == ["000"]
    post_relayed(books, [card])
    assert books.standing(card) == (94_000, 0)


def test_a_completion_after_its_own_reversal_is_not_taken_over(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """The hold stays until it is released or expires: the pre-authorisation itself was not undone."""
    request = pre_authorisation(card, 10_000)
    done = completion(request, 10_000)
    assert ask(postgres_dsn, request, reversal(done), done) == ["000", "400", "900"]
    assert books.standing(card) == (100_000, 10_000)


def test_events_carry_the_payments_correlation(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """So that a trace of the payment shows its reversal."""
    request = purchase(card)
    ask(postgres_dsn, request, reversal(request))
    (detail,) = books.events()
    assert json.loads(detail)["metadata"]["correlation_id"] == books.items()[0]["correlation_id"]


def test_a_posting_and_a_reversal_at_the_same_time_come_to_nothing(postgres_dsn: str, books: Books) -> None:
    """Thirty payments are posted while their reversals come: whoever is first at the balance decides how."""
    cards = issue_cards(postgres_dsn, 30)
    requests = [purchase(card) for card in cards]
    ask(postgres_dsn, *requests)
    items = books.items()

    async def run() -> None:
        async with open_bank(postgres_dsn) as terminal:
            posting = [asyncio.to_thread(post_items, postgres_dsn, [item], cards) for item in items]
            undoing = [terminal.ask(reversal(request)) for request in requests]
            await asyncio.gather(*posting, *undoing)

    asyncio.run(run())
    settle(postgres_dsn, books)
    assert {books.standing(card) for card in cards} == {(100_000, 0)}
    assert differences(postgres_dsn) == []
