"""The window in which messages are known again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switch.iso8583.message import Message
from switch.network.duplicates import (
    WAITERS_MAX,
    Claimed,
    DuplicateWindow,
    Entry,
    compose_answer,
    is_same_card,
    settle,
    wait_for,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def make(seconds: float = 10, count_max: int = 100) -> tuple[DuplicateWindow, Clock]:
    clock = Clock()
    return DuplicateWindow(seconds, count_max, clock), clock


def test_a_key_goes_from_new_over_in_progress_to_answered() -> None:
    window, _ = make()
    claimed, entry = window.claim("k", b"card", ("1000",))
    assert claimed is Claimed.NEW
    assert window.claim("k", b"card", ("1000",)) == (Claimed.IN_PROGRESS, entry)
    settle(entry, "000", {38: "A1"})
    assert window.claim("k", b"card", ("1000",)) == (Claimed.ANSWERED, entry)
    assert (entry.action_code, dict(entry.answer)) == ("000", {38: "A1"})


def test_another_card_or_content_is_a_conflict_before_and_after_the_answer() -> None:
    window, _ = make()
    _, entry = window.claim("k", b"card", ("1000",))
    assert window.claim("k", b"card", ("2000",))[0] is Claimed.CONFLICT
    settle(entry, "000")
    assert window.claim("k", b"other", ("1000",))[0] is Claimed.CONFLICT
    assert is_same_card(entry, b"card")
    assert not is_same_card(entry, b"other")


def test_what_is_older_than_the_window_is_forgotten_but_not_what_is_in_progress() -> None:
    """A message that waits for its bank is known however long that takes."""
    window, clock = make(seconds=10)
    _, slow = window.claim("slow", b"", ())
    _, quick = window.claim("quick", b"", ())
    settle(quick, "000")
    clock.now = 11
    assert window.claim("quick", b"", ())[0] is Claimed.NEW
    assert window.find("slow") is slow
    assert window.claim("slow", b"", ())[0] is Claimed.IN_PROGRESS


@pytest.mark.parametrize(
    ("code", "sent", "undone", "left_nothing"),
    [
        ("", True, False, False),
        ("000", True, False, False),
        ("116", True, False, True),
        ("208", True, False, True),
        ("912", False, False, True),
        ("911", True, True, True),
        ("909", True, False, False),
        ("923", True, False, False),
        ("913", True, False, False),
        ("913", False, False, False),
        ("400", False, False, False),
    ],
)
def test_what_left_nothing_at_the_bank_is_told_apart(code: str, sent: bool, undone: bool, left_nothing: bool) -> None:
    """Declined, never sent, or being undone: its reversal need not be passed on. In doubt it is."""
    assert Entry(0, 0, 0.0, code, sent=sent, undone=undone).left_nothing is left_nothing


def test_a_key_that_was_given_up_is_new_again() -> None:
    window, _ = make()
    _, entry = window.claim("k", b"", ())
    window.forget("k", entry)
    claimed, second = window.claim("k", b"", ())
    assert claimed is Claimed.NEW
    window.forget("k", entry)
    assert window.find("k") is second


@given(st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=200), st.integers(1, 10))
def test_it_never_grows_beyond_its_bound_and_what_is_in_progress(keys: list[tuple[int, bool]], count_max: int) -> None:
    window, _ = make(count_max=count_max)
    open_keys: set[int] = set()
    open_max = 0
    for key, answered in keys:
        claimed, entry = window.claim(str(key), b"", ())
        if claimed is Claimed.NEW:
            open_keys.add(key)
        if answered:
            settle(entry, "000")
            open_keys.discard(key)
        open_max = max(open_max, len(open_keys))
        assert len(window) <= count_max + open_max


def test_those_who_wait_are_told_once_and_are_few() -> None:
    window, _ = make()
    _, entry = window.claim("k", b"", ())
    told: list[str] = []

    def tell(answered: Entry) -> None:
        told.append(answered.action_code)

    assert [wait_for(entry, tell) for _ in range(WAITERS_MAX + 1)] == [True] * WAITERS_MAX + [False]
    settle(entry, "116")
    settle(entry, "116")
    assert told == ["116"] * WAITERS_MAX


def test_an_answer_echoes_what_says_whose_it_is_and_no_card() -> None:
    """Header and DE 3, 4, 7, 11, 12, 32, 37, 41, 42, 49 come back; DE 2, 35, 52, 55 do not."""
    request = Message(
        "1101", {2: "4761340000000019", 3: "000000", 4: "1", 7: "2", 11: "3", 35: "x", 52: "y", 55: "z"}, b"\x60\x00"
    )
    answer = compose_answer(request, "000", {38: "A1"})
    assert answer == Message("1110", {3: "000000", 4: "1", 7: "2", 11: "3", 38: "A1", 39: "000"}, b"\x60\x00")
