"""Waits between attempts to connect."""

import itertools

from switch.links.backoff import Backoff


def test_waits_double_up_to_the_most() -> None:
    """Without jitter: 0.2, 0.4, ... and then 30 s for ever."""
    backoff = Backoff(0.2, 30.0, random_share=lambda: 0.0)
    waits = [backoff.next_seconds() for _ in range(12)]
    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]
    assert waits[-2:] == [30.0, 30.0]


def test_jitter_takes_up_to_half() -> None:
    """Each wait lies between half of itself and itself, so that many links do not come back at once."""
    shares = itertools.cycle([0.0, 0.25, 0.5, 0.999])
    backoff = Backoff(1.0, 8.0, random_share=lambda: next(shares))
    waits = [backoff.next_seconds() for _ in range(4)]
    assert waits[0] == 1.0
    assert waits[1] == 1.75
    assert waits[2] == 3.0
    assert 4.0 <= waits[3] < 4.1


def test_success_begins_anew() -> None:
    """After a link was up the first wait is short again."""
    backoff = Backoff(0.2, 30.0, random_share=lambda: 0.0)
    for _ in range(5):
        backoff.next_seconds()
    backoff.reset()
    assert backoff.next_seconds() == 0.2
