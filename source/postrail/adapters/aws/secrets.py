"""The ledger's address and credentials: a secret of Secrets Manager, or a token signed with the process's own role."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson
from botocore.httpsession import get_cert_path

from postrail.adapters.aws.clients import retryable
from postrail.domain.errors import Retryable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

VERIFIED = "verify-full"
"""libpq's word for a server whose certificate leads to a trusted root and bears the name that was asked for."""


@dataclass(frozen=True, slots=True)
class LedgerPlace:
    """Where the ledger's database is, as far as a secret does not say. Empty fields are unknown.

    `ca_file` holds the trusted roots; None: the public ones, by which boto3 verifies AWS itself. Certificates of RDS
    Proxy lead to those; certificates of a cluster lead to RDS's own.
    """

    host: str = ""
    port: int = 5432
    dbname: str = "ledger"
    username: str = ""
    sslmode: str = ""
    ca_file: Path | None = None


def read_ledger_dsn(
    client: "SecretsManagerClient", secret_arn: str, place: LedgerPlace | None = None, *, version: str = ""
) -> str:
    """The PostgreSQL URI made of the secret's JSON: username, password, and host, port, dbname, sslmode or `place`'s.

    `version` reads the secret's version with this id instead of the current one. Raises Retryable when the secret
    cannot be read or lacks a field; the error shows no value.
    """
    place = place or LedgerPlace()
    with retryable("reading the ledger secret"):
        if version:
            text = client.get_secret_value(SecretId=secret_arn, VersionId=version)["SecretString"]
        else:
            text = client.get_secret_value(SecretId=secret_arn)["SecretString"]
    try:
        secret = {**_known(place), **orjson.loads(text)}
        return _dsn(
            secret["username"],
            secret["password"],
            host=secret["host"],
            port=int(secret["port"]),
            dbname=secret["dbname"],
            sslmode=secret.get("sslmode") or "",
            ca_file=place.ca_file,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        msg = f"the ledger secret is not complete: {type(error).__name__}"
        raise Retryable(msg) from None


def sign_ledger_dsn(client: Any, place: LedgerPlace) -> str:
    """The PostgreSQL URI with a login token of RDS as password. `client` is boto3's for RDS.

    The token holds for 15 minutes, for this user at this host and port, and is signed with the role of the process:
    nothing is stored and nothing is asked over the network. A connection that is open outlives its token. TLS is
    verified in full, whatever `place` says: a token given to a stranger is a login for 15 minutes.
    Raises Retryable when there are no credentials to sign with.
    """
    with retryable("signing a login to the ledger"):
        token = client.generate_db_auth_token(DBHostname=place.host, Port=place.port, DBUsername=place.username)
    return _dsn(
        place.username,
        token,
        host=place.host,
        port=place.port,
        dbname=place.dbname,
        sslmode=VERIFIED,
        ca_file=place.ca_file,
    )


def login_dsn(place: LedgerPlace, username: str, password: str) -> str:
    """The PostgreSQL URI by which a user of a password gets in at a place."""
    return _dsn(
        username,
        password,
        host=place.host,
        port=place.port,
        dbname=place.dbname,
        sslmode=place.sslmode,
        ca_file=place.ca_file,
    )


def public_roots() -> str:
    """The PEM file of public roots that botocore trusts; Amazon's are among them."""
    return str(get_cert_path(True))


def _known(place: LedgerPlace) -> dict[str, str | int]:
    fields = {"host": place.host, "username": place.username, "sslmode": place.sslmode, "dbname": place.dbname}
    return {name: value for name, value in fields.items() if value} | {"port": place.port}


def _dsn(username: str, password: str, *, host: str, port: int, dbname: str, sslmode: str, ca_file: Path | None) -> str:
    credentials = f"{quote(username, safe='')}:{quote(password, safe='')}"
    query = {"sslmode": sslmode} if sslmode else {}
    if sslmode.startswith("verify-"):
        query["sslrootcert"] = str(ca_file) if ca_file is not None else public_roots()
    ending = f"?{urlencode(query)}" if query else ""
    return f"postgresql://{credentials}@{host}:{port}/{quote(dbname, safe='')}{ending}"
