"""The networks' API: the customers and cards of member banks."""

from typing import Any

import pytest
from tests.integration.switch.issuing.conftest import Desk

from postrail.adapters.postgres.connection import Database

CUSTOMER = {
    "network_id": "meridian",
    "customer_id": "cus_0197f0a0c0de7abc8def0123456789ab",
    "subject": "alice",
    "name": "Alice Example",
}
CARD = {
    "network_id": "meridian",
    "customer_id": CUSTOMER["customer_id"],
    "card_token": "9991000000000001",
    "pan_lookup": "ab" * 32,
    "last_four": "0019",
    "expiry": "2030-01",
    "services": ["cash", "purchase"],
}


class Member:
    """A bank as client of the network."""

    def __init__(self, desk: Desk, bank_id: str = "northgate") -> None:
        self._desk = desk
        self._token = desk.mint.token("network:issue", subject=f"{bank_id}-system", bank_id=bank_id)

    def post(self, path: str, content: dict[str, Any], *, key: str | None = None) -> tuple[int, dict[str, Any]]:
        return self._desk.call("POST", path, content, token=self._token, key=key, api="network")


@pytest.fixture
def member(desk: Desk) -> Member:
    return Member(desk)


def test_a_member_has_a_card_produced(member: Member, database: Database) -> None:
    """The customer first, then his card; both may be asked again, under the same key or another."""
    for _ in range(2):
        assert member.post("/create-customer-account", CUSTOMER) == (
            201,
            {"network_id": "meridian", "customer_id": CUSTOMER["customer_id"], "bank_id": "northgate"},
        )
    for key in ("card-0001", "card-0001", "card-0002"):
        status, card = member.post("/create-card", CARD, key=key)
        assert (status, card["status"]) == (201, "in_production")
    rows = database.fetch("SELECT * FROM network.cards")
    assert [(row["bank_id"], row["services"], row["pan_lookup"].hex()) for row in rows] == [
        ("northgate", ["cash", "purchase"], CARD["pan_lookup"])
    ]


def test_a_key_belongs_to_one_request(member: Member) -> None:
    """Another content under it is refused."""
    member.post("/create-customer-account", CUSTOMER, key="customer-1")

    status, problem = member.post("/create-customer-account", CUSTOMER | {"name": "Al"}, key="customer-1")

    assert (status, problem["reason"]) == (409, "request_key_reused")


def test_what_the_network_knows_does_not_change(member: Member) -> None:
    """A customer of another name, a token of another card, a number of another token."""
    member.post("/create-customer-account", CUSTOMER)
    member.post("/create-card", CARD)

    assert member.post("/create-customer-account", CUSTOMER | {"name": "Al"})[1]["reason"] == "customer_differs"
    for change in ({"pan_lookup": "cd" * 32}, {"card_token": "9991000000000003"}, {"expiry": "2031-01"}):
        assert member.post("/create-card", CARD | change)[1]["reason"] == "card_differs"


def test_a_card_needs_its_customer_and_a_network_of_its_bank(member: Member) -> None:
    """Neither is made up on the way."""
    assert member.post("/create-card", CARD)[1]["reason"] == "customer_not_found"
    assert member.post("/create-customer-account", CUSTOMER | {"network_id": "x1"})[1]["reason"] == "unknown_network"


def test_a_member_cannot_touch_what_is_anothers(member: Member, desk: Desk) -> None:
    """Customers and cards are their bank's."""
    member.post("/create-customer-account", CUSTOMER)
    member.post("/create-card", CARD)
    other = Member(desk, "harbour")

    assert other.post("/create-customer-account", CUSTOMER)[1]["reason"] == "customer_differs"
    assert other.post("/create-card", CARD)[1]["reason"] == "customer_not_found"
    assert other.post("/block-network-card", {"card_token": CARD["card_token"]})[1]["reason"] == "card_not_found"
    status, card = member.post("/block-network-card", {"card_token": CARD["card_token"]})
    assert (status, card["status"]) == (200, "blocked")


def test_a_card_of_a_bank_that_keeps_its_book_elsewhere_is_produced_too(member: Member, desk: Desk) -> None:
    """Its bank is a client of the network's API and no tenant of this database."""
    member.post("/create-customer-account", CUSTOMER)
    member.post("/create-card", CARD)

    assert desk.production.handle({})["produced"] == 1

    assert member.post("/create-card", CARD)[1]["status"] == "ready"
    (notice,) = desk.notices()
    assert CARD["last_four"] in notice["Message"]
