"""Puts certificates where the ecosystem says they lie, out of a secret: a container has no files of its own.

The secret is a JSON object of PEM texts, by the paths that the ecosystem names. Its values reach no log and no error.
"""

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from postrail.adapters.aws.clients import retryable
from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Tls

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient

_OWNER_READS: Final = 0o600


def provide_tls_files(client: "SecretsManagerClient", secret_arn: str, parts: Iterable[Tls | None]) -> None:
    """Write every file that `parts` name from the secret, readable by this user alone. Parts that are None need none.

    Raises ConfigInvalid when the secret is no such object, lacks a file, or the file cannot be written; Retryable when
    the secret cannot be read.
    """
    wanted = {path for part in parts if part is not None for path in _files_of(part)}
    if not wanted:
        return
    with retryable("reading the secret of certificates"):
        text = client.get_secret_value(SecretId=secret_arn)["SecretString"]
    texts = _texts(text)
    for path in sorted(wanted):
        if str(path) not in texts:
            msg = f"the secret of certificates has no entry {path}, which the ecosystem names"
            raise ConfigInvalid(msg)
        _write(path, texts[str(path)])


def _files_of(part: Tls) -> tuple[Path, ...]:
    return part.certificate_file, part.key_file, part.ca_file


def _texts(text: str) -> dict[str, str]:
    # From None: what cannot be read is shown in the parser's own error.
    try:
        texts = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ConfigInvalid("the secret of certificates is no JSON") from None
    if not isinstance(texts, dict) or not all(isinstance(pem, str) for pem in texts.values()):
        raise ConfigInvalid("the secret of certificates is no object of texts: path to PEM")
    return texts


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and never readable by others in between."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            os.fchmod(handle, _OWNER_READS)
            file.write(text)
        Path(partial).replace(path)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; in a container certificates lie below its scratch folder"
        raise ConfigInvalid(msg) from error
