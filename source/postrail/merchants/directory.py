"""Merchant profiles: clean name, place and category, looked up once per merchant and kept."""

import csv
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from postrail.contracts.payment import Merchant, MerchantDetails
from postrail.domain.errors import ConfigInvalid
from postrail.merchants.names import NameCleaner, NameRules

UNCATEGORISED: Final = "Other merchants"
CACHED_PROFILES_MAX: Final = 8192
"""Profiles kept in memory: about 4 MB, far more merchants than one function instance meets between deployments."""

_FILE_BYTES_MAX: Final = 1024 * 1024
_CATEGORY_LENGTH_MAX: Final = 140


class MerchantProfile(NamedTuple):
    """What enrichment says of a merchant; `label` is "Cafe Central, Paris (FR)"."""

    details: MerchantDetails
    label: str


class MerchantDirectory:
    """Describes merchants by name, place and category code. Pure but for a bounded cache."""

    def __init__(self, categories: Mapping[str, str], rules: NameRules) -> None:
        self._categories = dict(categories)
        self._cleaner = NameCleaner(rules)
        self._profile = lru_cache(maxsize=CACHED_PROFILES_MAX)(self._make_profile)

    def category(self, mcc: str) -> str:
        """Meaning of a merchant category code (ISO 18245), in words for customers."""
        return self._categories.get(mcc, UNCATEGORISED)

    def describe(self, merchant: Merchant) -> MerchantProfile:
        """The profile of a merchant. Merchants with the same name, place and category share one."""
        return self._profile(merchant.name, merchant.city, merchant.country, merchant.mcc)

    def _make_profile(self, raw_name: str, city: str | None, country: str, mcc: str) -> MerchantProfile:
        name = self._cleaner.clean(raw_name)
        town = self._cleaner.place(city) if city is not None else ""
        label = f"{name}, {town} ({country})" if town else f"{name} ({country})"
        return MerchantProfile(MerchantDetails(name=name, category=self.category(mcc)), label)


def load_merchants(reference_dir: Path) -> MerchantDirectory:
    """The directory made of `mcc.csv` and `merchant_names.yaml` in `reference_dir`.

    Raises ConfigInvalid naming the file, and the line where there is one, when the data make no sense; OSError when a
    file cannot be read.
    """
    return MerchantDirectory(
        read_categories(reference_dir / "mcc.csv"), read_rules(reference_dir / "merchant_names.yaml")
    )


def read_categories(path: Path) -> dict[str, str]:
    """Merchant category codes and their meaning from a CSV file `mcc,category`.

    `mcc` is a code of four digits or a range such as 3000-3299; a code on its own wins over a range.
    """
    singles: dict[str, str] = {}
    ranges: dict[str, str] = {}
    reader = csv.DictReader(_read_text(path).splitlines())
    if reader.fieldnames != ["mcc", "category"]:
        msg = f"{path}: the header must be mcc,category"
        raise ConfigInvalid(msg)
    for row in reader:
        code, category = (row["mcc"] or "").strip(), (row["category"] or "").strip()
        where = f"{path}, line {reader.line_num}"
        first, dash, last = code.partition("-")
        codes = _expand(first, last if dash else first, where)
        if not 0 < len(category) <= _CATEGORY_LENGTH_MAX or None in row:
            msg = f"{where}: a row has a code and a category of 1 to {_CATEGORY_LENGTH_MAX} characters"
            raise ConfigInvalid(msg)
        target = ranges if dash else singles
        twice = target.keys() & codes
        if twice:
            msg = f"{where}: {min(twice)} has a category already"
            raise ConfigInvalid(msg)
        target.update(dict.fromkeys(codes, category))
    return ranges | singles


def read_rules(path: Path) -> NameRules:
    """Name rules from a YAML file; see config/reference/merchant_names.yaml for its keys."""
    try:
        data = _RulesFile.model_validate(yaml.safe_load(_read_text(path)))
    except (ValidationError, yaml.YAMLError) as error:
        msg = f"{path}: {error}"
        raise ConfigInvalid(msg) from error
    return NameRules(
        processors=frozenset(word.upper() for word in data.processors),
        store_words=frozenset(word.upper() for word in data.store_words),
        small_words=frozenset(word.upper() for word in data.small_words),
        spellings={spelling.upper(): spelling for spelling in data.spellings},
    )


_Words = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=40)], ...], Field(max_length=2000)]


class _RulesFile(BaseModel):
    """merchant_names.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Annotated[int, Field(ge=1, le=1)]
    processors: _Words = ()
    store_words: _Words = ()
    small_words: _Words = ()
    spellings: _Words = ()


def _read_text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_FILE_BYTES_MAX + 1)
    if len(data) > _FILE_BYTES_MAX:
        msg = f"{path}: larger than {_FILE_BYTES_MAX} bytes"
        raise ConfigInvalid(msg)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path}: not UTF-8"
        raise ConfigInvalid(msg) from error


def _expand(first: str, last: str, where: str) -> list[str]:
    for code in (first, last):
        if len(code) != 4 or not (code.isascii() and code.isdigit()):
            msg = f"{where}: a merchant category code has four digits"
            raise ConfigInvalid(msg)
    if int(last) < int(first):
        msg = f"{where}: the range ends before it begins"
        raise ConfigInvalid(msg)
    return [f"{number:04}" for number in range(int(first), int(last) + 1)]
