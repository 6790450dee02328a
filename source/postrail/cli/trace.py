"""`postrail trace`: every hop of one payment, the decision, the postings and the balances."""

import sys
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, Any

import typer

from postrail.adapters.postgres.trace import LegTrace, SequenceTrace
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import load_graph
from postrail.cli.history import History, read_history, read_ledger_history
from postrail.contracts.payment import Decision
from postrail.iso20022.cain import to_xml
from postrail.settings import CommandLineSettings

app = typer.Typer(add_completion=False)


@app.command()
def trace(
    payment_id: Annotated[
        str, typer.Argument(metavar="PAYMENT_ID", help="The payment, e.g. pay_0197f0a0c0de7abc8def0123456789ab.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
    as_xml: Annotated[bool, typer.Option("--xml", help="The payment's ISO 20022 message (cain.001) as XML.")] = False,
) -> None:
    """Show every hop of one payment: times, event ids, the decision, posting legs, balances, how it ended."""
    if as_json and as_xml:
        raise CommandError("Choose one of --json and --xml.", exit_code=2)
    history = _read(payment_id)
    if history is None:
        msg = (
            f"No payment {payment_id} is known here: check the id. One that was put on the bus a moment ago may still "
            "be on its way."
        )
        raise CommandError(msg)
    if as_xml:
        _print_xml(history)
    elif as_json:
        console.write_json(document(history))
    else:
        show(history)


def _read(payment_id: str) -> History | None:
    """From the graph; from a ledger alone where one is named and no graph is there."""
    settings = CommandLineSettings()
    try:
        graph = load_graph(settings)
    except CommandError:
        if not settings.ledger_dsn:
            raise
        return read_ledger_history(settings.ledger_dsn, payment_id)
    return read_history(graph, payment_id)


def _print_xml(history: History) -> None:
    message = history.message
    if message is None:
        msg = f"{history.payment_id} has no valid authorization, so there is no message of it: {history.summary}."
        raise CommandError(msg)
    sys.stdout.write(to_xml(message).decode("utf-8").rstrip("\n") + "\n")


def document(history: History) -> dict[str, Any]:
    """The history as one JSON object."""
    sequence, decision = history.sequence, history.decision
    return {
        "payment_id": history.payment_id,
        "state": history.state,
        "summary": history.summary,
        "correlation_id": history.correlation_id,
        "first_payment_id": history.first_payment_id,
        "hops": [
            {"type": hop.name, "at": _iso(hop.at), "delta_ms": delta, "event_id": hop.event_id, "note": hop.note}
            for hop, delta in zip(history.hops, _deltas(history), strict=True)
        ],
        "authorization": history.authorization.model_dump(mode="json") if history.authorization else None,
        "authorization_row": {name: value for name, value in history.row.items() if name != "authorization"}
        if history.row
        else None,
        "dedup_marker": dict(history.marker) if history.marker else None,
        "decision": decision.model_dump(mode="json") if decision else None,
        "posting": _posting_document(sequence) if sequence else None,
        "issuer": _issuer_document(history),
        "outcomes": [
            {
                "type": outcome.detail_type,
                "event_id": outcome.event_id,
                "occurred_at": _iso(outcome.occurred_at),
                "recorded_at": _iso(outcome.recorded_at),
                "reason_code": outcome.reason_code,
            }
            for outcome in (history.database.outcomes if history.database else ())
        ],
        "parked": dict(history.parked) if history.parked else None,
        "dead_letters": [
            {"queue": letter.queue, "reason": letter.reason, "detail": letter.detail, "message_id": letter.message_id}
            for letter in history.letters
        ],
    }


def _issuer_document(history: History) -> dict[str, Any] | None:
    """What the issuing bank decided, was asked to undo, and undid; None when it knows nothing of the payment."""
    switch = history.database.switch if history.database else None
    if not switch:
        return None
    return {
        "authorization": asdict(switch.authorization) if switch.authorization else None,
        "reversals": [asdict(each) for each in switch.reversals],
        "taken_back": [asdict(each) for each in switch.taken_back],
    }


def _posting_document(sequence: SequenceTrace) -> dict[str, Any]:
    transaction = sequence.transaction
    posted = (
        {
            "transaction_id": transaction.transaction_id,
            "recorded_at": _iso(transaction.recorded_at),
            "committed_at": _iso(transaction.committed_at) if transaction.committed_at else None,
            "legs": [
                {
                    "account_id": leg.account_id,
                    "direction": _side(leg),
                    "amount_minor": abs(leg.amount_minor),
                    "currency": leg.currency,
                    "balance_after_minor": leg.balance_after_minor,
                    "balance_now_minor": leg.balance_now_minor,
                }
                for leg in transaction.legs
            ],
            "posting_input_format": transaction.posting_input_format,
            "posting_input": (transaction.posting_input or b"").decode("utf-8", "replace"),
        }
        if transaction
        else None
    )
    return {
        "sequence_id": sequence.sequence_id,
        "payment_key": sequence.payment_key,
        "status": sequence.status,
        "reason": sequence.reason,
        "total": sequence.total,
        "parts": [
            {"index": part.index, "event_id": part.event_id, "received_at": _iso(part.received_at)}
            for part in sequence.parts
        ],
        "transaction": posted,
        "batch": {"run_id": sequence.row.run_id, "source": sequence.row.source, "line": sequence.row.line}
        if sequence.row
        else None,
    }


def show(history: History) -> None:
    """The history as tables on standard output."""
    out = console.out()
    out.print(console.facts(_facts(history)))
    _show_hops(history)
    if history.decision:
        _show_decision(history.decision)
    if history.sequence:
        _show_posting(history.sequence)
    if history.parked:
        out.print("\nParked")
        out.print(
            console.facts(
                [
                    ("object", history.parked["uri"]),
                    ("reason", str(history.parked.get("reason", ""))),
                    ("first payment", str(history.first_payment_id)),
                ]
            )
        )


def _facts(history: History) -> list[tuple[str, str]]:
    rows = [("payment", history.payment_id), ("state", history.summary), ("correlation", history.correlation_id)]
    authorization = history.authorization
    if authorization:
        amount = console.format_minor(authorization.amount_minor, authorization.currency)
        rows += [
            ("amount", amount),
            ("merchant", f"{authorization.merchant.name}, {authorization.merchant.country}"),
            ("card token", authorization.card.token),
            ("authorized at", _iso(authorization.authorized_at)),
        ]
    if history.marker:
        marker = history.marker
        rows += [
            ("payment key", marker.get("payment_key", "")),
            ("dedup marker", f"{marker.get('payment_id', '')} since {marker.get('seen_at', '')}"),
        ]
    return rows


def _show_hops(history: History) -> None:
    if not history.hops:
        return
    grid = console.table("hop", "time (UTC)", "+ms", "event", "", right=("time (UTC)", "+ms"))
    days = [None, *(hop.at.astimezone(UTC).date() for hop in history.hops)]
    for hop, delta, day_before in zip(history.hops, _deltas(history), days[:-1], strict=True):
        grid.add_row(
            hop.name, _time(hop.at, day_before), "" if delta is None else f"{delta:,.1f}", hop.event_id, hop.note
        )
    console.out().print("")
    console.out().print(grid)


def _show_decision(decision: Decision) -> None:
    out = console.out()
    out.print(f"\nDecision: {decision.outcome.value} by {decision.rule_set} {decision.version}")
    if not decision.matched:
        out.print("no rule matched")
        return
    grid = console.table("rule", "outcome", "reason")
    for hit in decision.matched:
        grid.add_row(hit.rule_id, hit.outcome.value, hit.reason)
    out.print(grid)


def _show_posting(sequence: SequenceTrace) -> None:
    out = console.out()
    parts = len([part for part in sequence.parts if not part.contradicts])
    came = f"line {sequence.row.line} of a batch" if sequence.row else f"{parts} of {sequence.total} parts"
    out.print(f"\nPosting {sequence.sequence_id}: {sequence.status}, {came}")
    transaction = sequence.transaction
    if transaction is None:
        return
    grid = console.table(
        "account", "debit", "credit", "", "balance after", "balance now",
        right=("debit", "credit", "balance after", "balance now"),
    )  # fmt: skip
    for leg in transaction.legs:
        amount = _major(abs(leg.amount_minor), leg.currency)
        sides = (amount, "") if _side(leg) == "debit" else ("", amount)
        grid.add_row(
            leg.account_id,
            *sides,
            leg.currency,
            _major(leg.balance_after_minor, leg.currency),
            _major(leg.balance_now_minor, leg.currency),
        )
    out.print(grid)
    if transaction.posting_input is not None:
        out.print(f"\nPosting input ({transaction.posting_input_format})")
        out.print(transaction.posting_input.decode("utf-8", "replace").rstrip("\n"), soft_wrap=True)


def _deltas(history: History) -> list[float | None]:
    """Milliseconds since the hop before; None for the first."""
    times = [hop.at for hop in history.hops]
    return [None if before is None else round((at - before).total_seconds() * 1000, 1)
            for before, at in zip([None, *times][: len(times)], times, strict=True)]  # fmt: skip


def _side(leg: LegTrace) -> str:
    return "credit" if leg.amount_minor > 0 else "debit"


def _major(amount_minor: int, currency: str) -> str:
    return console.format_minor(amount_minor, currency).rsplit(" ", 1)[0]


def _time(instant: datetime, day_before: date | None) -> str:
    """Time of day to the millisecond, with its date when the line before has another."""
    moment = instant.astimezone(UTC)
    return moment.strftime("%H:%M:%S.%f" if moment.date() == day_before else "%Y-%m-%d %H:%M:%S.%f")[:-3]


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
