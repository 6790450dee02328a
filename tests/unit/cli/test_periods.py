"""Dates and instants on the command line."""

from datetime import UTC, datetime

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.periods import parse_period, parse_until


def test_a_date_means_its_whole_day():
    """The last day is included."""
    period = parse_period("2026-11-01", "2026-11-30")
    assert period.start == datetime(2026, 11, 1, tzinfo=UTC)
    assert period.end == datetime(2026, 12, 1, tzinfo=UTC)
    assert parse_until("2026-11-30", "--at") == datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC)


def test_an_instant_means_itself():
    """As an end it is excluded; as the time of a balance it is included."""
    period = parse_period("2026-11-01T06:00:00+02:00", "2026-11-01T12:00:00Z")
    assert period.start == datetime(2026, 11, 1, 4, tzinfo=UTC)
    assert period.end == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert parse_until("2026-11-01T12:00:00Z", "--at") == period.end


def test_an_instant_without_a_zone_is_utc():
    assert parse_until("2026-11-01T12:00", "--at") == datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_one_day_is_a_period():
    period = parse_period("2026-11-01", "2026-11-01")
    assert (period.end - period.start).days == 1


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        ("2026-11-02", "2026-11-01", "no period"),
        ("2026-11-01T12:00:00Z", "2026-11-01T12:00:00Z", "no period"),
        ("2026-11-01", "9999-12-31", "no period"),
        ("yesterday", "2026-11-01", "--from 'yesterday'"),
        ("2026-11-01", "2026-02-30", "--to '2026-02-30'"),
        ("0001-01-01T00:00:00+14:00", "2026-11-01", "--from"),
    ],
)
def test_what_is_no_period_is_said(start: str, end: str, said: str):
    with pytest.raises(CommandError, match=said) as caught:
        parse_period(start, end)
    assert caught.value.exit_code == 2


def test_the_last_day_of_time_is_a_day():
    assert parse_until("9999-12-31", "--at") == datetime.max.replace(tzinfo=UTC)
    with pytest.raises(CommandError, match="--at"):
        parse_until("9999-12-32", "--at")
