"""Messages of ISO 8583:1987 as messages of ISO 8583:1993, and back.

The inside of the switch speaks 1993. What 1987 has no place for is left out on the way there, and the other way round:
`docs/iso8583.md` lists it. Paths in errors name elements of the message that came in.
"""

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final

from postrail.domain.iso4217 import UnknownCurrency, currency_by_code
from switch.iso8583.action_codes import (
    to_action_code,
    to_response_code,
    to_reversal_reason,
    to_reversal_response_code,
)
from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.iso8583.pos_versions import read_pos_data, write_pos_data
from switch.iso8583.subfields import (
    Location,
    OriginalData,
    build_location,
    build_original,
    parse_location,
    parse_original,
)

Fields = dict[int, str]

_SAME: Final = frozenset(
    {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14, 16, 17, 19, 20, 21, 23, 27, 32, 33, 34, 35, 36, 37, 38, 41, 42, 45, 47, 48}
    | {52, 54, 55, 59, 60, 61, 62, 63, 64, 67, 68, 69, *range(73, 82), *range(86, 90), *range(97, 105)}
    | set(range(111, 129))
)
_CURRENCIES: Final = (49, 50, 51)
_NETWORK_FUNCTIONS: Final = {"001": "801", "002": "802", "161": "811", "201": "821", "301": "831"}
_NETWORK_CODES: Final = {function: code for code, function in _NETWORK_FUNCTIONS.items()}
_PRE_AUTHORISATION: Final = "06"
_ZERO_AMOUNT: Final = "0" * 12
_ZERO_FEE: Final = "C00000000"
_ACQUIRER_WIDTH: Final = 11
_AMOUNT_WIDTH: Final = 20
_LOCATION_WIDTH: Final = 40
_REVERSAL: Final = "4"
_NETWORK_MANAGEMENT: Final = "8"


def to_1993(message: Message, today: date) -> Message:
    """A 1987 message in terms of 1993. Years, which 1987 does not write, are those nearest to `today`.

    Raises MessageInvalid.
    """
    old = message.fields
    mti = _mti_to_1993(message.mti)
    new = {number: value for number, value in old.items() if number in _SAME}
    for rule in _TO_1993:
        rule(mti, old, new, today)
    return Message(mti, new, message.header)


def to_1987(message: Message) -> Message:
    """A 1993 message in terms of 1987. Raises MessageInvalid."""
    old = message.fields
    new = {number: value for number, value in old.items() if number in _SAME}
    for rule in _TO_1987:
        rule(message.mti, old, new)
    return Message(_mti_to_1987(message.mti), new, message.header)


def _mti_to_1993(mti: str) -> str:
    """0100 -> 1100; network management comes from "other" in 1993: 0800 -> 1804 (ISO 8583:1993, 4.1)."""
    origin = str(int(mti[3]) + 4) if mti[1] == _NETWORK_MANAGEMENT and mti[3] in "01" else mti[3]
    return f"1{mti[1:3]}{origin}"


def _mti_to_1987(mti: str) -> str:
    origin = str(int(mti[3]) - 4) if mti[1] == _NETWORK_MANAGEMENT and mti[3] in "45" else mti[3]
    return f"0{mti[1:3]}{origin}"


# 1987 -> 1993: each rule reads `old` and writes `new`


def _read_times(mti: str, old: Fields, new: Fields, today: date) -> None:
    if 12 in old and 13 in old:
        new[12] = _with_year(old[13], "13", today) + old[12]
    elif mti[1] == _NETWORK_MANAGEMENT and 7 in old and 12 not in old:
        # 1987 does not ask for local time there, 1993 does
        new[12] = _with_year(old[7][:4], "7", today) + old[7][4:]
    elif 12 in old or 13 in old:
        missing = "13" if 12 in old else "12"
        raise MessageInvalid(Fault.MISSING_FIELD, missing, "local date and time come together")
    if 15 in old:
        new[15] = _with_year(old[15], "15", today)


