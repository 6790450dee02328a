"""Valid messages that the tests of this folder start from. Card numbers are from published test ranges."""

from datetime import date

from switch.iso8583.message import Message

TODAY = date(2026, 11, 21)
PAN = "4761340000000019"
DIALECTS_1993 = ("iso8583-1993-ascii", "iso8583-1993-binary")
DIALECTS_1987 = ("iso8583-1987-ascii", "iso8583-1987-binary")
DIALECTS = (*DIALECTS_1993, *DIALECTS_1987)
CHIP_DATA = "9F260811223344556677889F2701809F10070601120390A0009F37041A2B3C4D9F360200019505008004E000"


def purchase() -> Message:
    """A chip purchase with PIN."""
    return Message(
        "1100",
        {
            2: PAN,
            3: "000000",
            4: "000000012345",
            7: "1121010203",
            11: "000001",
            12: "261121020203",
            14: "2912",
            22: "510101513304",
            24: "100",
            26: "5411",
            32: "910001",
            35: f"{PAN}=29122011000012300",
            37: "632501000001",
            41: "TERM0001",
            42: "MERCHANT0000001",
            43: "Corner Shop\\\\Leeds\\             GB ",
            49: "826",
            52: "0123456789ABCDEF",
            55: CHIP_DATA,
        },
    )


def approval() -> Message:
    """The answer to purchase()."""
    request = purchase()
    echoed = {number: request[number] for number in (3, 4, 7, 11, 12, 32, 37, 41, 42, 49)}
    return request.answer({**echoed, 38: "A1B2C3", 39: "000", 54: "1002826C000000100000"})


def reversal() -> Message:
    """The reversal of purchase(), with a secondary bitmap: it names an account."""
    request = purchase()
    echoed = {number: request[number] for number in (2, 3, 4, 7, 11, 12, 32, 37, 41, 42, 49)}
    original = "1100" + request[11] + request[12] + "06910001"
    return Message("1420", {**echoed, 24: "400", 25: "4021", 56: original, 102: "GB00NORT91000112345678"})


def echo() -> Message:
    """A network management request."""
    return Message("1804", {7: "1121010203", 11: "000002", 12: "261121020203", 24: "831"})


def purchase_1987() -> Message:
    """purchase() as a terminal of the 1987 edition says it."""
    return Message(
        "0100",
        {
            2: PAN,
            3: "000000",
            4: "000000012345",
            7: "1121010203",
            11: "000001",
            12: "020203",
            13: "1121",
            14: "2912",
            18: "5411",
            22: "051",
            25: "00",
            26: "04",
            32: "910001",
            35: f"{PAN}=29122011000012300",
            37: "632501000001",
            41: "TERM0001",
            42: "MERCHANT0000001",
            43: "Corner Shop              Leeds        GB",
            49: "826",
            52: "0123456789ABCDEF",
            55: CHIP_DATA,
        },
    )


def messages_of(dialect: str) -> list[Message]:
    """Valid messages in a dialect's own version."""
    if dialect in DIALECTS_1987:
        return [
            purchase_1987(),
            Message("0110", {11: "000001", 39: "00", 28: "C00000100"}),
            Message("0800", {7: "1121010203", 11: "000002", 70: "301"}),
        ]
    return [purchase(), approval(), reversal(), echo()]
