"""Settlement files: CSV by column names, and camt.053 statements of the issuer's settlement account.

Both are read in a stream, so that a file of millions of lines costs no memory. A line that cannot be understood ends
the run with its number: a settlement file is a contract, and half of one proves nothing.
"""

import csv
import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final

from lxml import etree

from postrail.domain.errors import PostrailError
from postrail.domain.iso4217 import UnknownCurrency, currency_by_code
from postrail.domain.reconciliation import SettlementLine

COLUMNS: Final = ("reference", "acceptor_id", "amount", "currency", "value_date")
"""Columns of a CSV file, in any order. `acceptor_id` may be missing; `amount` is decimal, a purchase positive."""
FILE_BYTES_MAX: Final = 8 << 30
_FIELD_CHARS_MAX: Final = 512
_HEX_ID: Final = re.compile(r"^[0-9a-f]{32}$")
_AMOUNT: Final = re.compile(r"^[+-]?[0-9]{1,18}(\.[0-9]{1,5})?$")
_MINOR_MAX: Final = 10**18
_NOT_PROVIDED: Final = "NOTPROVIDED"


class SettlementFileInvalid(PostrailError):
    """The file is no settlement file; the message names file, line and what is wrong."""


def read_settlement(path: Path) -> Iterator[SettlementLine]:
    """The lines of a settlement file: camt.053 when it begins like XML, else CSV. Raises SettlementFileInvalid."""
    if path.stat().st_size > FILE_BYTES_MAX:
        raise SettlementFileInvalid(f"{path} is larger than {FILE_BYTES_MAX >> 30} GiB: settle it in parts.")
    with path.open("rb") as file:
        head = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<"):
        yield from _read_camt053(path)
    else:
        yield from _read_csv(path)


def _read_csv(path: Path) -> Iterator[SettlementLine]:
    with path.open("r", encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_bounded(path, file), strict=True)
        try:
            header = [name.strip().lower() for name in next(reader, [])]
            places = _places(path, header)
            for number, cells in enumerate(reader, start=2):
                if cells:
                    yield _csv_line(path, number, cells, places)
        except (csv.Error, UnicodeDecodeError) as error:
            raise SettlementFileInvalid(f"{path} line {reader.line_num}: {error}.") from error


def _places(path: Path, header: list[str]) -> dict[str, int]:
    missing = [name for name in COLUMNS if name not in header and name != "acceptor_id"]
    if missing:
        names = ", ".join(missing)
        raise SettlementFileInvalid(f"{path} line 1: no column {names}; a settlement file has {', '.join(COLUMNS)}.")
    return {name: header.index(name) for name in COLUMNS if name in header}


def _csv_line(path: Path, number: int, cells: list[str], places: dict[str, int]) -> SettlementLine:
    try:
        values = {name: cells[place].strip() for name, place in places.items()}
    except IndexError:
        raise SettlementFileInvalid(
            f"{path} line {number}: it has {len(cells)} columns, and the header more."
        ) from None
    where = f"{path} line {number}"
    acceptor_id = values.get("acceptor_id", "")
    if not values["reference"] and not acceptor_id:
        raise SettlementFileInvalid(f"{where}: it names neither a payment (reference) nor a merchant (acceptor_id).")
    return SettlementLine(
        line_no=number,
        reference=_reference(values["reference"]),
        acceptor_id=acceptor_id,
        amount_minor=_minor(where, values["amount"], values["currency"]),
        currency=values["currency"],
        value_date=_day(where, values["value_date"]),
    )


def _bounded(path: Path, file: IO[str]) -> Iterator[str]:
    number = 0
    while line := file.readline(_FIELD_CHARS_MAX * len(COLUMNS)):
        number += 1
        if not line.endswith("\n") and len(line) == _FIELD_CHARS_MAX * len(COLUMNS):
            raise SettlementFileInvalid(f"{path} line {number}: it is longer than any settlement line.")
        yield line


