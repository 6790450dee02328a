"""What CloudWatch takes for metrics: the rules of the embedded metric format, as a schema, and a reader of its lines.

Source: "Specification: Embedded metric format", Amazon CloudWatch User Guide.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

import jsonschema

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[ -~]+$"}
_UNITS: Final = ["Count", "Milliseconds", "Seconds", "Microseconds", "Bytes", "Percent", "None"]

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["_aws"],
    "properties": {
        "_aws": {
            "type": "object",
            "required": ["Timestamp", "CloudWatchMetrics"],
            "properties": {
                "Timestamp": {"type": "integer", "minimum": 1_000_000_000_000},
                "CloudWatchMetrics": {
                    "type": "array",
                    "minItems": 1,
                    "items": {
                        "type": "object",
                        "required": ["Namespace", "Dimensions", "Metrics"],
                        "properties": {
                            "Namespace": _NAME | {"pattern": "^[^:][0-9A-Za-z._/#:-]*$"},
                            "Dimensions": {
                                "type": "array",
                                "minItems": 1,
                                "items": {"type": "array", "minItems": 1, "maxItems": 30, "items": _NAME},
                            },
                            "Metrics": {
                                "type": "array",
                                "minItems": 1,
                                "maxItems": 100,
                                "items": {
                                    "type": "object",
                                    "required": ["Name"],
                                    "properties": {
                                        "Name": _NAME,
                                        "Unit": {"enum": _UNITS},
                                        "StorageResolution": {"enum": [1, 60]},
                                    },
                                    "additionalProperties": False,
                                },
                            },
                        },
                        "additionalProperties": False,
                    },
                },
            },
        }
    },
}
_VALUES_MAX: Final = 100
_LINE_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True)
class EmfLine:
    """One line: its namespace, its dimensions by name, and the values of its metrics."""

    namespace: str
    dimensions: dict[str, str]
    metrics: dict[str, list[float]]


def read_emf(text: str) -> list[EmfLine]:
    """All lines of metrics among those of a log. Fails when one of them breaks a rule of the format."""
    return [_read(line) for line in text.splitlines() if '"_aws"' in line]


def totals(lines: list[EmfLine], **dimensions: str) -> dict[str, float]:
    """The sum of each metric over the lines with exactly these dimensions."""
    found: dict[str, float] = {}
    for line in lines:
        if line.dimensions == dimensions:
            for name, values in line.metrics.items():
                found[name] = found.get(name, 0) + sum(values)
    return found


def _read(text: str) -> EmfLine:
    document = json.loads(text)
    jsonschema.validate(document, SCHEMA)
    if len(text.encode()) > _LINE_BYTES_MAX:
        raise AssertionError("a log event of CloudWatch has 256 KiB at most")
    (directive,) = document["_aws"]["CloudWatchMetrics"]
    (names,) = directive["Dimensions"]
    dimensions = {name: document[name] for name in names}
    if not all(isinstance(value, str) and value for value in dimensions.values()):
        raise AssertionError(f"dimensions are texts at the root: {dimensions}")
    return EmfLine(
        directive["Namespace"],
        dimensions,
        {each["Name"]: _values(document[each["Name"]]) for each in directive["Metrics"]},
    )


def _values(found: Any) -> list[float]:
    values = found if isinstance(found, list) else [found]
    if not 0 < len(values) <= _VALUES_MAX or not all(type(value) in (int, float) for value in values):
        raise AssertionError(f"a metric has 1 to 100 numbers: {found}")
    return values
