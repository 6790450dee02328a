"""Statement and notification against the official schemas of camt.053.001.14 and camt.054.001.14.

The schemas are not part of this repository: they lie beside it, in `../shared/iso20022/xsd`.
"""

import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.builders.payments import make_approved, make_authorization, make_billing, make_enrichment
from tests.builders.statements import CUSTOMER, entries, make_entry, make_statement, statements
from tests.builders.strategies import authorizations, decimal_texts, enrichments, instants

from postrail.contracts.payment import Authorization, Enrichment
from postrail.domain.iso4217 import CURRENCY_CODES
from postrail.domain.ledger import AccountType
from postrail.domain.statement import AccountNotice, Statement, StatementAccount, StatementEntry
from postrail.iso20022.camt053 import write_statement
from postrail.iso20022.camt054 import CardPayment, write_notification
from postrail.iso20022.camt_common import MessageHead

XSD = Path(__file__).resolve().parents[2].parent / "shared" / "iso20022" / "xsd"

pytestmark = pytest.mark.skipif(
    not (XSD / "camt.053.001.14.xsd").is_file() or not (XSD / "camt.054.001.14.xsd").is_file(),
    reason=f"the official schemas are not here: {XSD} (see docs/statements.md)",
)

heads = st.builds(MessageHead, st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=1, max_size=32), instants)


@pytest.fixture(scope="module")
def statement_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(XSD / "camt.053.001.14.xsd"))


@pytest.fixture(scope="module")
def notification_schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(XSD / "camt.054.001.14.xsd"))


def assert_valid(schema: etree.XMLSchema, xml: bytes) -> None:
    if not schema.validate(etree.fromstring(xml)):
        pytest.fail(f"{schema.error_log}\n{xml.decode()}")


def card_payment(authorization: Authorization, enrichment: Enrichment) -> CardPayment:
    """As the ledger's reader makes it: from the authorization and its completed advice."""
    approved = make_approved(authorization, enrichment)
    return CardPayment.of(approved.authorization, approved.message)


def statement_xml(statement: Statement, head: MessageHead) -> bytes:
    out = io.BytesIO()
    write_statement(statement, head, out)
    return out.getvalue()


@settings(max_examples=200, deadline=None)
@given(statement=statements(), head=heads)
def test_any_statement_is_valid(statement_schema: etree.XMLSchema, statement: Statement, head: MessageHead) -> None:
    """Any account, currency, period and text; and the same twice gives the same bytes."""
    xml = statement_xml(statement, head)
    assert_valid(statement_schema, xml)
    assert statement_xml(statement, head) == xml


@pytest.mark.parametrize("currency", sorted(CURRENCY_CODES))
def test_every_currency_and_the_largest_amounts(statement_schema: etree.XMLSchema, currency: str) -> None:
    """Exponents 0, 2 and 3; one minor unit and eighteen digits; both signs."""
    account = StatementAccount(f"settlement:scheme:{currency.lower()}", AccountType.SETTLEMENT, currency, "Scheme")
    for amount in (1, -1, 999, -1000, 10**17, -(10**18 - 1)):
        statement = make_statement([make_entry(amount_minor=amount)], account=account, opening_minor=0)
        xml = statement_xml(statement, MessageHead("M1", statement.period.end))
        assert_valid(statement_schema, xml)


@settings(max_examples=200, deadline=None)
@given(made=st.lists(entries, min_size=1, max_size=4), authorization=authorizations, enrichment=enrichments, head=heads)
def test_any_notification_is_valid(
    notification_schema: etree.XMLSchema,
    made: list[StatementEntry],
    authorization: Authorization,
    enrichment: Enrichment,
    head: MessageHead,
) -> None:
    """With the payment's booking and without it, on one account and on two."""
    payment = card_payment(authorization, enrichment)
    notices = [AccountNotice(CUSTOMER, tuple(made)), AccountNotice(CUSTOMER, tuple(made[:1]))]
    for known in (payment, None):
        out = io.BytesIO()
        write_notification(notices, head, out, payment=known)
        assert_valid(notification_schema, out.getvalue())


@settings(max_examples=200, deadline=None)
@given(rate=decimal_texts)
def test_a_conversion_is_valid_at_any_rate(notification_schema: etree.XMLSchema, rate: str) -> None:
    """The entry that carries AmtDtls: its amount is the billed one. The rate fits its 11 digits or is left out."""
    authorization = make_authorization(currency="EUR", amount_minor=2_550)
    billing = make_billing(currency="GBP", amount_minor=2_193, rate=rate)
    payment = card_payment(authorization, make_enrichment(billing=billing))
    out = io.BytesIO()
    notices = [AccountNotice(CUSTOMER, (make_entry(),))]
    write_notification(notices, MessageHead("M1", make_entry().recorded_at), out, payment=payment)
    assert b"InstdAmt" in out.getvalue()
    assert_valid(notification_schema, out.getvalue())
