"""Adds what the issuer knows and the network does not: account, merchant, billing amount, statement line.

One call to the reference book for all accounts of a batch and one for all exchange rates. A payment that cannot go
on (no account, no rate, an amount that conversion makes impossible) is a `PaymentRejected`, not an exception.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from pydantic import ValidationError

from postrail.contracts.base import trusted
from postrail.contracts.events import PaymentEnriched, PaymentRejected, PaymentStandardised
from postrail.contracts.payment import AccountDetails, Authorization, Billing, Enrichment
from postrail.domain.errors import ReasonCode
from postrail.domain.money import AMOUNT_MINOR_MAX, Conversion, Money, Rounding, conversion, decimal_text
from postrail.iso20022.advice import complete_advice
from postrail.merchants import MerchantDirectory
from postrail.ports import ExchangeRate, ReferenceBook

STAGE: Final = "enrich"
RATE_DECIMALS_MAX: Final = 12
"""Decimals of a stored rate (`DecimalText`). A longer rate is cut to these before it is used, so that the rate
stored beside an amount is the rate that made it."""

_DESCRIPTION_LENGTH_MAX: Final = 140
_PURPOSE_BY_TRANSACTION_TYPE: Final = {"01": "Cash: ", "20": "Refund: "}
_RATE_STEP: Final = Decimal(1).scaleb(-RATE_DECIMALS_MAX)

# The fields of a billing in the order of the contract; those without a value are None.
_UNCONVERTED: Final = dict.fromkeys(Billing.model_fields)

_Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason_code: ReasonCode
    reason: str


@dataclass(frozen=True, slots=True)
class _Quote:
    """An exchange rate that was checked once for the whole batch: `conversion` to count with, the rest to be stored."""

    conversion: Conversion
    text: str
    day: str
    publisher: str


def enrich(
    payments: Sequence[PaymentStandardised],
    *,
    reference: ReferenceBook,
    merchants: MerchantDirectory,
    rounding: Rounding = Rounding.HALF_EVEN,
) -> list[PaymentEnriched | PaymentRejected]:
    """Each payment enriched, or rejected with a reason; results align with `payments`.

    Amounts in the account's currency are converted by the book's current rate and rounded once, by `rounding`; rate,
    its day, its publisher and the rounding are kept beside them. Rejections: UNKNOWN_ACCOUNT, NO_EXCHANGE_RATE, and
    INVALID_AMOUNT when the converted amount is zero or beyond what a payment can carry. Raises what `reference`
    raises (Retryable when it cannot be reached).
    """
    if not payments:
        return []
    tokens = list(dict.fromkeys(payment.authorization.card.token for payment in payments))
    accounts = reference.accounts_by_token(tokens)
    pairs = _pairs_to_convert(payments, accounts)
    quotes = _check_quotes(pairs, reference.rates(pairs)) if pairs else {}
    return [
        _enrich_one(payment, accounts.get(payment.authorization.card.token), quotes, merchants, rounding)
        for payment in payments
    ]


def bill_amount(
    amount: Money, target: str, rate: ExchangeRate | None, rounding: Rounding = Rounding.HALF_EVEN
) -> Money | None:
    """What a payment of `amount` is billed with in the currency `target`, as `enrich` will bill it at the same rate.

    None when there is no usable rate, or the converted amount is none that a payment can carry.
    """
    if amount.currency == target:
        return amount
    quote = _check_quote((amount.currency, target), rate)
    if isinstance(quote, _Refusal):
        return None
    billed_minor = quote.conversion.of(amount.amount_minor, rounding)
    return Money(billed_minor, target) if 0 < billed_minor <= AMOUNT_MINOR_MAX else None


def _pairs_to_convert(payments: Sequence[PaymentStandardised], accounts: Mapping[str, AccountDetails]) -> list[_Pair]:
    pairs: dict[_Pair, None] = {}
    for payment in payments:
        account = accounts.get(payment.authorization.card.token)
        if account is not None and account.currency != payment.authorization.currency:
            pairs[payment.authorization.currency, account.currency] = None
    return list(pairs)


def _check_quotes(pairs: Sequence[_Pair], rates: Mapping[_Pair, ExchangeRate]) -> dict[_Pair, _Quote | _Refusal]:
    """Every pair's quote, or why it has none."""
    return {pair: _check_quote(pair, rates.get(pair)) for pair in pairs}


