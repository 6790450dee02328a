"""Every expected failure becomes one sentence that says what to do; a defect stays a defect."""

import asyncpg
import psycopg
import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)

from postrail.cli.failures import CommandError, explain_failure
from postrail.domain.errors import ConfigInvalid, Permanent, ReasonCode, Retryable


def _client_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no such thing."}}, "PutItem")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (CommandError("No local cloud is running here: run `make local` first."), "run `make local` first"),
        (Permanent(ReasonCode.UNBALANCED, "legs do not sum to zero"), "UNBALANCED: legs do not sum to zero"),
        (ConfigInvalid("rules.yaml: rule x: unknown name"), "rules.yaml: rule x"),
        (Retryable("the ledger database cannot be reached"), "`make status`"),
        (EndpointConnectionError(endpoint_url="http://127.0.0.1:4566/"), "http://127.0.0.1:4566/"),
        (ReadTimeoutError(endpoint_url="http://127.0.0.1:4566/"), "`make local`"),
        (NoCredentialsError(), "AWS_PROFILE"),
        (NoRegionError(), "AWS_REGION"),
        (_client_error("ResourceNotFoundException"), "`terraform apply`"),
        (_client_error("AWS.SimpleQueueService.NonExistentQueue"), "`terraform apply`"),
        (_client_error("AccessDeniedException"), "credentials"),
        (_client_error("ValidationException"), "ValidationException: no such thing."),
        (asyncpg.UndefinedTableError('relation "ledger.accounts" does not exist'), "`postrail ledger migrate`"),
        (asyncpg.InvalidPasswordError("password authentication failed"), "user and password"),
        (asyncpg.InvalidCatalogNameError("database does not exist"), "DSN"),
        (psycopg.OperationalError("connection refused"), "`make local`"),
        (asyncpg.DeadlockDetectedError("deadlock detected"), "deadlock detected"),
        (FileNotFoundError(2, "No such file or directory", "payments.jsonl"), "payments.jsonl"),
        (PermissionError(13, "Permission denied", "payments.jsonl"), "payments.jsonl cannot be used"),
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UTF-8"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_expected_failure_is_one_sentence(error, says):
    sentence = explain_failure(error)
    assert sentence is not None
    assert says in sentence
    assert "\n" not in sentence
    assert "Traceback" not in sentence


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), AssertionError(), ZeroDivisionError()])
def test_a_defect_of_the_program_is_not_explained_away(error):
    assert explain_failure(error) is None


def test_a_message_of_several_lines_becomes_one():
    assert explain_failure(CommandError("first\n  second")) == "first second"
