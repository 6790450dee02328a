"""Writes and reads `cain.001.001.05` as XML. `postrail.iso20022.advice` builds the messages.

The JSON form lives in events and tables; XML is made on demand. Writing is deterministic: the order of elements
comes from the layout, never from the order of keys, which JSON stores may change.

Reading is for input that nobody vouches for: bounded in size, no DTD, no entities, no network, known elements
only, and no element that could hold a clear card number.
"""

from typing import Any, Final

from lxml import etree

from postrail.domain.card import find_clear_pans, is_card_token
from postrail.domain.errors import Permanent, ReasonCode
from postrail.iso20022.advice import Message, build_advice, complete_advice
from postrail.iso20022.cain_layout import CARD_SECRETS, LAYOUT, NAMESPACE, ROOT, Child

__all__ = ["XML_BYTES_MAX", "Message", "build_advice", "complete_advice", "from_xml", "to_xml"]

XML_BYTES_MAX: Final = 256 * 1024
"""Largest XML document that `from_xml` looks at."""

_DOCUMENT: Final = f"{{{NAMESPACE}}}Document"
_PREFIX: Final = f"{{{NAMESPACE}}}"


def to_xml(message: Message) -> bytes:
    """The message as an XML document: UTF-8, with declaration, one line, elements in the order of the schema.

    Raises Permanent when the message holds what the layout does not know (UNKNOWN_FIELD), lacks a mandatory
    element (MISSING_FIELD), or holds a value of the wrong kind (WRONG_TYPE).
    """
    if set(message) != {ROOT}:
        raise Permanent(ReasonCode.MALFORMED_EVENT, f"a message has one root, {ROOT}")
    # The stubs know no default namespace, which lxml spells None.
    document = etree.Element(_DOCUMENT, nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    _write(document, ROOT, message[ROOT])
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8")


def from_xml(data: bytes) -> Message:
    """The message of an XML document, in the form that `build_advice` gives.

    Checks order, mandatory elements and repetition; value ranges are the schema's business. Raises Permanent:
    EVENT_TOO_LARGE, MALFORMED_EVENT (not UTF-8, not well-formed, a DTD, wrong root), UNKNOWN_FIELD, MISSING_FIELD,
    INVALID_VALUE, or CLEAR_PAN when the document has an element for card secrets or a clear card number in a text.
    """
    if len(data) > XML_BYTES_MAX:
        raise Permanent(ReasonCode.EVENT_TOO_LARGE, f"XML of {len(data)} bytes; at most {XML_BYTES_MAX} are read")
    document = _parse(data)
    if document.tag != _DOCUMENT:
        raise Permanent(ReasonCode.MALFORMED_EVENT, f"the root is no Document of {NAMESPACE}")
    if len(document) != 1 or document[0].tag != _PREFIX + ROOT:
        raise Permanent(ReasonCode.MALFORMED_EVENT, f"Document holds one {ROOT} and nothing else")
    return {ROOT: _read(document[0], ROOT, ROOT)}


# --- writing -------------------------------------------------------------------------------------------------------


def _write(parent: etree._Element, name: str, value: Any, path: str = "") -> None:
    path = f"{path}/{name}" if path else name
    element = etree.SubElement(parent, _PREFIX + name)
    children = LAYOUT.get(name)
    if children is None:
        try:
            element.text = _leaf_text(value, path)
        except ValueError as error:
            raise Permanent(ReasonCode.INVALID_VALUE, f"{path} has a character that XML cannot carry") from error
        return
    if not isinstance(value, dict):
        raise Permanent(ReasonCode.WRONG_TYPE, f"{path} is a composite element and needs an object")
    unknown = [key for key in value if key not in children]
    if unknown:
        raise Permanent(ReasonCode.UNKNOWN_FIELD, f"{path} has no element {', '.join(sorted(map(str, unknown)))}")
    for child in children.values():
        if child.name not in value:
            _refuse_missing(child, path)
            continue
        for item in _items(child, value[child.name], path):
            _write(element, child.name, item, path)


def _items(child: Child, value: Any, path: str) -> list[Any]:
    if not child.repeats:
        values = [value]
    elif isinstance(value, list) and value:
        values = value
    else:
        raise Permanent(ReasonCode.WRONG_TYPE, f"{path}/{child.name} may repeat and needs a list of one or more")
    if child.name not in LAYOUT and any(isinstance(item, bool) is not child.indicator for item in values):
        wanted = "true or false" if child.indicator else "a text"
        raise Permanent(ReasonCode.WRONG_TYPE, f"{path}/{child.name} needs {wanted}")
    return values


def _leaf_text(value: Any, path: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        # Numbers too: an amount that was a float on its way is no longer the amount.
        raise Permanent(ReasonCode.WRONG_TYPE, f"{path} needs a text, not {type(value).__name__}")
    return value


def _refuse_missing(child: Child, path: str) -> None:
    if child.mandatory:
        raise Permanent(ReasonCode.MISSING_FIELD, f"{path}/{child.name} is mandatory")


# --- reading -------------------------------------------------------------------------------------------------------


def _parse(data: bytes) -> etree._Element:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Permanent(ReasonCode.MALFORMED_EVENT, "the XML is not UTF-8") from error
    # Before the parser sees it: decoded, so that no encoding can hide it.
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Permanent(ReasonCode.MALFORMED_EVENT, "the XML carries a DTD")
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(text.encode(), parser)
    except etree.XMLSyntaxError as error:
        # The parser's message may quote the document: only the place goes into the error.
        line, column = error.position
        raise Permanent(ReasonCode.MALFORMED_EVENT, f"no well-formed XML: line {line}, column {column}") from None


def _read(element: etree._Element, name: str, path: str) -> Message:
    children = LAYOUT[name]
    _refuse_stray(element, path)
    message: Message = {}
    last = -1
    for node in element:
        child = _child_of(node, children, path)
        if child.position < last or (child.position == last and not child.repeats):
            raise Permanent(ReasonCode.INVALID_VALUE, f"{path}/{child.name} stands out of order or twice")
        last = child.position
        value = _value(node, child, f"{path}/{child.name}")
        if child.repeats:
            message.setdefault(child.name, []).append(value)
        else:
            message[child.name] = value
    for child in children.values():
        if child.name not in message:
            _refuse_missing(child, path)
    return message


def _child_of(node: etree._Element, children: dict[str, Child], path: str) -> Child:
    tag = str(node.tag)
    name = tag.removeprefix(_PREFIX)
    if name in CARD_SECRETS:
        raise Permanent(ReasonCode.CLEAR_PAN, f"{path}/{name} may carry card secrets; send the token in Tkn/PmtTkn")
    child = children.get(name)
    if child is None or tag == name:
        raise Permanent(ReasonCode.UNKNOWN_FIELD, f"{path} has an element that this reader does not know")
    return child


def _value(node: etree._Element, child: Child, path: str) -> Any:
    if child.name in LAYOUT:
        return _read(node, child.name, path)
    if len(node) or node.attrib:
        raise Permanent(ReasonCode.UNKNOWN_FIELD, f"{path} is a text and has neither children nor attributes")
    text = node.text or ""
    if child.indicator:
        return _indicator(text, path)
    if not text:
        raise Permanent(ReasonCode.INVALID_VALUE, f"{path} is empty")
    if next(find_clear_pans(text), None) is not None or (child.name == "PmtTkn" and not is_card_token(text)):
        raise Permanent(ReasonCode.CLEAR_PAN, f"{path} holds what may be a clear card number")
    return text


def _indicator(text: str, path: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}.get(text.strip())
    if known is None:
        raise Permanent(ReasonCode.INVALID_VALUE, f"{path} is neither true nor false")
    return known


def _refuse_stray(element: etree._Element, path: str) -> None:
    texts = [element.text, *(node.tail for node in element)]
    if element.attrib or any(text and text.strip() for text in texts):
        raise Permanent(ReasonCode.UNKNOWN_FIELD, f"{path} has stray text or attributes")
