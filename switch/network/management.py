"""Answers a cardholder's network management requests (1804) that a link does not answer by itself."""

from typing import Final

from switch.iso8583.message import Message
from switch.links.management import ACCEPTED, KEY_CHANGE, answer_management

CUTOVER: Final = "821"
NO_COMMUNICATION_KEYS: Final = "918"


def manage(request: Message) -> Message | None:
    """The 1814 to a cutover or a key change; None for what the link answers: sign-on, sign-off, echo, unknown.

    A cutover (DE 24 821) is acknowledged: this network keeps no totals of a day that would have to change with it. Keys
    are changed where the HSM is administered and not over links: a key change (811) is refused with 918.
    """
    function = request.get(24)
    if function == CUTOVER:
        return answer_management(request, ACCEPTED)
    if function == KEY_CHANGE:
        return answer_management(request, NO_COMMUNICATION_KEYS)
    return None
