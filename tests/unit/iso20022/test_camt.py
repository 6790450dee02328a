"""What the statement and the notification say; that they are valid is a test of its own, against the schemas."""

import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree
from tests.builders.payments import CARD_TOKEN, make_approved, make_authorization, make_billing, make_enrichment
from tests.builders.statements import CUSTOMER, PERIOD, make_entry, make_statement

from postrail.contracts.payment import EntryMode
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.ledger import AccountType
from postrail.domain.statement import (
    AccountNotice,
    Statement,
    StatementAccount,
    StatementEntry,
    StatementInconsistent,
    Turnover,
)
from postrail.iso20022 import camt053, camt054
from postrail.iso20022.camt_common import MessageHead, bank_transaction_code

HEAD = MessageHead("MSG1", datetime(2026, 11, 1, 6, tzinfo=UTC))
SETTLEMENT = StatementAccount("settlement:scheme:gbp", AccountType.SETTLEMENT, "GBP", "Scheme settlement")


class Read:
    """A document, read by paths of short element names."""

    def __init__(self, xml: bytes, namespace: str) -> None:
        self._root = etree.fromstring(xml)
        self._namespaces = {"c": namespace}

    def texts(self, path: str) -> list[str]:
        """The texts of all elements at a path below the document."""
        steps = "/".join(step if step.startswith("@") else f"c:{step}" for step in path.split("/"))
        return [str(found) for found in self._root.xpath(f"c:{steps[2:]}/text()", namespaces=self._namespaces)]

    def elements(self) -> set[str]:
        """The names of all elements."""
        return {etree.QName(each).localname for each in self._root.iter()}


def statement(made: Statement, head: MessageHead = HEAD) -> Read:
    out = io.BytesIO()
    assert camt053.write_statement(made, head, out) == made.turnover.count
    return Read(out.getvalue(), camt053.NAMESPACE)


def notification(*entries: StatementEntry, payment: camt054.CardPayment | None = None) -> Read:
    out = io.BytesIO()
    camt054.write_notification([AccountNotice(CUSTOMER, entries)], HEAD, out, payment=payment)
    return Read(out.getvalue(), camt054.NAMESPACE)


STMT = "BkToCstmrStmt/Stmt"
NTRY = f"{STMT}/Ntry"
NOTICE = "BkToCstmrDbtCdtNtfctn/Ntfctn"


def test_a_statement_opens_and_closes_with_its_balances() -> None:
    """OPBD on the first day, CLBD on the last day of the period, which ends at midnight after it."""
    read = statement(make_statement([make_entry(), make_entry(amount_minor=500)]))
    assert read.texts(f"{STMT}/Bal/Tp/CdOrPrtry/Cd") == ["OPBD", "CLBD"]
    assert read.texts(f"{STMT}/Bal/Amt") == ["1000.00", "983.07"]
    assert read.texts(f"{STMT}/Bal/CdtDbtInd") == ["CRDT", "CRDT"]
    assert read.texts(f"{STMT}/Bal/Dt/Dt") == ["2026-10-01", "2026-10-31"]
    assert read.texts(f"{STMT}/FrToDt/ToDtTm") == ["2026-11-01T00:00:00Z"]


def test_an_overdrawn_account_has_debit_balances() -> None:
    read = statement(make_statement([make_entry()], opening_minor=-5))
    assert read.texts(f"{STMT}/Bal/Amt") == ["0.05", "21.98"]
    assert read.texts(f"{STMT}/Bal/CdtDbtInd") == ["DBIT", "DBIT"]


def test_an_entry_names_transaction_payment_times_and_sides() -> None:
    read = statement(make_statement([make_entry()]))
    assert read.texts(f"{NTRY}/NtryRef") == ["0197f0a0c0de7abc8def0123456789ab001"]
    assert read.texts(f"{NTRY}/AcctSvcrRef") == ["0197f0a0c0de7abc8def0123456789ab"]
    assert read.texts(f"{NTRY}/NtryDtls/TxDtls/Refs/EndToEndId") == ["0197f0a0c0de7abc8def0123456789ff"]
    assert read.texts(f"{NTRY}/Amt") == ["21.93"]
    assert read.texts(f"{NTRY}/CdtDbtInd") == ["DBIT"]
    assert read.texts(f"{NTRY}/RvslInd") == ["false"]
    assert read.texts(f"{NTRY}/BookgDt/DtTm") == ["2026-10-02T09:15:33.250000Z"]
    assert read.texts(f"{NTRY}/ValDt/DtTm") == ["2026-10-02T09:15:31Z"]
    assert read.texts(f"{NTRY}/NtryDtls/TxDtls/RltdPties/CdtrAcct/Id/Othr/Id") == ["settlement:scheme:gbp"]
    assert read.texts(f"{NTRY}/AddtlNtryInf") == ["Cafe Central, Paris"]


