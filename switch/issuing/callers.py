"""Who asks: what an access token says of its bearer, as far as issuing cares."""

from dataclasses import dataclass
from enum import StrEnum

from switch.issuing.refusals import IssuingRefused, Refusal


class Scope(StrEnum):
    """What a token allows. A route asks for one of them; the last two widen what a route gives."""

    ACCOUNT_OPEN = "account:open"
    ACCOUNT_READ = "account:read"
    CARD_ORDER = "card:order"
    CARD_READ = "card:read"
    CARD_BLOCK = "card:block"
    NETWORK_ISSUE = "network:issue"
    CARD_NUMBER = "card:number"
    BANK_OPERATE = "bank:operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a verified token: subject, the bank that it is a customer or a servant of, scopes."""

    subject: str
    bank_id: str
    scopes: frozenset[str]

    def has(self, scope: Scope) -> bool:
        """Whether the token carries this scope."""
        return scope.value in self.scopes

    @property
    def is_operator(self) -> bool:
        """Whether it acts for the bank: for all its customers, and with what is the bank's alone to say."""
        return self.has(Scope.BANK_OPERATE)

    @property
    def sees_only(self) -> str | None:
        """The subject whose accounts it sees; None for those of the whole bank."""
        return None if self.is_operator else self.subject

    def require(self, scope: Scope) -> None:
        """Raise IssuingRefused(SCOPE_MISSING) when the token does not carry this scope."""
        if not self.has(scope):
            raise IssuingRefused(Refusal.SCOPE_MISSING, f"the access token does not carry the scope {scope.value}")
