"""What enrich and the rules look up, in memory."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from postrail.contracts.payment import AccountDetails
from postrail.domain.instants import hour_of
from postrail.ports import CardUse, ExchangeRate


class MemoryReferenceBook:
    """`ports.ReferenceBook` over two dictionaries."""

    def __init__(
        self, accounts: Mapping[str, AccountDetails] | None = None, rates: Iterable[ExchangeRate] = ()
    ) -> None:
        """`accounts` by card token."""
        self._accounts = dict(accounts or {})
        self._rates = {(rate.source, rate.target): rate for rate in rates}

    def accounts_by_token(self, tokens: Sequence[str]) -> dict[str, AccountDetails]:
        """The accounts of these card tokens; unknown tokens are absent."""
        return {token: self._accounts[token] for token in tokens if token in self._accounts}

    def rates(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ExchangeRate]:
        """The rates of these (source, target) pairs; unknown pairs are absent."""
        return {pair: self._rates[pair] for pair in pairs if pair in self._rates}


class MemoryVelocityBook:
    """`ports.VelocityBook` over sets of payment ids."""

    def __init__(self) -> None:
        self._payments: defaultdict[tuple[str, str], set[str]] = defaultdict(set)

    def observe(self, uses: Sequence[CardUse]) -> list[int]:
        """Record all uses, then count; results align."""
        keys = [(use.card_token, hour_of(use.at)) for use in uses]
        for key, use in zip(keys, uses, strict=True):
            self._payments[key].add(use.payment_id)
        return [len(self._payments[key]) for key in keys]
