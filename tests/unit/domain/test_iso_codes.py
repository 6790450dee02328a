"""The code tables against pycountry, which takes them from the Debian iso-codes project."""

import pycountry
import pytest

from postrail.domain.iso3166 import COUNTRY_CODES, UnknownCountry, country_by_alpha2
from postrail.domain.iso4217 import CURRENCY_CODES, UnknownCurrency, currency_by_code, currency_by_numeric

# ISO 4217 codes that name no money to pay with: funds, units of account, metals, test and "no currency".
NO_PAYMENT_CURRENCIES = frozenset(
    """
    BOV CHE CHW CLF COU MXV USN UYI UYW XAG XAU XBA XBB XBC XBD XDR XPD XPT XSU XTS XUA XXX
    """.split()  # noqa: SIM905 - a table reads better than a list of quoted words
)
EXPONENT_0 = frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split())  # noqa: SIM905
EXPONENT_3 = frozenset("BHD IQD JOD KWD LYD OMR TND".split())  # noqa: SIM905


def test_every_active_currency_is_there() -> None:
    """All of ISO 4217 but what nobody pays with, and nothing else."""
    assert {currency.alpha_3 for currency in pycountry.currencies} - NO_PAYMENT_CURRENCIES == CURRENCY_CODES


@pytest.mark.parametrize("code", sorted(CURRENCY_CODES))
def test_numeric_codes_and_exponents(code: str) -> None:
    """Numeric code with its leading zeros, found both ways; exponent 0 and 3 where the standard has them, else 2."""
    currency = currency_by_code(code)
    assert currency.numeric == pycountry.currencies.get(alpha_3=code).numeric
    assert currency_by_numeric(currency.numeric) is currency
    assert currency.exponent == (0 if code in EXPONENT_0 else 3 if code in EXPONENT_3 else 2)


def test_every_country_is_there() -> None:
    """ISO 3166-1, no more and no less."""
    expected = {(country.alpha_2, country.alpha_3, country.numeric) for country in pycountry.countries}
    found = {country_by_alpha2(code) for code in COUNTRY_CODES}
    assert {(country.alpha2, country.alpha3, country.numeric) for country in found} == expected


def test_unknown_codes_raise_their_own_errors() -> None:
    """Lower case, withdrawn and reserved codes are unknown."""
    for code in ("eur", "DEM", "HRK", "XXX", ""):
        with pytest.raises(UnknownCurrency):
            currency_by_code(code)
    for numeric in ("999", "8", "000"):
        with pytest.raises(UnknownCurrency):
            currency_by_numeric(numeric)
    for country in ("gb", "UK", "XK", "EU", "ZZ"):
        with pytest.raises(UnknownCountry):
            country_by_alpha2(country)
