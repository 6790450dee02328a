"""The marked payments of a selftest: a penny each, on accounts that nobody else uses."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from postrail.adapters.system import SystemIds
from postrail.cli.edges import Probe
from postrail.cli.inputs import Payment
from postrail.sampling.selftest import CARDS, FROZEN_CARDS, selftest_token, unknown_token

AMOUNT_MINOR = 1
NO_CURRENCY = "ZZZ"
"""Not a currency in ISO 4217: what makes the malformed probe malformed."""


def make_probes(run_id: str) -> Mapping[Probe, Payment]:
    """One payment for each probe. The twin has the idempotency key of the events probe, and an id of its own."""
    draw = random.SystemRandom()
    tokens = {
        Probe.TABLE: selftest_token(draw.randrange(CARDS // 2)),
        Probe.EVENTS: selftest_token(CARDS // 2 + draw.randrange(CARDS // 2)),
        Probe.UNKNOWN: unknown_token(draw.randrange(10**6)),
        Probe.FROZEN: selftest_token(CARDS + draw.randrange(FROZEN_CARDS)),
        Probe.MALFORMED: selftest_token(0),
    }
    bodies = {probe: _body(probe, token, run_id) for probe, token in tokens.items()}
    bodies[Probe.TWIN] = bodies[Probe.EVENTS] | {"payment_id": SystemIds().new_id("pay")}
    bodies[Probe.MALFORMED]["currency"] = NO_CURRENCY
    return {probe: Payment(str(body["payment_id"]), body) for probe, body in bodies.items()}


def _body(probe: Probe, token: str, run_id: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    instant = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    stan = f"{random.SystemRandom().randrange(10**6):06d}"
    return {
        "payment_id": SystemIds().new_id("pay"),
        "idempotency_key": f"selftest:{run_id[-32:]}:{probe.value}",
        "message_type": "1100",
        "transaction_type": "00",
        "acquirer_id": "999999",
        "stan": stan,
        "rrn": f"{now:%y%j%H}"[1:] + stan,
        "terminal_id": "SELFTEST",
        "transmission_at": instant,
        "authorized_at": instant,
        "card": {"token": token, "expiry": "2039-12", "sequence_number": "01", "issuer_country": "GB"},
        "amount_minor": AMOUNT_MINOR,
        "currency": "GBP",
        "action_code": "000",
        "approval_code": stan,
        "entry_mode": "contactless",
        "merchant": {
            "acceptor_id": "SELFTEST0000001",
            "name": "POSTRAIL SELFTEST",
            "city": "London",
            "country": "GB",
            "mcc": "5411",
        },
    }
