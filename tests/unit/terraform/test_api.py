"""The APIs that are deployed are the APIs that are documented, and none of their routes is open."""

import json
from pathlib import Path

import pytest
from tests.builders.planned_graph import PlannedGraph

pytestmark = pytest.mark.timeout(900)  # Terraform makes the graph anew when it has changed

SCHEMAS = Path(__file__).resolve().parents[3] / "schemas"
METHODS = {"delete", "get", "patch", "post", "put"}


def documented(api: str) -> set[str]:
    """`POST /accounts` and the like of one OpenAPI document."""
    paths = json.loads((SCHEMAS / f"openapi-{api}.json").read_text(encoding="utf-8"))["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods.keys() & METHODS}


@pytest.mark.parametrize("api", ["bank", "network"])
def test_what_is_deployed_is_what_is_documented(api: str, real_account: PlannedGraph) -> None:
    """One table makes the document, the function's own routing and the gateway's routes."""
    table = json.loads((SCHEMAS / "api-routes.json").read_text(encoding="utf-8"))
    listed = {f"{route['method']} {route['path']}" for route in table if route["api"] == api}
    deployed = {
        route.values["route_key"]
        for route in real_account.of("aws_apigatewayv2_route")
        if route.address.split('"')[1].startswith(f"{api} ")
    }
    assert deployed == listed == documented(api)
    assert deployed


def test_every_route_wants_a_token_with_a_scope(real_account: PlannedGraph) -> None:
    for route in real_account.of("aws_apigatewayv2_route"):
        assert route.values["authorization_type"] == "JWT", route.address
        assert route.values["authorizer_id"], route.address
        assert len(route.values["authorization_scopes"]) == 1, route.address


def test_every_api_is_throttled_and_says_who_asked(real_account: PlannedGraph) -> None:
    """Without headers, query and body, which hold tokens and card numbers."""
    stages = list(real_account.of("aws_apigatewayv2_stage"))
    assert len(stages) == 2
    for stage in stages:
        (settings,) = stage.values["default_route_settings"]
        assert settings["throttling_rate_limit"] > 0, stage.address
        assert settings["throttling_burst_limit"] > 0, stage.address
        (logs,) = stage.values["access_log_settings"]
        told = set(json.loads(logs["format"]).values())
        assert "$context.requestId" in told, stage.address
        assert not [each for each in told if "header" in each.lower() or "body" in each.lower()], stage.address
