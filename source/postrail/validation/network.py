"""Questions about the network of what needs the ledger."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from postrail.validation.deployment import Deployment, Network
from postrail.validation.findings import NotHere, Question, Wrong
from postrail.validation.stores import Aws

_DEPLOY_AGAIN = "Deploy again: somebody has changed it by hand."
_PAGES_MAX = 20


def questions_on_network(deployment: Deployment, aws: Aws) -> Iterator[Question]:
    """The VPC, the endpoints by which its functions reach AWS, and its flow logs."""
    network = deployment.expectations.network
    yield Question("network", "vpc", partial(_vpc, aws, network))
    if network.vpc_id is not None:
        yield Question("network", "endpoints", partial(_endpoints, aws, network))
        yield Question("network", "flow logs", partial(_flow_logs, aws, network))


def _vpc(aws: Aws, network: Network) -> str:
    if network.vpc_id is None:
        raise NotHere("nothing is in a VPC here (network.vpc_id is null)")
    found = aws("ec2").describe_vpcs(VpcIds=[network.vpc_id])["Vpcs"]
    if not found or found[0]["State"] != "available":
        raise Wrong("is not available", "Deploy again.")
    return network.vpc_id


def _endpoints(aws: Aws, network: Network) -> str:
    if not network.endpoints:
        raise NotHere("no endpoint was deployed here: the network's own ways lead to AWS")
    states: dict[str, str] = {}
    for endpoint in _all_endpoints(aws("ec2"), str(network.vpc_id)):
        states[str(endpoint["ServiceName"])] = str(endpoint["State"])
    missing = [each for each in network.endpoints if not any(_is_of(service, each) for service in states)]
    if missing:
        raise Wrong(f"none to {', '.join(missing)}: functions wait there until they time out", _DEPLOY_AGAIN)
    waiting = sorted(service for service, state in states.items() if state.lower() != "available")
    if waiting:
        raise Wrong(f"not available: {', '.join(waiting)}", "Wait until they are, then validate again.")
    return f"{len(states)} available"


def _is_of(service: str, short: str) -> bool:
    """Whether `com.amazonaws.eu-west-2.ecr.api` is the endpoint `ecr.api`."""
    return service.endswith(f".{short}")


def _all_endpoints(ec2: Any, vpc_id: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        page = ec2.describe_vpc_endpoints(Filters=[{"Name": "vpc-id", "Values": [vpc_id]}], **token)
        yield from page["VpcEndpoints"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _flow_logs(aws: Aws, network: Network) -> str:
    if not network.flow_logs:
        raise NotHere("no flow logs were deployed here: the network is not ours, or target.endpoints_run is false")
    filters = [{"Name": "resource-id", "Values": [network.vpc_id]}]
    found = aws("ec2").describe_flow_logs(Filters=filters)["FlowLogs"]
    if not found:
        raise Wrong("nobody records who speaks to whom", _DEPLOY_AGAIN)
    errors = [str(each["DeliverLogsErrorMessage"]) for each in found if each.get("DeliverLogsErrorMessage")]
    if errors or any(each.get("FlowLogStatus") != "ACTIVE" for each in found):
        raise Wrong(
            f"not delivered: {', '.join(errors) or 'inactive'}", "See the role and the log group of the flow log."
        )
    return "active"
