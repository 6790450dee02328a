"""The function that answers a validation's questions about the ledger, for those who cannot reach it themselves.

A question is `{"ask": NAME, ...}`: `state`, `open`, `ends` and `take_back`, the latter two with `run_id`. The command
line speaks to this class itself where it reaches the database.
"""

from collections.abc import Callable, Mapping
from typing import Any

from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.postgres.follow import FollowedPayment
from postrail.adapters.postgres.marked_payments import MarkedPayments, taken_back
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import ReversalResult

Answer = dict[str, Any]


class LedgerCheck:
    """Answers questions in JSON. The ledger's own errors pass: a failed invocation says the same as a failed call."""

    def __init__(self, payments: MarkedPayments, *, telemetry: Telemetry) -> None:
        self._payments = payments
        self._telemetry = telemetry
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Answer]] = {
            "state": self._state,
            "open": self._open,
            "ends": self._ends,
            "take_back": self._take_back,
        }

    def handle(self, event: Any) -> Answer:
        """One question, one answer. Raises Permanent for a question that it does not know, and Retryable."""
        ask = event.get("ask") if isinstance(event, dict) else None
        answer = self._answers.get(ask) if isinstance(ask, str) else None
        if answer is None:
            known = ", ".join(self._answers)
            raise Permanent(ReasonCode.INVALID_VALUE, f"a question has `ask`, one of {known}")
        answered = answer(event)
        self._telemetry.counts("answered", questions_answered=1)
        return answered

    def _state(self, _: Mapping[str, Any]) -> Answer:
        state = self._payments.schema_state()
        return {
            "server_version": state.server_version,
            "read_only": state.read_only,
            "pending": list(state.pending),
            "unknown": list(state.unknown),
            "account_opened": state.account_opened,
        }

    def _open(self, _: Mapping[str, Any]) -> Answer:
        return {"accounts": self._payments.open_accounts().accounts}

    def _ends(self, event: Mapping[str, Any]) -> Answer:
        return {"payments": [_payment(each) for each in self._payments.ends(str(event.get("run_id", "")))]}

    def _take_back(self, event: Mapping[str, Any]) -> Answer:
        results = self._payments.take_back(str(event.get("run_id", "")))
        refused = [_refusal(each) for each in results if not taken_back([each])]
        return {"taken_back": taken_back(results), "refused": refused}


def _payment(followed: FollowedPayment) -> Answer:
    return {
        "payment_id": followed.payment_id,
        "correlation_id": followed.correlation_id,
        "status": followed.status.value,
        "detail_type": followed.detail_type,
        "reason": followed.reason,
        "settled_at": None if followed.settled_at is None else followed.settled_at.isoformat(),
    }


def _refusal(result: ReversalResult) -> str:
    reason = "" if result.reason is None else result.reason.value
    return f"{result.original_id}: {reason} {result.detail}".strip()
