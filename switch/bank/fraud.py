"""The fraud port, and rules of the bank's own behind it (`config/fraud.yaml`).

A bank that has a fraud system of its own fills `FraudCheck` with it. The rules here look at what the bank knows by
itself at the moment it decides: the payment, the card, and how the card was used in the last 24 hours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Protocol

from pydantic import Field

from postrail.config_files import ConfigModel, read_config
from postrail.contracts.base import CountryCode
from postrail.contracts.payment import EntryMode
from postrail.domain.money import AMOUNT_MINOR_MAX
from switch.bank.answers import Action

Limit = Annotated[int, Field(gt=0, le=AMOUNT_MINOR_MAX)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A payment that is otherwise in order. `amount_minor` is in minor units of the account's currency.

    `countries` are those in which the card was used in the last 24 hours (ISO 3166-1 alpha-2).
    """

    card_token: str
    amount_minor: int
    merchant_country: str
    home_country: str
    mcc: str
    entry_mode: EntryMode
    is_first: bool
    countries: frozenset[str]
    day_count: int


class FraudCheck(Protocol):
    """Asked last, before the money. It must answer at once: hundreds of payments wait for each other's answers."""

    def judge(self, attempt: Attempt) -> Action | None:
        """None, or the action code to refuse with: 102 suspected fraud, as a rule."""
        ...


class FraudRules(ConfigModel):
    """The rules; what is absent is not looked at. Amounts are minor units of the account's currency."""

    version: Annotated[str, Field(pattern=r"^[0-9]{4}(\.[0-9]{1,3}){1,2}$")]
    countries_per_day_max: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None, description="countries that a card may be used in within 24 hours, the present one included"
    )
    first_payment_max: Limit | None = Field(default=None, description="what a new card may pay at first, abroad")
    blocked_countries: frozenset[CountryCode] = frozenset()
    card_absent_max: Limit | None = Field(default=None, description="one payment without the card at hand")
    magnetic_stripe_abroad_max: Limit | None = Field(
        default=None, description="one payment abroad by magnetic stripe, which is easily copied"
    )
    risky_categories: frozenset[Annotated[str, Field(pattern=r"^[0-9]{4}$")]] = frozenset()
    risky_category_max: Limit | None = Field(default=None, description="one payment in a risky category")


_ABSENT: Final = frozenset({EntryMode.ECOMMERCE, EntryMode.CREDENTIAL_ON_FILE, EntryMode.MANUAL})


class RuleBasedFraudCheck:
    """`FraudCheck` by rules. It counts which rule refused: `refusals`, by the rule's name."""

    def __init__(self, rules: FraudRules) -> None:
        self._rules = rules
        self.refusals: dict[str, int] = {}

    def judge(self, attempt: Attempt) -> Action | None:
        """The first rule that the payment breaks refuses it."""
        for name, breaks in _RULES:
            if breaks(self._rules, attempt):
                self.refusals[name] = self.refusals.get(name, 0) + 1
                return Action.SUSPECTED_FRAUD
        return None


def _is_over(amount_minor: int, limit: int | None) -> bool:
    return limit is not None and amount_minor > limit


def _is_abroad(attempt: Attempt) -> bool:
    return attempt.merchant_country != attempt.home_country


def _travels_too_fast(rules: FraudRules, attempt: Attempt) -> bool:
    limit = rules.countries_per_day_max
    return limit is not None and len(attempt.countries | {attempt.merchant_country}) > limit


_RULES: Final[tuple[tuple[str, Callable[[FraudRules, Attempt], bool]], ...]] = (
    ("blocked_countries", lambda rules, attempt: attempt.merchant_country in rules.blocked_countries),
    ("countries_per_day_max", _travels_too_fast),
    (
        "first_payment_max",
        lambda rules, attempt: (
            attempt.is_first and _is_abroad(attempt) and _is_over(attempt.amount_minor, rules.first_payment_max)
        ),
    ),
    (
        "card_absent_max",
        lambda rules, attempt: attempt.entry_mode in _ABSENT and _is_over(attempt.amount_minor, rules.card_absent_max),
    ),
    (
        "magnetic_stripe_abroad_max",
        lambda rules, attempt: (
            attempt.entry_mode is EntryMode.MAGNETIC_STRIPE
            and _is_abroad(attempt)
            and _is_over(attempt.amount_minor, rules.magnetic_stripe_abroad_max)
        ),
    ),
    (
        "risky_category_max",
        lambda rules, attempt: (
            attempt.mcc in rules.risky_categories and _is_over(attempt.amount_minor, rules.risky_category_max)
        ),
    ),
)


def load_fraud_rules(path: Path) -> FraudRules:
    """Read a rule file. Raises ConfigInvalid naming the file and the place."""
    return read_config(path, FraudRules)
