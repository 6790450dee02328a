"""The documents that are generated from the table of routes."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from switch.issuing.api.openapi import api_drift, openapi_document, route_list, write_api_documents
from switch.issuing.api.problems import STATUS, TITLES
from switch.issuing.api.routes import ROUTES, Api
from switch.issuing.callers import Scope
from switch.issuing.functions import build_bank_api, build_network_api
from switch.issuing.refusals import Refusal


def references(document: Any) -> list[str]:
    if isinstance(document, dict):
        own = [document["$ref"]] if isinstance(document.get("$ref"), str) else []
        return own + [found for value in document.values() for found in references(value)]
    return [found for value in document for found in references(value)] if isinstance(document, list) else []


@pytest.mark.parametrize("api", list(Api))
def test_every_reference_of_a_document_leads_somewhere(api: Api) -> None:
    """And every schema of it is one of JSON Schema."""
    document = openapi_document(api)

    found = references(document)
    assert found
    for reference in found:
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_every_route_is_described_and_wants_a_scope_of_its_own_kind() -> None:
    """No route is open to everybody, and no two are one."""
    described = {
        (api.value, method.upper(), path): operation
        for api in Api
        for path, methods in openapi_document(api)["paths"].items()
        for method, operation in methods.items()
    }

    assert {(entry["api"], entry["method"], entry["path"]) for entry in route_list()} == set(described)
    assert len(described) == len(ROUTES) == len({route.operation for route in ROUTES})
    for entry in route_list():
        operation = described[entry["api"], entry["method"], entry["path"]]
        assert operation["security"] == [{"accessToken": [entry["scope"]]}]
        assert entry["scope"] in set(Scope)
        assert {"401", "403", "422", "503"} <= set(operation["responses"])


def test_every_refusal_has_a_status_and_a_title() -> None:
    """None is forgotten when a reason is added."""
    assert set(STATUS) == set(TITLES) == set(Refusal)


def test_the_checkouts_documents_are_what_the_routes_say(tmp_path: Path) -> None:
    """A change of a route without new documents is noticed."""
    schemas = Path(__file__).parents[4] / "schemas"
    assert api_drift(schemas) == []

    written = write_api_documents(tmp_path)
    assert {path.name for path in written} == {"openapi-bank.json", "openapi-network.json", "api-routes.json"}
    assert write_api_documents(tmp_path) == []
    (tmp_path / "api-routes.json").write_text(json.dumps([]))
    assert len(api_drift(tmp_path)) == 1


def test_only_the_order_of_a_card_answers_with_a_number() -> None:
    """The one field that may hold a card number stands in one answer."""
    with_number = [route.operation for route in ROUTES if "pan" in route.answer.model_fields]

    assert with_number == ["order_card"]
    assert all("pan" not in route.request.model_fields for route in ROUTES)


def test_each_api_serves_exactly_its_routes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is described is served, and by one API only."""
    from postrail.settings import SwitchSettings  # noqa: PLC0415
    from switch.issuing.local_tokens import ISSUER, LocalTokens  # noqa: PLC0415

    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    settings = SwitchSettings(
        ledger_dsn="postgresql://nobody@127.0.0.1:1/none",
        card_folder=tmp_path,
        reference_table="reference",
        token_issuer=ISSUER,
        token_keys=LocalTokens(tmp_path).keys,
    )

    for api, build in ((Api.BANK, build_bank_api), (Api.NETWORK, build_network_api)):
        assert set(build(settings)._routes) == {route.key for route in ROUTES if route.api is api}
