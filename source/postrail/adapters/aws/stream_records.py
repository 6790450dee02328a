"""Rows of the table `authorizations`, as its DynamoDB stream brings them."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from postrail.adapters.aws.messages import Message
from postrail.contracts.base import Id
from postrail.contracts.payment import Authorization
from postrail.domain.errors import ReasonCode
from postrail.stages.decode import Refusal, TextDecoder, check_text, explain_errors, refuse
from postrail.stages.deduplicate import Candidate

_IMAGE: Final = ("dynamodb", "NewImage")


class AuthorizationRow(BaseModel):
    """What the stream must bring of a row; further attributes are the switch's own business."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    payment_id: Id
    correlation_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{8,64}$")]
    authorization: str


_authorizations: Final = TextDecoder(Authorization, "authorization")


def read_stream_record(message: Message) -> tuple[Candidate, str] | Refusal:
    """The candidate in a stream record and its correlation id, or why the record is refused.

    The stream record's own id is the owner: however often the stream brings the record, it is the same claim.
    """
    record = message.record or {}
    image = record.get("dynamodb", {}).get("NewImage") if isinstance(record.get("dynamodb"), dict) else None
    if not message.message_id or not isinstance(image, dict):
        return refuse(ReasonCode.MISSING_FIELD, "eventID or dynamodb.NewImage is missing", message.body)
    text = json.dumps(image, ensure_ascii=False)
    refusal = check_text(text, len(text.encode(errors="surrogatepass")), refuses_clear_pans=True)
    if refusal is not None:
        return refusal
    try:
        row = AuthorizationRow.model_validate(_strings(image))
    except ValidationError as error:
        return refuse(*explain_errors(error, _IMAGE), message.body)
    authorization = _authorizations.decode(row.authorization)
    if isinstance(authorization, Refusal):
        return Refusal(authorization.reason, authorization.detail, row.payment_id, row.correlation_id)
    if authorization.payment_id != row.payment_id:
        detail = "payment_id is not that of the authorization"
        return Refusal(ReasonCode.INVALID_VALUE, detail, row.payment_id, row.correlation_id)
    return Candidate(message.message_id, authorization, row.authorization), row.correlation_id


def _strings(image: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.get("S", value) if isinstance(value, dict) else value for name, value in image.items()}
