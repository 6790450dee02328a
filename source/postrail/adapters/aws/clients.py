"""One boto3 client of each service per process, with bounded patience.

Region, credentials and endpoint are boto3's own business (AWS_REGION, AWS_ENDPOINT_URL, the function's role).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from postrail.domain.errors import Retryable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

# A function's timeout is tens of seconds: three tries of at most two and five seconds fit in.
CLIENT_CONFIG: Final = Config(
    connect_timeout=2,
    read_timeout=5,
    retries={"mode": "standard", "total_max_attempts": 3},
    tcp_keepalive=True,
    # The adapters build every request themselves and tests send them all; checking each again costs a fifth of a call.
    parameter_validation=False,
    # Endpoints by account would search each DynamoDB request for table ARNs; the regional endpoint needs no search.
    account_id_endpoint_mode="disabled",
    # A name of one's own is a constant; boto3's is put together twice for every request, a quarter of a call's time.
    user_agent="postrail",
)


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@cache
def dynamodb() -> "DynamoDBClient":
    """The DynamoDB client of this process."""
    return _session().client("dynamodb", config=CLIENT_CONFIG)


@cache
def events() -> "EventBridgeClient":
    """The EventBridge client of this process."""
    return _session().client("events", config=CLIENT_CONFIG)


@cache
def kms() -> Any:
    """The KMS client of this process."""
    return _session().client("kms", config=CLIENT_CONFIG)


@cache
def rds() -> Any:
    """The RDS client of this process: it signs logins and calls nothing."""
    return _session().client("rds", config=CLIENT_CONFIG)


@cache
def s3() -> "S3Client":
    """The S3 client of this process."""
    return _session().client("s3", config=CLIENT_CONFIG)


@cache
def secrets_manager() -> "SecretsManagerClient":
    """The Secrets Manager client of this process."""
    return _session().client("secretsmanager", config=CLIENT_CONFIG)


@cache
def sns() -> "SNSClient":
    """The SNS client of this process."""
    return _session().client("sns", config=CLIENT_CONFIG)


@cache
def sqs() -> "SQSClient":
    """The SQS client of this process."""
    return _session().client("sqs", config=CLIENT_CONFIG)


def error_code(error: BotoCoreError | ClientError) -> str:
    """The service's error code, or the name of what went wrong on the way there."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


@contextmanager
def retryable(doing: str) -> Iterator[None]:
    """Turn what boto3 raises into Retryable("`doing`: code").

    Also for errors that no retry heals, such as a missing permission: the input is not at fault, so that it belongs
    in a dead-letter queue by redrive, from where it can be sent again, and not by its own reason.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        msg = f"{doing}: {error_code(error)}"
        raise Retryable(msg) from error
