"""Dialects: message specifications as data. Those that ship lie in `dialects/`; a user may bring a file of his own.

A file may say `extends: NAME` and tell only what differs: a mapping is merged into that of the dialect extended,
element by element and message by message, and `null` takes one away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from postrail.domain.errors import ConfigInvalid
from switch.iso8583.codec import Codec, MessageType
from switch.iso8583.elements import (
    BinaryEncoding,
    Element,
    Encoding,
    FormatInvalid,
    LengthEncoding,
    NumberEncoding,
    Padding,
    Parts,
    TextEncoding,
    parse_format,
)
from switch.iso8583.message import Message

DIALECTS_DIR: Final = Path(__file__).parent / "dialects"
_FILE_BYTES_MAX: Final = 1_000_000
_EXTENDS_DEPTH_MAX: Final = 8
_MTI_PATTERN: Final = r"^[0-9]{4}$"

ElementNumber = Annotated[int, Field(ge=2, le=128)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EncodingEntry(_Part):
    """How a dialect writes its elements, unless one says otherwise."""

    text: TextEncoding = TextEncoding.ASCII
    numeric: NumberEncoding = NumberEncoding.TEXT
    binary: BinaryEncoding = BinaryEncoding.HEX
    length: LengthEncoding = LengthEncoding.TEXT
    number_padding: Padding = Padding.LEFT_ZERO
    track_padding: Padding = Padding.RIGHT_F


class ElementEntry(_Part):
    """A data element in a dialect file; `text` to `padding` differ from the dialect's own encoding where given."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    format: str
    min: int | None = None
    sensitive: bool = False
    parts: Parts | None = None
    text: TextEncoding | None = None
    numeric: NumberEncoding | None = None
    binary: BinaryEncoding | None = None
    length: LengthEncoding | None = None
    padding: Padding | None = None


class MessageEntry(_Part):
    """A message type in a dialect file."""

    name: Annotated[str, Field(min_length=1, max_length=80)]
    mandatory: tuple[ElementNumber, ...] = ()


class DialectFile(_Part):
    """A dialect file, after those that it extends were put beneath it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{1,63}$")]
    description: str = ""
    version: Literal[1987, 1993]
    encoding: EncodingEntry = EncodingEntry()
    elements: Annotated[dict[ElementNumber, ElementEntry], Field(min_length=1)]
    messages: dict[Annotated[str, Field(pattern=_MTI_PATTERN)], MessageEntry] = {}


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect, ready to read and write messages in its own version of ISO 8583."""

    name: str
    description: str
    version: int
    elements: Mapping[int, Element]
    messages: Mapping[str, MessageType]
    codec: Codec

    def decode(self, raw: bytes) -> Message:
        """Read one message, without its framing. Raises MessageInvalid."""
        return self.codec.decode(raw)

    def encode(self, message: Message) -> bytes:
        """Write one message, without framing. Raises MessageInvalid."""
        return self.codec.encode(message)


def list_dialects() -> list[str]:
    """The names of the dialects that ship."""
    return sorted(path.stem for path in DIALECTS_DIR.glob("*.yaml"))


def load_dialect(name_or_path: str | Path) -> Dialect:
    """A dialect that ships, by its name, or one of a user's own, by the path of its YAML or JSON file.

    Raises ConfigInvalid, naming the file and the place in it.
    """
    return _load_dialect(_dialect_path(str(name_or_path)))


@lru_cache(maxsize=32)
def _load_dialect(path: Path) -> Dialect:
    return build_dialect(_read_merged(path, 0), str(path))


def build_dialect(document: Mapping[str, Any], source: str) -> Dialect:
    """A dialect from the content of a file that extends nothing any more. Raises ConfigInvalid, naming `source`."""
    try:
        file = DialectFile.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ConfigInvalid(f"{source}: {place + ': ' if place else ''}{first['msg']}") from error
    encoding = Encoding(**dict(file.encoding))
    elements = {number: _build_element(number, file.elements[number], encoding, source) for number in file.elements}
    version_digit = "1" if file.version == 1993 else "0"
    for mti, entry in file.messages.items():
        if not mti.startswith(version_digit):
            raise ConfigInvalid(
                f"{source}: messages.{mti}: types of ISO 8583:{file.version} begin with {version_digit}"
            )
        if strangers := set(entry.mandatory) - set(elements):
            raise ConfigInvalid(f"{source}: messages.{mti}.mandatory: there is no element {min(strangers)}")
    messages = {mti: MessageType(entry.name, tuple(sorted(entry.mandatory))) for mti, entry in file.messages.items()}
    elements = dict(sorted(elements.items()))
    codec = Codec(file.version, encoding, elements, messages)
    return Dialect(file.name, file.description, file.version, elements, messages, codec)


def _build_element(number: int, entry: ElementEntry, encoding: Encoding, source: str) -> Element:
    own = Encoding(
        entry.text or encoding.text,
        entry.numeric or encoding.numeric,
        entry.binary or encoding.binary,
        entry.length or encoding.length,
        entry.padding or encoding.number_padding,
        entry.padding or encoding.track_padding,
    )
    if number == 65:
        raise ConfigInvalid(f"{source}: elements.65: bit 65 announces a third bitmap, it is no element")
    try:
        element = Element(number, entry.name, parse_format(entry.format, entry.min), own, entry.sensitive, entry.parts)
        element.codec_entry()
    except FormatInvalid as error:
        raise ConfigInvalid(f"{source}: elements.{number}: {error}") from error
    return element


def _dialect_path(name_or_path: str) -> Path:
    shipped = DIALECTS_DIR / f"{name_or_path}.yaml"
    if "/" not in name_or_path and shipped.is_file():
        return shipped
    path = Path(name_or_path)
    if path.is_file():
        return path.resolve()
    raise ConfigInvalid(f"there is no dialect and no file {name_or_path}; dialects: {', '.join(list_dialects())}")


def _read_merged(path: Path, depth: int) -> dict[str, Any]:
    document = _read_document(path)
    base = document.pop("extends", None)
    if base is None:
        return document
    if depth >= _EXTENDS_DEPTH_MAX or not isinstance(base, str):
        raise ConfigInvalid(f"{path}: extends: names one dialect, and not in a circle")
    # a file names its base by what ships, or by a path seen from its own folder
    beside = path.parent / base
    return _merge(_read_merged(beside if beside.is_file() else _dialect_path(base), depth + 1), document)


def _read_document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise ConfigInvalid(f"{path} has more than {_FILE_BYTES_MAX} bytes: that is no dialect")
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigInvalid(f"{path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigInvalid(f"{path} is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigInvalid(f"{path}: a dialect is a mapping")
    if isinstance(elements := document.get("elements"), dict):
        # JSON has no numbers for keys
        document["elements"] = {int(key) if _is_number(key) else key: value for key, value in elements.items()}
    return document


def _is_number(key: object) -> bool:
    return isinstance(key, str) and key.isascii() and key.isdigit()


def _merge(beneath: dict[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(beneath)
    for key, value in above.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(merged.get(key), dict):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged
