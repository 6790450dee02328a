"""Takes back posted transactions by new, linked ones: the journal itself is never changed."""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.adapters.postgres.waves import split_into_waves
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import IdSource, PostStatus, ReversalResult

_SQL = statements("reversals.sql")
_TRANSACTION_ID: Final = re.compile(r"txn_[0-9a-f]{32}")


class PostgresReversals:
    """Reverses transactions. On a `Database` with an open transaction the reversals are part of it."""

    def __init__(self, database: Database | str | Callable[[], str]) -> None:
        self._database = Database.of(database)

    def reverse(
        self,
        transaction_ids: Sequence[str],
        *,
        reason: str,
        occurred_at: datetime,
        ids: IdSource,
        correlation_id: str | None = None,
        owed: bool = False,
    ) -> list[ReversalResult]:
        """Reverse each transaction, leg by leg, or refuse it alone; results align with the ids.

        `reason` is the reversal's description. Each transaction is reversed once for ever: of one that was reversed
        before, the answer is ALREADY_POSTED and names the reversal that stands. A reversal does not bring back a hold
        that the original captured. `owed` takes a credit back whatever its account has available. Besides the reasons
        of a posting (a closed account, a limit) there are TRANSACTION_NOT_FOUND, and NOT_REVERSIBLE of a transaction
        that is a reversal itself. Raises Permanent when `reason` is empty, and Retryable.
        """
        if not reason.strip() or "\x00" in reason:
            raise Permanent(ReasonCode.INVALID_VALUE, "a reversal needs a reason in words")
        results = [
            ReversalResult(
                each, PostStatus.REFUSED, None, ReasonCode.TRANSACTION_NOT_FOUND, f"{each!r} is no transaction's id"
            )
            for each in transaction_ids
        ]
        known = [place for place, each in enumerate(transaction_ids) if _TRANSACTION_ID.fullmatch(each)]
        for wave in split_into_waves([(transaction_ids[place],) for place in known]):
            places = [known[number] for number in wave]
            new_ids = [ids.new_id("txn") for _ in places]
            rows = self._database.fetch(
                _SQL["reverse"],
                [transaction_ids[place][4:] for place in places],
                [new_id[4:] for new_id in new_ids],
                [reason] * len(places),
                [occurred_at] * len(places),
                correlation_id,
                owed,
            )
            refused = {row["order_no"]: row for row in rows if row["order_no"] is not None}
            for number, (place, new_id) in enumerate(zip(places, new_ids, strict=True), start=1):
                results[place] = _result(transaction_ids[place], new_id, refused.get(number))
        return results


def _result(original_id: str, new_id: str, refusal: asyncpg.Record | None) -> ReversalResult:
    if refusal is None:
        return ReversalResult(original_id, PostStatus.POSTED, new_id)
    standing = refusal["standing"]
    return ReversalResult(
        original_id,
        PostStatus.REFUSED,
        None if standing is None else f"txn_{standing.hex}",
        ReasonCode(refusal["reason"]),
        refusal["detail"],
    )
