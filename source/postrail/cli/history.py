"""Everything that is known of one payment, gathered from the table, the ledger, the bucket and the queues."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from postrail.adapters.postgres.batch_trace import BatchRow
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.trace import OutcomeTrace, PaymentTrace, SequenceTrace, trace
from postrail.cli.dead_letters import Letter
from postrail.cli.graph import Graph
from postrail.cli.reversed import Reversed, reversed_of, switch_hops
from postrail.contracts.events import AuthorizationReversed, DuplicateParked, PaymentReferred
from postrail.contracts.payment import Authorization, Decision
from postrail.domain.posting import missing_indexes
from postrail.iso20022.advice import build_advice
from postrail.stages.deduplicate import payment_key_of

_BODY_BYTES_MAX = 500_000


@dataclass(frozen=True, slots=True)
class HistoryHop:
    """One step on the payment's road: an event, the ledger's commit, an audit record or a dead letter.

    `event_id` names the event, transaction or message; an audit record has none of its own.
    """

    name: str
    at: datetime
    event_id: str
    note: str = ""


@dataclass(frozen=True)
class History:
    """All that is known of one payment; what is not known is None or empty."""

    payment_id: str
    row: Mapping[str, str] | None
    database: PaymentTrace | None
    marker: Mapping[str, str] | None = None
    parked: Mapping[str, Any] | None = None
    letters: tuple[Letter, ...] = ()
    hops: tuple[HistoryHop, ...] = field(default=())

    @property
    def sequence(self) -> SequenceTrace | None:
        """The payment's posting sequence, when a part of it has reached the ledger."""
        return self.database.sequences[0] if self.database and self.database.sequences else None

    @property
    def outcome(self) -> OutcomeTrace | None:
        """The event that ended the payment outside the ledger. A reversal is no end of its own: see `reversed`."""
        outcomes = self.database.outcomes if self.database else ()
        return next((each for each in outcomes if each.detail_type != AuthorizationReversed.detail_type()), None)

    @property
    def reversed(self) -> Reversed | None:
        """What the issuer undid of its approval, when it did."""
        return reversed_of(self.database) if self.database else None

    @property
    def correlation_id(self) -> str:
        """The run or request that the payment belongs to."""
        if self.sequence:
            return self.sequence.correlation_id
        if self.outcome:
            return str(self.outcome.event.get("metadata", {}).get("correlation_id", ""))
        return str((self.row or {}).get("correlation_id", "")) or next(
            (letter.correlation_id for letter in self.letters if letter.correlation_id), ""
        )

    @property
    def authorization(self) -> Authorization | None:
        """The authorization, when it is a valid one."""
        return _authorization(self.row, self.database)

    @property
    def decision(self) -> Decision | None:
        """What the rules decided."""
        recorded = self.sequence.decision if self.sequence else None
        if recorded is None and self.outcome:
            recorded = self.outcome.event.get("data", {}).get("decision")
        return Decision.model_validate_json(json.dumps(recorded)) if recorded else None

    @property
    def message(self) -> dict[str, Any] | None:
        """The payment's ISO 20022 advice: the enriched one if there is one, else what standardise makes of it."""
        booking = (self.sequence.booking if self.sequence else None) or (
            self.outcome.event.get("data", {}) if self.outcome else {}
        )
        if booking.get("message"):
            return dict(booking["message"])
        return build_advice(self.authorization) if self.authorization else None

    @property
    def first_payment_id(self) -> str | None:
        """Of a duplicate: the payment that came first."""
        if self.outcome and self.outcome.detail_type == DuplicateParked.detail_type():
            data = self.outcome.event["data"]
            return str(data.get("first_payment_id") or data.get("first_transaction_id") or "another payment")
        if self.marker and self.marker.get("payment_id") != self.payment_id:
            return self.marker.get("payment_id")
        return None

    @property
    def state(self) -> str:
        """One word.

        Posted, parked, rejected, referred, dead_lettered, waiting, in_flight; reversed when its issuer undid all of it
        (of a part, the summary tells), declined when he refused it, held while a pre-authorisation waits for its
        completion, which is a payment of its own.
        """
        if self.reversed and not self.reversed.remaining_minor:
            return "reversed"
        if self.sequence and self.sequence.status != "waiting":
            return "posted" if self.sequence.status == "posted" else "rejected"
        if self.outcome:
            kinds = {DuplicateParked.detail_type(): "parked", PaymentReferred.detail_type(): "referred"}
            return kinds.get(self.outcome.detail_type, "rejected")
        if self.letters:
            return "dead_lettered"
        return "waiting" if self.sequence else self._state_before_the_bus()

    def _state_before_the_bus(self) -> str:
        issuer = self.database.switch.authorization if self.database else None
        if issuer is not None and not issuer.action_code.startswith("00"):
            return "declined"
        return "held" if self.row is not None and "capture" in self.row else "in_flight"

    @property
    def summary(self) -> str:
        """The state as a sentence, with the reason."""
        undone = f"; {self.reversed}" if self.reversed and self.state != "reversed" else ""
        return _summary(self) + undone


