"""Sample authorizations: deterministic, in the promised shares, and malformed only where they should be."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from postrail.contracts.base import EVENT_BYTES_MAX
from postrail.contracts.payment import Authorization
from postrail.domain.authorization import acquirer_key, message_class
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.authorizations import SampleInput, sample_inputs
from postrail.sampling.malformed import MALFORMED_VARIANTS, spoil
from postrail.sampling.merchants import CASH_MACHINES, MERCHANTS, WATCH_LISTED_IDS

ACCOUNTS = sample_accounts(1, 300)
STARTED_AT = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
RUN_DEPENDENT = {
    "payment_id", "stan", "rrn", "transmission_at", "authorized_at", "idempotency_key",
}  # fmt: skip


def make_inputs(seed: int = 1, count: int = 1000, **options: Any) -> list[SampleInput]:
    fields: dict[str, Any] = {"accounts": ACCOUNTS, "started_at": STARTED_AT, "run_id": "run_1"}
    return list(sample_inputs(seed, count, **fields | options))


def parse(sample: SampleInput) -> Authorization:
    return Authorization.model_validate_json(json.dumps(sample.authorization))


def key_of(sample: SampleInput) -> str:
    authorization = parse(sample)
    return acquirer_key(
        acquirer_id=authorization.acquirer_id,
        stan=authorization.stan,
        transmission_at=authorization.transmission_at,
        terminal_id=authorization.terminal_id,
        message_class=message_class(authorization.message_type),
    )


def test_the_same_seed_and_run_give_the_same_inputs() -> None:
    assert make_inputs(malformed=0.05) == make_inputs(malformed=0.05)
    assert make_inputs(seed=1) != make_inputs(seed=2)


def test_another_run_has_the_same_content_but_no_key_and_no_id_in_common() -> None:
    first = make_inputs(malformed=0.05)
    second = make_inputs(malformed=0.05, run_id="run_2")
    for one, other in zip(first, second, strict=True):
        assert (one.kind, one.scenario) == (other.kind, other.scenario)
        for name in one.authorization.keys() - RUN_DEPENDENT:
            assert one.authorization[name] == other.authorization[name]
    keys = [{key_of(sample) for sample in run if sample.kind == "payment"} for run in (first, second)]
    assert keys[0].isdisjoint(keys[1])
    assert {sample.payment_id for sample in first}.isdisjoint(sample.payment_id for sample in second)


def test_shares_are_exact() -> None:
    kinds = Counter(sample.kind for sample in make_inputs(malformed=0.02))
    assert kinds == {"payment": 880, "duplicate": 90, "conflict": 10, "malformed": 20}
    assert Counter(sample.kind for sample in make_inputs(count=200, duplicates=0)) == {"payment": 200}
    assert make_inputs(count=0) == []


def test_every_input_has_a_payment_id_of_its_own() -> None:
    ids = [sample.payment_id for sample in make_inputs(malformed=0.1, duplicates=0.3)]
    assert len(set(ids)) == len(ids)


def test_payments_duplicates_and_conflicts_are_valid_authorizations() -> None:
    for sample in make_inputs(count=3000):
        assert parse(sample).payment_id == sample.payment_id


def test_payments_have_different_keys_and_repeats_have_the_key_of_an_earlier_payment() -> None:
    amount_by_key: dict[str, int] = {}
    for sample in make_inputs(count=3000, duplicates=0.2):
        key, amount = key_of(sample), sample.authorization["amount_minor"]
        if sample.kind == "payment":
            assert key not in amount_by_key
            amount_by_key[key] = amount
        else:
            assert (amount_by_key[key] == amount) is (sample.kind == "duplicate")


def test_payments_were_authorized_before_the_run_began_and_soon_before_it() -> None:
    for sample in make_inputs():
        ago = STARTED_AT - parse(sample).authorized_at
        assert timedelta(0) < ago <= timedelta(seconds=5)


def test_the_mix_holds_everything_that_the_rules_look_for() -> None:
    samples = make_inputs(count=2000)
    assert {sample.scenario for sample in samples} == {
        "ordinary", "unknown_account", "watch_listed", "no_issuer_country", "large_amount", "very_large_amount",
        "cash", "refund", "busy_card",
    }  # fmt: skip
    tokens = {account.card_token for account in ACCOUNTS}
    for sample in samples:
        body = sample.authorization
        assert (body["card"]["token"] not in tokens) is (sample.scenario == "unknown_account")
        assert ("issuer_country" not in body["card"]) is (sample.scenario == "no_issuer_country")
        assert (body["merchant"]["acceptor_id"] in WATCH_LISTED_IDS) is (sample.scenario == "watch_listed")
        assert body["transaction_type"] == {"cash": "01", "refund": "20"}.get(sample.scenario, "00")


def test_malformed_inputs_go_round_all_ways_of_being_wrong_and_keep_their_payment_id() -> None:
    broken = [sample for sample in make_inputs(malformed=0.05) if sample.kind == "malformed"]
    assert len(broken) == 50
    assert {sample.scenario for sample in broken} == {
        "UNKNOWN_CURRENCY", "INVALID_AMOUNT", "UNKNOWN_FIELD", "WRONG_TYPE", "CLEAR_PAN", "MISSING_FIELD",
        "EVENT_TOO_LARGE", "INVALID_VALUE",
    }  # fmt: skip
    for sample in broken:
        assert sample.authorization["payment_id"] == sample.payment_id
        with pytest.raises(ValidationError):
            parse(sample)


def test_the_oversize_variant_is_larger_than_an_event_may_be_and_fits_into_a_table_row() -> None:
    body = make_inputs(count=1)[0].authorization
    sizes = {reason: len(json.dumps(spoilt)) for spoilt, reason in (spoil(body, n) for n in range(MALFORMED_VARIANTS))}
    assert EVENT_BYTES_MAX < sizes["EVENT_TOO_LARGE"] < 2 * EVENT_BYTES_MAX
    assert max(size for reason, size in sizes.items() if reason != "EVENT_TOO_LARGE") < 5_000


def test_spoiling_leaves_the_original_alone() -> None:
    body = make_inputs(count=1)[0].authorization
    before = json.dumps(body)
    for variant in range(MALFORMED_VARIANTS):
        spoil(body, variant)
    assert json.dumps(body) == before


@pytest.mark.parametrize(
    "options", [{"duplicates": 1.0}, {"duplicates": -0.1}, {"malformed": 1.1}, {"duplicates": 0.6, "malformed": 0.4}]
)
def test_shares_that_leave_no_payment_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="shares"):
        make_inputs(count=10, **options)


def test_no_accounts_are_refused() -> None:
    with pytest.raises(ValueError, match="account"):
        make_inputs(accounts=[])


def test_sample_merchants_are_distinct_and_fit_the_wire() -> None:
    merchants = (*MERCHANTS, *CASH_MACHINES)
    assert len({merchant.acceptor_id for merchant in merchants}) == len(merchants) >= 40
    assert all(len(merchant.acceptor_id) == 15 and len(merchant.city) <= 35 for merchant in merchants)
    assert set(WATCH_LISTED_IDS) <= {merchant.acceptor_id for merchant in merchants}
