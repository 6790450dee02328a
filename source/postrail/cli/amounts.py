"""What an amount on the command line means."""

from decimal import Decimal, InvalidOperation

from postrail.cli.failures import CommandError
from postrail.domain.iso4217 import currency_by_code

_DIGITS_MAX = 30


def parse_amount(text: str, currency: str) -> int:
    """`25.50` as minor units of a currency: never negative, never more decimals than it has. Raises CommandError."""
    exponent = currency_by_code(currency).exponent
    try:
        minor = Decimal(text).scaleb(exponent) if len(text) <= _DIGITS_MAX else None
    except InvalidOperation:
        minor = None
    if minor is None or not minor.is_finite() or minor < 0 or minor != minor.to_integral_value():
        decimals = f"at most {exponent} decimals" if exponent else "no decimals"
        msg = f"{text!r} is no amount of {currency}: write digits, with {decimals}."
        raise CommandError(msg, exit_code=2)
    return int(minor)
