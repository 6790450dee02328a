"""Every figure has a source and a date, and says so when it stands for one that was not found."""

import re
from datetime import date
from pathlib import Path

import pytest

from postrail.capacity.data import CapacityData, UnknownRegion, load_capacity
from postrail.domain.errors import ConfigInvalid

ROOT = Path(__file__).resolve().parents[3]
REGIONS = ("eu-central-1", "eu-west-2", "us-east-1")
CONFIG = ROOT / "config"


def test_prices_and_quotas_are_known_for_three_regions(data: CapacityData) -> None:
    assert data.prices.regions() == list(REGIONS)
    for region in REGIONS:
        data.check_region(region)


def test_every_source_names_a_place_and_a_day(data: CapacityData) -> None:
    for source in [*data.prices.sources.values(), *data.quotas.sources.values()]:
        assert len(source.url) > 10
        assert date(2026, 1, 1) <= source.checked <= date(2100, 1, 1)


def test_every_measured_assumed_and_fixed_figure_names_its_source_and_day(data: CapacityData) -> None:
    facts = data.graph
    for one in (facts.measured, facts.ledger, facts.files, *facts.assumed, *facts.fixed):
        assert len(one.source) > 10, one
        assert one.checked >= date(2026, 1, 1), one


@pytest.mark.parametrize("region", REGIONS)
def test_a_price_that_was_not_found_says_what_stands_for_it(data: CapacityData, region: str) -> None:
    for price in data.prices.prices:
        if price.sources[region] == "unseen":
            assert price.assumed.get(region), price.id


def test_a_quota_from_memory_is_marked(data: CapacityData) -> None:
    for quota in data.quotas.quotas:
        if "memory" in data.quotas.sources[quota.source].published:
            assert quota.assumed, quota.id


def test_prices_are_above_zero_and_ids_are_unique(data: CapacityData) -> None:
    assert all(usd > 0 for price in data.prices.prices for usd in price.usd.values())
    for ids in (
        [price.id for price in data.prices.prices],
        [quota.id for quota in data.quotas.quotas],
        [one.id for one in data.graph.assumed],
        [one.id for one in data.graph.fixed],
    ):
        assert len(ids) == len(set(ids))


def test_an_unknown_region_is_told_the_known_ones(data: CapacityData) -> None:
    with pytest.raises(UnknownRegion, match="eu-central-1, eu-west-2, us-east-1"):
        data.check_region("eu-nowhere-1")


def test_the_intake_pipe_has_the_batches_that_the_model_reckons_with(data: CapacityData) -> None:
    pipe = (ROOT / "terraform/modules/intake/pipe.tf").read_text(encoding="utf-8")
    values = data.graph.values()
    assert re.search(rf"BatchSize\s+= {values['intake_batch']:g}\b", pipe)
    assert re.search(rf"ParallelizationFactor\s+= {values['intake_lanes']:g}\b", pipe)


def test_the_archive_is_kept_as_long_as_the_model_reckons(data: CapacityData) -> None:
    variables = (ROOT / "terraform/variables.tf").read_text(encoding="utf-8")
    found = re.search(r'variable "archive_retention_days" \{.*?default\s+= (\d+)', variables, re.DOTALL)
    assert found is not None
    assert int(found[1]) == data.graph.values()["archive_days"]


def test_the_ledger_has_the_size_that_the_model_reckons_with(data: CapacityData) -> None:
    variables = (ROOT / "terraform/variables.tf").read_text(encoding="utf-8")
    least, most, readers = (
        int(re.findall(rf"{name}\s+= optional\(number, (\d+)\)", variables)[0])
        for name in ("acu_min", "acu_max", "readers")
    )
    fixed = {one.id: one.number for one in data.graph.fixed}
    assert fixed["ledger_minimum"] == least * (1 + readers)
    assert data.graph.values()["ledger_instances"] == 1 + readers
    assert data.graph.values()["ledger_acu_max"] == most


def test_endpoints_and_keys_are_as_many_as_terraform_makes(data: CapacityData) -> None:
    """Endpoints by service and zone, the one for hardware keys left out; keys by class of data, and one at the edge."""
    endpoints = (ROOT / "terraform/modules/network/endpoints.tf").read_text(encoding="utf-8")
    always = endpoints.split("interfaces = merge(")[1].split("var.hardware_keys ?")[0]
    services = re.findall(r'^      "?([a-z.]+)"? += (?:local\.images|\[\{)$', always, re.MULTILINE)
    keys = (ROOT / "terraform/modules/security/main.tf").read_text(encoding="utf-8").split("keys = {")[1].split("}")[0]
    fixed = {one.id: one.number for one in data.graph.fixed}
    assert fixed["endpoints"] == 3 * len(services)
    assert fixed["keys"] == len(re.findall(r"^    \w+ +=", keys, re.MULTILINE)) + 1


def test_terraform_reads_the_same_sizes(data: CapacityData) -> None:
    """One file for both: no default of a size is left in a variable."""
    assert 'yamldecode(file("${path.root}/../config/stages.yaml"))' in (ROOT / "terraform/sizes.tf").read_text()
    variables = (ROOT / "terraform/variables.tf").read_text(encoding="utf-8")
    block = variables.split('variable "stages" {')[1].split("\nvariable ")[0]
    assert not re.search(r"optional\([^()]*,", block)


def test_a_region_without_a_source_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "capacity"
    folder.mkdir()
    (tmp_path / "stages.yaml").write_bytes((CONFIG / "stages.yaml").read_bytes())
    for name in ("prices", "quotas", "graph"):
        (folder / f"{name}.yaml").write_bytes((CONFIG / f"capacity/{name}.yaml").read_bytes())
    prices = (folder / "prices.yaml").read_text()
    (folder / "prices.yaml").write_text(prices.replace("eu-west-2: london ", "eu-west-2: nowhere ", 1))
    with pytest.raises(ConfigInvalid, match="source"):
        load_capacity(tmp_path)


def test_the_local_cloud_waits_for_no_window(data: CapacityData) -> None:
    """Each stage that waits in an account is pinned to tens at once, where people watch."""
    local = (ROOT / "terraform/environments/local.tfvars").read_text(encoding="utf-8")
    for name, entry in data.stages.stages.items():
        if entry.batching_window_seconds:
            pinned = re.search(rf"^  {name} +=  *\{{ (.*?) \}}$", local, re.MULTILINE)
            assert pinned is not None, name
            assert "batch_size = 10" in pinned[1]
            assert "batching_window_seconds = 0" in pinned[1]
