"""The routes: method, path, scope, contracts. Everything that must know them reads this table."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from postrail.contracts.base import Contract
from switch.issuing import contracts as api
from switch.issuing.callers import Scope
from switch.issuing.refusals import Refusal

RequestT = TypeVar("RequestT", bound=Contract)
AnswerT = TypeVar("AnswerT", bound=Contract)


class Api(StrEnum):
    """Who serves a route."""

    BANK = "bank"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Route(Generic[RequestT, AnswerT]):
    """One route.

    `request` is read from the body of a POST, from the query of a GET. A route that changes something is a POST and
    wants an `Idempotency-Key`. `refusals` are the reasons beside those that every route may give.
    """

    api: Api
    method: str
    path: str
    scope: Scope
    summary: str
    request: type[RequestT]
    answer: type[AnswerT]
    status: int = 200
    refusals: tuple[Refusal, ...] = ()

    @property
    def operation(self) -> str:
        """Its name: `create_account` of /create-account."""
        return self.path.removeprefix("/").replace("-", "_")

    @property
    def key(self) -> str:
        """As API Gateway names it: `POST /create-account`."""
        return f"{self.method} {self.path}"

    @property
    def changes(self) -> bool:
        """Whether it changes something, and so wants an idempotency key."""
        return self.method == "POST"


CREATE_ACCOUNT: Final = Route(
    Api.BANK,
    "POST",
    "/create-account",
    Scope.ACCOUNT_OPEN,
    "Open an account.",
    api.CreateAccount,
    api.AccountCreated,
    201,
    (Refusal.OPERATOR_ONLY, Refusal.UNKNOWN_PRODUCT, Refusal.TOO_MANY_ACCOUNTS),
)
GET_BALANCE: Final = Route(
    Api.BANK,
    "GET",
    "/get-balance",
    Scope.ACCOUNT_READ,
    "Read the balance of an account.",
    api.BalanceQuery,
    api.BalanceView,
    200,
    (Refusal.ACCOUNT_NOT_FOUND,),
)
ORDER_CARD: Final = Route(
    Api.BANK,
    "POST",
    "/order-card",
    Scope.CARD_ORDER,
    "Order a card on an account.",
    api.OrderCard,
    api.CardOrdered,
    201,
    (
        Refusal.ACCOUNT_NOT_FOUND,
        Refusal.ACCOUNT_NOT_OPEN,
        Refusal.TOO_MANY_CARDS,
        Refusal.UNKNOWN_NETWORK,
        Refusal.SERVICE_NOT_OFFERED,
    ),
)
GET_CARD: Final = Route(
    Api.BANK,
    "GET",
    "/get-card",
    Scope.CARD_READ,
    "Read a card.",
    api.CardQuery,
    api.CardView,
    200,
    (Refusal.CARD_NOT_FOUND,),
)
LIST_CARDS: Final = Route(
    Api.BANK,
    "GET",
    "/list-cards",
    Scope.CARD_READ,
    "List the cards of an account.",
    api.CardsQuery,
    api.CardList,
    200,
    (Refusal.ACCOUNT_NOT_FOUND,),
)
BLOCK_CARD: Final = Route(
    Api.BANK,
    "POST",
    "/block-card",
    Scope.CARD_BLOCK,
    "Block a card for good.",
    api.BlockCard,
    api.CardView,
    200,
    (Refusal.CARD_NOT_FOUND, Refusal.CARD_CANNOT_CHANGE),
)
CREATE_CUSTOMER_ACCOUNT: Final = Route(
    Api.NETWORK,
    "POST",
    "/create-customer-account",
    Scope.NETWORK_ISSUE,
    "Make a bank's customer known to a network.",
    api.CreateCustomerAccount,
    api.CustomerAccountCreated,
    201,
    (Refusal.UNKNOWN_NETWORK, Refusal.CUSTOMER_DIFFERS),
)
CREATE_CARD: Final = Route(
    Api.NETWORK,
    "POST",
    "/create-card",
    Scope.NETWORK_ISSUE,
    "Have a network produce a card.",
    api.CreateCard,
    api.NetworkCard,
    201,
    (Refusal.UNKNOWN_NETWORK, Refusal.CUSTOMER_NOT_FOUND, Refusal.CARD_DIFFERS),
)
BLOCK_NETWORK_CARD: Final = Route(
    Api.NETWORK,
    "POST",
    "/block-network-card",
    Scope.NETWORK_ISSUE,
    "Have a network route no payments of a card any more.",
    api.BlockNetworkCard,
    api.NetworkCard,
    200,
    (Refusal.CARD_NOT_FOUND,),
)

ROUTES: Final[tuple[Route[Contract, Contract], ...]] = (  # type: ignore[assignment]  # each is of its own contracts
    CREATE_ACCOUNT,
    GET_BALANCE,
    ORDER_CARD,
    GET_CARD,
    LIST_CARDS,
    BLOCK_CARD,
    CREATE_CUSTOMER_ACCOUNT,
    CREATE_CARD,
    BLOCK_NETWORK_CARD,
)


def routes_of(api: Api) -> tuple[Route[Contract, Contract], ...]:
    """The routes that one API serves."""
    return tuple(route for route in ROUTES if route.api is api)
