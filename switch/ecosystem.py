"""Who takes part: networks, banks, and which card numbers are whose (`config/ecosystem.yaml`).

Ranges are given as in the field: the first digits of a card number (issuer identification number, ISO/IEC 7812-1), from
`low` to `high`, both inclusive and of one length.
"""

from bisect import bisect_right
from collections.abc import Mapping
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from postrail.domain.errors import ConfigInvalid
from switch.iso8583.framing import FramingKind
from switch.iso8583.mac import MacKind

_PORT_MAX: Final = 65_535
PartT = TypeVar("PartT", "Network", "Bank")
Identifier = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{1,31}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Service(StrEnum):
    """What a card may be used for."""

    PURCHASE = "purchase"
    CASH = "cash"
    PRE_AUTHORISATION = "pre_authorisation"
    REFUND = "refund"
    ECOMMERCE = "ecommerce"


class Tls(_Part):
    """Mutual TLS: files in PEM. Both sides show a certificate that the other's `ca_file` signed."""

    certificate_file: Path
    key_file: Path
    ca_file: Path


class Endpoint(_Part):
    """Where a peer listens, and how it speaks."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)]
    dialect: str = "iso8583-1993-ascii"
    framing: FramingKind = FramingKind.BINARY_2
    tpdu: bool = False
    mac: MacKind | None = None
    mac_key: str | None = Field(default=None, description="name of the key, known to the HSM")
    pin_key: str | None = Field(default=None, description="name of the zone PIN key, known to the HSM")
    tls: Tls | None = None


class StandIn(_Part):
    """What a network may approve for a bank that is away. Amounts are minor units of the bank's currency."""

    per_payment_minor: Annotated[int, Field(gt=0)]
    per_day_minor: Annotated[int, Field(gt=0)]
    per_day_count: Annotated[int, Field(gt=0)]


class NumberRange(_Part):
    """A range of card numbers of one bank."""

    low: Annotated[str, Field(pattern=r"^[0-9]{6,11}$")]
    high: Annotated[str, Field(pattern=r"^[0-9]{6,11}$")]
    pan_length: Annotated[int, Field(ge=13, le=19)] = 16
    services: frozenset[Service] = frozenset(Service)
    stand_in: StandIn | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if len(self.low) != len(self.high) or self.low > self.high:
            msg = f"range {self.low}-{self.high}: both ends have one length, and low comes first"
            raise ValueError(msg)
        return self


class Bank(_Part):
    """An issuing bank."""

    id: Identifier
    name: str
    institution_id: Annotated[str, Field(pattern=r"^[0-9]{6,11}$")]
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    listen: Endpoint
    links: Annotated[int, Field(ge=1, le=16, description="connections that each network keeps to this bank")] = 2
    networks: tuple[Identifier, ...]
    ranges: Annotated[tuple[NumberRange, ...], Field(min_length=1)]


class Retransmission(_Part):
    """How stored advices and reversals are sent until acknowledged. Seconds."""

    initial_delay_seconds: float = 0.0
    between_messages_seconds: float = 0.01
    wait_seconds: float = 5.0
    wait_seconds_max: float = 300.0
    attempts_alarm: int = 6
    expire_seconds: int = 86_400


class Network(_Part):
    """A card network."""

    id: Identifier
    name: str
    institution_id: Annotated[str, Field(pattern=r"^[0-9]{6,11}$")]
    listen: Endpoint
    response_seconds: float = Field(default=10.0, description="how long the issuer may take")
    echo_seconds: float = Field(default=5.0, description="idle time before an echo")
    read_seconds: float = Field(default=60.0, description="silence after which a link is dead")
    in_flight_max: Annotated[int, Field(ge=1)] = 10_000
    in_flight_per_connection_max: Annotated[int, Field(ge=1)] = 256
    connections_max: Annotated[int, Field(ge=1)] = 5_000
    duplicate_window_seconds: int = 300
    duplicate_window_count_max: int = 200_000
    store_and_forward: Retransmission = Retransmission()


