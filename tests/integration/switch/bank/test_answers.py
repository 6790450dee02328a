"""What the bank answers to requests and advices, and what it leaves behind: holds, authorizations, items."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.switch.bank.bank_stage import (
    EUR,
    Books,
    FixedRates,
    Terminal,
    advice,
    cash,
    issue_cards,
    northgate,
    open_bank,
    pre_authorisation,
    purchase,
    refund,
    repeated,
)
from tests.integration.switch.bank.pipeline import content, differences, post_relayed

from postrail.contracts.payment import Authorization
from postrail.ports import ExchangeRate
from switch.bank.fraud import FraudRules, RuleBasedFraudCheck
from switch.bank.policy import BankPolicy
from switch.iso8583.message import Message
from switch.issuing.card_sample import SampleCard

EURO_RATE = ExchangeRate("EUR", "GBP", Decimal("0.86"), date(2026, 1, 2), "test rates")
Play = Callable[[Terminal], Coroutine[Any, Any, Any]]


def play(dsn: str, script: Play, **settings: Any) -> Any:
    async def run() -> Any:
        async with open_bank(dsn, **settings) as terminal:
            return await script(terminal)

    return asyncio.run(run())


def ask(dsn: str, *messages: Message, **settings: Any) -> list[Message]:
    """The answers to messages, asked one after the other."""

    async def script(terminal: Terminal) -> list[Message]:
        return [await terminal.ask(message) for message in messages]

    answers: list[Message] = play(dsn, script, **settings)
    return answers


def codes(answers: list[Message]) -> list[str]:
    return [answer[39] for answer in answers]


@pytest.fixture
def card(postgres_dsn: str) -> SampleCard:
    return issue_cards(postgres_dsn)[0]


@pytest.fixture
def books(postgres_dsn: str) -> Books:
    return Books(postgres_dsn)


def test_an_approval_holds_the_money_and_tells_the_pipeline(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """1100 in; hold, authorization and item committed; 1110 with 000 and an approval code out, without the number."""
    request = purchase(card)
    (answer,) = ask(postgres_dsn, request)

    assert (answer.mti, answer[39], len(answer[38])) == ("1110", "000", 6)
    assert {number: answer[number] for number in (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)} == {
        number: request[number] for number in (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)
    }
    assert 2 not in answer.fields
    assert books.standing(card) == (100_000, 2_550)
    (item,) = books.items()
    authorization = Authorization.model_validate_json(item["authorization"])
    assert authorization.card.token == card.card_token
    assert authorization.approval_code == answer[38]
    assert (item["payment_id"], item["action_code"]) == (authorization.payment_id, "000")
    held = books.one("SELECT hold_id FROM ledger.hold_list WHERE status = 'active'")
    assert authorization.hold_id == held


def test_the_first_payment_activates_a_card(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """A ready card is active after its first approval, and stays ready after a refusal."""
    ask(postgres_dsn, purchase(card, 999_999))
    assert books.one("SELECT status FROM bank.cards") == "ready"
    ask(postgres_dsn, purchase(card))
    assert books.one("SELECT status FROM bank.cards") == "active"


def test_money_that_is_held_is_not_promised_twice(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The second of two payments that only one account's money covers is refused with 116, and leaves no hold."""
    answers = ask(postgres_dsn, purchase(card, 60_000), purchase(card, 60_000))
    assert codes(answers) == ["000", "116"]
    assert 38 not in answers[1].fields
    assert books.standing(card) == (100_000, 60_000)
    assert len(books.items()) == 1


