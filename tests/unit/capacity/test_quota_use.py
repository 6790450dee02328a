"""Which quotas a rate meets."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrail.capacity.data import DELIVERIES, CapacityData, Delivery
from postrail.capacity.design import configured, delivered
from postrail.capacity.quota_use import QuotaUse, use_quotas


def uses_of(data: CapacityData, rate: float, region: str = "eu-west-2") -> dict[str, QuotaUse]:
    return {use.quota_id: use for use in use_quotas(data, configured(data), rate=rate, region=region)}


def test_every_event_that_a_rule_takes_is_an_invocation(data: CapacityData) -> None:
    """By hand: each event of the road goes to one target, and what is referred to the alerts besides."""
    counts = data.graph.measured.per_payment
    taken = sum(number for name, number in counts.items() if name != "PaymentPosted") + counts["PaymentReferred"]
    assert uses_of(data, 1000)["bus_invocations"].used == pytest.approx(1000 * taken)


def test_a_million_in_fifteen_minutes_asks_for_more_invocations_in_europe_and_not_in_virginia(
    data: CapacityData,
) -> None:
    london, virginia = uses_of(data, 1111), uses_of(data, 1111, "us-east-1")
    assert london["bus_invocations"].limit == 2250
    assert london["bus_invocations"].must_be_raised
    assert (london["bus_invocations"].ask_for or 0) > london["bus_invocations"].used
    assert not virginia["bus_invocations"].must_be_raised
    assert virginia["bus_invocations"].ask_for is None


def test_real_time_starts_executions_and_puts_events_one_by_one(data: CapacityData) -> None:
    uses = {use.quota_id: use for use in use_quotas(data, delivered(data, "realtime"), rate=1000, region="eu-west-2")}
    assert uses["express_starts"].used == pytest.approx(1000 * data.graph.measured.per_payment["PaymentEnriched"])
    assert "express_sync" not in uses
    assert uses["put_events"].used > uses_of(data, 1000)["put_events"].used * 3


def test_a_quota_without_a_number_is_not_full(data: CapacityData) -> None:
    use = uses_of(data, 100_000)["express_sync"]
    assert use.limit is None
    assert use.percent is None
    assert not use.must_be_raised


@pytest.mark.parametrize(("used", "asked"), [(80, 120), (99, 150), (5712.2, 8600), (955.0, 1500), (12_345, 19_000)])
def test_one_asks_for_half_as_much_again_in_two_digits(used: float, asked: int) -> None:
    use = QuotaUse("x", "x", "x", used, used, None, "yes", "")
    assert use.ask_for == asked


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(min_value=0.05, max_value=20_000, allow_nan=False),
    more=st.floats(min_value=1.0, max_value=50),
    delivery=st.sampled_from(DELIVERIES),
)
def test_what_goes_by_the_event_grows_with_the_payments(
    data: CapacityData, rate: float, more: float, delivery: Delivery
) -> None:
    design = delivered(data, delivery)
    few = {use.quota_id: use.used for use in use_quotas(data, design, rate=rate, region="eu-west-2")}
    many = {use.quota_id: use.used for use in use_quotas(data, design, rate=rate * more, region="eu-west-2")}
    # Calls and executions may stay as they are, since batches get fuller; what goes by the event does not.
    for quota in ("bus_invocations", "dynamodb_table_writes", "stream_records"):
        assert many[quota] == pytest.approx(few[quota] * more), quota
