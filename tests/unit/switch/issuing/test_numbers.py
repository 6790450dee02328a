"""Card numbers, tokens, account numbers."""

from hypothesis import given
from hypothesis import strategies as st

from postrail.domain.card import find_clear_pans, is_card_token, passes_luhn
from switch.ecosystem import NumberRange
from switch.issuing.iban import make_iban
from switch.issuing.numbers import make_pan, make_token


@given(length=st.integers(13, 19), low=st.integers(476_134, 476_200), width=st.integers(0, 50))
def test_a_card_number_lies_in_its_range_and_passes_luhn(length: int, low: int, width: int) -> None:
    """Whatever the range, the number is of its length and between its ends."""
    numbers = NumberRange(low=str(low), high=str(low + width), pan_length=length)

    pan = make_pan(numbers)

    assert len(pan) == length
    assert passes_luhn(pan)
    assert numbers.low <= pan[:6] <= numbers.high


def test_a_range_is_used_from_end_to_end() -> None:
    """Both ends of a range are numbers of the bank."""
    numbers = NumberRange(low="476134", high="476135")

    assert make_pan(numbers, lambda _: 0).startswith("4761340000")
    assert make_pan(numbers, lambda below: below - 1).startswith("4761359999")


@given(length=st.integers(13, 19), choice=st.integers(0, 10**15))
def test_a_token_is_never_taken_for_a_card_number(length: int, choice: int) -> None:
    """It has a token's form, and a search for card numbers passes it by."""
    token = make_token(length, lambda below: choice % below)

    assert len(token) == length
    assert is_card_token(token)
    assert not list(find_clear_pans(token))


def test_an_iban_has_the_check_digits_of_the_standard() -> None:
    """The example that the UK's banks publish."""
    assert make_iban("GB", "WEST12345698765432") == "GB82WEST12345698765432"
