"""From a Lambda input to a stage and back: read, one call of the stage for the batch, publish, answer.

What can go wrong with one message stays with it. An input that can never be processed goes to the stage's
dead-letter queue with its reason and counts as done. One that cannot be processed now is answered as failed, so that
its queue delivers it again. When the stage itself breaks, the batch is halved until the message that breaks it is
alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from postrail.adapters.aws.messages import Form, Message, messages_of
from postrail.adapters.aws.observability import Telemetry
from postrail.adapters.aws.outcome_figures import count_outcomes
from postrail.contracts.events import Event
from postrail.domain.errors import Permanent, Retryable
from postrail.ports import DeadLetter, DeadLetters, EventBus
from postrail.stages.decode import Refusal

ItemT = TypeVar("ItemT")


class PipeAnswer(Protocol):
    """How a stage answers a list: which of the events it publishes itself, and what it returns."""

    def __call__(self, events: "Sequence[Event[Any]]") -> "tuple[list[Event[Any]], Any]":
        """(events to publish, answer to return)."""
        ...


@dataclass(slots=True)
class _Batch(Generic[ItemT]):
    """What became of each message, by its index."""

    messages: list[Message]
    items: dict[int, ItemT] = field(default_factory=dict)
    effects: "dict[int, list[Event[Any]]]" = field(default_factory=dict)
    letters: dict[int, DeadLetter] = field(default_factory=dict)
    failures: dict[int, Exception] = field(default_factory=dict)

    def events(self) -> "list[tuple[int, Event[Any]]]":
        return [(index, event) for index, events in self.effects.items() for event in events]


def publish_everything(events: "Sequence[Event[Any]]") -> "tuple[list[Event[Any]], Any]":
    """The answer of a stage that has nothing to return: its events go to the bus."""
    return list(events), {"batchItemFailures": []}


class StageHandler(Generic[ItemT]):
    """One stage behind one Lambda function."""

    def __init__(
        self,
        stage: str,
        *,
        read: Callable[[Message], ItemT | Refusal],
        ids_of: Callable[[ItemT], tuple[str, str]],
        work: "Callable[[Sequence[ItemT]], list[list[Event[Any]]]]",
        bus: EventBus,
        dead_letters: DeadLetters,
        telemetry: Telemetry,
        pipe_answer: PipeAnswer = publish_everything,
    ) -> None:
        """`work` returns the events that follow from each item, aligned; `ids_of` payment and correlation id."""
        self._stage = stage
        self._read = read
        self._ids_of = ids_of
        self._work = work
        self._bus = bus
        self._dead_letters = dead_letters
        self._telemetry = telemetry
        self._pipe_answer = pipe_answer

    def handle(self, event: Any) -> Any:
        """Process a Lambda input and make its answer.

        Raises Retryable for a real-time event, or a list, of which something could not be processed now.
        """
        form, messages = messages_of(event)
        batch: _Batch[ItemT] = _Batch(messages)
        self._read_all(batch)
        self._work_on(batch, list(batch.items))
        answer = self._settle_list(batch) if form is Form.LIST else self._settle(batch)
        self._tell(batch, comes_again=form is Form.LIST and bool(batch.failures))
        if batch.failures and form is not Form.QUEUE:
            msg = f"{len(batch.failures)} of {len(messages)} cannot be processed now"
            raise Retryable(msg) from next(iter(batch.failures.values()))
        if form is Form.QUEUE:
            failed = sorted(batch.failures)
            return {"batchItemFailures": [{"itemIdentifier": messages[index].message_id} for index in failed]}
        return answer

    def _read_all(self, batch: _Batch[ItemT]) -> None:
        for index, message in enumerate(batch.messages):
            item = self._read(message)
            if isinstance(item, Refusal):
                batch.letters[index] = self._letter(message, item)
            else:
                batch.items[index] = item

    def _work_on(self, batch: _Batch[ItemT], indexes: list[int]) -> None:
        if not indexes:
            return
        try:
            effects = self._work([batch.items[index] for index in indexes])
        except Retryable as error:
            batch.failures.update(dict.fromkeys(indexes, error))
        except Exception as error:  # noqa: BLE001 - a poison message must not take its neighbours, whatever it raises
            self._work_on_halves(batch, indexes, error)
        else:
            batch.effects.update(zip(indexes, effects, strict=True))

    def _work_on_halves(self, batch: _Batch[ItemT], indexes: list[int], error: Exception) -> None:
        if len(indexes) > 1:
            middle = len(indexes) // 2
            self._work_on(batch, indexes[:middle])
            self._work_on(batch, indexes[middle:])
            return
        index = indexes[0]
        payment_id, correlation_id = self._ids_of(batch.items[index])
        if isinstance(error, Permanent):
            refusal = Refusal(error.reason, error.detail, payment_id, correlation_id)
            batch.letters[index] = self._letter(batch.messages[index], refusal)
        else:
            self._telemetry.broken(error, payment_id=payment_id, correlation_id=correlation_id)
            batch.failures[index] = error

    def _settle(self, batch: _Batch[ItemT]) -> Any:
        owners_events = batch.events()
        self._publish(batch, owners_events)
        self._send_letters(batch)
        return {"batchItemFailures": []}

    def _settle_list(self, batch: _Batch[ItemT]) -> Any:
        # All or nothing: the list comes again whole, so that nothing leaves before all of it can.
        if batch.failures:
            return None
        owners_events = batch.events()
        published, answer = self._pipe_answer([event for _, event in owners_events])
        chosen = {id(event) for event in published}
        self._publish(batch, [(index, event) for index, event in owners_events if id(event) in chosen])
        if not batch.failures:
            self._send_letters(batch)
        return answer

    def _publish(self, batch: _Batch[ItemT], owners_events: "list[tuple[int, Event[Any]]]") -> None:
        if not owners_events:
            return
        for position in self._bus.publish([event for _, event in owners_events]):
            batch.failures[owners_events[position][0]] = Retryable("the bus did not take the event")

    def _send_letters(self, batch: _Batch[ItemT]) -> None:
        if not batch.letters:
            return
        try:
            self._dead_letters.send(list(batch.letters.values()))
        except Retryable as error:
            batch.failures.update(dict.fromkeys(batch.letters, error))

    def _letter(self, message: Message, refusal: Refusal) -> DeadLetter:
        return DeadLetter(
            stage=self._stage,
            reason=refusal.reason,
            detail=refusal.detail,
            body=message.body,
            payment_id=refusal.payment_id,
            correlation_id=refusal.correlation_id,
        )

    def _tell(self, batch: _Batch[ItemT], *, comes_again: bool) -> None:
        """Say what became of the batch. What comes again, of a list all of it, is counted when it is done."""
        done = set() if comes_again else set(range(len(batch.messages))) - batch.failures.keys()
        letters = [letter for index, letter in batch.letters.items() if index in done]
        for letter in letters:
            self._telemetry.refused(letter)
        for index, error in batch.failures.items():
            payment_id, correlation_id = self._ids_of(batch.items[index]) if index in batch.items else (None, None)
            self._telemetry.failed(error, payment_id=payment_id, correlation_id=correlation_id)
        events = [event for index, event in batch.events() if index in done]
        count_outcomes(events, self._telemetry)
        self._telemetry.batch(
            received=len(batch.messages),
            published=len(events),
            refused=len(letters),
            failed=len(batch.failures),
            payments=[self._ids_of(item) for item in batch.items.values()],
        )
