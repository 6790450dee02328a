"""A day of sample payments, in the order of time: what a scheme's file of one day looks like.

Made for files of a million rows and more: a row takes microseconds, and memory does not grow with their number. All
content follows from the seed, the day, the accounts and the count.
"""

import random
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from postrail.sampling.accounts import SampleAccount, sample_token
from postrail.sampling.malformed import MALFORMED_VARIANTS, spoil
from postrail.sampling.merchants import CASH_MACHINES, MERCHANTS, MINOR_PER_POUND, WATCH_LISTED_IDS, SampleMerchant

HOUR_WEIGHTS: Final = (4, 2, 1, 1, 2, 6, 18, 38, 52, 55, 60, 72, 92, 90, 72, 66, 68, 82, 88, 74, 52, 36, 22, 10)
"""How a day's payments spread over its hours, UTC: lunch and the way home are busiest."""

_ONLINE_MCCS: Final = frozenset({"5651", "5732", "5968", "6051", "7372", "7995"})
_CARD_PRESENT: Final = ("chip", "contactless", "contactless", "contactless", "magnetic_stripe")
_CARD_ABSENT: Final = ("ecommerce", "ecommerce", "credential_on_file", "manual")

# Scenario and share of the payments; what is left is an ordinary purchase.
_SCENARIOS: Final = (
    ("unknown_account", 0.003),
    ("watch_listed", 0.005),
    ("no_issuer_country", 0.03),
    ("large_amount", 0.004),
    ("very_large_amount", 0.001),
    ("cash", 0.05),
    ("refund", 0.03),
)
_BURST_SHARE: Final = 0.01
_PAYMENTS_PER_BURST: Final = 3_000
_HOME_SHARE: Final = 0.88
_KEYED_SHARE: Final = 0.05
_CONFLICT_SHARE: Final = 0.1
_REPEATABLE_MAX: Final = 512
_SAME_IN_EVERY_FORMAT: Final = (0, 1, 2, 5, 6, 8)
"""Ways of being malformed that a flat row can carry too: it has no unknown fields and no types."""


