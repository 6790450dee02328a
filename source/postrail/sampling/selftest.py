"""The accounts and cards that `postrail selftest` and `postrail validate` use, and nobody else does.

`postrail seed` puts them beside the sample accounts; `validate` opens what it finds missing. There are many cards,
because rules count how often a card is used within an hour: each run takes cards at random, so that one run after the
other says the same.
"""

from collections.abc import Iterator
from typing import Final

from postrail.contracts.payment import AccountDetails
from postrail.domain.card import passes_luhn
from postrail.domain.ledger import AccountSpec, AccountStatus, AccountType

ACCOUNT_ID: Final = "customer:selftest:gbp"
FROZEN_ACCOUNT_ID: Final = "customer:selftest-frozen:gbp"
CARDS: Final = 400
FROZEN_CARDS: Final = 100
OPENING_BALANCE_MINOR: Final = 100_000
OVERDRAFT_LIMIT_MINOR: Final = 100
"""Of an account that `validate` opens: its pennies are taken back, and no opening balance has to come from anywhere."""
RUN_ID_PATTERN: Final = "(selftest|validate)_[0-9a-f]{32}"
"""The correlation ids of marked payments."""
_RANGE: Final = "9991"


def selftest_token(number: int) -> str:
    """Card token `number` of the range that selftests use; fails the Luhn check, as every token does."""
    body = f"{_RANGE}{number:011d}"
    return next(token for last in "01" if not passes_luhn(token := body + last))


def unknown_token(number: int) -> str:
    """A token of the same range that no account knows."""
    return selftest_token(10_000_000 + number)


def selftest_cards() -> Iterator[tuple[str, AccountDetails]]:
    """Every card of the selftest with its account."""
    for number in range(CARDS):
        yield selftest_token(number), _details(ACCOUNT_ID, AccountStatus.OPEN)
    for number in range(CARDS, CARDS + FROZEN_CARDS):
        yield selftest_token(number), _details(FROZEN_ACCOUNT_ID, AccountStatus.FROZEN)


def selftest_specs(*, overdraft_limit_minor: int | None = None) -> list[AccountSpec]:
    """The accounts as the ledger keeps them; the limit is the open one's."""
    return [
        AccountSpec(
            ACCOUNT_ID,
            AccountType.CUSTOMER,
            "GBP",
            AccountStatus.OPEN,
            "Selftest",
            overdraft_limit_minor=overdraft_limit_minor,
        ),
        AccountSpec(FROZEN_ACCOUNT_ID, AccountType.CUSTOMER, "GBP", AccountStatus.FROZEN, "Selftest frozen"),
    ]


def selftest_details(token: str) -> AccountDetails | None:
    """What the reference table says of one card of the selftest; None of a token that is none."""
    return dict(selftest_cards()).get(token)


def _details(account_id: str, status: AccountStatus) -> AccountDetails:
    return AccountDetails(
        account_id=account_id,
        iban="GB41PRBK00019900000001",
        sort_code="000199",
        branch="Selftest",
        holder_name="Selftest",
        product="debit-standard",
        currency="GBP",
        status=status.value,
        country="GB",
    )
