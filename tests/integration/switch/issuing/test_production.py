"""Cards on their way from the order to the customer's hand."""

import json
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import boto3
import pytest
from tests.fakes.system import FakeClock
from tests.integration.switch.issuing.conftest import REGION, Desk

from postrail.adapters.postgres.connection import Database
from postrail.domain.card import find_clear_pans
from postrail.domain.errors import Retryable
from switch.issuing.functions import build_produce_cards
from switch.issuing.notices import SnsNotices
from switch.issuing.ports import CardNotice
from switch.issuing.production import CardProduction


def statuses(database: Database, card_token: str) -> tuple[str, str]:
    """Of a card at its bank and at its network."""
    row = database.fetch_one(
        "SELECT b.status AS bank, n.status AS network FROM bank.cards AS b JOIN network.cards AS n USING (card_token)"
        " WHERE card_token = $1",
        card_token,
    )
    assert row is not None
    return row["bank"], row["network"]


def production_with(desk: Desk, database: Database, notices: object, clock: object = None) -> CardProduction:
    cards = desk.production._production._cards
    return CardProduction(database, cards=cards, notices=notices, clock=clock or FakeClock(datetime.now(UTC)))  # type: ignore[arg-type]


def test_a_produced_card_is_ready_and_its_customer_is_told_once(desk: Desk, database: Database) -> None:
    """The notice carries its customer and bank as attributes, and four digits of the number."""
    card = desk.order_card(desk.open_account())
    assert statuses(database, card["card_token"]) == ("in_production", "in_production")

    counts = desk.production.handle({})

    assert counts == {"resumed": 0, "produced": 1, "notified": 1, "expired": 0}
    assert statuses(database, card["card_token"]) == ("ready", "ready")
    (envelope,) = desk.notices()
    message = json.loads(envelope["Message"])
    attributes = {name: value["Value"] for name, value in envelope["MessageAttributes"].items()}
    row = database.fetch_one("SELECT customer_id FROM bank.customers")
    assert row is not None
    assert attributes == {"event": "card_ready", "customer_id": row["customer_id"], "bank_id": "northgate"}
    assert message["card_last_four"] == card["last_four"]
    assert not list(find_clear_pans(json.dumps(envelope)))

    assert desk.production.handle({}) == {"resumed": 0, "produced": 0, "notified": 0, "expired": 0}
    assert desk.notices() == []


def test_a_card_blocked_while_it_was_made_is_not_handed_out(desk: Desk, database: Database) -> None:
    """It ends blocked on both sides, and nobody is told that it is ready."""
    card = desk.order_card(desk.open_account())
    database.execute(
        "UPDATE bank.cards SET status = 'blocked', status_reason = 'lost' WHERE card_token = $1", card["card_token"]
    )

    assert desk.production.handle({})["produced"] == 0

    assert statuses(database, card["card_token"]) == ("blocked", "blocked")
    assert desk.notices() == []


def test_a_card_whose_bank_is_still_ordering_waits_for_the_next_run(desk: Desk, database: Database) -> None:
    """The network may know a card a moment before its bank notes that it does."""
    card = desk.order_card(desk.open_account())
    database.execute("UPDATE bank.cards SET status = 'ordered' WHERE card_token = $1", card["card_token"])

    assert desk.production.handle({})["produced"] == 0
    assert statuses(database, card["card_token"]) == ("ordered", "in_production")

    database.execute("UPDATE bank.cards SET created_at = created_at - interval '1 minute'")
    counts = desk.production.handle({})
    assert (counts["resumed"], counts["produced"]) == (1, 1)


def test_more_customers_than_one_call_takes_are_all_told(desk: Desk, database: Database) -> None:
    """SNS takes ten at once."""
    account_ids = [desk.open_account(f"customer{number}") for number in range(3)]
    for number in range(13):
        subject = f"customer{number % 3}"
        desk.order_card(account_ids[number % 3], subject=subject)

    assert desk.production.handle({})["notified"] == 13
    assert len(desk.notices()) == 13


