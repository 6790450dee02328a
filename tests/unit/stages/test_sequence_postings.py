"""sequence_postings: which legs a payment becomes, by product and kind of transaction."""

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

from postrail.contracts.events import PaymentApproved, PaymentRejected, PostingRequested
from postrail.domain.errors import ConfigInvalid, ReasonCode
from postrail.domain.money import AMOUNT_MINOR_MAX
from postrail.domain.posting import Direction, Leg, PartKind, check_balanced
from postrail.products import ProductBook, load_products
from postrail.sampling.accounts import sample_accounts
from postrail.stages.sequence_postings import sequence_id_of, sequence_postings

PRODUCTS_FILE = Path(__file__).parents[3] / "config" / "products" / "default.yaml"
BOOK = load_products(PRODUCTS_FILE)


def make_payment(
    *,
    product: str = "debit-standard",
    billed: int = 2193,
    home: str = "GBP",
    currency: str = "EUR",
    transaction_type: str = "00",
) -> PaymentApproved:
    account = make_account_details(product=product, currency=home, account_id=f"customer:000001:{home.lower()}")
    billing = make_billing(amount_minor=billed, currency=home)
    return make_approved(
        make_authorization(currency=currency, transaction_type=transaction_type),
        make_enrichment(account=account, billing=billing),
    )


def sequence_of(payment: PaymentApproved, products: ProductBook = BOOK) -> list[PostingRequested]:
    (sequence,) = sequence_postings([payment], products=products)
    if isinstance(sequence, PaymentRejected):
        pytest.fail(f"refused: {sequence.reason}")
    return sequence


def refusal_of(payment: PaymentApproved, products: ProductBook = BOOK) -> PaymentRejected:
    (refusal,) = sequence_postings([payment], products=products)
    if not isinstance(refusal, PaymentRejected):
        pytest.fail("not refused")
    return refusal


def movements(sequence: list[PostingRequested]) -> list[tuple[PartKind, str, str, int]]:
    """Kind, debited account, credited account and amount of each part."""
    rows = []
    for part in sequence:
        debit, credit = part.part.legs
        assert (debit.direction, credit.direction) == (Direction.DEBIT, Direction.CREDIT)
        assert debit.amount_minor == credit.amount_minor
        rows.append((part.part.kind, debit.account_id, credit.account_id, debit.amount_minor))
    return rows


def book(**product: Any) -> ProductBook:
    return ProductBook.model_validate(
        {
            "version": "2026.1",
            "transaction_types": {"purchase": ("00",), "cash": ("01",), "refund": ("20",)},
            "products": {"debit-standard": product},
        }
    )


CUSTOMER, SETTLEMENT = "customer:000001:gbp", "settlement:scheme:gbp"


class TestMovements:
    def test_a_purchase_at_home_moves_the_principal_from_the_customer_to_settlement(self) -> None:
        assert movements(sequence_of(make_payment(currency="GBP"))) == [
            (PartKind.PRINCIPAL, CUSTOMER, SETTLEMENT, 2193)
        ]

    def test_a_converted_purchase_adds_the_markup_rounded_half_up(self) -> None:
        # 2.75 % of 21.93 is 0.603075.
        assert movements(sequence_of(make_payment())) == [
            (PartKind.PRINCIPAL, CUSTOMER, SETTLEMENT, 2193),
            (PartKind.FX_MARKUP, CUSTOMER, "income:fx-markup:gbp", 60),
        ]

    def test_cash_on_credit_costs_a_flat_fee_and_a_share(self) -> None:
        payment = make_payment(product="credit-classic", billed=10_000, currency="GBP", transaction_type="01")
        assert movements(sequence_of(payment)) == [
            (PartKind.PRINCIPAL, CUSTOMER, SETTLEMENT, 10_000),
            (PartKind.CASH_FEE, CUSTOMER, "income:cash-fee:gbp", 300 + 300),
        ]

    def test_converted_cash_costs_markup_and_fee(self) -> None:
        payment = make_payment(product="credit-classic", billed=10_000, transaction_type="01")
        assert [kind for kind, *_ in movements(sequence_of(payment))] == [
            PartKind.PRINCIPAL, PartKind.FX_MARKUP, PartKind.CASH_FEE,
        ]  # fmt: skip

    def test_a_credit_purchase_earns_interchange_from_the_scheme_and_not_from_the_customer(self) -> None:
        payment = make_payment(product="credit-classic", billed=10_000, currency="GBP")
        assert movements(sequence_of(payment))[1:] == [(PartKind.INTERCHANGE, SETTLEMENT, "income:interchange:gbp", 30)]

    def test_a_refund_turns_the_principal_round_and_brings_no_fees(self) -> None:
        payment = make_payment(product="credit-classic", billed=10_000, transaction_type="20")
        assert movements(sequence_of(payment)) == [(PartKind.PRINCIPAL, SETTLEMENT, CUSTOMER, 10_000)]

    def test_cashback_is_a_purchase(self) -> None:
        assert movements(sequence_of(make_payment(currency="GBP", transaction_type="09")))[0][0] is PartKind.PRINCIPAL

    def test_a_premium_product_adds_nothing(self) -> None:
        assert len(sequence_of(make_payment(product="debit-premium", transaction_type="01"))) == 1

    def test_an_amount_that_rounds_to_zero_is_not_posted(self) -> None:
        # 2.75 % of 0.18 is 0.495 pence; of 0.19, 0.5225.
        assert len(sequence_of(make_payment(billed=18))) == 1
        assert len(sequence_of(make_payment(billed=19))) == 2

    def test_accounts_are_those_of_the_billing_currency(self) -> None:
        rows = movements(sequence_of(make_payment(home="JPY", billed=4000)))
        assert rows == [
            (PartKind.PRINCIPAL, "customer:000001:jpy", "settlement:scheme:jpy", 4000),
            (PartKind.FX_MARKUP, "customer:000001:jpy", "income:fx-markup:jpy", 110),
        ]

    @pytest.mark.parametrize(
        ("rounding", "markup"), [("ROUND_HALF_UP", 3), ("ROUND_HALF_EVEN", 2), ("ROUND_DOWN", 2), ("ROUND_CEILING", 3)]
    )
    def test_a_product_names_its_rounding(self, rounding: str, markup: int) -> None:
        products = ProductBook.model_validate_json(
            '{"version": "2026.1", "transaction_types": {"purchase": ["00"], "cash": [], "refund": []}, "products":'
            f'{{"debit-standard": {{"fx_markup": {{"basis_points": 100, "rounding": "{rounding}"}}}}}}}}'
        )
        assert movements(sequence_of(make_payment(billed=250), products))[1][3] == markup


