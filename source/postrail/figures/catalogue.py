"""The list of figures and alarms, config/figures.yaml: what is drawn, from which series, and when people are told.

Terraform makes dashboards and alarms of the same file. Metrics are CloudWatch's: namespace, name, dimensions,
statistic; names that differ from copy to copy are written as `kind:name`, and `kind:*` stands for one series for each
of that kind.
"""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from postrail.config_files import ConfigModel, read_config

OWN_NAMESPACE: Final = "own"
"""Stands for the namespace of this copy's own metrics, Postrail/<name_prefix>."""

KINDS: Final = frozenset(
    {
        "api",
        "bucket",
        "bus",
        "cluster",
        "default_rule",
        "dlq",
        "function",
        "load_balancer",
        "party",
        "pipe",
        "proxy",
        "queue",
        "road_function",
        "rule",
        "running_party",
        "side_function",
        "stage",
        "state_machine",
        "table",
        "target_group",
    }
)
"""What a dimension may name by `kind:name`; Terraform knows the real names."""
NUMBER_KINDS: Final = frozenset({"memory_gb", "price"})
"""What an expression may name by `kind:name`, between blanks; Terraform knows the numbers."""

_VARIABLE: Final = re.compile(r"[a-z][A-Za-z0-9_]*")

Id = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)]
Title = Annotated[str, Field(min_length=3, max_length=80)]
Label = Annotated[str, Field(min_length=1, max_length=40)]
MetricName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.]*$", max_length=100)]
Statistic = Annotated[str, Field(pattern=r"^(Sum|Average|Minimum|Maximum|SampleCount|p[0-9]{1,2}(\.[0-9]{1,2})?)$")]
PeriodSeconds = Annotated[int, Field(ge=60, le=86_400, multiple_of=60)]
Dimensions = Annotated[dict[str, str], Field(max_length=5)]
Unit = Literal["count", "seconds", "milliseconds", "bytes", "percent", "acu", "usd"]


class Metric(ConfigModel):
    """One metric of CloudWatch, by what may differ from copy to copy in placeholders."""

    namespace: Annotated[str, Field(pattern=r"^(own|AWS/[A-Za-z0-9/]+)$")]
    metric: MetricName
    dimensions: Dimensions = Field(default_factory=dict)
    statistic: Statistic

    @model_validator(mode="after")
    def _placeholders_are_known(self) -> Self:
        for name, value in self.dimensions.items():
            kind = placeholder_kind(value)
            if kind is not None and kind not in KINDS:
                raise ValueError(f"dimension {name}: {kind!r} is no kind that Terraform knows")
        return self

    def kinds(self) -> frozenset[str]:
        """The kinds of which this is one series for each."""
        return frozenset(value[:-2] for value in self.dimensions.values() if value.endswith(":*"))


