"""The banks' API over real PostgreSQL, KMS and tables: accounts, cards, and doing things once."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from tests.integration.switch.issuing.conftest import Desk

from postrail.adapters.postgres.connection import Database
from postrail.contracts.payment import AccountDetails
from postrail.domain.card import is_card_token, passes_luhn
from switch.issuing.accounts import ACCOUNTS_PER_CUSTOMER_MAX
from switch.issuing.card_book import LIVING_CARDS_PER_ACCOUNT_MAX
from switch.issuing.functions import build_bank_api, build_card_vault, build_pan_lookup
from switch.issuing.ports import CardVault, IssuedCard

EVERYTHING = "account:open account:read card:order card:read card:block"


def test_a_customer_opens_an_account_and_reads_its_balance(desk: Desk) -> None:
    """It is in the bank's currency, empty, and cannot be overdrawn."""
    token = desk.mint.token(EVERYTHING)

    status, account = desk.call("POST", "/create-account", {"name": "Alice Example"}, token=token)
    assert status == 201
    assert account["iban"].startswith("GB")
    assert (account["currency"], account["status"], account["holder_name"]) == ("GBP", "open", "Alice Example")

    status, balance = desk.call("GET", "/get-balance", {"account_id": account["account_id"]}, token=token)
    assert status == 200
    assert (balance["total_minor"], balance["held_minor"], balance["available_minor"]) == (0, 0, 0)
    assert balance["overdraft_limit_minor"] == 0


def test_an_operator_opens_an_account_with_money_for_a_customer(desk: Desk) -> None:
    """The customer sees it as his own."""
    account_id = desk.open_account("bruno", balance_minor=123_456)

    status, balance = desk.call(
        "GET", "/get-balance", {"account_id": account_id}, token=desk.mint.token("account:read", subject="bruno")
    )

    assert status == 200
    assert balance["available_minor"] == 123_456


@pytest.mark.parametrize(
    "more", [{"subject": "bruno"}, {"opening_balance_minor": 1}, {"overdraft_limit_minor": 1}], ids=str
)
def test_a_customer_cannot_give_himself_what_is_the_banks(desk: Desk, more: dict[str, Any]) -> None:
    """No account for another, no money, no overdraft."""
    status, problem = desk.call(
        "POST", "/create-account", {"name": "Alice Example", **more}, token=desk.mint.token(EVERYTHING)
    )

    assert (status, problem["reason"]) == (403, "operator_only")


def test_a_refused_product_and_a_bound_number_of_accounts(desk: Desk) -> None:
    """A product is one of those configured, and accounts of a customer are bounded."""
    token = desk.mint.token(EVERYTHING)
    order = {"name": "Alice Example", "product": "gold-bullion"}
    status, problem = desk.call("POST", "/create-account", order, token=token)
    assert (status, problem["reason"]) == (422, "unknown_product")

    for _ in range(ACCOUNTS_PER_CUSTOMER_MAX):
        assert desk.call("POST", "/create-account", {"name": "Alice Example"}, token=token)[0] == 201
    status, problem = desk.call("POST", "/create-account", {"name": "Alice Example"}, token=token)
    assert (status, problem["reason"]) == (409, "too_many_accounts")


def test_a_card_is_ordered_and_its_number_is_shown_once(desk: Desk, database: Database) -> None:
    """The number passes Luhn in the bank's range; the repetition answers alike but without it."""
    account_id = desk.open_account()
    token = desk.mint.token("card:order card:number")

    status, card = desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")
    assert status == 201
    assert passes_luhn(card["pan"])
    assert card["pan"].startswith("476134")
    assert card["pan"].endswith(card["last_four"])
    assert is_card_token(card["card_token"])
    assert card["expiry"] == f"{datetime.now(UTC).year + 4}-{datetime.now(UTC).month:02d}"
    assert (card["status"], card["network_id"]) == ("ordered", "meridian")

    status, again = desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")
    assert status == 201
    assert again == card | {"pan": None}
    assert len(database.fetch("SELECT FROM bank.cards")) == 1


def test_a_number_is_shown_to_nobody_without_the_scope(desk: Desk) -> None:
    """An operator too needs it."""
    account_id = desk.open_account()
    token = desk.mint.token("card:order bank:operate", subject="desk-7")

    assert desk.call("POST", "/order-card", {"account_id": account_id}, token=token)[1]["pan"] is None


