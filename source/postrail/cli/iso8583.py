"""`postrail iso8583`: read and write messages of any dialect, and list the dialects there are."""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from postrail.cli import console
from postrail.cli.failures import CommandError
from switch.iso8583.description import Line, describe
from switch.iso8583.dialect import Dialect, list_dialects, load_dialect
from switch.iso8583.framing import TPDU_BYTES, FrameReader, Framing, FramingKind
from switch.iso8583.masking import mask_value
from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.iso8583.wire import DEFAULT_TPDU

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Read and write ISO 8583 messages of any dialect.")

_INPUT_BYTES_MAX = 10_000_000
_FRAME_BYTES_MAX = 1_000_000
_DEFAULT_SPEC = "iso8583-1993-ascii"
_PATH_LENGTH_MAX = 1000
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})*")

Spec = Annotated[str, typer.Option("--spec", help="A dialect's name, or a YAML or JSON file with one.")]
Source = Annotated[Path | None, typer.Option("--file", help="Read from this file.")]
FramingOption = Annotated[
    FramingKind | None, typer.Option("--framing", help="The kind of length that stands before each message.")
]
Tpdu = Annotated[bool, typer.Option("--tpdu", help="A transport header of 5 bytes stands before each message.")]


@dataclass(frozen=True, slots=True)
class _Reading:
    """What became of one message: the message, the error, or, when a part could be read, both."""

    header: bytes
    message: Message | None
    error: MessageInvalid | None


@app.command()
def decode(
    message: Annotated[
        str | None, typer.Argument(help="The message in hex, or a file with it. Default: standard input.")
    ] = None,
    spec: Spec = _DEFAULT_SPEC,
    file: Source = None,
    raw: Annotated[bool, typer.Option("--raw", help="The input is the bytes themselves, not hex.")] = False,
    framing: FramingOption = None,
    tpdu: Tpdu = False,
    unmask: Annotated[bool, typer.Option("--unmask", help="Show card numbers, tracks and chip data in full.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a message on standard output.")] = False,
) -> None:
    """Take messages apart and print their fields, card data masked.

    Without --framing the input is one message. A message that cannot be read is printed as far as it could be, with
    the fault and its place, and the exit code is 1.
    """
    dialect = load_dialect(spec)
    data = _read_input(message, file)
    if not raw:
        data = _from_hex(data)
    if framing is None and not data:
        raise CommandError("There is no message: give it in hex, or name a --file.", exit_code=2)
    failures = 0
    for place, reading in enumerate(_read_messages(data, dialect, framing, tpdu=tpdu)):
        failures += reading.error is not None
        if as_json:
            console.write_json(_document(reading, dialect, unmask=unmask))
            continue
        if place:
            console.out().print()
        _print_reading(reading, dialect, unmask=unmask)
    if failures:
        raise typer.Exit(1)


