"""What all contracts share: instances that are made without validating are the instances that validation makes."""

import copy
import pickle
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError
from tests.builders.payments import make_approved, make_rejected

from postrail.contracts.base import Contract, CountryCode, CurrencyCode, trusted
from postrail.contracts.events import EVENT_TYPES
from postrail.contracts.payment import Billing


def rebuilt(value: Any) -> Any:
    """The same contract, made again without validating, with all that it is made of."""
    if isinstance(value, Contract):
        return trusted(type(value), {name: rebuilt(getattr(value, name)) for name in type(value).model_fields})
    return tuple(map(rebuilt, value)) if isinstance(value, tuple) else value


@pytest.mark.parametrize("made", [make_approved(), make_rejected()], ids=["approved", "rejected"])
def test_a_trusted_instance_is_the_validated_one(made: BaseModel) -> None:
    """Equal, of the same JSON to the byte, copied and pickled alike: nobody can tell how it came about."""
    again = rebuilt(made)
    assert again == made
    assert again.model_dump_json() == made.model_dump_json()
    assert again.model_copy(deep=True) == copy.copy(again) == pickle.loads(pickle.dumps(again)) == made
    assert again.model_copy(update={"payment_key": "acq:other"}).payment_key == "acq:other"
    assert type(made).model_validate_json(again.model_dump_json()) == made


def test_a_trusted_instance_is_frozen_too() -> None:
    billing = trusted(
        Billing,
        {"amount_minor": 1, "currency": "GBP", "rate": None, "rate_date": None, "rate_source": None, "rounding": None},
    )
    with pytest.raises(ValidationError, match="frozen"):
        billing.amount_minor = 2  # type: ignore[misc]
    assert hash(billing) == hash(Billing(amount_minor=1, currency="GBP"))


def test_every_contract_knows_its_fields() -> None:
    assert all(event_type.field_names == set(event_type.model_fields) for event_type in EVENT_TYPES)


@pytest.mark.parametrize(
    ("kind", "value", "error"),
    [
        (CurrencyCode, "XXX", "unknown_currency"),
        (CurrencyCode, "eur", "string_pattern_mismatch"),
        (CurrencyCode, 978, "string_type"),
        (CountryCode, "QQ", "unknown_country"),
        (CountryCode, "France", "string_pattern_mismatch"),
        (CountryCode, None, "string_type"),
    ],
)
def test_a_code_that_is_not_in_the_list_says_so(kind: Any, value: object, error: str) -> None:
    """Reason codes depend on the kind of the error."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(value)
    assert [one["type"] for one in refused.value.errors()] == [error]


def test_a_codes_form_is_published_and_its_list_is_not() -> None:
    """A new currency is no new version of a contract."""
    assert TypeAdapter(CurrencyCode).json_schema() == {"pattern": "^[A-Z]{3}$", "type": "string"}