def test_runs_at_the_same_time_share_the_work(desk: Desk, database: Database) -> None:
    """A schedule may start a second run while the first is at work: no card is told of twice."""
    account_id = desk.open_account()
    other = desk.open_account("bruno")
    for number in range(18):
        desk.order_card(account_id if number % 2 else other, subject="alice" if number % 2 else "bruno")
    runs = [build_produce_cards(desk.settings) for _ in range(3)]

    with ThreadPoolExecutor(len(runs)) as pool:
        counts = list(pool.map(lambda run: run.handle({}), runs))
    counts.append(desk.production.handle({}))

    assert sum(count["produced"] for count in counts) == 18
    assert sum(count["notified"] for count in counts) == len(desk.notices()) == 18
    assert {row["status"] for row in database.fetch("SELECT status FROM network.cards")} == {"ready"}


class PartlyDeaf:
    """Takes every second notice of its first call."""

    def __init__(self, taker: SnsNotices) -> None:
        self._taker = taker
        self._calls = 0

    def publish(self, notices: Sequence[CardNotice]) -> set[str]:
        self._calls += 1
        return self._taker.publish(notices[:: 2 if self._calls == 1 else 1])


def test_a_notice_that_was_not_taken_is_sent_again_and_the_others_are_not(desk: Desk, database: Database) -> None:
    """What SNS took is marked; the rest is the next run's."""
    account_id = desk.open_account()
    for _ in range(6):
        desk.order_card(account_id)
    topic_arn = desk.settings.notifications_topic_arn
    production = production_with(
        desk, database, PartlyDeaf(SnsNotices(boto3.client("sns", region_name=REGION), topic_arn))
    )

    production.produce()
    assert (production.notify(), production.notify(), production.notify()) == (3, 3, 0)
    assert len(desk.notices()) == 6


def test_a_topic_that_does_not_answer_leaves_the_notice_to_be_sent(desk: Desk, database: Database) -> None:
    """The run fails and comes again; the card is ready all the same."""
    card = desk.order_card(desk.open_account())
    nowhere = f"{desk.settings.notifications_topic_arn}-gone"
    production = production_with(desk, database, SnsNotices(boto3.client("sns", region_name=REGION), nowhere))

    production.produce()
    with pytest.raises(Retryable, match="telling customers"):
        production.notify()

    assert statuses(database, card["card_token"]) == ("ready", "ready")
    assert desk.production.handle({})["notified"] == 1


def test_a_card_expires_when_its_month_is_over(desk: Desk, database: Database) -> None:
    """In its last month it lives."""
    card = desk.order_card(desk.open_account())
    year, month = map(int, card["expiry"].split("-"))
    following = f"{year + month // 12}-{month % 12 + 1:02d}"
    notices = SnsNotices(boto3.client("sns", region_name=REGION), desk.settings.notifications_topic_arn)

    def expire_in(text: str) -> int:
        clock = FakeClock(datetime.fromisoformat(f"{text}-01T00:00:00+00:00"))
        return production_with(desk, database, notices, clock).expire()

    assert expire_in(card["expiry"]) == 0
    assert expire_in(following) == 1
    assert statuses(database, card["card_token"]) == ("expired", "expired")


def test_no_card_number_is_anywhere_but_in_the_answer(
    desk: Desk, database: Database, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """All tables of the database, all items, all notices and all logs hold not one."""
    with caplog.at_level(logging.DEBUG, logger="postrail"):
        account_id = desk.open_account()
        pans = [desk.order_card(account_id)["pan"] for _ in range(3)]
        desk.production.handle({})
        desk.call("POST", "/create-account", {"name": pans[0]}, token=desk.mint.token("account:open"))

    tables = database.fetch(
        "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
        " WHERE schemaname IN ('bank', 'network', 'ledger', 'audit')"
    )
    assert len(tables) > 10
    texts = [
        row["line"] for table in tables for row in database.fetch(f"SELECT t::text AS line FROM {table['name']} AS t")
    ]
    texts += [repr(desk.items(table)) for table in ("card-vault", "reference")]
    texts += [json.dumps(notice) for notice in desk.notices()]
    out, err = capfd.readouterr()
    texts += [out, err, caplog.text]
    everything = "\n".join(texts)
    assert "card" in out + err + caplog.text
    for pan in pans:
        assert pan not in everything
        assert pan.encode().hex() not in everything
    assert not [pan for pan in find_clear_pans(everything) if pan.startswith("476134")]
