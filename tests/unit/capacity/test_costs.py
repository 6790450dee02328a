"""Bills, checked by hand where a hand can, and by what must always hold of them."""

from dataclasses import replace
from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postrail.capacity.costs import HOPS, bill_events, bill_files, bill_month, first_calculation
from postrail.capacity.data import DELIVERIES, STAGES, CapacityData, Delivery
from postrail.capacity.design import configured, delivered, first_design
from postrail.capacity.road import Road, between, chunks
from postrail.capacity.what_if import VARIANTS, what_if

REGIONS = ("eu-central-1", "eu-west-2", "us-east-1")
RATES = st.floats(min_value=0.05, max_value=20_000, allow_nan=False)


def test_the_first_calculation_is_reproduced_to_two_cents(data: CapacityData) -> None:
    """9.18 USD for five bus hops: London's prices, full tens, one write unit each in two tables."""
    parts = dict(first_calculation(data, region="eu-west-2"))
    assert parts["five events"] == pytest.approx(5.00)
    # 5 million sent, half a million received in tens, half a million deleted in tens, at 0.40 a million
    assert parts["five queues: sent one by one, received and deleted in tens"] == pytest.approx(2.40)
    assert parts["six functions, started in tens"] == pytest.approx(0.12)
    # 100,000 executions at 1.00 a million, each 0.1 s of 64 MB at 0.00001667 a GB-second
    assert parts["the rules engine, in tens"] == pytest.approx(0.10 + 100_000 * 0.1 / 16 * 0.00001667)
    assert parts["two Pipes, in fifties and in tens"] == pytest.approx(0.12 * 0.46)
    assert parts["one write unit each in two tables"] == pytest.approx(2 * 0.7423)
    assert sum(parts.values()) == pytest.approx(9.18, abs=0.02)
    assert parts["five events"] > sum(parts.values()) / 2


def test_the_bus_costs_a_dollar_for_a_million_events(data: CapacityData) -> None:
    counts = data.graph.measured.per_payment
    bill = bill_events(data, configured(data), rate=1111, region="us-east-1")
    bus = sum(line.usd for line in bill.lines if line.price == "bus_event")
    assert bus == pytest.approx(sum(counts.values()) * 1.00)


def test_a_full_ten_costs_one_point_two_requests_a_message(data: CapacityData) -> None:
    design = first_design(data)
    bill = bill_events(data, design, rate=100_000, region="us-east-1")
    posted = [line for line in bill.lines if (line.hop, line.price) == ("post", "sqs_request")]
    messages = data.graph.measured.per_payment["PostingRequested"] * 1_000_000
    assert sum(line.quantity for line in posted) == pytest.approx(1.2 * messages)


def test_a_transaction_takes_two_write_units_for_an_item_below_a_kilobyte(data: CapacityData) -> None:
    bill = bill_events(data, configured(data), rate=1111, region="us-east-1")
    writes = sum(line.quantity for line in bill.lines if (line.hop, line.price) == ("deduplicate", "dynamodb_write"))
    assert writes == pytest.approx(3_000_000)  # one of the row of authorizations, two of the claim


def test_a_file_is_billed_for_its_minutes(data: CapacityData) -> None:
    files = data.graph.files
    task = bill_files(data, region="us-east-1").by_group()["task"]
    hours = (1_000_000 / files.payments_per_second + 60) / 3600
    assert task == pytest.approx(hours * (2 * 0.03238 + 4 * 0.00356))


def test_a_month_of_endpoints_is_their_hours(data: CapacityData) -> None:
    month = {cost.what: cost for cost in bill_month(data, region="eu-west-2")}
    endpoints = month["interface endpoints in three zones"]
    assert endpoints.usd == pytest.approx(endpoints.number * 730 * 0.011)


def test_every_price_is_used(data: CapacityData) -> None:
    """A price that nothing is reckoned with would only look as if it were."""
    used = {line.price for line in bill_events(data, configured(data), rate=1111, region="eu-west-2").lines}
    used |= {line.price for line in bill_files(data, region="eu-west-2").lines}
    used |= {one.price for one in data.graph.fixed} | {"dynamodb_stream_read"}
    assert {price.id for price in data.prices.prices} == used


