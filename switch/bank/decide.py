"""Whether the bank approves: a pure judgement over the request, the card as it is, and what it has used.

What refuses, in this order; the first that applies is the answer (ISO 8583:1993, DE 39):

    118  the card is not known
    208, 209, 102, 104  blocked: lost, stolen, suspected fraud, closed
    125  ordered or in production: not in the customer's hands yet
    101  expired, or the message gives another month
    114, 104  the account is closed, or frozen (a refund still arrives at a frozen one)
    106, 126, 128, 117, 112  PIN: tries exceeded, unusable block, unusable key, wrong, missing for cash
    115, 119  the bank does not offer the service, or not with this card
    110  the amount cannot be brought into the account's currency
    121, 123  limits of the card: amount of one payment, of the day; number in the day, in the hour
    102  the fraud check
    116  the money; judged by the ledger, where it is held

An advice is judged less: the money is spent, and the bank is told. It is accepted when there is an account to debit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from switch.bank.answers import Action
from switch.bank.requests import Request
from switch.ecosystem import Service


class PinVerdict(StrEnum):
    """What the HSM said of a PIN block before the decision."""

    ABSENT = "absent"
    RIGHT = "right"
    WRONG = "wrong"
    UNUSABLE = "unusable"
    KEY_UNUSABLE = "key_unusable"


@dataclass(frozen=True, slots=True)
class CardState:
    """A card, its account, and what it has used, as they stand under the card's lock.

    Limits and `day_minor` are minor units of `currency`, the account's. Days and hours are those of UTC.
    """

    card_token: str
    account_id: str
    product: str
    expiry: str
    status: str
    status_reason: str | None
    services: Sequence[str]
    payment_limit_minor: int | None
    day_limit_minor: int | None
    day_limit_count: int | None
    hour_limit_count: int | None
    has_pin: bool
    pin_tries: int
    currency: str
    account_status: str
    day_count: int
    day_minor: int
    hour_count: int
    countries: frozenset[str]


_BLOCKED: Final = {
    "lost": Action.LOST_CARD,
    "stolen": Action.STOLEN_CARD,
    "suspected_fraud": Action.SUSPECTED_FRAUD,
}
_PIN_REFUSALS: Final = {
    PinVerdict.UNUSABLE: Action.INVALID_PIN_BLOCK,
    PinVerdict.KEY_UNUSABLE: Action.PIN_KEY_ERROR,
    PinVerdict.WRONG: Action.INCORRECT_PIN,
}
_USABLE: Final = frozenset({"ready", "active"})


def judge_card(
    request: Request, card: CardState | None, pin: PinVerdict, *, now: datetime, pin_tries_max: int
) -> Action | None:
    """Why the card does not serve for this request, None when it does: everything before the amount."""
    if card is None:
        return Action.NO_CARD_RECORD
    return (
        _judge_status(card)
        or _judge_expiry(request, card, now)
        or _judge_account(request, card)
        or _judge_pin(request, card, pin, pin_tries_max)
        or _judge_service(request, card)
    )


def judge_limits(card: CardState, amount_minor: int) -> Action | None:
    """Whether `amount_minor`, in the account's currency and with fees, fits what the card may use."""
    if card.payment_limit_minor is not None and amount_minor > card.payment_limit_minor:
        return Action.EXCEEDS_AMOUNT_LIMIT
    if card.day_limit_minor is not None and card.day_minor + amount_minor > card.day_limit_minor:
        return Action.EXCEEDS_AMOUNT_LIMIT
    if card.day_limit_count is not None and card.day_count >= card.day_limit_count:
        return Action.EXCEEDS_FREQUENCY_LIMIT
    if card.hour_limit_count is not None and card.hour_count >= card.hour_limit_count:
        return Action.EXCEEDS_FREQUENCY_LIMIT
    return None


def judge_advice(request: Request, card: CardState | None) -> Action | None:
    """Why the bank does not take over what an advice tells of, None when it does."""
    if request.refused_in_stead or card is None or card.account_status == "closed" or request.service is None:
        return Action.NO_LIABILITY
    return None


def pin_tries_after(card: CardState | None, pin: PinVerdict, tries_max: int) -> int | None:
    """The number of wrong PINs to be kept with the card, None when it stays as it is."""
    if card is None or not card.has_pin or card.pin_tries >= tries_max:
        return None
    if pin is PinVerdict.WRONG:
        return card.pin_tries + 1
    return 0 if pin is PinVerdict.RIGHT and card.pin_tries else None


def _judge_status(card: CardState) -> Action | None:
    if card.status in _USABLE:
        return None
    if card.status == "blocked":
        return _BLOCKED.get(card.status_reason or "", Action.RESTRICTED_CARD)
    return Action.EXPIRED_CARD if card.status == "expired" else Action.CARD_NOT_EFFECTIVE


def _judge_expiry(request: Request, card: CardState, now: datetime) -> Action | None:
    # Texts of one form, YYYY-MM: their order is that of the months. The last day of the month is still good.
    if card.expiry < f"{now:%Y-%m}" or request.expiry not in {None, card.expiry}:
        return Action.EXPIRED_CARD
    return None


def _judge_account(request: Request, card: CardState) -> Action | None:
    if card.account_status == "open" or (card.account_status == "frozen" and request.is_refund):
        return None
    return Action.RESTRICTED_CARD if card.account_status == "frozen" else Action.NO_ACCOUNT


def _judge_pin(request: Request, card: CardState, pin: PinVerdict, tries_max: int) -> Action | None:
    if not card.has_pin:
        # Nothing to compare with: a block that came along says nothing.
        return Action.INVALID_PIN_BLOCK if request.has_pin else None
    if card.pin_tries >= tries_max and (request.has_pin or request.service is Service.CASH):
        return Action.PIN_TRIES_EXCEEDED
    if pin is PinVerdict.ABSENT and request.service is Service.CASH:
        return Action.PIN_REQUIRED
    return _PIN_REFUSALS.get(pin)


def _judge_service(request: Request, card: CardState) -> Action | None:
    if request.service is None:
        return Action.NOT_SUPPORTED
    return None if request.service.value in card.services else Action.NOT_PERMITTED
