"""Hypothesis strategies of valid payments: everything the contracts allow, extremes included."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from postrail.contracts.payment import (
    AccountDetails,
    Authorization,
    Billing,
    Card,
    Enrichment,
    EntryMode,
    Merchant,
    MerchantDetails,
)
from postrail.domain.card import is_card_token
from postrail.domain.ids import format_uuid7
from postrail.domain.iso3166 import COUNTRY_CODES
from postrail.domain.iso4217 import CURRENCY_CODES
from postrail.domain.money import AMOUNT_MINOR_MAX, Rounding

_DIGITS = "0123456789"
_ALPHANUMERIC = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

currencies = st.sampled_from(sorted(CURRENCY_CODES))
countries = st.sampled_from(sorted(COUNTRY_CODES))
amounts_minor = st.integers(1, AMOUNT_MINOR_MAX)
instants = st.datetimes(datetime(2020, 1, 1), datetime(2090, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
payment_ids = st.builds(
    format_uuid7, st.just("pay"), st.integers(1_600_000_000_000, 4_000_000_000_000), st.integers(0, 2**80 - 1)
)
year_months = st.dates(datetime(2020, 1, 1).date(), datetime(2090, 12, 31).date()).map(  # noqa: DTZ001
    lambda day: f"{day:%Y-%m}"
)
decimal_texts = st.one_of(
    st.integers(1, 10**12 - 1).map(str),
    st.builds(
        lambda whole, part: f"{whole}.{part}",
        st.integers(0, 999_999),
        st.from_regex(r"[0-9]{0,11}[1-9]", fullmatch=True),
    ),
)
day_texts = st.dates(datetime(2020, 1, 1).date(), datetime(2090, 12, 31).date()).map(str)  # noqa: DTZ001


def digits(least: int, most: int) -> st.SearchStrategy[str]:
    """Texts of `least` to `most` decimal digits."""
    return st.text(_DIGITS, min_size=least, max_size=most)


def texts(most: int) -> st.SearchStrategy[str]:
    """Any text that a contract takes: control characters, emoji and right-to-left letters included."""
    return st.text(min_size=1, max_size=most)


@st.composite
def card_tokens(draw: st.DrawFn) -> str:
    """A token of 13 to 19 digits that fails Luhn: where the digits pass, the last one is moved by one."""
    token = draw(digits(13, 19))
    return token if is_card_token(token) else token[:-1] + _DIGITS[(int(token[-1]) + 1) % 10]


cards = st.builds(
    Card,
    token=card_tokens(),
    expiry=year_months,
    sequence_number=st.none() | digits(2, 3),
    issuer_country=st.none() | countries,
)
merchants = st.builds(
    Merchant,
    acceptor_id=texts(15),
    name=texts(60),
    city=st.none() | texts(35),
    country=countries,
    mcc=digits(4, 4),
)
authorizations = st.builds(
    Authorization,
    payment_id=payment_ids,
    idempotency_key=st.none() | st.text(_ALPHANUMERIC + "._:-", min_size=8, max_size=64),
    message_type=st.sampled_from(["1100", "1101", "1120", "1121", "1140", "1200", "1220"]),
    transaction_type=st.sampled_from(["00", "01", "09", "20"]),
    acquirer_id=digits(1, 11),
    stan=digits(6, 6),
    rrn=st.text(_ALPHANUMERIC + " ", min_size=12, max_size=12),
    terminal_id=st.text(_ALPHANUMERIC, min_size=1, max_size=8),
    transmission_at=instants,
    authorized_at=instants,
    card=cards,
    amount_minor=amounts_minor,
    currency=currencies,
    action_code=st.sampled_from(["000", "001", "002", "003", "004", "005", "006", "007"]),
    approval_code=st.text(_ALPHANUMERIC + " ", min_size=6, max_size=6),
    entry_mode=st.sampled_from(EntryMode),
    merchant=merchants,
)
account_details = st.builds(
    AccountDetails,
    account_id=st.from_regex(r"customer:[0-9]{6}:[a-z]{3}", fullmatch=True),
    iban=st.from_regex(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", fullmatch=True),
    sort_code=digits(6, 6),
    branch=texts(140),
    holder_name=texts(140),
    product=st.sampled_from(["debit-standard", "debit-premium", "credit-classic", "savings", "travel_card"]),
    currency=currencies,
    status=st.sampled_from(["open", "frozen", "closed"]),
    country=countries,
)
billings = st.one_of(
    st.builds(Billing, amount_minor=amounts_minor, currency=currencies),
    st.builds(
        Billing,
        amount_minor=amounts_minor,
        currency=currencies,
        rate=decimal_texts,
        rate_date=day_texts,
        rate_source=texts(140),
        rounding=st.sampled_from(Rounding),
    ),
)
enrichments = st.builds(
    Enrichment,
    account=account_details,
    merchant=st.builds(MerchantDetails, name=texts(140), category=texts(140)),
    billing=billings,
    description=texts(140),
)
