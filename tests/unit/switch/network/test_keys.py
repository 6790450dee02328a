"""How messages are known again."""

from hypothesis import given
from hypothesis import strategies as st

from switch.iso8583.message import Message
from switch.network.keys import Stans, fingerprint, message_key, original_data, original_key

digits = st.text("0123456789", min_size=6, max_size=6)


@given(digits, st.text("0123456789", min_size=12, max_size=12), st.text("0123456789", min_size=1, max_size=11))
def test_what_names_an_original_finds_its_key(stan: str, local_time: str, acquirer: str) -> None:
    """DE 56 and DE 41 of a reversal make the original's own key, also when the original was a repetition."""
    for mti in ("1100", "1101"):
        original = Message(mti, {11: stan, 12: local_time, 32: acquirer, 41: "TERM0001"})
        reversal = Message("1420", {11: "1", 12: "2", 32: acquirer, 41: "TERM0001", 56: original_data(original)})
        assert original_key(reversal) == message_key(original)
        assert message_key(reversal) != message_key(original)


def test_what_names_nothing_has_no_original() -> None:
    for text in ("", "1100", "1100000001261121010203", "110000000126112101020307400001", "x" * 24):
        assert original_key(Message("1420", {56: text, 41: "T"})) is None


def test_a_reversal_that_shares_the_trace_number_has_another_key() -> None:
    fields = {11: "000001", 12: "261121010203", 32: "400001", 41: "TERM0001"}
    assert message_key(Message("1100", fields)) == message_key(Message("1101", fields))
    assert message_key(Message("1100", fields)) == message_key(Message("1120", fields))
    assert len({message_key(Message(mti, fields)) for mti in ("1100", "1220", "1420")}) == 3


def test_a_fingerprint_tells_card_amount_and_original() -> None:
    said = {3: "000000", 4: "000000001000", 24: "400", 49: "826", 56: "x"}
    prints = {fingerprint(Message("1420", said), b"card"), fingerprint(Message("1420", said), b"other")}
    for number in (3, 4, 24, 49, 56):
        prints.add(fingerprint(Message("1420", said | {number: "99"}), b"card"))
    assert len(prints) == 7
    assert {len(each) for each in prints} == {32}
    assert fingerprint(Message("1421", said | {7: "1"}), b"card") == fingerprint(Message("1420", said), b"card")


@given(st.integers(0, 2_000_000))
def test_trace_numbers_have_six_digits_and_are_never_zero(start: int) -> None:
    stans = Stans(start % 1_000_000)
    drawn = [stans.draw() for _ in range(5)]
    assert all(len(each) == 6 and each != "000000" for each in drawn)
    assert len(set(drawn)) == 5


def test_trace_numbers_wrap() -> None:
    stans = Stans(999_998)
    assert [stans.draw() for _ in range(3)] == ["999999", "000001", "000002"]


def test_a_restarted_process_begins_elsewhere() -> None:
    assert len({Stans.from_clock(1_800_000_000 + second).draw() for second in range(100)}) == 100
