"""The issuer's reference data on DynamoDB: items `CARD#<token>` and `RATE#<SRC>#<TGT>`, cached for a while."""

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from postrail.adapters.aws.batches import in_tens, pause_s
from postrail.adapters.aws.clients import retryable
from postrail.contracts.payment import AccountDetails
from postrail.domain.errors import Permanent, ReasonCode, Retryable
from postrail.ports import ExchangeRate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_KEYS_MAX: Final = 100
_ATTEMPTS_MAX: Final = 5
_CACHE_ENTRIES_MAX: Final = 10_000
_ABSENT_SECONDS_MAX: Final = 5.0
"""A card or rate that was not there may be added any moment: that answer is kept for a short time only."""


class ReferenceTable:
    """`ports.ReferenceBook` over the reference table."""

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        *,
        cache_seconds: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._table = table
        self._cache_seconds = cache_seconds
        self._monotonic = monotonic
        self._sleep = sleep
        self._cache: dict[str, tuple[float, Any]] = {}

    def accounts_by_token(self, tokens: Sequence[str]) -> dict[str, AccountDetails]:
        """The accounts of these card tokens; unknown tokens are absent. Raises Retryable.

        Raises Permanent(INVALID_VALUE) when an entry cannot be read.
        """
        found = self._look_up({f"CARD#{token}": token for token in tokens}.keys(), _read_account)
        return {token: found[f"CARD#{token}"] for token in tokens if f"CARD#{token}" in found}

    def rates(self, pairs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ExchangeRate]:
        """The current rates of these (source, target) pairs; unknown pairs are absent. Raises as above."""
        keys = {pair: f"RATE#{pair[0]}#{pair[1]}" for pair in pairs}
        found = self._look_up(dict.fromkeys(keys.values()), _read_rate)
        return {pair: found[key] for pair, key in keys.items() if key in found}

    def _look_up(self, keys: Iterable[str], read: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        now = self._monotonic()
        known: dict[str, Any] = {}
        wanted: list[str] = []
        for key in keys:
            entry = self._cache.get(key)
            if entry is not None and entry[0] > now:
                known[key] = entry[1]
            else:
                wanted.append(key)
        for some in in_tens(wanted, _KEYS_MAX):
            items = self._fetch(some)
            for key in some:
                known[key] = read(items[key]) if key in items else None
                self._remember(key, known[key], now)
        return {key: value for key, value in known.items() if value is not None}

    def _fetch(self, keys: Sequence[str]) -> dict[str, dict[str, Any]]:
        request: Any = {self._table: {"Keys": [{"pk": {"S": key}} for key in keys]}}
        items: dict[str, dict[str, Any]] = {}
        for attempt in range(_ATTEMPTS_MAX):
            if attempt:
                self._sleep(pause_s(attempt))
            with retryable("reading reference data"):
                answer = self._client.batch_get_item(RequestItems=request)
            items.update({item["pk"]["S"]: item for item in answer["Responses"].get(self._table, [])})
            request = answer.get("UnprocessedKeys")
            if not request:
                return items
        msg = f"reading reference data: keys unprocessed after {_ATTEMPTS_MAX} attempts"
        raise Retryable(msg)

    def _remember(self, key: str, value: Any, now: float) -> None:
        lifetime = self._cache_seconds if value is not None else min(self._cache_seconds, _ABSENT_SECONDS_MAX)
        self._cache.pop(key, None)
        if len(self._cache) >= _CACHE_ENTRIES_MAX:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = (now + lifetime, value)


def card_item(token: str, details: AccountDetails) -> dict[str, Any]:
    """The table's item for a card."""
    return {"pk": {"S": f"CARD#{token}"}, "account": {"S": details.model_dump_json()}}


def _read_account(item: dict[str, Any]) -> AccountDetails:
    try:
        return AccountDetails.model_validate_json(item["account"]["S"])
    except (KeyError, ValidationError):
        # The entry names its card: neither key nor content may travel in the error.
        raise Permanent(ReasonCode.INVALID_VALUE, "the reference entry of this card cannot be read") from None


def _read_rate(item: dict[str, Any]) -> ExchangeRate:
    _, source, target = item["pk"]["S"].split("#")
    try:
        return ExchangeRate(
            source=source,
            target=target,
            rate=Decimal(item["rate"].get("S") or item["rate"]["N"]),
            day=date.fromisoformat(item["day"]["S"]),
            publisher=item["publisher"]["S"],
        )
    except (KeyError, ValueError, InvalidOperation):
        detail = f"the reference entry of the rate {source} to {target} cannot be read"
        raise Permanent(ReasonCode.INVALID_VALUE, detail) from None
