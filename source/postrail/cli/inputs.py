"""The payments that `postrail inject` sends: generated samples, or the lines of a file."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from postrail.adapters.system import SystemIds
from postrail.cli.failures import CommandError
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.authorizations import sample_inputs

LINE_BYTES_MAX = 350_000
"""Longest line of a file. A DynamoDB item may have 400 KB, an EventBridge entry 256 KB."""
LINES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment to send. `body` is an authorization's JSON, or whatever stands in its place in a spoilt one."""

    payment_id: str
    body: Any


def sampled_payments(
    *, count: int, seed: int, duplicates: float, malformed: float, accounts: int, accounts_seed: int, run_id: str
) -> list[Payment]:
    """`count` generated payments on the accounts that `postrail seed` opened with the same two numbers."""
    try:
        inputs = sample_inputs(
            seed,
            count,
            accounts=sample_accounts(accounts_seed, accounts),
            duplicates=duplicates,
            malformed=malformed,
            started_at=datetime.now(UTC),
            run_id=run_id,
        )
        return [Payment(sample.payment_id, sample.authorization) for sample in inputs]
    except ValueError as error:
        msg = f"These numbers make no sample: {error}."
        raise CommandError(msg, exit_code=2) from error


def read_payments(path: Path) -> list[Payment]:
    """The payments of a JSON Lines file: each line an Authorization body, or a whole PaymentAuthorized detail.

    Raises CommandError naming the line that is no JSON object, is too long, or repeats a payment id: payments are
    told apart by their ids, so a duplicate in a file needs an id of its own and the same acquirer fields.
    """
    payments: list[Payment] = []
    line_of: dict[str, int] = {}
    for number, line in _lines(path):
        payment = _read_line(path, number, line)
        first = line_of.setdefault(payment.payment_id, number)
        if first != number:
            msg = f"{path}: lines {first} and {number} have the same payment_id; give each line its own."
            raise CommandError(msg)
        payments.append(payment)
    if not payments:
        msg = f"{path} holds no payments: write one JSON object a line."
        raise CommandError(msg)
    return payments


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LINE_BYTES_MAX + 1), b""), start=1):
            if len(line) > LINE_BYTES_MAX:
                msg = f"{path}: line {number} is longer than {LINE_BYTES_MAX} bytes."
                raise CommandError(msg)
            if number > LINES_MAX:
                msg = f"{path} has more than {LINES_MAX} lines: send it in pieces."
                raise CommandError(msg)
            if line.strip():
                yield number, line


def _read_line(path: Path, number: int, line: bytes) -> Payment:
    try:
        content = json.loads(line)
    except ValueError as error:
        msg = f"{path}: line {number} is no JSON ({error}); write one authorization a line."
        raise CommandError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path}: line {number} holds no JSON object; write one authorization a line."
        raise CommandError(msg)
    body = content
    if "metadata" in content and isinstance(content.get("data"), dict):
        body = content["data"].get("authorization")
    payment_id = body.get("payment_id") if isinstance(body, dict) else None
    if not isinstance(payment_id, str) or not payment_id:
        # A body without an id is sent all the same: it is a dead letter in the making, and needs a name to follow.
        payment_id = SystemIds().new_id("pay")
    return Payment(payment_id, body)
