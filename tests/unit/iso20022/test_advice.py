"""What the advice says, element by element."""

import json
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.payments import (
    CARD_TOKEN,
    make_account_details,
    make_authorization,
    make_billing,
    make_enrichment,
)
from tests.builders.strategies import amounts_minor, authorizations, currencies

from postrail.contracts.payment import Authorization, EntryMode
from postrail.domain.card import find_clear_pans
from postrail.domain.iso4217 import currency_by_code
from postrail.domain.money import Money
from postrail.iso20022.advice import (
    account_type,
    build_advice,
    clean_text,
    complete_advice,
    format_amount,
    format_instant,
    format_rate,
)


def body_of(**overrides: Any) -> dict[str, Any]:
    body: dict[str, Any] = build_advice(make_authorization(**overrides))["AuthstnInitn"]
    return body


def completed(authorization: Authorization | None = None, **overrides: Any) -> dict[str, Any]:
    authorization = authorization or make_authorization()
    message = complete_advice(build_advice(authorization), authorization, make_enrichment(**overrides))
    body: dict[str, Any] = message["AuthstnInitn"]
    return body


def test_the_advice_says_what_was_approved() -> None:
    """Function ADVC with the processing result: approved by the card issuer, in both dialects of DE 39."""
    body = body_of(action_code="002", approval_code="A1B2C3")
    assert body["Hdr"]["MsgFctn"] == "ADVC"
    assert body["PrcgRslt"] == {"RspnSrcTp": "CISS", "RspnCd": "10", "ApprvlCd": "A1B2C3", "ActnCd": "002"}


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount", "numeric"),
    [
        ("EUR", 2550, "25.50", "978"),
        ("JPY", 2550, "2550", "392"),
        ("KWD", 2550, "2.550", "414"),
        ("ALL", 5, "0.05", "008"),
    ],
)
def test_amounts_follow_the_exponent_and_currencies_are_numeric(
    currency: str, amount_minor: int, amount: str, numeric: str
) -> None:
    """Amounts are decimals by ISO 4217 exponent, and the numeric code with its leading zeros."""
    assert body_of(currency=currency, amount_minor=amount_minor)["TxAmts"] == {"Amt": amount, "Ccy": numeric}


@given(amount_minor=amounts_minor, currency=currencies)
def test_the_amount_text_is_the_amount(amount_minor: int, currency: str) -> None:
    """No digit is lost on the way from minor units to text."""
    text = format_amount(amount_minor, currency_by_code(currency).exponent)
    assert text == str(Money(amount_minor, currency).to_decimal())


def test_the_card_is_a_token_and_never_a_pan() -> None:
    """The token stands in Tkn/PmtTkn; Card has neither PAN nor track."""
    body = body_of()
    assert body["Tkn"] == {"PmtTkn": CARD_TOKEN}
    assert body["Card"] == {"CardSeqNb": "01", "XpryDt": "2028-12", "Ctry": "826"}


def test_what_the_card_does_not_say_is_absent() -> None:
    """A missing issuing country or sequence number gives no empty element."""
    assert body_of(card={"sequence_number": None, "issuer_country": None})["Card"] == {"XpryDt": "2028-12"}


def test_identifiers_keep_their_zeros_and_spaces() -> None:
    """STAN and RRN are texts, not numbers; the payment id stands whole in IssrRefData."""
    body = body_of(stan="000007", rrn="   000000007")
    assert body["TxId"]["SysTracAudtNb"] == "000007"
    assert body["TxId"]["RtrvlRefNb"] == "   000000007"
    assert body["TxId"]["IssrRefData"].endswith(body["Hdr"]["XchgId"])


def test_a_repeat_is_marked_as_a_retransmission() -> None:
    """MTI 1101 repeats 1100."""
    assert body_of(message_type="1101")["Hdr"]["ReTrnsmssnCntr"] == "001"
    assert body_of(message_type="1120")["Hdr"]["ReTrnsmssnCntr"] == "000"


def test_times_are_utc_with_z() -> None:
    """An instant with another offset is written in UTC."""
    paris = timezone(timedelta(hours=2))
    assert format_instant(datetime(2026, 10, 1, 11, 15, 30, tzinfo=paris)) == "2026-10-01T09:15:30Z"
    assert format_instant(datetime(2026, 10, 1, 9, 15, 30, 5, tzinfo=UTC)) == "2026-10-01T09:15:30.000005Z"


@pytest.mark.parametrize(
    ("entry_mode", "code", "card_present"),
    [
        (EntryMode.CHIP, "ICCY", True),
        (EntryMode.CONTACTLESS, "ICPY", True),
        (EntryMode.MAGNETIC_STRIPE, "MGST", True),
        (EntryMode.MANUAL, "KEEN", None),
        (EntryMode.ECOMMERCE, "KEEN", False),
        (EntryMode.CREDENTIAL_ON_FILE, "CDFL", False),
    ],
)
def test_the_entry_mode_says_how_the_card_was_read(entry_mode: EntryMode, code: str, card_present: bool | None) -> None:
    """CardDataNtryMd by entry mode, and card presence where the mode tells."""
    context = body_of(entry_mode=entry_mode)["Cntxt"]
    assert context["CardDataNtryMd"] == code
    assert context.get("CardPres") is card_present
    assert context.get("EComrc", False) is (entry_mode is EntryMode.ECOMMERCE)


