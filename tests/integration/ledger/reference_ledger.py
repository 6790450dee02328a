"""The ledger's rules once more, without a database and without haste: what tests on PostgreSQL are judged by."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from postrail.domain.errors import ReasonCode

BIGINT = range(-(2**63), 2**63)
Legs = tuple[tuple[str, int], ...]
"""Account and signed amount of each leg, credit positive."""


@dataclass
class Account:
    """An account and what it may: `floor` is the least that may be available, None for no limit."""

    currency: str
    hot: bool = False
    status: str = "open"
    floor: int | None = None
    total: int = 0


@dataclass
class RefHold:
    """A hold; while it is active it holds what it promises and was not captured."""

    account: str
    kind: str
    amount: int
    tolerance: int
    expires: int
    captured: int = 0
    status: str = "active"

    @property
    def remaining(self) -> int:
        return self.amount - self.captured if self.status == "active" else 0


@dataclass(frozen=True)
class Order:
    """A transaction to be posted; `hold` is what it captures."""

    transaction: str
    key: str
    legs: Legs
    currency: str = "GBP"
    hold: str | None = None
    final: bool = False
    owed: bool = False


@dataclass
class ReferenceLedger:
    """One simple dictionary of everything."""

    accounts: dict[str, Account]
    posted: dict[str, Order] = field(default_factory=dict)
    """By payment key."""
    reversals: dict[str, str] = field(default_factory=dict)
    """Original transaction to its reversal."""
    holds: dict[str, RefHold] = field(default_factory=dict)
    changes: dict[str, tuple[object, ...]] = field(default_factory=dict)
    """Content of each change, by its key."""

    # --- balances ---

    def held(self, name: str, *, kind: str | None = None) -> int:
        """What active holds hold of an account; of one kind, if one is given."""
        return sum(h.remaining for h in self.holds.values() if h.account == name and kind in {None, h.kind})

    def standing(self, name: str) -> tuple[int, int, int, int]:
        """Total, held, locked, available."""
        total, held = self.accounts[name].total, self.held(name)
        return total, held, self.held(name, kind="dispute"), total - held

    def _within_limit(self, name: str) -> bool:
        account = self.accounts[name]
        return account.floor is None or account.total - self.held(name) >= account.floor

    def overdrawn(self, name: str) -> int:
        """How far what is owed took an account below its limit."""
        floor = self.accounts[name].floor
        return 0 if floor is None else max(0, floor - self.standing(name)[3])

    # --- posting ---

    def post(self, orders: Sequence[Order]) -> list[ReasonCode | None]:
        """Orders that share a key come one after the other, the first of each in one batch, then the second of each."""
        seen: dict[str, int] = {}
        waves: list[list[int]] = []
        for place, order in enumerate(orders):
            seen[order.key] = seen.get(order.key, 0) + 1
            waves += [[] for _ in range(seen[order.key] - len(waves))]
            waves[seen[order.key] - 1].append(place)
        results: dict[int, ReasonCode | None] = {}
        for wave in waves:
            results.update(zip(wave, self._post_batch([orders[place] for place in wave]), strict=True))
        return [results[place] for place in range(len(orders))]

    def _post_batch(self, orders: Sequence[Order]) -> list[ReasonCode | None]:
        """A batch that fits as it is, is posted as it is; otherwise its orders are judged one after the other."""
        if not self._fits_as_a_whole(orders):
            return [self._post_one(order) for order in orders]
        return [_own_refusal(order) or self._key_refusal(order) or self._take(order) for order in orders]

    def _fits_as_a_whole(self, orders: Sequence[Order]) -> bool:
        sound = [order for order in orders if _own_refusal(order) is None]
        fresh = [order for order in sound if self._key_refusal(order) is None]
        unknown = any(name not in self.accounts for order in sound for name, _ in order.legs)
        if unknown or any(order.hold for order in orders) or any(self._account_refusal(order) for order in fresh):
            return False
        moved: dict[str, int] = {}
        for order in fresh:
            for name, amount in order.legs:
                moved[name] = moved.get(name, 0) + amount
        for name, amount in moved.items():
            account = self.accounts[name]
            after = account.total + amount
            available = after - self.held(name)
            too_low = account.floor is not None and available < account.floor and amount < 0
            if after not in BIGINT or too_low:
                return False
        return True

    def _post_one(self, order: Order) -> ReasonCode | None:
        refusal = _own_refusal(order) or self._key_refusal(order) or self._account_refusal(order)
        if refusal is not None:
            return refusal
        after = {name: self.accounts[name].total for name, _ in order.legs}
        for name, amount in order.legs:
            after[name] += amount
        if any(total not in BIGINT for total in after.values()):
            return ReasonCode.AMOUNT_OVERFLOW
        if order.hold is not None:
            refusal = self._hold_refusal(order)
            if refusal is not None:
                return refusal
        held = {name: self.held(name) for name in after}
        if order.hold is not None:
            hold, captured = self.holds[order.hold], self._captures(order)
            held[hold.account] -= hold.remaining if order.final else min(hold.remaining, captured)
        for name, total in after.items():
            floor, available = self.accounts[name].floor, total - held[name]
            if floor is None or available >= floor or (order.owed and floor - available in BIGINT):
                continue
            if available < self.standing(name)[3]:
                return ReasonCode.INSUFFICIENT_FUNDS
        return self._take(order)

    def _take(self, order: Order) -> None:
        for name, amount in order.legs:
            self.accounts[name].total += amount
        self.posted[order.key] = order
        if order.hold is not None:
            hold, captured = self.holds[order.hold], self._captures(order)
            if hold.status == "expired":
                return
            ends = order.final or captured >= hold.remaining
            hold.amount += max(0, captured - (hold.amount + hold.tolerance - hold.captured))
            hold.captured += captured
            if ends:
                hold.status = "captured"

    def _key_refusal(self, order: Order) -> ReasonCode | None:
        first = self.posted.get(order.key)
        if first is None:
            return None
        same = (first.legs, first.currency) == (order.legs, order.currency)
        return ReasonCode.ALREADY_POSTED if same else ReasonCode.POSTING_CONFLICT

    def _account_refusal(self, order: Order) -> ReasonCode | None:
        faults = []
        for name, amount in order.legs:
            account = self.accounts.get(name)
            if account is None:
                faults.append((1, ReasonCode.ACCOUNT_NOT_FOUND))
            elif account.currency != order.currency:
                faults.append((2, ReasonCode.CURRENCY_MISMATCH))
            elif account.status == "closed" or (account.status == "frozen" and amount < 0):
                faults.append((3, ReasonCode.ACCOUNT_NOT_OPEN))
        return min(faults)[1] if faults else None

    def _captures(self, order: Order) -> int:
        hold = self.holds[order.hold or ""]
        return -sum(amount for name, amount in order.legs if name == hold.account)

    def _hold_refusal(self, order: Order) -> ReasonCode | None:
        hold = self.holds.get(order.hold or "")
        if hold is None or self._captures(order) <= 0:
            return ReasonCode.HOLD_NOT_FOUND
        if order.owed and hold.status in {"expired", "released"}:
            return None if hold.status == "expired" else ReasonCode.HOLD_RELEASED
        if hold.status != "active":
            return ReasonCode.HOLD_NOT_ACTIVE
        if order.owed:
            return None if hold.captured + self._captures(order) in BIGINT else ReasonCode.AMOUNT_OVERFLOW
        if self._captures(order) > hold.amount + hold.tolerance - hold.captured:
            return ReasonCode.CAPTURE_EXCEEDS_HOLD
        return None

    def reverse(self, requests: Sequence[tuple[str, str]], *, owed: bool = False) -> list[ReasonCode | None]:
        """Take back (original, new id), one after the other. No two name the same original."""
        by_id = {order.transaction: order for order in self.posted.values()}
        results: dict[int, ReasonCode | None] = {}
        orders: dict[int, Order] = {}
        for place, (original, new) in enumerate(requests):
            order = by_id.get(original)
            if order is None or order.transaction in self.reversals.values():
                results[place] = ReasonCode.TRANSACTION_NOT_FOUND if order is None else ReasonCode.NOT_REVERSIBLE
                continue
            mirrored = tuple((name, -amount) for name, amount in order.legs)
            orders[place] = Order(new, f"reversal:{order.key}", mirrored, order.currency, owed=owed)
        for (place, order), reason in zip(orders.items(), self.post(list(orders.values())), strict=True):
            results[place] = reason
            if reason is None:
                self.reversals[requests[place][0]] = order.transaction
        return [results[place] for place in range(len(requests))]

    # --- holds ---

    def place(self, key: str, hold_id: str, hold: RefHold, currency: str) -> ReasonCode | None:
        """Hold money of an account. None for done, and for done before."""
        content = ("place", hold.account, hold.kind, hold.amount, hold.tolerance)
        if key in self.changes:
            return None if self.changes[key] == content else ReasonCode.HOLD_CONFLICT
        account = self.accounts.get(hold.account)
        reason = None
        if account is None:
            reason = ReasonCode.ACCOUNT_NOT_FOUND
        elif account.hot:
            reason = ReasonCode.HOT_ACCOUNT
        elif account.currency != currency:
            reason = ReasonCode.CURRENCY_MISMATCH
        elif account.status != "open":
            reason = ReasonCode.ACCOUNT_NOT_OPEN
        if reason is None:
            self.holds[hold_id] = hold
            reason = self._too_much(hold)
            if reason is None:
                self.changes[key] = content
            else:
                del self.holds[hold_id]
        return reason

    def extend(self, key: str, hold_id: str, add: int, expires: int | None) -> ReasonCode | None:
        """Hold more, or longer."""
        content = ("extend", hold_id, add, expires)
        known = self._known(key, content, hold_id)
        if known is not None:
            return known[0]
        hold = self.holds[hold_id]
        if add and self.accounts[hold.account].status != "open":
            return ReasonCode.ACCOUNT_NOT_OPEN
        hold.amount += add
        reason = self._too_much(hold) if add else None
        if reason is not None:
            hold.amount -= add
            return reason
        hold.expires = hold.expires if expires is None else expires
        self.changes[key] = content
        return None

    def release(self, key: str, hold_id: str, amount: int | None) -> ReasonCode | None:
        """Let go of a part or of all."""
        content = ("release", hold_id, amount)
        known = self._known(key, content, hold_id)
        if known is not None:
            return known[0]
        hold = self.holds[hold_id]
        if amount is not None and amount > hold.remaining:
            return ReasonCode.RELEASE_EXCEEDS_HOLD
        if amount is None or amount == hold.remaining:
            hold.status = "released"
        else:
            hold.amount -= amount
        self.changes[key] = content
        return None

    def expire(self, now: int, limit: int) -> list[str]:
        """End what is due, longest first."""
        due = sorted((h.expires, hold_id) for hold_id, h in self.holds.items() if h.status == "active")
        ended = [hold_id for expires, hold_id in due if expires <= now][:limit]
        for hold_id in ended:
            self.holds[hold_id].status = "expired"
        return ended

    def _known(self, key: str, content: tuple[object, ...], hold_id: str) -> tuple[ReasonCode | None] | None:
        if key in self.changes:
            return (None if self.changes[key] == content else ReasonCode.HOLD_CONFLICT,)
        if hold_id not in self.holds:
            return (ReasonCode.HOLD_NOT_FOUND,)
        if self.holds[hold_id].status != "active":
            return (ReasonCode.HOLD_NOT_ACTIVE,)
        return None

    def _too_much(self, hold: RefHold) -> ReasonCode | None:
        if self.held(hold.account) not in BIGINT or hold.amount not in BIGINT:
            return ReasonCode.AMOUNT_OVERFLOW
        return None if self._within_limit(hold.account) else ReasonCode.INSUFFICIENT_FUNDS

    # --- accounts ---

    def set_limit(self, name: str, limit: int | None) -> ReasonCode | None:
        """How far an account may be overdrawn from now on."""
        account = self.accounts[name]
        if account.hot and limit is not None:
            return ReasonCode.HOT_ACCOUNT
        overdrawn = self.overdrawn(name)
        before, account.floor = account.floor, None if limit is None else -limit
        if self.overdrawn(name) <= overdrawn:
            return None
        account.floor = before
        return ReasonCode.INSUFFICIENT_FUNDS


def _own_refusal(order: Order) -> ReasonCode | None:
    return ReasonCode.UNBALANCED if sum(amount for _, amount in order.legs) else None
