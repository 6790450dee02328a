"""`breaking_changes` tells a change that old documents survive from one that they do not."""

import copy
import json
from pathlib import Path

import jsonschema
import pytest

from postrail.contracts.envelope import event_class
from postrail.contracts.events import EVENT_TYPES, EventData, PaymentAuthorized
from postrail.contracts.schemas import breaking_changes, event_schema, schema_drift, write_schemas

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def _merchant(schema: dict) -> dict:
    return schema["$defs"]["Merchant"]


def test_the_schemas_in_the_repository_are_those_of_the_contracts() -> None:
    """Drift, a missing file and a breaking change within a version all show here."""
    assert schema_drift(SCHEMAS) == []


def test_drift_is_seen_and_mended(tmp_path: Path) -> None:
    """A changed file is named; writing again mends it."""
    write_schemas(tmp_path)
    victim = tmp_path / "PaymentAccepted" / "v1" / "schema.json"
    victim.write_text("{}")
    assert any("PaymentAccepted/v1/schema.json" in problem for problem in schema_drift(tmp_path))
    assert write_schemas(tmp_path) == [victim]
    assert schema_drift(tmp_path) == []


def test_a_breaking_change_within_a_version_is_drift(tmp_path: Path) -> None:
    """The published schema, not the last generated one, is what readers hold us to."""
    write_schemas(tmp_path)
    published = tmp_path / "PaymentAuthorized" / "v1" / "published.json"
    schema = json.loads(published.read_text())
    schema["$defs"]["Merchant"]["required"].remove("mcc")
    published.write_text(json.dumps(schema))
    assert any("mcc: became required" in problem for problem in schema_drift(tmp_path))


BREAKING = {
    "a field is removed": lambda s: _merchant(s)["properties"].pop("name"),
    "a field becomes required": lambda s: _merchant(s)["required"].append("city"),
    "a type changes": lambda s: _merchant(s)["properties"]["mcc"].update(type="integer"),
    "a pattern changes": lambda s: _merchant(s)["properties"]["mcc"].update(pattern="^5[0-9]{3}$"),
    "an upper bound falls": lambda s: _merchant(s)["properties"]["name"].update(maxLength=10),
    "a lower bound rises": lambda s: _merchant(s)["properties"]["name"].update(minLength=5),
    "an enumeration loses a value": lambda s: s["$defs"]["EntryMode"]["enum"].remove("chip"),
    "null is no longer allowed": lambda s: _merchant(s)["properties"].update(
        city=_merchant(s)["properties"]["city"]["anyOf"][0]
    ),
}
COMPATIBLE = {
    "an optional field is added": lambda s: _merchant(s)["properties"].update(url={"type": "string"}),
    "a field becomes optional": lambda s: _merchant(s)["required"].remove("mcc"),
    "a bound widens": lambda s: _merchant(s)["properties"]["name"].update(maxLength=100),
    "an enumeration gains a value": lambda s: s["$defs"]["EntryMode"]["enum"].append("qr_code"),
    "null becomes allowed": lambda s: _merchant(s)["properties"].update(
        name={"anyOf": [_merchant(s)["properties"]["name"], {"type": "null"}]}
    ),
    "a description changes": lambda s: _merchant(s).update(description="other words"),
}


@pytest.mark.parametrize("change", BREAKING, ids=str)
def test_a_change_that_refuses_old_documents_is_breaking(change: str) -> None:
    """Each of these would make a reader of the published version fail."""
    before = event_schema(PaymentAuthorized)
    after = copy.deepcopy(before)
    BREAKING[change](after)
    assert breaking_changes(before, after) != []


@pytest.mark.parametrize("change", COMPATIBLE, ids=str)
def test_a_change_that_takes_all_old_documents_is_not_breaking(change: str) -> None:
    """Each of these leaves readers of the published version whole."""
    before = event_schema(PaymentAuthorized)
    after = copy.deepcopy(before)
    COMPATIBLE[change](after)
    assert breaking_changes(before, after) == []


@pytest.mark.parametrize("event_type", EVENT_TYPES, ids=lambda t: t.__name__)
class TestExamples:
    """Every event has examples, and they are what they say: by JSON Schema and by the contract itself."""

    def test_valid_examples_are_valid(self, event_type: type[EventData]) -> None:
        """At least one valid example, accepted by schema and contract, and written back unchanged."""
        folder = SCHEMAS / event_type.__name__ / "v1" / "examples" / "valid"
        files = sorted(folder.glob("*.json"))
        assert files, f"no valid example of {event_type.__name__}"
        for file in files:
            document = json.loads(file.read_text())
            jsonschema.Draft202012Validator(event_schema(event_type)).validate(document)
            event = event_class(event_type).model_validate_json(file.read_bytes())
            assert json.loads(event.model_dump_json(exclude_none=True)) == document

    def test_invalid_examples_are_refused(self, event_type: type[EventData]) -> None:
        """At least one invalid example, refused by the contract; the file name says why."""
        folder = SCHEMAS / event_type.__name__ / "v1" / "examples" / "invalid"
        files = sorted(folder.glob("*.json"))
        assert files, f"no invalid example of {event_type.__name__}"
        for file in files:
            with pytest.raises(ValueError, match="validation error"):
                event_class(event_type).model_validate_json(file.read_bytes())