def test_name_and_location_is_de_43_of_1993() -> None:
    r"""name\street\city\ and 16 characters of postal code, region and country; backslashes of the name give way."""
    merchant = body_of(merchant={"name": "A\\B", "city": "LYON", "country": "FR"})["Accptr"]
    assert merchant["NmAndLctn"] == "A B\\\\LYON\\             FRA"
    assert merchant["Adr"] == {"TwnNm": "LYON", "Ctry": "FRA"}
    longest = body_of(merchant={"name": "N" * 60, "city": "C" * 35})["Accptr"]["NmAndLctn"]
    assert len(longest) == 99


def test_digits_of_name_and_city_do_not_join_to_a_card_number() -> None:
    """Two harmless halves of a number stay apart in NmAndLctn."""
    number = "4" + "1" * 15
    merchant = body_of(merchant={"name": f"SHOP {number[:8]}", "city": number[8:]})["Accptr"]
    assert list(find_clear_pans(json.dumps(merchant))) == []


def test_texts_lose_what_xml_cannot_carry() -> None:
    """Control characters, line breaks and non-characters become spaces; letters of any script stay."""
    assert clean_text("A\x00B\nC\ufffeD", 10) == "A B C D"
    assert clean_text("Żółw 東京 🐢", 20) == "Żółw 東京 🐢"
    assert clean_text("abcdef", 3) == "abc"


@given(authorizations)
def test_the_advice_is_json_and_the_same_every_time(authorization: Authorization) -> None:
    """A retry gives the same bytes: no clock, no random source, JSON types only."""
    first = json.dumps(build_advice(authorization))
    assert first == json.dumps(build_advice(authorization))
    assert json.loads(first) == build_advice(authorization)


def test_enrichment_completes_the_message() -> None:
    """Account, holder, product, merchant, billing and the statement line stand where the standard has them."""
    body = completed()
    assert body["AcctFr"] == {"Tp": "20", "Id": "GB33BUKB20201555555555"}
    assert body["Crdhldr"] == [{"Nm": "Ada Okafor"}]
    assert body["Card"]["PdctTp"] == "debit-standard"
    assert body["Accptr"]["BizNm"] == "Cafe Central"
    assert body["TxChrtcs"]["TxDesc"] == "Cafe Central, Paris (FR) 25.50 EUR @ 0.8600"
    assert body["ConvsDtTm"] == {"Dt": "2026-10-01"}
    assert body["TxAmts"] == {
        "Amt": "25.50",
        "Ccy": "978",
        "CrdhldrBllgAmt": "21.93",
        "CrdhldrBllgCcy": "826",
        "CrdhldrBllgFctvXchgRate": "0.86",
    }
    assert body["XchgRate"] == [
        {"Prvdr": "issuer-daily", "Dt": "2026-10-01", "CntrCcyCd": "826", "BaseCcyCd": "978", "Rate": "0.86"}
    ]


def test_without_conversion_there_is_no_rate() -> None:
    """A billing in the transaction's currency gives an amount and neither rate nor conversion date."""
    billing = make_billing(
        currency="EUR", amount_minor=2550, rate=None, rate_date=None, rate_source=None, rounding=None
    )
    body = completed(billing=billing)
    assert body["TxAmts"]["CrdhldrBllgAmt"] == "25.50"
    assert "CrdhldrBllgFctvXchgRate" not in body["TxAmts"]
    assert "XchgRate" not in body
    assert "ConvsDtTm" not in body


def test_a_refund_goes_to_the_account() -> None:
    """Transaction types 20 to 29 are credits: the customer's account is AcctTo."""
    body = completed(make_authorization(transaction_type="20"), account=make_account_details(product="credit-classic"))
    assert body["AcctTo"] == {"Tp": "30", "Id": "GB33BUKB20201555555555"}
    assert "AcctFr" not in body


def test_completing_leaves_the_given_message_alone_and_may_be_repeated() -> None:
    """The standardised event keeps its own message; a retried enrichment gives the same result."""
    authorization, enrichment = make_authorization(), make_enrichment()
    message = build_advice(authorization)
    before = deepcopy(message)
    once = complete_advice(message, authorization, enrichment)
    assert message == before
    assert complete_advice(once, authorization, enrichment) == once


@pytest.mark.parametrize(
    ("product", "code"), [("savings", "10"), ("debit_gold", "20"), ("credit-classic", "30"), ("travel-card", "00")]
)
def test_account_types_by_product(product: str, code: str) -> None:
    """ISO 8583 account types; an unknown product is unspecified, not guessed."""
    assert account_type(product) == code


@pytest.mark.parametrize(
    ("rate", "text"),
    [("0.8600", "0.86"), ("160", "160"), ("100", "100"), ("1.0", "1"), ("0.000000000001", "0.000000000001")],
)
def test_rates_are_plain_digits(rate: str, text: str) -> None:
    """No exponent, no trailing zeros, and the zeros of a whole number stay."""
    assert format_rate(rate) == text


@given(st.integers(0, 10**12), st.integers(0, 3))
def test_amount_text_has_the_exponents_number_of_decimals(amount_minor: int, exponent: int) -> None:
    """The fraction is as long as the exponent; exponent 0 has no point."""
    _, point, fraction = format_amount(amount_minor, exponent).partition(".")
    assert (len(fraction), bool(point)) == (exponent, exponent > 0)