def test_payments_of_one_card_at_the_same_time_are_judged_one_after_the_other(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """Twenty at once, each a fifth of the money: five are approved, whatever batches they fall into."""

    async def script(terminal: Terminal) -> list[str]:
        futures = [terminal.begin(purchase(card, 20_000)) for _ in range(20)]
        return sorted([(await future)[39] for future in futures])

    assert play(postgres_dsn, script) == ["000"] * 5 + ["116"] * 15
    assert books.standing(card) == (100_000, 100_000)


def test_a_repetition_gets_the_same_answer_and_moves_nothing(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """1101, transmitted a minute later: the same approval code, one hold, one item. Across a restart, too."""
    request = purchase(card)
    first, second = ask(postgres_dsn, request, repeated(request, de7="0101000000"))
    (third,) = ask(postgres_dsn, repeated(request))
    assert first[38] == second[38] == third[38]
    assert second[7] == "0101000000"
    assert books.standing(card) == (100_000, 2_550)
    assert len(books.items()) == 1


def test_copies_of_a_message_on_the_way_at_once_are_one_payment(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """Two processes of one bank, each with the same message at the same time: one hold, one approval code."""
    request = purchase(card)

    async def run() -> set[str]:
        async with open_bank(postgres_dsn) as here, open_bank(postgres_dsn) as there:
            answers = await asyncio.gather(*(bank.ask(repeated(request)) for bank in (here, there)))
            return {answer[38] for answer in answers}

    assert len(asyncio.run(run())) == 1
    assert books.standing(card) == (100_000, 2_550)


def test_a_refusal_is_repeated_even_when_money_has_arrived(postgres_dsn: str, books: Books) -> None:
    """What was answered stays answered."""
    (poor,) = issue_cards(postgres_dsn, balance_minor=1_000)
    request = purchase(poor, 2_000)
    assert codes(ask(postgres_dsn, request)) == ["116"]
    books.execute("UPDATE ledger.accounts SET overdraft_limit_minor = 50000 WHERE account_id = %s", poor.account_id)
    assert codes(ask(postgres_dsn, repeated(request), purchase(poor, 2_000))) == ["116", "000"]


@pytest.mark.parametrize("change", [{"de4": "000000002551"}, {"de49": EUR}, {"de3": "010000"}, {"de42": "ANOTHER"}])
def test_a_known_key_with_other_content_is_a_duplicate(
    postgres_dsn: str, card: SampleCard, books: Books, change: dict[str, str]
) -> None:
    """913, and what was approved stays as it is."""
    request = purchase(card)
    answers = ask(postgres_dsn, request, repeated(request, **change))
    assert codes(answers) == ["000", "913"]
    assert books.standing(card) == (100_000, 2_550)


def test_a_known_key_with_another_card_is_a_duplicate(postgres_dsn: str, books: Books) -> None:
    """913 for a card that happens to carry another's key."""
    one, other = issue_cards(postgres_dsn, 2)
    request = purchase(one)
    assert codes(ask(postgres_dsn, request, repeated(request, de2=other.pan))) == ["000", "913"]
    assert books.standing(other) == (100_000, 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("status = 'blocked', status_reason = 'lost'", "208"),
        ("status = 'blocked', status_reason = 'stolen'", "209"),
        ("status = 'blocked', status_reason = 'suspected_fraud'", "102"),
        ("status = 'blocked', status_reason = 'closed'", "104"),
        ("status = 'in_production'", "125"),
        ("status = 'expired'", "101"),
        ("expiry = '2020-01'", "101"),
        ("services = '{cash}'", "119"),
        ("payment_limit_minor = 2549", "121"),
        ("day_limit_minor = 2549", "121"),
        ("pin_reference = 'x', pin_tries = 3", "000"),
    ],
)
def test_the_card_decides(postgres_dsn: str, card: SampleCard, books: Books, change: str, code: str) -> None:
    """Status, expiry, services, limits: each refuses with its own action code, and nothing is held."""
    books.execute(f"UPDATE bank.cards SET {change}")
    assert codes(ask(postgres_dsn, purchase(card, de14=None))) == [code]
    assert books.standing(card)[1] == (2_550 if code == "000" else 0)


def test_counts_and_amounts_of_a_day_are_limited(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The third payment of the day is one too many; so is the one that exceeds the amount of the day."""
    books.execute("UPDATE bank.cards SET day_limit_count = 3, day_limit_minor = 10000")
    answers = ask(postgres_dsn, *(purchase(card, amount) for amount in (4_000, 7_000, 4_000, 1_000, 100)))
    assert codes(answers) == ["000", "121", "000", "000", "123"]


def test_counts_of_an_hour_are_limited(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Refused payments do not count."""
    books.execute("UPDATE bank.cards SET hour_limit_count = 1")
    answers = ask(postgres_dsn, purchase(card, 999_999), purchase(card), purchase(card))
    assert codes(answers) == ["116", "000", "123"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"de2": "4761349999999991"}, "118"),
        ({"de14": "2901"}, "101"),
        ({"de3": "310000"}, "115"),
        ({"de24": "108"}, "115"),
        ({"de4": "000000000000"}, "110"),
        ({"de49": "999"}, "110"),
        ({"de49": EUR}, "110"),
        ({"de41": "????"}, "904"),
        ({"de7": "0230120000"}, "904"),
        ({"de42": "   "}, "904"),
    ],
)
def test_what_cannot_be_acted_on_is_refused(
    postgres_dsn: str, card: SampleCard, books: Books, change: dict[str, str], code: str
) -> None:
    """An unknown card, another expiry, an unknown service, no amount, a currency without a rate, a broken field."""
    assert codes(ask(postgres_dsn, purchase(card, **change))) == [code]
    assert books.standing(card) == (100_000, 0)