class TestSequence:
    def test_parts_count_from_one_and_the_first_alone_carries_the_booking(self) -> None:
        payment = make_payment(product="credit-classic")
        sequence = sequence_of(payment)
        assert [(part.index, part.total) for part in sequence] == [(1, 3), (2, 3), (3, 3)]
        assert [part.booking for part in sequence] == [payment, None, None]

    def test_the_same_payment_gives_the_same_sequence_however_often_it_comes(self) -> None:
        payment = make_payment()
        assert sequence_of(payment) == sequence_of(payment)
        assert sequence_of(payment)[0].sequence_id == sequence_id_of(payment.authorization.payment_id)

    def test_the_sequence_has_the_payments_uuid(self) -> None:
        assert sequence_id_of("pay_0197f0a0c0de7abc8def0123456789ab") == "seq_0197f0a0c0de7abc8def0123456789ab"

    def test_parts_pass_their_own_contract(self) -> None:
        """They are built without validation from validated parts; this shows that nothing is missed by it."""
        for part in sequence_of(make_payment(product="credit-classic")):
            assert PostingRequested.model_validate_json(part.model_dump_json(exclude_none=True)) == part

    @given(
        billed=st.integers(1, AMOUNT_MINOR_MAX),
        product=st.sampled_from(sorted(BOOK.products)),
        home=st.sampled_from(["GBP", "EUR", "USD", "JPY", "KWD"]),
        currency=st.sampled_from(["GBP", "EUR", "JPY"]),
        transaction_type=st.sampled_from(["00", "01", "09", "20"]),
    )
    def test_every_sequence_balances_and_its_principal_is_the_billed_amount(
        self, billed: int, product: str, home: str, currency: str, transaction_type: str
    ) -> None:
        payment = make_payment(
            product=product, billed=billed, home=home, currency=currency, transaction_type=transaction_type
        )
        sequence = sequence_of(payment)
        legs = [
            Leg(leg.account_id, leg.direction, leg.amount_minor, leg.currency)
            for part in sequence
            for leg in part.part.legs
        ]
        check_balanced(legs)
        assert {leg.currency for leg in legs} == {home}
        assert legs[0].amount_minor == billed


class TestRefusals:
    def test_an_unknown_product_has_no_posting_plan_and_spares_its_neighbours(self) -> None:
        outcomes = sequence_postings(
            [make_payment(), make_payment(product="gold-plated"), make_payment()], products=BOOK
        )
        refused = outcomes[1]
        assert isinstance(refused, PaymentRejected)
        assert (refused.stage, refused.reason_code) == ("sequence_postings", ReasonCode.NO_POSTING_PLAN)
        assert "gold-plated" in refused.reason
        assert refused.decision is not None
        assert isinstance(outcomes[0], list)
        assert isinstance(outcomes[2], list)

    def test_an_unknown_transaction_type_has_no_posting_plan(self) -> None:
        assert "31" in refusal_of(make_payment(transaction_type="31")).reason

    def test_a_flat_fee_that_names_no_such_currency_is_a_refusal_and_not_a_free_withdrawal(self) -> None:
        products = book(cash_fee={"flat_minor": {"EUR": 100}, "basis_points": 0})
        refusal = refusal_of(make_payment(transaction_type="01"), products)
        assert refusal.reason_code is ReasonCode.NO_POSTING_PLAN
        assert "GBP" in refusal.reason


class TestProductFile:
    def test_every_sample_product_is_configured_for_every_sample_currency(self) -> None:
        for account in sample_accounts(1, 100):
            details = account.details
            sequence_of(make_payment(product=details.product, home=details.currency, transaction_type="01"))

    @pytest.mark.parametrize(
        ("old", "new", "complaint"),
        [
            ("basis_points: 275", "basis_points: 2.75", "fx_markup.basis_points"),
            ("basis_points: 275", "basis_points: 10001", "fx_markup.basis_points"),
            ("GBP: 300", "ZZZ: 300", "currency code"),
            ("debit-premium: {}", "debit-premium: {free: true}", "debit-premium.free"),
            ("ROUND_HALF_EVEN", "ROUND_ABOUT", "interchange.rounding"),
        ],
    )
    def test_a_wrong_product_file_is_refused_with_its_place(
        self, tmp_path: Path, old: str, new: str, complaint: str
    ) -> None:
        path = tmp_path / "products.yaml"
        path.write_text(PRODUCTS_FILE.read_text().replace(old, new, 1))
        with pytest.raises(ConfigInvalid, match=complaint):
            load_products(path)
