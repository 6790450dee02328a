"""Finding the graph: outputs of Terraform, the local cloud's own file, or a clear sentence."""

import json

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.graph import ledger_dsn, load_graph
from postrail.settings import CommandLineSettings

CLOUD = {
    "emulator": "ministack",
    "endpoint_url": "http://127.0.0.1:4566",
    "region": "eu-west-2",
    "access_key_id": "test",
    "secret_access_key": "test",
    "ledger_dsn": "postgresql://ledger@127.0.0.1:5433/ledger",
    "state_dir": "/somewhere",
}


@pytest.fixture
def local(no_graph, graph):
    """A local cloud's state directory."""
    (no_graph / "outputs.json").write_text((no_graph / "aws-outputs.json").read_text())
    (no_graph / "cloud.json").write_text(json.dumps(CLOUD))
    return no_graph


def test_a_local_graph_has_the_emulators_endpoint_keys_and_dsn(local):
    graph = load_graph()
    assert graph.client("sqs").meta.endpoint_url == "http://127.0.0.1:4566"
    assert graph.client("sqs").meta.region_name == "eu-west-2"
    assert graph.ledger_dsn() == CLOUD["ledger_dsn"]


def test_a_client_is_made_once(local):
    graph = load_graph()
    assert graph.client("sqs") is graph.client("sqs")


def test_an_outputs_file_is_a_real_account_with_aws_own_endpoint(graph):
    assert graph.cloud is None
    assert "amazonaws.com" in graph.client("sqs").meta.endpoint_url


def test_the_environment_names_an_outputs_file(no_graph, graph, monkeypatch):
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    assert load_graph().outputs.name_prefix == "postrail-test"


def test_the_dsn_comes_from_the_secret_in_a_real_account(graph, no_graph, aws):
    secret = {"host": "db.example", "port": 5432, "dbname": "ledger", "username": "app", "password": "p@ss/word"}
    arn = aws.client("secretsmanager").create_secret(Name="ledger", SecretString=json.dumps(secret))["ARN"]
    outputs = json.loads((no_graph / "aws-outputs.json").read_text())
    outputs["ledger_secret_arn"] = {"value": arn}
    (no_graph / "aws-outputs.json").write_text(json.dumps(outputs))
    found = load_graph(CommandLineSettings(outputs=no_graph / "aws-outputs.json"))
    assert found.ledger_dsn() == "postgresql://app:p%40ss%2Fword@db.example:5432/ledger"


def test_a_dsn_in_the_environment_overrides_all(local, monkeypatch):
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://other/ledger")
    assert load_graph().ledger_dsn() == "postgresql://other/ledger"
    assert ledger_dsn() == "postgresql://other/ledger"


def test_the_ledger_can_be_reached_before_terraform_has_written_outputs(no_graph):
    (no_graph / "cloud.json").write_text(json.dumps(CLOUD))
    assert ledger_dsn() == CLOUD["ledger_dsn"]


def test_every_dead_letter_queue_is_known_by_name(graph):
    assert set(graph.dead_letter_queues()) == {"deduplicate-dlq", "posting-dlq", "rules-undelivered"}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "terraform output -json"),
        ("[]", "terraform output -json"),
        ("{}", "nothing is deployed"),
        ('{"bus_name": {"value": "x"}}', "bus_arn"),
    ],
)
def test_outputs_that_cannot_be_used_say_what_to_run(tmp_path, content, says):
    path = tmp_path / "outputs.json"
    path.write_text(content)
    with pytest.raises(CommandError, match=says):
        load_graph(CommandLineSettings(outputs=path))


def test_outputs_without_a_table_say_which_one(graph):
    with pytest.raises(CommandError, match="nonsense"):
        graph.table("nonsense")
