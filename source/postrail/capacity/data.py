"""The data that the model works with, as it stands in config/: sizes of the stages, measured figures, prices, quotas.

Every figure names its source and the day when it was looked up; one that was not found says what stands for it.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, model_validator

from postrail.config_files import ConfigModel, read_config
from postrail.domain.errors import PostrailError

Delivery = Literal["realtime", "near_realtime", "batch"]
DELIVERIES: Final[tuple[Delivery, ...]] = ("realtime", "near_realtime", "batch")
STAGES: Final = ("deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "post", "record_outcome")
ALL_REGIONS: Final = "all"


class UnknownRegion(PostrailError):
    """There are no figures for the region; the message lists those that there are figures for."""


class Source(ConfigModel):
    """Where figures were seen. `published` is the page's own date, in words where it has none."""

    url: str = Field(min_length=1)
    published: str = Field(min_length=1)
    checked: date


class DeliverySizes(ConfigModel):
    """Batches of one way to deliver."""

    batch_size: int = Field(ge=1, le=10_000)
    batching_window_seconds: int = Field(ge=0, le=300)


class StageEntry(ConfigModel):
    """One stage in config/stages.yaml; what is absent follows from its delivery."""

    delivery: Delivery
    memory_mb: int = Field(ge=128, le=10_240)
    timeout_seconds: int = Field(ge=1, le=900)
    batch_size: int | None = Field(default=None, ge=1, le=10_000)
    batching_window_seconds: int | None = Field(default=None, ge=0, le=300)


class Stages(ConfigModel):
    """config/stages.yaml, which Terraform reads too."""

    version: Literal[1]
    deliveries: dict[Delivery, DeliverySizes]
    maximum_concurrency: int = Field(ge=2, le=1000)
    archive_leaves_out: tuple[str, ...]
    stages: dict[str, StageEntry]

    @model_validator(mode="after")
    def _names_all(self) -> "Stages":
        if set(self.stages) != set(STAGES) or set(self.deliveries) != set(DELIVERIES):
            msg = f"stages must be {', '.join(STAGES)}; deliveries {', '.join(DELIVERIES)}"
            raise ValueError(msg)
        return self


class Price(ConfigModel):
    """`usd` for `per` units, by region."""

    id: str
    unit: str
    per: int = Field(ge=1)
    usd: dict[str, float]
    sources: dict[str, str]
    assumed: dict[str, str] = Field(default_factory=dict)


class Prices(ConfigModel):
    """config/capacity/prices.yaml."""

    version: Literal[1]
    sources: dict[str, Source]
    prices: tuple[Price, ...]

    @model_validator(mode="after")
    def _has_sources(self) -> "Prices":
        for price in self.prices:
            if set(price.usd) != set(price.sources) or not set(price.sources.values()) <= set(self.sources):
                msg = f"{price.id}: every region needs a source that stands under `sources`"
                raise ValueError(msg)
        return self

    def regions(self) -> list[str]:
        """The regions that every price is known for."""
        return sorted(set.intersection(*(set(price.usd) for price in self.prices)))


class Quota(ConfigModel):
    """A default quota; a value of None is one that AWS does not name."""

    id: str
    service: str
    name: str
    code: str | None
    unit: str
    raise_: str = Field(alias="raise")
    values: dict[str, int | None]
    source: str
    assumed: str = ""
    beyond: str

    def value(self, region: str) -> int | None:
        """What holds in the region."""
        return self.values[region] if region in self.values else self.values[ALL_REGIONS]


class Quotas(ConfigModel):
    """config/capacity/quotas.yaml."""

    version: Literal[1]
    sources: dict[str, Source]
    quotas: tuple[Quota, ...]

    @model_validator(mode="after")
    def _has_sources(self) -> "Quotas":
        unknown = {quota.source for quota in self.quotas} - set(self.sources)
        if unknown:
            msg = f"no such sources: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        return self

    def by_id(self) -> dict[str, Quota]:
        """The quotas by their ids."""
        return {quota.id: quota for quota in self.quotas}


class Measured(ConfigModel):
    """What `postrail capacity measure` gives."""

    source: str
    checked: date
    event_bytes: dict[str, int]
    per_payment: dict[str, float]
    item_bytes: dict[str, int]
    cpu_us: dict[str, int]
    log_bytes: dict[str, dict[str, int]]


class MeasuredLedger(ConfigModel):
    """What a sequence costs PostgreSQL on the event road. `cpu_us` is by parts in a batch."""

    source: str
    checked: date
    cpu_us: dict[str, int]
    wal_bytes: int
    stored_bytes: int


class MeasuredFiles(ConfigModel):
    """What a payment costs on the batch road, with two processors."""

    source: str
    checked: date
    payments_per_second: int
    database_cpu_us: int
    wal_bytes: int
    stored_bytes: int
    log_bytes: float


class Assumption(ConfigModel):
    """A figure that nobody measured in an account."""

    id: str
    value: float
    unit: str
    source: str = Field(min_length=1)
    checked: date


class Fixed(ConfigModel):
    """What is paid for each month, with payments or without. `hourly`: its price is for an hour."""

    id: str
    hop: str
    what: str
    number: float = Field(ge=0)
    price: str
    hourly: bool
    source: str = Field(min_length=1)
    checked: date


class GraphFacts(ConfigModel):
    """config/capacity/graph.yaml."""

    version: Literal[1]
    measured: Measured
    ledger: MeasuredLedger
    files: MeasuredFiles
    assumed: tuple[Assumption, ...]
    fixed: tuple[Fixed, ...]

    def values(self) -> dict[str, float]:
        """The assumptions by their ids."""
        return {one.id: one.value for one in self.assumed}


class CapacityData(ConfigModel):
    """All of it."""

    stages: Stages
    prices: Prices
    quotas: Quotas
    graph: GraphFacts

    def check_region(self, region: str) -> None:
        """Raise UnknownRegion unless there are prices and quotas for the region."""
        known = self.prices.regions()
        limits = [set(quota.values) for quota in self.quotas.quotas]
        short = any(not names & {region, ALL_REGIONS} for names in limits)
        if region not in known or short:
            msg = f"There are no figures for the region {region}: use one of {', '.join(known)}."
            raise UnknownRegion(msg)

    def usd(self, region: str) -> Mapping[str, float]:
        """The price of one unit of each kind in the region, in USD."""
        return {price.id: price.usd[region] / price.per for price in self.prices.prices}


def load_capacity(config_dir: Path) -> CapacityData:
    """The data of a config folder. Raises ConfigInvalid."""
    folder = config_dir / "capacity"
    return CapacityData(
        stages=read_config(config_dir / "stages.yaml", Stages),
        prices=read_config(folder / "prices.yaml", Prices),
        quotas=read_config(folder / "quotas.yaml", Quotas),
        graph=read_config(folder / "graph.yaml", GraphFacts),
    )
