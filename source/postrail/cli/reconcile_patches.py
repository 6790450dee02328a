"""What is done about breaks: patches asked for, approved by another person over a limit, done once, with evidence."""

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.patches import Patch, PatchBook
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.system import SystemIds
from postrail.cli.graph import Graph
from postrail.cli.redrive import CannotRedrive, Redriver
from postrail.domain.errors import PostrailError, ReasonCode
from postrail.domain.hold import ReleaseHold
from postrail.domain.reconciliation import Action, Break, remedy_for
from postrail.ports import PostStatus

REPLAYS_PER_SECOND: Final = 10.0

Done = tuple[bool, dict[str, Any]]
"""Whether a patch did its work, and what was after it."""


class Patcher:
    """Plans patches for breaks, and does those that are approved."""

    def __init__(self, dsn: str, graph: Graph | None) -> None:
        """Without a graph nothing can be replayed; such patches fail and say so."""
        self._dsn = dsn
        self._graph = graph
        self._book = PatchBook(dsn)

    def ask(self, breaks: Sequence[Break], *, limit_minor: int, by: str) -> None:
        """Ask for a patch for each break that has one."""
        now = datetime.now(UTC)
        for found in breaks:
            action = remedy_for(found).action
            if action is not None and found.status == "open":
                self._book.ask(found, action, self._facts(action, found), limit_minor=limit_minor, by=by, now=now)

    def do_approved(self) -> list[Patch]:
        """Do every patch that is approved, also those that an earlier call did not finish; returns them as they are."""
        approved = self._book.patches(status="approved")
        for patch in approved:
            done, after = self._do(patch)
            self._book.finish(patch, after, done=done, now=datetime.now(UTC))
        return [each for patch in approved for each in self._book.patches(patch_id=patch.patch_id)]

    def _facts(self, action: Action, found: Break) -> dict[str, Any]:
        facts: dict[str, Any] = {"expected": found.expected, "found": found.found}
        if action is Action.REVERSE:
            facts["posting"] = _plain(self._book.posting_of(found.subject))
        return facts

    def _do(self, patch: Patch) -> Done:
        try:
            if patch.action is Action.REPLAY:
                return self._replay(patch)
            if patch.action is Action.RELEASE_HOLD:
                return self._release(patch)
            return self._reverse(patch)
        except (PostrailError, BotoCoreError, ClientError) as error:
            return False, {"error": str(error)}

    def _replay(self, patch: Patch) -> Done:
        if self._graph is None:
            raise CannotRedrive("without a graph nothing can be replayed")
        sent = Redriver(self._graph, per_second=REPLAYS_PER_SECOND).replay([patch.subject])
        return sent == 1, {"replayed": sent} if sent else {"error": "the authorizations table has no such row any more"}

    def _release(self, patch: Patch) -> Done:
        request = ReleaseHold(patch.subject, f"reconcile:{patch.break_key}", patch.created_at)
        with Database(self._dsn, application_name="postrail-reconcile") as database:
            (result,) = PostgresHolds(database).change([request])
        after = {"outcome": result.outcome.value, "status": result.status.value if result.status else None}
        return result.reason is None, after | ({"error": result.reason.value} if result.reason else {})

    def _reverse(self, patch: Patch) -> Done:
        posting = self._book.posting_of(patch.subject)
        if posting is None:
            return False, {"error": "there is no posting of it any more"}
        with Database(self._dsn, application_name="postrail-reconcile") as database:
            (result,) = PostgresReversals(database).reverse(
                [posting["transaction_id"]],
                reason=f"Reconciliation: {patch.kind}",
                occurred_at=patch.created_at,
                ids=SystemIds(),
                correlation_id=f"reconcile:{patch.break_key}",
            )
        # Reversed before is what was wanted.
        done = result.status is PostStatus.POSTED or result.reason is ReasonCode.ALREADY_POSTED
        after: dict[str, Any] = {"original": result.original_id, "reversal": result.transaction_id}
        return done, after | ({} if done else {"error": f"{result.reason}: {result.detail}"})


def who(given: str, graph: Graph | None) -> str:
    """Who acts: in an account whoever its credentials belong to, on one machine its user or the name that is given."""
    if graph is not None and graph.cloud is None:
        return str(graph.client("sts").get_caller_identity()["Arn"])
    return given or getpass.getuser()


def _plain(posting: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if posting is None else posting | {"occurred_at": posting["occurred_at"].isoformat()}
