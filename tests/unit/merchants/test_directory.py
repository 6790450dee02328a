"""The directory and its files."""

from pathlib import Path

import pytest
from tests.builders.payments import make_merchant

from postrail.domain.errors import ConfigInvalid
from postrail.merchants.directory import (
    CACHED_PROFILES_MAX,
    UNCATEGORISED,
    MerchantDirectory,
    load_merchants,
    read_categories,
    read_rules,
)
from postrail.merchants.names import NameRules

REFERENCE_DIR = Path(__file__).resolve().parents[3] / "config" / "reference"


def test_the_delivered_files_describe_a_merchant() -> None:
    """Name, category and label of the default merchant."""
    profile = load_merchants(REFERENCE_DIR).describe(make_merchant())
    assert (profile.details.name, profile.details.category) == ("Cafe Central", "Fast food and cafes")
    assert profile.label == "Cafe Central, Paris (FR)"


def test_a_merchant_without_a_town_has_a_country() -> None:
    """A missing or blank town leaves no stray comma."""
    directory = load_merchants(REFERENCE_DIR)
    assert directory.describe(make_merchant(city=None)).label == "Cafe Central (FR)"
    assert directory.describe(make_merchant(city=" ")).label == "Cafe Central (FR)"


@pytest.mark.parametrize(
    ("mcc", "category"),
    [("5411", "Supermarkets"), ("3058", "Airlines"), ("3351", "Car hire"), ("3640", "Hotels"), ("0001", UNCATEGORISED)],
)
def test_categories_by_code_and_by_range(mcc: str, category: str) -> None:
    """ISO 18245 gives airlines, car hire and hotels whole ranges; an unknown code is no error."""
    assert load_merchants(REFERENCE_DIR).category(mcc) == category


def test_the_table_covers_the_common_codes() -> None:
    """About 200 single codes besides the ranges, none empty, none too long for the contract."""
    categories = read_categories(REFERENCE_DIR / "mcc.csv")
    assert len([code for code in categories if not code.startswith("3")]) >= 120
    assert all(1 <= len(category) <= 140 for category in categories.values())


def test_profiles_are_kept_and_the_cache_is_bounded() -> None:
    """The same merchant gives the same object; more merchants than the bound do not grow it."""
    directory = MerchantDirectory({}, NameRules())
    assert directory.describe(make_merchant()) is directory.describe(make_merchant(acceptor_id="ANOTHER"))
    for number in range(CACHED_PROFILES_MAX + 10):
        directory.describe(make_merchant(name=f"SHOP N{number}X"))
    assert directory._profile.cache_info().currsize == CACHED_PROFILES_MAX


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("code,meaning\n", "header"),
        ("mcc,category\n541,Food\n", "line 2"),
        ("mcc,category\n5411,\n", "line 2"),
        ("mcc,category\n5411,Food,more\n", "line 2"),
        ("mcc,category\n5411,Food\n5411,Again\n", "line 3"),
        ("mcc,category\n3299-3000,Air\n", "line 2"),
        ("mcc,category\n54x1,Food\n", "line 2"),
    ],
)
def test_a_bad_table_names_file_and_line(tmp_path: Path, content: str, place: str) -> None:
    """Whoever edits the file learns where to look."""
    file = tmp_path / "mcc.csv"
    file.write_text(content)
    with pytest.raises(ConfigInvalid, match=place) as caught:
        read_categories(file)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    "content", ["version: 2", "version: 1\nprefixes: [A]", "version: 1\nsmall_words: [on]", "version: [", "[]", ""]
)
def test_bad_rules_name_the_file(tmp_path: Path, content: str) -> None:
    """Unknown keys, other versions, words that YAML reads as booleans, and what is no YAML."""
    file = tmp_path / "merchant_names.yaml"
    file.write_text(content)
    with pytest.raises(ConfigInvalid, match=r"merchant_names\.yaml"):
        read_rules(file)


def test_files_are_bounded_and_utf_8(tmp_path: Path) -> None:
    """A file of another kind under the right name is refused whole."""
    file = tmp_path / "mcc.csv"
    file.write_bytes(b"mcc,category\n5411,\xff\xfe\n")
    with pytest.raises(ConfigInvalid, match="UTF-8"):
        read_categories(file)
    file.write_bytes(b"x" * (1024 * 1024 + 1))
    with pytest.raises(ConfigInvalid, match="larger"):
        read_categories(file)


def test_a_code_of_its_own_wins_over_its_range(tmp_path: Path) -> None:
    """Wherever the two stand in the file."""
    file = tmp_path / "mcc.csv"
    file.write_text("mcc,category\n3001,One airline\n3000-3002,Airlines\n")
    assert read_categories(file) == {"3000": "Airlines", "3001": "One airline", "3002": "Airlines"}
