"""A bank's cards: ordered, shown, blocked. A card's number goes into the vault before the card exists."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import asyncpg

from postrail.adapters.aws.observability import logger
from postrail.adapters.postgres.connection import Database
from postrail.contracts.payment import AccountDetails
from postrail.domain.errors import Retryable
from postrail.ports import Clock
from switch.ecosystem import Bank, NumberRange, Service
from switch.issuing.accounts import SQL, BankAccounts
from switch.issuing.callers import Caller, Scope
from switch.issuing.contracts import (
    BlockCard,
    CardLimits,
    CardList,
    CardOrdered,
    CardQuery,
    CardsQuery,
    CardView,
    CreateCard,
    CreateCustomerAccount,
    OrderCard,
)
from switch.issuing.lifecycle import BlockReason, CardStatus, before
from switch.issuing.numbers import make_pan, make_token
from switch.issuing.ports import CardNetworks, CardReference, CardVault, IssuedCard, PanLookup
from switch.issuing.refusals import IssuingRefused, Refusal
from switch.issuing.requests import Ask, RequestBook

LIVING_CARDS_PER_ACCOUNT_MAX: Final = 10
CARDS_SHOWN_MAX: Final = 200
_VALID_YEARS: Final = 4
_NUMBERS_TRIED_MAX: Final = 10


class BankCards:
    """The cards of the ecosystem's banks; the caller's token says of which."""

    def __init__(
        self,
        database: Database,
        *,
        accounts: BankAccounts,
        requests: RequestBook,
        vault: CardVault,
        lookup: PanLookup,
        networks: CardNetworks,
        reference: CardReference,
        clock: Clock,
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._requests = requests
        self._vault = vault
        self._lookup = lookup
        self._networks = networks
        self._reference = reference
        self._clock = clock

    def order(self, ask: Ask[OrderCard]) -> CardOrdered:
        """Order a card: its number into the vault, the card into the book, production at the network.

        The number is in the answer once, for a token with the scope card:number; otherwise a repetition is answered
        alike. A network that does not answer keeps no order back: `resume_orders` asks it again.

        Raises IssuingRefused: ACCOUNT_NOT_FOUND, ACCOUNT_NOT_OPEN, TOO_MANY_CARDS, UNKNOWN_NETWORK,
        SERVICE_NOT_OFFERED, REQUEST_KEY_REUSED; Retryable.
        """
        issued: list[IssuedCard] = []
        answer, is_new = self._requests.once(ask, lambda: self._order(ask, issued), CardOrdered)
        if not is_new:
            return answer
        self._try_submit(answer.card_token)
        if not ask.caller.has(Scope.CARD_NUMBER):
            return answer
        logger.info("card number shown", card_token=answer.card_token, subject=ask.caller.subject)
        return answer.model_copy(update={"pan": issued[-1].pan})

    def card(self, ask: Ask[CardQuery]) -> CardView:
        """One card. Raises IssuingRefused(CARD_NOT_FOUND): for strangers too; Retryable."""
        return self._require(ask.caller, ask.body.card_token)

    def list_cards(self, ask: Ask[CardsQuery]) -> CardList:
        """An account's cards, newest first, 200 at most. Raises IssuingRefused(ACCOUNT_NOT_FOUND); Retryable."""
        self._accounts.require(ask.caller, ask.body.account_id)
        rows = self._database.fetch(
            SQL["read_cards"], None, ask.body.account_id, ask.caller.bank_id, ask.caller.sees_only, CARDS_SHOWN_MAX
        )
        return CardList(cards=tuple(map(_view, rows)))

    def block(self, ask: Ask[BlockCard]) -> CardView:
        """Block a card at the bank, then at its network.

        The bank declines from its commit on. When the network does not answer, Retryable is raised, and the same
        request asks it again. Raises IssuingRefused: CARD_NOT_FOUND, CARD_CANNOT_CHANGE, REQUEST_KEY_REUSED.
        """
        answer, _ = self._requests.once(ask, lambda: self._block(ask), CardView)
        try:
            self._networks.block_card(ask.caller.bank_id, answer.card_token)
        except IssuingRefused as refusal:
            # Blocked before it was ordered from the network: then it never will be.
            if refusal.reason is not Refusal.CARD_NOT_FOUND:
                raise
        return answer

    def resume_orders(self, *, older_than: timedelta, limit: int) -> int:
        """Ask networks again for up to `limit` cards that are ordered and no more; returns how many went on."""
        due = self._clock.now() - older_than
        tokens = [row["card_token"] for row in self._database.fetch(SQL["find_orders"], due, "", limit)]
        return sum(map(self._try_submit, tokens))

    def _order(self, ask: Ask[OrderCard], issued: list[IssuedCard]) -> CardOrdered:
        order, bank = ask.body, self._accounts.bank_of(ask.caller)
        account = self._accounts.require(ask.caller, order.account_id)
        if account["status"] != "open":
            raise IssuingRefused(Refusal.ACCOUNT_NOT_OPEN, f"the account {order.account_id} is {account['status']}")
        network_id = order.network_id or bank.networks[0]
        if network_id not in bank.networks:
            raise IssuingRefused(Refusal.UNKNOWN_NETWORK, f"the bank issues no cards of a network {network_id}")
        numbers = bank.ranges[0]
        services = _offered(numbers, order.services)
        counted = self._database.fetch_one(SQL["count_living_cards"], order.account_id)
        if counted is not None and counted["cards"] >= LIVING_CARDS_PER_ACCOUNT_MAX:
            detail = f"an account has at most {LIVING_CARDS_PER_ACCOUNT_MAX} cards that are not blocked or expired"
            raise IssuingRefused(Refusal.TOO_MANY_CARDS, detail)
        product = AccountDetails.model_validate_json(account["details"]).product
        card = self._issue(bank, numbers, network_id, product, services, ask)
        issued.append(card)
        return CardOrdered(
            card_token=card.card_token,
            last_four=card.pan[-4:],
            expiry=card.expiry,
            status=CardStatus.ORDERED,
            account_id=order.account_id,
            network_id=network_id,
        )

    def _issue(
        self,
        bank: Bank,
        numbers: NumberRange,
        network_id: str,
        product: str,
        services: list[str],
        ask: Ask[OrderCard],
    ) -> IssuedCard:
        """A card of a number that no other has, in the vault and in the book."""
        limits = ask.body.limits
        expiry = _expiry(self._clock.now())
        for _ in range(_NUMBERS_TRIED_MAX):
            card = IssuedCard(make_token(numbers.pan_length), make_pan(numbers), expiry)
            added = self._database.execute(
                SQL["add_card"],
                card.card_token,
                bank.id,
                self._lookup.lookup(card.pan),
                card.pan[-4:],
                ask.body.account_id,
                product,
                expiry,
                services,
                limits.payment_limit_minor,
                limits.day_limit_minor,
                limits.day_limit_count,
                limits.hour_limit_count,
                network_id,
                ":".join(ask.names),
            )
            if added == "INSERT 0 1":
                # Before the commit: a card whose number is nowhere cannot come to be.
                self._vault.keep([card])
                return card
        msg = f"bank {bank.id}: no free card number found"
        raise Retryable(msg)

    def _block(self, ask: Ask[BlockCard]) -> CardView:
        card = self._require(ask.caller, ask.body.card_token)
        reason = ask.body.reason
        done = self._database.execute(SQL["block_card"], card.card_token, reason.value, before(CardStatus.BLOCKED))
        now = self._require(ask.caller, ask.body.card_token)
        if done == "UPDATE 0" and (now.status, now.status_reason) != (CardStatus.BLOCKED, reason):
            detail = f"the card is {now.status}" + (f" ({now.status_reason})" if now.status_reason else "")
            raise IssuingRefused(Refusal.CARD_CANNOT_CHANGE, detail)
        return now

    def _require(self, caller: Caller, card_token: str) -> CardView:
        row = self._database.fetch_one(SQL["read_cards"], card_token, None, caller.bank_id, caller.sees_only, 1)
        if row is None:
            raise IssuingRefused(Refusal.CARD_NOT_FOUND, f"there is no card {card_token}")
        return _view(row)

    def _try_submit(self, card_token: str) -> bool:
        """Whether the pipeline and the network know the card now. What failed is logged and tried again later."""
        try:
            return self._submit(card_token)
        except (Retryable, IssuingRefused) as error:
            logger.warning("card order waits", card_token=card_token, error=type(error).__name__, error_text=str(error))
            return False

    def _submit(self, card_token: str) -> bool:
        row = self._database.fetch_one(SQL["read_order"], card_token)
        if row is None:
            return False
        self._reference.put(card_token, AccountDetails.model_validate_json(row["details"]))
        customer = CreateCustomerAccount(
            network_id=row["network_id"], customer_id=row["customer_id"], subject=row["subject"], name=row["name"]
        )
        self._networks.create_customer_account(row["bank_id"], customer)
        card = CreateCard(
            network_id=row["network_id"],
            customer_id=row["customer_id"],
            card_token=card_token,
            pan_lookup=row["pan_lookup"].hex(),
            last_four=row["last_four"],
            expiry=row["expiry"],
            services=tuple(Service(service) for service in row["services"]),
        )
        self._networks.create_card(row["bank_id"], card)
        return self._database.execute(SQL["set_in_production"], card_token) == "UPDATE 1"


