"""What can go wrong, as values and as exceptions.

PostrailError
├── Retryable      the same input may work later: throttled, connection cut, deadlock
├── Permanent      the same input will never work: malformed, unknown currency, clear PAN
└── ConfigInvalid  a configuration file is wrong: no input can work until somebody corrects it

A business refusal is no exception: it is a value that carries a `ReasonCode`. Queues, Step Functions and
dead-letter handling key on the first two classes and on the reason code, never on a message text.
"""

from enum import StrEnum


class ReasonCode(StrEnum):
    """Why an input did not go on. Stable: users filter, count and alarm by these."""

    # malformed input, ends in a dead-letter queue
    MALFORMED_EVENT = "MALFORMED_EVENT"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    WRONG_TYPE = "WRONG_TYPE"
    MISSING_FIELD = "MISSING_FIELD"
    INVALID_VALUE = "INVALID_VALUE"
    UNKNOWN_CURRENCY = "UNKNOWN_CURRENCY"
    INVALID_AMOUNT = "INVALID_AMOUNT"
    CLEAR_PAN = "CLEAR_PAN"
    EVENT_TOO_LARGE = "EVENT_TOO_LARGE"
    UNEXPECTED_EVENT = "UNEXPECTED_EVENT"
    # parked by deduplicate
    DUPLICATE = "DUPLICATE"
    CONFLICT = "CONFLICT"
    # refused by enrich or the rules
    UNKNOWN_ACCOUNT = "UNKNOWN_ACCOUNT"
    NO_EXCHANGE_RATE = "NO_EXCHANGE_RATE"
    RULE_REJECTED = "RULE_REJECTED"
    RULE_REFERRED = "RULE_REFERRED"
    NO_POSTING_PLAN = "NO_POSTING_PLAN"
    # refused by the ledger
    SEQUENCE_INCONSISTENT = "SEQUENCE_INCONSISTENT"
    UNBALANCED = "UNBALANCED"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ACCOUNT_NOT_OPEN = "ACCOUNT_NOT_OPEN"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    ALREADY_POSTED = "ALREADY_POSTED"
    POSTING_CONFLICT = "POSTING_CONFLICT"
    AMOUNT_OVERFLOW = "AMOUNT_OVERFLOW"
    INSUFFICIENT_FUNDS = "INSUFFICIENT_FUNDS"
    HOLD_NOT_FOUND = "HOLD_NOT_FOUND"
    HOLD_NOT_ACTIVE = "HOLD_NOT_ACTIVE"
    HOLD_RELEASED = "HOLD_RELEASED"
    CAPTURE_EXCEEDS_HOLD = "CAPTURE_EXCEEDS_HOLD"
    RELEASE_EXCEEDS_HOLD = "RELEASE_EXCEEDS_HOLD"
    HOLD_CONFLICT = "HOLD_CONFLICT"
    HOT_ACCOUNT = "HOT_ACCOUNT"
    TRANSACTION_NOT_FOUND = "TRANSACTION_NOT_FOUND"
    NOT_REVERSIBLE = "NOT_REVERSIBLE"


class PostrailError(Exception):
    """Base of all errors that Postrail raises itself."""


class Retryable(PostrailError):
    """The same call may succeed later; the input is not at fault."""


class Permanent(PostrailError):
    """The input will never be accepted. Carries the reason code that ends up on the dead letter."""

    def __init__(self, reason: ReasonCode, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class ConfigInvalid(PostrailError):
    """A configuration file cannot be used. The message names the file and the place in it."""