@pytest.mark.parametrize(
    ("status", "purchase_code", "refund_code"), [("frozen", "104", "000"), ("closed", "114", "114")]
)
def test_an_account_that_is_not_open_pays_nothing(
    postgres_dsn: str, card: SampleCard, books: Books, status: str, purchase_code: str, refund_code: str
) -> None:
    """A frozen account still takes what is owed to it."""
    books.execute("UPDATE ledger.accounts SET status = %s WHERE account_id = %s", status, card.account_id)
    assert codes(ask(postgres_dsn, purchase(card), refund(card))) == [purchase_code, refund_code]


def test_cash_holds_its_fee_and_tells_the_balance(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """1 percent on top; DE 54 says what is available afterwards."""
    (answer,) = ask(postgres_dsn, cash(card, 5_000))
    assert answer[39] == "000"
    assert books.standing(card) == (100_000, 5_050)
    assert answer[54] == "0002826C000000094950"


def test_a_payment_in_another_currency_holds_the_billed_amount_and_the_markup(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """100.00 EUR at 0.86 is 86.00 GBP, and 2.75 percent on top: what the pipeline will post, to the penny."""
    rates = FixedRates(EURO_RATE)
    assert codes(ask(postgres_dsn, purchase(card, 10_000, de49=EUR), rates=rates)) == ["000"]
    assert books.standing(card) == (100_000, 8_600 + 237)
    report = post_relayed(books, [card], EURO_RATE)
    assert len(report.posted) == 1
    assert books.standing(card) == (100_000 - 8_837, 0)
    assert differences(postgres_dsn) == []


def test_a_rate_that_cannot_be_asked_for_is_a_malfunction_and_is_asked_for_again(
    postgres_dsn: str, card: SampleCard
) -> None:
    """909 while the reference data are away; a payment in the bank's own currency does not notice."""
    rates = FixedRates(EURO_RATE)

    async def script(terminal: Terminal) -> list[str]:
        rates.away = True
        first = [(await terminal.ask(purchase(card, de49=EUR)))[39], (await terminal.ask(purchase(card)))[39]]
        rates.away = False
        return [*first, (await terminal.ask(purchase(card, de49=EUR)))[39]]

    assert play(postgres_dsn, script, rates=rates) == ["909", "000", "000"]


def test_an_account_in_another_currency_spoils_no_neighbour(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Its rate cannot be asked for: 909 for it, 000 for the other of the batch. With the rate it is approved."""
    bank = northgate()
    (foreign,) = issue_cards(postgres_dsn, bank=bank.model_copy(update={"currency": "EUR"}))
    rates = FixedRates(ExchangeRate("GBP", "EUR", Decimal("1.16"), date(2026, 1, 2), "test rates"))

    async def script(terminal: Terminal) -> list[str]:
        rates.away = True
        futures = [terminal.begin(purchase(each, 1_000)) for each in (foreign, card)]
        first = [(await future)[39] for future in futures]
        rates.away = False
        return [*first, (await terminal.ask(purchase(foreign, 1_000)))[39]]

    assert play(postgres_dsn, script, rates=rates) == ["909", "000", "000"]
    assert books.standing(foreign) == (100_000, 1_160 + 32)


def test_a_refund_is_approved_and_holds_nothing(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """The money arrives with the posting."""
    assert codes(ask(postgres_dsn, refund(card, 1_000))) == ["000"]
    assert books.standing(card) == (100_000, 0)
    post_relayed(books, [card])
    assert books.standing(card) == (101_000, 0)


def test_a_purchase_is_posted_and_its_hold_captured(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """What was held is what is debited."""
    ask(postgres_dsn, purchase(card, 2_550))
    report = post_relayed(books, [card])
    assert [result.status for result in report.posted] == ["posted"]
    assert books.standing(card) == (97_450, 0)
    assert differences(postgres_dsn) == []


def test_a_pre_authorisation_rests_until_it_is_completed(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Its item says so, and nothing is posted for it."""
    ask(postgres_dsn, pre_authorisation(card))
    (item,) = books.items()
    assert item["capture"] == "later"
    assert post_relayed(books, [card]).posted == ()
    assert books.standing(card) == (100_000, 10_000)


def test_fraud_rules_refuse(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """A third country within a day is one too many; the refusals are counted by rule."""
    fraud = RuleBasedFraudCheck(FraudRules(version="2026.1", countries_per_day_max=2))

    def place(country: str) -> dict[str, str]:
        return {"de43": f"SHOP\\STREET\\CITY\\          {'':3}{country}"}

    answers = ask(
        postgres_dsn, *(purchase(card, **place(country)) for country in ("GBR", "FRA", "DEU", "FRA")), fraud=fraud
    )
    assert codes(answers) == ["000", "000", "102", "000"]
    assert fraud.refusals == {"countries_per_day_max": 1}


def test_an_advice_is_taken_over_above_the_balance(postgres_dsn: str, books: Books) -> None:
    """A network approved in the bank's stead: 1130 with 000, and the posting overdraws the account."""
    (poor,) = issue_cards(postgres_dsn, balance_minor=1_000)
    (answer,) = ask(postgres_dsn, advice(poor, 2_550))
    assert (answer.mti, answer[39]) == ("1130", "000")
    assert books.standing(poor) == (1_000, 0)
    (item,) = books.items()
    assert (content(item)["hold_id"], content(item)["approval_code"]) == (None, "123456")
    assert len(post_relayed(books, [poor]).posted) == 1
    assert books.standing(poor) == (-1_550, 0)
    assert differences(postgres_dsn) == []


def test_an_advice_holds_what_there_is(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Where the money is there, it is held until it is posted. Limits and a blocked card do not matter any more."""
    books.execute("UPDATE bank.cards SET status = 'blocked', status_reason = 'stolen', payment_limit_minor = 1")
    message = advice(card, 2_550)
    assert codes(ask(postgres_dsn, message, repeated(message))) == ["000", "000"]
    assert books.standing(card) == (100_000, 2_550)
    assert len(books.items()) == 1


def test_an_advice_of_what_the_bank_has_approved_itself_is_the_same_payment(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """The bank's answer was lost, and the network stood in: one hold."""
    request = purchase(card)
    told = Message("1120", request.fields | {38: "123456", 39: "000", 25: "1002"})
    assert codes(ask(postgres_dsn, request, told)) == ["000", "000"]
    assert books.standing(card) == (100_000, 2_550)


def test_an_advice_of_a_refusal_or_of_an_unknown_card_creates_no_liability(
    postgres_dsn: str, card: SampleCard, books: Books
) -> None:
    """900: acknowledged, and nothing is owed."""
    answers = ask(postgres_dsn, advice(card, de39="121"), advice(card, de2="4761349999999991"))
    assert codes(answers) == ["900", "900"]
    assert books.items() == []


def test_requests_beyond_the_bound_are_turned_away(postgres_dsn: str) -> None:
    """907 for what finds no room; what found room is decided."""
    cards = issue_cards(postgres_dsn, 10)

    async def script(terminal: Terminal) -> list[str]:
        futures = [terminal.begin(purchase(card)) for card in cards]
        return sorted([(await future)[39] for future in futures])

    policy = BankPolicy(waiting_max=4, linger_ms=50)
    assert play(postgres_dsn, script, policy=policy) == ["000"] * 4 + ["907"] * 6


def test_no_card_number_is_stored(postgres_dsn: str, card: SampleCard, books: Books) -> None:
    """Not in any table of the bank, not in what it relays or tells of, even when an acceptor's name holds one."""
    ask(postgres_dsn, purchase(card, de43=f"SHOP {card.pan}\\STREET\\CITY\\             GBR"), cash(card), advice(card))
    tables = ("bank.authorizations", "bank.approvals_to_relay", "bank.cards", "bank.card_usage", "ledger.outbox")
    for table in tables:
        assert books.rows(f"SELECT t::text FROM {table} AS t WHERE t::text LIKE %s", f"%{card.pan}%") == []
