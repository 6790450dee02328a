"""Questions about what watches the graph: alarms, dashboards, log groups."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from postrail.validation.deployment import Deployment
from postrail.validation.findings import NotHere, Question, Wrong
from postrail.validation.stores import Aws

_NO_ALARMS = "the target raises no alarms (target.alarms_run is false), so none was made"
_PAGES_MAX = 50
_NAMED_MAX = 5


def questions_on_watching(deployment: Deployment, aws: Aws) -> Iterator[Question]:
    """Alarms by what they say, dashboards by name, log groups by retention."""
    expected, cloudwatch = deployment.expectations, aws("cloudwatch")
    yield Question("alarms", "all deployed", partial(_alarms_there, cloudwatch, deployment))
    yield Question("alarms", "all in OK", partial(_alarms_quiet, cloudwatch, deployment))
    for name in expected.dashboards:
        yield Question("dashboard", name, partial(_dashboard, cloudwatch, name))
    yield Question("logs", "retention", partial(_retention, aws("logs"), deployment))
    yield Question("audit", "trail", partial(_trail, aws, expected.trail))


def _alarms_there(cloudwatch: Any, deployment: Deployment) -> str:
    if not deployment.target.alarms_run:
        raise NotHere(_NO_ALARMS)
    found = {str(alarm["AlarmName"]): alarm for alarm in _alarms(cloudwatch, deployment.name_prefix)}
    missing = [name for name in deployment.expectations.alarms if name not in found]
    if missing:
        raise Wrong(f"missing: {_some(missing)}", "Deploy again: `make deploy` puts them back.")
    mute = [name for name, alarm in found.items() if not alarm.get("ActionsEnabled", True)]
    if mute:
        raise Wrong(f"tell nobody: {_some(mute)}", "Let them speak: `aws cloudwatch enable-alarm-actions`.")
    return f"{len(found)} alarms"


def _alarms_quiet(cloudwatch: Any, deployment: Deployment) -> str:
    if not deployment.target.alarms_run:
        raise NotHere(_NO_ALARMS)
    states: dict[str, list[str]] = {}
    remedy = ""
    for alarm in _alarms(cloudwatch, deployment.name_prefix):
        states.setdefault(str(alarm["StateValue"]), []).append(str(alarm["AlarmName"]))
        if alarm["StateValue"] == "ALARM" and not remedy:
            remedy = str(alarm.get("AlarmDescription") or "")
    if "ALARM" in states:
        raise Wrong(f"in ALARM: {_some(states['ALARM'])}", remedy or "docs/alarms.md has a section for each.")
    unknown = states.get("INSUFFICIENT_DATA", [])
    return f"{len(states.get('OK', []))} in OK" + (f", {len(unknown)} without data yet" if unknown else "")


def _alarms(cloudwatch: Any, prefix: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        page = cloudwatch.describe_alarms(
            AlarmNamePrefix=f"{prefix}-", AlarmTypes=["MetricAlarm", "CompositeAlarm"], **token
        )
        yield from page.get("MetricAlarms", [])
        yield from page.get("CompositeAlarms", [])
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _dashboard(cloudwatch: Any, name: str) -> str:
    return f"{len(cloudwatch.get_dashboard(DashboardName=name)['DashboardBody']):,} characters"


def _retention(logs: Any, deployment: Deployment) -> str:
    days = deployment.expectations.log_retention_days
    groups = {str(group["logGroupName"]): group for group in _log_groups(logs, deployment.name_prefix)}
    missing = [each.name for each in deployment.functions.values() if f"/aws/lambda/{each.name}" not in groups]
    if missing:
        raise Wrong(f"no log group: {_some(missing)}", "Deploy again.")
    endless = [name for name, group in groups.items() if not group.get("retentionInDays")]
    if endless:
        raise Wrong(f"kept for ever: {_some(endless)}", f"Deploy again: log groups keep events for {days} days.")
    return f"{len(groups)} log groups"


def _log_groups(logs: Any, prefix: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    for _ in range(_PAGES_MAX):
        page = logs.describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{prefix}-", **token)
        yield from page["logGroups"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def _trail(aws: Aws, arn: str | None) -> str:
    if arn is None:
        raise NotHere(
            "no trail was deployed (expectations.trail is null): target.audit_trail or audit.enabled is false"
        )
    found = aws("cloudtrail").get_trail_status(Name=arn)
    if not found["IsLogging"]:
        raise Wrong("records nothing", "Start it, and find out who stopped it: `aws cloudtrail start-logging`.")
    if found.get("LatestDeliveryError"):
        raise Wrong(f"cannot deliver: {found['LatestDeliveryError']}", "See the policy of its bucket and key.")
    return "recording"


def _some(names: list[str]) -> str:
    more = len(names) - _NAMED_MAX
    return ", ".join(sorted(names)[:_NAMED_MAX]) + (f" and {more} more" if more > 0 else "")
