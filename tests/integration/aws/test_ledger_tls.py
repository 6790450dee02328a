"""What leaves the process before the ledger's server has shown who it is: nothing.

The server is a few lines that speak PostgreSQL's way into TLS ("SSL Session Encryption" in its protocol) and listen.
"""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.switch.links.test_mutual_tls import Authority

from postrail.adapters.aws.secrets import VERIFIED, LedgerPlace, login_dsn
from postrail.adapters.postgres.application_role import check_login
from postrail.adapters.postgres.connection import Database
from postrail.domain.errors import Retryable
from switch.ecosystem import Tls

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
ROLE = "postrail_app"


class Server:
    """Takes one connection on loopback, with a certificate; keeps what it was told after the handshake."""

    def __init__(self, tls: Tls) -> None:
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(tls.certificate_file, tls.key_file)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(10)
        self.port = int(self._listener.getsockname()[1])
        self.asked = b""
        self.heard = b""
        self._thread = threading.Thread(target=self._take_one, daemon=True)
        self._thread.start()

    def done(self) -> None:
        self._thread.join(10)
        self._listener.close()

    def _take_one(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(5)
        with connection:
            self.asked = connection.recv(8)
            connection.sendall(b"S")
            try:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self.heard = secured.recv(4096)
            except OSError:
                self.heard = b""


def connect_by_function(dsn: str) -> None:
    with Database(dsn, connect_seconds_max=5) as database:
        database.fetch("SELECT 1")


CONNECTS = [pytest.param(connect_by_function, id="a-function"), pytest.param(check_login, id="a-rotation")]


def place(server: Server, roots: Path) -> str:
    return login_dsn(
        LedgerPlace(host="127.0.0.1", port=server.port, sslmode=VERIFIED, ca_file=roots), ROLE, "a-token-of-nobody"
    )


@pytest.mark.parametrize("connect", CONNECTS)
def test_a_server_of_an_unknown_authority_hears_nothing(connect: Callable[[str], None], tmp_path: Path) -> None:
    """Neither the user's name nor the token."""
    trusted, stranger = Authority(tmp_path, "trusted"), Authority(tmp_path, "stranger")
    server = Server(stranger.issue("database", stranger))
    with pytest.raises(Retryable):
        connect(place(server, trusted.file))
    server.done()
    assert (server.asked, server.heard) == (SSL_REQUEST, b"")


@pytest.mark.parametrize("connect", CONNECTS)
def test_a_server_by_another_name_hears_nothing(connect: Callable[[str], None], tmp_path: Path) -> None:
    """Its certificate is of the right authority, and for somebody else."""
    trusted = Authority(tmp_path, "trusted")
    server = Server(trusted.issue("database", trusted, host="127.0.0.2"))
    with pytest.raises(Retryable):
        connect(place(server, trusted.file))
    server.done()
    assert (server.asked, server.heard) == (SSL_REQUEST, b"")


@pytest.mark.parametrize("connect", CONNECTS)
def test_the_verified_server_is_told_who_comes(connect: Callable[[str], None], tmp_path: Path) -> None:
    """The other tests would pass as well if nobody ever connected."""
    trusted = Authority(tmp_path, "trusted")
    server = Server(trusted.issue("database", trusted))
    with pytest.raises(Retryable):  # it answers nothing, being none
        connect(place(server, trusted.file))
    server.done()
    assert ROLE.encode() in server.heard
