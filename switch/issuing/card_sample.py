"""Many ready cards at once, for benches and tests: accounts with money, their cards at the bank and at the network.

They are written set-wise straight into PostgreSQL. Their numbers exist in memory alone: nothing goes into a vault.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.adapters.system import SystemClock, SystemIds
from postrail.contracts.payment import AccountDetails
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType, account_id_of
from postrail.sampling.accounts import system_accounts
from switch.ecosystem import Bank, NumberRange
from switch.issuing.iban import make_account_number
from switch.issuing.numbers import make_pan, make_token
from switch.issuing.ports import PanLookup

_SQL: Final = statements("sample.sql", "switch.issuing")


@dataclass(frozen=True, slots=True)
class SampleCard:
    """A card that can be paid with. Its number is not shown when it is printed."""

    pan: str = field(repr=False)
    card_token: str
    expiry: str
    customer_id: str
    details: AccountDetails

    @property
    def account_id(self) -> str:
        """The ledger's account that the card draws on."""
        return self.details.account_id


def make_sample_cards(
    database: Database,
    *,
    bank: Bank,
    network_id: str,
    lookup: PanLookup,
    count: int,
    balance_minor: int,
    product: str = "debit-standard",
    expiry: str = "2039-12",
) -> list[SampleCard]:
    """Open `count` accounts of the bank with `balance_minor` each, and put one ready card on every account.

    The cards lie in the bank's first range and are the network's; `balance_minor` is in minor units of the bank's
    currency, and no account may be overdrawn. The bank's own accounts are opened as well. Raises Retryable and
    Permanent as the database does.
    """
    numbers = bank.ranges[0]
    cards = _make_cards(bank, numbers, count, product, expiry)
    specs = [*system_accounts([bank.currency]), *(_spec(card) for card in cards)]
    openings = {card.account_id: balance_minor for card in cards if balance_minor}
    PostgresAccounts(database).open_accounts(specs, openings=openings, clock=SystemClock(), ids=SystemIds())
    services = sorted(service.value for service in numbers.services)
    with database.transaction():
        _add_to_bank(database, bank, cards, lookup, product, services)
        _add_to_network(database, bank, network_id, cards, lookup, services)
    return cards


def _make_cards(bank: Bank, numbers: NumberRange, count: int, product: str, expiry: str) -> list[SampleCard]:
    ids = SystemIds()
    pans: set[str] = set()
    while len(pans) < count:
        pans.add(make_pan(numbers))
    return [
        SampleCard(
            pan=pan,
            card_token=make_token(len(pan)),
            expiry=expiry,
            customer_id=ids.new_id("cus"),
            details=_details(bank, f"{bank.id}-sample-{ids.new_id('acc')[-20:]}", f"Sample {number}", product),
        )
        for number, pan in enumerate(pans, 1)
    ]


def _details(bank: Bank, name: str, holder: str, product: str) -> AccountDetails:
    account = make_account_number(bank)
    return AccountDetails(
        account_id=account_id_of(AccountType.CUSTOMER, name, bank.currency),
        iban=account.iban,
        sort_code=account.sort_code,
        branch=bank.name,
        holder_name=holder,
        product=product,
        currency=bank.currency,
        status=AccountStatus.OPEN.value,
        country=bank.country,
    )


def _spec(card: SampleCard) -> AccountSpec:
    details = card.details
    return AccountSpec(
        account_id=details.account_id,
        type=AccountType.CUSTOMER,
        currency=details.currency,
        status=AccountStatus.OPEN,
        name=details.holder_name,
        overdraft_limit_minor=0,
    )


def _add_to_bank(
    database: Database,
    bank: Bank,
    cards: Sequence[SampleCard],
    lookup: PanLookup,
    product: str,
    services: list[str],
) -> None:
    customers = [card.customer_id for card in cards]
    accounts = [card.account_id for card in cards]
    database.execute(_SQL["add_customers"], bank.id, customers, [card.details.holder_name for card in cards])
    details = [card.details.model_dump_json() for card in cards]
    database.execute(_SQL["add_customer_accounts"], bank.id, accounts, customers, details)
    database.execute(
        _SQL["add_bank_cards"],
        bank.id,
        [card.card_token for card in cards],
        [lookup.lookup(card.pan) for card in cards],
        [card.pan[-4:] for card in cards],
        accounts,
        product,
        cards[0].expiry if cards else "",
        services,
    )


def _add_to_network(
    database: Database,
    bank: Bank,
    network_id: str,
    cards: Sequence[SampleCard],
    lookup: PanLookup,
    services: list[str],
) -> None:
    customers = [card.customer_id for card in cards]
    names = [card.details.holder_name for card in cards]
    database.execute(_SQL["add_network_customers"], network_id, bank.id, customers, names)
    database.execute(
        _SQL["add_network_cards"],
        network_id,
        bank.id,
        [card.card_token for card in cards],
        customers,
        [lookup.lookup(card.pan) for card in cards],
        [card.pan[-4:] for card in cards],
        cards[0].expiry if cards else "",
        services,
    )
