"""Access tokens on one machine: a key of its own signs them, where no identity provider does."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postrail.domain.errors import ConfigInvalid
from switch.issuing.private_files import write_new

ISSUER: Final = "https://tokens.postrail.local"
AUDIENCE: Final = "postrail"
MINUTES_MAX: Final = 24 * 60
_ALGORITHM: Final = "ES256"
_KEY_BYTES_MAX: Final = 10_000


class LocalTokens:
    """Signs tokens with `tokens.pem` of a folder, which is made when it is missing, readable by its owner alone."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "tokens.pem"

    @property
    def keys(self) -> str:
        """The JWKS document with the public key: what POSTRAIL_TOKEN_KEYS gets."""
        return json.dumps({"keys": [self._public]}, separators=(",", ":"))

    def sign(
        self,
        subject: str,
        scopes: Iterable[str],
        *,
        bank_id: str,
        minutes: int = 15,
        issuer: str = ISSUER,
        audience: str = AUDIENCE,
    ) -> str:
        """A token for a subject of a bank, valid from now on for `minutes`."""
        now = int(time.time())
        claims = {
            "iss": issuer,
            "aud": audience,
            "sub": subject,
            "bank_id": bank_id,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + 60 * minutes,
            "jti": secrets.token_hex(16),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM, headers={"kid": self._public["kid"]})

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        if not self._file.exists():
            write_new(self._file, _new_key())
        try:
            key = serialization.load_pem_private_key(self._file.read_bytes()[:_KEY_BYTES_MAX], password=None)
        except ValueError as error:
            msg = f"{self._file} holds no private key: delete it, and a new one is made"
            raise ConfigInvalid(msg) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            msg = f"{self._file} holds a key of another kind: delete it, and a new one is made"
            raise ConfigInvalid(msg)
        return key

    @cached_property
    def _public(self) -> dict[str, str]:
        """The public key (RFC 7517), named by its thumbprint (RFC 7638)."""
        algorithm = jwt.get_algorithm_by_name(_ALGORITHM)
        entry: dict[str, str] = json.loads(algorithm.to_jwk(self._key.public_key()))
        parts = {name: entry[name] for name in ("crv", "kty", "x", "y")}
        return {**parts, "kid": _thumbprint(parts), "alg": _ALGORITHM, "use": "sig"}


def _thumbprint(parts: dict[str, str]) -> str:
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def _new_key() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
