"""Every event of the bus `payments`. The class name is the detail type; `Event` is the detail.

`Delivered` is what EventBridge hands to a rule's target: the envelope around the detail.
"""

from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from postrail.contracts.base import (
    AmountMinor,
    Contract,
    CurrencyCode,
    Fingerprint,
    Id,
    Instant,
    PaymentKey,
    Text,
)
from postrail.contracts.payment import Authorization, Decision, Enrichment, LegData, PartData
from postrail.domain.errors import ReasonCode

SOURCE = "postrail"
SCHEMA_VERSION = 1


class EventData(Contract):
    """Base of what an event says; its class name is the detail type."""

    schema_version: ClassVar[int] = SCHEMA_VERSION
    terminal: ClassVar[bool] = False
    """Whether the payment's road ends with this event."""

    @classmethod
    def detail_type(cls) -> str:
        """The event's detail type on the bus."""
        return cls.__name__

    def subject_payment_id(self) -> str:
        """The payment that this event is about."""
        raise NotImplementedError


class _AboutAuthorization(EventData):
    authorization: Authorization

    def subject_payment_id(self) -> str:
        return self.authorization.payment_id


class _AboutPayment(EventData):
    payment_id: Id

    def subject_payment_id(self) -> str:
        return self.payment_id


class PaymentAuthorized(_AboutAuthorization):
    """A producer says that a payment was authorized: the published door of the system."""


class PaymentAccepted(_AboutAuthorization):
    """First sight of this payment: it passed the duplicate check."""

    payment_key: PaymentKey
    fingerprint: Fingerprint


class PaymentStandardised(PaymentAccepted):
    """The payment as an ISO 20022 cain.001.001.05 advice, in JSON."""

    message: dict[str, Any]


class PaymentEnriched(PaymentStandardised):
    """The same message completed with what the issuer knows."""

    enrichment: Enrichment


class PaymentApproved(PaymentEnriched):
    """The rules let the payment through."""

    decision: Decision


class PaymentReferred(PaymentApproved):
    """A person must look at the payment before it can be posted."""

    terminal: ClassVar[bool] = True


class PaymentRejected(_AboutAuthorization):
    """The payment will not be posted."""

    terminal: ClassVar[bool] = True
    payment_key: PaymentKey
    stage: Text
    reason_code: ReasonCode
    reason: Text
    decision: Decision | None = None


class DuplicateParked(_AboutPayment):
    """The duplicate check stopped an event; its body lies in the parked-events bucket."""

    terminal: ClassVar[bool] = True
    payment_key: PaymentKey
    reason_code: ReasonCode = Field(description="DUPLICATE, or CONFLICT when the content differs")
    parked_uri: Annotated[str, Field(max_length=1024)]
    first_payment_id: Id
    first_seen_at: Instant


class PostingRequested(_AboutPayment):
    """Part `index` of `total` of one payment's posting sequence. Parts may arrive in any order."""

    sequence_id: Id
    index: Annotated[int, Field(ge=1, le=16)]
    total: Annotated[int, Field(ge=1, le=16)]
    payment_key: PaymentKey
    fingerprint: Fingerprint
    part: PartData
    booking: PaymentApproved | None = Field(
        default=None, description="the approved payment, carried by part 1 alone: source of the posting input"
    )

    @model_validator(mode="after")
    def _check_place(self) -> "PostingRequested":
        if self.index > self.total:
            raise PydanticCustomError("index_beyond_total", "index is greater than total")
        if (self.booking is not None) != (self.index == 1):
            raise PydanticCustomError("booking_place", "part 1, and no other, carries the booking")
        return self


class PaymentPosted(_AboutPayment):
    """All legs of the payment are in the ledger."""

    terminal: ClassVar[bool] = True
    sequence_id: Id
    transaction_id: Id
    payment_key: PaymentKey
    legs: Annotated[tuple[LegData, ...], Field(min_length=2)]
    posted_at: Instant


class PaymentPostingFailed(_AboutPayment):
    """The ledger refused the payment; nothing of it was posted."""

    terminal: ClassVar[bool] = True
    sequence_id: Id
    payment_key: PaymentKey
    reason_code: ReasonCode
    reason: Text


class AuthorizationReversed(_AboutPayment):
    """The issuer undid an approval, whole or in part: a hold was released, or what was posted was turned back."""

    terminal: ClassVar[bool] = True
    reversed_minor: AmountMinor = Field(description="minor units of `currency`, undone by this reversal")
    remaining_minor: Annotated[int, Field(ge=0, lt=2**63)] = Field(description="what is left of the approval")
    currency: CurrencyCode = Field(description="transaction currency, alpha-3")
    message_reason: Annotated[str, Field(pattern=r"^[0-9]{4}$")] = Field(
        description="why: ISO 8583:1993 DE 25, e.g. 4000 customer cancellation, 4021 timeout"
    )
    hold_id: Id | None = Field(default=None, description="the hold that was released")
    transaction_id: Id | None = Field(default=None, description="the ledger's transaction that turned the money back")
    reversed_at: Instant


class PostingSequenceOverdue(_AboutPayment):
    """Parts of a posting sequence are missing for longer than the configured time."""

    sequence_id: Id
    missing: tuple[int, ...]
    total: int
    waiting_seconds: int


EVENT_TYPES: tuple[type[EventData], ...] = (
    PaymentAuthorized,
    PaymentAccepted,
    PaymentStandardised,
    PaymentEnriched,
    PaymentApproved,
    PaymentReferred,
    PaymentRejected,
    DuplicateParked,
    PostingRequested,
    PaymentPosted,
    PaymentPostingFailed,
    AuthorizationReversed,
    PostingSequenceOverdue,
)


class Hop(Contract):
    """One event that came before this one on the payment's road."""

    type: Annotated[str, Field(max_length=40)]
    event_id: Id
    at: Instant


class Metadata(Contract):
    """Who, when, because of what."""

    event_id: Id
    payment_id: Id
    correlation_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{8,64}$")]
    causation_id: Id | None = Field(default=None, description="the event that led to this one")
    occurred_at: Instant
    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    producer: Annotated[str, Field(pattern=r"^[a-z][a-z0-9._-]{1,63}$")]
    trail: Annotated[tuple[Hop, ...], Field(max_length=12)] = Field(
        default=(), description="the events before this one, oldest first: the audit trail travels with the payment"
    )


DataT = TypeVar("DataT", bound=EventData)
"""The data of an event."""


class Event(Contract, Generic[DataT]):
    """The detail of a bus event."""

    metadata: Metadata
    data: DataT

    @model_validator(mode="after")
    def _same_payment(self) -> "Event[DataT]":
        if self.metadata.payment_id != self.data.subject_payment_id():
            raise PydanticCustomError("payment_id_differs", "metadata.payment_id is not the payment of data")
        return self


class Delivered(BaseModel, Generic[DataT]):
    """An EventBridge event as a target receives it. AWS may add fields: they are ignored, ours are not."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: Annotated[str, Field(min_length=1, max_length=64)]
    source: str
    detail_type: str = Field(alias="detail-type")
    detail: Event[DataT]