@lru_cache(maxsize=1024)
def _with_year(month_day: str, path: str, today: date) -> str:
    """YYMMDD of MMDD: of the years around, the one that lies nearest."""
    month, day = int(month_day[:2]), int(month_day[2:])
    nearest: date | None = None
    for year in (today.year - 1, today.year, today.year + 1):
        try:
            candidate = date(year, month, day)
        except ValueError:
            continue
        if nearest is None or abs(candidate - today) < abs(nearest - today):
            nearest = candidate
    if nearest is None:
        raise MessageInvalid(Fault.BAD_CONTENT, path, "there is no such day")
    return f"{nearest:%y%m%d}"


def _read_function(mti: str, old: Fields, new: Fields, _today: date) -> None:
    kind, function = mti[1], mti[2]
    if kind == _NETWORK_MANAGEMENT:
        code = old.get(70, "")
        if code in _NETWORK_FUNCTIONS:
            new[24] = _NETWORK_FUNCTIONS[code]
        elif function in "02":
            raise MessageInvalid(Fault.BAD_CONTENT, "70", "a function that is not known here")
    elif function not in "02":
        return
    elif kind == _REVERSAL:
        new[24] = "401" if 95 in old else "400"
        if 39 in old:
            new[25] = to_reversal_reason(old[39])
    elif kind == "1":
        new[24] = "101" if old.get(25) == _PRE_AUTHORISATION else "100"
    elif kind == "2":
        completion = function == "2" and 90 in old
        new[24] = ("202" if 95 in old else "201") if completion else "200"


def _read_point_of_service(_mti: str, old: Fields, new: Fields, _today: date) -> None:
    if 22 in old:
        new[22] = read_pos_data(old[22], old.get(25, "00"), old.get(26), pin_given=52 in old)
    if 18 in old:
        new[26] = old[18]


def _read_outcome(mti: str, old: Fields, new: Fields, _today: date) -> None:
    if 39 in old and not _is_reversal_advice(mti):
        new[39] = to_action_code(old[39], mti)
    if old.get(40, "").isdigit():
        new[40] = old[40]
    if 44 in old:
        new[44] = old[44]
    if 71 in old:
        new[71] = old[71].zfill(8)


def _read_currencies(_mti: str, old: Fields, new: Fields, _today: date) -> None:
    for number in _CURRENCIES:
        if number in old:
            new[number] = _numeric_currency(old[number], str(number))
    if 54 in old and len(old[54]) % _AMOUNT_WIDTH == 0:
        text = old[54]
        parts = (text[place : place + _AMOUNT_WIDTH] for place in range(0, len(text), _AMOUNT_WIDTH))
        new[54] = "".join(part[:4] + _numeric_currency(part[4:7], "54") + part[7:] for part in parts)


def _numeric_currency(code: str, path: str) -> str:
    """The 1987 edition takes both alphabetic and numeric codes."""
    if code.isdigit():
        return code
    try:
        return currency_by_code(code).numeric
    except UnknownCurrency:
        raise MessageInvalid(Fault.BAD_CONTENT, path, "no ISO 4217 currency") from None


def _read_location(_mti: str, old: Fields, new: Fields, _today: date) -> None:
    if 43 in old:
        new[43] = _structured_location(old[43])


@lru_cache(maxsize=4096)
def _structured_location(text: str) -> str:
    text = text.replace("\\", "/")
    country = text[38:40] if text[38:40].isalpha() and text[38:40].isascii() else ""
    return build_location(Location(text[:25].rstrip(), "", text[25:38].rstrip(), "", "", country.upper()))


def _read_original(_mti: str, old: Fields, new: Fields, today: date) -> None:
    if 90 in old:
        text = old[90]
        acquirer = text[20:31]
        # DE 32 knows how long the number is, the filled one does not
        own = old.get(32, "")
        acquirer = own if own and acquirer == own.zfill(_ACQUIRER_WIDTH) else acquirer.lstrip("0") or own or "0"
        local_time = _with_year(text[10:14], "90", today) + text[14:20]
        new[56] = build_original(OriginalData(_mti_to_1993(text[:4]), text[4:10], local_time, acquirer))
    if 95 in old and 4 in old:
        new[30] = old[4] + old.get(5, _ZERO_AMOUNT)
        new[4] = _digits(old[95][:12])
        new.pop(5, None)
        if (settled := _digits(old[95][12:24])) != _ZERO_AMOUNT:
            new[5] = settled


