"""Certificates out of a secret: the files that the ecosystem names, whole, for this user alone."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from postrail.domain.errors import ConfigInvalid, Retryable
from switch.ecosystem import Tls
from switch.tls_files import provide_tls_files

SECRET = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:tls"
PRIVATE = "-----BEGIN PRIVATE KEY-----\nnot to be seen\n-----END PRIVATE KEY-----\n"


class SecretsManager:
    """Answers with one text, or an error; counts how often it is asked."""

    def __init__(self, text: str | ClientError) -> None:
        self._text = text
        self.asked = 0

    def get_secret_value(self, *, SecretId: str) -> dict[str, str]:  # noqa: N803 - boto3's name
        assert SecretId == SECRET
        self.asked += 1
        if isinstance(self._text, ClientError):
            raise self._text
        return {"SecretString": self._text}


def files_in(folder: Path) -> Tls:
    return Tls(certificate_file=folder / "own.pem", key_file=folder / "own.key", ca_file=folder / "ca.pem")


def provide(text: str | ClientError, *parts: Tls | None) -> Any:
    client = SecretsManager(text)
    provide_tls_files(client, SECRET, parts)  # type: ignore[arg-type]
    return client


def secret_of(tls: Tls) -> str:
    return json.dumps({str(tls.certificate_file): "certificate", str(tls.key_file): PRIVATE, str(tls.ca_file): "ca"})


def test_every_named_file_is_there_for_this_user_alone(tmp_path: Path) -> None:
    tls = files_in(tmp_path / "tls")
    provide(secret_of(tls), None, tls)
    assert tls.key_file.read_text() == PRIVATE
    assert tls.certificate_file.read_text() == "certificate"
    for path in (tls.certificate_file, tls.key_file, tls.ca_file):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.pem", "own.key", "own.pem"]


def test_a_rotated_certificate_replaces_the_old_one(tmp_path: Path) -> None:
    tls = files_in(tmp_path)
    provide(secret_of(tls), tls)
    provide(secret_of(tls).replace('"certificate"', '"newer"'), tls)
    assert tls.certificate_file.read_text() == "newer"


def test_without_tls_nobody_asks_for_the_secret() -> None:
    assert provide("never read", None, None).asked == 0


def test_what_the_ecosystem_does_not_name_is_not_written(tmp_path: Path) -> None:
    """Who may write the secret must not thereby write files elsewhere."""
    tls, other = files_in(tmp_path / "tls"), tmp_path / "elsewhere"
    provide(json.dumps({**json.loads(secret_of(tls)), str(other): "x"}), tls)
    assert not other.exists()


@pytest.mark.parametrize(
    "text", ["not json", "[]", '"text"', '{"a": 1}', "{}"], ids=["no-json", "list", "text", "number", "empty"]
)
def test_a_secret_that_does_not_fit_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigInvalid, match="secret of certificates"):
        provide(text, files_in(tmp_path))


def test_an_error_shows_nothing_of_the_secret(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        provide(f"{{{PRIVATE}", files_in(tmp_path))
    assert "not to be seen" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tls = files_in(tmp_path / "file")
    with pytest.raises(ConfigInvalid, match="cannot be written"):
        provide(secret_of(tls), tls)


def test_a_secret_that_does_not_answer_is_asked_again_later(tmp_path: Path) -> None:
    error = ClientError({"Error": {"Code": "InternalServiceError", "Message": ""}}, "GetSecretValue")
    with pytest.raises(Retryable):
        provide(error, files_in(tmp_path))
