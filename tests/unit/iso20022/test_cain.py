"""Writing and reading the XML: order, strictness, and input that means harm."""

import json
from typing import Any

import pytest
from tests.builders.payments import make_authorization, make_enrichment

from postrail.domain.errors import Permanent, ReasonCode
from postrail.iso20022.advice import build_advice, complete_advice
from postrail.iso20022.cain import XML_BYTES_MAX, from_xml, to_xml

NS = "urn:iso:std:iso:20022:tech:xsd:cain.001.001.05"


def complete() -> dict[str, Any]:
    authorization = make_authorization()
    return complete_advice(build_advice(authorization), authorization, make_enrichment())


def xml() -> str:
    return to_xml(complete()).decode()


def refusal(data: bytes | str) -> Permanent:
    with pytest.raises(Permanent) as caught:
        from_xml(data if isinstance(data, bytes) else data.encode())
    return caught.value


def test_reading_gives_what_was_written() -> None:
    """Texts, indicators and repeating elements come back as they were."""
    assert from_xml(to_xml(complete())) == complete()


def test_the_order_of_keys_does_not_matter() -> None:
    """A JSON store may sort keys; the XML keeps the order of the schema, byte for byte."""
    shuffled = json.loads(json.dumps(complete(), sort_keys=True))
    assert to_xml(shuffled) == to_xml(complete())


def test_special_characters_survive() -> None:
    """Markup in a merchant's name is text, not markup."""
    message = build_advice(make_authorization(merchant={"name": "M&S <FOOD> ]]> \"'"}))
    assert from_xml(to_xml(message)) == message


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Nonsense": "x"}, ReasonCode.UNKNOWN_FIELD),
        ({"Card": {"PAN": "9999990000000001"}}, ReasonCode.UNKNOWN_FIELD),
        ({"TxAmts": {"Amt": 25.5, "Ccy": "978"}}, ReasonCode.WRONG_TYPE),
        ({"TxAmts": {"Amt": "25.50"}}, ReasonCode.MISSING_FIELD),
        ({"TxId": "000123"}, ReasonCode.WRONG_TYPE),
        ({"Crdhldr": {"Nm": "Ada"}}, ReasonCode.WRONG_TYPE),
        ({"Crdhldr": []}, ReasonCode.WRONG_TYPE),
        ({"Cntxt": {"CardDataNtryMd": "ICCY", "MrchntCtgyCd": "5814", "CardPres": "yes"}}, ReasonCode.WRONG_TYPE),
        ({"Cntxt": {"CardDataNtryMd": True, "MrchntCtgyCd": "5814"}}, ReasonCode.WRONG_TYPE),
        ({"TxChrtcs": {"TxTp": "00", "TxDesc": "a\x00b"}}, ReasonCode.INVALID_VALUE),
    ],
)
def test_what_is_no_advice_is_not_written(change: dict[str, Any], reason: ReasonCode) -> None:
    """Unknown elements, floats, missing or misshapen parts are refused with the path and a reason."""
    message = {"AuthstnInitn": complete()["AuthstnInitn"] | change}
    with pytest.raises(Permanent) as caught:
        to_xml(message)
    assert caught.value.reason is reason
    assert "AuthstnInitn" in caught.value.detail


def test_a_message_has_one_root() -> None:
    """Another root, or two, is no advice."""
    with pytest.raises(Permanent):
        to_xml(complete() | {"Extra": {}})


def test_a_dtd_is_refused_before_it_is_parsed() -> None:
    """Entity expansion and external entities have no chance."""
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    external = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    for dtd in (bomb, external, "<!DOCTYPE Document>"):
        document = xml().replace("?>", f"?>{dtd}", 1).replace("ICCY", "&x;")
        assert refusal(document).reason is ReasonCode.MALFORMED_EVENT


def test_another_encoding_cannot_hide_a_dtd() -> None:
    """UTF-16 is refused whole, and a declared encoding is not believed."""
    document = xml().replace("?>", "?><!DOCTYPE d>", 1)
    assert refusal(document.encode("utf-16")).reason is ReasonCode.MALFORMED_EVENT
    assert from_xml(xml().replace("UTF-8", "ISO-8859-1").encode()) == complete()


def test_the_size_is_bounded() -> None:
    """A document larger than the bound is not even decoded."""
    assert refusal(b" " * (XML_BYTES_MAX + 1)).reason is ReasonCode.EVENT_TOO_LARGE


def test_deep_nesting_ends_at_the_first_unknown_element() -> None:
    """Ten thousand levels are a refusal, not a crash."""
    deep = "<a>" * 10_000 + "</a>" * 10_000
    document = f'<Document xmlns="{NS}"><AuthstnInitn>{deep}</AuthstnInitn></Document>'
    assert refusal(document).reason in {ReasonCode.MALFORMED_EVENT, ReasonCode.UNKNOWN_FIELD}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("</Document>", "", ReasonCode.MALFORMED_EVENT),
        (NS, "urn:iso:std:iso:20022:tech:xsd:cain.001.001.03", ReasonCode.MALFORMED_EVENT),
        ("<Acqrr>", "<Acqrr extra='1'>", ReasonCode.UNKNOWN_FIELD),
        ("<Acqrr>", "<Acqrr>stray", ReasonCode.UNKNOWN_FIELD),
        ("<Ccy>", "<Ccy x='1'>", ReasonCode.UNKNOWN_FIELD),
        ("<Hdr>", '<Hdr xmlns="">', ReasonCode.UNKNOWN_FIELD),
        ("<MsgFctn>ADVC</MsgFctn>", "", ReasonCode.MISSING_FIELD),
        ("<MsgFctn>ADVC</MsgFctn>", "<MsgFctn/>", ReasonCode.INVALID_VALUE),
        ("<MsgFctn>ADVC</MsgFctn>", "<MsgFctn>ADVC</MsgFctn><MsgFctn>ADVC</MsgFctn>", ReasonCode.INVALID_VALUE),
        ("<CardPres>true", "<CardPres>maybe", ReasonCode.INVALID_VALUE),
        ("<XpryDt>", "<PAN>1</PAN><XpryDt>", ReasonCode.CLEAR_PAN),
        ("<Termnl>", "<ICCRltdData>5A08</ICCRltdData><Termnl>", ReasonCode.CLEAR_PAN),
    ],
)
def test_a_document_that_differs_is_refused(old: str, new: str, reason: ReasonCode) -> None:
    """Each deviation has its reason."""
    document = xml()
    assert old in document
    assert refusal(document.replace(old, new, 1)).reason is reason


def test_elements_out_of_order_are_refused() -> None:
    """The schema is a sequence: RspnCd before RspnSrcTp is another message's order."""
    document = xml().replace(
        "<RspnSrcTp>CISS</RspnSrcTp><RspnCd>00</RspnCd>", "<RspnCd>00</RspnCd><RspnSrcTp>CISS</RspnSrcTp>"
    )
    assert refusal(document).reason is ReasonCode.INVALID_VALUE


def test_a_clear_card_number_is_refused_and_not_repeated_in_the_error() -> None:
    """In the token's place or in any text."""
    number = "4" + "1" * 15
    for old, new in (("9999990000000001", number), ("Ada Okafor", f"Ada {number}")):
        error = refusal(xml().replace(old, new))
        assert error.reason is ReasonCode.CLEAR_PAN
        assert number not in str(error)
        assert number not in error.detail


def test_comments_and_processing_instructions_are_skipped() -> None:
    """They are no part of the message."""
    document = xml().replace("<Hdr>", "<?pi x?><Hdr><!-- note -->", 1)
    assert from_xml(document.encode()) == complete()