def test_an_ordered_card_is_in_vault_reference_and_network(desk: Desk, database: Database) -> None:
    """The vault turns its token back, the pipeline finds its account, the network finds it by its number's hash."""
    account_id = desk.open_account()
    card = desk.order_card(account_id)

    lookup = build_pan_lookup(desk.settings)
    kept = build_card_vault(desk.settings, lookup).reveal(card["card_token"])
    assert kept is not None
    assert (kept.pan, kept.expiry) == (card["pan"], card["expiry"])
    entry = next(item for item in desk.items("reference") if item["pk"]["S"] == f"CARD#{card['card_token']}")
    assert AccountDetails.model_validate_json(entry["account"]["S"]).account_id == account_id
    row = database.fetch_one("SELECT * FROM network.cards WHERE pan_lookup = $1", lookup.lookup(card["pan"]))
    assert row is not None
    assert (row["card_token"], row["status"], row["bank_id"]) == (card["card_token"], "in_production", "northgate")


def test_a_card_takes_the_services_and_limits_that_were_ordered(desk: Desk) -> None:
    """What the range does not offer is refused."""
    account_id = desk.open_account("chiara", bank_id="harbour")
    token = desk.mint.token(EVERYTHING, subject="chiara", bank_id="harbour")
    order = {
        "account_id": account_id,
        "network_id": "solstice",
        "services": ["purchase", "cash"],
        "limits": {"day_limit_minor": 50_000},
    }

    status, card = desk.call("POST", "/order-card", order, token=token)
    assert status == 201
    _, view = desk.call("GET", "/get-card", {"card_token": card["card_token"]}, token=token)
    assert view["services"] == ["cash", "purchase"]
    assert view["limits"]["day_limit_minor"] == 50_000
    assert view["network_id"] == "solstice"

    for change, reason in (
        ({"services": ["ecommerce"]}, "service_not_offered"),
        ({"network_id": "x1"}, "unknown_network"),
    ):
        status, problem = desk.call("POST", "/order-card", order | change, token=token)
        assert (status, problem["reason"]) == (422, reason)


def test_a_frozen_account_gets_no_card_and_no_account_gets_too_many(desk: Desk, database: Database) -> None:
    """Blocked cards make room for new ones."""
    account_id = desk.open_account()
    token = desk.mint.token(EVERYTHING)
    for _ in range(LIVING_CARDS_PER_ACCOUNT_MAX):
        card = desk.order_card(account_id)
    status, problem = desk.call("POST", "/order-card", {"account_id": account_id}, token=token)
    assert (status, problem["reason"]) == (409, "too_many_cards")

    desk.call("POST", "/block-card", {"card_token": card["card_token"], "reason": "lost"}, token=token)
    assert desk.call("POST", "/order-card", {"account_id": account_id}, token=token)[0] == 201
    database.execute("UPDATE ledger.accounts SET status = 'frozen' WHERE account_id = $1", account_id)
    status, problem = desk.call("POST", "/order-card", {"account_id": account_id}, token=token)
    assert (status, problem["reason"]) == (409, "account_not_open")


def test_a_card_is_blocked_at_bank_and_network_for_good(desk: Desk, database: Database) -> None:
    """Blocking again for the same reason is fine, for another it is refused."""
    token = desk.mint.token(EVERYTHING)
    card_token = desk.order_card(desk.open_account())["card_token"]

    status, view = desk.call("POST", "/block-card", {"card_token": card_token, "reason": "stolen"}, token=token)
    assert (status, view["status"], view["status_reason"]) == (200, "blocked", "stolen")
    row = database.fetch_one("SELECT status FROM network.cards WHERE card_token = $1", card_token)
    assert row is not None
    assert row["status"] == "blocked"

    assert desk.call("POST", "/block-card", {"card_token": card_token, "reason": "stolen"}, token=token)[0] == 200
    status, problem = desk.call("POST", "/block-card", {"card_token": card_token, "reason": "lost"}, token=token)
    assert (status, problem["reason"]) == (409, "card_cannot_change")


def test_cards_of_an_account_are_listed_newest_first(desk: Desk) -> None:
    """All of them, blocked ones too."""
    account_id = desk.open_account()
    tokens = [desk.order_card(account_id)["card_token"] for _ in range(3)]

    _, answer = desk.call("GET", "/list-cards", {"account_id": account_id}, token=desk.mint.token(EVERYTHING))

    assert [card["card_token"] for card in answer["cards"]] == tokens[::-1]


def test_a_key_belongs_to_one_request_of_one_caller(desk: Desk, database: Database) -> None:
    """The same again is answered alike, another content is refused, another caller's key is another key."""
    alice, bruno = (desk.mint.token(EVERYTHING, subject=subject) for subject in ("alice", "bruno"))
    body = {"name": "Alice Example"}

    first = desk.call("POST", "/create-account", body, token=alice, key="account-1")
    again = desk.call("POST", "/create-account", body, token=alice, key="account-1")
    other = desk.call("POST", "/create-account", {"name": "Alicia"}, token=alice, key="account-1")
    theirs = desk.call("POST", "/create-account", {"name": "Bruno"}, token=bruno, key="account-1")

    assert first == again
    assert (other[0], other[1]["reason"]) == (409, "request_key_reused")
    assert theirs[0] == 201
    assert len(database.fetch("SELECT FROM bank.customer_accounts")) == 2


