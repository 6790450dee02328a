"""Questions about what does the work: functions, what feeds them, the state machine, the tasks, the APIs."""

import base64
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from postrail.validation.deployment import Deployment, Named
from postrail.validation.findings import NotHere, Question, Wrong
from postrail.validation.stores import Aws

_DEPLOY_AGAIN = "Deploy again: somebody has changed it by hand."
_API_SECONDS_MAX = 15
_SERVICES_PER_CALL = 10
_PAGES_MAX = 50


def questions_on_work(deployment: Deployment, aws: Aws, archives: Path) -> Iterator[Question]:
    """Functions (against the archives in a folder), their mappings, state machine, tasks and APIs."""
    functions = aws("lambda")
    for name, function in deployment.functions.items():
        yield Question("function", name, partial(_function, functions, deployment, function, archives / f"{name}.zip"))
    for queue, name in deployment.expectations.consumers.items():
        arn = str(deployment.queues[queue].arn)
        yield Question("mapping", f"{queue} > {name}", partial(_mapping, functions, name, arn))
    yield Question("state machine", "rules-engine", partial(_state_machine, aws, deployment.state_machine_arn))
    yield Question("task", "batch", partial(_batch, aws, deployment))
    for party in deployment.switch.parties:
        yield Question("service", party, partial(_service, aws, deployment, party))
    for route in _first_routes(deployment.api):
        name = route.split(" ", 1)[0]
        yield Question("api", route, partial(_api, str(deployment.api[f"{name}_url"]), route))
        if deployment.edge is not None and name in deployment.edge.addresses:
            yield Question("edge", route, partial(_api, deployment.edge.addresses[name], route))


def _function(functions: Any, deployment: Deployment, function: Named, archive: Path) -> str:
    found = functions.get_function_configuration(FunctionName=function.name)
    if found.get("State", "Active") != "Active":
        raise Wrong(f"is {found['State']} {found.get('StateReason', '')}".strip(), "Wait, or deploy again.")
    if found.get("LastUpdateStatus", "Successful") != "Successful":
        raise Wrong(f"its last update is {found['LastUpdateStatus']}", "Wait for the update, or deploy again.")
    if deployment.target.tracing and found.get("TracingConfig", {}).get("Mode") != "Active":
        raise Wrong("is not traced", _DEPLOY_AGAIN)
    reserved = functions.get_function_concurrency(FunctionName=function.name).get("ReservedConcurrentExecutions")
    if reserved == 0:
        raise Wrong(
            "is switched off: its reserved concurrency is 0", "Give it back: `aws lambda delete-function-concurrency`."
        )
    return _code(found["CodeSha256"], archive)


def _code(deployed: str, archive: Path) -> str:
    if not archive.is_file():
        return f"active; {archive} is not built here, so its code was not compared"
    own = base64.b64encode(hashlib.sha256(archive.read_bytes()).digest()).decode()
    if own != deployed:
        raise Wrong(f"runs other code than {archive}", "Deploy this checkout, or build the one that was deployed.")
    return "active, with the code of this checkout"


def _mapping(functions: Any, name: str, queue_arn: str) -> str:
    answer = functions.list_event_source_mappings(FunctionName=name, EventSourceArn=queue_arn)
    mappings = answer["EventSourceMappings"]
    if not mappings:
        raise Wrong("nothing reads the queue", "Deploy again: `make deploy` puts the mapping back.")
    states = {str(mapping["State"]) for mapping in mappings}
    if "Enabled" not in states:
        raise Wrong(
            f"is {', '.join(sorted(states))}: messages wait in the queue",
            f"Enable it: `aws lambda update-event-source-mapping --uuid {mappings[0]['UUID']} --enabled`.",
        )
    if not all("ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", []) for mapping in mappings):
        raise Wrong("one bad message fails its whole batch", _DEPLOY_AGAIN)
    return f"enabled, batches of {mappings[0].get('BatchSize', 0)}"