@pytest.mark.parametrize(("currency", "text"), [("GBP", "25.50"), ("JPY", "2550"), ("KWD", "2.550")])
def test_decimals_follow_the_currency(currency: str, text: str) -> None:
    account = replace(CUSTOMER, currency=currency)
    assert statement(make_statement([make_entry(amount_minor=2_550)], account=account)).texts(f"{NTRY}/Amt") == [text]


def test_turnover_stands_before_the_entries() -> None:
    read = statement(make_statement([make_entry(), make_entry(amount_minor=500)]))
    assert read.texts(f"{STMT}/TxsSummry/TtlNtries/NbOfNtries") == ["2"]
    assert read.texts(f"{STMT}/TxsSummry/TtlNtries/Sum") == ["26.93"]
    assert read.texts(f"{STMT}/TxsSummry/TtlNtries/TtlNetNtry/Amt") == ["16.93"]
    assert read.texts(f"{STMT}/TxsSummry/TtlNtries/TtlNetNtry/CdtDbtInd") == ["DBIT"]
    assert read.texts(f"{STMT}/TxsSummry/TtlCdtNtries/Sum") == ["5.00"]
    assert read.texts(f"{STMT}/TxsSummry/TtlDbtNtries/Sum") == ["21.93"]


def test_the_account_goes_by_iban_where_there_is_one() -> None:
    read = statement(make_statement(account=replace(CUSTOMER, iban="GB33BUKB20201555555555")))
    assert read.texts(f"{STMT}/Acct/Id/IBAN") == ["GB33BUKB20201555555555"]
    assert read.texts(f"{STMT}/Acct/Prxy/Id") == [CUSTOMER.account_id]


def test_an_account_id_too_long_for_the_standard_is_given_whole_as_a_proxy() -> None:
    long_id = "customer:" + "9" * 40 + ":gbp"
    read = statement(make_statement(account=replace(CUSTOMER, account_id=long_id)))
    assert read.texts(f"{STMT}/Acct/Prxy/Id") == [long_id]
    assert read.texts(f"{STMT}/Acct/Id/Othr/Id") == []


def test_an_amount_of_nineteen_digits_is_refused() -> None:
    with pytest.raises(Permanent) as caught:
        statement(make_statement([], opening_minor=10**18))
    assert caught.value.reason is ReasonCode.AMOUNT_OVERFLOW


def test_a_description_loses_card_numbers_and_control_characters() -> None:
    read = statement(make_statement([make_entry(description="Shop\x00 4111111111111111\n")]))
    assert read.texts(f"{NTRY}/AddtlNtryInf") == ["Shop  ************1111"]


def test_a_statement_that_does_not_add_up_is_no_statement() -> None:
    with pytest.raises(StatementInconsistent):
        statement(make_statement([make_entry()], turnover=Turnover(0, 0, 1, 2_194)))


def test_memory_does_not_grow_with_the_number_of_entries() -> None:
    """The entries are an iterator; twenty times as many take no more room."""

    def peak(count: int) -> int:
        def entries() -> Iterator[StatementEntry]:
            for number in range(count):
                yield make_entry(occurred_at=PERIOD.start + timedelta(seconds=number))

        turnover = Turnover(0, 0, count, 2_193 * count)
        made = replace(make_statement(), turnover=turnover, entries=entries())

        class Nowhere(io.RawIOBase):
            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                return len(data)

        tracemalloc.start()
        try:
            camt053.write_statement(made, HEAD, Nowhere())  # type: ignore[arg-type]
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(4_000) < peak(200) + 100_000


@pytest.mark.parametrize(
    ("changes", "account", "codes"),
    [
        ({}, CUSTOMER, ("PMNT", "CCRD", "POSD")),
        ({"transaction_type": "01"}, CUSTOMER, ("PMNT", "CCRD", "CWDL")),
        ({"transaction_type": "20", "amount_minor": 5}, CUSTOMER, ("PMNT", "CCRD", "RIMB")),
        ({"transaction_type": None}, CUSTOMER, ("PMNT", "CCRD", "POSD")),
        ({"transaction_type": None, "amount_minor": 5}, CUSTOMER, ("PMNT", "CCRD", "RIMB")),
        (
            {"transaction_type": None, "amount_minor": 5, "reverses": "txn_" + "0" * 32},
            CUSTOMER,
            ("PMNT", "CCRD", "POSD"),
        ),
        ({"transaction_type": None, "amount_minor": 5}, SETTLEMENT, ("PMNT", "CCRD", "POSD")),
        ({"counter_accounts": ("income:fx-markup:gbp",)}, CUSTOMER, ("PMNT", "CCRD", "FEES")),
        (
            {"amount_minor": 5},
            StatementAccount("merchant:7:gbp", AccountType.MERCHANT, "GBP", "Cafe"),
            ("PMNT", "MCRD", "POSP"),
        ),
        ({"kind": "opening", "payment_id": None}, CUSTOMER, ("ACMT", "OPCL", "ACCO")),
        ({"kind": "adjustment", "payment_id": None}, CUSTOMER, ("PMNT", "NTAV", "NTAV")),
    ],
)
def test_the_bank_transaction_code_says_what_kind_of_entry_it_is(
    changes: dict[str, Any], account: StatementAccount, codes: tuple[str, str, str]
) -> None:
    code = bank_transaction_code(make_entry(**changes), account)
    assert (code.domain, code.family, code.sub_family) == codes