def test_hops_and_services_are_two_views_of_one_sum(data: CapacityData) -> None:
    for delivery in DELIVERIES:
        bill = bill_events(data, delivered(data, delivery), rate=1111, region="eu-west-2")
        assert sum(bill.by_hop().values()) == pytest.approx(bill.usd)
        assert sum(bill.by_group().values()) == pytest.approx(bill.usd)
        assert set(bill.by_hop()) == set(HOPS)


@pytest.mark.parametrize("region", REGIONS)
def test_the_default_is_the_cheapest_that_posts_within_seconds(data: CapacityData, region: str) -> None:
    """Cheaper variants exist, and each says why it is not the default."""
    answers = what_if(data, rate=1111, region=region)
    assert answers[0].saves_usd == 0
    for answer in answers[1:]:
        if answer.saves_usd > 0:
            assert answer.verdict.startswith(("no:", "not yet:", "yours:")), answer
        if answer.verdict.startswith("was the default"):
            assert answer.saves_usd < 0, answer
    assert len(answers) == len(VARIANTS) + 1
    real = bill_events(data, delivered(data, "realtime"), rate=1111, region=region).usd
    assert answers[0].usd < real


@settings(max_examples=60, deadline=None)
@given(rate=RATES, more=st.floats(min_value=1.0, max_value=50), delivery=st.sampled_from(DELIVERIES))
def test_a_payment_is_never_dearer_among_more(data: CapacityData, rate: float, more: float, delivery: Delivery) -> None:
    design = delivered(data, delivery)
    few = bill_events(data, design, rate=rate, region="eu-west-2").usd
    many = bill_events(data, design, rate=rate * more, region="eu-west-2").usd
    # Within a thousandth: a batch of 101 needs two calls where one of 100 needs one.
    assert many <= few * 1.001


@settings(max_examples=60, deadline=None)
@given(rate=RATES, smaller=st.integers(1, 10), larger=st.integers(0, 90), stage=st.sampled_from(STAGES[1:]))
def test_larger_batches_are_never_dearer(
    data: CapacityData, rate: float, smaller: int, larger: int, stage: str
) -> None:
    base = first_design(data)
    small = base.with_stage(stage, batch_size=smaller)
    large = base.with_stage(stage, batch_size=smaller + larger)
    bills = [bill_events(data, design, rate=rate, region="eu-west-2").usd for design in (small, large)]
    assert bills[1] <= bills[0] * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(rate=RATES)
def test_leaving_things_out_is_never_dearer(data: CapacityData, rate: float) -> None:
    base = configured(data)
    usd = bill_events(data, base, rate=rate, region="us-east-1").usd
    for design in (replace(base, archive=False), replace(base, trace_share=0.0)):
        assert bill_events(data, design, rate=rate, region="us-east-1").usd < usd


@settings(max_examples=60, deadline=None)
@given(rate=RATES, delivery=st.sampled_from(DELIVERIES))
def test_batches_keep_within_their_bounds(data: CapacityData, rate: float, delivery: Delivery) -> None:
    for hop in Road(data, delivered(data, delivery), rate).hops:
        bound = data.graph.values()["intake_batch"] if hop.name == "deduplicate" else hop.size.batch_size
        assert 1 <= hop.batch <= bound, hop
        assert hop.duration_s > 0


@given(size=st.integers(0, 10_000_000))
def test_chunks_cover_the_payload(size: int) -> None:
    assert chunks(size) == max(1, ceil(size / 65_536))


def test_values_between_points_lie_on_the_line() -> None:
    points = {"1": 100, "10": 190, "100": 1090}
    assert between(points, 1, beyond=False) == 100
    assert between(points, 5.5, beyond=False) == 145
    assert between(points, 200, beyond=False) == 1090
    assert between(points, 200, beyond=True) == 2090


@pytest.mark.parametrize("rate", [0, -1])
def test_a_rate_is_above_zero(data: CapacityData, rate: float) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Road(data, configured(data), rate)
