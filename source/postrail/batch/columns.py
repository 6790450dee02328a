"""Authorizations as flat rows: the columns of CSV and Parquet files, and the way back to the contract's JSON.

A column is a field's path with dots: `payment_id`, `card.token`, `merchant.mcc`. An empty cell is an absent field.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic import BaseModel

from postrail.batch.failures import FileUnusable
from postrail.contracts.payment import Authorization
from postrail.domain.errors import Permanent, ReasonCode

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_JSON_OPTIONS: Final = orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC
CARD_COLUMN: Final = "card.token"


def _leaves(model: type[BaseModel], prefix: str = "", *, required: bool = True) -> dict[str, tuple[bool, bool]]:
    """Column to (is required, is an integer)."""
    found: dict[str, tuple[bool, bool]] = {}
    for name, info in model.model_fields.items():
        inner = info.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            found |= _leaves(inner, f"{prefix}{name}.", required=required and info.is_required())
        else:
            found[prefix + name] = (required and info.is_required(), inner is int)
    return found


_LEAVES: Final = _leaves(Authorization)
COLUMNS: Final = tuple(_LEAVES)
"""All columns of an authorization, in the order of the contract."""
_INTEGERS: Final = frozenset(name for name, (_, integer) in _LEAVES.items() if integer)


def check_columns(columns: Sequence[str], *, file: str) -> None:
    """Raise FileUnusable unless every column is one of an authorization, once, and none that must be is missing."""
    unknown = [name for name in columns if name not in _LEAVES]
    missing = [name for name, (required, _) in _LEAVES.items() if required and name not in columns]
    if unknown:
        shown = "".join(char if char.isprintable() else "?" for char in unknown[0][:40])
        raise FileUnusable(f"{file}: the header names a column that no authorization has: {shown!r}.")
    if missing:
        raise FileUnusable(f"{file}: the header lacks {', '.join(missing[:5])}; see `postrail batch generate`.")
    if len(set(columns)) < len(columns):
        raise FileUnusable(f"{file}: the header names a column twice.")


def flatten(body: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """An authorization's JSON as column to value; absent fields are absent."""
    row: dict[str, Any] = {}
    for name, value in body.items():
        if isinstance(value, Mapping):
            row |= flatten(value, f"{prefix}{name}.")
        else:
            row[prefix + name] = value
    return row


class RowBuilder:
    """From the cells of one row to the JSON of an authorization; made once for a header."""

    def __init__(self, columns: Sequence[str]) -> None:
        """`columns` have been checked."""
        self._width = len(columns)
        self._top: list[tuple[int, str]] = []
        self._nested: dict[str, list[tuple[int, str]]] = {}
        self._integers = [place for place, name in enumerate(columns) if name in _INTEGERS]
        for place, column in enumerate(columns):
            parent, _, name = column.rpartition(".")
            (self._nested.setdefault(parent, []) if parent else self._top).append((place, name))

    def from_line(self, line: bytes) -> bytes | Permanent:
        """The JSON of one CSV row (RFC 4180, UTF-8), or why it is none."""
        try:
            text = line.decode()
        except UnicodeDecodeError:
            return Permanent(ReasonCode.MALFORMED_EVENT, "the row is not UTF-8 text")
        if '"' in text:
            try:
                cells: list[Any] = next(csv.reader([text], strict=True))
            except (csv.Error, StopIteration) as error:
                return Permanent(ReasonCode.MALFORMED_EVENT, f"the row is no CSV: {error}")
        else:
            cells = text.split(",")
        if len(cells) != self._width:
            return Permanent(
                ReasonCode.MALFORMED_EVENT, f"the row has {len(cells)} cells, the header has {self._width}"
            )
        for place in self._integers:
            if _INTEGER.match(cells[place]):
                cells[place] = int(cells[place])
        return self.from_cells(cells)

    def from_cells(self, cells: Sequence[Any]) -> bytes:
        """The JSON of one row whose cells have types; None and the empty text are absent fields."""
        body = {name: cells[place] for place, name in self._top if cells[place] not in (None, "")}
        for parent, members in self._nested.items():
            body[parent] = {name: cells[place] for place, name in members if cells[place] not in (None, "")}
        return orjson.dumps(body, default=str, option=_JSON_OPTIONS)