def test_a_reversal_is_marked_and_names_what_it_takes_back() -> None:
    read = notification(make_entry(kind="reversal", reverses="txn_" + "a" * 32, amount_minor=2_193))
    assert read.texts(f"{NOTICE}/Ntry/RvslInd") == ["true"]
    assert read.texts(f"{NOTICE}/Ntry/NtryDtls/TxDtls/Refs/Prtry/Ref") == ["a" * 32]


def booked(**authorization: Any) -> camt054.CardPayment:
    """A purchase of 25.50 EUR, billed at 21.93 GBP."""
    billing = make_billing(currency="GBP", amount_minor=2_193, rate="0.86")
    approved = make_approved(make_authorization(**authorization), make_enrichment(billing=billing))
    return camt054.CardPayment.of(approved.authorization, approved.message)


def test_a_notification_with_a_booking_tells_of_card_merchant_and_conversion() -> None:
    read = notification(make_entry(), payment=booked())
    entry = f"{NOTICE}/Ntry"
    assert read.texts(f"{entry}/CardTx/Card/AddtlCardData") == [CARD_TOKEN]
    assert read.texts(f"{entry}/CardTx/POI/SysNm") == ["CAFE CENTRAL PARIS FR"]
    assert read.texts(f"{entry}/AmtDtls/InstdAmt/Amt") == ["25.50"]
    assert read.texts(f"{entry}/AmtDtls/TxAmt/CcyXchg/XchgRate") == ["0.86"]
    assert read.texts(f"{entry}/NtryDtls/TxDtls/Refs/Prtry/Tp") == ["STAN", "APPRVLCD"]


def test_no_card_number_is_ever_written() -> None:
    """PlainCardData wants a whole card number; the token stands in AddtlCardData."""
    elements = notification(make_entry(), payment=booked()).elements()
    assert not elements & {"PlainCardData", "PAN", "TrckData", "CardSctyCd", "ICCRltdData"}


def test_a_fee_beside_the_payment_is_not_converted() -> None:
    fee = make_entry(leg_no=3, amount_minor=-60, counter_accounts=("income:fx-markup:gbp",))
    read = notification(make_entry(), fee, payment=booked())
    assert read.texts(f"{NOTICE}/Ntry/Amt") == ["21.93", "0.60"]
    assert read.texts(f"{NOTICE}/Ntry/AmtDtls/InstdAmt/Amt") == ["25.50"]


@pytest.mark.parametrize(
    ("mode", "code", "present"),
    [
        (EntryMode.CHIP, "CICC", ["true"]),
        (EntryMode.CONTACTLESS, "CTLS", ["true"]),
        (EntryMode.MAGNETIC_STRIPE, "MGST", ["true"]),
        (EntryMode.MANUAL, "PHYS", []),
        (EntryMode.ECOMMERCE, "PHYS", ["false"]),
        (EntryMode.CREDENTIAL_ON_FILE, "DFLE", ["false"]),
    ],
)
def test_how_the_card_was_read(mode: EntryMode, code: str, present: list[str]) -> None:
    read = notification(make_entry(), payment=booked(entry_mode=mode))
    context = f"{NOTICE}/Ntry/NtryDtls/TxDtls/CardTx/Tx/Indv/PmtCntxt"
    assert read.texts(f"{context}/CardDataNtryMd") == [code]
    assert read.texts(f"{context}/CardPres") == present


def test_each_account_has_a_notification_of_its_own() -> None:
    out = io.BytesIO()
    notices = [AccountNotice(CUSTOMER, (make_entry(),)), AccountNotice(SETTLEMENT, (make_entry(amount_minor=2_193),))]
    assert camt054.write_notification(notices, HEAD, out) == 2
    read = Read(out.getvalue(), camt054.NAMESPACE)
    assert read.texts(f"{NOTICE}/Id") == ["MSG1001", "MSG1002"]
    assert read.texts(f"{NOTICE}/Ntry/CdtDbtInd") == ["DBIT", "CRDT"]


def test_a_notification_of_nothing_or_with_too_long_an_id_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 32"):
        camt054.write_notification([], HEAD, io.BytesIO())
    with pytest.raises(ValueError, match="at most 32"):
        camt054.write_notification(
            [AccountNotice(CUSTOMER, (make_entry(),))], MessageHead("M" * 33, HEAD.created_at), io.BytesIO()
        )
    with pytest.raises(ValueError, match="35"):
        MessageHead("M" * 36, HEAD.created_at)
