"""DE 22, 43, 48, 54 and 56: parts in, text out, and back."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.contracts.payment import EntryMode
from switch.iso8583.message import Fault, MessageInvalid
from switch.iso8583.pos_data import MEANINGS, PosData, parse_pos_data
from switch.iso8583.subfields import (
    AVAILABLE_BALANCE,
    AdditionalAmount,
    Location,
    OriginalData,
    build_amounts,
    build_location,
    build_original,
    build_subelements,
    parse_amounts,
    parse_location,
    parse_original,
    parse_subelements,
)

SHOP = "Corner Shop\\1 High Street\\Leeds\\LS1 1AA   WYKGBR"


def test_a_location_falls_into_its_parts() -> None:
    place = parse_location(SHOP)
    assert place == Location("Corner Shop", "1 High Street", "Leeds", "LS1 1AA", "WYK", "GBR")
    assert build_location(place) == SHOP


@pytest.mark.parametrize("country", ["GB", "GBR", "826", ""])
def test_a_country_may_be_written_in_every_form_of_iso_3166(country: str) -> None:
    assert parse_location(build_location(Location("Shop", country=country))).country == country


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Shop",
        "a\\b\\c",
        "a\\b\\c\\d\\e",
        "a\\b\\c\\" + " " * 15,
        "a\\b\\c\\" + " " * 13 + "gbr",
        "a\\b\\c\\" + " " * 17,
    ],
)
def test_a_location_without_its_parts_is_refused(text: str) -> None:
    with pytest.raises(MessageInvalid, match="43"):
        parse_location(text)


@pytest.mark.parametrize(
    "place",
    [
        Location("back\\slash"),
        Location("line\nbreak"),
        Location("x" * 99),
        Location("Shop", postcode="x" * 11),
        Location("Shop", country="gb"),
        Location("Shop", country="GBRX"),
    ],
)
def test_a_location_that_does_not_fit_is_not_written(place: Location) -> None:
    with pytest.raises(MessageInvalid, match="43"):
        build_location(place)


def test_amounts_carry_sign_type_and_currency() -> None:
    amounts = (AdditionalAmount("10", AVAILABLE_BALANCE, "826", 10_050), AdditionalAmount("10", "01", "826", -7))
    text = build_amounts(amounts)
    assert text == "1002826C000000010050" + "1001826D000000000007"
    assert parse_amounts(text) == amounts


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "54"),
        ("1002826C00000001005", "54"),
        ("1002826C000000010050" * 7, "54"),
        ("1002826X000000010050", "54.1"),
        ("1002826C000000010050" + "1002826C00000001005x", "54.2"),
        ("1002826D000000000000", "54.1"),
    ],
)
def test_amounts_that_are_none_are_refused(text: str, path: str) -> None:
    with pytest.raises(MessageInvalid) as refused:
        parse_amounts(text)
    assert refused.value.path == path


@pytest.mark.parametrize(
    "amounts", [[], [AdditionalAmount("1", "02", "826", 1)], [AdditionalAmount("10", "02", "826", 10**12)]]
)
def test_amounts_that_do_not_fit_are_not_written(amounts: list[AdditionalAmount]) -> None:
    with pytest.raises(MessageInvalid, match="54"):
        build_amounts(amounts)


def test_original_data_name_the_message_meant() -> None:
    original = OriginalData("1100", "000001", "261121020203", "910001")
    assert build_original(original) == "1100" + "000001" + "261121020203" + "06" + "910001"
    assert parse_original(build_original(original)) == original


@pytest.mark.parametrize("text", ["", "1100000001261121020203", "11000000012611210202030691000", "1100" + "x" * 25])
def test_original_data_without_their_parts_are_refused(text: str) -> None:
    with pytest.raises(MessageInvalid, match="56"):
        parse_original(text)


@pytest.mark.parametrize(
    "original",
    [
        OriginalData("110", "000001", "261121020203", "910001"),
        OriginalData("1100", "1", "261121020203", "910001"),
        OriginalData("1100", "000001", "261121020203", ""),
        OriginalData("1100", "000001", "261121020203", "1" * 12),
    ],
)
def test_original_data_of_other_lengths_are_not_written(original: OriginalData) -> None:
    with pytest.raises(MessageInvalid, match="56"):
        build_original(original)


@given(values=st.dictionaries(st.from_regex("[0-9]{4}", fullmatch=True), st.text(" AZaz09", max_size=40), max_size=8))
def test_private_data_survive_both_ways(values: dict[str, str]) -> None:
    assert parse_subelements(build_subelements(values)) == values


@pytest.mark.parametrize(
    ("text", "fault", "path"),
    [
        ("0002", Fault.BAD_LENGTH, "48.1"),
        ("0002+03ABC", Fault.BAD_LENGTH, "48.1"),
        ("00020 3ABC", Fault.BAD_LENGTH, "48.1"),
        ("0002004ABC", Fault.TOO_SHORT, "48.0002"),
        ("0002003ABC0002001A", Fault.BAD_CONTENT, "48.0002"),
        ("0002003ABCx", Fault.BAD_LENGTH, "48.2"),
    ],
)
def test_private_data_of_another_layout_are_refused(text: str, fault: Fault, path: str) -> None:
    with pytest.raises(MessageInvalid) as refused:
        parse_subelements(text)
    assert (refused.value.fault, refused.value.path) == (fault, path)


@pytest.mark.parametrize("values", [{"12": "x"}, {"0001": "x" * 1000}, {"0001": "x" * 500, "0002": "x" * 500}])
def test_private_data_that_do_not_fit_are_not_written(values: dict[str, str]) -> None:
    with pytest.raises(MessageInvalid, match="48"):
        build_subelements(values)


@pytest.mark.parametrize(
    ("code", "mode"),
    [
        ("510101513304", EntryMode.CHIP),
        ("A10101M13304", EntryMode.CONTACTLESS),
        ("210101A13304", EntryMode.CONTACTLESS),
        ("210101200304", EntryMode.MAGNETIC_STRIPE),
        ("610101600304", EntryMode.MANUAL),
        ("100050S00000", EntryMode.ECOMMERCE),
        ("100050100000", EntryMode.ECOMMERCE),
        ("100040100000", EntryMode.CREDENTIAL_ON_FILE),
        ("100040700000", EntryMode.CREDENTIAL_ON_FILE),
        ("510101000000", None),
        ("510101300000", None),
    ],
)
def test_the_point_of_service_tells_how_the_card_was_read(code: str, mode: EntryMode | None) -> None:
    assert parse_pos_data(code).entry_mode is mode
    assert str(parse_pos_data(code)) == code


def test_every_position_has_a_meaning_even_a_schemes_own() -> None:
    meanings = parse_pos_data("5101015Z3304").meanings()
    assert list(meanings) == list(PosData._fields) == list(MEANINGS)
    assert meanings["input_mode"] == "chip"
    assert meanings["authentication_method"] == "code Z"


@pytest.mark.parametrize("text", ["", "51010151330", "5101015133040", "51010151330 ", "51010151330é"])
def test_a_point_of_service_code_has_twelve_letters_and_digits(text: str) -> None:
    with pytest.raises(MessageInvalid, match="22"):
        parse_pos_data(text)


@pytest.mark.parametrize("parse", [parse_location, parse_amounts, parse_original, parse_pos_data, parse_subelements])
@given(text=st.text(max_size=60))
def test_any_text_is_read_or_refused(parse: Callable[[str], object], text: str) -> None:
    said = ""
    try:
        parse(text)
    except MessageInvalid as error:
        said = str(error)
    assert len(text) < 6 or text not in said
