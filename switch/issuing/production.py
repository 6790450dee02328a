"""The network produces cards: what is in production becomes ready, and its customer is told, at least once.

A scheduled run also takes up what others had to leave: orders that a network did not hear of, and cards whose month
is over.
"""

from datetime import timedelta
from typing import Final, NamedTuple

from postrail.adapters.postgres.connection import Database
from postrail.ports import Clock
from switch.issuing.accounts import SQL as BANK_SQL
from switch.issuing.card_book import BankCards
from switch.issuing.network_cards import SQL as NETWORK_SQL
from switch.issuing.notices import NOTICES_MAX
from switch.issuing.ports import CardNotice, CustomerNotices

_CARDS_PER_ROUND: Final = 500
_ROUNDS_MAX: Final = 20
_NOTICE_ROUNDS_MAX: Final = 100
_ORDERS_MAX: Final = 200
_ORDER_PATIENCE: Final = timedelta(seconds=10)
"""Younger orders are still in the hands of the request that made them."""


class ProductionRun(NamedTuple):
    """What one run did, in cards."""

    resumed: int
    produced: int
    notified: int
    expired: int


class CardProduction:
    """Finishes cards, on the tables of network and bank: one database, one transaction for both."""

    def __init__(self, database: Database, *, cards: BankCards, notices: CustomerNotices, clock: Clock) -> None:
        self._database = database
        self._cards = cards
        self._notices = notices
        self._clock = clock

    def run(self) -> ProductionRun:
        """One run, bounded in what it takes on. Raises Retryable; what was done before stays done."""
        resumed = self._cards.resume_orders(older_than=_ORDER_PATIENCE, limit=_ORDERS_MAX)
        return ProductionRun(resumed, self.produce(), self.notify(), self.expire())

    def produce(self) -> int:
        """Make the cards that are in production ready, at network and bank; returns how many."""
        produced, after = 0, ""
        for _ in range(_ROUNDS_MAX):
            with self._database.transaction():
                found = self._database.fetch(NETWORK_SQL["find_in_production"], after, _CARDS_PER_ROUND)
                tokens = [row["card_token"] for row in found]
                produced += self._finish(tokens)
            if len(tokens) < _CARDS_PER_ROUND:
                break
            after = tokens[-1]
        return produced

    def notify(self) -> int:
        """Tell the customers of ready cards; returns how many were told now.

        Whoever dies between telling and marking leaves a card that is told of twice, and none that is not.
        """
        notified = 0
        for _ in range(_NOTICE_ROUNDS_MAX):
            with self._database.transaction():
                found = self._database.fetch(NETWORK_SQL["find_unnotified"], NOTICES_MAX)
                if not found:
                    break
                taken = self._notices.publish([CardNotice(**dict(row)) for row in found])
                self._database.execute(NETWORK_SQL["mark_notified"], sorted(taken))
            notified += len(taken)
            if len(taken) < NOTICES_MAX:
                break
        return notified

    def expire(self) -> int:
        """End cards whose last month is over, at bank and network; returns how many of the bank's."""
        month = self._clock.now().strftime("%Y-%m")
        ended = self._database.execute(BANK_SQL["expire"], month, _CARDS_PER_ROUND)
        self._database.execute(NETWORK_SQL["expire"], month, _CARDS_PER_ROUND)
        return int(ended.split()[-1])

    def _finish(self, tokens: list[str]) -> int:
        self._database.execute(BANK_SQL["set_ready"], tokens)
        at_bank = {row["card_token"]: row["status"] for row in self._database.fetch(BANK_SQL["read_statuses"], tokens)}
        # A bank that keeps its book elsewhere has no row here: it hears of the card as its customer does.
        ready = [token for token in tokens if at_bank.get(token, "ready") in {"ready", "active"}]
        dead = [token for token in tokens if at_bank.get(token) in {"blocked", "expired"}]
        # The rest is on its way from ordered to in production, and is ready in the next run.
        self._database.execute(NETWORK_SQL["finish"], ready, dead)
        return len(ready)
