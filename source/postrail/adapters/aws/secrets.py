"""The ledger's address and credentials, from Secrets Manager."""

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import orjson

from postrail.adapters.aws.clients import retryable
from postrail.domain.errors import Retryable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient


def read_ledger_dsn(client: "SecretsManagerClient", secret_arn: str) -> str:
    """The PostgreSQL URI made of the secret's JSON: host, port, dbname, username, password, optional sslmode.

    Raises Retryable when the secret cannot be read or lacks a field; the error shows no value.
    """
    with retryable("reading the ledger secret"):
        text = client.get_secret_value(SecretId=secret_arn)["SecretString"]
    try:
        secret = orjson.loads(text)
        credentials = f"{quote(secret['username'], safe='')}:{quote(secret['password'], safe='')}"
        address = f"{secret['host']}:{int(secret['port'])}"
        dbname = quote(secret["dbname"], safe="")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        msg = f"the ledger secret is not complete: {type(error).__name__}"
        raise Retryable(msg) from None
    query = f"?{urlencode({'sslmode': secret['sslmode']})}" if secret.get("sslmode") else ""
    return f"postgresql://{credentials}@{address}/{dbname}{query}"
