"""Puts accepted payments into the form of the standard: an ISO 20022 cain.001.001.05 advice."""

from collections.abc import Sequence

from postrail.contracts.base import trusted
from postrail.contracts.events import PaymentAccepted, PaymentStandardised
from postrail.iso20022.advice import build_advice


def standardise(payments: Sequence[PaymentAccepted]) -> list[PaymentStandardised]:
    """Each payment with its advice as JSON-able data; results align with `payments`.

    Every valid authorization has an advice, so nothing is refused here. The result is built without validating
    again: its fields are those of a validated payment, and the message is made of them.
    """
    return [
        trusted(
            PaymentStandardised,
            {
                "authorization": payment.authorization,
                "payment_key": payment.payment_key,
                "fingerprint": payment.fingerprint,
                "message": build_advice(payment.authorization),
            },
        )
        for payment in payments
    ]
