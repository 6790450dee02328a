"""Clock and identifiers of the machine."""

import secrets
import time
from datetime import UTC, datetime

from postrail.domain.ids import format_uuid7


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        return datetime.now(UTC)


class SystemIds:
    """UUIDv7 from the machine's clock and its random source."""

    def new_id(self, prefix: str) -> str:
        """A new prefixed UUIDv7."""
        return format_uuid7(prefix, time.time_ns() // 1_000_000, secrets.randbits(80))
