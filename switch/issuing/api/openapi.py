"""OpenAPI 3.1 documents of the two APIs, and the list of routes that Terraform reads, all from the table of routes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from postrail.contracts.base import Contract
from switch.issuing.api.problems import MEDIA_TYPE, STATUS, TITLES, Problem
from switch.issuing.api.routes import ROUTES, Api, Route, routes_of
from switch.issuing.refusals import Refusal

_REFERENCES: Final = "#/components/schemas/{model}"
_EVERYWHERE: Final = (
    Refusal.REQUEST_MALFORMED,
    Refusal.TOKEN_MISSING,
    Refusal.TOKEN_INVALID,
    Refusal.SCOPE_MISSING,
    Refusal.REQUEST_INVALID,
    Refusal.CLEAR_CARD_NUMBER,
    Refusal.TRY_AGAIN,
)
_ON_CHANGES: Final = (Refusal.REQUEST_KEY_REUSED, Refusal.REQUEST_TOO_LARGE)
_TITLES: Final = {
    Api.BANK: ("Postrail bank API", "Accounts and cards of an issuing bank."),
    Api.NETWORK: ("Postrail network API", "A card network's side of issuing, for the banks that are its members."),
}
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "Names the request: asked again with the same body it is answered alike and done once.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{8,64}$"},
}


def openapi_document(api: Api) -> dict[str, Any]:
    """The OpenAPI 3.1 document of one API."""
    routes = routes_of(api)
    models = {model: None for route in routes for model in (route.request, route.answer)} | {Problem: None}
    _, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_REFERENCES, by_alias=True
    )
    schemas = dict(sorted(definitions["$defs"].items()))
    title, description = _TITLES[api]
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": description},
        "security": [{"accessToken": []}],
        "paths": {route.path: {route.method.lower(): _operation(route, schemas)} for route in routes},
        "components": {
            "securitySchemes": {
                "accessToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "ES256 or RS256, with iss, aud, exp, sub, scope, and bank_id: the bearer's bank",
                }
            },
            "schemas": {name: schema for name, schema in schemas.items() if not _is_query(name, routes)},
        },
    }


def route_list() -> list[dict[str, str]]:
    """All routes with the scope that each asks for: what an API gateway has to be told."""
    return [
        {"api": route.api.value, "method": route.method, "path": route.path, "scope": route.scope.value}
        for route in ROUTES
    ]


def write_api_documents(target: Path) -> list[Path]:
    """Write the generated files below `target`; returns those that changed."""
    changed = [path for path, text in _generated(target) if not path.exists() or path.read_text("utf-8") != text]
    for path, text in _generated(target):
        if path in changed:
            path.write_text(text, "utf-8")
    return changed


def api_drift(target: Path) -> list[str]:
    """A sentence for each generated file that is not what the routes say."""
    return [
        f"{path.relative_to(target)} differs from the routes: run `postrail schemas generate`"
        for path, text in _generated(target)
        if not path.exists() or path.read_text("utf-8") != text
    ]


def _generated(target: Path) -> Iterator[tuple[Path, str]]:
    for api in Api:
        yield target / f"openapi-{api.value}.json", _dump(openapi_document(api))
    yield target / "api-routes.json", _dump(route_list())


def _operation(route: Route[Contract, Contract], schemas: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.operation,
        "summary": route.summary,
        "description": f"Scope `{route.scope.value}`. {(route.request.__doc__ or '').strip()}",
        "security": [{"accessToken": [route.scope.value]}],
    }
    if route.changes:
        operation["parameters"] = [_KEY_HEADER]
        operation["requestBody"] = {"required": True, "content": _content(route.request, "application/json")}
    else:
        operation["parameters"] = _query(schemas[route.request.__name__])
    operation["responses"] = {
        str(route.status): {"description": (route.answer.__doc__ or "").strip(), "content": _content(route.answer)}
    } | _problems(route)
    return operation


def _query(schema: dict[str, Any]) -> list[dict[str, Any]]:
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]


def _problems(route: Route[Contract, Contract]) -> dict[str, Any]:
    reasons = [*_EVERYWHERE, *(_ON_CHANGES if route.changes else ()), *route.refusals]
    by_status: dict[int, list[Refusal]] = {}
    for reason in reasons:
        by_status.setdefault(STATUS[reason], []).append(reason)
    return {
        str(status): {
            "description": "; ".join(f"{TITLES[reason]} (`{reason.value}`)" for reason in some) + ".",
            "content": _content(Problem, MEDIA_TYPE),
        }
        for status, some in sorted(by_status.items())
    }


def _content(model: type[Contract], media_type: str = "application/json") -> dict[str, Any]:
    return {media_type: {"schema": {"$ref": _REFERENCES.format(model=model.__name__)}}}


def _is_query(name: str, routes: tuple[Route[Contract, Contract], ...]) -> bool:
    """A query's fields are parameters; its model stands nowhere else."""
    return any(route.request.__name__ == name and not route.changes for route in routes)


def _dump(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
