"""The catalogue's series under the names that one copy's resources have, as Terraform resolves them for dashboards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postrail.figures.catalogue import (
    OWN_NAMESPACE,
    Catalogue,
    Metric,
    Series,
    expression_references,
    placeholder_kind,
)

Names = Mapping[str, Mapping[str, str]]
"""Real names by kind and by the name that the catalogue uses: Terraform's output `observability.names`."""
_EACH = "*"


@dataclass(frozen=True, slots=True)
class ResolvedMetric:
    """One metric as CloudWatch knows it."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str


@dataclass(frozen=True, slots=True)
class ResolvedSeries:
    """One series. `uses` has the metrics of `expression` by their variables, or the one metric."""

    label: str
    expression: str | None
    split: tuple[str, ...]
    period_seconds: int
    uses: Mapping[str, ResolvedMetric]


def resolve_series(catalogue: Catalogue, names: Names, namespace: str) -> dict[str, list[ResolvedSeries]]:
    """The series of every figure; an empty list where this copy has nothing of it."""
    return {
        figure.id: [
            _resolved(series, name, names, namespace) for series in figure.series for name in _copies(series, names)
        ]
        for figure in catalogue.figures
    }


def _copies(series: Series, names: Names) -> Sequence[str]:
    """For which names a series stands: each of its kinds, or once, under no name; none where a resource is missing."""
    values = [value for metric in series.metrics() for value in metric.dimensions.values()]
    references = [(kind, value.partition(":")[2]) for value in values if (kind := placeholder_kind(value)) is not None]
    references += expression_references(series.expression or "")
    if any(name not in names.get(kind, {}) for kind, name in references if name != _EACH):
        return []
    each = [set(names.get(kind, {})) for kind, name in references if name == _EACH]
    return sorted(set.intersection(*each)) if each else [""]


def _resolved(series: Series, name: str, names: Names, namespace: str) -> ResolvedSeries:
    uses = dict(series.uses) or {"value": series.metrics()[0]}
    return ResolvedSeries(
        label=series.label.replace(_EACH, name) if name else series.label,
        expression=_with_numbers(series.expression, names),
        split=series.split,
        period_seconds=series.period_seconds,
        uses={variable: _metric(metric, name, names, namespace) for variable, metric in uses.items()},
    )


def _metric(metric: Metric, name: str, names: Names, namespace: str) -> ResolvedMetric:
    dimensions = {}
    for dimension, value in metric.dimensions.items():
        kind = placeholder_kind(value)
        wanted = value.partition(":")[2]
        dimensions[dimension] = value if kind is None else names[kind][name if wanted == _EACH else wanted]
    own = metric.namespace == OWN_NAMESPACE
    return ResolvedMetric(namespace if own else metric.namespace, metric.metric, dimensions, metric.statistic)


def _with_numbers(expression: str | None, names: Names) -> str | None:
    """An expression with the numbers that it names by `kind:name`: prices, and the memory of functions."""
    if expression is None:
        return None
    words = [(word, *word.partition(":")) for word in expression.split(" ")]
    return " ".join(names[kind][name] if colon else word for word, kind, colon, name in words)
