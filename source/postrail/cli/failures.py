"""What a failure means to the person at the keyboard: one sentence that says what to do.

Failures are recognised by the names of their classes, so that no library is imported just to look at an error.
"""

import json
from collections.abc import Callable

from postrail.domain.errors import PostrailError

Explain = Callable[[BaseException], str]


class CommandError(PostrailError):
    """A command cannot go on; the message is the sentence to print. `exit_code` is the process's answer."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def explain_failure(error: BaseException) -> str | None:
    """The sentence for an expected failure, or None when it is a defect of the program."""
    names = {f"{cls.__module__}.{cls.__qualname__}" for cls in type(error).__mro__}
    for class_names, explain in _EXPLANATIONS:
        if names & class_names:
            return " ".join(explain(error).split())
    return None


def _own(error: BaseException) -> str:
    return str(error)


def _retryable(error: BaseException) -> str:
    return f"{str(error).rstrip('.')}: try again; `make status` says what runs here, `make local` starts it."


def _no_endpoint(error: BaseException) -> str:
    fields = getattr(error, "kwargs", {})
    where = fields.get("endpoint_url", "the AWS endpoint")
    return f"Nothing answers at {where}: see `make status`, and start the local cloud with `make local`."


def _no_credentials(_: BaseException) -> str:
    return "There are no usable AWS credentials: set AWS_PROFILE or log in (`aws sso login`), then try again."


def _no_region(_: BaseException) -> str:
    return "No AWS region is set: set AWS_REGION, or name the outputs of a deployed graph with --outputs."


def _client_error(error: BaseException) -> str:
    response = getattr(error, "response", {})
    code = response.get("Error", {}).get("Code", "error")
    message = response.get("Error", {}).get("Message", str(error)).rstrip(".")
    operation = getattr(error, "operation_name", "the call")
    if "NotFound" in code or "NonExistent" in code or code == "NoSuchBucket":
        return (
            f"AWS does not know what {operation} asked for ({code}: {message}): the graph has changed since its "
            "outputs were written; run `make local` or `terraform apply` again."
        )
    if code.startswith("AccessDenied") or code in {"UnrecognizedClientException", "InvalidClientTokenId"}:
        return f"AWS refused {operation} ({code}: {message}): use credentials that may do this."
    return f"AWS answered {operation} with {code}: {message}."


def _aws_other(error: BaseException) -> str:
    return f"The call to AWS failed: {error}."


def _undefined_table(error: BaseException) -> str:
    return f"The ledger lacks its tables ({error}): run `postrail ledger migrate` first."


def _bad_login(error: BaseException) -> str:
    return f"PostgreSQL refused the login ({error}): check the ledger's user and password in the DSN or its secret."


def _no_database(error: BaseException) -> str:
    return f"PostgreSQL has no such database ({error}): check the ledger's DSN."


def _postgres(error: BaseException) -> str:
    return f"PostgreSQL answered: {error}."


def _postgres_connection(error: BaseException) -> str:
    return f"The connection to PostgreSQL failed ({error}): see `make status`, and start it with `make local`."


def _no_file(error: BaseException) -> str:
    return f"There is no file {getattr(error, 'filename', '') or error}: check the path."


def _os_error(error: BaseException) -> str:
    filename = getattr(error, "filename", None)
    reason = getattr(error, "strerror", None) or str(error)
    if filename:
        return f"{filename} cannot be used: {reason}."
    return f"The connection failed ({reason}): see `make status`, and start the local cloud with `make local`."


def _refused(error: BaseException) -> str:
    reason = getattr(error, "strerror", None) or error
    return f"The connection was refused ({reason}): see `make status`, and start the local cloud with `make local`."


def _not_text(_: BaseException) -> str:
    return "The file is not UTF-8 text: check that it is the right one."


def _not_json(error: BaseException) -> str:
    place = f"line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "somewhere"
    return f"The file is not JSON ({place}: {error}): check that it is the right one."


# The first row that fits an error's class, or a class above it, explains it.
_EXPLANATIONS: tuple[tuple[frozenset[str], Explain], ...] = (
    (frozenset({"postrail.domain.errors.Retryable"}), _retryable),
    (frozenset({"postrail.domain.errors.PostrailError"}), _own),
    (
        frozenset(
            {
                "botocore.exceptions.EndpointConnectionError",
                "botocore.exceptions.ConnectTimeoutError",
                "botocore.exceptions.ReadTimeoutError",
                "botocore.exceptions.ConnectionClosedError",
                "botocore.exceptions.ConnectionError",
            }
        ),
        _no_endpoint,
    ),
    (
        frozenset(
            {
                "botocore.exceptions.NoCredentialsError",
                "botocore.exceptions.PartialCredentialsError",
                "botocore.exceptions.CredentialRetrievalError",
                "botocore.exceptions.ProfileNotFound",
                "botocore.exceptions.TokenRetrievalError",
                "botocore.exceptions.SSOTokenLoadError",
                "botocore.exceptions.UnauthorizedSSOTokenError",
            }
        ),
        _no_credentials,
    ),
    (frozenset({"botocore.exceptions.NoRegionError"}), _no_region),
    (frozenset({"botocore.exceptions.ClientError"}), _client_error),
    (frozenset({"botocore.exceptions.BotoCoreError"}), _aws_other),
    (
        frozenset(
            {
                "asyncpg.exceptions.UndefinedTableError",
                "asyncpg.exceptions.InvalidSchemaNameError",
                "psycopg.errors.UndefinedTable",
                "psycopg.errors.InvalidSchemaName",
            }
        ),
        _undefined_table,
    ),
    (
        frozenset(
            {
                "asyncpg.exceptions.InvalidPasswordError",
                "asyncpg.exceptions.InvalidAuthorizationSpecificationError",
                "psycopg.errors.InvalidPassword",
            }
        ),
        _bad_login,
    ),
    (
        frozenset({"asyncpg.exceptions.InvalidCatalogNameError", "psycopg.errors.InvalidCatalogName"}),
        _no_database,
    ),
    (
        frozenset(
            {
                "asyncpg.exceptions.PostgresConnectionError",
                "asyncpg.exceptions.InterfaceError",
                "asyncpg.exceptions._base.InterfaceError",
                "psycopg.OperationalError",
            }
        ),
        _postgres_connection,
    ),
    (
        frozenset(
            {
                "asyncpg.exceptions.PostgresError",
                "asyncpg.exceptions._base.PostgresError",
                "psycopg.Error",
            }
        ),
        _postgres,
    ),
    (frozenset({"builtins.FileNotFoundError"}), _no_file),
    (frozenset({"builtins.ConnectionError", "builtins.TimeoutError"}), _refused),
    (frozenset({"builtins.OSError"}), _os_error),
    (frozenset({"builtins.UnicodeDecodeError"}), _not_text),
    (frozenset({"json.decoder.JSONDecodeError"}), _not_json),
)