def _check_quote(pair: _Pair, found: ExchangeRate | None) -> _Quote | _Refusal:
    source, target = pair
    if found is None:
        return _Refusal(ReasonCode.NO_EXCHANGE_RATE, f"no exchange rate from {source} to {target}")
    unusable = _Refusal(ReasonCode.NO_EXCHANGE_RATE, f"the exchange rate from {source} to {target} is not usable")
    rate = found.rate
    if not rate.is_finite() or rate <= 0 or rate.adjusted() >= RATE_DECIMALS_MAX:
        return unusable
    if -int(rate.as_tuple().exponent) > RATE_DECIMALS_MAX:
        rate = rate.quantize(_RATE_STEP)
        if not rate:
            return unusable
    quote = _Quote(
        conversion(source, target, rate), text=f"{rate:f}", day=found.day.isoformat(), publisher=found.publisher
    )
    try:
        # The contract checks the texts here, once for the batch; billings are then built without checking again.
        Billing(amount_minor=1, currency=target, rate=quote.text, rate_date=quote.day, rate_source=quote.publisher)
    except ValidationError:
        return unusable
    return quote


def _enrich_one(
    payment: PaymentStandardised,
    account: AccountDetails | None,
    quotes: Mapping[_Pair, _Quote | _Refusal],
    merchants: MerchantDirectory,
    rounding: Rounding,
) -> PaymentEnriched | PaymentRejected:
    if account is None:
        return _reject(payment, _Refusal(ReasonCode.UNKNOWN_ACCOUNT, "no account belongs to this card token"))
    authorization = payment.authorization
    billing = _bill(authorization, account.currency, quotes, rounding)
    if isinstance(billing, _Refusal):
        return _reject(payment, billing)
    profile = merchants.describe(authorization.merchant)
    # Built without validating again: the parts are validated contracts, the texts were bounded where they were made.
    enrichment = trusted(
        Enrichment,
        {
            "account": account,
            "merchant": profile.details,
            "billing": billing,
            "description": _describe(authorization, profile.label, billing),
        },
    )
    return trusted(
        PaymentEnriched,
        {
            "authorization": authorization,
            "payment_key": payment.payment_key,
            "fingerprint": payment.fingerprint,
            "message": complete_advice(payment.message, authorization, enrichment),
            "enrichment": enrichment,
        },
    )


def _bill(
    authorization: Authorization, target: str, quotes: Mapping[_Pair, _Quote | _Refusal], rounding: Rounding
) -> Billing | _Refusal:
    source = authorization.currency
    if source == target:
        return trusted(Billing, {**_UNCONVERTED, "amount_minor": authorization.amount_minor, "currency": target})
    quote = quotes[source, target]
    if isinstance(quote, _Refusal):
        return quote
    billed_minor = quote.conversion.of(authorization.amount_minor, rounding)
    if not 0 < billed_minor <= AMOUNT_MINOR_MAX:
        size = "less than the smallest amount" if billed_minor <= 0 else "more than a payment can carry"
        amount = Money(authorization.amount_minor, source)
        return _Refusal(ReasonCode.INVALID_AMOUNT, f"{amount} at {quote.text} is {size} in {target}")
    # The amount was checked just above, the quote in _check_quote.
    return trusted(
        Billing,
        {
            "amount_minor": billed_minor,
            "currency": target,
            "rate": quote.text,
            "rate_date": quote.day,
            "rate_source": quote.publisher,
            "rounding": rounding,
        },
    )


def _describe(authorization: Authorization, label: str, billing: Billing) -> str:
    """The statement line: purpose, merchant, place; for a converted payment also the original amount and the rate."""
    tail = ""
    if billing.rate is not None:
        currency = authorization.currency
        tail = f" {decimal_text(authorization.amount_minor, currency)} {currency} @ {billing.rate}"
    head = _PURPOSE_BY_TRANSACTION_TYPE.get(authorization.transaction_type, "") + label
    # The merchant gives way, not the amount.
    return head[: _DESCRIPTION_LENGTH_MAX - len(tail)].rstrip() + tail


def _reject(payment: PaymentStandardised, refusal: _Refusal) -> PaymentRejected:
    return trusted(
        PaymentRejected,
        {
            "authorization": payment.authorization,
            "payment_key": payment.payment_key,
            "stage": STAGE,
            "reason_code": refusal.reason_code,
            "reason": refusal.reason,
            "decision": None,
        },
    )
