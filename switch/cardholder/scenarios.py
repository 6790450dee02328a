"""Scenarios as data: what a terminal sends, what it must be answered, and what the ledger must say afterwards.

    name: purchase
    description: A purchase is approved and held.
    cards:
      card: { bank: northgate, balance: "100.00" }
    steps:
      - send: purchase
        card: card
        amount: 12.50 GBP
        as: coffee
        expect: { mti: "1110", 39: "000", 38: present }
      - line: silent
      - ledger: { card: { held: "12.50", available: "87.50" } }
      - line: whole
      - post: approved
      - ledger: { card: { balance: "87.50", held: "0.00" } }

Amounts in a ledger are major units of the account's currency. What is expected of the ledger must come true within a
few seconds, what is expected of an answer at once.
"""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from postrail.domain.errors import ConfigInvalid
from postrail.domain.iso4217 import UnknownCurrency, currency_by_code
from postrail.domain.money import Money
from switch.cardholder.faulty_line import LineState

FILE_BYTES_MAX: Final = 200_000
STEPS_MAX: Final = 200
PRESENT: Final = "present"
ABSENT: Final = "absent"
SAME: Final = "same"

_MONEY: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,4})?) ([A-Z]{3})")
_ALIAS: Final = r"^[a-z][a-z0-9_]{0,31}$"

Alias = Annotated[str, Field(pattern=_ALIAS)]
Major = Annotated[Decimal, Field(max_digits=16, decimal_places=4)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ScenarioCard(_Part):
    """A card and the account behind it."""

    bank: str = "northgate"
    balance: Major = Decimal(100)


class Switch(_Part):
    """How network and bank are set for a scenario, where it differs from the ecosystem."""

    network: str = "meridian"
    dialect: str | None = Field(default=None, description="of the cardholders' side")
    bank_dialect: str | None = Field(default=None, description="of the bank's side")
    mac: Literal["retail", "cmac"] | None = Field(default=None, description="on the bank's side; default: as it is")
    response_seconds: Annotated[float, Field(gt=0, le=30)] = 2.0
    stand_in: bool = Field(default=False, description="whether the network may decide for the bank")


Expected = Annotated[dict[int | Literal["mti"], str], Field(min_length=1)]
"""Of an answer, by element: its value, `present`, `absent`, or `same` as in the answer to the message it is about."""


class Send(_Part):
    """The terminal sends a message and takes the answer."""

    send: Literal[
        "purchase", "online_purchase", "cash", "refund", "pre_authorisation", "completion", "reversal", "repeat"
    ]
    card: Alias | None = None
    of: Alias | None = Field(default=None, description="the message that it is about, or repeats")
    amount: str | None = None
    left: str | None = Field(default=None, description="of a partial reversal: what is not undone")
    fields: dict[int, str | None] = Field(default={}, description="elements set otherwise; null takes one away")
    name: Alias | None = Field(default=None, alias="as")
    unsent: bool = Field(default=False, description="made, not sent: it gets lost before the network")
    expect: Expected | None = Field(default=None, description="null: no answer within the terminal's patience")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        about = self.send in {"completion", "reversal", "repeat"}
        if about is not (self.of is not None):
            msg = f"{self.send} {'needs' if about else 'takes no'} `of`"
            raise ValueError(msg)
        if not about and (self.card is None or self.amount is None):
            msg = f"{self.send} needs `card` and `amount`"
            raise ValueError(msg)
        if self.send == "completion" and self.amount is None:
            raise ValueError("completion needs `amount`")
        for text in (self.amount, self.left):
            if text is not None:
                parse_money(text)
        return self


class Line(_Part):
    """The line between network and bank changes."""

    line: LineState
    bank: str = "northgate"


class AccountState(_Part):
    """What the ledger says of an account; what is not given may be anything."""

    balance: Major | None = None
    held: Major | None = None
    available: Major | None = None


class Ledger(_Part):
    """What must come true of the accounts behind cards."""

    ledger: Annotated[dict[Alias, AccountState], Field(min_length=1)]


class BankRecords(_Part):
    """What the bank must come to have recorded, over all cards of the scenario."""

    approved: int | None = None
    declined: int | None = None
    reversals: int | None = None


class Records(_Part):
    """What must come true of the bank's records."""

    records: BankRecords


class Post(_Part):
    """The pipeline takes what banks approved, and posts it."""

    post: Literal["approved"]


class Delivered(_Part):
    """How many messages of each type the network must come to have delivered to banks."""

    delivered: Annotated[dict[Annotated[str, Field(pattern="^1[0-9]{3}$")], int], Field(min_length=1)]


_KINDS: Final = ("send", "line", "ledger", "records", "delivered", "post")


def _kind_of(step: object) -> str | None:
    """Which step a mapping is: known by the key that only it has."""
    if isinstance(step, _Part):
        return type(step).__name__.lower()
    return next((kind for kind in _KINDS if kind in step), None) if isinstance(step, dict) else None


Step = Annotated[
    Annotated[Send, Tag("send")]
    | Annotated[Line, Tag("line")]
    | Annotated[Ledger, Tag("ledger")]
    | Annotated[Records, Tag("records")]
    | Annotated[Delivered, Tag("delivered")]
    | Annotated[Post, Tag("post")],
    Discriminator(
        _kind_of,
        custom_error_type="unknown_step",
        custom_error_message=f"a step is one of {', '.join(_KINDS)}",
    ),
]


class Scenario(_Part):
    """A scenario. `steps` happen one after another."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{1,63}$")]
    description: str
    switch: Switch = Switch()
    cards: Annotated[dict[Alias, ScenarioCard], Field(min_length=1, max_length=20)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)]

    @model_validator(mode="after")
    def _knows_its_names(self) -> Self:
        messages: set[str] = set()
        for place, step in enumerate(self.steps, start=1):
            if isinstance(step, Send):
                if step.card is not None and step.card not in self.cards:
                    msg = f"step {place}: there is no card {step.card}"
                    raise ValueError(msg)
                if step.of is not None and step.of not in messages:
                    msg = f"step {place}: no message before is named {step.of}"
                    raise ValueError(msg)
                if step.name is not None:
                    messages.add(step.name)
            elif isinstance(step, Ledger) and (strangers := set(step.ledger) - set(self.cards)):
                msg = f"step {place}: there is no card {', '.join(sorted(strangers))}"
                raise ValueError(msg)
        return self


def parse_money(text: str) -> Money:
    """`12.50 GBP`. Raises ValueError."""
    found = _MONEY.fullmatch(text)
    try:
        exponent = currency_by_code(found[2]).exponent if found else 0
    except UnknownCurrency as error:
        raise ValueError(str(error)) from error
    minor = Decimal(found[1]).scaleb(exponent) if found else Decimal("0.1")
    if found is None or minor != int(minor):
        msg = f"{text!r} is no amount such as 12.50 GBP"
        raise ValueError(msg)
    return Money(int(minor), found[2])


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises ConfigInvalid, naming the file and the place in it."""
    try:
        raw = path.read_bytes()
        if len(raw) > FILE_BYTES_MAX:
            msg = f"{path} is larger than {FILE_BYTES_MAX} bytes"
            raise ConfigInvalid(msg)
        document: Any = yaml.safe_load(raw)
        return Scenario.model_validate(document)
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigInvalid(msg) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path} is no YAML: {error}"
        raise ConfigInvalid(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        msg = f"{path}: {place + ': ' if place else ''}{first['msg']}"
        raise ConfigInvalid(msg) from error
