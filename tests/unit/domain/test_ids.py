"""Identifiers: UUID version 7 with a prefix."""

import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.ids import ID_PATTERN, format_uuid7

milliseconds = st.integers(0, 2**48 - 1)
random_bits = st.integers(0, 2**80 - 1)


@given(milliseconds, random_bits)
def test_an_id_is_a_uuid_of_version_7(unix_ms: int, random_80: int) -> None:
    """Version, variant and timestamp stand where RFC 9562 section 5.7 has them."""
    text = format_uuid7("pay", unix_ms, random_80)
    assert re.fullmatch(ID_PATTERN, text)
    value = uuid.UUID(text.removeprefix("pay_"))
    assert (value.version, value.variant) == (7, uuid.RFC_4122)
    assert value.int >> 80 == unix_ms


@given(milliseconds, milliseconds, random_bits, random_bits)
def test_ids_sort_by_time(first_ms: int, second_ms: int, first: int, second: int) -> None:
    """As text, whatever the random part."""
    if first_ms < second_ms:
        assert format_uuid7("evt", first_ms, first) < format_uuid7("evt", second_ms, second)


@given(random_bits)
def test_74_random_bits_survive(random_80: int) -> None:
    """All but the six that give way to version and variant."""
    value = uuid.UUID(format_uuid7("pay", 0, random_80).removeprefix("pay_")).int
    kept = ((1 << 80) - 1) & ~(0xF << 76) & ~(0x3 << 62)
    assert value & kept == random_80 & kept
    assert kept.bit_count() == 74
