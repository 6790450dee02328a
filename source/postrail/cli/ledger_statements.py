"""`postrail ledger statement`, `notification` and `balance`: what accounts hold and held, and why."""

import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Annotated

import typer

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.statements import BalanceNow, BalanceThen, PostgresStatements
from postrail.adapters.system import SystemClock, SystemIds
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import ledger_dsn
from postrail.cli.periods import parse_period, parse_until
from postrail.cli.statement_csv import write_csv
from postrail.cli.statement_text import write_text
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.statement import Statement, TimeBasis
from postrail.iso20022.camt053 import write_statement
from postrail.iso20022.camt054 import write_notification
from postrail.iso20022.camt_common import MessageHead

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{1,30}", re.ASCII)


_HINT = {ReasonCode.ACCOUNT_NOT_FOUND: ": check the id with `postrail ledger balances`"}


class StatementFormat(StrEnum):
    """How a statement is written."""

    TABLE = "table"
    CAMT053 = "camt053"
    CSV = "csv"


Account = Annotated[str, typer.Argument(help="The ledger's account, e.g. customer:000001:gbp.")]
Out = Annotated[Path | None, typer.Option("--out", help="Write to this file instead of standard output.")]
KnownAt = Annotated[
    str | None, typer.Option("--as-known-at", help="Leave out what the ledger recorded after this day or instant.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `postrail ledger`."""
    app.command()(balance)
    app.command()(statement)
    app.command()(notification)


def balance(
    account: Account,
    at: Annotated[
        str | None, typer.Option("--at", help="Only what had happened by the end of this day, or by this instant.")
    ] = None,
    as_known_at: KnownAt = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Show an account's balance now: total, held, locked, available; or its total at a past time."""
    occurred_until = parse_until(at, "--at") if at else None
    recorded_until = parse_until(as_known_at, "--as-known-at") if as_known_at else None
    with _reader() as reader:
        if occurred_until is None and recorded_until is None:
            document, rows = _now(reader.balance_now(account))
        else:
            then = reader.balance_at(account, occurred_until=occurred_until, recorded_until=recorded_until)
            document, rows = _then(then, occurred_until, recorded_until)
    if as_json:
        console.write_json(document)
    else:
        console.out().print(console.facts(rows))


def statement(
    account: Account,
    start: Annotated[str, typer.Option("--from", help="The first day (UTC), or the instant from which on.")],
    end: Annotated[str, typer.Option("--to", help="The last day (UTC), included; or an instant, excluded.")],
    by: Annotated[
        TimeBasis, typer.Option(help="Whether an entry counts when the ledger recorded it, or when it happened.")
    ] = TimeBasis.RECORDED,
    as_known_at: KnownAt = None,
    format_: Annotated[StatementFormat, typer.Option("--format", help="How to write it.")] = StatementFormat.TABLE,
    iban: Annotated[str | None, typer.Option(help="The account's IBAN, for camt053: the ledger knows none.")] = None,
    out: Out = None,
) -> None:
    """Write an account's statement over a period: balances, and every entry with its counter account."""
    period = parse_period(start, end)
    known_at = parse_until(as_known_at, "--as-known-at") if as_known_at else None
    _check_iban(iban)
    with (
        _reader() as reader,
        _sink(out) as sink,
        reader.statement(account, period, by, known_at=known_at, iban=iban) as made,
    ):
        count = _write(made, format_, sink)
    if out is not None:
        closing = console.format_minor(made.closing_minor, made.account.currency)
        _say(f"Wrote {count:,} entries of {account} to {out}; the closing balance is {closing}.")


def notification(
    identifier: Annotated[
        str, typer.Argument(metavar="PAYMENT_OR_TRANSACTION", help="A payment (pay_…) or a transaction (txn_…).")
    ],
    account: Annotated[
        str | None, typer.Option(help="Notify of this account. Default: the customers and merchants it touched.")
    ] = None,
    out: Out = None,
) -> None:
    """Write the camt.054 notification of one transaction, or of a payment and its reversals."""
    with _reader() as reader:
        found = reader.notification(identifier, account)
    with _sink(out) as sink:
        count = write_notification(found.notices, _message_head(), sink, payment=found.payment)
        sink.write(b"\n")
    if out is not None:
        _say(f"Wrote {count:,} entries on {len(found.notices):,} accounts to {out}.")


def _write(made: Statement, format_: StatementFormat, sink: IO[bytes]) -> int:
    if format_ is StatementFormat.CAMT053:
        count = write_statement(made, _message_head(), sink)
        sink.write(b"\n")
        return count
    text = io.TextIOWrapper(sink, encoding="utf-8", newline="")
    try:
        return (write_csv if format_ is StatementFormat.CSV else write_text)(made, text)
    finally:
        # The sink is not this function's to close.
        text.detach()


@contextmanager
def _sink(path: Path | None) -> Iterator[IO[bytes]]:
    """Where bytes go. A file appears under its name only when it is complete."""
    if path is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            # `| head` has seen enough. What is still in the buffer must not be tried again when the process ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        return
    if not path.parent.is_dir():
        msg = f"There is no folder {path.parent}: make it, or name another file."
        raise CommandError(msg)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
        part.chmod(0o666 & ~_umask())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _message_head() -> MessageHead:
    # An id of ours is one character too long for Max35Text: its 32 hex digits are the message's.
    return MessageHead(SystemIds().new_id("msg")[-32:], SystemClock().now().replace(microsecond=0))


def _check_iban(iban: str | None) -> None:
    if iban is not None and _IBAN.fullmatch(iban) is None:
        msg = f"--iban {iban!r} is no IBAN: two letters, two digits, up to 30 letters and digits, without spaces."
        raise CommandError(msg, exit_code=2)


def _now(found: BalanceNow) -> tuple[dict[str, object], list[tuple[str, str]]]:
    amounts = {
        "total": found.total_minor,
        "held": found.held_minor,
        "locked": found.locked_minor,
        "available": found.available_minor,
    }
    limit = found.overdraft_limit_minor
    document: dict[str, object] = {
        "account_id": found.account_id,
        "type": found.type.value,
        "status": found.status.value,
        "name": found.name,
        "currency": found.currency,
        **{f"{name}_minor": amount for name, amount in amounts.items()},
        "overdraft_limit_minor": limit,
        "entry_count": found.entry_count,
        "updated_at": found.updated_at.isoformat(),
    }
    rows = [("account", found.account_id), ("name", found.name), ("status", found.status.value)]
    rows += [(name, console.format_minor(amount, found.currency)) for name, amount in amounts.items()]
    rows.append(("overdraft limit", "none set" if limit is None else console.format_minor(limit, found.currency)))
    rows.append(("entries", f"{found.entry_count:,}"))
    return document, rows


def _then(
    found: BalanceThen, occurred_until: datetime | None, recorded_until: datetime | None
) -> tuple[dict[str, object], list[tuple[str, str]]]:
    account = found.account
    times = {"occurred_until": occurred_until, "recorded_until": recorded_until}
    document: dict[str, object] = {
        "account_id": account.account_id,
        "type": account.type.value,
        "name": account.name,
        "currency": account.currency,
        "total_minor": found.total_minor,
        "entry_count": found.entry_count,
        **{name: instant.isoformat() if instant else None for name, instant in times.items()},
    }
    rows = [("account", account.account_id), ("name", account.name)]
    rows += [(name.replace("_", " "), instant.isoformat()) for name, instant in times.items() if instant]
    rows.append(("total", console.format_minor(found.total_minor, account.currency)))
    rows.append(("entries", f"{found.entry_count:,}"))
    return document, rows


def _say(sentence: str) -> None:
    console.err().print(sentence, soft_wrap=True)


@contextmanager
def _reader() -> Iterator[PostgresStatements]:
    """The ledger's reader; what it refuses becomes one sentence."""
    with Database(ledger_dsn(), application_name="postrail-cli") as database:
        try:
            yield PostgresStatements(database)
        except Permanent as refusal:
            hint = _HINT.get(refusal.reason, "")
            msg = f"{refusal.detail[:1].upper()}{refusal.detail[1:]}{hint}."
            raise CommandError(msg) from refusal
