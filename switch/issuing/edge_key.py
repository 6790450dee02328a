"""The key by which the edge says that a request came through it (docs/decisions/0019-edge-in-front-of-the-apis.md).

It adds nothing to a caller's rights, and takes none: whoever goes round the edge goes round its firewall.
"""

import hmac
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from postrail.adapters.aws.clients import error_code, retryable
from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Retryable

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

HEADER: Final = "x-postrail-edge"
KEY_CHARS_MIN: Final = 32
"""A shorter key counts as none: it could be guessed."""
_VERSIONS: Final = ("AWSCURRENT", "AWSPREVIOUS")
_KEEP_SECONDS: Final = 60.0


class EdgeKey:
    """Tells requests that came by the edge from those that went round it."""

    def __init__(
        self, client: "SecretsManagerClient", secret_arn: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`secret_arn` holds the key as text. `monotonic` tells seconds."""
        self._client = client
        self._secret_arn = secret_arn
        self._monotonic = monotonic
        self._keys: tuple[bytes, ...] = ()
        self._read_at: float | None = None

    def admits(self, shown: str | None) -> bool:
        """Whether `shown`, the header's value, is the key or the one before it. Raises Retryable without any answer.

        While the key is changed, edge and functions learn of it at different times: the one before it counts too. A
        secret that nobody has filled yet admits nothing.
        """
        presented = (shown or "").encode()
        # All are compared, so that the time tells nothing of which one was close.
        matches = [hmac.compare_digest(presented, key) for key in self._current()]
        return any(matches)

    def _current(self) -> tuple[bytes, ...]:
        now = self._monotonic()
        if self._read_at is None or now - self._read_at >= _KEEP_SECONDS:
            try:
                self._keys = tuple(key for stage in _VERSIONS if (key := self._read(stage)) is not None)
            except Retryable:
                # An outage of the secret must not become one of the API, as long as a key is known.
                if not self._keys:
                    raise
                logger.warning("the edge's key cannot be read anew")
            self._read_at = now
        return self._keys

    def _read(self, stage: str) -> bytes | None:
        with retryable("reading the edge's key"):
            try:
                text = self._client.get_secret_value(SecretId=self._secret_arn, VersionStage=stage)["SecretString"]
            except ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    return None  # made empty, or never changed
                raise
        key = text.strip().encode()
        if len(key) < KEY_CHARS_MIN:
            logger.warning("the edge's key is too short to count", stage=stage)
            return None
        return key
