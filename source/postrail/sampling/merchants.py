"""Sample merchants: invented names as they look on the wire, with real category codes, cities and currencies."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class SampleMerchant:
    """One card acceptor and what its customers usually spend, in whole pounds."""

    acceptor_id: str
    name: str
    city: str
    country: str
    currency: str
    mcc: str
    pounds_from: int
    pounds_to: int


WATCH_LISTED_IDS: Final = ("LUCKYSTAR000777", "COINFALL0000042")
"""Acceptors that the default rule set watches (config/rules/issuer-default.yaml)."""

# acceptor id | name as on the wire | city | country | currency | MCC | usual spend in pounds, from-to
_ROWS: Final = """
HARBOUR00000101 | HARBOUR STREET GROCERS 0142 | London | GB | GBP | 5411 | 4-120
HARBOUR00000118 | HARBOUR STREET GROCERS 0187 | Leeds | GB | GBP | 5411 | 4-120
GREENLANE000021 | GREEN LANE FARM SHOP | Bristol | GB | GBP | 5499 | 3-45
BLUEDOOR0000007 | SQ *BLUE DOOR COFFEE | London | GB | GBP | 5814 | 2-14
CROOKEDSPN00003 | SumUp  *CROOKED SPOON | Edinburgh | GB | GBP | 5812 | 12-90
FOXANDANCHR0012 | THE FOX & ANCHOR | York | GB | GBP | 5813 | 5-60
NORTHWAYFUEL118 | NORTHWAY FUEL STN 118 | Carlisle | GB | GBP | 5541 | 20-95
CITYLINERAIL001 | CITYLINE RAIL TICKETS | Birmingham | GB | GBP | 4112 | 5-140
METROTAP0000001 | METRO TAP TRAVEL | London | GB | GBP | 4111 | 2-10
ASHGROVEPHARM22 | ASH GROVE PHARMACY 22 | Cardiff | GB | GBP | 5912 | 3-40
LANTERNBOOKS005 | LANTERN BOOKS LTD | Oxford | GB | GBP | 5942 | 6-70
OAKANDNAIL00009 | OAK AND NAIL DIY STORE 9 | Sheffield | GB | GBP | 5200 | 8-260
BRIGHTWIRE00031 | BRIGHTWIRE ELECTRICALS | Manchester | GB | GBP | 5732 | 25-900
THIMBLECO000002 | PAYPAL *THIMBLECO | London | GB | GBP | 5651 | 15-180
PARCELPOINT0044 | PARCELPOINT 44 | Glasgow | GB | GBP | 4215 | 4-30
STREAMLARK00001 | STREAMLARK.COM | London | GB | GBP | 5968 | 6-16
HEARTHENERGY001 | HEARTH ENERGY DIRECT | Norwich | GB | GBP | 4900 | 40-210
FENTONDENTAL001 | FENTON DENTAL CARE | Bath | GB | GBP | 8021 | 30-320
STRANDTHEATRE02 | STRAND ROW THEATRE | London | GB | GBP | 7922 | 20-160
LIFFEYMARKET003 | LIFFEY MARKET HALL | Dublin | IE | EUR | 5411 | 5-110
BEARAFISHCO0001 | BEARA FISH CO | Cork | IE | EUR | 5422 | 8-60
WESTCOASTBUS001 | WEST COAST BUS EIREANNTA | Galway | IE | EUR | 4131 | 3-35
CAFECENTRAL0011 | CAFE CENTRAL | Paris | FR | EUR | 5814 | 3-25
HOTELDUPONT0004 | HOTEL DU PONT NEUF | Paris | FR | EUR | 7011 | 90-650
BUCHHAUSBERL002 | SumUp *BUCHHAUS MITTE | Berlin | DE | EUR | 5942 | 8-55
TRATTORIALUNA01 | TRATTORIA LUNA NUOVA | Roma | IT | EUR | 5812 | 14-95
PLAYASOLCAR0001 | PLAYA SOL CAR HIRE | Malaga | ES | EUR | 7512 | 60-480
HUDSONDELI00009 | TST* HUDSON CORNER DELI | New York | US | USD | 5812 | 9-70
PINEGADGET00003 | PINEGADGET ONLINE #5521 | Seattle | US | USD | 5732 | 12-750
CLOUDSHELF00001 | CLOUDSHELF HOSTING | Austin | US | USD | 7372 | 5-120
SHIBUYACAMERA01 | SHIBUYA CAMERA HONTEN | Tokyo | JP | JPY | 5946 | 40-900
GINZARAMEN00002 | GINZA RAMEN YOKO | Tokyo | JP | JPY | 5812 | 5-30
SALMIYAGOLD0001 | SALMIYA GOLD SOUK | Kuwait City | KW | KWD | 5944 | 60-1400
GULFROADCAFE001 | GULF ROAD CAFE | Kuwait City | KW | KWD | 5814 | 3-20
ALPENBAHN000001 | ALPENBAHN TICKETS | Zermatt | CH | CHF | 4112 | 15-160
FJORDFERRY00002 | FJORD FERRY AS | Bergen | NO | NOK | 4411 | 12-140
STOCKWOOL000001 | STOCKWOOL DESIGN AB | Stockholm | SE | SEK | 5712 | 20-340
KRAKOWAMBER0001 | KRAKOW AMBER ATELIER | Krakow | PL | PLN | 5947 | 9-190
SYDNEYSURF00001 | BONDI SURF SUPPLY | Sydney | AU | AUD | 5941 | 18-260
TORONTOMAPLE001 | MAPLE & MAIN | Toronto | CA | CAD | 5311 | 10-210
REYKJAVIKSPA001 | NORTHERN POOLS SPA | Reykjavik | IS | ISK | 7298 | 25-130
LUCKYSTAR000777 | LUCKY STAR CASINO ONLINE | Willemstad | CW | USD | 7995 | 20-400
COINFALL0000042 | COINFALL EXCHANGE | Victoria | SC | EUR | 6051 | 50-900
"""

MERCHANTS: Final = tuple(
    SampleMerchant(acceptor_id, name, city, country, currency, mcc, *map(int, spend.split("-")))
    for acceptor_id, name, city, country, currency, mcc, spend in (
        [field.strip() for field in row.split(" | ")] for row in _ROWS.strip().splitlines()
    )
)
"""All sample merchants, watch-listed ones included."""

CASH_MACHINES: Final = (
    SampleMerchant("ATMLOTHBURY0001", "PRBK ATM LOTHBURY 1", "London", "GB", "GBP", "6011", 10, 300),
    SampleMerchant("ATMDUBLINAIR003", "PRBK ATM DUBLIN AIRPORT", "Dublin", "IE", "EUR", "6011", 20, 300),
    SampleMerchant("ATMNARITA000012", "NARITA TERMINAL 2 ATM", "Narita", "JP", "JPY", "6011", 50, 400),
)
"""Where sample cards draw cash."""

MINOR_PER_POUND: Final = {
    "GBP": 100, "EUR": 116, "USD": 130, "JPY": 190, "KWD": 390, "CHF": 110, "NOK": 1340, "SEK": 1290, "PLN": 495,
    "AUD": 200, "CAD": 178, "ISK": 170,
}  # fmt: skip
"""Round figures that bring a spend in pounds to minor units of the merchant's currency. No exchange rates."""
