"""What an operator may set of a bank: how it gathers its work, and how long it waits and promises."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class BankPolicy:
    """The defaults suit one process on two cores. Times in the unit of their names; basis points are of an amount."""

    batch_count_max: int = 128
    """Requests that share a transaction at most."""
    batches_at_once: int = 3
    """Transactions on their way to the database, so that the commit of one overlaps the work of the next."""
    linger_ms: float = 2.0
    """How long a request waits for others to share its transaction with, when the bank is not busy."""
    waiting_max: int = 4_000
    """Requests that may wait; what comes beyond is answered 907."""
    wait_seconds_max: float = 8.0
    """A request that has waited longer is answered 907: whoever asked has given up."""
    attempts_max: int = 3
    """How often a batch is tried when the database cuts it short."""
    pin_checks_max: int = 64
    """PINs that are verified at once."""
    pin_tries_max: int = 3
    """Wrong PINs in a row after which a card is refused."""
    hold_days: int = 7
    """How long the money of a purchase is held for its posting."""
    pre_authorisation_days: int = 30
    """How long the money of a pre-authorisation is held for its completion."""
    completion_excess_basis_points: int = 2_000
    """How far a completion may exceed its pre-authorisation."""
    rates_seconds: float = 300.0
    """Age after which an exchange rate is asked for again; the old one serves meanwhile."""
    settle_seconds: float = 1.0
    """How often reversals that wait for a posting are looked at."""
    drain_seconds: float = 10.0
    """How long a stop waits for what was begun."""

    @property
    def hold_for(self) -> timedelta:
        """How long the money of a purchase is held."""
        return timedelta(days=self.hold_days)

    @property
    def pre_authorise_for(self) -> timedelta:
        """How long the money of a pre-authorisation is held."""
        return timedelta(days=self.pre_authorisation_days)