def _read_camt053(path: Path) -> Iterator[SettlementLine]:
    """Entries (Ntry) of a statement, by their transaction details where they have some.

    A debit of the settlement account is what the issuer paid: positive. The reference is EndToEndId, else TxId, else
    AcctSvcrRef. Source: ISO 20022 camt.053, BankToCustomerStatement.
    """
    number = 0
    try:
        # No entities, no network, no huge trees: the file comes from outside.
        entries = etree.iterparse(
            str(path), events=("end",), tag="{*}Ntry", resolve_entities=False, no_network=True, huge_tree=False
        )
        for _, entry in entries:
            if etree.QName(entry).namespace is None or "camt.053" not in str(etree.QName(entry).namespace):
                raise SettlementFileInvalid(f"{path}: it is XML, and no camt.053.")
            for details in entry.iterfind("{*}NtryDtls/{*}TxDtls") if _has_details(entry) else [entry]:
                number += 1
                yield _camt_line(f"{path} entry {number}", number, entry, details)
            entry.clear()
            while entry.getprevious() is not None:
                del entry.getparent()[0]
    except etree.XMLSyntaxError as error:
        raise SettlementFileInvalid(f"{path}: {error.msg}.") from error
    if number == 0:
        raise SettlementFileInvalid(f"{path}: there is no entry in it; a camt.053 statement has Ntry elements.")


def _has_details(entry: Any) -> bool:
    return entry.find("{*}NtryDtls/{*}TxDtls") is not None


def _camt_line(where: str, number: int, entry: Any, details: Any) -> SettlementLine:
    amount = details.find("{*}Amt")
    if amount is None:
        amount = entry.find("{*}Amt")
    side = details.findtext("{*}CdtDbtInd") or entry.findtext("{*}CdtDbtInd")
    if amount is None or amount.text is None or side not in {"DBIT", "CRDT"}:
        raise SettlementFileInvalid(f"{where}: it has no Amt or no CdtDbtInd.")
    currency = str(amount.get("Ccy") or "")
    minor = _minor(where, amount.text.strip(), currency)
    paths = chain(("{*}Refs/{*}EndToEndId", "{*}Refs/{*}TxId", "{*}Refs/{*}AcctSvcrRef"), ("{*}AcctSvcrRef",))
    references = (str(details.findtext(each) or "").strip() for each in paths)
    reference = next((each for each in references if each and each != _NOT_PROVIDED), "")
    if not reference:
        raise SettlementFileInvalid(f"{where}: it names no payment (EndToEndId, TxId or AcctSvcrRef).")
    day = entry.findtext("{*}ValDt/{*}Dt") or entry.findtext("{*}BookgDt/{*}Dt")
    day = day or str(entry.findtext("{*}ValDt/{*}DtTm") or entry.findtext("{*}BookgDt/{*}DtTm") or "")[:10]
    return SettlementLine(
        line_no=number,
        reference=_reference(reference),
        acceptor_id="",
        amount_minor=minor if side == "DBIT" else -minor,
        currency=currency,
        value_date=_day(where, day),
    )


def _reference(text: str) -> str:
    """Our ids are a character longer than camt takes: they stand there without their prefix."""
    return f"pay_{text}" if _HEX_ID.match(text) else text[:_FIELD_CHARS_MAX]


def _minor(where: str, text: str, currency: str) -> int:
    try:
        exponent = currency_by_code(currency).exponent
        if not _AMOUNT.match(text):
            raise SettlementFileInvalid(f"{where}: {text[:40]!r} is no amount.")
        scaled = Decimal(text).scaleb(exponent)
    except (UnknownCurrency, InvalidOperation) as error:
        raise SettlementFileInvalid(f"{where}: {currency[:10]!r} is no currency of ISO 4217.") from error
    if scaled != scaled.to_integral_value():
        raise SettlementFileInvalid(f"{where}: {text} has more decimals than {currency} has.")
    if abs(scaled) >= _MINOR_MAX:
        raise SettlementFileInvalid(f"{where}: {text} is more than an account can hold.")
    return int(scaled)


def _day(where: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise SettlementFileInvalid(f"{where}: {text[:20]!r} is no date (2026-11-01).") from error