class Ecosystem(_Part):
    """All of it."""

    version: Annotated[int, Field(ge=1, le=1)]
    networks: tuple[Network, ...]
    banks: tuple[Bank, ...]

    @model_validator(mode="after")
    def _hangs_together(self) -> Self:
        for kind, ids in (("network", [n.id for n in self.networks]), ("bank", [b.id for b in self.banks])):
            if len(set(ids)) != len(ids):
                msg = f"two {kind}s have one id"
                raise ValueError(msg)
        known = {network.id for network in self.networks}
        for bank in self.banks:
            if strangers := set(bank.networks) - known:
                msg = f"bank {bank.id} names unknown networks: {', '.join(sorted(strangers))}"
                raise ValueError(msg)
        RangeTable(self.banks)
        return self

    def network(self, network_id: str) -> Network:
        """The network of this id. Raises ConfigInvalid."""
        return _named("network", network_id, self.networks)

    def bank(self, bank_id: str) -> Bank:
        """The bank of this id. Raises ConfigInvalid."""
        return _named("bank", bank_id, self.banks)

    def reached_at(self, hosts: Mapping[str, str]) -> "Ecosystem":
        """The same, with networks and banks where `hosts` says: id to `host`, or to `host:port`.

        Raises ConfigInvalid.
        """
        known = {network.id for network in self.networks} | {bank.id for bank in self.banks}
        if strangers := hosts.keys() - known:
            msg = f"hosts are given for {', '.join(sorted(strangers))}, which the ecosystem does not know"
            raise ConfigInvalid(msg)
        return self.model_copy(
            update={
                "networks": tuple(_moved(network, hosts) for network in self.networks),
                "banks": tuple(_moved(bank, hosts) for bank in self.banks),
            }
        )

    def key_names(self) -> list[str]:
        """The names of all keys that its links ask an HSM for, sorted."""
        endpoints = [network.listen for network in self.networks] + [bank.listen for bank in self.banks]
        return sorted({name for each in endpoints for name in (each.mac_key, each.pin_key) if name})

    def members(self, network_id: str) -> tuple[Bank, ...]:
        """The banks that a network reaches."""
        return tuple(bank for bank in self.banks if network_id in bank.networks)


class RangeTable:
    """Finds whose a card number is."""

    def __init__(self, banks: tuple[Bank, ...]) -> None:
        rows = [
            (each.low.ljust(19, "0"), each.high.ljust(19, "9"), bank, each) for bank in banks for each in bank.ranges
        ]
        rows.sort(key=lambda row: row[:2])
        for before, after in pairwise(rows):
            if after[0] <= before[1]:
                msg = f"ranges overlap: {before[3].low}-{before[3].high} and {after[3].low}-{after[3].high}"
                raise ValueError(msg)
        self._rows = rows
        self._lows = [row[0] for row in rows]

    def find(self, pan: str) -> tuple[Bank, NumberRange] | None:
        """The bank and range of a card number, None when it is nobody's here."""
        digits = pan.ljust(19, "0")
        place = bisect_right(self._lows, digits) - 1
        if place < 0:
            return None
        _, high, bank, numbers = self._rows[place]
        return (bank, numbers) if digits <= high else None


def load_ecosystem(path: Path) -> Ecosystem:
    """Read the file. Raises ConfigInvalid, naming the file and the place in it."""
    try:
        return Ecosystem.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}"
        raise ConfigInvalid(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path} is no YAML: {error}"
        raise ConfigInvalid(msg) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in first["loc"])
        msg = f"{path}: {place + ': ' if place else ''}{first['msg']}"
        raise ConfigInvalid(msg) from error


def _moved(part: PartT, hosts: Mapping[str, str]) -> PartT:
    if part.id not in hosts:
        return part
    host, colon, port = hosts[part.id].rpartition(":")
    if not colon:
        return part.model_copy(update={"listen": part.listen.model_copy(update={"host": hosts[part.id]})})
    if not (port.isascii() and port.isdecimal() and int(port) <= _PORT_MAX):
        msg = f"{part.id} is reached at {hosts[part.id]}: what follows the colon is no port"
        raise ConfigInvalid(msg)
    return part.model_copy(update={"listen": part.listen.model_copy(update={"host": host, "port": int(port)})})


def _named(kind: str, wanted: str, parts: tuple[PartT, ...]) -> PartT:
    for part in parts:
        if part.id == wanted:
            return part
    msg = f"the ecosystem has no {kind} {wanted}; it has {', '.join(part.id for part in parts)}"
    raise ConfigInvalid(msg)
