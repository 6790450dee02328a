"""Card numbers: Luhn, tokens, finding and masking. Card numbers are made at run time, none stands in this file."""

import re
import uuid

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.builders.strategies import card_tokens, digits

from postrail.domain.card import find_clear_pans, holds_clear_pan, is_card_token, passes_luhn, scrub_pans

VISA_LIKE = "4" + "1" * 15  # passes Luhn


def check_digit(body: str) -> str:
    """The Luhn check digit, computed another way: by the sum of the doubled digits' own digits."""
    total = 0
    for place, char in enumerate(reversed(body)):
        value = int(char) * (2 if place % 2 == 0 else 1)
        total += sum(map(int, str(value)))
    return str(-total % 10)


@st.composite
def pans(draw: st.DrawFn) -> str:
    """A plausible card number of 13 to 19 digits."""
    body = draw(st.sampled_from("23456")) + draw(digits(11, 17))
    return body + check_digit(body)


@given(digits(1, 18))
def test_exactly_one_check_digit_passes(body: str) -> None:
    """And it is the one that an independent computation gives."""
    assert [last for last in "0123456789" if passes_luhn(body + last)] == [check_digit(body)]


@given(pans(), st.data())
def test_luhn_sees_every_single_wrong_digit(pan: str, data: st.DataObject) -> None:
    """The property that the check digit exists for."""
    place = data.draw(st.integers(0, len(pan) - 1))
    wrong = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != pan[place]]))
    assert not passes_luhn(pan[:place] + wrong + pan[place + 1 :])


@given(pans())
def test_a_card_number_is_never_a_token(pan: str) -> None:
    """Nor does a token pass for a card number."""
    assert passes_luhn(pan)
    assert not is_card_token(pan)


@given(card_tokens())
def test_a_token_is_never_found_as_a_card_number(token: str) -> None:
    """It may stand in events and logs."""
    assert is_card_token(token)
    assert list(find_clear_pans(token)) == []
    assert scrub_pans(token) == token


@pytest.mark.parametrize(
    "text", ["", "1" * 12, "1" * 20, "12345678901234a", " 9999990000000001", "9999990000000001\n", "٩" * 16]
)
def test_what_is_no_run_of_13_to_19_ascii_digits_is_no_token(text: str) -> None:
    """Spaces, line ends and digits of other scripts included."""
    assert not is_card_token(text)


@given(
    pans(),
    st.sampled_from(["", " ", '"', ":", "-", ",", "*", "_", "/", "("]),
    st.sampled_from(["", " ", '"', ",", ")"]),
)
def test_a_clear_number_is_found_whatever_stands_around_it(pan: str, before: str, after: str) -> None:
    """Punctuation of JSON, XML and merchants' names."""
    assert list(find_clear_pans(f"x {before}{pan}{after} y")) == [pan]


@given(
    st.lists(pans() | card_tokens() | digits(1, 25) | st.sampled_from([" ", "a", "é", "\ud800", "-", '"'])).map("".join)
)
def test_the_search_finds_what_the_definition_says(text: str) -> None:
    """Runs of 13 to 19 digits apart from other letters and digits, 2 to 6 first, Luhn: as one plain pattern."""
    pattern = r"(?<![0-9A-Za-z])[2-6][0-9]{12,18}(?![0-9A-Za-z])"
    expected = [run for run in re.findall(pattern, text) if run[-1] == check_digit(run[:-1])]
    assert list(find_clear_pans(text)) == expected
    assert holds_clear_pan(text.encode(errors="surrogatepass")) == bool(expected)


@given(st.uuids())
def test_identifiers_are_no_card_numbers(value: uuid.UUID) -> None:
    """A UUID in hex, with its prefix or alone, is never read as a card number."""
    assert list(find_clear_pans(f"pay_{value.hex} {value.hex}")) == []


def test_long_numbers_and_other_first_digits_are_no_card_numbers() -> None:
    """An IBAN, a 20-digit reference, and a number that begins with 9."""
    body = "9" + "1" * 14
    assert list(find_clear_pans(f"GB33{VISA_LIKE} {VISA_LIKE}0000 {body}{check_digit(body)}")) == []


@given(pans(), st.sampled_from(["", " ", "-"]))
def test_scrubbing_leaves_the_last_four_digits(pan: str, gap: str) -> None:
    """Also of numbers written in groups."""
    grouped = gap.join(pan[index : index + 4] for index in range(0, len(pan), 4))
    scrubbed = scrub_pans(f"card {grouped} end")
    assert scrubbed == f"card {'*' * (len(pan) - 4)}{pan[-4:]} end"
    assert scrub_pans(scrubbed) == scrubbed


@pytest.mark.parametrize("text", ["2026-10-01 {} 0", "0 {} 0", "12 19 {}-56", "x{}y", "{} {}", "{}-2026-10-01 09"])
def test_digits_beside_a_number_do_not_hide_it(text: str) -> None:
    """Dates, counters, letters and another card number."""
    scrubbed = scrub_pans(text.replace("{}", VISA_LIKE))
    assert VISA_LIKE not in scrubbed
    assert scrubbed == text.replace("{}", "*" * 12 + "1111")


@given(st.text())
def test_scrubbed_text_holds_no_clear_number(text: str) -> None:
    """Whatever was there before."""
    assume(len(text) < 200)
    assert list(find_clear_pans(scrub_pans(f"{text} {VISA_LIKE} {text}"))) == []
