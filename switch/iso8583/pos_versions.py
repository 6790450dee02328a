"""The point of service in both versions: DE 22, 25 and 26 of 1987, the twelve positions of DE 22 in 1993.

Terminals say few different things there, so that what was worked out once is kept.
"""

from functools import lru_cache
from typing import Final

from switch.iso8583.message import Fault, MessageInvalid
from switch.iso8583.pos_data import PosData, parse_pos_data

# how the card was read: 1987 DE 22 positions 1-2, 1993 position 7
_READ_MODE: Final = {
    "00": "0", "01": "6", "02": "2", "03": "3", "04": "4", "05": "5", "07": "M", "10": "7", "81": "S", "90": "2",
    "91": "A", "95": "5",
}  # fmt: skip
_WRITE_MODE: Final = {
    "0": "00", "1": "01", "2": "90", "3": "03", "4": "04", "5": "05", "6": "01", "7": "10", "A": "91", "M": "07",
    "S": "81", "T": "81", "U": "81", "V": "81",
}  # fmt: skip
_NOT_TOLD: Final = "00"
_READ_PIN: Final = {"0": "6", "1": "1", "2": "0"}
_WRITE_PIN: Final = {"1": "1", "0": "2"}
_MODES_WITHOUT_CARD: Final = "S7"
_CHIP_MODES: Final = "5M"
_UNATTENDED: Final = "24"

# DE 25 of 1987: environment, whether cards can be kept, cardholder present, card present
_READ_CONDITION: Final = {
    "01": ("1", "0", "1", "0"),
    "02": ("2", "1", "0", "1"),
    "05": ("1", "0", "0", "0"),
    "08": ("0", "0", "2", "0"),
    "15": ("5", "0", "0", "1"),
    "27": ("2", "0", "0", "1"),
    "59": ("0", "0", "5", "0"),
}
_ATTENDED: Final = ("1", "0", "0", "1")
_CAPTURE: Final = {"10": "A", "11": "B", "12": "C"}


@lru_cache(maxsize=1024)
def read_pos_data(entry_mode: str, condition: str, pin_capture: str | None, *, pin_given: bool) -> str:
    """DE 22 of 1993 from DE 22, 25 and 26 of 1987, and whether there is PIN data. Raises MessageInvalid."""
    mode = _READ_MODE.get(entry_mode[:2], "0")
    pin_capability = _READ_PIN.get(entry_mode[2])
    if pin_capability is None:
        raise MessageInvalid(Fault.BAD_CONTENT, "22", "the third position is 0, 1 or 2")
    environment, keeps_cards, cardholder, card = _READ_CONDITION.get(condition, _ATTENDED)
    if mode == "S":
        environment, cardholder, card = "0", "5", "0"
    elif mode in _MODES_WITHOUT_CARD:
        card = "0"
    return str(
        PosData(
            input_capability={"S": "1", "7": "1", "0": "0"}.get(mode, mode),
            authentication_capability=pin_capability,
            capture_capability=keeps_cards,
            environment=environment,
            cardholder_present=cardholder,
            card_present=card,
            input_mode=mode,
            authentication_method="1" if pin_given else "0",
            authentication_entity="3" if pin_given else "0",
            card_output="3" if mode in _CHIP_MODES else "0",
            terminal_output="0",
            pin_capture=_read_capture(pin_capture, pin_capability),
        )
    )


@lru_cache(maxsize=1024)
def write_pos_data(text: str) -> tuple[str, str, str | None]:
    """DE 22, 25 and, when it is told, 26 of 1987 from DE 22 of 1993. Raises MessageInvalid."""
    pos = parse_pos_data(text)
    entry_mode = _WRITE_MODE.get(pos.input_mode, _NOT_TOLD) + _WRITE_PIN.get(pos.authentication_capability, "0")
    return entry_mode, _write_condition(pos), _write_capture(pos.pin_capture)


def _write_condition(pos: PosData) -> str:
    present = pos.cardholder_present
    if present == "5":
        return "59"
    if present in "234":
        return "08"
    if present == "1":
        return "01"
    if pos.environment == "5":
        return "15"
    if pos.environment in _UNATTENDED:
        return "02" if pos.capture_capability == "1" else "27"
    return "05" if pos.card_present == "0" else "00"


def _read_capture(pin_capture: str | None, pin_capability: str) -> str:
    if pin_capture is None or not 4 <= int(pin_capture) <= 12:
        return "1" if pin_capability == "1" else "0"
    return _CAPTURE.get(pin_capture, pin_capture[1])


def _write_capture(code: str) -> str | None:
    if code in "ABC":
        return {written: length for length, written in _CAPTURE.items()}[code]
    return f"0{code}" if code in "456789" else None