def read_ledger_history(dsn: str, payment_id: str) -> History | None:
    """What a ledger without a graph around it knows of a payment; None when it knows nothing. Raises Retryable."""
    with Database(dsn, application_name="postrail-cli") as database:
        found = trace(database, payment_id)
    if found is None:
        return None
    hops = tuple(sorted(_hops(found, ()), key=lambda hop: hop.at))
    return History(payment_id=payment_id, row=None, database=found, hops=hops)


def read_history(graph: Graph, payment_id: str) -> History | None:
    """Gather what is known of a payment; None when nothing is. Raises Retryable, and what boto3 raises."""
    row = _read_row(graph, payment_id)
    with Database(graph.ledger_dsn(), application_name="postrail-cli") as database:
        found = trace(database, payment_id)
    ended = found is not None and (bool(found.outcomes) or any(each.status != "waiting" for each in found.sequences))
    letters = () if ended else _find_letters(graph, payment_id)
    if row is None and found is None and not letters:
        return None
    key = _payment_key(row, found)
    return History(
        payment_id=payment_id,
        row=row,
        database=found,
        marker=_read_item(graph, "dedup", "payment_key", key) if key else None,
        parked=_read_parked(graph, found),
        letters=letters,
        hops=tuple(sorted(_hops(found, letters), key=lambda hop: hop.at)),
    )


def _read_row(graph: Graph, payment_id: str) -> Mapping[str, str] | None:
    return _read_item(graph, "authorizations", "payment_id", payment_id)


def _read_item(graph: Graph, table: str, key_name: str, key: str) -> Mapping[str, str] | None:
    """An item as plain texts, numbers included."""
    answer = graph.client("dynamodb").get_item(
        TableName=graph.table(table), Key={key_name: {"S": key}}, ConsistentRead=True
    )
    item = answer.get("Item")
    return {name: str(next(iter(value.values()))) for name, value in item.items()} if item else None


def _find_letters(graph: Graph, payment_id: str) -> tuple[Letter, ...]:
    with graph.dead_letters() as reader:
        return tuple(letter for letter in reader.look() if letter.payment_id == payment_id)


def _read_parked(graph: Graph, found: PaymentTrace | None) -> Mapping[str, Any] | None:
    for outcome in found.outcomes if found else ():
        uri = outcome.event.get("data", {}).get("parked_uri", "")
        place = urlsplit(uri)
        if place.scheme == "s3":
            answer = graph.client("s3").get_object(Bucket=place.netloc, Key=place.path.lstrip("/"))
            return {"uri": uri, **json.loads(answer["Body"].read(_BODY_BYTES_MAX))}
    return None


def _payment_key(row: Mapping[str, str] | None, found: PaymentTrace | None) -> str | None:
    if found and found.sequences:
        return found.sequences[0].payment_key
    for outcome in found.outcomes if found else ():
        if outcome.event.get("data", {}).get("payment_key"):
            return str(outcome.event["data"]["payment_key"])
    authorization = _authorization(row, found)
    return payment_key_of(authorization) if authorization else None


def _authorization(row: Mapping[str, str] | None, found: PaymentTrace | None) -> Authorization | None:
    bodies = [outcome.event.get("data", {}).get("authorization") for outcome in (found.outcomes if found else ())]
    bodies += [(each.booking or {}).get("authorization") for each in (found.sequences if found else ())]
    texts = [json.dumps(body) for body in bodies if body]
    if row and row.get("authorization"):
        texts.append(row["authorization"])
    for text in texts:
        try:
            return Authorization.model_validate_json(text)
        except ValidationError:
            continue
    return None


def _hops(found: PaymentTrace | None, letters: tuple[Letter, ...]) -> Iterator[HistoryHop]:
    """Every step once; several events may tell of the same earlier ones."""
    seen: set[str] = set()
    for hop in _all_hops(found, letters):
        identity = hop.event_id or hop.name
        if identity not in seen:
            seen.add(identity)
            yield hop


def _all_hops(found: PaymentTrace | None, letters: tuple[Letter, ...]) -> Iterator[HistoryHop]:
    for sequence in found.sequences if found else ():
        yield from _sequence_hops(sequence)
    for outcome in found.outcomes if found else ():
        if outcome.row:
            yield from _row_hop(outcome.row)
        yield from _event_hops(
            outcome.detail_type,
            outcome.event,
            f"line {outcome.row.line} of {outcome.row.source}" if outcome.row else "",
        )
        yield HistoryHop("recorded in the audit trail", outcome.recorded_at, "", outcome.reason_code or "")
    for row in found.outbox if found else ():
        sent = "" if row.sent_at is None else f"on the bus at {_clock_time(row.sent_at)}"
        yield from _event_hops(row.detail_type, row.event, sent or "waits in the outbox")
    for name, at, identity, note in switch_hops(found.switch) if found else ():
        yield HistoryHop(name, at, identity, note)
    for letter in letters:
        yield from _letter_hops(letter)


