"""Counting the ends of a run: every payment once, the ledger believed first."""

from datetime import UTC, datetime

import pytest

from postrail.adapters.postgres.follow import FollowedPayment, FollowStatus
from postrail.cli.dead_letters import Letter
from postrail.cli.follow import DEAD_LETTERS_EVERY_SECONDS, End, Outcome, Tally, follow, report_on
from postrail.cli.ledger_ends import end_of

RUN = "run_1"


def _tally(*ids):
    return Tally(frozenset(ids), RUN)


def _letter(payment_id=None, correlation_id=RUN, message_id="m1", reason="WRONG_TYPE", at=10.0):
    return Letter("standardise-dlq", message_id, "r", payment_id, correlation_id, reason, "", at, "{}")


def _posted(at=10.0):
    return End(Outcome.POSTED, "", at)


class Script:
    """Answers of the ledger and the queues, one step after the other; time passes by sleeping."""

    def __init__(self, ledger=(), letters=()):
        self.ledger, self.letters, self.now = list(ledger), list(letters), 0.0
        self.looks = 0

    def ends(self):
        return self.ledger.pop(0) if len(self.ledger) > 1 else (self.ledger[0] if self.ledger else {})

    def look(self):
        self.looks += 1
        return self.letters.pop(0) if self.letters else []

    def sleep(self, seconds):
        self.now += seconds

    def run(self, tally, timeout=5.0):
        follow(tally, self, self, timeout_seconds=timeout, clock=lambda: self.now, sleep=self.sleep)


def test_following_ends_when_every_payment_has_its_end():
    tally = _tally("a", "b", "c")
    script = Script(
        ledger=[{}, {"a": _posted()}, {"a": _posted(), "b": End(Outcome.PARKED, "DUPLICATE", 11.0)}],
        letters=[[], [_letter("c")]],
    )
    script.run(tally)
    assert {id_: end.outcome for id_, end in tally.ends.items()} == {
        "a": Outcome.POSTED,
        "b": Outcome.PARKED,
        "c": Outcome.DEAD_LETTERED,
    }
    assert tally.unaccounted() == []


def test_following_gives_up_when_the_time_is_over_and_names_the_missing():
    tally = _tally("a", "b")
    script = Script(ledger=[{"a": _posted()}])
    script.run(tally, timeout=3.0)
    assert script.now == pytest.approx(3.0, abs=0.3)
    assert tally.unaccounted() == ["b"]


def test_dead_letter_queues_are_not_read_at_every_poll():
    script = Script(ledger=[{}])
    script.run(_tally("a"), timeout=4 * DEAD_LETTERS_EVERY_SECONDS)
    assert script.looks <= 5


def test_dead_letter_queues_are_not_read_when_the_ledger_knows_all():
    script = Script(ledger=[{"a": _posted()}])
    script.run(_tally("a"))
    assert script.looks == 0


def test_the_ledger_is_believed_over_a_dead_letter():
    tally = _tally("a")
    tally.take_letters([_letter("a")])
    tally.take_ledger({"a": _posted()})
    assert tally.ends["a"].outcome is Outcome.POSTED
    tally.take_letters([_letter("a", message_id="m2")])
    assert tally.ends["a"].outcome is Outcome.POSTED


def test_several_letters_about_one_payment_count_once():
    tally = _tally("a", "b")
    tally.take_letters([_letter("a", message_id="m1"), _letter("a", message_id="m2")])
    assert tally.settled == 1


def test_letters_and_payments_of_other_runs_do_not_count():
    tally = _tally("a")
    tally.take_letters([_letter("a", correlation_id="run_0"), _letter("z"), _letter(None, "run_0", "m3")])
    tally.take_ledger({"z": _posted()})
    assert "a" not in tally.ends
    assert [end.outcome for end in tally.nameless.values()] == [Outcome.DEAD_LETTERED]


def test_a_letter_of_the_run_without_a_payment_id_accounts_for_one_payment():
    tally = _tally("a", "b")
    tally.take_ledger({"a": _posted()})
    tally.take_letters([_letter(None)])
    assert tally.settled == 2
    assert tally.unaccounted() == []
    assert report_on(tally, {"a": 1.0, "b": 1.0}).counts[Outcome.DEAD_LETTERED] == 1


def test_more_letters_than_payments_never_count_more_than_were_sent():
    tally = _tally("a")
    tally.take_letters([_letter(None, message_id=f"m{number}") for number in range(3)])
    report = report_on(tally, {"a": 1.0})
    assert sum(report.counts.values()) == report.injected == 1


def test_the_report_measures_from_the_first_injection_to_the_last_end():
    tally = _tally("a", "b", "c", "d")
    tally.take_ledger(
        {
            "a": _posted(100.1),
            "b": _posted(100.3),
            "c": End(Outcome.REJECTED, "UNKNOWN_ACCOUNT", 102.0),
            "d": End(Outcome.REFERRED, "RULE_REFERRED", 101.0),
        }
    )
    report = report_on(tally, {"a": 100.0, "b": 100.0, "c": 100.05, "d": 100.05})
    assert (report.seconds, report.throughput_per_s) == (2.0, 2.0)
    assert (report.latency_p50_ms, report.latency_p99_ms) == (100.0, 300.0)
    assert report.reasons[Outcome.REJECTED] == {"UNKNOWN_ACCOUNT": 1}


def test_the_json_report_has_the_documented_fields():
    tally = _tally("a", *(f"missing_{number}" for number in range(7)))
    tally.take_ledger({"a": _posted(2.0)})
    document = report_on(tally, {"a": 1.0}).document()
    assert list(document)[:9] == [
        "run_id", "injected", "posted", "parked", "rejected", "referred", "dead_lettered", "unaccounted",
        "unaccounted_ids",
    ]  # fmt: skip
    assert document["unaccounted"] == 7
    assert len(document["unaccounted_ids"]) == 5
    assert document["latency_ms"] == {"p50": 1000.0, "p99": 1000.0}


def test_a_run_in_which_nothing_was_posted_has_no_latency():
    tally = _tally("a")
    tally.take_letters([_letter("a")])
    report = report_on(tally, {"a": 1.0})
    assert report.latency_p50_ms is None
    assert report_on(_tally("a"), {"a": 1.0}).seconds is None


@pytest.mark.parametrize(
    ("status", "detail_type", "reason", "outcome"),
    [
        (FollowStatus.POSTED, "PaymentPosted", None, Outcome.POSTED),
        (FollowStatus.REFUSED, "PaymentPostingFailed", "ACCOUNT_NOT_OPEN", Outcome.REJECTED),
        (FollowStatus.OUTCOME, "PaymentRejected", "UNKNOWN_ACCOUNT", Outcome.REJECTED),
        (FollowStatus.OUTCOME, "PaymentReferred", "RULE_REFERRED", Outcome.REFERRED),
        (FollowStatus.OUTCOME, "DuplicateParked", "DUPLICATE", Outcome.PARKED),
    ],
)
def test_what_the_database_says_becomes_an_end(status, detail_type, reason, outcome):
    row = FollowedPayment("pay_1", RUN, status, detail_type, reason, datetime.fromtimestamp(5.5, UTC))
    assert end_of(row) == End(outcome, reason or "", 5.5)


def test_a_payment_that_waits_for_parts_has_no_end():
    assert end_of(FollowedPayment("pay_1", RUN, FollowStatus.WAITING, "", None, None)) is None
