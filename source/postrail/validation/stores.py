"""Questions about what keeps data: tables, buckets, keys, secrets."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from postrail.validation.deployment import Bucket, Deployment, Named
from postrail.validation.findings import NotHere, Question, Wrong

Aws = Callable[[str], Any]
"""A boto3 client by the name of its service."""

_DEPLOY_AGAIN = "Deploy again: somebody has changed it by hand."


def questions_on_stores(deployment: Deployment, aws: Aws) -> Iterator[Question]:
    """Tables, buckets, keys and secrets of a deployment."""
    vault = deployment.card_vault
    tables = deployment.tables | {"card-vault": Named(name=vault["table"], arn=vault["table_arn"])}
    protected = deployment.expectations.deletion_protection
    for name, table in tables.items():
        yield Question("table", name, partial(_table, aws("dynamodb"), table, protected))
    for name, bucket in deployment.expectations.buckets.items():
        yield Question("bucket", name, partial(_bucket, aws("s3"), bucket))
    for name, arn in deployment.expectations.keys.items():
        yield Question("key", name, partial(_key, aws("kms"), arn))
    yield from _secrets(deployment, aws)


def _table(dynamodb: Any, table: Named, protected: bool) -> str:
    found = dynamodb.describe_table(TableName=table.name)["Table"]
    if found["TableStatus"] != "ACTIVE":
        raise Wrong(f"is {found['TableStatus']}", "Wait until it is ACTIVE, then validate again.")
    if found.get("SSEDescription", {}).get("SSEType") != "KMS":
        raise Wrong("is not encrypted under the customer's key", _DEPLOY_AGAIN)
    stream = found.get("LatestStreamArn") if found.get("StreamSpecification", {}).get("StreamEnabled") else None
    if stream != table.stream_arn:
        raise Wrong(
            f"its stream is {stream or 'off'}", "Deploy again: the intake pipe reads the stream of the outputs."
        )
    if protected and not found.get("DeletionProtectionEnabled"):
        raise Wrong("can be deleted", _DEPLOY_AGAIN)
    backups = dynamodb.describe_continuous_backups(TableName=table.name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    if recovery != "ENABLED":
        raise Wrong("has no point-in-time recovery", _DEPLOY_AGAIN)
    return "active, encrypted, recoverable" + (", with stream" if stream else "")


def _bucket(s3: Any, bucket: Bucket) -> str:
    if s3.get_bucket_versioning(Bucket=bucket.name).get("Status") != "Enabled":
        raise Wrong("keeps no versions", _DEPLOY_AGAIN)
    access = s3.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"]
    open_ways = sorted(name for name, blocked in access.items() if not blocked)
    if open_ways:
        raise Wrong(f"may be made public: {', '.join(open_ways)} is off", _DEPLOY_AGAIN)
    rules = s3.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
    if not any(rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"].startswith("aws:kms") for rule in rules):
        raise Wrong("is not encrypted under the customer's key", _DEPLOY_AGAIN)
    return "versioned, private, encrypted" + _lock_of(s3, bucket)


def _lock_of(s3: Any, bucket: Bucket) -> str:
    if bucket.lock_mode is None:
        return ""
    lock = s3.get_object_lock_configuration(Bucket=bucket.name)["ObjectLockConfiguration"]
    retention = lock.get("Rule", {}).get("DefaultRetention", {})
    if (retention.get("Mode"), retention.get("Days")) != (bucket.lock_mode, bucket.lock_days):
        found = f"{retention.get('Mode', 'no lock')} for {retention.get('Days', 0)} days"
        raise Wrong(f"is locked by {found}, not {bucket.lock_mode} for {bucket.lock_days}", _DEPLOY_AGAIN)
    return f", locked: {bucket.lock_mode} for {bucket.lock_days} days"


def _key(kms: Any, arn: str) -> str:
    state = kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
    if state != "Enabled":
        remedy = "Cancel its deletion or enable it (`aws kms enable-key`): what it encrypts cannot be read meanwhile."
        raise Wrong(f"is {state}", remedy)
    if not kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]:
        raise Wrong("is not rotated", _DEPLOY_AGAIN)
    return "enabled, rotated"


def _secrets(deployment: Deployment, aws: Aws) -> Iterator[Question]:
    # Of an existing database the password is its owner's business.
    rotated = deployment.ledger is not None
    if deployment.ledger_secret_arn:
        arn = deployment.ledger_secret_arn
        yield Question("secret", "ledger", partial(_secret, aws("secretsmanager"), arn, rotated=rotated))
    for party_id, party in deployment.switch.parties.items():
        for kind, secret_arn in (("keys", party.keys_secret_arn), ("tls", party.tls_secret_arn)):
            if secret_arn is None:
                continue
            ask = partial(_secret_of_party, deployment.switch.managed, aws("secretsmanager"), secret_arn)
            yield Question("secret", f"{party_id} {kind}", ask)

    if deployment.edge is not None:
        guarded, arn = deployment.edge.guarded, deployment.edge.key.secret_arn
        yield Question("secret", "edge key", partial(_secret_of_edge, guarded, aws("secretsmanager"), arn))


def _secret_of_edge(guarded: bool, secrets: Any, arn: str) -> str:
    if not guarded:
        raise NotHere("functions do not ask for the edge's key yet (edge.guarded is false)")
    return _secret(secrets, arn, rotated=False)


def _secret_of_party(managed: bool, secrets: Any, arn: str) -> str:
    if not managed:
        raise NotHere("no service of the switch runs here (switch.managed is false), so nobody reads it")
    return _secret(secrets, arn, rotated=False)


def _secret(secrets: Any, arn: str, *, rotated: bool) -> str:
    found = secrets.describe_secret(SecretId=arn)
    if found.get("DeletedDate"):
        raise Wrong("is to be deleted", "Bring it back: `aws secretsmanager restore-secret`.")
    if not any("AWSCURRENT" in stages for stages in found.get("VersionIdsToStages", {}).values()):
        raise Wrong("has no value", "Put its value in: docs/runbook.md, Rotate, says what each holds.")
    if rotated and not found.get("RotationEnabled"):
        raise Wrong("is not rotated", _DEPLOY_AGAIN)
    return "has a value" + (", rotated" if rotated else "")
