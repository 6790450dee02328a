"""From what PostgreSQL and its driver raise to what callers key on: Retryable or Permanent."""

import asyncpg

from postrail.domain.errors import Permanent, PostrailError, ReasonCode, Retryable

_REASON_BY_CONSTRAINT = {
    "entries_sum_to_zero": ReasonCode.UNBALANCED,
    "entries_come_whole": ReasonCode.UNBALANCED,
    "transactions_have_entries": ReasonCode.UNBALANCED,
    "accounts_keep_type_and_currency": ReasonCode.CURRENCY_MISMATCH,
    "available_stays_within_limit": ReasonCode.INSUFFICIENT_FUNDS,
    "limits_need_one_balance": ReasonCode.HOT_ACCOUNT,
    "hot_accounts_are_not_held": ReasonCode.HOT_ACCOUNT,
}

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""All that a call to the database can raise when it does not succeed. asyncpg raises the built-in TimeoutError.

InternalClientError is what a connection says to its next statement when the server ended it between two statements,
while the end of the stream is still on its way.
"""


def translate(error: Exception) -> PostrailError:
    """The error that a caller of the ledger sees.

    Values that the database cannot take (class 22, 23) are Permanent: the same input will fail again. Everything
    else, a deadlock, a cut connection, a full disk, a missing schema, is no fault of the input: Retryable.
    """
    if isinstance(error, asyncpg.PostgresError):
        return _translate_state(error, error.sqlstate or "")
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return Permanent(ReasonCode.INVALID_VALUE, "a value does not fit its column")
    return Retryable(f"the ledger database cannot be reached: {type(error).__name__}: {error}")


def _translate_state(error: asyncpg.PostgresError, state: str) -> PostrailError:
    message = error.args[0] if error.args else type(error).__name__
    if state == "22003":
        return Permanent(ReasonCode.AMOUNT_OVERFLOW, message)
    if state[:2] == "22":
        # The message of a data error may quote the value: name the class alone.
        return Permanent(ReasonCode.INVALID_VALUE, f"the ledger cannot keep a value ({type(error).__name__})")
    if state[:2] == "23":
        constraint = getattr(error, "constraint_name", None) or ""
        return Permanent(_REASON_BY_CONSTRAINT.get(constraint, ReasonCode.INVALID_VALUE), message)
    if state in {"3F000", "42P01", "42883"}:
        return Retryable(f"the ledger's schema is missing or old, run `postrail ledger migrate`: {message}")
    return Retryable(f"the ledger could not finish ({state}): {message}")
