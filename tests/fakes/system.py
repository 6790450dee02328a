"""A clock that stands still until told otherwise, and ids that count."""

from datetime import UTC, datetime, timedelta

from postrail.domain.ids import format_uuid7

NOON = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)


class FakeClock:
    """`ports.Clock`: always the same instant, moved by `advance`."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def advance(self, by: timedelta) -> None:
        self._now += by


class FakeIds:
    """`ports.IdSource`: valid ids that count upwards."""

    def __init__(self) -> None:
        self._count = 0

    def new_id(self, prefix: str) -> str:
        self._count += 1
        return format_uuid7(prefix, int(NOON.timestamp() * 1000), self._count)