@app.command()
def encode(
    message: Annotated[
        str | None, typer.Argument(help='As JSON: {"mti": "1804", "fields": {"11": "000001"}}. Or a file.')
    ] = None,
    spec: Spec = _DEFAULT_SPEC,
    file: Source = None,
    raw: Annotated[bool, typer.Option("--raw", help="Write the bytes themselves, not hex.")] = False,
    framing: FramingOption = None,
    tpdu: Tpdu = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Build one message from JSON, as `decode --json --unmask` prints it."""
    dialect = load_dialect(spec)
    try:
        content = _message_of(_read_input(message, file))
        written = dialect.encode(content)
        if tpdu:
            written = _header_of(content) + written
        if framing is not None:
            written = Framing(framing, _FRAME_BYTES_MAX).write(written)
    except MessageInvalid as error:
        raise CommandError(f"{error.fault.value}: {error}") from error
    if as_json:
        console.write_json({"hex": written.hex().upper(), "bytes": len(written)})
    elif raw:
        sys.stdout.buffer.write(written)
    else:
        console.out().print(written.hex().upper(), soft_wrap=True)


@app.command()
def dialects(
    spec: Annotated[str | None, typer.Argument(help="Show the elements of this dialect, or of a file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """List the dialects that ship, or the elements of one."""
    if spec is None:
        loaded = [load_dialect(name) for name in list_dialects()]
        if as_json:
            console.write_json([{"name": each.name, "description": each.description} for each in loaded])
            return
        grid = console.table("dialect", "description")
        for each in loaded:
            grid.add_row(each.name, each.description)
        console.out().print(grid)
        return
    _print_dialect(load_dialect(spec), as_json=as_json)


def _print_dialect(dialect: Dialect, *, as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "element": number,
                "name": each.name,
                "format": str(each.format),
                "written": each.written_as,
                "sensitive": each.sensitive,
            }
            for number, each in dialect.elements.items()
        ]
        messages = {mti: {"name": kind.name, "mandatory": kind.mandatory} for mti, kind in dialect.messages.items()}
        console.write_json({"name": dialect.name, "version": dialect.version, "elements": rows, "messages": messages})
        return
    grid = console.table("element", "name", "format", "written", "sensitive", right=("element",))
    for number, each in dialect.elements.items():
        sensitive = "yes" if each.sensitive else ""
        grid.add_row(str(number), each.name, str(each.format), each.written_as, sensitive)
    console.out().print(grid)


def _read_input(argument: str | None, file: Path | None) -> bytes:
    """The input's bytes: the argument itself, the file that it or --file names, or standard input."""
    if argument is not None and file is not None:
        raise CommandError("Give the message or a --file, not both.", exit_code=2)
    if argument is not None and (file := _named_file(argument)) is None:
        return os.fsencode(argument)
    if file is not None:
        with file.open("rb") as stream:
            data = stream.read(_INPUT_BYTES_MAX + 1)
    else:
        data = sys.stdin.buffer.read(_INPUT_BYTES_MAX + 1)
    if len(data) > _INPUT_BYTES_MAX:
        raise CommandError(f"The input has more than {_INPUT_BYTES_MAX} bytes: read it in pieces.")
    return data


def _named_file(argument: str) -> Path | None:
    """The file that an argument names; hex and JSON name none."""
    if len(argument) > _PATH_LENGTH_MAX or _HEX.fullmatch(os.fsencode(argument)) or "{" in argument:
        return None
    path = Path(argument)
    return path if path.is_file() else None


def _from_hex(data: bytes) -> bytes:
    digits = b"".join(data.split())
    if _HEX.fullmatch(digits) is None:
        raise CommandError("That is not hex, and no file is named so: bytes themselves need --raw.", exit_code=2)
    return bytes.fromhex(digits.decode("ascii"))


def _read_messages(data: bytes, dialect: Dialect, framing: FramingKind | None, *, tpdu: bool) -> Iterator[_Reading]:
    if framing is None:
        yield _read_message(data, dialect, tpdu=tpdu)
        return
    reader = FrameReader(Framing(framing, _FRAME_BYTES_MAX))
    for body in reader.feed(data):
        if body:
            yield _read_message(body, dialect, tpdu=tpdu)
    reader.finish()
    if reader.broken is not None:
        yield _Reading(b"", None, reader.broken)


def _read_message(body: bytes, dialect: Dialect, *, tpdu: bool) -> _Reading:
    header = body[:TPDU_BYTES] if tpdu else b""
    try:
        return _Reading(header, dialect.decode(body[len(header) :]), None)
    except MessageInvalid as error:
        return _Reading(header, error.partial, error)


def _print_reading(reading: _Reading, dialect: Dialect, *, unmask: bool) -> None:
    grid = console.table("element", "name", "value", "meaning")
    if reading.header:
        grid.add_row("h", "Transport header", reading.header.hex().upper(), "")
    for line in describe(reading.message, dialect, unmask=unmask) if reading.message else []:
        grid.add_row(_indented(line), line.name, line.value, line.meaning)
    if grid.row_count:
        console.out().print(grid)
    if reading.error is not None:
        console.err().print(f"{reading.error.fault.value}: {reading.error}", soft_wrap=True)


def _indented(line: Line) -> str:
    return "  " * line.path.count(".") + line.path


def _document(reading: _Reading, dialect: Dialect, *, unmask: bool) -> dict[str, Any]:
    document: dict[str, Any] = {"dialect": dialect.name}
    if reading.header:
        document["header"] = reading.header.hex().upper()
    if (message := reading.message) is not None:
        document["mti"] = message.mti
        document["fields"] = {
            str(number): value if unmask else mask_value(dialect.elements[number], value)
            for number, value in sorted(message.fields.items())
        }
        lines = describe(message, dialect, unmask=unmask)
        document["lines"] = [line._asdict() for line in lines]
    if (error := reading.error) is not None:
        document["error"] = {"fault": error.fault.value, "path": error.path, "detail": error.detail}
    return document


def _header_of(message: Message) -> bytes:
    header = message.header or DEFAULT_TPDU
    if len(header) != TPDU_BYTES:
        raise CommandError(f"A transport header has {TPDU_BYTES} bytes.", exit_code=2)
    return header


def _message_of(data: bytes) -> Message:
    content = json.loads(data)
    fields = content.get("fields") if isinstance(content, dict) else None
    if not isinstance(fields, dict) or not isinstance(content.get("mti"), str):
        raise CommandError('A message is {"mti": "1804", "fields": {"11": "000001"}} in JSON.', exit_code=2)
    for number in fields:
        if not (number.isascii() and number.isdigit()):
            raise MessageInvalid(Fault.UNKNOWN_FIELD, number, "elements are named by their numbers")
    header = _from_hex(str(content.get("header", "")).encode("utf-8"))
    return Message(content["mti"], {int(number): value for number, value in fields.items()}, header)
