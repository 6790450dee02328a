"""Sample exchange rates: every pair that sample payments need but one, and clear refusals."""

from pathlib import Path

import pytest

from postrail.domain.errors import ConfigInvalid
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.merchants import MERCHANTS
from postrail.sampling.rates import load_rates

RATES_FILE = Path(__file__).parents[3] / "config" / "reference" / "rates.yaml"


def test_every_merchant_currency_has_a_rate_into_every_home_currency_except_the_one_that_shows_its_absence() -> None:
    pairs = {(rate.source, rate.target) for rate in load_rates(RATES_FILE)}
    homes = {account.details.currency for account in sample_accounts(1, 20)}
    needed = {(merchant.currency, home) for merchant in MERCHANTS for home in homes if merchant.currency != home}
    assert {source for source, _ in needed - pairs} == {"ISK"}


def test_rates_are_of_the_right_size_both_ways() -> None:
    rates = {(rate.source, rate.target): rate.rate for rate in load_rates(RATES_FILE)}
    for (source, target), rate in rates.items():
        if (target, source) in rates:
            assert abs(rate * rates[target, source] - 1) < 1 / 1000


@pytest.mark.parametrize(
    ("rates", "complaint"),
    [
        ("{GBP: {EUR: 0.86}}", "valid string"),
        ('{GBP: {ZZZ: "1.0"}}', "currency code"),
        ('{GBP: {EUR: "0"}}', "above zero"),
        ('{GBP: {GBP: "1"}}', "between two currencies"),
    ],
)
def test_a_bad_rate_is_refused_with_its_place(tmp_path: Path, rates: str, complaint: str) -> None:
    path = tmp_path / "rates.yaml"
    path.write_text(f"publisher: somebody\nday: 2026-01-02\nrates: {rates}\n")
    with pytest.raises(ConfigInvalid, match=complaint):
        load_rates(path)
