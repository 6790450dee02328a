"""Messages as lines for people."""

import pytest
from tests.unit.switch.iso8583.samples import PAN, approval, purchase, purchase_1987, reversal

from switch.iso8583.action_codes import ACTION_TO_RESPONSE
from switch.iso8583.description import Line, describe
from switch.iso8583.dialect import load_dialect
from switch.iso8583.meanings import ACTION_CODES
from switch.iso8583.message import Message

NEW = load_dialect("iso8583-1993-ascii")
OLD = load_dialect("iso8583-1987-ascii")


def _line(lines: list[Line], path: str) -> Line:
    (line,) = [line for line in lines if line.path == path]
    return line


def test_a_message_is_told_element_by_element_with_its_parts() -> None:
    lines = describe(purchase(), NEW)
    assert lines[0] == Line("t", "Message type", "1100", "Authorization request")
    assert _line(lines, "3").meaning == "purchase"
    assert _line(lines, "4").meaning == "123.45 GBP"
    assert _line(lines, "24").meaning == "authorization, exact amount"
    assert _line(lines, "22.7") == Line("22.7", "input mode", "5", "chip")
    assert _line(lines, "43.3").value == "Leeds"
    assert _line(lines, "55.9F26") == Line("55.9F26", "Application cryptogram", "1122334455667788")
    paths = [line.path for line in lines if "." not in line.path]
    assert paths == ["t", *map(str, sorted(purchase().fields))]


def test_answers_and_reversals_are_told_too() -> None:
    lines = describe(approval(), NEW)
    assert _line(lines, "39").meaning == "approved"
    assert _line(lines, "54.1") == Line("54.1", "available balance", "100000 minor units of 826", "account: savings")
    lines = describe(reversal(), NEW)
    assert _line(lines, "25").meaning == "no answer in time"
    assert _line(lines, "56.2").value == "000001"


@pytest.mark.parametrize(
    ("amount", "currency", "meaning"),
    [
        ("000000000005", "826", "0.05 GBP"),
        ("000000000005", "392", "5 JPY"),
        ("000000001234", "048", "1.234 BHD"),
        ("000000000005", "999", ""),
        ("000000000000", "GBP", "0.00 GBP"),
    ],
)
def test_amounts_are_told_in_major_units(amount: str, currency: str, meaning: str) -> None:
    assert _line(describe(Message("1100", {4: amount, 49: currency}), NEW), "4").meaning == meaning


def test_a_message_of_1987_is_told_in_its_own_terms() -> None:
    lines = describe(purchase_1987(), OLD)
    assert lines[0].meaning == "Authorization request"
    assert _line(lines, "25").meaning == ""
    assert _line(describe(Message("0110", {39: "51"}), OLD), "39").meaning == "not enough money"
    assert _line(describe(Message("0420", {39: "68"}), OLD), "39").meaning == ""


def test_card_data_are_masked_unless_asked_for() -> None:
    message = purchase()
    message.fields[55] = f"5A08{PAN}" + "57114761340000000019D2912201100001230F" + "7006" + "5F200341424E"
    masked = "\n".join(map(str, describe(message, NEW)))
    assert PAN not in masked
    assert "41424E" not in masked
    assert _line(describe(message, NEW), "2").value == "476134******0019"
    assert _line(describe(message, NEW), "55.5A").value == "[8 bytes]"
    assert PAN in str(_line(describe(message, NEW, unmask=True), "55.5A"))


@pytest.mark.parametrize(("number", "value"), [(22, "5"), (43, "Shop"), (54, "x"), (55, "9F"), (56, "1")])
def test_parts_that_cannot_be_read_are_said_and_hide_nothing_else(number: int, value: str) -> None:
    lines = describe(Message("1110", {number: value, 11: "000001"}), NEW)
    assert lines[-1].value.startswith("cannot be read: ")
    assert _line(lines, "11").value == "000001"


def test_elements_that_the_dialect_lacks_are_left_out() -> None:
    assert [line.path for line in describe(Message("1110", {65: "x", 200: "y"}), NEW)] == ["t"]


def test_every_action_code_has_a_meaning() -> None:
    assert set(ACTION_CODES) == set(ACTION_TO_RESPONSE)
