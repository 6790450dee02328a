"""Posting inputs: golden files, exact amounts, and what does not fit."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import (
    make_account_details,
    make_approved,
    make_authorization,
    make_billing,
    make_enrichment,
)

from postrail.contracts.events import PaymentApproved
from postrail.domain.errors import ConfigInvalid, Permanent, ReasonCode
from postrail.domain.posting import Posting, pair
from postrail.posting_inputs import FixedWidthPostingInput, JsonPostingInput, posting_input_by_name
from postrail.posting_inputs.fixed_width import LAYOUTS, RECORD_CHARS, FieldSpec, Kind, render

HERE = Path(__file__).parent
GUIDE = HERE.parents[2] / "docs" / "posting-inputs.md"


def make_booking(**account: Any) -> PaymentApproved:
    return make_approved(enrichment=make_enrichment(account=make_account_details(**account)))


def make_posting(**overrides: Any) -> Posting:
    fields: dict[str, Any] = {
        "transaction_id": "txn_0197f0a0c0de7abc8def000000000001",
        "sequence_id": "seq_0197f0a0c0de7abc8def0123456789ab",
        "payment_id": "pay_0197f0a0c0de7abc8def0123456789ab",
        "payment_key": "acq:12345678901:000123:20261001T091530Z:TERM0001:11",
        "fingerprint": "0" * 32,
        "legs": (
            *pair("customer:000001:gbp", "settlement:scheme:gbp", 2193, "GBP"),
            *pair("customer:000001:gbp", "income:fx-markup:gbp", 60, "GBP"),
        ),
        "occurred_at_us": 1_790_846_131_250_000,
        "description": "Cafe Central, Paris (FR) 25.50 EUR @ 0.8600",
    }
    return Posting(**fields | overrides)


def cut(record: str, layout: str) -> dict[str, str]:
    """A record's fields by name, padding included."""
    fields, start = {}, 0
    for spec in LAYOUTS[layout]:
        fields[spec.name] = record[start : start + spec.width]
        start += spec.width
    return fields


def fixed_width_records(posting: Posting, booking: PaymentApproved) -> list[str]:
    return FixedWidthPostingInput().build(posting, booking).decode("ascii").splitlines()


@pytest.mark.parametrize(("name", "golden"), [("json", "purchase.json"), ("fixed_width", "purchase.txt")])
def test_a_purchase_abroad_looks_as_the_golden_file_says(name: str, golden: str) -> None:
    """The golden files are part of the contract with the core bank: a change here is a new layout there."""
    built = posting_input_by_name(name).build(make_posting(), make_booking())
    assert built == (HERE / "golden" / golden).read_bytes().removesuffix(b"\n" if name == "json" else b"")


def test_an_unknown_format_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(ConfigInvalid, match="fixed_width, json"):
        posting_input_by_name("xml")


class TestJson:
    def test_amounts_are_exact_in_minor_units_and_as_decimal_text(self) -> None:
        booking = make_approved(
            make_authorization(currency="KWD", amount_minor=1_005),
            make_enrichment(billing=make_billing(amount_minor=999_999_999_999, currency="JPY")),
        )
        content = json.loads(JsonPostingInput().build(make_posting(), booking))
        assert content["amount"] == {"minor": 1005, "currency": "KWD", "decimal": "1.005"}
        assert content["billed"] == {"minor": 999_999_999_999, "currency": "JPY", "decimal": "999999999999"}

    def test_the_card_is_known_by_its_token_only(self) -> None:
        booking = make_booking()
        content = json.loads(JsonPostingInput().build(make_posting(), booking))
        assert content["card_token"] == booking.authorization.card.token


class TestFixedWidth:
    def test_all_layouts_fill_the_record(self) -> None:
        assert {name: sum(spec.width for spec in layout) for name, layout in LAYOUTS.items()} == dict.fromkeys(
            LAYOUTS, RECORD_CHARS
        )

    def test_one_header_a_record_for_each_leg_and_one_trailer(self) -> None:
        records = fixed_width_records(make_posting(), make_booking())
        assert [record[:2] for record in records] == ["01", "02", "02", "02", "02", "09"]
        assert {len(record) for record in records} == {RECORD_CHARS}

    def test_amounts_are_right_aligned_and_padded_with_zeros(self) -> None:
        records = fixed_width_records(make_posting(), make_booking())
        header, leg = cut(records[0], "header"), cut(records[1], "leg")
        assert (header["amount_minor"], header["currency"]) == ("000000002550", "978")
        assert (header["billed_minor"], header["billed_currency"]) == ("000000002193", "826")
        assert (leg["leg_number"], leg["amount_minor"], leg["decimals"]) == ("0001", "0000000000000002193", "2")

    def test_the_trailer_adds_up_what_the_legs_say(self) -> None:
        records = fixed_width_records(make_posting(), make_booking())
        trailer = cut(records[-1], "trailer")
        legs = [cut(record, "leg") for record in records[1:-1]]
        debits = sum(int(leg["amount_minor"]) for leg in legs if leg["direction"] == "D")
        credits_ = sum(int(leg["amount_minor"]) for leg in legs if leg["direction"] == "C")
        assert int(trailer["debit_total"]) == debits == 2253
        assert int(trailer["credit_total"]) == credits_ == 2253
        assert int(trailer["leg_count"]) == len(legs)

    def test_names_lose_accents_are_cut_on_the_right_and_cannot_start_a_new_record(self) -> None:
        booking = make_booking(holder_name="Zoë Łukasiewicz\n09 forged " + "x" * 60)
        holder = cut(fixed_width_records(make_posting(), booking)[0], "header")["holder_name"]
        assert holder == "Zoe ?ukasiewicz 09 forged xxxxxxxxx"
        assert len(holder) == 35

    @given(text=st.text(max_size=140))
    def test_no_text_breaks_the_shape_of_the_file(self, text: str) -> None:
        built = FixedWidthPostingInput().build(make_posting(description=text), make_booking())
        records = built.decode("ascii").split("\n")
        assert records.pop() == ""
        assert {len(record) for record in records} == {RECORD_CHARS}
        assert len(records) == 6

    @pytest.mark.parametrize(
        ("kind", "value", "reason"),
        [(Kind.NUMBER, 10_000, ReasonCode.AMOUNT_OVERFLOW), (Kind.CODE, "ABCDE", ReasonCode.INVALID_VALUE)],
    )
    def test_a_number_or_code_that_does_not_fit_is_refused_and_never_cut(
        self, kind: Kind, value: int | str, reason: ReasonCode
    ) -> None:
        layout = (FieldSpec("narrow", 4, kind, "four characters"),)
        with pytest.raises(Permanent, match="narrow") as refused:
            render(layout, {"narrow": value})
        assert refused.value.reason is reason

    def test_the_largest_leg_that_a_posting_can_hold_fits(self) -> None:
        posting = make_posting()._replace(legs=pair("customer:000001:gbp", "settlement:scheme:gbp", 2**63 - 1, "GBP"))
        assert cut(fixed_width_records(posting, make_booking())[1], "leg")["amount_minor"] == "9223372036854775807"

    def test_the_guide_shows_the_layout_that_the_code_has(self) -> None:
        guide = GUIDE.read_text()
        for layout in LAYOUTS.values():
            start = 1
            for spec in layout:
                end = start + spec.width - 1
                assert f"| {start}-{end} | {spec.width} | `{spec.name}` | {spec.kind} | {spec.meaning} |" in guide
                start = end + 1