def sample_day(
    seed: int,
    count: int,
    *,
    accounts: Sequence[SampleAccount],
    day: date,
    duplicates: float = 0.05,
    malformed: float = 0.001,
    flat: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield the bodies of `count` authorizations of `day`, in the order of time.

    `duplicates` and `malformed` are shares of `count`; the number of each is the rounded product. A tenth of the
    duplicates carry another amount than their original. A few cards are used so often within an hour that a person
    should look at it. `flat` leaves out what a row of cells cannot carry. Raises ValueError for shares that leave no
    payment, and for no accounts.
    """
    repeats, broken = round(count * duplicates), round(count * malformed)
    if not accounts:
        raise ValueError("sample payments need at least one account")
    if not (0 <= duplicates <= 1 and 0 <= malformed <= 1 and repeats + broken < count):
        raise ValueError("duplicates and malformed are shares between 0 and 1 that leave at least one payment")
    return _Day(seed, count, accounts, day).bodies(repeats, broken, flat=flat)


class _Day:
    def __init__(self, seed: int, count: int, accounts: Sequence[SampleAccount], day: date) -> None:
        self._rng = random.Random(f"day:{seed}:{day.isoformat()}")
        self._count = count
        self._accounts = accounts
        self._midnight = datetime.combine(day, time(), UTC)
        self._mark = f"{seed}-{day:%Y%m%d}"
        self._first_stan = zlib.crc32(self._mark.encode()) % 1_000_000
        self._clock = _Clock(self._midnight)
        self._watched = [each for each in MERCHANTS if each.acceptor_id in WATCH_LISTED_IDS]
        usual = [each for each in MERCHANTS if each.acceptor_id not in WATCH_LISTED_IDS]
        countries = {account.details.country for account in accounts}
        self._home = {country: [each for each in usual if each.country == country] for country in countries}
        self._away = {country: [each for each in usual if each.country != country] for country in countries}

    def bodies(self, repeats: int, broken: int, *, flat: bool) -> Iterator[dict[str, Any]]:
        """All rows."""
        rng = self._rng
        chosen = rng.sample(range(1, self._count), repeats + broken)
        repeat_at, broken_at = set(chosen[:repeats]), set(chosen[repeats:])
        variants = _SAME_IN_EVERY_FORMAT if flat else range(MALFORMED_VARIANTS)
        recent: list[dict[str, Any]] = []
        spoiled = index = 0
        for hour, payments in enumerate(_per_hour(self._count)):
            busy = rng.choices(self._accounts, k=max(1, payments // _PAYMENTS_PER_BURST))
            step_us = 3_600_000_000 / max(1, payments)
            for number in range(payments):
                at_us = hour * 3_600_000_000 + int((number + rng.random()) * step_us)
                if index in repeat_at:
                    yield self._repeat(recent, at_us)
                else:
                    body = self._payment(index, at_us, busy)
                    if index in broken_at:
                        yield spoil(body, variants[spoiled % len(variants)])[0]
                        spoiled += 1
                    else:
                        if len(recent) < _REPEATABLE_MAX:
                            recent.append(body)
                        else:
                            recent[index % _REPEATABLE_MAX] = body
                        yield body
                index += 1

    def _payment_id(self, at_us: int) -> str:
        unix_ms = self._clock.midnight_ms + at_us // 1000
        bits = self._rng.getrandbits(74)
        return f"pay_{unix_ms:012x}7{bits >> 62:03x}{0x8000000000000000 | bits & 0x3FFFFFFFFFFFFFFF:016x}"

    def _repeat(self, recent: list[dict[str, Any]], at_us: int) -> dict[str, Any]:
        """The same acquirer fields under a new payment id, half of them as a repeat message (MTI 1101)."""
        rng = self._rng
        body = dict(recent[int(rng.random() * len(recent))])
        body["payment_id"] = self._payment_id(at_us)
        if rng.random() < 0.5:
            body["message_type"] = "1101"
        if rng.random() < _CONFLICT_SHARE:
            body["amount_minor"] += 1 + int(rng.random() * 500)
        return body

    def _payment(self, index: int, at_us: int, busy: Sequence[SampleAccount]) -> dict[str, Any]:
        rng = self._rng
        draw = rng.random
        scenario = _pick_scenario(draw())
        drawn_from = busy if draw() < _BURST_SHARE else self._accounts
        account = drawn_from[int(draw() * len(drawn_from))]
        merchant = self._pick_merchant(scenario, account)
        stan = (self._first_stan + index) % 1_000_000
        second, instant, julian_hour = self._clock.read(at_us)
        modes = _CARD_ABSENT if merchant.mcc in _ONLINE_MCCS else _CARD_PRESENT
        body: dict[str, Any] = {
            "payment_id": self._payment_id(at_us),
            "message_type": "1100",
            "transaction_type": "01" if scenario == "cash" else "20" if scenario == "refund" else "00",
            "acquirer_id": str(400_100 + index // 1_000_000),
            "stan": f"{stan:06d}",
            "rrn": f"{julian_hour}{stan:06d}",
            "terminal_id": _TERMINALS[merchant.acceptor_id],
            "transmission_at": second,
            "authorized_at": instant,
            "card": self._card(account, scenario, index),
            "amount_minor": _amount_minor(draw(), merchant, scenario),
            "currency": merchant.currency,
            "action_code": "000",
            "approval_code": f"{int(draw() * 1_000_000):06d}",
            "entry_mode": modes[int(draw() * len(modes))],
            "merchant": _MERCHANT_BODIES[merchant.acceptor_id],
        }
        if draw() < _KEYED_SHARE:
            body["idempotency_key"] = f"{self._mark}:{index:08d}"
        return body

    def _pick_merchant(self, scenario: str, account: SampleAccount) -> SampleMerchant:
        draw = self._rng.random
        choice: Sequence[SampleMerchant]
        if scenario == "cash":
            choice = CASH_MACHINES
        elif scenario == "watch_listed":
            choice = self._watched
        else:
            choice = (self._home if draw() < _HOME_SHARE else self._away)[account.details.country]
        return choice[int(draw() * len(choice))]

    def _card(self, account: SampleAccount, scenario: str, index: int) -> dict[str, Any]:
        token = account.card_token
        if scenario == "unknown_account":
            # Index digits from the far end of the range, where no sample account lies.
            token = sample_token(self._rng, 9_000_000 + index % 1_000_000)
        card: dict[str, Any] = {"token": token, "expiry": account.card_expiry, "sequence_number": "01"}
        if scenario != "no_issuer_country":
            card["issuer_country"] = account.issuer_country
        return card


class _Clock:
    """Texts of the instants of a day; rows come in the order of time, so a second's text is made once."""

    def __init__(self, midnight: datetime) -> None:
        self._midnight = midnight
        self.midnight_ms = int(midnight.timestamp() * 1000)
        self._second = -1
        self._texts = ("", "")

    def read(self, at_us: int) -> tuple[str, str, str]:
        """The second and the instant as RFC 3339, and year digit, day of the year and hour as DE 37 begins."""
        second, micros = divmod(at_us, 1_000_000)
        if second != self._second:
            moment = self._midnight + timedelta(seconds=second)
            self._second = second
            self._texts = (f"{moment:%Y-%m-%dT%H:%M:%S}", f"{moment:%y%j%H}"[1:])
        text, julian_hour = self._texts
        return f"{text}.000000Z", f"{text}.{micros:06d}Z", julian_hour


def _per_hour(count: int) -> list[int]:
    """`count` payments spread over the hours; the rounding is carried from hour to hour."""
    total, given, weight = sum(HOUR_WEIGHTS), 0, 0
    counts = []
    for each in HOUR_WEIGHTS:
        weight += each
        until = count * weight // total
        counts.append(until - given)
        given = until
    return counts


def _pick_scenario(draw: float) -> str:
    for scenario, share in _SCENARIOS:
        if draw < share:
            return scenario
        draw -= share
    return "ordinary"


def _amount_minor(draw: float, merchant: SampleMerchant, scenario: str) -> int:
    """An amount in minor units of the merchant's currency, drawn in pence and scaled by a round figure."""
    if scenario == "large_amount":
        pence = 600_000 + int(draw * 900_000)
    elif scenario == "very_large_amount":
        pence = 2_500_000 + int(draw * 3_500_000)
    elif scenario == "cash":
        steps = (merchant.pounds_to - merchant.pounds_from) // 10 + 1
        pence = (merchant.pounds_from + int(draw * steps) * 10) * 100
    else:
        # Most people spend near the lower end.
        pence = merchant.pounds_from * 100 + int(draw * draw * (merchant.pounds_to - merchant.pounds_from) * 100)
    return max(1, pence * MINOR_PER_POUND[merchant.currency] // 100)


_TERMINALS: Final = {
    each.acceptor_id: f"T{zlib.crc32(each.acceptor_id.encode()) % 10_000_000:07d}"
    for each in (*MERCHANTS, *CASH_MACHINES)
}
_MERCHANT_BODIES: Final[dict[str, dict[str, Any]]] = {
    each.acceptor_id: {
        "acceptor_id": each.acceptor_id,
        "name": each.name,
        "city": each.city,
        "country": each.country,
        "mcc": each.mcc,
    }
    for each in (*MERCHANTS, *CASH_MACHINES)
}
