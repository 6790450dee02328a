"""Holds: money promised and not posted yet, so that it cannot be promised twice.

A hold is placed, may be extended, is captured by one posting or several, and ends captured, released or expired. Until
then an account has `available = total - held`.
"""

import re
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from postrail.domain.authorization import content_fingerprint
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.iso4217 import UnknownCurrency, currency_by_code

CHANGE_KEY_LENGTH_MAX: Final = 200
"""Longest key of a change, in characters."""

_AMOUNT_MINOR_MAX: Final = 2**63 - 1
_ID: Final = re.compile(r"(hld|pay)_[0-9a-f]{32}")
_LEDGERS_OWN_KEYS: Final = ("capture:", "expire:", "excess:")


class HoldKind(StrEnum):
    """What money is held for. A dispute's amount counts as locked, which is a part of held."""

    AUTHORIZATION = "authorization"
    DISPUTE = "dispute"


class HoldStatus(StrEnum):
    """Where a hold stands; it leaves `active` once and for ever."""

    ACTIVE = "active"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


class PlaceHold(NamedTuple):
    """Asks to hold `amount_minor` of an account until captured, released, or due at `expires_at`.

    `change_key` names the request for ever; `hold_id` is new (`hld_` + UUIDv7). Captures may go `tolerance_minor` over
    the amount, for tips and fuel; the tolerance itself is not held. Amounts are minor units of `currency`.
    """

    hold_id: str
    change_key: str
    account_id: str
    currency: str
    amount_minor: int
    expires_at: datetime
    occurred_at: datetime
    kind: HoldKind = HoldKind.AUTHORIZATION
    tolerance_minor: int = 0
    payment_id: str | None = None

    @property
    def fingerprint(self) -> str:
        """The content: whose money, how much, what for. Not its id and times, which a repetition may make anew."""
        return content_fingerprint(
            "place", self.account_id, self.currency, self.kind, self.amount_minor, self.tolerance_minor, self.payment_id
        )

    def fault(self) -> Permanent | None:
        """What is wrong with the request in itself, before a ledger is asked."""
        return (
            _fault_of_key(self.change_key)
            or _fault_of_id(self.hold_id, "hld")
            or (_fault_of_id(self.payment_id, "pay") if self.payment_id is not None else None)
            or _fault_of_amount(self.amount_minor, 1)
            or _fault_of_amount(self.tolerance_minor, 0)
            or _fault_of_currency(self.currency)
        )


class ExtendHold(NamedTuple):
    """Asks to hold `add_minor` more (incremental authorization), or longer, until `expires_at`; or both."""

    hold_id: str
    change_key: str
    occurred_at: datetime
    add_minor: int = 0
    expires_at: datetime | None = None

    @property
    def fingerprint(self) -> str:
        """The content of the request."""
        until = self.expires_at.timestamp() if self.expires_at else None
        return content_fingerprint("extend", self.hold_id, self.add_minor, None if until is None else f"{until:.6f}")

    def fault(self) -> Permanent | None:
        """What is wrong with the request in itself, before a ledger is asked."""
        if not self.add_minor and self.expires_at is None:
            return Permanent(ReasonCode.INVALID_VALUE, "an extension holds more or longer; this one does neither")
        return (
            _fault_of_key(self.change_key) or _fault_of_id(self.hold_id, "hld") or _fault_of_amount(self.add_minor, 0)
        )


class ReleaseHold(NamedTuple):
    """Asks to let go of `amount_minor` of a hold, or of all that is left of it (None), which ends it."""

    hold_id: str
    change_key: str
    occurred_at: datetime
    amount_minor: int | None = None

    @property
    def fingerprint(self) -> str:
        """The content of the request."""
        return content_fingerprint("release", self.hold_id, self.amount_minor)

    def fault(self) -> Permanent | None:
        """What is wrong with the request in itself, before a ledger is asked."""
        amount = 1 if self.amount_minor is None else self.amount_minor
        return _fault_of_key(self.change_key) or _fault_of_id(self.hold_id, "hld") or _fault_of_amount(amount, 1)


def is_hold_id(text: str) -> bool:
    """Whether a text has the form of a hold's id: `hld_` and 32 hex digits."""
    return _fault_of_id(text, "hld") is None


class Hold(NamedTuple):
    """A hold as it stands. `remaining_minor` is what it still holds, `amount_minor` what it promises in all."""

    hold_id: str
    account_id: str
    currency: str
    kind: HoldKind
    status: HoldStatus
    amount_minor: int
    remaining_minor: int
    captured_minor: int
    tolerance_minor: int
    payment_id: str | None
    occurred_at: datetime
    placed_at: datetime
    expires_at: datetime
    closed_at: datetime | None


class HoldChange(NamedTuple):
    """One thing that happened to a hold; `held_minor` is what it did to the account's held balance, signed."""

    change: str
    change_key: str
    amount_minor: int
    held_minor: int
    transaction_id: str | None
    occurred_at: datetime
    recorded_at: datetime


def _fault_of_key(key: str) -> Permanent | None:
    if not 1 <= len(key) <= CHANGE_KEY_LENGTH_MAX or "\x00" in key:
        return Permanent(ReasonCode.INVALID_VALUE, f"a change key has 1 to {CHANGE_KEY_LENGTH_MAX} characters")
    if key.startswith(_LEDGERS_OWN_KEYS):
        own = " or ".join(_LEDGERS_OWN_KEYS)
        return Permanent(ReasonCode.INVALID_VALUE, f"keys that begin with {own} are the ledger's own")
    return None


def _fault_of_id(identifier: str, prefix: str) -> Permanent | None:
    found = _ID.fullmatch(identifier)
    if found is None or found.group(1) != prefix:
        return Permanent(ReasonCode.INVALID_VALUE, f"an id here is {prefix}_ and 32 hex digits")
    return None


def _fault_of_currency(currency: str) -> Permanent | None:
    try:
        currency_by_code(currency)
    except UnknownCurrency:
        return Permanent(ReasonCode.UNKNOWN_CURRENCY, f"{currency} is no active ISO 4217 currency")
    return None


def _fault_of_amount(amount_minor: int, least: int) -> Permanent | None:
    if amount_minor < least:
        return Permanent(ReasonCode.INVALID_AMOUNT, f"the amount {amount_minor} is less than {least}")
    if amount_minor > _AMOUNT_MINOR_MAX:
        return Permanent(ReasonCode.AMOUNT_OVERFLOW, "the amount does not fit the ledger")
    return None
