"""The whole switch beside the local cloud: what a newcomer sees with `postrail switch demo`, checked in the books."""

import re

import pytest
from tests.e2e.conftest import Cloud

from postrail.domain.card import find_clear_pans

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

POSTED_PAYMENTS = 3


@pytest.fixture(scope="module")
def played(cloud: Cloud) -> str:
    """What the demonstration printed."""
    done = cloud.postrail("switch", "demo", timeout=400)
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def test_cards_are_ordered_paid_with_and_their_payments_posted(cloud: Cloud, played: str) -> None:
    """Two purchases and a completion are in the journal, each as the balances say; the hotel's hold is gone."""
    payments = re.findall(r"Posted [0-9.]+ s after the approval: (pay_[0-9a-f]{32})", played)
    assert len(payments) == POSTED_PAYMENTS
    for payment_id in payments:
        trace = cloud.postrail_json("trace", payment_id)
        assert trace["state"] == "posted"
        assert trace["issuer"]["authorization"]["hold_status"] == "captured"
    assert "held 120.00 GBP" in played
    assert "total 361.10 GBP, held 0.00 GBP, available 361.10 GBP (posted" in played


def test_a_reversal_leaves_nothing_and_reaches_the_audit_trail(cloud: Cloud, played: str) -> None:
    """The reversed purchase is told of by AuthorizationReversed, in the outbox of the transaction that undid it."""
    assert "available 361.10 GBP (as before)" in played
    reversed_events = cloud.sql("SELECT count(*) FROM ledger.outbox WHERE detail_type = 'AuthorizationReversed'")
    assert reversed_events[0][0] >= 1


def test_what_is_not_there_is_not_approved(played: str) -> None:
    """The last act asks for more than the account has."""
    last = played[played.index("beyond the balance") :]
    assert re.search(r"39\s+Action code\s+116", last)
    assert "held 0.00 EUR" in last


def test_no_card_number_is_in_the_table_the_database_or_the_output(cloud: Cloud, played: str) -> None:
    """What the demonstration left behind holds tokens, last digits and hashes alone."""
    assert not list(find_clear_pans(played))
    table = cloud.outputs["tables"]["authorizations"]["name"]
    for page in cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        assert not list(find_clear_pans(str(page["Items"])))
    for rows in ("bank.cards", "bank.authorizations", "network.cards", "bank.customer_accounts"):
        found = cloud.sql(f"SELECT to_jsonb(t)::text FROM {rows} AS t")
        assert found
        assert not [row for (row,) in found if list(find_clear_pans(row))]
