"""What the stages give out was built without validating: here it is validated, for a day of sample payments."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tests.fakes.system import FakeClock

from postrail.adapters.memory import MemoryDedupStore, MemoryReferenceBook, MemoryVelocityBook
from postrail.contracts.events import EventData, PaymentAccepted, PaymentApproved, PaymentEnriched, PostingRequested
from postrail.contracts.payment import Authorization
from postrail.merchants import load_merchants
from postrail.products import load_products
from postrail.rules import load_rule_set
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.authorizations import sample_inputs
from postrail.sampling.rates import load_rates
from postrail.stages.apply_rules import apply_rules
from postrail.stages.decode import decode_authorizations
from postrail.stages.deduplicate import Candidate, deduplicate
from postrail.stages.enrich import enrich
from postrail.stages.sequence_postings import sequence_postings
from postrail.stages.standardise import standardise

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="module")
def outcomes() -> list[EventData]:
    """Every outcome of every stage for some hundred payments of all scenarios."""
    accounts = sample_accounts(1, 300)
    samples = sample_inputs(1, 700, accounts=accounts, started_at=datetime(2026, 10, 1, 12, tzinfo=UTC), run_id="run_1")
    decoded = decode_authorizations([json.dumps(sample.authorization).encode() for sample in samples])
    candidates = [Candidate(one.payment_id, one, "") for one in decoded if isinstance(one, Authorization)]
    verdicts = deduplicate(candidates, store=MemoryDedupStore(clock=FakeClock()))
    accepted = [verdict for verdict in verdicts if isinstance(verdict, PaymentAccepted)]
    standardised = standardise(accepted)
    reference = MemoryReferenceBook(
        {account.card_token: account.details for account in accounts}, load_rates(CONFIG / "reference" / "rates.yaml")
    )
    enriched = enrich(standardised, reference=reference, merchants=load_merchants(CONFIG / "reference"))
    decided = apply_rules(
        [one for one in enriched if isinstance(one, PaymentEnriched)],
        rules=load_rule_set(CONFIG / "rules" / "issuer-default.yaml"),
        velocity=MemoryVelocityBook(),
        clock=FakeClock(),
    )
    sequences = sequence_postings(
        [one for one in decided if type(one) is PaymentApproved],
        products=load_products(CONFIG / "products/default.yaml"),
    )
    parts = chain.from_iterable(sequence for sequence in sequences if isinstance(sequence, list))
    return [*accepted, *standardised, *enriched, *decided, *parts]


def contracts_in(value: Any) -> Iterator[BaseModel]:
    """Every contract that an outcome is made of, itself included."""
    if isinstance(value, BaseModel):
        yield value
        for part in vars(value).values():
            yield from contracts_in(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from contracts_in(part)


def test_every_outcome_is_valid(outcomes: list[EventData]) -> None:
    """Read back as a consumer reads it, it is what the stage made."""
    assert {type(outcome).__name__ for outcome in outcomes} >= {
        "PaymentRejected",
        "PaymentReferred",
        "PostingRequested",
    }
    assert any(isinstance(outcome, PostingRequested) and outcome.total == 2 for outcome in outcomes)
    for outcome in outcomes:
        assert type(outcome).model_validate_json(outcome.model_dump_json()) == outcome


def test_every_part_of_an_outcome_has_its_fields_in_the_order_of_the_contract(outcomes: list[EventData]) -> None:
    """The order is that of the JSON: a message is the same to the byte, whoever built it."""
    found = [part for outcome in outcomes for part in contracts_in(outcome)]
    assert {type(part): list(vars(part)) for part in found} == {
        type(part): list(type(part).model_fields) for part in found
    }
    assert all(vars(part).keys() == type(part).model_fields.keys() for part in found)
