"""Requests that change something are done once: the same key with the same content is answered alike."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from postrail.adapters.postgres.connection import Database
from postrail.contracts.base import Contract
from postrail.domain.authorization import content_fingerprint
from switch.issuing.callers import Caller
from switch.issuing.refusals import IssuingRefused, Refusal

BodyT_co = TypeVar("BodyT_co", bound=Contract, covariant=True)
AnswerT = TypeVar("AnswerT", bound=Contract)


@dataclass(frozen=True, slots=True)
class Ask(Generic[BodyT_co]):
    """One request of one caller. `request_key` is empty for those that only read."""

    caller: Caller
    operation: str
    request_key: str
    body: BodyT_co

    @property
    def names(self) -> tuple[str, str, str, str]:
        """What it is known by: keys of one caller and operation do not meet those of others."""
        return self.caller.bank_id, self.caller.subject, self.operation, self.request_key

    @property
    def fingerprint(self) -> str:
        """Its content: that the same key comes with another is a mistake of the caller's."""
        return content_fingerprint(self.operation, self.body.model_dump_json())


class RequestBook:
    """Keeps requests with their answers, in the transaction of what they ask for."""

    def __init__(self, database: Database, sql: Mapping[str, str]) -> None:
        """`sql` holds claim_request, read_request and keep_answer."""
        self._database = database
        self._sql = sql

    def once(self, ask: Ask[Contract], work: Callable[[], AnswerT], answer: type[AnswerT]) -> tuple[AnswerT, bool]:
        """What `work` answers, and True; on a repetition the stored answer, and False.

        Work and answer are committed together. Of two equal requests at once the second waits for the first. What work
        raises undoes all of it, so that the request may be tried again. Raises IssuingRefused(REQUEST_KEY_REUSED).
        """
        with self._database.transaction():
            if self._database.execute(self._sql["claim_request"], *ask.names, ask.fingerprint) == "INSERT 0 0":
                return self._stored(ask, answer), False
            made = work()
            self._database.execute(self._sql["keep_answer"], *ask.names, made.model_dump_json())
        return made, True

    def _stored(self, ask: Ask[Contract], answer: type[AnswerT]) -> AnswerT:
        row = self._database.fetch_one(self._sql["read_request"], *ask.names)
        if row is None or row["fingerprint"].hex != ask.fingerprint:
            raise IssuingRefused(
                Refusal.REQUEST_KEY_REUSED, "this key came with another request before: take a new one"
            )
        return answer.model_validate_json(row["answer"])
