"""Builds the `cain.001.001.05` advice (AuthorisationInitiationV05) that says what the issuer approved.

The message is JSON-able: nested dicts whose keys are the standard's short element names, texts for all values but
the true/false indicators, lists for elements that may repeat. It is built twice: `build_advice` from what the
network said, `complete_advice` with what the issuer knows. It depends on its inputs alone, so that a retry gives
the same bytes.

The card appears as a token in Tkn/PmtTkn. Card/PAN and the tracks are never written.
"""

import re
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from postrail.contracts.payment import Authorization, Card, Enrichment, EntryMode, Merchant
from postrail.domain.instants import format_instant
from postrail.domain.iso3166 import country_by_alpha2
from postrail.domain.iso4217 import currency_by_code
from postrail.domain.money import decimal_text, format_amount
from postrail.iso20022.cain_layout import ROOT

__all__ = [
    "Message",
    "account_type",
    "build_advice",
    "clean_text",
    "complete_advice",
    "format_amount",
    "format_instant",
    "format_rate",
]

Message = dict[str, Any]
"""A message or a part of it, keyed by short element names."""

_MERCHANTS_REMEMBERED_MAX: Final = 8192
"""Parts of a message that depend on the merchant alone are made once and shared: nobody changes a message."""
_PROTOCOL_VERSION: Final = "5.0"
_INITIATING_PARTY: Final = "POSTRAIL"

# DE 39 of ISO 8583:1993 to the two characters of 1987, which RspnCd takes. The versions have no normative table;
# this one keeps what a 1987 reader would do: partial stays partial, everything else approved stays approved.
_RESPONSE_CODE: Final = {
    "000": "00",
    "001": "08",
    "002": "10",
    "003": "11",
    "004": "16",
    "005": "00",
    "006": "10",
    "007": "00",
}

# CardDataReading11Code, and what the way of reading says about the card and its holder being there.
_CONTEXT_BY_ENTRY_MODE: Final[dict[EntryMode, Message]] = {
    EntryMode.CHIP: {"CardDataNtryMd": "ICCY", "CardPres": True, "CrdhldrPres": True},
    EntryMode.CONTACTLESS: {"CardDataNtryMd": "ICPY", "CardPres": True, "CrdhldrPres": True},
    EntryMode.MAGNETIC_STRIPE: {"CardDataNtryMd": "MGST", "CardPres": True, "CrdhldrPres": True},
    # Typed digits may come from a card on the counter or from a letter: presence is not known.
    EntryMode.MANUAL: {"CardDataNtryMd": "KEEN"},
    EntryMode.ECOMMERCE: {"CardDataNtryMd": "KEEN", "CardPres": False, "CrdhldrPres": False, "EComrc": True},
    EntryMode.CREDENTIAL_ON_FILE: {"CardDataNtryMd": "CDFL", "CardPres": False, "CrdhldrPres": False},
}

# DE 3 positions 3-6: account types of ISO 8583, by the first word of the issuer's product name.
_ACCOUNT_TYPE_BY_PRODUCT: Final = {"savings": "10", "debit": "20", "current": "20", "credit": "30", "prepaid": "60"}
_ACCOUNT_TYPE_UNSPECIFIED: Final = "00"

# Characters that XML 1.0 (section 2.2) cannot carry, and line breaks and tabs, which a name has no use for.
_UNFIT = re.compile("[^\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\u007f-\u009f]")


def clean_text(text: str, length_max: int) -> str:
    """`text` as an XML text of at most `length_max` characters; what XML cannot carry becomes a space."""
    if not text.isprintable():
        text = _UNFIT.sub(" ", text)
    return text[:length_max]


def _numeric(currency: str) -> str:
    return currency_by_code(currency).numeric


@lru_cache(maxsize=1024)
def format_rate(rate: str) -> str:
    """A rate's text as BaseOne25Rate: plain digits, without an exponent and without trailing zeros."""
    text = f"{Decimal(rate):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def build_advice(authorization: Authorization) -> Message:
    """The advice of one approved authorization, before enrichment: {"AuthstnInitn": {...}}, XSD order.

    Source: cain.001.001.05; ISO 8583:1993 data elements as described in docs/iso20022.md.
    """
    currency = authorization.currency
    merchant = authorization.merchant
    return {
        ROOT: {
            "Hdr": _header(authorization),
            "TxChrtcs": {"TxTp": authorization.transaction_type},
            "Acqrr": {"Id": authorization.acquirer_id},
            "Card": _card(authorization.card),
            "TxId": {
                "TrnsmssnDtTm": format_instant(authorization.transmission_at),
                "SysTracAudtNb": authorization.stan,
                "RtrvlRefNb": authorization.rrn,
                "IssrRefData": authorization.payment_id,
            },
            "TxAmts": {"Amt": decimal_text(authorization.amount_minor, currency), "Ccy": _numeric(currency)},
            "Accptr": _acceptor(merchant),
            "Termnl": {"Id": authorization.terminal_id},
            "Cntxt": _context(str(authorization.entry_mode), merchant.mcc),
            "Tkn": {"PmtTkn": authorization.card.token},
            "PrcgRslt": {
                "RspnSrcTp": "CISS",
                "RspnCd": _RESPONSE_CODE[authorization.action_code],
                "ApprvlCd": authorization.approval_code,
                "ActnCd": authorization.action_code,
            },
        }
    }