def _row_hop(row: BatchRow) -> Iterator[HistoryHop]:
    decided_at = (row.document.get("decision") or {}).get("decided_at")
    if decided_at:
        yield HistoryHop(
            "decided in a batch", datetime.fromisoformat(decided_at), "", f"line {row.line} of {row.source}"
        )


def _sequence_hops(sequence: SequenceTrace) -> Iterator[HistoryHop]:
    if sequence.row:
        yield from _row_hop(sequence.row)
    for part in sequence.parts:
        yield from _event_hops(
            f"PostingRequested {part.index} of {sequence.total}",
            part.event,
            "contradicts its sequence" if part.contradicts else str(part.event["data"]["part"]["kind"]),
        )
    if sequence.transaction:
        transaction = sequence.transaction
        yield HistoryHop(
            "committed to the ledger",
            transaction.committed_at or transaction.recorded_at,
            transaction.transaction_id,
            transaction.description,
        )
    elif sequence.closed_at:
        yield HistoryHop("refused by the ledger", sequence.closed_at, sequence.sequence_id, sequence.reason or "")


def _event_hops(name: str, event: Mapping[str, Any], note: str) -> Iterator[HistoryHop]:
    metadata = event.get("metadata", {})
    for hop in metadata.get("trail", ()):
        yield HistoryHop(hop["type"], datetime.fromisoformat(hop["at"]), hop["event_id"])
    if "occurred_at" in metadata:
        yield HistoryHop(name, datetime.fromisoformat(metadata["occurred_at"]), str(metadata.get("event_id")), note)


def _letter_hops(letter: Letter) -> Iterator[HistoryHop]:
    try:
        body = json.loads(letter.body)
    except ValueError:
        body = {}
    detail = body.get("detail") if isinstance(body, dict) else None
    if isinstance(detail, dict) and isinstance(detail.get("metadata"), dict):
        # What lies in a dead-letter queue may be wrong in any way: then it tells no hops.
        with suppress(KeyError, TypeError, ValueError):
            yield from _event_hops(str(body.get("detail-type", "event")), detail, "")
    yield HistoryHop(
        f"dead letter in {letter.queue}", datetime.fromtimestamp(letter.at, UTC), letter.message_id, letter.reason
    )


def _summary(history: History) -> str:
    tell = {
        "reversed": _say_reversed,
        "declined": lambda _: "declined by the issuer: nothing is posted",
        "held": lambda _: "held: a pre-authorisation rests until its completion comes, a payment of its own",
        "posted": lambda _: "posted",
        "parked": _say_parked,
        "rejected": _say_refused,
        "referred": _say_refused,
        "dead_lettered": _say_dead,
        "waiting": _say_waiting,
    }
    return tell.get(history.state, _say_in_flight)(history)


def _say_reversed(history: History) -> str:
    posted = history.sequence is not None and history.sequence.status == "posted"
    return f"reversed {'after' if posted else 'before'} it was posted: {history.reversed}"


def _say_parked(history: History) -> str:
    reason = history.outcome.reason_code if history.outcome else ""
    return f"parked ({reason}): {history.first_payment_id} came first"


def _say_refused(history: History) -> str:
    sequence, outcome = history.sequence, history.outcome
    if sequence and sequence.status == "refused":
        return f"rejected by the ledger ({sequence.reason}){f': {sequence.detail}' if sequence.detail else ''}"
    data = outcome.event.get("data", {}) if outcome else {}
    code = f" ({outcome.reason_code})" if outcome and outcome.reason_code else ""
    text = data.get("reason") or _matched(data)
    return f"{history.state}{code}{f': {text}' if text else ''}"


def _say_dead(history: History) -> str:
    letter = history.letters[0]
    return f"dead-lettered in {letter.queue} ({letter.reason}){f': {letter.detail}' if letter.detail else ''}"


def _say_waiting(history: History) -> str:
    sequence = history.sequence
    if sequence is None:
        return "waiting"
    present = [part.index for part in sequence.parts if not part.contradicts]
    missing = ", ".join(map(str, missing_indexes(present, sequence.total)))
    return f"in flight: {len(present)} of {sequence.total} posting parts are here, missing: {missing}"


def _matched(data: Mapping[str, Any]) -> str:
    decision = data.get("decision") or {}
    reasons = [hit["reason"] for hit in decision.get("matched", ()) if hit["outcome"] == decision.get("outcome")]
    return "; ".join(reasons)


def _say_in_flight(history: History) -> str:
    if history.marker is None:
        return "in flight: its row is in the authorizations table, and the duplicate check has not seen it yet"
    if history.first_payment_id:
        return f"in flight: {history.first_payment_id} has the same key and came first; it is being parked"
    return f"in flight: accepted at {history.marker.get('seen_at', '?')}, not yet in the ledger"


def _clock_time(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
