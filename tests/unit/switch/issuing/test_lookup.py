"""Card numbers found by a keyed hash."""

import hashlib
import hmac

import pytest

from switch.issuing.lookup import HmacPanLookup

PAN = "4761340000000019"


def test_a_number_is_looked_up_by_its_hmac() -> None:
    """The value is HMAC-SHA-256 under the key, and the same every time."""
    key = bytes(range(32))
    lookup = HmacPanLookup(key)

    assert lookup.lookup(PAN) == lookup.lookup(PAN) == hmac.digest(key, PAN.encode(), hashlib.sha256)


def test_another_key_gives_another_value() -> None:
    """Without the key the values say nothing."""
    assert HmacPanLookup(bytes(32)).lookup(PAN) != HmacPanLookup(bytes([1] * 32)).lookup(PAN)


def test_a_short_key_is_refused() -> None:
    """A key that could be guessed is none."""
    with pytest.raises(ValueError, match="32"):
        HmacPanLookup(bytes(16))


def test_printing_it_shows_no_key() -> None:
    """What is printed ends up in logs."""
    assert repr(HmacPanLookup(b"k" * 32)) == "HmacPanLookup()"
