"""What an amount on the command line means."""

import re
from decimal import Decimal

from postrail.cli.failures import CommandError
from postrail.domain.iso4217 import currency_by_code

_AMOUNT = re.compile(r"[0-9]{1,14}(?:\.([0-9]+))?", re.ASCII)


def parse_amount(text: str, currency: str) -> int:
    """`25.50` as minor units of a currency: never negative, never more decimals than it has. Raises CommandError."""
    exponent = currency_by_code(currency).exponent
    found = _AMOUNT.fullmatch(text)
    if found is None or len(found.group(1) or "") > exponent:
        decimals = f"at most {exponent} decimals" if exponent else "no decimals"
        msg = f"{text!r} is no amount of {currency}: write digits, with {decimals}."
        raise CommandError(msg, exit_code=2)
    return int(Decimal(text).scaleb(exponent))
