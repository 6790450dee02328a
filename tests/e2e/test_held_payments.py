"""Payments that their issuer approved with a hold, from the table `authorizations` to the ledger."""

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.builders.payments import make_authorization, make_card
from tests.e2e.conftest import Cloud

from postrail.sampling.accounts import sample_accounts

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ACCOUNT = sample_accounts(1, 1)[0]
ACCOUNT_ID = ACCOUNT.details.account_id


def _hold(cloud: Cloud, amount: str) -> str:
    """A hold as the issuer places it, for the payment that follows."""
    until = (datetime.now(UTC) + timedelta(days=7)).date().isoformat()
    key = f"e2e-{uuid.uuid4().hex}"
    placed = cloud.postrail_json("ledger", "hold", "place", ACCOUNT_ID, amount, "--until", until, "--key", key)
    return str(placed["hold_id"])


def _approve(cloud: Cloud, hold_id: str, **attributes: str) -> str:
    """The item that the issuer writes with its approval; returns the payment's id."""
    payment_id = f"pay_{uuid.uuid4().hex}"
    now = datetime.now(UTC)
    authorization = make_authorization(
        payment_id=payment_id,
        stan=f"{uuid.uuid4().int % 1_000_000:06}",
        transmission_at=now.replace(microsecond=0),
        authorized_at=now,
        card=make_card(token=ACCOUNT.card_token, expiry=ACCOUNT.card_expiry),
        hold_id=hold_id,
    )
    item = {
        "payment_id": payment_id,
        "action_code": "000",
        "authorized_at": now.isoformat(),
        "correlation_id": f"e2e-{payment_id[-12:]}",
        "authorization": authorization.model_dump_json(exclude_none=True),
        **attributes,
    }
    cloud.client("dynamodb").put_item(
        TableName=cloud.outputs["tables"]["authorizations"]["name"],
        Item={name: {"S": value} for name, value in item.items()}
        | {"expires_at": {"N": str(int((now + timedelta(days=1)).timestamp()))}},
    )
    return payment_id


def _wait_for(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return value


def _closed(cloud: Cloud, payment_id: str) -> Any:
    return _wait_for(
        lambda: cloud.sql(
            "SELECT status, reason FROM ledger.posting_sequences WHERE payment_id = %s AND closed_at IS NOT NULL",
            payment_id,
        )
    )


def _shown(cloud: Cloud, hold_id: str) -> dict[str, Any]:
    return cloud.postrail_json("ledger", "hold", "show", hold_id)


def test_the_posting_captures_the_hold_of_the_issuer(cloud: Cloud) -> None:
    """A purchase of 25.50 EUR: what is posted, markup included, is captured, and what was held on top is set free."""
    hold_id = _hold(cloud, "40.00")
    payment_id = _approve(cloud, hold_id)
    assert _closed(cloud, payment_id) == [("posted", None)]
    trace = cloud.postrail_json("trace", payment_id)
    debited = sum(
        leg["amount_minor"]
        for leg in trace["posting"]["transaction"]["legs"]
        if leg["account_id"] == ACCOUNT_ID and leg["direction"] == "debit"
    )
    (captured,) = cloud.sql(
        "SELECT status, captured_minor, remaining_minor FROM ledger.hold_list WHERE hold_id = %s", hold_id
    )
    assert captured == ("captured", debited, 0)
    assert _shown(cloud, hold_id)["status"] == "captured"


def test_a_payment_that_was_undone_before_its_posting_is_not_posted(cloud: Cloud) -> None:
    hold_id = _hold(cloud, "40.00")
    cloud.postrail_json("ledger", "hold", "release", hold_id)
    payment_id = _approve(cloud, hold_id)
    assert _closed(cloud, payment_id) == [("refused", "HOLD_RELEASED")]


def test_a_pre_authorisation_rests_in_the_table(cloud: Cloud) -> None:
    """Its neighbour, written after it, has gone all the way: the pipe had them both."""
    hold_id = _hold(cloud, "40.00")
    resting = _approve(cloud, hold_id, capture="later")
    following = _approve(cloud, _hold(cloud, "40.00"))
    assert _closed(cloud, following) == [("posted", None)]
    assert cloud.sql("SELECT 1 FROM ledger.posting_sequences WHERE payment_id = %s", resting) == []
    assert json.loads(cloud.postrail("trace", resting, "--json").stdout)["state"] == "held"
    assert _shown(cloud, hold_id)["status"] == "active"