def complete_advice(message: Message, authorization: Authorization, enrichment: Enrichment) -> Message:
    """`message` (made by `build_advice`) with account, holder, product, merchant, billing and description.

    Returns a new message; the given one is not changed. Completing a completed message again changes nothing.
    """
    body: Message = dict(message[ROOT])
    account, billing = enrichment.account, enrichment.billing
    product = account.product
    body["TxChrtcs"] = {**body["TxChrtcs"], "TxDesc": clean_text(enrichment.description, 1000)}
    body["Card"] = {**body["Card"], "PdctTp": product}
    # ISO 8583 debits take from the account-from; credits (transaction types 20 to 29) go to the account-to.
    place = "AcctTo" if authorization.transaction_type[0] == "2" else "AcctFr"
    body[place] = {"Tp": account_type(product), "Id": account.iban}
    body["Accptr"] = {**body["Accptr"], "BizNm": clean_text(enrichment.merchant.name, 35)}
    body["Crdhldr"] = [{"Nm": clean_text(account.holder_name, 105)}]
    numeric = _numeric(billing.currency)
    amounts = {
        **body["TxAmts"],
        "CrdhldrBllgAmt": decimal_text(billing.amount_minor, billing.currency),
        "CrdhldrBllgCcy": numeric,
    }
    if billing.rate is not None:
        rate = format_rate(billing.rate)
        amounts["CrdhldrBllgFctvXchgRate"] = rate
        quote: Message = {"CntrCcyCd": numeric, "BaseCcyCd": amounts["Ccy"], "Rate": rate}
        if billing.rate_date is not None:
            body["ConvsDtTm"] = {"Dt": billing.rate_date}
            quote = {"Dt": billing.rate_date} | quote
        if billing.rate_source is not None:
            quote = {"Prvdr": clean_text(billing.rate_source, 70)} | quote
        body["XchgRate"] = [quote]
    body["TxAmts"] = amounts
    return {ROOT: body}


@lru_cache(maxsize=256)
def account_type(product: str) -> str:
    """ISO 8583 account type of a product name such as "debit-standard"; "00" (unspecified) when none is known."""
    word = product.replace("_", "-").partition("-")[0]
    return _ACCOUNT_TYPE_BY_PRODUCT.get(word, _ACCOUNT_TYPE_UNSPECIFIED)


def _header(authorization: Authorization) -> Message:
    return {
        "MsgFctn": "ADVC",
        "PrtcolVrsn": _PROTOCOL_VERSION,
        # Max35Text: the prefix of the payment id does not fit, its UUID does. IssrRefData carries the whole.
        "XchgId": authorization.payment_id[-32:],
        # The origin digit of an MTI is odd for a repeat (ISO 8583:1993, message origin).
        "ReTrnsmssnCntr": "001" if authorization.message_type[3] in "13579" else "000",
        # When the issuer approved, not when this function ran: a retry must give the same message.
        "CreDtTm": format_instant(authorization.authorized_at),
        "InitgPtyId": _INITIATING_PARTY,
    }


def _card(card: Card) -> Message:
    part: Message = {}
    if card.sequence_number is not None:
        part["CardSeqNb"] = card.sequence_number
    part["XpryDt"] = card.expiry
    if card.issuer_country is not None:
        part["Ctry"] = country_by_alpha2(card.issuer_country).numeric
    return part


def _acceptor(merchant: Merchant) -> Message:
    return _acceptor_part(merchant.acceptor_id, merchant.name, merchant.city, merchant.country)


@lru_cache(maxsize=_MERCHANTS_REMEMBERED_MAX)
def _acceptor_part(acceptor_id: str, name: str, town: str | None, country_code: str) -> Message:
    country = country_by_alpha2(country_code).alpha3
    address: Message = {}
    city = ""
    if town is not None:
        city = clean_text(town, 35)
        address["TwnNm"] = city
    address["Ctry"] = country
    return {
        "Id": clean_text(acceptor_id, 35),
        "NmAndLctn": _name_and_location(clean_text(name, 60), city, country),
        "Adr": address,
    }


def _name_and_location(name: str, city: str, country: str) -> str:
    r"""DE 43 of 1993, `name\street\city\` and postal code 10, region 3, country 3: 99 characters at most.

    Street, postal code and region are not known. The separators also keep digits of one part from joining those
    of the next.
    """
    name = name.replace("\\", " ")[:45]
    city = city.replace("\\", " ")
    return f"{name}\\\\{city}\\{'':13}{country}"


@lru_cache(maxsize=_MERCHANTS_REMEMBERED_MAX)
def _context(entry_mode: str, mcc: str) -> Message:
    known = _CONTEXT_BY_ENTRY_MODE[EntryMode(entry_mode)]
    return {"CardDataNtryMd": known["CardDataNtryMd"], "MrchntCtgyCd": mcc} | known
