"""The advice against the official schema of cain.001.001.05.

The schema is not part of this repository: it lies beside it, in `../shared/iso20022/xsd`.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from lxml import etree
from tests.builders.payments import make_authorization, make_billing, make_enrichment
from tests.builders.strategies import authorizations, enrichments

from postrail.contracts.payment import Authorization, Enrichment, EntryMode
from postrail.domain.iso4217 import CURRENCY_CODES
from postrail.domain.money import AMOUNT_MINOR_MAX
from postrail.iso20022.advice import build_advice, complete_advice
from postrail.iso20022.cain import from_xml, to_xml
from postrail.iso20022.cain_layout import CARD_SECRETS, LAYOUT

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "iso20022"
XSD_FILE = SHARED / "xsd" / "cain.001.001.05.xsd"
XS = "{http://www.w3.org/2001/XMLSchema}"
NS = {"c": "urn:iso:std:iso:20022:tech:xsd:cain.001.001.05"}

pytestmark = pytest.mark.skipif(
    not XSD_FILE.is_file(), reason=f"the official schema is not here: {XSD_FILE} (see docs/iso20022.md)"
)


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    """The official schema, compiled once."""
    return etree.XMLSchema(etree.parse(XSD_FILE))


@pytest.fixture(scope="module")
def types() -> dict[str, etree._Element]:
    """The schema's types by name."""
    root = etree.parse(XSD_FILE).getroot()
    return {node.get("name"): node for node in root if node.tag != XS + "element"}


def assert_valid(schema: etree.XMLSchema, xml: bytes) -> None:
    if not schema.validate(etree.fromstring(xml)):
        pytest.fail(f"{schema.error_log}\n{xml.decode()}")


@settings(max_examples=150, deadline=None)
@given(authorization=authorizations)
def test_any_valid_authorization_gives_a_valid_advice(schema: etree.XMLSchema, authorization: Authorization) -> None:
    """Whatever the contract lets in, the schema lets out; reading gives what was built."""
    message = build_advice(authorization)
    xml = to_xml(message)
    assert_valid(schema, xml)
    assert from_xml(xml) == message


@settings(max_examples=150, deadline=None)
@given(authorization=authorizations, enrichment=enrichments)
def test_any_enriched_payment_gives_a_valid_advice(
    schema: etree.XMLSchema, authorization: Authorization, enrichment: Enrichment
) -> None:
    """The completed message is valid too, and still reads back whole."""
    message = complete_advice(build_advice(authorization), authorization, enrichment)
    xml = to_xml(message)
    assert_valid(schema, xml)
    assert from_xml(xml) == message


@pytest.mark.parametrize("currency", sorted(CURRENCY_CODES))
def test_every_currency_from_the_smallest_to_the_largest_amount(schema: etree.XMLSchema, currency: str) -> None:
    """Exponents 0, 2 and 3; 1 minor unit and the twelve nines of DE 4, on both sides of a conversion."""
    for amount_minor in (1, 999, 1000, AMOUNT_MINOR_MAX):
        authorization = make_authorization(currency=currency, amount_minor=amount_minor)
        enrichment = make_enrichment(billing=make_billing(currency=currency, amount_minor=amount_minor))
        message = complete_advice(build_advice(authorization), authorization, enrichment)
        assert_valid(schema, to_xml(message))


@pytest.mark.parametrize("entry_mode", EntryMode)
@pytest.mark.parametrize("action_code", ["000", "001", "002", "003", "004", "005", "006", "007"])
def test_every_entry_mode_and_every_approval(schema: etree.XMLSchema, entry_mode: EntryMode, action_code: str) -> None:
    """All codes that the contract knows are codes that the schema knows."""
    assert_valid(schema, to_xml(build_advice(make_authorization(entry_mode=entry_mode, action_code=action_code))))


def test_the_layout_is_the_schemas_sequence(types: dict[str, etree._Element]) -> None:
    """Order, obligation, repetition and indicators of every element are those of the schema.

    Left out are composite elements that Postrail does not carry and the elements of card secrets, no other.
    """
    seen: set[str] = set()

    def compare(name: str, type_name: str) -> None:
        expected = []
        for node in types[type_name].iter(XS + "element"):
            child, child_type = node.get("name"), node.get("type")
            composite = types[child_type].tag == XS + "complexType"
            if child in CARD_SECRETS or (composite and child not in LAYOUT):
                continue
            expected.append(
                (
                    child,
                    node.get("minOccurs", "1") != "0",
                    node.get("maxOccurs", "1") != "1",
                    child_type == "TrueFalseIndicator",
                )
            )
            if composite:
                compare(child, child_type)
        actual = [(c.name, c.mandatory, c.repeats, c.indicator) for c in LAYOUT[name].values()]
        assert actual == expected, name
        seen.add(name)

    compare("AuthstnInitn", "AuthorisationInitiationV05")
    assert seen == set(LAYOUT)


def test_a_published_advice_reads_and_writes_back(schema: etree.XMLSchema) -> None:
    """The example advice, its card secrets replaced by a token, survives reading and writing unchanged."""
    example = SHARED / "examples" / "cain.001.001.05_advice_approved.xml"
    root = etree.parse(example, etree.XMLParser(remove_blank_text=True)).getroot()
    for path in ("//c:Card/c:PAN", "//c:ICCRltdData"):
        (secret,) = root.xpath(path, namespaces=NS)
        secret.getparent().remove(secret)
    (context,) = root.xpath("//c:Cntxt", namespaces=NS)
    token = etree.fromstring(f'<Tkn xmlns="{NS["c"]}"><PmtTkn>9999990000000001</PmtTkn></Tkn>')
    context.addnext(token)
    xml = to_xml(from_xml(etree.tostring(root)))
    assert_valid(schema, xml)
    assert etree.tostring(etree.fromstring(xml), method="c14n") == etree.tostring(root, method="c14n")
