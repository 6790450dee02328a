"""The way to the ledger's side of marked payments: the database itself where it can be reached, else a function.

A ledger in private subnets answers nobody outside. The function check_ledger stands beside it and answers the same
questions.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from postrail.adapters.postgres.follow import FollowedPayment, FollowStatus
from postrail.cli.failures import CommandError
from postrail.cli.follow import End, EndsInLedger
from postrail.cli.graph import Graph
from postrail.cli.ledger_ends import LedgerEnds, end_of

FUNCTION = "check_ledger"
_ASK_EVERY_SECONDS = 1.0

Ask = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@contextmanager
def open_ledger_ends(graph: Graph, run_id: str) -> Iterator[EndsInLedger]:
    """The ends of a run: from the database of a local cloud or of POSTRAIL_LEDGER_DSN, else through the function."""
    if graph.cloud is None and not graph.dsn_override and FUNCTION in graph.outputs.functions:
        yield FunctionEnds(ask_function(graph), run_id)
        return
    with LedgerEnds(graph.ledger_dsn(), run_id) as ends:
        yield ends


class FunctionEnds:
    """What the function tells of one run's ends; it is asked once a second at most."""

    def __init__(self, ask: Ask, run_id: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._run_id = run_id
        self._clock = clock
        self._next_at = 0.0
        self._known: dict[str, End] = {}

    def ends(self) -> Mapping[str, End]:
        """The end of every payment of the run that has one, by payment id. Raises CommandError."""
        if self._clock() >= self._next_at:
            rows = self._ask({"ask": "ends", "run_id": self._run_id})["payments"]
            found = ((str(row["payment_id"]), end_of(_followed(row))) for row in rows)
            self._known = {payment_id: end for payment_id, end in found if end is not None}
            self._next_at = self._clock() + _ASK_EVERY_SECONDS
        return self._known


def ask_function(graph: Graph) -> Ask:
    """Asks the graph's function check_ledger. What it answers with an error is raised as CommandError."""
    functions, name = graph.client("lambda"), graph.function(FUNCTION)

    def ask(question: Mapping[str, Any]) -> Mapping[str, Any]:
        answer = functions.invoke(FunctionName=name, Payload=json.dumps(dict(question)).encode())
        document = json.loads(answer["Payload"].read() or b"null")
        if answer.get("FunctionError") or not isinstance(document, dict):
            said = document.get("errorMessage", "no reason") if isinstance(document, dict) else document
            msg = f"{name} could not answer: {said}"
            raise CommandError(msg)
        return document

    return ask


def _followed(row: Mapping[str, Any]) -> FollowedPayment:
    settled = row["settled_at"]
    return FollowedPayment(
        payment_id=str(row["payment_id"]),
        correlation_id=str(row["correlation_id"]),
        status=FollowStatus(row["status"]),
        detail_type=str(row["detail_type"]),
        reason=row["reason"],
        settled_at=None if settled is None else datetime.fromisoformat(settled),
    )
