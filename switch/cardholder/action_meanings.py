"""What action codes (ISO 8583:1993 DE 39) say, in few words, for people who read messages."""

from typing import Final

ACTION_MEANINGS: Final = {
    "000": "approved", "001": "approved, ask for identification", "002": "approved in part", "003": "approved, VIP",
    "004": "approved, update track 3", "005": "approved, the issuer chose the account",
    "006": "approved in part, the issuer chose the account", "007": "approved, update the chip",
    "100": "not approved", "101": "card expired", "102": "fraud suspected", "103": "call the acquirer",
    "104": "card restricted", "105": "call the acquirer's security", "106": "too many PIN tries",
    "107": "ask the issuer", "108": "ask the issuer, special conditions", "109": "no such acceptor",
    "110": "no such amount", "111": "no such card number", "112": "PIN needed", "113": "fee not accepted",
    "114": "no account of this type", "115": "function not supported", "116": "not enough money", "117": "wrong PIN",
    "118": "card not known", "119": "not allowed to this card", "120": "not allowed to this terminal",
    "121": "above the amount limit", "122": "security violated", "123": "used too often", "124": "against the law",
    "125": "card not in use yet", "126": "PIN block invalid", "127": "PIN of a wrong length",
    "128": "PIN keys do not agree", "129": "card may be counterfeit",
    "200": "keep the card", "201": "keep the card: expired", "202": "keep the card: fraud suspected",
    "203": "keep the card: call the acquirer", "204": "keep the card: restricted",
    "205": "keep the card: call security", "206": "keep the card: too many PIN tries",
    "207": "keep the card: special conditions", "208": "keep the card: lost", "209": "keep the card: stolen",
    "210": "keep the card: counterfeit",
    "400": "reversal accepted", "800": "accepted",
    "900": "advice acknowledged, without liability", "901": "advice acknowledged, with liability",
    "902": "no such transaction", "903": "enter it again", "904": "format error",
    "905": "acquirer not served here", "906": "cutover going on", "907": "issuer or switch out of order",
    "908": "no route", "909": "system malfunction", "910": "issuer signed off", "911": "issuer timed out",
    "912": "issuer unavailable", "913": "duplicate", "914": "original not found", "915": "cutover failed",
    "916": "MAC incorrect", "917": "MAC keys do not agree", "918": "no keys for this link",
    "919": "encryption keys do not agree", "920": "security error, try again", "921": "security error",
    "922": "message out of sequence", "923": "still being worked on", "950": "against the rules of business",
}  # fmt: skip


def explain_action(code: str) -> str:
    """The code and its meaning; the code alone when it has none that is agreed on."""
    meaning = ACTION_MEANINGS.get(code)
    return f"{code} {meaning}" if meaning else code