def test_a_refused_request_may_be_tried_again_with_its_key(desk: Desk, database: Database) -> None:
    """A refusal leaves nothing behind: when its reason is gone, the request goes through."""
    account_id = desk.open_account()
    token = desk.mint.token(EVERYTHING)
    database.execute("UPDATE ledger.accounts SET status = 'frozen' WHERE account_id = $1", account_id)
    assert desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")[0] == 409

    database.execute("UPDATE ledger.accounts SET status = 'open' WHERE account_id = $1", account_id)

    assert desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")[0] == 201


def test_equal_requests_at_once_make_one_card(desk: Desk, database: Database) -> None:
    """Of several that arrive together one is done; the others wait and are given its answer, without the number."""
    account_id = desk.open_account()
    token = desk.mint.token("card:order card:number")
    event = {
        "routeKey": "POST /order-card",
        "headers": {"Authorization": f"Bearer {token}", "Idempotency-Key": "order-0001"},
        "body": json.dumps({"account_id": account_id}),
    }
    # Connections are their threads': each has an API of its own, as each Lambda environment has.
    handlers = [build_bank_api(desk.settings) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        answers = [json.loads(answer["body"]) for answer in pool.map(lambda api: api.handle(event), handlers)]

    assert len({answer["card_token"] for answer in answers}) == 1
    assert len([answer for answer in answers if answer["pan"]]) == 1
    assert len(database.fetch("SELECT FROM bank.cards")) == 1


def test_a_vault_that_does_not_answer_leaves_no_card(desk: Desk, database: Database) -> None:
    """The number goes into the vault before the card exists; the caller is told to come again."""
    account_id = desk.open_account()
    build_card_vault(desk.settings, build_pan_lookup(desk.settings))

    boto3.client("dynamodb", region_name="eu-west-2").delete_table(TableName="card-vault")
    token = desk.mint.token("card:order card:number")

    answer = desk.send("POST", "/order-card", {"account_id": account_id}, token=token)

    assert answer["statusCode"] == 503
    assert answer["headers"]["Retry-After"] == "1"
    assert json.loads(answer["body"])["reason"] == "try_again"
    assert database.fetch("SELECT FROM bank.cards") == []
    assert len(database.fetch("SELECT FROM bank.api_requests WHERE operation = 'order_card'")) == 0


class CutOff:
    """A vault that keeps the cards, and then the database's connection is gone."""

    def __init__(self, vault: CardVault, administrator: Database) -> None:
        self._vault = vault
        self._administrator = administrator
        self.kept: list[IssuedCard] = []

    def keep(self, cards: Sequence[IssuedCard]) -> None:
        self._vault.keep(cards)
        self.kept += cards
        self._administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'postrail-bank-api'"
            " AND datname = current_database()"
        )

    def reveal(self, card_token: str) -> IssuedCard | None:
        return self._vault.reveal(card_token)


def test_an_order_cut_off_before_its_commit_is_made_anew(
    desk: Desk, database: Database, postgres_superuser_dsn: str
) -> None:
    """No card without an answer: the caller comes again with his key, and gets a card with its number."""
    account_id = desk.open_account()
    token = desk.mint.token("card:order card:number")
    cards = desk.bank._routes["POST /order-card"][1].__self__  # type: ignore[attr-defined]
    vault = cards._vault
    with Database(postgres_superuser_dsn) as administrator:
        cards._vault = CutOff(vault, administrator)
        status, problem = desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")
    assert (status, problem["reason"]) == (503, "try_again")
    assert database.fetch("SELECT FROM bank.cards") == []

    cards._vault = vault
    status, card = desk.call("POST", "/order-card", {"account_id": account_id}, token=token, key="order-0001")

    assert status == 201
    assert passes_luhn(card["pan"])
    assert len(database.fetch("SELECT FROM bank.cards")) == 1


def test_an_order_that_the_pipeline_could_not_be_told_of_is_kept_and_resumed(desk: Desk, database: Database) -> None:
    """The number is shown: the card exists. Production takes the order up when the table answers again."""
    account_id = desk.open_account()
    dynamodb = boto3.client("dynamodb", region_name="eu-west-2")
    dynamodb.delete_table(TableName="reference")

    card = desk.order_card(account_id)
    assert passes_luhn(card["pan"])
    _, view = desk.call("GET", "/get-card", {"card_token": card["card_token"]}, token=desk.mint.token("card:read"))
    assert view["status"] == "ordered"

    dynamodb.create_table(
        TableName="reference",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    database.execute("UPDATE bank.cards SET created_at = created_at - interval '1 minute'")
    counts = desk.production.handle({})

    assert (counts["resumed"], counts["produced"], counts["notified"]) == (1, 1, 1)
    assert [item["pk"]["S"] for item in desk.items("reference")] == [f"CARD#{card['card_token']}"]
