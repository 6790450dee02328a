"""The page about statements is true to the code."""

import io
import re
from dataclasses import replace
from pathlib import Path

from lxml import etree
from tests.builders.payments import make_approved, make_authorization, make_billing, make_enrichment
from tests.builders.statements import CUSTOMER, PERIOD, make_entry, make_statement

from postrail.contracts.payment import EntryMode
from postrail.domain.statement import AccountNotice
from postrail.iso20022.camt053 import write_statement
from postrail.iso20022.camt054 import CardPayment, write_notification
from postrail.iso20022.camt_common import MessageHead, bank_transaction_code

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "statements.md").read_text(encoding="utf-8")
HEAD = MessageHead("MSG1", PERIOD.end)
REVERSAL = make_entry(kind="reversal", reverses="txn_" + "a" * 32, amount_minor=2_193)
OPENING = make_entry(kind="opening", payment_id=None, transaction_type=None)


def written_paths() -> set[str]:
    """Paths of all elements that statements and notifications have between them."""
    billing = make_billing(currency="GBP", amount_minor=2_193, rate="0.86")
    approved = make_approved(make_authorization(entry_mode=EntryMode.ECOMMERCE), make_enrichment(billing=billing))
    out = io.BytesIO()
    entries = (make_entry(), REVERSAL, OPENING)
    documents = []
    for account in (CUSTOMER, replace(CUSTOMER, iban="GB33BUKB20201555555555")):
        write_statement(make_statement(entries, account=account), HEAD, out)
        documents.append(out.getvalue())
        out = io.BytesIO()
        payment = CardPayment.of(approved.authorization, approved.message)
        write_notification([AccountNotice(account, entries)], HEAD, out, payment=payment)
        documents.append(out.getvalue())
        out = io.BytesIO()
    return {path for document in documents for path in _paths(etree.fromstring(document), "")}


def _paths(element: etree._Element, above: str) -> set[str]:
    path = f"{above}/{etree.QName(element).localname}"
    return {path}.union(*(_paths(child, path) for child in element))


def test_every_element_of_the_tables_is_written() -> None:
    paths = written_paths()
    rows = re.findall(r"^\| (`[A-Z][^|]*`) \|", PAGE, re.MULTILINE)
    documented = [name for row in rows for name in re.findall(r"`([A-Za-z]+(?:/[A-Za-z]+)*)`", row)]
    assert len(documented) > 25
    for name in documented:
        assert any(path.endswith(f"/{name}") for path in paths), name


def test_the_codes_of_the_table_are_those_that_are_written() -> None:
    cash = make_entry(transaction_type="01")
    fee = make_entry(counter_accounts=("income:cash-fee:gbp",))
    refund = make_entry(transaction_type="20", amount_minor=5)
    for entry in (make_entry(), cash, fee, refund, OPENING, make_entry(kind="adjustment", payment_id=None)):
        code = bank_transaction_code(entry, CUSTOMER)
        row = rf"`{code.domain}` / `{code.family}`(?: \(`MCRD`\))? / `{code.sub_family}`"
        assert re.search(row, PAGE), code
