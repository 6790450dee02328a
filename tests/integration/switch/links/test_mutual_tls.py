"""Links under mutual TLS, with certificates made on the spot."""

import datetime as dt
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.integration.switch.links.peers import approve, connected, eventually, linked, make_request, run, serving

from switch.ecosystem import Tls
from switch.iso8583.message import Message
from switch.links.connection import Connection
from switch.links.tls import client_context, server_context


class Authority:
    """A certificate authority of one test."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._begin(self._subject, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}-ca.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, trusted: "Authority", host: str = "127.0.0.1") -> Tls:
        """A certificate for a host, in files, beside the authority that its holder trusts."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        hosts = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))])
        certificate = self._begin(subject, key).add_extension(hosts, critical=False).sign(self._key, hashes.SHA256())
        certificate_file, key_file = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return Tls(certificate_file=certificate_file, key_file=key_file, ca_file=trusted.file)

    def _begin(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "scheme")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "stranger")


def test_peers_that_know_each_other_talk(authority: Authority) -> None:
    """Both certificates are of the authority that both trust; the server knows who asks."""
    bank, network = authority.issue("bank", authority), authority.issue("network", authority)
    subjects: list[str] = []

    def receive(connection: Connection, message: Message) -> None:
        subjects.append(connection.subject)
        approve(connection, message)

    async def test() -> None:
        async with (
            serving(receive, tls=server_context(bank)) as server,
            linked(server.port, tls=client_context(network), links=2) as group,
        ):
            assert (await group.request(make_request(), 2.0))[39] == "000"
            assert subjects == ["network"]

    run(test())


def test_a_client_of_another_authority_is_refused(authority: Authority, stranger: Authority) -> None:
    """The server lets nobody in whose certificate its authority did not sign."""
    bank, intruder = authority.issue("bank", authority), stranger.issue("network", authority)

    async def test() -> None:
        async with (
            serving(pytest.fail, tls=server_context(bank)) as server,
            linked(server.port, tls=client_context(intruder), wait=False) as group,
        ):
            assert await eventually(lambda: bool(group.failure))
            assert not group.up

    run(test())


def test_a_server_of_another_authority_is_refused(authority: Authority, stranger: Authority) -> None:
    """The client tells nothing to a server that its authority did not sign."""
    impostor, network = stranger.issue("bank", authority), authority.issue("network", authority)

    async def test() -> None:
        async with (
            serving(pytest.fail, tls=server_context(impostor)) as server,
            linked(server.port, tls=client_context(network), wait=False) as group,
        ):
            assert await eventually(lambda: "certificate" in group.failure.lower())
            assert not group.up

    run(test())


def test_a_server_of_another_host_is_refused(authority: Authority) -> None:
    """A certificate of the right authority for another host is no proof."""
    elsewhere, network = authority.issue("bank", authority, "127.0.0.2"), authority.issue("network", authority)

    async def test() -> None:
        async with (
            serving(pytest.fail, tls=server_context(elsewhere)) as server,
            linked(server.port, tls=client_context(network), wait=False) as group,
        ):
            assert await eventually(lambda: "certificate" in group.failure.lower())
            assert not group.up

    run(test())


def test_a_client_without_tls_gets_nothing(authority: Authority) -> None:
    """Plain bytes at a TLS port end the connection; nothing reaches the service."""
    bank = authority.issue("bank", authority)

    async def test() -> None:
        async with serving(pytest.fail, tls=server_context(bank)) as server, connected(server.port) as peer:
            await peer.send(make_request())
            assert await peer.ended()

    run(test())
