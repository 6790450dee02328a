"""What is said when certificates cannot be used."""

from pathlib import Path

import pytest

from postrail.domain.errors import ConfigInvalid
from switch.ecosystem import Tls
from switch.links.tls import client_context, server_context


@pytest.mark.parametrize("context", [client_context, server_context])
def test_a_missing_authority_is_named(context: object, tmp_path: Path) -> None:
    """The file at fault is in the message."""
    tls = Tls(certificate_file=tmp_path / "a.pem", key_file=tmp_path / "a.key", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigInvalid, match=r"ca\.pem: no certificate authority"):
        context(tls)  # type: ignore[operator]


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    """Text that is no PEM is no authority."""
    (tmp_path / "ca.pem").write_text("no certificate")
    tls = Tls(certificate_file=tmp_path / "a.pem", key_file=tmp_path / "a.key", ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigInvalid, match=r"ca\.pem"):
        client_context(tls)
