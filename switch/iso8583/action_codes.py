"""DE 39 in both versions: action codes of 1993 (three digits) and response codes of 1987 (two).

1993 says more: where several of its codes share one of 1987, the way back gives the most general. The 1987 codes are
the closest in meaning; no standard gives such a table.
"""

from typing import Final

ACTION_TO_RESPONSE: Final = {
    "000": "00", "001": "08", "002": "10", "003": "11", "004": "16", "005": "00", "006": "10", "007": "00",
    "100": "05", "101": "54", "102": "59", "103": "60", "104": "62", "105": "66", "106": "75", "107": "01",
    "108": "02", "109": "03", "110": "13", "111": "14", "112": "55", "113": "23", "114": "39", "115": "40",
    "116": "51", "117": "55", "118": "56", "119": "57", "120": "58", "121": "61", "122": "63", "123": "65",
    "124": "93", "125": "62", "126": "55", "127": "55", "128": "96", "129": "59",
    "200": "04", "201": "33", "202": "34", "203": "35", "204": "36", "205": "37", "206": "38", "207": "07",
    "208": "41", "209": "43", "210": "34",
    "300": "00", "301": "24", "302": "25", "303": "26", "304": "27", "305": "28", "306": "29", "307": "30",
    "308": "26", "309": "25",
    "400": "00",
    "500": "00", "501": "95", "502": "95", "503": "95", "504": "95",
    "600": "00", "601": "25", "602": "25", "603": "12", "604": "25", "605": "00", "606": "25",
    "700": "00",
    "800": "00",
    "900": "00", "901": "00", "902": "12", "903": "19", "904": "30", "905": "31", "906": "90", "907": "91",
    "908": "92", "909": "96", "910": "91", "911": "91", "912": "91", "913": "94", "914": "25", "915": "95",
    "916": "63", "917": "96", "918": "96", "919": "96", "920": "63", "921": "63", "922": "96", "923": "09",
    "950": "57",
}  # fmt: skip
_RESPONSE_TO_ACTION: Final = {
    "00": "000", "01": "107", "02": "108", "03": "109", "04": "200", "05": "100", "06": "909", "07": "207",
    "08": "001", "09": "923", "10": "002", "11": "003", "12": "902", "13": "110", "14": "111", "15": "908",
    "16": "004", "19": "903", "20": "909", "21": "914", "22": "909", "23": "113", "24": "301", "25": "914",
    "26": "308", "27": "304", "28": "305", "29": "306", "30": "904", "31": "905", "32": "002", "33": "201",
    "34": "202", "35": "203", "36": "204", "37": "205", "38": "206", "39": "114", "40": "115", "41": "208",
    "42": "114", "43": "209", "44": "114", "51": "116", "52": "114", "53": "114", "54": "101", "55": "117",
    "56": "118", "57": "119", "58": "120", "59": "102", "60": "103", "61": "121", "62": "104", "63": "122",
    "64": "110", "65": "123", "66": "105", "67": "200", "68": "911", "75": "106", "90": "906", "91": "907",
    "92": "908", "93": "124", "94": "913", "95": "915", "96": "909",
}  # fmt: skip
# what 00 says, by the class of the message: a reversal accepted is no approval
_DONE_OF_CLASS: Final = {"3": "300", "4": "400", "5": "500", "6": "600", "7": "700", "8": "800"}
_ADVICE_RESPONSE: Final = "3"
_ADVICE_ACKNOWLEDGED: Final = "900"
_OWN_OF_CLASS: Final = {("3", "25"): "302", ("3", "30"): "307", ("6", "25"): "601", ("5", "95"): "501"}
_GENERAL: Final = {"0": "00", "1": "05", "2": "04", "3": "29", "4": "00", "5": "95", "6": "25", "7": "00", "8": "00"}
_MALFUNCTION: Final = "96"
DO_NOT_HONOUR: Final = "100"

REASON_TO_RESPONSE: Final = {
    "4000": "17", "4001": "21", "4002": "22", "4003": "30", "4004": "32", "4006": "68", "4020": "20", "4021": "68",
}  # fmt: skip
"""Why a reversal is sent: DE 25 of 1993, DE 39 of a 1987 reversal."""
_RESPONSE_TO_REASON: Final = {
    "17": "4000", "20": "4020", "21": "4001", "22": "4002", "30": "4003", "32": "4004", "68": "4021",
}  # fmt: skip
_UNSPECIFIED_REASON: Final = "4001"


def to_response_code(action_code: str) -> str:
    """The 1987 response code of an action code; one that has none falls back on its group's."""
    return ACTION_TO_RESPONSE.get(action_code) or _GENERAL.get(action_code[:1], _MALFUNCTION)


def to_action_code(response_code: str, mti: str) -> str:
    """The action code of a 1987 response code in a message of this type. An unknown code is a refusal (100)."""
    kind = mti[1]
    if response_code == "00":
        if kind in "12" and mti[2] == _ADVICE_RESPONSE:
            return _ADVICE_ACKNOWLEDGED
        return _DONE_OF_CLASS.get(kind, "000")
    return _OWN_OF_CLASS.get((kind, response_code)) or _RESPONSE_TO_ACTION.get(response_code, DO_NOT_HONOUR)


def to_reversal_response_code(reason: str) -> str | None:
    """What a 1987 reversal says in DE 39 for a reason code of 1993; None when there is nothing like it."""
    return REASON_TO_RESPONSE.get(reason)


def to_reversal_reason(response_code: str) -> str:
    """The reason code of 1993 for what a 1987 reversal says in DE 39."""
    return _RESPONSE_TO_REASON.get(response_code, _UNSPECIFIED_REASON)
