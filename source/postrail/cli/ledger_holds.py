"""`postrail ledger hold`, `reverse` and `limit`: money promised, postings taken back, how far an account may go."""

from datetime import datetime, timedelta
from typing import Annotated, NoReturn

import typer

from postrail.adapters.postgres.accounts import Balance, PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.holds import PostgresHolds
from postrail.adapters.postgres.reversals import PostgresReversals
from postrail.adapters.system import SystemClock, SystemIds
from postrail.cli import console
from postrail.cli.amounts import parse_amount
from postrail.cli.failures import CommandError
from postrail.cli.graph import ledger_dsn
from postrail.cli.periods import parse_until
from postrail.domain.errors import Permanent, ReasonCode
from postrail.domain.hold import ExtendHold, Hold, HoldChange, HoldKind, HoldStatus, PlaceHold, ReleaseHold
from postrail.ports import HoldOutcome, HoldResult, PostStatus

EXPIRED_PER_CALL = 1_000

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Place, change, show and expire holds.")

Account = Annotated[str, typer.Argument(help="The ledger's account, e.g. customer:000001:gbp.")]
HoldId = Annotated[str, typer.Argument(metavar="HOLD", help="The hold (hld_…).")]
Key = Annotated[
    str | None,
    typer.Option(help="The request's own key: with it, asking again does nothing twice. Default: a new one."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


def register(to: typer.Typer) -> None:
    """Add the commands of this module to `postrail ledger`."""
    to.add_typer(app, name="hold")
    to.command()(reverse)
    to.command()(limit)


@app.command()
def place(
    account: Account,
    amount: Annotated[str, typer.Argument(help="How much, in the account's currency, e.g. 25.50.")],
    until: Annotated[
        str | None, typer.Option(help="The last day or instant that it holds. Default: 7 days from now.")
    ] = None,
    kind: Annotated[HoldKind, typer.Option(help="What for; a dispute's amount counts as locked.")] = (
        HoldKind.AUTHORIZATION
    ),
    tolerance: Annotated[str, typer.Option(help="How far captures may go over the amount.")] = "0",
    payment: Annotated[str | None, typer.Option(help="The payment (pay_…) that it is for.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Hold money of an account, so that it is not available for anything else."""
    now = SystemClock().now()
    with _database() as database:
        currency = _balance(database, account).currency
        request = PlaceHold(
            hold_id=SystemIds().new_id("hld"),
            change_key=key or _new_key(),
            account_id=account,
            currency=currency,
            amount_minor=parse_amount(amount, currency),
            expires_at=parse_until(until, "--until") if until else now + timedelta(days=7),
            occurred_at=now,
            kind=kind,
            tolerance_minor=parse_amount(tolerance, currency),
            payment_id=payment,
        )
        (result,) = PostgresHolds(database).place([request])
    _report(result, currency, as_json=as_json)


@app.command()
def extend(
    hold: HoldId,
    add: Annotated[str, typer.Option(help="How much more to hold.")] = "0",
    until: Annotated[str | None, typer.Option(help="The new last day or instant.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Hold more, or longer, or both."""
    expires_at = parse_until(until, "--until") if until else None
    with _database() as database:
        currency = _find(database, hold).currency
        request = ExtendHold(hold, key or _new_key(), SystemClock().now(), parse_amount(add, currency), expires_at)
        (result,) = PostgresHolds(database).change([request])
    _report(result, currency, as_json=as_json)


@app.command()
def release(
    hold: HoldId,
    amount: Annotated[str | None, typer.Argument(help="How much to let go. Default: all, which ends it.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Let go of what a hold holds, or of a part of it."""
    with _database() as database:
        currency = _find(database, hold).currency
        amount_minor = None if amount is None else parse_amount(amount, currency)
        request = ReleaseHold(hold, key or _new_key(), SystemClock().now(), amount_minor)
        (result,) = PostgresHolds(database).change([request])
    _report(result, currency, as_json=as_json)


@app.command()
def show(hold: HoldId, as_json: AsJson = False) -> None:
    """Show a hold and everything that happened to it."""
    with _database() as database:
        found = _find(database, hold)
        changes = PostgresHolds(database).history(hold)
    if as_json:
        console.write_json(_document(found) | {"changes": [_change_document(change) for change in changes]})
        return
    console.out().print(console.facts(_facts(found)))
    grid = console.table("change", "amount", "held", "when", "transaction", right=("amount", "held"))
    for change in changes:
        amounts = (_major(change.amount_minor, found.currency), _major(change.held_minor, found.currency))
        grid.add_row(change.change, *amounts, _instant(change.recorded_at), change.transaction_id or "")
    console.out().print()
    console.out().print(grid)


@app.command("list")
def list_(
    account: Annotated[str | None, typer.Option(help="Of this account only.")] = None,
    status: Annotated[HoldStatus | None, typer.Option(help="Only those that stand so.")] = None,
    after: Annotated[str | None, typer.Option(help="Begin behind this hold.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, oldest first.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List holds, oldest first."""
    with _database() as database:
        found = PostgresHolds(database).list_holds(account_id=account, status=status, after=after, limit=limit)
    if as_json:
        console.write_json({"holds": [_document(hold) for hold in found]})
        return
    if not found:
        console.out().print("The ledger has no such hold.")
        return
    grid = console.table("hold", "account", "kind", "status", "holds", "of", "", "until", right=("holds", "of"))
    for hold in found:
        amounts = (_major(hold.remaining_minor, hold.currency), _major(hold.amount_minor, hold.currency))
        grid.add_row(
            hold.hold_id,
            hold.account_id,
            hold.kind.value,
            hold.status.value,
            *amounts,
            hold.currency,
            _instant(hold.expires_at),
        )
    console.out().print(grid)
    if len(found) == limit:
        console.err().print(f"More may follow: --after {found[-1].hold_id}", soft_wrap=True)


@app.command()
def expire(as_json: AsJson = False) -> None:
    """End all holds that are due. Those of accounts that are busy just now are left for the next time."""
    now, ended = SystemClock().now(), 0
    with _database() as database:
        holds = PostgresHolds(database)
        while some := len(holds.expire(now, limit=EXPIRED_PER_CALL)):
            ended += some
    if as_json:
        console.write_json({"expired": ended})
    else:
        console.out().print(f"{ended:,} holds were due and have expired.")


def reverse(
    transaction: Annotated[str, typer.Argument(metavar="TRANSACTION", help="The transaction to take back (txn_…).")],
    reason: Annotated[str, typer.Option(help="Why: it stands on the account's statement.")],
    as_json: AsJson = False,
) -> None:
    """Take back a posted transaction by a new one, leg by leg. It can be done once."""
    with _database() as database:
        (result,) = PostgresReversals(database).reverse(
            [transaction], reason=reason, occurred_at=SystemClock().now(), ids=SystemIds()
        )
    if as_json:
        console.write_json(
            {
                "status": result.status.value,
                "original": result.original_id,
                "reversal": result.transaction_id,
                "reason": result.reason.value if result.reason else None,
                "detail": result.detail or None,
            }
        )
        raise typer.Exit(0 if result.status is PostStatus.POSTED else 1)
    if result.reason is ReasonCode.ALREADY_POSTED:
        msg = f"It was reversed before, by {result.transaction_id}; nothing was done."
        raise CommandError(msg)
    if result.reason is not None:
        _refuse(result.reason, result.detail)
    console.out().print(f"Reversed {result.original_id} by {result.transaction_id}.", soft_wrap=True)


def limit(
    account: Account,
    amount: Annotated[str, typer.Argument(help="How far available may go below zero, e.g. 500.00, or none.")],
    as_json: AsJson = False,
) -> None:
    """Set how far an account may be overdrawn, holds included."""
    with _database() as database:
        currency = _balance(database, account).currency
        limit_minor = None if amount == "none" else parse_amount(amount, currency)
        try:
            PostgresAccounts(database).set_overdraft_limit(account, limit_minor)
        except Permanent as refusal:
            _refuse(refusal.reason, refusal.detail)
    if as_json:
        console.write_json({"account_id": account, "overdraft_limit_minor": limit_minor})
    elif limit_minor is None:
        console.out().print(f"{account} has no limit.")
    else:
        floor = console.format_minor(-limit_minor, currency)
        console.out().print(f"{account} never has less than {floor} available.")


def _report(result: HoldResult, currency: str, *, as_json: bool) -> None:
    if as_json:
        console.write_json(
            {
                "outcome": result.outcome.value,
                "hold_id": result.hold_id,
                "status": result.status.value if result.status else None,
                "remaining_minor": result.remaining_minor,
                "available_minor": result.available_minor,
                "currency": currency,
                "reason": result.reason.value if result.reason else None,
                "detail": result.detail or None,
            }
        )
        raise typer.Exit(1 if result.outcome is HoldOutcome.REFUSED else 0)
    if result.reason is not None:
        _refuse(result.reason, result.detail)
    before = "Done before. " if result.outcome is HoldOutcome.REPEATED else ""
    remaining = console.format_minor(result.remaining_minor or 0, currency)
    available = console.format_minor(result.available_minor or 0, currency)
    status = result.status.value if result.status else ""
    console.out().print(
        f"{before}Hold {result.hold_id} is {status} and holds {remaining}; available: {available}.", soft_wrap=True
    )


def _refuse(reason: ReasonCode, detail: str) -> NoReturn:
    msg = f"The ledger refused ({reason.value}): {detail}."
    raise CommandError(msg)


def _balance(database: Database, account: str) -> Balance:
    found = PostgresAccounts(database).read_balances([account])
    if not found:
        msg = f"The ledger has no account {account}: check the id with `postrail ledger balances`."
        raise CommandError(msg)
    return found[0]


def _find(database: Database, hold_id: str) -> Hold:
    found = PostgresHolds(database).find([hold_id])
    if not found:
        msg = f"The ledger has no hold {hold_id}: check the id with `postrail ledger hold list`."
        raise CommandError(msg)
    return found[0]


def _facts(hold: Hold) -> list[tuple[str, str]]:
    amounts = {
        "amount": hold.amount_minor,
        "holds": hold.remaining_minor,
        "captured": hold.captured_minor,
        "tolerance": hold.tolerance_minor,
    }
    rows = [("hold", hold.hold_id), ("account", hold.account_id), ("kind", hold.kind.value)]
    rows.append(("status", hold.status.value))
    rows += [(name, console.format_minor(amount, hold.currency)) for name, amount in amounts.items()]
    rows += [("payment", hold.payment_id or "none"), ("placed", _instant(hold.placed_at))]
    rows.append(("until", _instant(hold.expires_at)))
    if hold.closed_at is not None:
        rows.append(("ended", _instant(hold.closed_at)))
    return rows


def _document(hold: Hold) -> dict[str, object]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in hold._asdict().items()}


def _change_document(change: HoldChange) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in change._asdict().items()
    }


def _major(amount_minor: int, currency: str) -> str:
    return console.format_minor(amount_minor, currency).rsplit(" ", 1)[0]


def _instant(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds")


def _new_key() -> str:
    return f"command:{SystemIds().new_id('req')}"


def _database() -> Database:
    return Database(ledger_dsn(), application_name="postrail-cli")
