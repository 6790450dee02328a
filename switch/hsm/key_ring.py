"""Keys by name, as settings bring them: a key's own bytes, or where a hardware module keeps it.

Both are written as text: hexadecimal digits or an ARN, after `tdes:` or `aes:` where the kind is not plain from the
length. The text never stands in an error or a repr.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import Final

from postrail.domain.errors import ConfigInvalid, Permanent, ReasonCode
from switch.hsm.ports import KEY_UNUSABLE, PinRefused

_DES_PART: Final = 8
_LENGTHS: Final = {"tdes": (16, 24), "aes": (16, 24, 32)}
_ENTRY: Final = re.compile(r"(?:(tdes|aes):)?(?:(arn:[!-~]{10,500})|((?:[0-9A-Fa-f]{2}){16,32}))")
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{1,63}")
_KEYS_MAX: Final = 1_000


class KeyKind(StrEnum):
    """The cipher that a key is for, and with it the format of PIN blocks under it: TDES 0, AES 4 (ISO 9564-1)."""

    TDES = "tdes"
    AES = "aes"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: `material` is its bytes, `arn` where a hardware module keeps it; exactly one of them is set."""

    name: str
    kind: KeyKind
    material: bytes = field(default=b"", repr=False)
    arn: str = ""

    def need_material(self) -> bytes:
        """The bytes. Raises Permanent when only a hardware module has them."""
        if not self.material:
            raise Permanent(ReasonCode.INVALID_VALUE, f"key {self.name} stays in its module: its bytes are not known")
        return self.material

    def need_arn(self) -> str:
        """Where the module keeps it. Raises Permanent when the key was given as bytes."""
        if not self.arn:
            raise Permanent(ReasonCode.INVALID_VALUE, f"key {self.name} is not in the module: give its ARN")
        return self.arn


class KeyRing:
    """Keys by name."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = dict(keys)

    def __repr__(self) -> str:
        """The names alone."""
        return f"KeyRing({', '.join(sorted(self._keys))})"

    def find(self, name: str) -> Key:
        """The key of this name. Raises Permanent when there is none."""
        found = self._keys.get(name)
        if found is None:
            known = ", ".join(sorted(self._keys)) or "none"
            raise Permanent(ReasonCode.INVALID_VALUE, f"there is no key {name}; the keys are: {known}")
        return found


@contextmanager
def asked_for_pins() -> Iterator[None]:
    """Keys that are missing or wrong refuse the PIN: whoever waits for an answer gets one."""
    try:
        yield
    except Permanent as error:
        raise PinRefused(KEY_UNUSABLE, error.detail) from None


def parse_keys(text: str) -> KeyRing:
    """Read `{"name": "key", ...}`; an empty text is an empty ring.

    Raises ConfigInvalid, naming the key at fault and never its value.
    """
    if not text.strip():
        return KeyRing({})
    try:
        # Of two keys with one name the last would win unseen.
        document = json.loads(text, object_pairs_hook=_refuse_twins)
    except ValueError:
        raise ConfigInvalid("the keys of the HSM are no JSON, or name a key twice") from None
    if not isinstance(document, dict) or len(document) > _KEYS_MAX:
        raise ConfigInvalid(f"the keys of the HSM are one JSON object of at most {_KEYS_MAX} keys")
    return KeyRing({name: _key(name, value) for name, value in document.items()})


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice")
    return document


def _key(name: str, value: object) -> Key:
    if not _NAME.fullmatch(name):
        raise ConfigInvalid("a key's name has 2 to 64 of a-z, 0-9, _, . and -, and begins with a letter")
    found = _ENTRY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ConfigInvalid(f"key {name}: write 16, 24 or 32 bytes in hex or an ARN, after tdes: or aes: if need be")
    material = bytes.fromhex(found[3] or "")
    # Two and three parts of DES are the rule under which zone keys are exchanged; 32 bytes are AES alone.
    kind = KeyKind(found[1] or ("aes" if len(material) == max(_LENGTHS["aes"]) else "tdes"))
    if material and len(material) not in _LENGTHS[kind]:
        lengths = " or ".join(map(str, _LENGTHS[kind]))
        raise ConfigInvalid(f"key {name}: a key for {kind} has {lengths} bytes, not {len(material)}")
    if material and kind is KeyKind.TDES and _is_single_des(material):
        raise ConfigInvalid(f"key {name}: parts of it are equal, which makes it single DES")
    return Key(name, kind, material, found[2] or "")


def _is_single_des(material: bytes) -> bool:
    """Whether two neighbouring parts are equal: encrypting under one undoes decrypting under the other."""
    parts = [material[start : start + _DES_PART] for start in range(0, len(material), _DES_PART)]
    return any(first == second for first, second in pairwise(parts))
