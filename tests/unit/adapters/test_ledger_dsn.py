"""Where the ledger is, and who one is there: what settings make of it for functions, tasks and switch."""

import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from postrail.adapters.aws import clients
from postrail.adapters.aws.secrets import LedgerPlace, login_dsn, public_roots, read_ledger_dsn
from postrail.bootstrap import SettingMissing, ledger_dsn
from postrail.settings import LedgerSettings, Settings, SwitchSettings

PROXY = "postrail-dev-ledger.proxy-0123456789ab.eu-west-2.rds.amazonaws.com"


class OneSecret:
    """Secrets Manager with one secret; keeps what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[dict[str, str]] = []

    def get_secret_value(self, **arguments: str) -> dict[str, str]:
        self.asked.append(arguments)
        return {"SecretString": self.text}


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that Terraform gives to functions where the graph has its own database."""
    clients.rds.cache_clear()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret/example",
        "AWS_SESSION_TOKEN": "session/+=",
        "AWS_DEFAULT_REGION": "eu-west-2",
        "POSTRAIL_LEDGER_AUTH": "iam",
        "POSTRAIL_LEDGER_HOST": PROXY,
        "POSTRAIL_LEDGER_PORT": "5432",
        "POSTRAIL_LEDGER_DBNAME": "ledger",
        "POSTRAIL_LEDGER_USERNAME": "postrail_app",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("iam")
@pytest.mark.parametrize("settings", [Settings, SwitchSettings], ids=["functions", "switch"])
def test_a_token_is_signed_for_this_user_at_this_proxy_for_a_quarter_of_an_hour(
    settings: type[LedgerSettings],
) -> None:
    read = conninfo_to_dict(ledger_dsn(settings())())
    assert (read["host"], read["port"], read["dbname"], read["user"]) == (PROXY, "5432", "ledger", "postrail_app")
    token = urlsplit(f"https://{read['password']}")
    query = parse_qs(token.query)
    assert token.netloc == f"{PROXY}:5432"
    assert (query["Action"], query["DBUser"], query["X-Amz-Expires"]) == (["connect"], ["postrail_app"], ["900"])
    assert "/eu-west-2/rds-db/aws4_request" in query["X-Amz-Credential"][0]
    assert query["X-Amz-Security-Token"] == ["session/+="]


@pytest.mark.usefixtures("iam")
def test_a_token_is_given_to_a_verified_server_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the settings say: who gets the token may log in with it."""
    monkeypatch.setenv("POSTRAIL_LEDGER_SSLMODE", "disable")
    read = conninfo_to_dict(ledger_dsn(Settings())())
    assert (read["sslmode"], read["sslrootcert"]) == ("verify-full", public_roots())


def test_the_public_roots_hold_those_of_amazon() -> None:
    """Certificates of RDS Proxy are issued by Certificate Manager, which these four sign."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(public_roots())
    names = {dict(pair[0] for pair in root["subject"]).get("commonName") for root in context.get_ca_certs()}
    assert {f"Amazon Root CA {number}" for number in (1, 2, 3, 4)} <= names


@pytest.mark.usefixtures("iam")
@pytest.mark.parametrize("missing", ["HOST", "USERNAME"])
def test_a_setting_that_is_missing_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"POSTRAIL_LEDGER_{missing}")
    with pytest.raises(SettingMissing, match=f"POSTRAIL_LEDGER_{missing}"):
        ledger_dsn(Settings())


def test_without_any_setting_the_secret_is_asked_for() -> None:
    with pytest.raises(SettingMissing, match="POSTRAIL_LEDGER_SECRET_ARN"):
        ledger_dsn(SwitchSettings())


@pytest.mark.usefixtures("iam")
def test_a_dsn_goes_before_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://here/ledger")
    assert ledger_dsn(Settings())() == "postgresql://here/ledger"


def test_a_secret_of_rds_says_who_and_the_settings_say_where() -> None:
    """RDS keeps the owner's name and password alone."""
    client: Any = OneSecret('{"username": "postrail_owner", "password": "p?/#"}')
    place = LedgerPlace(host="cluster.test", dbname="ledger", sslmode="verify-full", ca_file=Path("/opt/ledger-ca.pem"))
    read = conninfo_to_dict(read_ledger_dsn(client, "arn", place))
    assert read == {
        "user": "postrail_owner",
        "password": "p?/#",
        "host": "cluster.test",
        "port": "5432",
        "dbname": "ledger",
        "sslmode": "verify-full",
        "sslrootcert": "/opt/ledger-ca.pem",
    }


def test_a_secret_is_read_at_every_connect() -> None:
    """What was rotated in between is picked up."""
    client: Any = OneSecret('{"username": "a", "password": "first", "host": "db", "port": 5433, "dbname": "books"}')
    first = read_ledger_dsn(client, "arn")
    client.text = client.text.replace("first", "second")
    assert [first, read_ledger_dsn(client, "arn")] == [
        "postgresql://a:first@db:5433/books",
        "postgresql://a:second@db:5433/books",
    ]
    assert client.asked == [{"SecretId": "arn"}] * 2


def test_without_tls_no_roots_are_named() -> None:
    place = LedgerPlace(host="127.0.0.1", sslmode="disable")
    assert login_dsn(place, "a", "b") == "postgresql://a:b@127.0.0.1:5432/ledger?sslmode=disable"
