"""Questions about the ledger: the database and its proxy where they were made here, and the schema in any case."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from postrail.validation.deployment import Deployment, Ledger
from postrail.validation.findings import NotHere, Question, Wrong
from postrail.validation.stores import Aws
from postrail.validation.traces import AskLedger

_DEPLOY_AGAIN = "Deploy again: somebody has changed it by hand."


def questions_on_ledger(deployment: Deployment, aws: Aws, ask: AskLedger) -> Iterator[Question]:
    """Cluster, proxy and schema."""
    protected = deployment.expectations.deletion_protection
    yield Question("database", "cluster", partial(_cluster, aws, deployment.ledger, protected))
    yield Question("database", "proxy", partial(_proxy, aws, deployment.ledger))
    yield Question("ledger", "schema", partial(_schema, ask))


def _made(ledger: Ledger | None) -> Ledger:
    if ledger is None:
        raise NotHere("the database is somebody else's (the output ledger is null: ledger.host names it)")
    return ledger


def _cluster(aws: Aws, ledger: Ledger | None, protected: bool) -> str:
    made = _made(ledger)
    (found,) = aws("rds").describe_db_clusters(DBClusterIdentifier=made.id)["DBClusters"]
    if found["Status"] != "available":
        raise Wrong(
            f"is {found['Status']}", "Wait until it is available; its events say why: `aws rds describe-events`."
        )
    if not found.get("StorageEncrypted") or not found.get("IAMDatabaseAuthenticationEnabled"):
        raise Wrong("is not encrypted, or takes no logins by role", _DEPLOY_AGAIN)
    if protected and not found.get("DeletionProtection"):
        raise Wrong("can be deleted", _DEPLOY_AGAIN)
    members = {str(member["DBInstanceIdentifier"]) for member in found.get("DBClusterMembers", [])}
    missing = sorted(set(made.instances) - members)
    if missing:
        raise Wrong(f"lacks {', '.join(missing)}", "Deploy again: `make deploy` makes the instance anew.")
    kept = f"restorable within {found.get('BackupRetentionPeriod', 0)} days"
    return f"{found['Engine']} {found['EngineVersion']}, {len(members)} instances, {kept}"


def _proxy(aws: Aws, ledger: Ledger | None) -> str:
    made, rds = _made(ledger), aws("rds")
    (found,) = rds.describe_db_proxies(DBProxyName=made.proxy)["DBProxies"]
    if found["Status"] != "available":
        raise Wrong(f"is {found['Status']}", "Wait until it is available, then validate again.")
    if not found.get("RequireTLS"):
        raise Wrong("takes connections without TLS", _DEPLOY_AGAIN)
    targets = rds.describe_db_proxy_targets(DBProxyName=made.proxy)["Targets"]
    writers = [each.get("TargetHealth", {}) for each in targets if each.get("Type") == "RDS_INSTANCE"]
    if not any(health.get("State") == "AVAILABLE" for health in writers):
        said = "; ".join(str(health.get("Description") or health.get("Reason") or "unknown") for health in writers)
        raise Wrong(f"reaches no instance: {said or 'it has none'}", "See its log group, and the secret it logs in by.")
    return f"available, {len(writers)} instances behind it"


def _schema(ask: AskLedger) -> str:
    state: Mapping[str, Any] = ask({"ask": "state"})
    if state["read_only"]:
        raise Wrong("the database takes no writes", "Find the writer: a failover may be under way.")
    if state["pending"]:
        raise Wrong(
            f"{len(state['pending'])} migrations are missing, the first is {state['pending'][0]}",
            "Invoke migrate_ledger, or deploy again: docs/runbook.md, Deploy.",
        )
    if state["unknown"]:
        raise Wrong(f"a newer code has migrated it: {state['unknown'][-1]}", "Deploy the newer code.")
    return f"PostgreSQL {state['server_version']}, up to date"
