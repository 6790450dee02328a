"""Cleaning merchant names: what goes, what stays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postrail.merchants.directory import read_rules
from postrail.merchants.names import UNNAMED, NameCleaner, NameRules

CLEANER = NameCleaner(read_rules(Path(__file__).resolve().parents[3] / "config" / "reference" / "merchant_names.yaml"))


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("SQ *BLUE DOOR COFFEE", "Blue Door Coffee"),
        ("SumUp  *CROOKED SPOON", "Crooked Spoon"),
        ("PAYPAL *THIMBLECO", "Thimbleco"),
        ("TST* HUDSON CORNER DELI", "Hudson Corner Deli"),
        ("zettle_*maria bakes", "Maria Bakes"),
    ],
)
def test_processor_prefixes_go(raw: str, clean: str) -> None:
    """A known processor before a star is not the merchant, in any case and spacing."""
    assert CLEANER.clean(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("HARBOUR STREET GROCERS 0142", "Harbour Street Grocers"),
        ("7-ELEVEN 36012", "7-Eleven"),
        ("PINEGADGET ONLINE #5521", "Pinegadget Online"),
        ("OAK AND NAIL DIY STORE 9", "Oak and Nail DIY"),
        ("CORNER CAFE NO. 7", "Corner Cafe"),
        ("BOOKS.COM*2K4RT5XX1", "Books.com"),
        ("PARCELS 5X8K2P1QZ", "Parcels"),
        ("ACME 866-712-7753", "Acme"),
        ("ACME STORE 12 #99 0042", "Acme"),
    ],
)
def test_store_numbers_and_references_go(raw: str, clean: str) -> None:
    """Numbers of three digits, with a leading zero, a hash or a store word; references; telephone numbers."""
    assert CLEANER.clean(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("FOREVER 21", "Forever 21"),
        ("STUDIO 54", "Studio 54"),
        ("NARITA TERMINAL 2 ATM", "Narita Terminal 2 ATM"),
        ("12345", "12345"),
        ("STORE 9", "Store 9"),
        ("THE SHOP # 12", "The Shop"),
        ("THE SHOP AT THE END", "The Shop at the End"),
        ("ROCKET *POST", "Rocket Post"),
    ],
)
def test_what_may_be_the_name_stays(raw: str, clean: str) -> None:
    """A short number may be the name, and something always remains."""
    assert CLEANER.clean(raw) == clean


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("CAFÉ DE LA PAIX", "Café de la Paix"),
        ("straße bäckerei", "Straße Bäckerei"),
        ("M&S SIMPLY FOOD", "M&S Simply Food"),
        ("JOE'S DINER", "Joe's Diner"),
        ("O'NEILLS PUB", "O'Neills Pub"),
        ("J.P. HARBOUR", "J.P. Harbour"),
        ("WEST-COAST BIKES", "West-Coast Bikes"),
        ("LANTERN BOOKS LTD", "Lantern Books Ltd"),
        ("BUCHHAUS MITTE GMBH", "Buchhaus Mitte GmbH"),
        ("PRBK ATM LOTHBURY", "PRBK ATM Lothbury"),
        ("McDonald's", "McDonald's"),
        ("WWW.EXAMPLE.COM", "Example.com"),
    ],
)
def test_title_case_knows_small_words_and_abbreviations(raw: str, clean: str) -> None:
    """Mixed case is left as it came."""
    assert CLEANER.clean(raw) == clean


@pytest.mark.parametrize("raw", [" ", "***", "\x00\t", "---", "#"])
def test_a_name_that_is_none_has_a_placeholder(raw: str) -> None:
    """The contract wants a name, and the customer should see that there was none."""
    assert CLEANER.clean(raw) == UNNAMED


def test_a_prefix_alone_is_kept_as_the_name() -> None:
    """Better the processor's name than none."""
    assert CLEANER.clean("PAYPAL *") == "Paypal"


def test_spaces_and_control_characters_collapse() -> None:
    """Padding of the wire and line breaks leave one space."""
    assert CLEANER.clean("  CAFE \n\x07 CENTRAL   ") == "Cafe Central"


def test_without_rules_only_the_general_tails_go() -> None:
    """Empty data are allowed."""
    assert NameCleaner(NameRules()).clean("SQ *CAFE STORE 0142") == "SQ Cafe Store"


@given(st.text(min_size=1, max_size=60))
def test_any_name_gives_a_short_printable_name(raw: str) -> None:
    """1 to 140 characters, no padding, no doubled spaces, nothing unprintable, and the same every time."""
    clean = CLEANER.clean(raw)
    assert 1 <= len(clean) <= 140
    assert clean == " ".join(clean.split())
    assert clean.isprintable()
    assert clean == CLEANER.clean(raw)


@given(st.text("ABC 0129*#-.&'", min_size=1, max_size=60))
def test_cleaning_adds_no_digits(raw: str) -> None:
    """The digits that remain are digits that came, in their order: nothing joins into a number that was not there."""
    remaining = iter(char for char in raw if char.isdigit())
    assert all(char in remaining for char in CLEANER.clean(raw) if char.isdigit())
