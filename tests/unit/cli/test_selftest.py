"""The selftest: its probes are sound, and what is seen of them becomes signals."""

import json

import pytest
from pydantic import ValidationError

from postrail.cli.dead_letters import Letter
from postrail.cli.edges import ALERT, AUDIT, DEAD_LETTER, EDGES, LEDGER, SENT, Probe
from postrail.cli.follow import End, Outcome
from postrail.cli.observer import Alert, Observed
from postrail.cli.probes import make_probes
from postrail.cli.selftest import Watch
from postrail.contracts.payment import Authorization
from postrail.domain.card import is_card_token
from postrail.sampling.accounts import SAMPLE_RANGE
from postrail.sampling.selftest import FROZEN_ACCOUNT_ID, selftest_cards, unknown_token
from postrail.stages.deduplicate import fingerprint_of, payment_key_of

RUN = "selftest_0123456789abcdef0123456789abcdef"


@pytest.fixture
def probes():
    return make_probes(RUN)


@pytest.fixture
def watch(probes):
    return Watch(probes)


def _authorization(payment):
    return Authorization.model_validate_json(json.dumps(payment.body))


def _event(watch, probe, detail_type, at=5.0, **data):
    return Observed(detail_type, watch.probes[probe].payment_id, at, at + 1, data)


def test_every_probe_but_the_malformed_one_is_a_valid_authorization(probes):
    for probe in set(Probe) - {Probe.MALFORMED}:
        assert _authorization(probes[probe]).amount_minor == 1
    with pytest.raises(ValidationError, match="unknown_currency"):
        _authorization(probes[Probe.MALFORMED])


def test_the_twin_is_a_duplicate_of_the_events_probe_and_of_no_other(probes):
    keys = {probe: payment_key_of(_authorization(probes[probe])) for probe in set(Probe) - {Probe.MALFORMED}}
    assert keys[Probe.TWIN] == keys[Probe.EVENTS]
    assert len(set(keys.values())) == len(keys) - 1
    events, twin = (_authorization(probes[probe]) for probe in (Probe.EVENTS, Probe.TWIN))
    assert fingerprint_of(events) == fingerprint_of(twin)
    assert events.payment_id != twin.payment_id


def test_a_second_selftest_is_no_duplicate_of_the_first(probes):
    again = make_probes("selftest_fedcba9876543210fedcba9876543210")
    assert payment_key_of(_authorization(again[Probe.TABLE])) != payment_key_of(_authorization(probes[Probe.TABLE]))


def test_probes_use_the_cards_that_seed_prepares(probes):
    cards = dict(selftest_cards())
    for probe in (Probe.TABLE, Probe.EVENTS, Probe.TWIN):
        assert cards[probes[probe].body["card"]["token"]].status == "open"
    assert cards[probes[Probe.FROZEN].body["card"]["token"]].account_id == FROZEN_ACCOUNT_ID
    assert probes[Probe.UNKNOWN].body["card"]["token"] not in cards


def test_selftest_cards_are_tokens_outside_the_samples_range():
    tokens = [token for token, _ in selftest_cards()] + [unknown_token(number) for number in range(50)]
    assert len(set(tokens)) == len(tokens)
    assert all(is_card_token(token) and not token.startswith(SAMPLE_RANGE) for token in tokens)


def test_postings_count_when_all_parts_were_seen(watch):
    watch.hear(_event(watch, Probe.TABLE, "PostingRequested", 1.0, index=2, total=2))
    assert (Probe.TABLE, "PostingRequested") not in watch.signals
    watch.hear(_event(watch, Probe.TABLE, "PostingRequested", 2.0, index=2, total=2))
    assert (Probe.TABLE, "PostingRequested") not in watch.signals
    watch.hear(_event(watch, Probe.TABLE, "PostingRequested", 3.0, index=1, total=2))
    assert watch.signals[Probe.TABLE, "PostingRequested"] == 3.0


def test_what_leaves_through_the_outbox_counts_from_its_arrival(watch):
    watch.hear(_event(watch, Probe.TABLE, "PaymentPosted", 3.0))
    assert watch.signals[Probe.TABLE, "PaymentPosted"] == 4.0


def test_whichever_of_two_equal_events_was_parked_is_the_twin(watch):
    first = dict(watch.probes)
    watch.sent(Probe.EVENTS, 1.0)
    watch.sent(Probe.TWIN, 2.0)
    watch.hear(_event(watch, Probe.TWIN, "PaymentAccepted", 3.0))
    watch.hear(_event(watch, Probe.EVENTS, "DuplicateParked", 4.0))
    watch.settle_twins()
    watch.settle_twins()
    assert watch.signals == {
        (Probe.TWIN, SENT): 1.0,
        (Probe.EVENTS, SENT): 2.0,
        (Probe.EVENTS, "PaymentAccepted"): 3.0,
        (Probe.TWIN, "DuplicateParked"): 4.0,
    }
    assert watch.probes[Probe.EVENTS] is first[Probe.TWIN]
    watch.end(first[Probe.TWIN].payment_id, End(Outcome.POSTED, "", 5.0))
    assert watch.signals[Probe.EVENTS, LEDGER] == 5.0


def test_ends_alerts_and_letters_become_signals(watch):
    payments = watch.probes
    watch.end(payments[Probe.TABLE].payment_id, End(Outcome.POSTED, "", 1.0))
    watch.end(payments[Probe.UNKNOWN].payment_id, End(Outcome.REJECTED, "UNKNOWN_ACCOUNT", 2.0))
    watch.alert(Alert(f'{{"detail": {{"x": "{payments[Probe.FROZEN].payment_id}"}}}}', 3.0))
    letter = Letter("deduplicate-dlq", "m", "r", payments[Probe.MALFORMED].payment_id, RUN, "X", "", 4.0, "")
    assert watch.letter(letter, RUN)
    assert watch.signals == {
        (Probe.TABLE, LEDGER): 1.0,
        (Probe.UNKNOWN, AUDIT): 2.0,
        (Probe.FROZEN, ALERT): 3.0,
        (Probe.MALFORMED, DEAD_LETTER): 4.0,
    }


def test_what_belongs_to_others_is_ignored(watch):
    watch.hear(Observed("PaymentAccepted", "pay_other", 1.0, 1.0, {}))
    watch.end("pay_other", End(Outcome.POSTED, "", 1.0))
    watch.alert(Alert("pay_other", 1.0))
    assert not watch.letter(Letter("q", "m", "r", "pay_other", "run_other", "X", "", 1.0, ""), RUN)
    assert watch.signals == {}


def test_a_missing_account_is_explained_by_what_to_run(watch):
    watch.hear(_event(watch, Probe.TABLE, "PaymentRejected", reason_code="UNKNOWN_ACCOUNT"))
    assert "postrail seed" in watch.remarks[Probe.TABLE]


def test_a_graph_in_which_nothing_runs_is_blamed_at_its_doors(postrail, graph, no_graph, monkeypatch):
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setattr("postrail.cli.ledger_door.LedgerEnds", _NoLedger)
    code, out, err = postrail("selftest", "--timeout", "1", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["delivered"] is False
    assert len(document["edges"]) == len(EDGES)
    assert document["not_delivered"] == [
        "authorizations table > stream > intake pipe > deduplicate > bus",
        "PaymentAuthorized > deduplicate > bus",
        "duplicate > deduplicate > parked-events, bus",
        "malformed event > deduplicate > deduplicate-dlq",
    ]
    assert "Not delivered: authorizations table" in err


class _NoLedger:
    def __init__(self, *_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ends(self):
        return {}
