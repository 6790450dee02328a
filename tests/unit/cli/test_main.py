"""The command line as a whole: help, versions, and one sentence for every mistake."""

import json
import subprocess
import sys

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.main import PostrailCommands, installed_version


def test_help_lists_every_command_with_its_purpose(postrail):
    code, out, _ = postrail("--help")
    assert code == 0
    for name, member in PostrailCommands.members.items():
        assert name in out
        assert member.summary[:20] in out


def test_help_imports_neither_aws_nor_database_libraries():
    program = (
        "import sys; from postrail.cli.main import run; run(['--help']); "
        "print([name for name in ('boto3', 'asyncpg', 'psycopg', 'pydantic', 'cel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_the_version_is_the_installed_one(postrail):
    assert postrail("--version") == (0, f"postrail {installed_version()}\n", "")


@pytest.mark.parametrize("name", list(PostrailCommands.members))
def test_every_command_has_its_own_help(postrail, name):
    code, out, _ = postrail(name, "--help")
    assert code == 0
    assert f"Usage: postrail {name}" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'. See `postrail --help`"),
        (["ledger", "nonsense"], "See `postrail ledger --help`"),
        (["inject", "--count", "many"], "See `postrail inject --help`"),
        (["inject", "--count", "0"], "--count"),
        (["inject", "--via", "pigeon"], "'table', 'events'"),
        (["trace"], "PAYMENT_ID"),
        (["trace", "pay_1", "--json", "--xml"], "--xml"),
        (["rules", "explain"], "--payment"),
    ],
)
def test_bad_arguments_are_one_sentence_and_exit_code_2(postrail, no_graph, arguments, says):
    code, out, err = postrail(*arguments)
    assert code == 2
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("postrail: ")
    assert says in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["seed"],
        ["inject"],
        ["trace", "pay_1"],
        ["selftest"],
        ["ledger", "migrate"],
        ["ledger", "verify"],
        ["ledger", "balances"],
        ["rules", "explain", "--payment", "pay_1"],
    ],
)
def test_without_a_local_cloud_every_command_says_how_to_start_one(postrail, no_graph, arguments):
    assert postrail(*arguments) == (1, "", "postrail: No local cloud is running here: run `make local` first.\n")


def test_a_debugger_gets_the_traceback(postrail, no_graph, monkeypatch):
    monkeypatch.setenv("POSTRAIL_DEBUG", "1")
    with pytest.raises(CommandError):
        postrail("selftest")


def test_a_database_that_does_not_answer_is_one_sentence(postrail, no_graph, monkeypatch):
    monkeypatch.setenv("POSTRAIL_LEDGER_DSN", "postgresql://nobody@127.0.0.1:1/none")
    for command in (["ledger", "verify"], ["ledger", "migrate"], ["ledger", "balances"]):
        code, out, err = postrail(*command)
        assert (code, out) == (1, "")
        assert err.count("\n") == 1
        assert "`make local`" in err


def test_an_endpoint_that_does_not_answer_is_one_sentence(postrail, no_graph, graph, monkeypatch):
    outputs = json.loads((no_graph / "aws-outputs.json").read_text())
    (no_graph / "outputs.json").write_text(json.dumps(outputs))
    cloud = {
        "emulator": "ministack",
        "endpoint_url": "http://127.0.0.1:1",
        "region": "eu-west-2",
        "access_key_id": "test",
        "secret_access_key": "test",
        "ledger_dsn": "postgresql://nobody@127.0.0.1:1/none",
    }
    (no_graph / "cloud.json").write_text(json.dumps(cloud))
    code, out, err = postrail("inject", "--count", "1")
    assert (code, out) == (1, "")
    assert "http://127.0.0.1:1" in err.splitlines()[-1]
    assert "`make local`" in err
