"""Sample authorizations: ordinary payments, and everything that makes a payment interesting.

The seed decides the content (cards, merchants, amounts, scenarios, which inputs are repeats). The run decides what
must differ from run to run: payment ids, STANs, retrieval references and times. So a second run with the same seed
is a second day with the same customers, and not one big duplicate.
"""

import copy
import random
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from postrail.domain.ids import format_uuid7
from postrail.domain.iso4217 import currency_by_code
from postrail.sampling.accounts import SampleAccount, sample_token
from postrail.sampling.malformed import spoil
from postrail.sampling.merchants import CASH_MACHINES, MERCHANTS, MINOR_PER_POUND, WATCH_LISTED_IDS, SampleMerchant

Kind = Literal["payment", "duplicate", "conflict", "malformed"]

PAYMENT_INTERVAL_MS: Final = 5
"""Sample payments were authorized this far apart, the last one just before the run began."""
CONFLICT_SHARE_PERCENT: Final = 10
"""Of the inputs that repeat a payment, this many carry another amount."""
_REPEATABLE_MAX: Final = 64
"""A repeat follows within this many payments of the original."""

# Scenario and weight in a thousand; what is left is an ordinary purchase.
_SCENARIOS: Final = (
    ("unknown_account", 20),
    ("watch_listed", 20),
    ("no_issuer_country", 30),
    ("large_amount", 15),
    ("very_large_amount", 5),
    ("cash", 50),
    ("refund", 40),
    ("busy_card", 30),
)
_CARD_PRESENT: Final = ("chip", "contactless", "contactless", "contactless", "magnetic_stripe")
_CARD_ABSENT: Final = ("ecommerce", "ecommerce", "credential_on_file", "manual")
_ONLINE_MCCS: Final = frozenset({"5651", "5732", "5968", "6051", "7372", "7995"})
_KEYED_PERCENT: Final = 5
_HOME_PERCENT: Final = 80


@dataclass(frozen=True, slots=True)
class SampleInput:
    """One input to the system. `authorization` is the JSON body; a malformed one may be wrong in any way.

    `scenario` says why the input was made (for a malformed one: the reason code it must end with).
    """

    payment_id: str
    kind: Kind
    authorization: dict[str, Any]
    scenario: str


def sample_inputs(
    seed: int,
    count: int,
    *,
    accounts: Sequence[SampleAccount],
    duplicates: float = 0.1,
    malformed: float = 0.0,
    started_at: datetime,
    run_id: str,
) -> Iterator[SampleInput]:
    """Yield `count` inputs, each with a payment id of its own.

    `duplicates` and `malformed` are shares of `count` between 0 and 1; the number of each is the rounded product.
    The first input is always a payment, because a repeat needs something to repeat. Raises ValueError for shares
    that leave no payment, and for no accounts.
    """
    repeats, broken = round(count * duplicates), round(count * malformed)
    if not accounts:
        msg = "sample inputs need at least one account"
        raise ValueError(msg)
    if not (0 <= duplicates <= 1 and 0 <= malformed <= 1 and (repeats + broken < count or count == 0)):
        msg = "duplicates and malformed are shares between 0 and 1 that leave at least one payment"
        raise ValueError(msg)
    return _Run(seed, count, accounts, started_at.astimezone(UTC), run_id).inputs(repeats, broken)


