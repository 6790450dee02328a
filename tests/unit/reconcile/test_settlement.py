"""Settlement files: CSV and camt.053 become lines, and what cannot be understood is named with its place."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.statements import statements

from postrail.domain.reconciliation import SettlementLine
from postrail.iso20022.camt053 import write_statement
from postrail.iso20022.camt_common import MessageHead
from postrail.reconcile.settlement import SettlementFileInvalid, read_settlement

HEADER = "reference,acceptor_id,amount,currency,value_date\n"


def read(tmp_path, text, name="settlement.csv"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_settlement(path))


class TestCsv:
    def test_a_line_is_read_by_its_column_names(self, tmp_path):
        text = "value_date,currency,amount,reference\n2026-11-01,GBP,12.34,pay_1\n2026-11-01,JPY,-500,pay_2\n"
        assert read(tmp_path, text) == [
            SettlementLine(2, "pay_1", "", 1234, "GBP", "2026-11-01"),
            SettlementLine(3, "pay_2", "", -500, "JPY", "2026-11-01"),
        ]

    def test_a_total_names_its_merchant(self, tmp_path):
        (line,) = read(tmp_path, HEADER + ",SHOP1,1000.000,KWD,2026-11-01\n")
        assert (line.reference, line.acceptor_id, line.amount_minor) == ("", "SHOP1", 1_000_000)

    def test_an_id_without_its_prefix_is_a_payments(self, tmp_path):
        (line,) = read(tmp_path, HEADER + f"{'0a' * 16},,1,GBP,2026-11-01\n")
        assert line.reference == f"pay_{'0a' * 16}"

    def test_a_byte_order_mark_is_no_part_of_a_name(self, tmp_path):
        assert len(read(tmp_path, b"\xef\xbb\xbf" + (HEADER + "r,,1,GBP,2026-11-01\n").encode())) == 1

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("reference,amount\n", "line 1: no column currency, value_date"),
            (HEADER + ",,1,GBP,2026-11-01\n", "line 2: it names neither a payment"),
            (HEADER + "r,,1.234,GBP,2026-11-01\n", "line 2: 1.234 has more decimals than GBP"),
            (HEADER + "r,,1e3,GBP,2026-11-01\n", "line 2: '1e3' is no amount"),
            (HEADER + "r,,1,XXQ,2026-11-01\n", "line 2: 'XXQ' is no currency"),
            (HEADER + "r,,1,GBP,1.11.2026\n", "line 2: '1.11.2026' is no date"),
            (HEADER + "r,,1\n", "line 2: it has 3 columns"),
            (HEADER + "r" * 5_000 + ",,1,GBP,2026-11-01\n", "longer than any settlement line"),
            (HEADER + '"r,,1,GBP,2026-11-01\n', "line 2: unexpected end of data"),
        ],
        ids=["columns", "nameless", "decimals", "amount", "currency", "date", "short", "long", "quote"],
    )
    def test_what_is_wrong_is_said_with_its_line(self, tmp_path, text, complaint):
        with pytest.raises(SettlementFileInvalid) as error:
            read(tmp_path, text)
        assert complaint in str(error.value)


CAMT = """<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.14">
<BkToCstmrStmt><Stmt>{}</Stmt></BkToCstmrStmt></Document>"""
ENTRY = """<Ntry><Amt Ccy="GBP">{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>
<BookgDt><DtTm>2026-11-01T10:00:00Z</DtTm></BookgDt><NtryDtls><TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs></TxDtls></NtryDtls></Ntry>"""


class TestCamt053:
    def test_an_entry_is_a_line_and_a_debit_is_what_was_paid(self, tmp_path):
        text = CAMT.format(
            ENTRY.format(amount="12.34", side="DBIT", reference="0a" * 16)
            + ENTRY.format(amount="5", side="CRDT", reference="acq:1")
        )
        assert read(tmp_path, text, "s.xml") == [
            SettlementLine(1, f"pay_{'0a' * 16}", "", 1234, "GBP", "2026-11-01"),
            SettlementLine(2, "acq:1", "", -500, "GBP", "2026-11-01"),
        ]

    def test_each_transaction_of_an_entry_is_a_line_with_its_own_amount(self, tmp_path):
        details = "".join(
            f'<TxDtls><Refs><TxId>r{n}</TxId></Refs><Amt Ccy="GBP">{n}.00</Amt><CdtDbtInd>DBIT</CdtDbtInd></TxDtls>'
            for n in (1, 2)
        )
        entry = (
            '<Ntry><Amt Ccy="GBP">3.00</Amt><CdtDbtInd>DBIT</CdtDbtInd><ValDt><Dt>2026-11-02</Dt></ValDt>'
            f"<NtryDtls>{details}</NtryDtls></Ntry>"
        )
        lines = read(tmp_path, CAMT.format(entry), "s.xml")
        assert [(line.reference, line.amount_minor) for line in lines] == [("r1", 100), ("r2", 200)]

    def test_entities_are_not_resolved(self, tmp_path):
        """An XML file from outside may name files of this machine: they are not read."""
        secret = tmp_path / "secret"
        secret.write_text("12.34")
        text = CAMT.format(ENTRY.format(amount="&x;", side="DBIT", reference="r"))
        text = text.replace("?>", f'?><!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>', 1)
        with pytest.raises(SettlementFileInvalid):
            read(tmp_path, text, "s.xml")

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("<a></a>", "there is no entry in it"),
            ("<a><Ntry/></a>", "no camt.053"),
            (CAMT.format("<Ntry></Ntry>"), "entry 1: it has no Amt"),
            (CAMT.format(ENTRY.format(amount="1", side="DBIT", reference="NOTPROVIDED")), "it names no payment"),
            (CAMT.format("<Ntry>")[:-40], "s.xml"),
        ],
        ids=["empty", "other", "amount", "nameless", "broken"],
    )
    def test_what_is_wrong_is_said(self, tmp_path, text, complaint):
        with pytest.raises(SettlementFileInvalid) as error:
            read(tmp_path, text, "s.xml")
        assert complaint in str(error.value)


@given(statements(), st.data())
def test_a_statement_of_our_own_can_be_read(tmp_path_factory, statement, data):
    """What `ledger statement --format camt.053` writes, this reads: each entry with its amount and its sign."""
    path = tmp_path_factory.mktemp("camt") / "s.xml"
    with path.open("wb") as out:
        head = MessageHead("m1", datetime(2026, 11, 1, tzinfo=UTC))
        entries = write_statement(statement, head, out)
    if not entries:
        return
    lines = list(read_settlement(path))
    assert len(lines) == entries
    assert sum(-line.amount_minor for line in lines) == statement.closing_minor - statement.opening_minor
