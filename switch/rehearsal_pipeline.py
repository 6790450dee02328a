"""The pipeline in this process, for rehearsals: what banks have to relay goes through the real stages into the ledger.

What lies between the stages in AWS (table, stream, bus, queues) is left out; what they decide is not.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson

from postrail.adapters.memory.books import MemoryReferenceBook
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.queries import statements
from postrail.adapters.system import SystemClock, SystemIds
from postrail.batch.duplicate_window import DuplicateWindow
from postrail.batch.velocity_window import VelocityWindow
from postrail.contracts.envelope import start_event
from postrail.contracts.events import PaymentAccepted, PaymentApproved, PaymentEnriched
from postrail.contracts.payment import AccountDetails, Authorization
from postrail.domain.errors import Permanent, ReasonCode
from postrail.merchants.directory import load_merchants
from postrail.ports import ExchangeRate
from postrail.posting_inputs import posting_input_by_name
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.stages.apply_rules import apply_rules
from postrail.stages.deduplicate import Candidate, deduplicate
from postrail.stages.enrich import enrich
from postrail.stages.post import post
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

_SQL: Final = statements("books.sql", "switch.cardholder")
_KEYS_MAX: Final = 100_000
_RESTS: Final = "capture"
"""An attribute of items whose payment waits for its completion."""


class Pipeline:
    """Posts what was approved. Blocks: it is for a thread of its own."""

    def __init__(
        self, dsn: str, config: Path, cards: Mapping[str, AccountDetails], rates: Iterable[ExchangeRate]
    ) -> None:
        """`cards` are the accounts by card token; rules, products and merchants are those of the config folder."""
        clock = SystemClock()
        self._dsn = dsn
        self._store = DuplicateWindow(keys_max=_KEYS_MAX, clock=clock)
        self._enrich = partial(
            enrich, reference=MemoryReferenceBook(cards, rates), merchants=load_merchants(config / "reference")
        )
        self._decide = partial(
            apply_rules,
            rules=load_rule_set(config / "rules" / "issuer-default.yaml"),
            velocity=VelocityWindow(uses_max=_KEYS_MAX),
            clock=clock,
        )
        self._sequence = partial(sequence_postings, products=load_products(config / "products" / "default.yaml"))
        self._post = partial(post, input_format=posting_input_by_name("json"), clock=clock, ids=SystemIds())

    def post_approved(self) -> int:
        """Take what banks have to relay and post it, but for what waits for its completion; how many were posted.

        Raises Permanent when a stage refuses a payment, Retryable as the database does.
        """
        with Database(self._dsn) as database:
            items = [row["item"] for row in database.fetch(_SQL["take_relayed"])]
            return self._run([item for item in map(_decoded, items) if _RESTS not in item], database)

    def _run(self, items: list[dict[str, Any]], database: Database) -> int:
        candidates = [
            Candidate(item["payment_id"], Authorization.model_validate_json(item["authorization"]), "")
            for item in items
        ]
        accepted = [_only(PaymentAccepted, each) for each in deduplicate(candidates, store=self._store)]
        enriched = [_only(PaymentEnriched, each) for each in self._enrich(standardise(accepted))]
        approved = [_only(PaymentApproved, each) for each in self._decide(enriched)]
        clock, ids = SystemClock(), SystemIds()
        parts = [
            start_event(part, correlation_id="rehearsal", producer="rehearsal", clock=clock, ids=ids)
            for sequence in self._sequence(approved)
            for part in _only(list, sequence)
        ]
        report = self._post(parts, ledger=PostgresLedger(database)) if parts else None
        if report is not None and report.refused:
            raise Permanent(ReasonCode.NO_POSTING_PLAN, f"the ledger refused a payment: {report.refused[0].status}")
        return len(report.posted) if report is not None else 0


def _decoded(item: str) -> dict[str, Any]:
    document: dict[str, Any] = orjson.loads(item)
    return document


def _only(kind: type[Any], outcome: Any) -> Any:
    """The outcome, when the stage let the payment pass. Raises Permanent."""
    if isinstance(outcome, kind):
        return outcome
    reason = getattr(outcome, "reason_code", ReasonCode.UNEXPECTED_EVENT)
    raise Permanent(ReasonCode(reason), f"the pipeline refused a payment: {reason}")
