"""Patches of what reconciliation found: asked for, approved by another person over a limit, done once, with evidence.

A patch that was asked for and approved, and whose doing broke off, is done again by the next call: every action is
known to the ledger by the break's key, and does nothing the second time.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from postrail.adapters.postgres.queries import statements
from postrail.domain.reconciliation import Action, Break

_SQL: Final = statements("reconcile.sql")
_LISTED_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch. `status`: waiting for approval, approved, applied, failed, refused. Amounts in minor units.

    `evidence` is the SHA-256, in hex, over the break and what was before, and once it is done over what was after.
    """

    patch_id: int
    break_key: str
    kind: str
    subject: str
    action: Action
    amount_minor: int
    currency: str
    before: dict[str, Any]
    after: dict[str, Any] | None
    evidence: str
    status: str
    asked_by: str
    approved_by: str | None
    created_at: datetime
    done_at: datetime | None


class PatchBook:
    """The patches of a ledger. Every call is a transaction of its own."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    def ask(
        self, found: Break, action: Action, before: Mapping[str, Any], *, limit_minor: int, by: str, now: datetime
    ) -> None:
        """Ask for a patch; over `limit_minor` it waits for approval. Asked for before, nothing happens."""
        parameters = {
            "break_key": found.break_key,
            "action": action.value,
            "amount_minor": found.amount_minor,
            "currency": found.currency,
            "before": Jsonb(dict(before)),
            "evidence": _evidence(found.break_key, action, before, None),
            "limit_minor": limit_minor,
            "asked_by": by,
            "now": now,
        }
        with self._connected() as connection:
            connection.execute(_SQL["ask_patch"].encode(), parameters)

    def decide(self, patch_id: int, *, approve: bool, by: str) -> bool:
        """Approve or refuse a patch that waits; False when it does not, or when `by` is who asked for it."""
        parameters = {"patch_id": patch_id, "decision": "approved" if approve else "refused", "by": by}
        with self._connected() as connection:
            return connection.execute(_SQL["decide_patch"].encode(), parameters).fetchone() is not None

    def finish(self, patch: Patch, after: Mapping[str, Any], *, done: bool, now: datetime) -> None:
        """Keep what a patch did. A failed one stays visible and may be asked for again once it was refused."""
        parameters = {
            "patch_id": patch.patch_id,
            "status": "applied" if done else "failed",
            "after": Jsonb(dict(after)),
            "evidence": _evidence(patch.break_key, patch.action, patch.before, after),
            "now": now,
            "break_key": patch.break_key,
        }
        with self._connected() as connection:
            connection.execute(_SQL["finish_patch"].encode(), parameters)
            if done:
                connection.execute(_SQL["mark_patched"].encode(), parameters)

    def patches(self, *, status: str | None = None, patch_id: int | None = None) -> list[Patch]:
        """The patches, oldest first."""
        parameters = {"status": status, "patch_id": patch_id, "limit": _LISTED_MAX}
        with self._connected() as connection:
            rows = connection.execute(_SQL["list_patches"].encode(), parameters).fetchall()
        return [Patch(**{**row, "action": Action(row["action"])}) for row in rows]

    def posting_of(self, payment_id: str) -> dict[str, Any] | None:
        """The posted transaction of a payment with its legs; None when there is none."""
        with self._connected() as connection:
            return connection.execute(_SQL["posted_transaction"].encode(), {"payment_id": payment_id}).fetchone()

    def _connected(self) -> "psycopg.Connection[dict[str, Any]]":
        return psycopg.connect(
            self._dsn, connect_timeout=10, application_name="postrail-reconcile", row_factory=dict_row
        )


def _evidence(break_key: str, action: Action, before: Mapping[str, Any], after: Mapping[str, Any] | None) -> bytes:
    content = {
        "break": break_key,
        "action": action.value,
        "before": dict(before),
        "after": dict(after) if after else None,
    }
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS, default=str)).digest()
