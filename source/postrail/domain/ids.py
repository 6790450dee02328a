"""Identifiers: UUID version 7 (RFC 9562, section 5.7) with a prefix that says what it names."""

ID_PATTERN = r"^[a-z]{2,6}_[0-9a-f]{32}$"


def format_uuid7(prefix: str, unix_ms: int, random_80: int) -> str:
    """`prefix_` + 32 hex digits of a UUIDv7 made of a millisecond timestamp and 80 random bits.

    Six of the 80 bits give way to version and variant.
    """
    value = (unix_ms & ((1 << 48) - 1)) << 80 | (random_80 & ((1 << 80) - 1))
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"{prefix}_{value:032x}"