def _digits(amount: str) -> str:
    if not amount.isdigit():
        raise MessageInvalid(Fault.BAD_CONTENT, "95", "two amounts of 12 digits come first")
    return amount


_TO_1993: Final[tuple[Callable[[str, Fields, Fields, date], None], ...]] = (
    _read_times,
    _read_function,
    _read_point_of_service,
    _read_outcome,
    _read_currencies,
    _read_location,
    _read_original,
)


# 1993 -> 1987


def _write_times(_mti: str, old: Fields, new: Fields) -> None:
    if 12 in old:
        new[13], new[12] = old[12][2:6], old[12][6:]
    if 15 in old:
        new[15] = old[15][2:]


def _write_function(mti: str, old: Fields, new: Fields) -> None:
    if mti[1] == _NETWORK_MANAGEMENT and 24 in old:
        if old[24] in _NETWORK_CODES:
            new[70] = _NETWORK_CODES[old[24]]
        elif mti[2] in "02":
            raise MessageInvalid(Fault.BAD_CONTENT, "24", "1987 has no such network management function")
    elif _is_reversal_advice(mti) and (code := to_reversal_response_code(old.get(25, ""))):
        new[39] = code


def _write_point_of_service(mti: str, old: Fields, new: Fields) -> None:
    if 22 in old:
        new[22], new[25], pin_capture = write_pos_data(old[22])
        if pin_capture:
            new[26] = pin_capture
        if mti[1] == "1" and old.get(24) == "101":
            new[25] = _PRE_AUTHORISATION
    if category := old.get(26, old.get(18)):
        new[18] = category


def _write_outcome(mti: str, old: Fields, new: Fields) -> None:
    if 39 in old and not _is_reversal_advice(mti):
        new[39] = to_response_code(old[39])
    if 40 in old:
        new[40] = old[40]
    text = old.get(44, "")
    if 0 < len(text) <= 25 and text.isascii() and text.replace(" ", "0").isalnum():
        new[44] = text
    if 71 in old and int(old[71]) <= 9999:
        new[71] = old[71][-4:]


def _write_currencies(_mti: str, old: Fields, new: Fields) -> None:
    for number in _CURRENCIES:
        if number in old:
            new[number] = old[number]


def _write_location(_mti: str, old: Fields, new: Fields) -> None:
    if 43 in old:
        new[43] = _flat_location(old[43])


@lru_cache(maxsize=4096)
def _flat_location(text: str) -> str:
    try:
        place = parse_location(text)
    except MessageInvalid:
        return f"{text[:_LOCATION_WIDTH]:<{_LOCATION_WIDTH}}"
    country = place.country if len(place.country) == 2 else ""
    return f"{place.name[:25]:<25}{place.city[:13]:<13}{country:<2}"


def _write_original(_mti: str, old: Fields, new: Fields) -> None:
    if 56 in old:
        original = parse_original(old[56])
        acquirer = original.acquirer.zfill(_ACQUIRER_WIDTH)
        forwarder = old.get(33, "").zfill(_ACQUIRER_WIDTH)
        new[90] = f"{_mti_to_1987(original.mti)}{original.stan}{original.local_time[2:]}{acquirer}{forwarder}"
    if 30 in old and 4 in old:
        new[95] = old[4] + old.get(5, _ZERO_AMOUNT) + 2 * _ZERO_FEE
        new[4], settled = old[30][:12], old[30][12:]
        new.pop(5, None)
        if settled != _ZERO_AMOUNT:
            new[5] = settled


def _is_reversal_advice(mti: str) -> bool:
    return mti[1] == _REVERSAL and mti[2] in "02"


_TO_1987: Final[tuple[Callable[[str, Fields, Fields], None], ...]] = (
    _write_times,
    _write_function,
    _write_point_of_service,
    _write_outcome,
    _write_currencies,
    _write_location,
    _write_original,
)
