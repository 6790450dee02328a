"""The network's side of issuing: the customers and cards of its member banks."""

from typing import Final

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from switch.ecosystem import Ecosystem
from switch.issuing.contracts import CreateCard, CreateCustomerAccount, CustomerAccountCreated, NetworkCard
from switch.issuing.lifecycle import CardStatus
from switch.issuing.refusals import IssuingRefused, Refusal

SQL: Final = statements("network.sql", "switch.issuing")


class NetworkCards:
    """`ports.CardNetworks` on the network's own tables. Everything may be asked again: it is done once."""

    def __init__(self, database: Database, ecosystem: Ecosystem) -> None:
        self._database = database
        self._ecosystem = ecosystem

    def create_customer_account(self, bank_id: str, request: CreateCustomerAccount) -> CustomerAccountCreated:
        """Know a member's customer. Raises IssuingRefused: UNKNOWN_NETWORK, CUSTOMER_DIFFERS; Retryable."""
        self._require_member(request.network_id, bank_id)
        self._database.execute(
            SQL["add_customer"], request.customer_id, request.network_id, bank_id, request.subject, request.name
        )
        row = self._customer(request.network_id, request.customer_id)
        if row is None or (row["bank_id"], row["subject"], row["name"]) != (bank_id, request.subject, request.name):
            detail = f"{request.network_id} knows the customer {request.customer_id} with another bank, subject or name"
            raise IssuingRefused(Refusal.CUSTOMER_DIFFERS, detail)
        return CustomerAccountCreated(network_id=request.network_id, customer_id=request.customer_id, bank_id=bank_id)

    def create_card(self, bank_id: str, request: CreateCard) -> NetworkCard:
        """Take a card into production. Raises IssuingRefused: UNKNOWN_NETWORK, CUSTOMER_NOT_FOUND, CARD_DIFFERS."""
        self._require_member(request.network_id, bank_id)
        customer = self._customer(request.network_id, request.customer_id)
        if customer is None or customer["bank_id"] != bank_id:
            detail = f"{request.network_id} knows no customer {request.customer_id} of this bank"
            raise IssuingRefused(Refusal.CUSTOMER_NOT_FOUND, detail)
        wanted = (
            request.network_id,
            bank_id,
            request.customer_id,
            bytes.fromhex(request.pan_lookup),
            request.last_four,
            request.expiry,
            sorted(service.value for service in request.services),
        )
        self._database.execute(SQL["add_card"], request.card_token, *wanted)
        row = self._database.fetch_one(SQL["read_card"], request.card_token)
        if row is None or tuple(row)[:-1] != wanted:
            raise IssuingRefused(Refusal.CARD_DIFFERS, "this token or number is another card's already")
        return _card(request.card_token, row)

    def block_card(self, bank_id: str, card_token: str) -> NetworkCard:
        """Route no payments of a member's card any more. Raises IssuingRefused(CARD_NOT_FOUND), Retryable."""
        self._database.execute(SQL["block_card"], card_token, bank_id)
        row = self._database.fetch_one(SQL["read_card"], card_token)
        if row is None or row["bank_id"] != bank_id:
            raise IssuingRefused(Refusal.CARD_NOT_FOUND, f"there is no card {card_token}")
        return _card(card_token, row)

    def _customer(self, network_id: str, customer_id: str) -> asyncpg.Record | None:
        return self._database.fetch_one(SQL["read_customer"], network_id, customer_id)

    def _require_member(self, network_id: str, bank_id: str) -> None:
        members = {bank.id for bank in self._ecosystem.members(network_id)}
        if bank_id not in members:
            raise IssuingRefused(Refusal.UNKNOWN_NETWORK, f"the bank is no member of a network {network_id}")


def _card(card_token: str, row: asyncpg.Record) -> NetworkCard:
    return NetworkCard(network_id=row["network_id"], card_token=card_token, status=CardStatus(row["status"]))