def _offered(numbers: NumberRange, wanted: Sequence[Service] | None) -> list[str]:
    """The services that the card gets, sorted. Raises IssuingRefused(SERVICE_NOT_OFFERED)."""
    services = numbers.services if wanted is None else frozenset(wanted)
    if strangers := services - numbers.services:
        names = ", ".join(sorted(strangers))
        raise IssuingRefused(Refusal.SERVICE_NOT_OFFERED, f"cards of this bank cannot be used for {names}")
    return sorted(service.value for service in services)


def _expiry(now: datetime) -> str:
    """The last month of validity of a card that is ordered now, YYYY-MM."""
    return f"{now.year + _VALID_YEARS}-{now.month:02d}"


def _view(row: asyncpg.Record) -> CardView:
    return CardView(
        card_token=row["card_token"],
        last_four=row["last_four"],
        expiry=row["expiry"],
        status=CardStatus(row["status"]),
        status_reason=BlockReason(row["status_reason"]) if row["status_reason"] else None,
        account_id=row["account_id"],
        network_id=row["network_id"],
        product=row["product"],
        services=tuple(Service(service) for service in row["services"]),
        limits=CardLimits(
            payment_limit_minor=row["payment_limit_minor"],
            day_limit_minor=row["day_limit_minor"],
            day_limit_count=row["day_limit_count"],
            hour_limit_count=row["hour_limit_count"],
        ),
        ordered_at=row["created_at"],
        changed_at=row["changed_at"],
    )
