"""`postrail load`: payments are authorized when they are due, and an account is never meant by mistake."""

import json
from datetime import datetime

from postrail.cli.inputs import Payment
from postrail.cli.load import authorized_when_due


def test_a_payment_is_authorized_when_it_is_due():
    """The graph's own latency would else grow with a payment's place in the run."""
    payments = [Payment(f"pay_{n}", {"authorized_at": "2026-01-01T00:00:00Z", "stan": "1"}) for n in range(3)]
    stamped = authorized_when_due(payments, [0.0, 10.0, 60.5])
    times = [datetime.fromisoformat(payment.body["authorized_at"]) for payment in stamped]
    assert [(at - times[0]).total_seconds() for at in times] == [0.0, 10.0, 60.5]
    assert all(payment.body["stan"] == "1" for payment in stamped)
    assert payments[0].body["authorized_at"] == "2026-01-01T00:00:00Z"


def test_what_is_no_authorization_stays_as_it_is():
    assert authorized_when_due([Payment("pay_1", "broken")], [1.0])[0].body == "broken"


def test_a_load_on_an_account_has_to_be_said(graph, monkeypatch, postrail):
    monkeypatch.setattr("postrail.cli.load.load_graph", lambda: graph)
    code, _, err = postrail("load", "--count", "1")
    assert code == 1
    assert "say --target aws" in err


def test_a_load_through_the_switch_needs_a_local_cloud(graph, monkeypatch, postrail):
    monkeypatch.setattr("postrail.cli.load.load_graph", lambda: graph)
    code, out, err = postrail("load", "--count", "1", "--target", "aws", "--via", "switch", "--json")
    assert code == 1
    assert "beside a local cloud" in err
    assert not out or json.loads(out)
