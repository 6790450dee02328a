"""An approval in the pipeline's terms: the item that is relayed to the table `authorizations`.

It is written as JSON straight away, without building the contract: `requests` has checked every part against the
contract's bounds, and tests read what is written here back with the contract itself.
"""

from datetime import datetime
from typing import Any, Final

import orjson

from postrail.domain.instants import format_instant
from switch.bank.requests import Request
from switch.correlation import correlation_of_key

CAPTURE_LATER: Final = "later"
"""Of a pre-authorisation: the pipeline lets it rest, its completion brings an item of its own."""


def describe(
    request: Request,
    *,
    payment_id: str,
    hold_id: str | None,
    card_token: str,
    card_expiry: str,
    issuer_country: str,
    approval_code: str,
    decided_at: datetime,
) -> dict[str, Any]:
    """The content of `contracts.payment.Authorization`. Ids are hex digits, without prefix.

    The bank names the payment itself (`idempotency_key`): it has seen to it that each is approved once, and an approval
    that left the bank is never taken for another's repetition.
    """
    acceptor = request.acceptor
    content: dict[str, Any] = {
        "payment_id": f"pay_{payment_id}",
        "idempotency_key": f"bank:{payment_id}",
        "message_type": request.message_type,
        "transaction_type": request.transaction_type,
        "acquirer_id": request.acquirer_id,
        "stan": request.stan,
        "rrn": request.rrn,
        "terminal_id": request.terminal_id,
        "transmission_at": format_instant(request.transmitted_at, microseconds=True),
        "authorized_at": format_instant(decided_at, microseconds=True),
        "card": {
            "token": card_token,
            "expiry": card_expiry,
            "sequence_number": request.sequence_number,
            "issuer_country": issuer_country,
        },
        "amount_minor": request.amount_minor,
        "currency": request.currency,
        "action_code": "000",
        "approval_code": approval_code,
        "entry_mode": request.entry_mode.value,
        "merchant": {
            "acceptor_id": acceptor.acceptor_id,
            "name": acceptor.name,
            "city": acceptor.city,
            "country": acceptor.country,
            "mcc": acceptor.mcc,
        },
        "hold_id": f"hld_{hold_id}" if hold_id else None,
    }
    return content


def describe_completion(
    original: dict[str, Any],
    *,
    payment_id: str,
    message_type: str,
    stan: str,
    rrn: str,
    transmitted_at: datetime,
    amount_minor: int,
    decided_at: datetime,
) -> dict[str, Any]:
    """The content of a completion: that of its pre-authorisation, hold and all, but for what is the message's own."""
    return original | {
        "payment_id": f"pay_{payment_id}",
        "idempotency_key": f"bank:{payment_id}",
        "message_type": message_type,
        "stan": stan,
        "rrn": rrn,
        "transmission_at": format_instant(transmitted_at, microseconds=True),
        "authorized_at": format_instant(decided_at, microseconds=True),
        "amount_minor": amount_minor,
    }


def write_item(content: dict[str, Any], key: str, *, capture_later: bool = False) -> str:
    """The attributes of an item of the table, as JSON: what `relay` sends."""
    item = {
        "payment_id": content["payment_id"],
        "action_code": content["action_code"],
        "authorized_at": content["authorized_at"],
        "correlation_id": correlation_of_key(key),
        "authorization": orjson.dumps(content).decode(),
    }
    if capture_later:
        item["capture"] = CAPTURE_LATER
    return orjson.dumps(item).decode()
