"""Access tokens: JSON Web Tokens (RFC 7519, RFC 9068) of the issuer that the settings name, verified on every request.

An API gateway may have verified them before; where none stands in front, nobody else does.
"""

import http.client
import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Final, Protocol

import jwt

from postrail.domain.errors import ConfigInvalid, Retryable
from switch.issuing.callers import Caller
from switch.issuing.refusals import IssuingRefused, Refusal

ALGORITHMS: Final = ("ES256", "RS256")
"""What may sign a token. None, and everything with a shared secret, is not among them."""
_REQUIRED: Final = ("iss", "aud", "exp", "iat", "sub")
_LEEWAY_SECONDS: Final = 10
_TOKEN_CHARS_MAX: Final = 8_192
_SUBJECT_CHARS_MAX: Final = 128
_DOCUMENT_BYTES_MAX: Final = 65_536
_FETCH_SECONDS_MAX: Final = 5.0
_KEEP_SECONDS: Final = 300.0
_REFETCH_SECONDS: Final = 10.0
"""An unknown key id asks the issuer again, but not more often than this."""

Keys = dict[str, jwt.PyJWK]


class KeySource(Protocol):
    """Finds the key that signs a token."""

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id, None when the issuer has none. Raises Retryable when the issuer cannot be asked."""
        ...


class FixedKeys:
    """Keys from a JWKS document (RFC 7517) that the settings hold."""

    def __init__(self, document: str) -> None:
        """Raises ConfigInvalid when the document holds no usable key."""
        try:
            self._keys = read_keys(document)
        except ValueError as error:
            msg = f"POSTRAIL_TOKEN_KEYS is no JWKS document: {error}"
            raise ConfigInvalid(msg) from error

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id."""
        return self._keys.get(key_id)


class RemoteKeys:
    """Keys from the issuer's https URL, kept for some minutes."""

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], str] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`fetch` reads a document; the default does so over https. Raises ConfigInvalid for any other URL."""
        if not url.startswith("https://"):
            raise ConfigInvalid("POSTRAIL_TOKEN_KEYS is neither a JWKS document nor an https URL")
        self._url = url
        self._fetch = fetch or _fetch
        self._monotonic = monotonic
        self._keys: Keys = {}
        self._fetched_at = float("-inf")

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """The key of this id; the issuer is asked when it is not known, or was read long ago. Raises Retryable."""
        age_seconds = self._monotonic() - self._fetched_at
        if age_seconds > _KEEP_SECONDS or (key_id not in self._keys and age_seconds > _REFETCH_SECONDS):
            try:
                self._keys = read_keys(self._fetch(self._url))
            except (OSError, ValueError, http.client.HTTPException) as error:
                msg = f"the keys of the token issuer cannot be read: {type(error).__name__}"
                raise Retryable(msg) from error
            self._fetched_at = self._monotonic()
        return self._keys.get(key_id)


def key_source(setting: str) -> KeySource:
    """The source that POSTRAIL_TOKEN_KEYS names: a document, or its URL. Raises ConfigInvalid."""
    return FixedKeys(setting) if setting.lstrip().startswith("{") else RemoteKeys(setting)


def read_keys(document: str) -> Keys:
    """The signing keys of a JWKS document by their ids; keys for other uses are left out. Raises ValueError."""
    try:
        entries = json.loads(document)["keys"]
        keys = {entry["kid"]: jwt.PyJWK(entry) for entry in entries if entry.get("use", "sig") == "sig"}
    except (KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        msg = f"{type(error).__name__}"
        raise ValueError(msg) from error
    usable = {key_id: key for key_id, key in keys.items() if key.algorithm_name in ALGORITHMS}
    if not usable:
        msg = f"no key for {' or '.join(ALGORITHMS)}"
        raise ValueError(msg)
    return usable


class TokenVerifier:
    """Turns the header `Authorization` into a caller."""

    def __init__(self, keys: KeySource, *, issuer: str, audience: str) -> None:
        if not issuer or not audience:
            raise ConfigInvalid(
                "POSTRAIL_TOKEN_ISSUER and POSTRAIL_TOKEN_AUDIENCE say whose tokens count; one is empty"
            )
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def caller(self, authorization: str | None) -> Caller:
        """Who the bearer is (RFC 6750 section 2.1).

        Raises IssuingRefused: TOKEN_MISSING, TOKEN_INVALID (whatever is wrong: algorithm, key, signature, issuer,
        audience, time, claims); Retryable when the issuer's keys cannot be read.
        """
        if not authorization:
            raise IssuingRefused(Refusal.TOKEN_MISSING, "send an access token: Authorization: Bearer ...")
        kind, _, token = authorization.partition(" ")
        token = token.strip()
        if kind.lower() != "bearer" or not token or len(token) > _TOKEN_CHARS_MAX:
            raise _invalid("it is no bearer token")
        try:
            claims = self._verified(token)
        except jwt.PyJWTError as error:
            # The class says enough (ExpiredSignatureError, InvalidAudienceError, ...); texts may repeat the token.
            raise _invalid(type(error).__name__) from None
        return _caller(claims)

    def _verified(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in ALGORITHMS or not isinstance(key_id, str):
            raise _invalid("its algorithm or key id does not count here")
        key = self._keys.find(key_id)
        if key is None or key.algorithm_name != algorithm:
            raise _invalid("its key is not one of the issuer's")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=_LEEWAY_SECONDS,
            options={"require": list(_REQUIRED)},
        )
        return claims


def _caller(claims: dict[str, Any]) -> Caller:
    """`scope` is a string with spaces between scopes (RFC 8693 section 4.2); `bank_id` is a claim of ours."""
    subject, bank_id, scope = claims["sub"], claims.get("bank_id"), claims.get("scope", "")
    if not isinstance(subject, str) or not 0 < len(subject) <= _SUBJECT_CHARS_MAX:
        raise _invalid("its subject cannot be used")
    if not isinstance(bank_id, str) or not isinstance(scope, str):
        raise _invalid("it names no bank (claim bank_id), or its scopes are no text")
    return Caller(subject, bank_id, frozenset(scope.split()))


def _invalid(what: str) -> IssuingRefused:
    return IssuingRefused(Refusal.TOKEN_INVALID, f"the access token is refused: {what}")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Keys come from the address that was given: a redirect could lead out of https."""

    def redirect_request(self, *_: object) -> None:
        """None: the redirect is an error."""


_opener: Final = urllib.request.build_opener(_NoRedirects)


def _fetch(url: str) -> str:
    """A document of bounded size. Raises OSError and ValueError."""
    request = urllib.request.Request(url, headers={"Accept": "application/json"})  # noqa: S310 - https, checked above
    with _opener.open(request, timeout=_FETCH_SECONDS_MAX) as answer:
        body: bytes = answer.read(_DOCUMENT_BYTES_MAX + 1)
    if len(body) > _DOCUMENT_BYTES_MAX:
        msg = f"larger than {_DOCUMENT_BYTES_MAX} bytes"
        raise ValueError(msg)
    return body.decode("utf-8")