def _state_machine(aws: Aws, arn: str) -> str:
    found = aws("stepfunctions").describe_state_machine(stateMachineArn=arn)
    if found.get("status", "ACTIVE") != "ACTIVE":
        raise Wrong(f"is {found['status']}", "Deploy again.")
    return str(found["type"]).lower()


def _batch(aws: Aws, deployment: Deployment) -> str:
    ecs, batch = aws("ecs"), deployment.batch
    if _cluster_status(ecs, batch.cluster_arn) != "ACTIVE":
        raise Wrong("its cluster is gone", "Deploy again.")
    found = ecs.describe_task_definition(taskDefinition=batch.task_definition_arn)["taskDefinition"]
    if found.get("status", "ACTIVE") != "ACTIVE":
        raise Wrong(f"its task definition is {found['status']}", "Deploy again.")
    image = str(found["containerDefinitions"][0]["image"])
    if not batch.managed:
        raise NotHere("tasks do not run here (batch.managed is false); a runner of ours takes its commands")
    return image.rsplit("/", 1)[-1]


def _cluster_status(ecs: Any, arn: str) -> str:
    clusters = ecs.describe_clusters(clusters=[arn])["clusters"]
    return str(clusters[0]["status"]) if clusters else "absent"


def _service(aws: Aws, deployment: Deployment, party: str) -> str:
    if not deployment.switch.managed:
        raise NotHere("no service of the switch runs here (switch.managed is false)")
    service = _services(aws("ecs"), deployment.switch.cluster_arn).get(party)
    if service is None:
        raise Wrong("has no service", "Deploy again.")
    running, desired = int(service["runningCount"]), int(service["desiredCount"])
    if running < desired or desired == 0:
        raise Wrong(f"{running} of {desired} tasks run", "See the service's events and its log group.")
    rollouts = {str(each.get("rolloutState", "COMPLETED")) for each in service.get("deployments", [])}
    if rollouts - {"COMPLETED"}:
        raise Wrong(f"its deployment is {', '.join(sorted(rollouts))}", "Wait for the deployment to end.")
    return f"{running} tasks run"


def _services(ecs: Any, cluster_arn: str) -> dict[str, Mapping[str, Any]]:
    """The services of the switch's cluster by party: a service's name ends with its party's id."""
    arns: list[str] = []
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        page = ecs.list_services(cluster=cluster_arn, **token)
        arns += page["serviceArns"]
        if not page.get("nextToken"):
            break
        token = {"nextToken": page["nextToken"]}
    found: dict[str, Mapping[str, Any]] = {}
    for start in range(0, len(arns), _SERVICES_PER_CALL):
        described = ecs.describe_services(cluster=cluster_arn, services=arns[start : start + _SERVICES_PER_CALL])
        found |= {str(each["serviceName"]): each for each in described["services"]}
    return found


def _first_routes(api: Mapping[str, Any]) -> list[str]:
    """One route of each API, one that only reads if there is any: `bank GET /get-balance`."""
    firsts: dict[str, str] = {}
    for route in sorted((str(each) for each in api.get("routes", [])), key=lambda each: " GET " not in each):
        firsts.setdefault(route.split(" ", 1)[0], route)
    return list(firsts.values())


def _api(address: str, route: str) -> str:
    _, method, path = route.split(" ")
    status = _ask_without_token(method, f"{address}{path}")
    if status not in {401, 403}:
        raise Wrong(
            f"answers {status} to a caller without token, not 401",
            "See the API's access log, and the log of its function.",
        )
    return f"refuses callers without token ({status})"


def _ask_without_token(method: str, url: str) -> int:
    request = urllib.request.Request(url, method=method)  # noqa: S310 - the address is Terraform's
    try:
        with urllib.request.urlopen(request, timeout=_API_SECONDS_MAX) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as answer:
        return int(answer.code)
    except urllib.error.URLError as error:
        raise Wrong(
            f"does not answer: {error.reason}", "Check its address in the outputs, and the way to it."
        ) from error
