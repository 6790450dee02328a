"""Network management messages (ISO 8583:1993 1804 and 1814), and short answers without a decision."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Final

from switch.iso8583.message import Message

SIGN_ON: Final = "801"
SIGN_OFF: Final = "802"
KEY_CHANGE: Final = "811"
ECHO: Final = "831"

ACCEPTED: Final = "800"
NOT_SUPPORTED: Final = "902"
ACQUIRER_NOT_SIGNED_ON: Final = "905"
INOPERATIVE: Final = "907"
MALFUNCTION: Final = "909"

_ECHOED_BY_MANAGEMENT: Final = (7, 11, 12, 24, 33, 41, 93, 94)
_ECHOED: Final = (3, 4, 7, 11, 12, 32, 33, 37, 41, 42, 49)


def stans(first: int) -> Iterator[str]:
    """System trace audit numbers (DE 11) without end: 6 digits, 000000 left out."""
    return (f"{number % 999_999 + 1:06d}" for number in count(first))


def utc_now() -> datetime:
    """The current instant."""
    return datetime.now(UTC)


class ManagementComposer:
    """Builds 1804 requests of one originator."""

    def __init__(self, *, now: Callable[[], datetime], institution_id: str = "", first_stan: int = 0) -> None:
        """`now` gives instants in UTC. `institution_id` (DE 33) says who asks; none is sent when it is empty."""
        self._now = now
        self._institution_id = institution_id
        self._stans = stans(first_stan)

    def compose(self, function_code: str) -> Message:
        """A request with a trace number of its own. `function_code` is DE 24."""
        moment = self._now()
        fields = {
            7: f"{moment:%m%d%H%M%S}",
            11: next(self._stans),
            12: f"{moment:%y%m%d%H%M%S}",
            24: function_code,
        }
        if self._institution_id:
            fields[33] = self._institution_id
        return Message("1804", fields)


def answer_management(request: Message, action_code: str = ACCEPTED) -> Message:
    """The 1814 to an 1804."""
    return _answer(request, _ECHOED_BY_MANAGEMENT, action_code)


def turn_away(request: Message, action_code: str) -> Message:
    """An answer to a request that nobody looked at. `action_code` is DE 39."""
    return _answer(request, _ECHOED_BY_MANAGEMENT if request.mti[1] == "8" else _ECHOED, action_code)


def _answer(request: Message, echoed: tuple[int, ...], action_code: str) -> Message:
    given = request.fields
    fields = {number: given[number] for number in echoed if number in given}
    fields[39] = action_code
    return request.answer(fields)
