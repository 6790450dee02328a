"""What marked payments need before they go, and what is swept up behind them.

Cards go into the reference table and out again. Rows, markers, counters and parked events of the run are deleted; the
ledger takes its postings back. What cannot be deleted stays and is told: the audit trail, and an event under lock.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any

from botocore.exceptions import ClientError
from pydantic import ValidationError

from postrail.adapters.aws.reference_table import card_item
from postrail.contracts.payment import Authorization
from postrail.sampling.selftest import selftest_details
from postrail.stages.deduplicate import payment_key_of
from postrail.validation.deployment import Deployment
from postrail.validation.findings import Question, Wrong
from postrail.validation.stores import Aws

AskLedger = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Asks the ledger's side of a validation one question (`postrail.adapters.aws.ledger_check`)."""

_RUN_AGAIN = "Delete it by hand: it carries the run's id."


def put_cards(dynamodb: Any, table: str, tokens: Sequence[str]) -> list[str]:
    """Give the reference table the cards of marked payments that it lacks; the tokens of those it lacked."""
    lacked = []
    for token in tokens:
        details = selftest_details(token)
        if details is None:
            continue
        try:
            dynamodb.put_item(
                TableName=table, Item=card_item(token, details), ConditionExpression="attribute_not_exists(pk)"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
        else:
            lacked.append(token)
    return lacked


@dataclass(slots=True)
class Traces:
    """What a run has left behind so far. `bodies` are its authorizations as they were sent."""

    run_id: str
    bodies: Sequence[Mapping[str, Any]]
    row_ids: Sequence[str] = ()
    cards: Sequence[str] = ()
    parked_uris: set[str] = field(default_factory=set)


def questions_on_sweeping(traces: Traces, deployment: Deployment, aws: Aws, ask: AskLedger) -> Iterator[Question]:
    """One question for each kind of trace: is it gone? Asking it is what removes it."""
    dynamodb = aws("dynamodb")
    reference, row = deployment.tables["reference"].name, deployment.tables["authorizations"].name
    cards = [{"pk": card_item(token, details)["pk"]} for token, details in _details_of(traces.cards)]
    rows = [{"payment_id": {"S": payment_id}} for payment_id in traces.row_ids]
    keys, counters = _keys_of(traces.bodies)
    yield Question("cleanup", "postings", partial(_take_back, ask, traces.run_id))
    yield Question("cleanup", "rows of the table", partial(_delete, dynamodb, row, rows))
    yield Question("cleanup", "duplicate markers", partial(_delete, dynamodb, deployment.tables["dedup"].name, keys))
    velocity = deployment.tables["velocity"].name
    yield Question("cleanup", "card counters", partial(_delete, dynamodb, velocity, counters))
    yield Question("cleanup", "parked events", partial(_unpark, aws("s3"), sorted(traces.parked_uris)))
    yield Question("cleanup", "cards", partial(_delete, dynamodb, reference, cards))


def _details_of(tokens: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for token in tokens:
        details = selftest_details(token)
        if details is not None:
            yield token, details


def _keys_of(bodies: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The dedup markers' and the velocity counters' keys; a malformed body never had one."""
    markers, counters = set(), set()
    for body in bodies:
        try:
            authorization = Authorization.model_validate(body, strict=False)
        except ValidationError:
            continue
        markers.add(payment_key_of(authorization))
        counters.add(f"{authorization.card.token}#{authorization.authorized_at.astimezone(UTC):%Y%m%d%H}")
    return [{"payment_key": {"S": key}} for key in sorted(markers)], [{"pk": {"S": key}} for key in sorted(counters)]


def _delete(dynamodb: Any, table: str, keys: Sequence[Mapping[str, Any]]) -> str:
    for key in keys:
        dynamodb.delete_item(TableName=table, Key=key)
    return f"{len(keys)} deleted" if keys else "none were made"


def _take_back(ask: AskLedger, run_id: str) -> str:
    answered = ask({"ask": "take_back", "run_id": run_id})
    if answered["refused"]:
        raise Wrong("; ".join(answered["refused"]), "Take it back by hand: `postrail ledger reverse`.")
    return f"{answered['taken_back']} taken back by reversals; what the audit trail recorded stays"


def _unpark(s3: Any, uris: Sequence[str]) -> str:
    locked = 0
    for uri in uris:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        for version in s3.list_object_versions(Bucket=bucket, Prefix=key, MaxKeys=10).get("Versions", []):
            try:
                s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "AccessDenied":
                    raise
                locked += 1
    if locked:
        return f"{locked} under lock stay until their retention ends"
    return f"{len(uris)} deleted" if uris else "none were made"
