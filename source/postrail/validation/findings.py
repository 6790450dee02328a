"""What a check says: a question with one answer, and the finding that comes of it.

A question answers with a remark, or raises `Wrong` (with what to do) or `NotHere` (with why it cannot be asked). What
AWS refuses is a finding as well: one missing right must not hide the rest.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError

from postrail.domain.errors import PostrailError


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


class Wrong(Exception):
    """Something is not as it must be; `remedy` is one sentence that says what to do."""

    def __init__(self, note: str, remedy: str) -> None:
        super().__init__(note)
        self.note = note
        self.remedy = remedy


class NotHere(Exception):
    """The question has no answer here; `reason` says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Question:
    """One check of one thing: `ask` returns a remark, or raises Wrong, NotHere, ClientError or PostrailError."""

    area: str
    subject: str
    ask: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer to one question. `remedy` is empty unless it failed."""

    area: str
    subject: str
    status: Status
    note: str = ""
    remedy: str = ""

    def document(self) -> dict[str, str]:
        """The finding as one JSON object."""
        return {
            "area": self.area,
            "check": self.subject,
            "status": self.status.value,
            "note": self.note,
            "remedy": self.remedy,
        }


def answer(question: Question) -> Finding:
    """Ask one question. Errors that say nothing about the graph (no credentials, no connection) pass."""
    area, subject = question.area, question.subject
    try:
        return Finding(area, subject, Status.OK, question.ask())
    except Wrong as wrong:
        return Finding(area, subject, Status.FAILED, wrong.note, wrong.remedy)
    except NotHere as absent:
        return Finding(area, subject, Status.SKIPPED, absent.reason)
    except ClientError as error:
        return Finding(area, subject, Status.FAILED, *_of_client_error(error))
    except PostrailError as error:
        return Finding(area, subject, Status.FAILED, str(error), "See the logs of the function that was asked.")


def answer_all(questions: Iterable[Question], on_progress: Callable[[int], None]) -> Iterator[Finding]:
    """Ask one question after the other; `on_progress` hears how many have been answered."""
    for number, question in enumerate(questions, start=1):
        yield answer(question)
        on_progress(number)


def passed(findings: Iterable[Finding]) -> bool:
    """Whether nothing failed; what was skipped does not count."""
    return all(finding.status is not Status.FAILED for finding in findings)


def _of_client_error(error: ClientError) -> tuple[str, str]:
    code = str(error.response.get("Error", {}).get("Code", "error"))
    said = str(error.response.get("Error", {}).get("Message", "")).rstrip(".")
    if "NotFound" in code or "NonExistent" in code or "NoSuch" in code or "DoesNotExist" in code:
        return f"is not there ({code})", "Deploy again: `make deploy` puts back what is missing."
    if code.startswith("AccessDenied") or code in {"AuthorizationError", "UnauthorizedOperation"}:
        return f"{error.operation_name} was refused ({code})", "Use credentials that may read the graph's resources."
    return f"{error.operation_name}: {code} {said}".strip(), "Look the thing up in the console, then deploy again."
