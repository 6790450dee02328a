"""What a date or an instant on the command line means."""

from datetime import UTC, date, datetime, time, timedelta

from postrail.cli.failures import CommandError
from postrail.domain.statement import Period

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


def parse_period(start: str, end: str) -> Period:
    """From `start` to `end`. A date means its whole day in UTC, so as an end it is the last day, included.

    An instant as an end is excluded. Raises CommandError.
    """
    opens, _ = _parse(start, "--from")
    closes, day = _parse(end, "--to")
    try:
        return Period(opens, closes + _DAY if day else closes)
    except (ValueError, OverflowError) as error:
        msg = f"--from {start} --to {end} is no period: the end must come after the beginning."
        raise CommandError(msg, exit_code=2) from error


def parse_until(text: str, option: str) -> datetime:
    """The last instant that `text` covers: the end of a day, or the instant itself. Raises CommandError."""
    instant, day = _parse(text, option)
    return instant + (_DAY - _INSTANT) if day else instant


def _parse(text: str, option: str) -> tuple[datetime, bool]:
    """The instant in UTC, and whether it stands for a whole day."""
    try:
        return datetime.combine(date.fromisoformat(text), time.min, UTC), True
    except ValueError:
        pass
    try:
        instant = datetime.fromisoformat(text)
        return (instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)), False
    except (ValueError, OverflowError) as error:
        msg = f"{option} {text!r} is neither a date (2026-11-01) nor an instant (2026-11-01T12:00:00Z)."
        raise CommandError(msg, exit_code=2) from error
