"""Messages for people: nothing of the card in clear."""

from switch.cardholder.action_meanings import ACTION_MEANINGS, explain_action
from switch.cardholder.showing import as_document, message_name, show_fields
from switch.iso8583.action_codes import ACTION_TO_RESPONSE
from switch.iso8583.message import Message

MESSAGE = Message(
    "1100",
    {
        2: "4761340000000019",
        4: "000000001000",
        14: "2812",
        35: "4761340000000019=28121011234",
        45: "B4761340000000019^DOE/JANE^28121011234",
        52: "0123456789ABCDEF",
        55: "9F2608A1B2C3D4E5F60718",
    },
)


def test_what_tells_of_the_card_is_masked() -> None:
    """Number, tracks, PIN block and chip data; the rest is shown."""
    shown = {row.number: row.value for row in show_fields(MESSAGE)}
    assert shown[2] == "476134******0019"
    assert shown[4] == "000000001000"
    for number in (35, 45, 52, 55):
        assert MESSAGE[number] not in shown[number]
        assert "0000000019=" not in shown[number]


def test_the_document_holds_no_more_than_the_table() -> None:
    """JSON for programs is masked alike."""
    document = as_document(MESSAGE)
    assert document["mti"] == "1100"
    assert document["fields"] == {str(row.number): row.value for row in show_fields(MESSAGE)}


def test_every_action_code_that_dialects_map_has_a_meaning_or_stands_alone() -> None:
    """Codes of authorizations, reversals and of the system are explained; others are shown as they are."""
    unexplained = [code for code in ACTION_TO_RESPONSE if code[0] in "0129" and code not in ACTION_MEANINGS]
    assert unexplained == []
    assert explain_action("116") == "116 not enough money"
    assert explain_action("777") == "777"


def test_types_have_names() -> None:
    """An unknown type is a message all the same."""
    assert message_name(MESSAGE) == "Authorization request"
    assert message_name(Message("1999")) == "message"