class Series(ConfigModel):
    """One line of a drawing: a metric, a metric split by a dimension, or math over metrics."""

    label: Label
    namespace: Annotated[str, Field(pattern=r"^(own|AWS/[A-Za-z0-9/]+)$")] | None = None
    metric: MetricName | None = None
    dimensions: Dimensions = Field(default_factory=dict)
    statistic: Statistic | None = None
    split: Annotated[tuple[str, ...], Field(max_length=5)] = ()
    expression: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    uses: dict[str, Metric] = Field(default_factory=dict, max_length=20)
    period_seconds: PeriodSeconds = 60

    @model_validator(mode="after")
    def _is_one_of_three(self) -> Self:
        if self.expression is None:
            if self.namespace is None or self.metric is None or self.statistic is None or self.uses:
                raise ValueError("a series has namespace, metric and statistic, or an expression over `uses`")
            if self.split and self.dimensions:
                raise ValueError("a series is split by dimensions, or names them")
        elif self.metric is not None or self.split or self.dimensions:
            raise ValueError("an expression takes its metrics from `uses`")
        _check_expression(self.expression, self.uses)
        self.metrics()  # so that their own rules hold
        return self

    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that this series is made of."""
        if self.namespace is None or self.metric is None or self.statistic is None:
            return tuple(self.uses.values())
        return (
            Metric(namespace=self.namespace, metric=self.metric, dimensions=self.dimensions, statistic=self.statistic),
        )

    def kinds(self) -> frozenset[str]:
        """The kinds of which this is one series for each."""
        return frozenset().union(*(metric.kinds() for metric in self.metrics()))


class Figure(ConfigModel):
    """One drawing. `local` names the reading that gives the same on one machine, None where nothing does."""

    id: Id
    title: Title
    section: Id
    unit: Unit
    view: Literal["line", "stacked"] = "line"
    local: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")] | None = None
    series: Annotated[tuple[Series, ...], Field(min_length=1, max_length=20)]

    @model_validator(mode="after")
    def _variables_mean_one_thing(self) -> Self:
        # A widget has one name space for the variables of all its expressions.
        meanings: dict[str, Metric] = {}
        for series in self.series:
            if series.expression is not None and series.kinds():
                raise ValueError(f"{series.label}: an expression cannot stand for each of a kind")
            for name, metric in series.uses.items():
                if meanings.setdefault(name, metric) != metric:
                    raise ValueError(f"`uses`: {name!r} is two metrics in one figure")
        return self


class Section(ConfigModel):
    """Drawings that belong together, and the dashboard that shows them."""

    id: Id
    dashboard: Id
    title: Title
    columns: Annotated[int, Field(ge=1, le=4)]


class Alarm(ConfigModel):
    """When people are told, once for each of the kind that its metrics name.

    `comparison` and `threshold` are in the metric's own unit; `datapoints` of the last `periods` must agree, or all of
    them. `runbook` is the anchor of its section in docs/alarms.md.
    """

    id: Id
    title: Title
    figure: Id
    metric: Metric | None = None
    expression: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    uses: dict[str, Metric] = Field(default_factory=dict, max_length=10)
    comparison: Literal["above", "below"]
    threshold: Annotated[float, Field(ge=0)]
    period_seconds: PeriodSeconds
    periods: Annotated[int, Field(ge=1, le=60)]
    datapoints: Annotated[int, Field(ge=1)] | None = None
    treat_missing: Literal["breaching", "notBreaching", "ignore", "missing"]
    severity: Literal["page", "ticket"]
    risk: bool
    runbook: Id

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.metric is None) == (self.expression is None):
            raise ValueError("an alarm has a metric or an expression")
        if self.metric is not None and self.uses:
            raise ValueError("`uses` belongs to an expression")
        if self.datapoints is not None and self.datapoints > self.periods:
            raise ValueError("more data points than periods")
        _check_expression(self.expression, self.uses)
        if ("*" in self.title) != bool(self.kinds()):
            raise ValueError("a title names by * what the alarm is for, when there is one for each")
        return self

    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that this alarm watches."""
        return (self.metric,) if self.metric is not None else tuple(self.uses.values())

    def kinds(self) -> frozenset[str]:
        """The kinds of which this is one alarm for each."""
        return frozenset().union(*(metric.kinds() for metric in self.metrics()))

    def is_raised_by(self, value: float) -> bool:
        """Whether one value, in the metric's unit, is beyond the threshold."""
        return value > self.threshold if self.comparison == "above" else value < self.threshold


class Catalogue(ConfigModel):
    """All figures and alarms."""

    version: Literal[1]
    sections: Annotated[tuple[Section, ...], Field(min_length=1, max_length=20)]
    figures: Annotated[tuple[Figure, ...], Field(min_length=1, max_length=200)]
    alarms: Annotated[tuple[Alarm, ...], Field(max_length=100)]

    @model_validator(mode="after")
    def _names_lead_somewhere(self) -> Self:
        for title, ids in (
            ("section", [section.id for section in self.sections]),
            ("figure", [figure.id for figure in self.figures]),
            ("alarm", [alarm.id for alarm in self.alarms]),
        ):
            twice = sorted({id_ for id_ in ids if ids.count(id_) > 1})
            if twice:
                raise ValueError(f"{title} {', '.join(twice)} stands twice")
        sections = {section.id for section in self.sections}
        figures = {figure.id for figure in self.figures}
        lost = [figure.id for figure in self.figures if figure.section not in sections]
        lost += [alarm.id for alarm in self.alarms if alarm.figure not in figures]
        if lost:
            raise ValueError(f"no section or figure of that name: {', '.join(lost)}")
        return self

    def figures_of(self, section: str) -> tuple[Figure, ...]:
        """The figures of one section, in the file's order."""
        return tuple(figure for figure in self.figures if figure.section == section)

    def alarms_of(self, figure: str) -> tuple[Alarm, ...]:
        """The alarms whose threshold a figure shows."""
        return tuple(alarm for alarm in self.alarms if alarm.figure == figure)


def read_catalogue(path: Path) -> Catalogue:
    """The catalogue in a file. Raises ConfigInvalid, naming the file and the places that are wrong."""
    return read_config(path, Catalogue)


def placeholder_kind(value: str) -> str | None:
    """The kind that a dimension's value names by `kind:name`; None for plain text."""
    kind, colon, name = value.partition(":")
    return kind if colon and name else None


def expression_references(expression: str) -> list[tuple[str, str]]:
    """The numbers that an expression names, as kind and name."""
    return [(kind, name) for kind, colon, name in (word.partition(":") for word in expression.split(" ")) if colon]


def _check_expression(expression: str | None, uses: dict[str, Metric]) -> None:
    if expression is None:
        return
    if not uses:
        raise ValueError("an expression needs `uses`")
    for kind, name in expression_references(expression):
        if kind not in NUMBER_KINDS or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            raise ValueError(f"{kind}:{name} is no number that Terraform knows; write blanks around it")
    for name in uses:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"`uses`: {name!r} must start with a lower-case letter, as metric math wants it")
        if not re.search(rf"\b{name}\b", expression):
            raise ValueError(f"`uses`: the expression does not use {name!r}")
