"""Makes rule files for tests."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from postrail.rules import INPUTS, RuleSet, load_rule_set

BASELINE: dict[str, Any] = {
    name: {str: "x", int: 1, bool: False}[spec.type]
    for name, spec in INPUTS.items()  # a value of each type
}


def make_rule(**overrides: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": "abroad",
        "description": "The acceptor is abroad.",
        "when": "foreign",
        "outcome": "warn",
        "reason": "Abroad",
        "tests": [{"given": {"foreign": True}, "matches": True}, {"matches": False}],
    }
    return fields | overrides


def make_file(*rules: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": "some-rules",
        "version": "2026.1",
        "description": "Rules for a test.",
        "lists": {"watched": ["M1", "M2"]},
        "limits": {"most": 10, "by_currency": {"GBP": 500}},
        "baseline": deepcopy(BASELINE),
        "rules": list(rules) or [make_rule()],
    }
    return fields | overrides


def load(tmp_path: Path, content: dict[str, Any]) -> RuleSet:
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(content))
    return load_rule_set(path)


def as_json(content: dict[str, Any]) -> str:
    return json.dumps(content)
