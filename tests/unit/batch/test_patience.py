"""Calls are tried again while the ledger cannot be reached, and given up when patience is at its end."""

import pytest

from postrail.batch import patience
from postrail.batch.patience import patiently
from postrail.domain.errors import Permanent, ReasonCode, Retryable


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(patience, "time", found)
    return found


class Flaky:
    """Fails so many times with an error, then answers."""

    def __init__(self, failures: int, error: Exception) -> None:
        self.left = failures
        self.error = error
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise self.error
        return "done"


def test_a_call_that_fails_for_a_while_succeeds_in_the_end(clock: Clock) -> None:
    call = Flaky(5, Retryable("cut"))
    assert patiently(call, 60) == "done"
    assert call.calls == 6
    assert clock.pauses[0] < clock.pauses[-1] <= 2.0


def test_patience_ends_with_the_last_error_and_in_time(clock: Clock) -> None:
    call = Flaky(1_000_000, Retryable("cut"))
    with pytest.raises(Retryable, match="cut"):
        patiently(call, 30)
    assert 30 <= clock.now <= 32
    assert call.calls < 60


def test_without_patience_there_is_one_try(clock: Clock) -> None:
    call = Flaky(1, Retryable("cut"))
    with pytest.raises(Retryable):
        patiently(call, 0)
    assert (call.calls, clock.pauses) == (1, [])


def test_what_cannot_succeed_is_not_tried_again(clock: Clock) -> None:
    call = Flaky(1, Permanent(ReasonCode.INVALID_VALUE, "never"))
    with pytest.raises(Permanent):
        patiently(call, 30)
    assert call.calls == 1
