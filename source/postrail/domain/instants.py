"""Instants as text (ISO 8601), fast: every payment has half a dozen of them.

`datetime.isoformat` asks the time zone for its offset and writes it; four times the work of what is needed here, since
all instants are kept in UTC.
"""

from datetime import UTC, datetime
from typing import Final

_TWO: Final = tuple(f"{number:02}" for number in range(60))


def month_of(instant: datetime) -> str:
    """Its month in UTC, "2026-10"."""
    at = instant.astimezone(UTC)
    return f"{at.year:04}-{_TWO[at.month]}"


def hour_of(instant: datetime) -> str:
    """Its clock hour in UTC, "2026-10-01T09"."""
    at = instant.astimezone(UTC)
    return f"{at.year:04}-{_TWO[at.month]}-{_TWO[at.day]}T{_TWO[at.hour]}"


def compact_second_of(instant: datetime) -> str:
    """Its second in UTC in the basic format, "20261001T091531Z"; fractions are cut off."""
    at = instant.astimezone(UTC)
    clock = f"{_TWO[at.hour]}{_TWO[at.minute]}{_TWO[at.second]}"
    return f"{at.year:04}{_TWO[at.month]}{_TWO[at.day]}T{clock}Z"


def format_instant(instant: datetime, *, microseconds: bool = False) -> str:
    """The instant in UTC, "2026-10-01T09:15:31Z"; fractions where there are any, or always six digits of them."""
    at = instant.astimezone(UTC)
    fraction = at.microsecond
    tail = f".{fraction:06}Z" if fraction or microseconds else "Z"
    clock = f"{_TWO[at.hour]}:{_TWO[at.minute]}:{_TWO[at.second]}"
    return f"{at.year:04}-{_TWO[at.month]}-{_TWO[at.day]}T{clock}{tail}"
