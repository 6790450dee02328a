"""Product configuration: which movements a payment means for an account of a product, in minor units.

Read from config/products/*.yaml. Percentages are basis points (hundredths of a percent) and integers.
"""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from postrail.config_files import ConfigModel, read_config
from postrail.contracts.base import CurrencyCode
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.money import AMOUNT_MINOR_MAX, Money, Rounding, round_ratio

BASIS_POINTS: Final = 10_000
"""Basis points in one."""

BasisPoints = Annotated[int, Field(ge=0, le=BASIS_POINTS)]
TransactionType = Annotated[str, Field(pattern=r"^[0-9]{2}$")]
FlatMinor = Annotated[int, Field(ge=0, le=AMOUNT_MINOR_MAX)]


class Percentage(ConfigModel):
    """A share of the billed amount and how it is rounded to whole minor units."""

    basis_points: BasisPoints
    rounding: Rounding = Rounding.HALF_UP

    def of(self, amount: Money) -> int:
        """The share of `amount`, in minor units of its currency; rounded once, here."""
        return round_ratio(amount.amount_minor * self.basis_points, BASIS_POINTS, self.rounding)


class Fee(Percentage):
    """A flat fee by account currency, and a share on top."""

    flat_minor: Annotated[dict[CurrencyCode, FlatMinor], Field(max_length=200)]

    def of(self, amount: Money) -> int:
        """The fee for `amount`. Raises Permanent(NO_POSTING_PLAN) for a currency without a flat fee."""
        flat = self.flat_minor.get(amount.currency)
        if flat is None:
            detail = f"no flat fee is configured for {amount.currency}; write 0 for none"
            raise Permanent(ReasonCode.NO_POSTING_PLAN, detail)
        return flat + super().of(amount)


class Product(ConfigModel):
    """What an account's product adds to the principal of a payment. Absent means: none."""

    fx_markup: Percentage | None = Field(default=None, description="charged when the payment was converted")
    cash_fee: Fee | None = Field(default=None, description="charged for cash withdrawals")
    interchange: Percentage | None = Field(default=None, description="earned from the scheme on purchases")


class TransactionTypes(ConfigModel):
    """Which processing codes (DE 3 positions 1-2) are what. A code in no list has no posting plan."""

    purchase: Annotated[tuple[TransactionType, ...], Field(max_length=20)]
    cash: Annotated[tuple[TransactionType, ...], Field(max_length=20)]
    refund: Annotated[tuple[TransactionType, ...], Field(max_length=20)]


class ProductBook(ConfigModel):
    """All products of the issuer."""

    version: Annotated[str, Field(pattern=r"^[0-9]{4}(\.[0-9]{1,3}){1,2}$")]
    transaction_types: TransactionTypes
    products: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{2,31}$")], Product], Field(min_length=1, max_length=200)
    ]

    def product(self, name: str) -> Product:
        """The product of this name. Raises Permanent(NO_POSTING_PLAN)."""
        try:
            return self.products[name]
        except KeyError:
            raise Permanent(ReasonCode.NO_POSTING_PLAN, f"the product {name} is not configured") from None


def load_products(path: Path) -> ProductBook:
    """Read a product file. Raises ConfigInvalid naming the file and the place."""
    return read_config(path, ProductBook)
