"""A run sends by the clock and follows each payment; a slow graph delays nothing but its own answers."""

import threading
import time

import pytest

from postrail.load.run import Ended, LoadRun, Ways


class SlowGraph:
    """Takes payments in calls that last `call_s`, and posts each `post_s` later; some are refused or never end."""

    def __init__(self, *, call_s=0.0, post_s=0.05, refuses=(), forgets=(), buries=()):
        self.call_s, self.post_s = call_s, post_s
        self.refuses, self.forgets, self.buries = set(refuses), set(forgets), set(buries)
        self.posted_at = {}
        self.asked = []
        self.lock = threading.Lock()

    def send(self, batch):
        time.sleep(self.call_s)
        now = time.time()
        with self.lock:
            self.posted_at.update((each, now + self.post_s) for each in batch)
        return {each: "throttled" for each in batch if each in self.refuses}

    def ends(self, ids):
        now = time.time()
        self.asked.append(len(ids))
        silent = self.forgets | self.buries
        with self.lock:
            known = {each: self.posted_at[each] for each in ids if each in self.posted_at and each not in silent}
        return {each: Ended("posted", "", at) for each, at in known.items() if at <= now}

    def letters(self):
        return {each: Ended("dead_lettered", "WRONG_TYPE", time.time()) for each in self.buries}

    def run(self, *, lanes=4, patience=5.0, batch_max=10):
        ways = Ways(send=self.send, id_of=str, ends=self.ends, letters=self.letters, batch_max=batch_max)
        return LoadRun(ways, lanes=lanes, patience_seconds=patience)


PAYMENTS = [f"p{number}" for number in range(40)]


def test_every_payment_is_sent_and_followed_to_its_end():
    record = SlowGraph().run().play(PAYMENTS, [number / 100 for number in range(40)])
    assert set(record.ends) == set(PAYMENTS)
    assert all(record.sent[each] >= record.due[each] for each in PAYMENTS)
    assert record.open == 0


def test_due_times_do_not_wait_for_answers():
    """Each call lasts longer than the whole schedule: the times are due all the same, and sent together in lanes."""
    record = SlowGraph(call_s=0.3).run(lanes=2, batch_max=5).play(PAYMENTS, [number / 200 for number in range(40)])
    due = [record.due[each] - record.started_at for each in PAYMENTS]
    assert due == pytest.approx([number / 200 for number in range(40)], abs=1e-5)
    assert max(record.sent[each] - record.due[each] for each in PAYMENTS) > 0.3


def test_what_the_door_refuses_is_not_awaited():
    record = SlowGraph(refuses=["p3"]).run().play(PAYMENTS, [0.0] * 40)
    assert record.refused == {"p3": "throttled"}
    assert set(record.ends) == set(PAYMENTS) - {"p3"}


def test_a_payment_without_an_end_is_awaited_for_so_long_and_no_longer():
    record = SlowGraph(forgets=["p7"]).run(patience=0.6).play(PAYMENTS, [0.0] * 40)
    assert set(PAYMENTS) - set(record.ends) == {"p7"}


def test_dead_letters_are_ends():
    record = SlowGraph(buries=["p5"]).run().play(PAYMENTS, [0.0] * 40)
    assert record.ends["p5"].outcome == "dead_lettered"


def test_a_broken_ledger_ends_the_run():
    graph = SlowGraph()

    def broken(ids):
        raise ConnectionError("the ledger is gone")

    graph.ends = broken
    with pytest.raises(ConnectionError, match="the ledger is gone"):
        graph.run().play(PAYMENTS, [0.0] * 40)


def test_a_broken_door_ends_the_run():
    graph = SlowGraph()

    def broken(batch):
        raise ConnectionError("no endpoint")

    graph.send = broken
    with pytest.raises(ConnectionError, match="no endpoint"):
        graph.run().play(PAYMENTS, [0.0] * 40)
