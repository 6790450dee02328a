"""Where the keys of access tokens come from, and the signer of this machine."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from postrail.domain.errors import ConfigInvalid, Retryable
from switch.issuing.callers import Scope
from switch.issuing.local_tokens import AUDIENCE, ISSUER, LocalTokens
from switch.issuing.refusals import IssuingRefused
from switch.issuing.tokens import FixedKeys, RemoteKeys, TokenVerifier, _fetch, key_source, read_keys

URL = "https://tokens.example/jwks.json"


class Issuer:
    """Answers with its documents in turn, and counts how often it is asked."""

    def __init__(self, *documents: str) -> None:
        self.documents = list(documents)
        self.asked = 0
        self.now = 1_000.0

    def fetch(self, url: str) -> str:
        assert url == URL
        self.asked += 1
        document = self.documents[min(self.asked, len(self.documents)) - 1]
        if not document:
            raise TimeoutError
        return document

    def keys(self) -> RemoteKeys:
        return RemoteKeys(URL, fetch=self.fetch, monotonic=lambda: self.now)


def key_id(tokens: LocalTokens) -> str:
    return str(json.loads(tokens.keys)["keys"][0]["kid"])


def test_a_local_token_is_accepted_with_the_published_key(tmp_path: Path) -> None:
    """What the signer signs, the verifier believes, with subject, bank and scopes."""
    tokens = LocalTokens(tmp_path)
    verifier = TokenVerifier(FixedKeys(tokens.keys), issuer=ISSUER, audience=AUDIENCE)

    caller = verifier.caller(f"Bearer {tokens.sign('alice', ['account:read', 'card:read'], bank_id='northgate')}")

    assert (caller.subject, caller.bank_id) == ("alice", "northgate")
    assert caller.has(Scope.ACCOUNT_READ)
    assert not caller.has(Scope.CARD_ORDER)
    assert not caller.is_operator


def test_the_local_key_is_made_once_and_private(tmp_path: Path) -> None:
    """The next process signs with the same key, which nobody else can read."""
    first = LocalTokens(tmp_path / "keys").keys

    assert LocalTokens(tmp_path / "keys").keys == first
    assert (tmp_path / "keys" / "tokens.pem").stat().st_mode & 0o777 == 0o600
    assert "d" not in json.loads(first)["keys"][0]


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_file_is_named(tmp_path: Path, content: bytes) -> None:
    """With what to do about it."""
    (tmp_path / "tokens.pem").write_bytes(content)

    with pytest.raises(ConfigInvalid, match=r"tokens\.pem"):
        LocalTokens(tmp_path).sign("alice", ["account:read"], bank_id="northgate")


def test_rsa_keys_count_and_other_kinds_do_not(tmp_path: Path) -> None:
    """Keys for encryption, and with algorithms that no token may use, are left out."""
    rsa_key = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(rsa.generate_private_key(65_537, 2048).public_key()))
    entries = [
        rsa_key | {"kid": "rsa", "alg": "RS256"},
        rsa_key | {"kid": "sealed", "alg": "RS256", "use": "enc"},
        rsa_key | {"kid": "pss", "alg": "PS256"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"},
    ]

    assert list(read_keys(json.dumps({"keys": entries}))) == ["rsa"]


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": []}', '{"keys": [{"kty": "EC"}]}', '{"keys": 1}', "{"])
def test_a_document_without_a_key_is_a_mistake_of_the_settings(document: str) -> None:
    """The function does not start, and says which setting is wrong."""
    with pytest.raises(ConfigInvalid, match="POSTRAIL_TOKEN_KEYS"):
        FixedKeys(document)


@pytest.mark.parametrize("setting", ["http://tokens.example/jwks.json", "file:///etc/passwd", "tokens.example"])
def test_keys_are_read_over_https_only(setting: str) -> None:
    """Who could change the keys on their way could sign anything."""
    with pytest.raises(ConfigInvalid, match="https"):
        key_source(setting)


def test_a_verifier_needs_to_know_whose_tokens_count(tmp_path: Path) -> None:
    """Without issuer or audience any token of the key would do."""
    keys = FixedKeys(LocalTokens(tmp_path).keys)

    for issuer, audience in (("", AUDIENCE), (ISSUER, "")):
        with pytest.raises(ConfigInvalid, match="POSTRAIL_TOKEN"):
            TokenVerifier(keys, issuer=issuer, audience=audience)


def test_the_issuers_keys_are_asked_for_once_in_a_while(tmp_path: Path) -> None:
    """Known keys are kept for minutes."""
    tokens = LocalTokens(tmp_path)
    issuer = Issuer(tokens.keys)
    keys = issuer.keys()

    for _ in range(5):
        assert keys.find(key_id(tokens)) is not None
    assert issuer.asked == 1
    issuer.now += 301
    assert keys.find(key_id(tokens)) is not None
    assert issuer.asked == 2


def test_a_new_key_of_the_issuer_is_found_and_unknown_ones_do_not_flood_it(tmp_path: Path) -> None:
    """An unknown id asks again, but not with every request."""
    old, new = LocalTokens(tmp_path / "old"), LocalTokens(tmp_path / "new")
    issuer = Issuer(old.keys, new.keys)
    keys = issuer.keys()

    assert keys.find(key_id(old)) is not None
    for _ in range(50):
        assert keys.find("made up") is None
    assert issuer.asked == 1
    issuer.now += 11
    assert keys.find(key_id(new)) is not None
    assert issuer.asked == 2


@pytest.mark.parametrize("answer", ["", "<html>", '{"keys": []}'])
def test_an_issuer_that_does_not_answer_well_is_asked_again_later(answer: str) -> None:
    """No verdict on the token: the caller is told to come again."""
    issuer = Issuer(answer)

    with pytest.raises(Retryable, match="token issuer"):
        issuer.keys().find("one")


def test_a_token_signed_by_rsa_under_an_elliptic_keys_id_is_refused(tmp_path: Path) -> None:
    """The key says which algorithm it is for, not the token."""
    tokens = LocalTokens(tmp_path)
    verifier = TokenVerifier(FixedKeys(tokens.keys), issuer=ISSUER, audience=AUDIENCE)
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "a", "bank_id": "b", "iat": now, "exp": now + 60}
    own_key = rsa.generate_private_key(65_537, 2048)
    forged = jwt.encode(claims, own_key, algorithm="RS256", headers={"kid": key_id(tokens)})

    with pytest.raises(IssuingRefused, match="token_invalid"):
        verifier.caller(f"Bearer {forged}")


class Publisher(BaseHTTPRequestHandler):
    """Publishes a document, a far too large one, and a redirect to the first."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/keys")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}" if self.path == "/keys" else b" " * 70_000)

    def log_message(self, *arguments: object) -> None:
        pass


def test_a_document_is_read_from_where_it_was_said_to_be_and_has_a_bound() -> None:
    """No redirect is followed, and an endless answer ends."""
    with HTTPServer(("127.0.0.1", 0), Publisher) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            assert _fetch(f"{base}/keys") == "{}"
            with pytest.raises(OSError, match="302"):
                _fetch(f"{base}/moved")
            with pytest.raises(ValueError, match="larger"):
                _fetch(f"{base}/endless")
        finally:
            server.shutdown()
            thread.join()
