"""Which edge of the graph is to blame."""

import pytest

from postrail.cli.edges import (
    ALERT,
    AUDIT,
    DEAD_LETTER,
    EDGES,
    LEDGER,
    SENT,
    Probe,
    complete,
    judge,
    undelivered,
)

ROAD = (SENT, "PaymentAccepted", "PaymentStandardised", "PaymentEnriched")
POSTED = (*ROAD, "PaymentApproved", "PostingRequested", LEDGER, "PaymentPosted")
FULL = {
    Probe.TABLE: POSTED,
    Probe.EVENTS: POSTED,
    Probe.TWIN: (SENT, "DuplicateParked", AUDIT),
    Probe.UNKNOWN: (*ROAD[:3], "PaymentRejected", AUDIT),
    Probe.FROZEN: (*ROAD, "PaymentReferred", AUDIT, ALERT),
    Probe.MALFORMED: (SENT, DEAD_LETTER),
}


def signals(**without):
    """All signals of a sound graph, a tenth of a second apart; `without` cuts a probe's road at a signal."""
    found = {}
    for probe, road in FULL.items():
        cut = without.get(probe.value)
        for number, name in enumerate(road[: road.index(cut)] if cut else road):
            found[probe, name] = 100 + number / 10
    return found


def test_a_sound_graph_delivers_over_every_edge():
    verdicts = judge(signals(), {})
    assert complete(signals())
    assert undelivered(verdicts) == []
    assert {verdict.milliseconds for verdict in verdicts if verdict.edge.then != ALERT} == {100.0}


def test_every_signal_but_the_first_is_the_end_of_some_edge():
    ends = {(probe, edge.then) for edge in EDGES for probe in edge.probes}
    assert ends == {key for key in signals() if key[1] != SENT}


def test_nothing_sent_blames_nobody():
    verdicts = judge({}, {})
    assert {verdict.delivered for verdict in verdicts} == {None}
    assert not complete({})


@pytest.mark.parametrize(
    ("without", "blamed"),
    [
        ({"table": "PaymentAccepted"}, "authorizations table > stream > intake pipe > deduplicate > bus"),
        ({"events": "PaymentAccepted"}, "PaymentAuthorized > deduplicate > bus"),
        (
            {"table": "PaymentApproved", "events": "PaymentApproved"},
            "PaymentEnriched > apply-rules > rules pipe > rules-engine",
        ),
        ({"table": LEDGER, "events": LEDGER}, "PostingRequested > posting > ledger"),
        ({"table": "PaymentPosted", "events": "PaymentPosted"}, "ledger > outbox > PaymentPosted"),
        ({"frozen": ALERT}, "PaymentReferred > alerts"),
        ({"twin": AUDIT}, "DuplicateParked > record-outcome > audit"),
        ({"malformed": DEAD_LETTER}, "malformed event > deduplicate > deduplicate-dlq"),
    ],
)
def test_only_the_edge_that_broke_is_blamed_and_not_those_behind_it(without, blamed):
    assert undelivered(judge(signals(**without), {})) == [blamed]


def test_one_lost_payment_of_two_is_enough_to_blame():
    assert undelivered(judge(signals(table=LEDGER), {})) == ["PostingRequested > posting > ledger"]


def test_another_end_than_expected_is_told():
    found = signals(table="PaymentEnriched", events="PaymentEnriched") | {(Probe.TABLE, "PaymentRejected"): 101.0}
    (verdict,) = [each for each in judge(found, {Probe.TABLE: " (UNKNOWN_ACCOUNT)"}) if each.delivered is False]
    assert verdict.edge.name == "PaymentStandardised > enrich"
    assert verdict.remark == "PaymentRejected came instead (UNKNOWN_ACCOUNT)"
