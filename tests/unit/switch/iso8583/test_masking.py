"""What is shown of card data."""

import pytest

from switch.iso8583.dialect import load_dialect
from switch.iso8583.masking import mask_pan, mask_value

ELEMENTS = load_dialect("iso8583-1993-ascii").elements


@pytest.mark.parametrize(
    ("number", "value", "shown"),
    [
        (2, "4761340000000019", "476134******0019"),
        (2, "4761340000000000019", "476134*********0019"),
        (2, "47613400019", "***********"),
        (35, "4761340000000019=29122011000012300", "476134******0019=*****************"),
        (35, "4761340000000019", "****************"),
        (45, "B4761340000000019^A/B^", "*" * 22),
        (52, "0123456789ABCDEF", "[8 bytes]"),
        (55, "9F2601AA", "[4 bytes]"),
        (4, "000000012345", "000000012345"),
    ],
)
def test_sensitive_elements_are_masked_and_others_shown(number: int, value: str, shown: str) -> None:
    assert mask_value(ELEMENTS[number], value) == shown


@pytest.mark.parametrize("length", range(20))
def test_a_masked_number_hides_at_least_two_digits_or_all(length: int) -> None:
    masked = mask_pan("1" * length)
    assert len(masked) == length
    assert masked.count("*") in {length, max(0, length - 10)}
    assert length == 0 or masked.count("*") >= min(2, length)
