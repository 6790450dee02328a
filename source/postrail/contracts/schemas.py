"""`schemas/` from the contracts, and what changes to a published schema would break its readers.

Layout: `schemas/<DetailType>/v<version>/schema.json` (generated, the detail of the event), `published.json` (the
schema as it was when the version was published, written once), `examples/valid/*.json`, `examples/invalid/*.json`,
and `schemas/asyncapi.json` (AsyncAPI 3.0) over all of them. Compatibility within a version is BACKWARD, as schema
registries call it: whatever was valid when the version was published stays valid.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postrail.contracts.envelope import event_class
from postrail.contracts.events import EVENT_TYPES, EventData

Schema = dict[str, Any]
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
# Keywords whose value may only grow (a lower bound may only fall, an upper bound may only rise).
_LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def event_schema(event_type: type[EventData]) -> Schema:
    """The JSON Schema (2020-12) of one event's detail."""
    schema = event_class(event_type).model_json_schema(mode="validation")
    schema["title"] = event_type.detail_type()
    schema["description"] = (event_type.__doc__ or "").strip()
    return {"$schema": _DIALECT, "$id": f"postrail:{event_type.detail_type()}:v{event_type.schema_version}"} | schema


def asyncapi_document() -> Schema:
    """AsyncAPI 3.0 over all events: one channel, the bus; each message points at its schema file."""
    messages = {
        event_type.detail_type(): {
            "name": event_type.detail_type(),
            "summary": (event_type.__doc__ or "").strip(),
            "contentType": "application/json",
            "payload": {"$ref": f"./{_folder(event_type)}/schema.json"},
        }
        for event_type in EVENT_TYPES
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Postrail payment events", "version": "1"},
        "defaultContentType": "application/json",
        "channels": {
            "payments": {
                "address": "payments",
                "description": "EventBridge bus. The detail type is the message's name, the payload its detail.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "publish": {
                "action": "receive",
                "channel": {"$ref": "#/channels/payments"},
                "summary": "What a producer may put on the bus.",
                "messages": [{"$ref": "#/channels/payments/messages/PaymentAuthorized"}],
            },
            "subscribe": {
                "action": "send",
                "channel": {"$ref": "#/channels/payments"},
                "summary": "What Postrail puts on the bus.",
                "messages": [
                    {"$ref": f"#/channels/payments/messages/{name}"} for name in messages if name != "PaymentAuthorized"
                ],
            },
        },
        "components": {"messages": messages},
    }


def write_schemas(target: Path) -> list[Path]:
    """Write all generated files below `target`; returns what changed. Published schemas are written once only."""
    changed = []
    for path, content in _generated(target):
        if not path.exists() or path.read_text("utf-8") != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, "utf-8")
            changed.append(path)
    for event_type in EVENT_TYPES:
        published = target / _folder(event_type) / "published.json"
        if not published.exists():
            published.write_text(_dump(event_schema(event_type)), "utf-8")
            changed.append(published)
    return changed


def schema_drift(target: Path) -> list[str]:
    """Sentences on generated files that differ from the contracts, and on breaking changes. Empty when all is well."""
    problems = [
        f"{path.relative_to(target)} differs from the contracts: run `postrail schemas generate`"
        for path, content in _generated(target)
        if not path.exists() or path.read_text("utf-8") != content
    ]
    for event_type in EVENT_TYPES:
        published = target / _folder(event_type) / "published.json"
        if not published.exists():
            problems.append(f"{published.relative_to(target)} is missing: run `postrail schemas generate`")
            continue
        before = json.loads(published.read_text("utf-8"))
        problems += [
            f"{_folder(event_type)}: {change}; readers of this version would break: raise the schema version"
            for change in breaking_changes(before, event_schema(event_type))
        ]
    return problems


def breaking_changes(before: Schema, after: Schema) -> list[str]:
    """What in `after` would refuse a document that `before` accepts, each as a phrase with the place."""
    return list(_compare(before, after, before, after, "$"))


def _compare(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    old, new = _resolve(old, old_root), _resolve(new, new_root)
    if "anyOf" in old or "anyOf" in new:
        yield from _compare_alternatives(old, new, old_root, new_root, place)
        return
    if old.get("type") != new.get("type"):
        yield f"{place}: type {old.get('type')} became {new.get('type')}"
        return
    yield from _compare_values(old, new, place)
    gone = set(old.get("properties", {})) - set(new.get("properties", {}))
    if new.get("additionalProperties") is False:
        yield from (f"{place}.{name}: removed" for name in sorted(gone))
    demanded = set(new.get("required", ())) - set(old.get("required", ()))
    yield from (f"{place}.{name}: became required" for name in sorted(demanded))
    for name in sorted(set(old.get("properties", {})) & set(new.get("properties", {}))):
        pair = old["properties"][name], new["properties"][name]
        yield from _compare(*pair, old_root, new_root, f"{place}.{name}")
    if isinstance(old.get("items"), dict) and isinstance(new.get("items"), dict):
        yield from _compare(old["items"], new["items"], old_root, new_root, f"{place}[]")


def _compare_values(old: Schema, new: Schema, place: str) -> Iterator[str]:
    lost = [value for value in old.get("enum", ()) if "enum" in new and value not in new["enum"]]
    if lost:
        yield f"{place}: values {lost} removed"
    for keyword in ("pattern", "const", "format"):
        if keyword in new and old.get(keyword) != new[keyword]:
            yield f"{place}: {keyword} changed"
    for keyword in _LOWER_BOUNDS:
        if keyword in new and new[keyword] > old.get(keyword, float("-inf")):
            yield f"{place}: {keyword} raised to {new[keyword]}"
    for keyword in _UPPER_BOUNDS:
        if keyword in new and new[keyword] < old.get(keyword, float("inf")):
            yield f"{place}: {keyword} lowered to {new[keyword]}"


def _compare_alternatives(old: Schema, new: Schema, old_root: Schema, new_root: Schema, place: str) -> Iterator[str]:
    """Each alternative that was offered must still be taken by one of the new ones."""
    offered = new.get("anyOf", [new])
    for alternative in old.get("anyOf", [old]):
        if all(list(_compare(alternative, candidate, old_root, new_root, place)) for candidate in offered):
            yield f"{place}: an alternative was removed or narrowed"


def _resolve(schema: Schema, root: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    target: Any = root
    for step in schema["$ref"].removeprefix("#/").split("/"):
        target = target[step]
    return _resolve(target, root)


def _generated(target: Path) -> Iterator[tuple[Path, str]]:
    for event_type in EVENT_TYPES:
        yield target / _folder(event_type) / "schema.json", _dump(event_schema(event_type))
    yield target / "asyncapi.json", _dump(asyncapi_document())


def _folder(event_type: type[EventData]) -> str:
    return f"{event_type.detail_type()}/v{event_type.schema_version}"


def _dump(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
