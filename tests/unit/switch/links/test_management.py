"""Network management messages and short answers."""

from itertools import islice

from switch.iso8583.message import Message
from switch.links.management import answer_management, stans, turn_away


def test_trace_numbers_run_round_without_zero() -> None:
    """After 999999 comes 000001."""
    assert list(islice(stans(999_997), 3)) == ["999998", "999999", "000001"]


def test_an_answer_that_turns_away_tells_nothing_of_the_card() -> None:
    """Trace data go back, the card number and its track do not."""
    request = Message(
        "1101", {2: "4761340000000019", 3: "000000", 11: "000001", 35: "x", 41: "TERM0001", 49: "826"}, b"\x60\0\0\0\0"
    )
    answer = turn_away(request, "907")
    assert (answer.mti, answer.header) == ("1110", b"\x60\0\0\0\0")
    assert answer.fields == {3: "000000", 11: "000001", 41: "TERM0001", 49: "826", 39: "907"}


def test_the_answer_to_network_management_echoes_its_function() -> None:
    """DE 24 and the trace number are those of the request."""
    answer = answer_management(Message("1804", {7: "1121010203", 11: "000001", 24: "831"}))
    assert (answer.mti, answer.fields) == ("1814", {7: "1121010203", 11: "000001", 24: "831", 39: "800"})
