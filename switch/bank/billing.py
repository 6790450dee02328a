"""What a payment will cost the account: the amount in its currency, and the fees that the posting will take.

The functions are those of the pipeline itself (enrichment and posting sequence), so that what is held is what is posted
later, unless the rate changes in between: then the posting takes what it must, since the bank owes it.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from postrail.adapters.aws.observability import logger
from postrail.domain.errors import Permanent, Retryable
from postrail.domain.money import Money
from postrail.ports import ExchangeRate, ReferenceBook
from postrail.products import ProductBook
from postrail.stages.enrich import bill_amount
from postrail.stages.sequence_postings import amount_debited

ASK_SECONDS_MAX: Final = 2.0
"""How long payments wait for a rate that was never asked for before."""
_PAIRS_MAX: Final = 40_000

Pair = tuple[str, str]


class Bill(NamedTuple):
    """What is taken from the account, in minor units of its currency: fees included, 0 when money comes in."""

    debited_minor: int
    billed_minor: int


class RateBook:
    """Exchange rates by (source, target), remembered. An old rate serves until a newer one was fetched."""

    def __init__(
        self,
        reference: ReferenceBook | None,
        *,
        refresh_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a `reference` there are no rates."""
        self._reference = reference
        self._refresh_seconds = refresh_seconds
        self._monotonic = monotonic
        self._rates: dict[Pair, ExchangeRate | None] = {}
        self._asked_at: dict[Pair, float] = {}
        self._asking: set[asyncio.Task[None]] = set()

    def find(self, source: str, target: str) -> ExchangeRate | None:
        """The rate, None when there is none; `learn` comes first."""
        return self._rates.get((source, target))

    def is_known(self, source: str, target: str) -> bool:
        """Whether `find` knows: that there is no rate is known too. An old rate begins to be fetched anew."""
        if source == target:
            return True
        asked_at = self._asked_at.get((source, target))
        if asked_at is None:
            return False
        if self._monotonic() - asked_at > self._refresh_seconds and not self._asking:
            task = asyncio.get_running_loop().create_task(self._refresh([(source, target)]))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)
        return True

    async def learn(self, pairs: Iterable[Pair]) -> None:
        """Ask for rates that are not known. Raises Retryable when the reference cannot be asked in time."""
        wanted = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1] and pair not in self._asked_at]
        if wanted:
            await self._ask(wanted)

    async def _refresh(self, pairs: list[Pair]) -> None:
        try:
            await self._ask(pairs)
        except (Retryable, Permanent) as error:
            logger.warning("an exchange rate could not be fetched anew", error_text=str(error))
            # Not again at once: the old rate serves.
            self._asked_at.update(dict.fromkeys(pairs, self._monotonic()))

    async def _ask(self, pairs: list[Pair]) -> None:
        found: dict[Pair, ExchangeRate] = {}
        if self._reference is not None:
            try:
                async with asyncio.timeout(ASK_SECONDS_MAX):
                    found = dict(await asyncio.to_thread(self._reference.rates, pairs))
            except TimeoutError as error:
                raise Retryable("the exchange rates could not be asked in time") from error
        now = self._monotonic()
        for pair in pairs:
            if len(self._rates) < _PAIRS_MAX:
                self._rates[pair] = found.get(pair)
                self._asked_at[pair] = now


class Biller:
    """Bills payments by the product book and the rates."""

    def __init__(self, products: ProductBook, rates: RateBook) -> None:
        self._products = products
        self.rates = rates

    def bill(
        self, amount_minor: int, currency: str, transaction_type: str, *, target: str, product: str
    ) -> Bill | None:
        """The bill in `target`, the account's currency; None when nothing could be posted (no rate, no plan)."""
        rate = None if currency == target else self.rates.find(currency, target)
        billed = bill_amount(Money(amount_minor, currency), target, rate)
        if billed is None:
            return None
        try:
            debited = amount_debited(
                billed,
                transaction_type=transaction_type,
                currency=currency,
                product=product,
                products=self._products,
            )
        except Permanent:
            return None
        return Bill(debited, billed.amount_minor)
