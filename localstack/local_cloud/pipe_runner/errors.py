"""What can go wrong while a pipe plays.

PipeRunnerError
 +-- UnsupportedDefinitionError   the definition asks for something the runner does not play; known at start
 +-- DeliveryError                enrichment or target refused a batch; counts against the pipe's retry limit
 +-- CloudUnavailableError        nobody answered, or asked us to slow down; never counts against the limit
 +-- StoppedError                 the runner was told to stop while it was waiting

AWS makes the same difference between customer invocation errors and internal errors:
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-error-troubleshooting.html
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, IncompleteReadError  # noqa: A004
from botocore.parsers import ResponseParserError

_THROTTLED = frozenset(
    {
        "TooManyRequestsException",
        "ThrottlingException",
        "Throttling",
        "ThrottledException",
        "RequestThrottled",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "ServiceException",
    }
)
_SERVER_ERROR = 500
# What a cloud that goes away in the middle of a call looks like from here.
_NO_ANSWER = (HTTPClientError, ConnectionError, IncompleteReadError, ResponseParserError)


class PipeRunnerError(Exception):
    """Base of everything the pipe runner raises itself."""


class UnsupportedDefinitionError(PipeRunnerError):
    """A pipe's definition asks for something that this runner does not play."""


class DeliveryError(PipeRunnerError):
    """Enrichment or target refused a batch.

    `permanent` says that sending the same batch again can never succeed (an oversize event, for one).
    """

    def __init__(self, reason: str, *, permanent: bool = False) -> None:
        super().__init__(reason)
        self.permanent = permanent


class CloudUnavailableError(PipeRunnerError):
    """The cloud did not answer, answered with a server error, or throttled the call."""


class StoppedError(PipeRunnerError):
    """The runner was told to stop; the batch in hand stays unsettled and will be played again."""


def error_code(error: ClientError) -> str:
    """The AWS error code of a client error, e.g. `ResourceNotFoundException`."""
    return str(error.response.get("Error", {}).get("Code", "Unknown"))


@contextmanager
def translated(call: str) -> Iterator[None]:
    """Turn botocore's errors of one call into ours.

    Raises CloudUnavailableError for connection trouble, throttling and 5xx; DeliveryError for every other refusal.
    """
    try:
        yield
    except _NO_ANSWER as error:
        msg = f"{call}: {type(error).__name__}"
        raise CloudUnavailableError(msg) from error
    except ClientError as error:
        code = error_code(error)
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _THROTTLED or status >= _SERVER_ERROR:
            msg = f"{call}: {code}"
            raise CloudUnavailableError(msg) from error
        msg = f"{call}: {code}"
        raise DeliveryError(msg) from error
