"""Standardising: every accepted payment gets its advice."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.builders.payments import make_accepted, make_authorization, make_standardised
from tests.builders.strategies import authorizations

from postrail.contracts.events import PaymentAccepted, PaymentStandardised
from postrail.contracts.payment import Authorization
from postrail.iso20022.advice import build_advice
from postrail.stages.standardise import standardise


def test_each_payment_gets_its_advice_in_order() -> None:
    """Results align with the input; the key and the fingerprint of the payment stay."""
    accepted = [make_accepted(make_authorization(stan=f"{stan:06}")) for stan in range(3)]
    standardised = standardise(accepted)
    assert [one.payment_key for one in standardised] == [one.payment_key for one in accepted]
    assert [one.message for one in standardised] == [build_advice(one.authorization) for one in accepted]


def test_nothing_in_nothing_out() -> None:
    """An empty batch is a batch."""
    assert standardise([]) == []


def test_the_result_equals_a_validated_one() -> None:
    """Skipping validation changes nothing that a consumer could see."""
    (standardised,) = standardise([make_accepted()])
    assert standardised == make_standardised()


@settings(deadline=None)
@given(st.lists(authorizations, max_size=3))
def test_what_leaves_satisfies_the_contract(batch: list[Authorization]) -> None:
    """Written as JSON and read again with full validation, each result is the same."""
    accepted: list[PaymentAccepted] = [make_accepted(authorization) for authorization in batch]
    for standardised in standardise(accepted):
        assert PaymentStandardised.model_validate_json(standardised.model_dump_json()) == standardised


def test_standardising_twice_gives_the_same() -> None:
    """A redelivered event leads to the same message."""
    accepted = [make_accepted()]
    assert standardise(accepted) == standardise(accepted)