class _Run:
    """The making of one run: a random source for content, and another for what differs from run to run."""

    def __init__(
        self, seed: int, count: int, accounts: Sequence[SampleAccount], started_at: datetime, run_id: str
    ) -> None:
        self._content = random.Random(f"content:{seed}")
        self._identity = random.Random(f"identity:{seed}:{run_id}")
        self._count = count
        self._accounts = accounts
        self._started_at = started_at
        self._run_id = run_id
        self._first_stan = zlib.crc32(run_id.encode()) % 1_000_000

    def inputs(self, repeats: int, broken: int) -> Iterator[SampleInput]:
        """All inputs of the run, in order."""
        chosen = self._content.sample(range(1, self._count), repeats + broken) if repeats + broken else []
        repeat_at, broken_at = chosen[:repeats], set(chosen[repeats:])
        conflict_at = set(repeat_at[: round(repeats * CONFLICT_SHARE_PERCENT / 100)])
        duplicate_at = set(repeat_at) - conflict_at
        recent: deque[SampleInput] = deque(maxlen=_REPEATABLE_MAX)
        spoiled = 0
        for index in range(self._count):
            if index in duplicate_at:
                yield self._repeat(index, self._content.choice(recent), "duplicate")
            elif index in conflict_at:
                yield self._repeat(index, self._content.choice(recent), "conflict")
            elif index in broken_at:
                payment = self._payment(index)
                body, reason = spoil(payment.authorization, spoiled)
                spoiled += 1
                yield SampleInput(payment.payment_id, "malformed", body, reason)
            else:
                payment = self._payment(index)
                recent.append(payment)
                yield payment

    def _authorized_at(self, index: int) -> datetime:
        return self._started_at - timedelta(milliseconds=(self._count - index) * PAYMENT_INTERVAL_MS)

    def _payment_id(self, index: int) -> str:
        unix_ms = int(self._authorized_at(index).timestamp() * 1000)
        return format_uuid7("pay", unix_ms, self._identity.getrandbits(80))

    def _repeat(self, index: int, original: SampleInput, kind: Literal["duplicate", "conflict"]) -> SampleInput:
        """The same acquirer fields under a new payment id: every other time as a repeat message (MTI 1101)."""
        body = copy.deepcopy(original.authorization)
        body["payment_id"] = self._payment_id(index)
        if self._content.random() < 0.5:
            body["message_type"] = "1101"
        if kind == "conflict":
            body["amount_minor"] += self._content.randrange(1, 500)
        return SampleInput(body["payment_id"], kind, body, original.scenario)

    def _payment(self, index: int) -> SampleInput:
        rng = self._content
        scenario = _pick_scenario(rng)
        account = self._accounts[0] if scenario == "busy_card" else rng.choice(self._accounts)
        merchant = _pick_merchant(rng, scenario, account)
        stan = (self._first_stan + index) % 1_000_000
        authorized_at = self._authorized_at(index)
        body: dict[str, Any] = {
            "payment_id": self._payment_id(index),
            "message_type": "1100",
            "transaction_type": {"cash": "01", "refund": "20"}.get(scenario, "00"),
            "acquirer_id": f"{400100 + index // 1_000_000:06d}",
            "stan": f"{stan:06d}",
            "rrn": f"{authorized_at:%y%j%H}"[1:] + f"{stan:06d}",
            "terminal_id": f"T{zlib.crc32(merchant.acceptor_id.encode()) % 10_000_000:07d}",
            "transmission_at": _instant(authorized_at.replace(microsecond=0)),
            "authorized_at": _instant(authorized_at),
            "card": _card(rng, account, scenario, index),
            "amount_minor": _amount_minor(rng, merchant, scenario),
            "currency": merchant.currency,
            "action_code": "000",
            "approval_code": f"{rng.randrange(1_000_000):06d}",
            "entry_mode": rng.choice(_CARD_ABSENT if merchant.mcc in _ONLINE_MCCS else _CARD_PRESENT),
            "merchant": {
                "acceptor_id": merchant.acceptor_id,
                "name": merchant.name,
                "city": merchant.city,
                "country": merchant.country,
                "mcc": merchant.mcc,
            },
        }
        if rng.randrange(100) < _KEYED_PERCENT:
            body["idempotency_key"] = f"{self._run_id}:{index:07d}"[-64:]
        return SampleInput(body["payment_id"], "payment", body, scenario)


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _pick_scenario(rng: random.Random) -> str:
    draw = rng.randrange(1000)
    for scenario, weight in _SCENARIOS:
        if draw < weight:
            return scenario
        draw -= weight
    return "ordinary"


def _pick_merchant(rng: random.Random, scenario: str, account: SampleAccount) -> SampleMerchant:
    if scenario == "cash":
        return rng.choice(CASH_MACHINES)
    if scenario == "watch_listed":
        return rng.choice([merchant for merchant in MERCHANTS if merchant.acceptor_id in WATCH_LISTED_IDS])
    at_home = rng.randrange(100) < _HOME_PERCENT
    return rng.choice(
        [
            merchant
            for merchant in MERCHANTS
            if merchant.acceptor_id not in WATCH_LISTED_IDS and (merchant.country == account.details.country) is at_home
        ]
    )


def _card(rng: random.Random, account: SampleAccount, scenario: str, index: int) -> dict[str, Any]:
    token = account.card_token
    if scenario == "unknown_account":
        # Index digits from the far end of the range, where no sample account lies.
        token = sample_token(rng, 9_000_000 + index % 1_000_000)
    card: dict[str, Any] = {"token": token, "expiry": account.card_expiry, "sequence_number": "01"}
    if scenario != "no_issuer_country":
        card["issuer_country"] = account.issuer_country
    return card


def _amount_minor(rng: random.Random, merchant: SampleMerchant, scenario: str) -> int:
    """An amount in minor units of the merchant's currency, drawn in pence and scaled by a round figure."""
    if scenario == "large_amount":
        pence = rng.randrange(600_000, 1_500_000)
    elif scenario == "very_large_amount":
        pence = rng.randrange(2_500_000, 6_000_000)
    elif scenario == "cash":
        pence = rng.randrange(merchant.pounds_from, merchant.pounds_to + 1, 10) * 100
    else:
        pence = rng.randrange(merchant.pounds_from * 100, merchant.pounds_to * 100 + 1)
    minor = pence * MINOR_PER_POUND[merchant.currency] // 100
    if scenario == "cash" and currency_by_code(merchant.currency).exponent == 0:
        minor = minor // 1000 * 1000
    return max(minor, 1)
