"""Reads what a message asks of the bank, in the bank's own terms, and refuses what says nothing it can act on.

Everything that later goes into an `Authorization` for the pipeline is checked here, against the same bounds, so that an
approval can never turn out unfit for it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from postrail.contracts.payment import EntryMode
from postrail.domain.card import scrub_pans
from postrail.domain.iso3166 import COUNTRY_CODES, country_by_alpha2
from postrail.domain.iso4217 import UnknownCurrency, currency_by_numeric
from switch.bank.answers import Action
from switch.bank.keys import authorization_fingerprint, message_key
from switch.ecosystem import Service
from switch.iso8583.message import Message, MessageInvalid
from switch.iso8583.pos_data import parse_pos_data
from switch.iso8583.subfields import Location, parse_location
from switch.issuing.ports import PanLookup

ESTIMATED: Final = "101"
"""DE 24 of an authorization whose amount is estimated: a pre-authorisation."""
PURCHASE: Final = "00"
CASH: Final = "01"
REFUND: Final = "20"

_HALF_A_YEAR: Final = timedelta(days=182)
_NAME_LENGTH_MAX: Final = 60
_CITY_LENGTH_MAX: Final = 35
_TERMINAL: Final = re.compile("[A-Za-z0-9]{1,8}")
_ACQUIRER: Final = re.compile("[0-9]{1,11}")
_RRN: Final = re.compile("[A-Za-z0-9 ]{12}")
_APPROVAL: Final = re.compile("[A-Za-z0-9 ]{6}")
_DIGITS: Final = re.compile("[0-9]+")
_LONG_NUMBER: Final = re.compile("[0-9][0-9 -]{11,}[0-9]")
_ALPHA2_BY_OTHER: Final = {
    other: code
    for code in COUNTRY_CODES
    for other in (code, country_by_alpha2(code).alpha3, country_by_alpha2(code).numeric)
}
_ACCURATE: Final = frozenset({"100", "200"})
"""DE 24: an original authorization, and an original financial transaction that was approved offline."""
_SERVICES: Final = {CASH: Service.CASH, REFUND: Service.REFUND}
_ONLINE: Final = frozenset({EntryMode.ECOMMERCE, EntryMode.CREDENTIAL_ON_FILE})


class NotActionable(Exception):
    """The message cannot be acted on; `action_code` is the answer to it. The text holds no card data."""

    def __init__(self, action_code: Action, detail: str) -> None:
        super().__init__(detail)
        self.action_code = action_code


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Who takes the card: DE 42, 43, 26, 19. Texts fit the contract, and hold no card number."""

    acceptor_id: str
    name: str
    city: str | None
    country: str
    mcc: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A payment that the bank is asked for, or told of. The card's number is here as its keyed hash alone.

    `amount_minor` is in minor units of `currency`. `expiry` is what the message says (`YYYY-MM`), if it does. Of an
    advice, `is_advice`; `refused_in_stead` when it tells of a refusal.
    """

    key: str
    fingerprint: str
    pan_lookup: bytes
    message_type: str
    function_code: str
    transaction_type: str
    service: Service | None
    amount_minor: int
    currency: str
    expiry: str | None
    sequence_number: str | None
    acquirer_id: str
    stan: str
    rrn: str
    terminal_id: str
    transmitted_at: datetime
    entry_mode: EntryMode
    acceptor: Acceptor
    approval_code: str | None
    is_advice: bool
    refused_in_stead: bool
    has_pin: bool

    @property
    def is_estimated(self) -> bool:
        """Whether it is a pre-authorisation: its amount is not final, and only held."""
        return self.function_code == ESTIMATED

    @property
    def is_refund(self) -> bool:
        """Whether money comes to the cardholder."""
        return self.transaction_type == REFUND


def read_request(message: Message, *, lookup: PanLookup, now: datetime, home_country: str) -> Request:
    """What an authorization request (1100, 1101), authorization advice (1120) or financial advice (1220) asks.

    `home_country` is the bank's, and an acceptor's that names none. Raises NotActionable: 904 for what cannot be read,
    110 for no amount or a currency that nobody knows.
    """
    get = message.fields.get
    pan_lookup = lookup.lookup(_matching(_DIGITS, get(2, ""), "2"))
    transaction_type, function_code = get(3, "")[:2], get(24, "")
    entry_mode = _entry_mode(get(22, ""))
    is_advice = message.mti[2] == "2"
    return Request(
        key=message_key(message),
        fingerprint=authorization_fingerprint(message, pan_lookup),
        pan_lookup=pan_lookup,
        message_type=message.mti,
        function_code=function_code,
        transaction_type=transaction_type,
        service=_service(transaction_type, function_code, entry_mode),
        amount_minor=read_amount(get(4, "")),
        currency=read_currency(get(49, "")),
        expiry=f"20{expiry[:2]}-{expiry[2:]}" if (expiry := get(14)) else None,
        sequence_number=get(23),
        acquirer_id=_matching(_ACQUIRER, get(32, ""), "32"),
        stan=get(11, ""),
        rrn=read_rrn(message, now),
        terminal_id=_matching(_TERMINAL, get(41, "").strip(), "41"),
        transmitted_at=read_transmission_time(get(7, ""), now),
        entry_mode=entry_mode,
        acceptor=read_acceptor(message, home_country),
        approval_code=code if (code := get(38)) and _APPROVAL.fullmatch(code) else None,
        is_advice=is_advice,
        refused_in_stead=is_advice and get(39, "000")[:1] != "0",
        has_pin=52 in message.fields,
    )


def read_amount(text: str) -> int:
    """DE 4 in minor units. Raises NotActionable when there is none, or nothing is to be paid."""
    amount_minor = int(_matching(_DIGITS, text, "4"))
    if amount_minor <= 0:
        raise NotActionable(Action.INVALID_AMOUNT, "field 4: nothing is to be paid")
    return amount_minor


@lru_cache(maxsize=256)
def read_currency(numeric: str) -> str:
    """DE 49 as alpha-3. Raises NotActionable."""
    try:
        return currency_by_numeric(numeric).code
    except UnknownCurrency:
        raise NotActionable(Action.INVALID_AMOUNT, "field 49: no active currency") from None


def read_rrn(message: Message, now: datetime) -> str:
    """DE 37; when the acquirer gave none, one of the day, the hour and the STAN, as ISO 8583 recommends."""
    rrn = message.get(37)
    return rrn if _RRN.fullmatch(rrn) else f"{now:%y%j%H}"[1:] + message.get(11).rjust(6, "0")[-6:]


def read_transmission_time(text: str, now: datetime) -> datetime:
    """DE 7 (MMDDhhmmss, UTC) with the year that lies nearest to `now`. Raises NotActionable."""
    moment = _in_year(now.year, text)
    if moment is not None and abs(moment - now) < _HALF_A_YEAR:
        return moment
    others = (moment, _in_year(now.year - 1, text), _in_year(now.year + 1, text))
    candidates = [each for each in others if each is not None]
    if not candidates:
        raise NotActionable(Action.FORMAT_ERROR, "field 7: no such day")
    return min(candidates, key=lambda each: abs(each - now))


def _in_year(year: int, text: str) -> datetime | None:
    """None for what no calendar has, or not in this year: 29 February."""
    try:
        return datetime(
            year, int(text[:2]), int(text[2:4]), int(text[4:6]), int(text[6:8]), int(text[8:10]), tzinfo=UTC
        )
    except ValueError:
        return None


def read_acceptor(message: Message, home_country: str) -> Acceptor:
    """DE 42, 43, 26 and 19. Raises NotActionable when the acceptor has no id or category."""
    acceptor_id = message.get(42).strip()
    if not acceptor_id:
        raise NotActionable(Action.FORMAT_ERROR, "field 42: the acceptor has no id")
    return _read_acceptor(acceptor_id, message.get(43), message.get(26), message.get(19), home_country)


@lru_cache(maxsize=8_192)
def _read_acceptor(
    acceptor_id: str, location_text: str, mcc: str, acquirer_country: str, home_country: str
) -> Acceptor:
    location = _location(location_text)
    country = _ALPHA2_BY_OTHER.get(location.country) or _ALPHA2_BY_OTHER.get(acquirer_country)
    if len(mcc) != 4:
        raise NotActionable(Action.FORMAT_ERROR, "field 26: the acceptor has no category")
    return Acceptor(
        acceptor_id=_without_pan(acceptor_id),
        name=_without_pan(location.name.strip())[:_NAME_LENGTH_MAX].strip() or acceptor_id,
        city=_without_pan(location.city.strip())[:_CITY_LENGTH_MAX].strip() or None,
        country=country or home_country,
        mcc=mcc,
    )


def _location(text: str) -> Location:
    try:
        return parse_location(text)
    except MessageInvalid:
        # Not laid out as the standard has it: the name comes first, and the country last.
        parts = text.split("\\")
        return Location(parts[0], city=parts[2] if len(parts) > 3 else "", country=text[-3:].strip())


def _without_pan(text: str) -> str:
    return scrub_pans(text) if _LONG_NUMBER.search(text) else text


@lru_cache(maxsize=1_024)
def _entry_mode(text: str) -> EntryMode:
    try:
        return (parse_pos_data(text).entry_mode if text else None) or EntryMode.MANUAL
    except MessageInvalid:
        raise NotActionable(Action.FORMAT_ERROR, "field 22: no point of service data") from None


def _service(transaction_type: str, function_code: str, entry_mode: EntryMode) -> Service | None:
    """What the card is used for; None when the bank does not do that."""
    if function_code == ESTIMATED:
        return Service.PRE_AUTHORISATION if transaction_type == PURCHASE else None
    if function_code not in _ACCURATE:
        return None
    if transaction_type == PURCHASE:
        return Service.ECOMMERCE if entry_mode in _ONLINE else Service.PURCHASE
    return _SERVICES.get(transaction_type)


def _matching(pattern: "re.Pattern[str]", text: str, path: str) -> str:
    if pattern.fullmatch(text) is None:
        raise NotActionable(Action.FORMAT_ERROR, f"field {path} cannot be acted on")
    return text
