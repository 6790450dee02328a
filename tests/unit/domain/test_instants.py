"""Instants as text: what the standard library writes, faster."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.instants import compact_second_of, format_instant, hour_of, month_of

zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
instants = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones | st.just(UTC))  # noqa: DTZ001


@given(instants)
def test_an_instant_is_its_iso_form_in_utc(instant: datetime) -> None:
    """Whatever zone it came in, and with fractions only where there are any unless they are asked for."""
    utc = instant.astimezone(UTC)
    assert format_instant(instant) == utc.isoformat().replace("+00:00", "Z")
    assert format_instant(instant, microseconds=True) == utc.isoformat(timespec="microseconds").replace("+00:00", "Z")


@given(instants)
def test_the_shorter_forms_are_cut_from_the_iso_form(instant: datetime) -> None:
    text = instant.astimezone(UTC).isoformat()
    assert month_of(instant) == text[:7]
    assert hour_of(instant) == text[:13]
    assert compact_second_of(instant) == text[:19].replace("-", "").replace(":", "") + "Z"
