"""The pipeline in one process: from what the bank relays to the ledger, by the pipeline's own stages."""

import json
from collections.abc import Sequence
from typing import Any

from tests.builders.payments import make_accepted, make_decision
from tests.integration.switch.bank.bank_stage import CONFIG, Books, products

from postrail.adapters.memory.books import MemoryReferenceBook
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.ledger import PostgresLedger
from postrail.adapters.postgres.verify import verify
from postrail.adapters.system import SystemClock, SystemIds
from postrail.contracts.envelope import start_event
from postrail.contracts.events import PaymentApproved, PaymentEnriched, PostingRequested
from postrail.contracts.payment import Authorization
from postrail.merchants.directory import MerchantDirectory, load_merchants
from postrail.ports import ExchangeRate
from postrail.posting_inputs import posting_input_by_name
from postrail.stages.enrich import enrich
from postrail.stages.post import PostReport, post
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise
from switch.issuing.card_sample import SampleCard

_CLOCK, _IDS = SystemClock(), SystemIds()


def post_items(
    dsn: str, items: Sequence[dict[str, Any]], cards: Sequence[SampleCard], *rates: ExchangeRate
) -> PostReport:
    """Post what the items tell of, but for pre-authorisations, which rest."""
    due = [item for item in items if "capture" not in item]
    accepted = [make_accepted(Authorization.model_validate_json(item["authorization"])) for item in due]
    reference = MemoryReferenceBook({card.card_token: card.details for card in cards}, rates)
    enriched = enrich(standardise(accepted), reference=reference, merchants=_merchants())
    parts = []
    for payment in enriched:
        if not isinstance(payment, PaymentEnriched):
            raise TypeError(f"the pipeline refused a payment: {payment}")
        approved = PaymentApproved(**dict(payment), decision=make_decision())
        (sequence,) = sequence_postings([approved], products=products())
        if not isinstance(sequence, list):
            raise TypeError(f"the pipeline refused a payment: {sequence}")
        parts += [_event(part) for part in sequence]
    with Database(dsn) as database:
        return post(
            parts,
            ledger=PostgresLedger(database),
            input_format=posting_input_by_name("json"),
            clock=_CLOCK,
            ids=_IDS,
        )


def post_relayed(books: Books, cards: Sequence[SampleCard], *rates: ExchangeRate) -> PostReport:
    """Post whatever the bank has to relay, and forget it, as the relay does."""
    items = books.items()
    report = post_items(books.dsn, items, cards, *rates)
    ids = [item["payment_id"][4:] for item in items]
    books.execute("DELETE FROM bank.approvals_to_relay WHERE replace(payment_id::text, '-', '') = ANY (%s)", ids)
    return report


def differences(dsn: str) -> list[str]:
    """What `postrail ledger verify` finds wrong; nothing, as a rule."""
    return [f"{found.check}: {found.key}: {found.detail}" for found in verify(dsn).differences]


def _event(part: PostingRequested) -> Any:
    return start_event(part, correlation_id="the-bank-tests", producer="test", clock=_CLOCK, ids=_IDS)


def _merchants() -> MerchantDirectory:
    return load_merchants(CONFIG / "reference")


def content(item: dict[str, Any]) -> dict[str, Any]:
    """The authorization that an item carries."""
    found: dict[str, Any] = json.loads(item["authorization"])
    return found
