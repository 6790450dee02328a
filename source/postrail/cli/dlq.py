"""`postrail dlq`: what could not go on, over all dead-letter queues: look at it, send it again, or put it away."""

import contextlib
import getpass
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from postrail.adapters.aws.clients import retryable
from postrail.cli import console
from postrail.cli.dead_letters import RETRIES_EXHAUSTED, Letter
from postrail.cli.failures import CommandError
from postrail.cli.first_errors import find_first_errors
from postrail.cli.graph import Graph, load_graph
from postrail.cli.redrive import CannotRedrive, Redriven, Redriver
from postrail.stages.decode import scrub_body

app = typer.Typer(add_completion=False, no_args_is_help=True)

_HIDE_SECONDS: Final = 300
_BODY_CHARS_MAX: Final = 20_000
_RATE_MAX: Final = 1_000

Queue = Annotated[str, typer.Option("--queue", help="Only this queue, e.g. posting or rules-undelivered.")]
Reason = Annotated[str, typer.Option("--reason", help="Only letters with this reason, e.g. RETRIES_EXHAUSTED.")]
Payment = Annotated[str, typer.Option("--payment", help="Only letters about this payment.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=2_000, help="At most so many letters.")]
MessageIds = Annotated[
    list[str] | None, typer.Argument(metavar="[MESSAGE_ID]...", help="These letters; a beginning of the id will do.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")]


@app.command("list")
def list_letters(
    queue: Queue = "", reason: Reason = "", payment: Payment = "", limit: Limit = 100, as_json: AsJson = False
) -> None:
    """List dead letters, oldest first: queue, reason, payment, what went wrong first. Nothing is taken out."""
    graph = load_graph()
    with graph.dead_letters() as reader:
        found = _chosen(reader.look(), graph, (), queue=queue, reason=reason, payment=payment)
    errors = find_first_errors(graph, found[:limit])
    if as_json:
        console.write_json(
            {"total": len(found), "letters": [_document(letter, errors) for letter in found[:limit]]},
        )
        return
    if not found:
        console.out().print("No dead letters.")
        return
    grid = console.table("Queue", "Message", "Since", "Reason", "Payment", "First error")
    for letter in found[:limit]:
        error = errors.get(letter.message_id) or letter.detail
        grid.add_row(
            _short(letter.queue), letter.message_id[:8], _at(letter.at), letter.reason, _payment(letter), error or "-"
        )
    console.out().print(grid)
    counts = Counter((_short(letter.queue), letter.reason) for letter in found)
    rest = f" (the first {limit} are shown)" if len(found) > limit else ""
    summary = ", ".join(f"{count} {name} {why}" for (name, why), count in counts.most_common())
    console.out().print(f"\n{len(found)} dead letters{rest}: {summary}")


@app.command()
def show(message_id: Annotated[str, typer.Argument(metavar="MESSAGE_ID")], as_json: AsJson = False) -> None:
    """Show one dead letter whole: attributes, first error, body with card numbers masked."""
    graph = load_graph()
    with graph.dead_letters() as reader:
        letters = _chosen(reader.look(), graph, [message_id])
    if len(letters) > 1:
        msg = f"{len(letters)} letters begin with {message_id}: give more of the id."
        raise CommandError(msg)
    letter = letters[0]
    errors = find_first_errors(graph, [letter])
    if as_json:
        console.write_json(
            _document(letter, errors) | {"attributes": dict(letter.attributes), "body": _readable(letter)}
        )
        return
    rows = [
        ("Message", letter.message_id),
        ("Queue", _short(letter.queue)),
        ("Since", _at(letter.at)),
        ("Reason", letter.reason),
        ("Detail", letter.detail or "-"),
        ("First error", errors.get(letter.message_id) or "not found in the logs"),
        ("Payment", _payment(letter)),
        ("Correlation", letter.correlation_id or "-"),
    ]
    rows += [(name, value) for name, value in sorted(letter.attributes.items()) if name.isupper()]
    console.out().print(console.facts(rows))
    console.out().print()
    console.out().print(_readable(letter))


@app.command()
def redrive(
    message_ids: MessageIds = None,
    queue: Queue = "",
    reason: Reason = "",
    payment: Payment = "",
    everything: Annotated[bool, typer.Option("--all", help="All letters of all queues.")] = False,
    rate: Annotated[float, typer.Option(min=0.1, max=_RATE_MAX, help="Letters a second at most.")] = 10,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say where each letter would go, and send none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send letters on their way again. Twice does no harm: what was done already is not done again."""
    _demand_choice(message_ids, queue, reason, payment, everything)
    graph = load_graph()
    redriver = Redriver(graph, per_second=rate)
    with graph.dead_letters(hide_seconds=_HIDE_SECONDS) as reader:
        letters = _chosen(reader.look(), graph, message_ids or (), queue=queue, reason=reason, payment=payment)
        if dry_run:
            results = [_preview(redriver, letter) for letter in letters]
        else:
            with console.progress("Sending letters", len(letters)) as meter:
                results = redriver.redrive(reader, letters, lambda _: meter.reach(meter.done + 1))
    _report(results, as_json=as_json, verb="would go" if dry_run else "sent")


@app.command()
def discard(
    message_ids: MessageIds = None,
    queue: Queue = "",
    reason: Reason = "",
    payment: Payment = "",
    everything: Annotated[bool, typer.Option("--all", help="All letters of all queues.")] = False,
    why: Annotated[str, typer.Option("--why", help="Why these payments need not go on; kept with each letter.")] = "",
    confirmed: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take letters out of their queues; each is kept in the bucket of parked events, with your reason."""
    _demand_choice(message_ids, queue, reason, payment, everything)
    if not why.strip():
        raise CommandError("Say why with --why: it is kept with each letter.", exit_code=2)
    graph = load_graph()
    with graph.dead_letters(hide_seconds=_HIDE_SECONDS) as reader:
        letters = _chosen(reader.look(), graph, message_ids or (), queue=queue, reason=reason, payment=payment)
        if letters and not confirmed and not typer.confirm(f"Discard {len(letters)} letters?", err=True):
            raise CommandError("Nothing was discarded.")
        kept = []
        for letter in letters:
            uri = _keep(graph, letter, why.strip())
            reader.delete(letter)
            kept.append({"message_id": letter.message_id, "payment_id": letter.payment_id, "kept": uri})
    if as_json:
        console.write_json({"discarded": kept})
        return
    for each in kept:
        console.out().print(f"{str(each['message_id'])[:8]}  {each['kept']}")
    console.out().print(f"{len(kept)} letters discarded.")


def _demand_choice(message_ids: Sequence[str] | None, queue: str, reason: str, payment: str, everything: bool) -> None:
    if not (message_ids or queue or reason or payment or everything):
        raise CommandError("Choose letters: message ids, --queue, --reason, --payment, or --all.", exit_code=2)


def _chosen(
    letters: Iterable[Letter],
    graph: Graph,
    message_ids: Sequence[str],
    *,
    queue: str = "",
    reason: str = "",
    payment: str = "",
) -> list[Letter]:
    """The letters asked for, oldest first, each message once. Raises CommandError for what does not exist."""
    names = {_short(name) for name in graph.dead_letter_queues()}
    if queue and _short(queue) not in names:
        raise CommandError(f"There is no queue {queue}; there are {', '.join(sorted(names))}.")
    messages: dict[str, Letter] = {}
    for letter in letters:
        # A pipe's message is about several payments: it is chosen by any of them.
        if payment and letter.payment_id != payment:
            continue
        messages.setdefault(letter.message_id, letter)
    found = [
        letter
        for letter in sorted(messages.values(), key=lambda letter: letter.at)
        if (not queue or _short(letter.queue) == _short(queue)) and (not reason or letter.reason == reason)
    ]
    for message_id in message_ids:
        if not any(letter.message_id.startswith(message_id) for letter in found):
            msg = f"No dead letter {message_id} here: it may be in the hands of another reader; try again in a minute."
            raise CommandError(msg)
    return [letter for letter in found if not message_ids or letter.message_id.startswith(tuple(message_ids))]


def _preview(redriver: Redriver, letter: Letter) -> Redriven:
    try:
        to, _ = redriver.way(letter)
    except CannotRedrive as error:
        return Redriven(letter, "", str(error))
    return Redriven(letter, to)


def _report(results: Sequence[Redriven], *, as_json: bool, verb: str) -> None:
    stayed = [result for result in results if not result.to]
    if as_json:
        console.write_json(
            {
                "letters": [
                    {
                        "message_id": result.letter.message_id,
                        "queue": _short(result.letter.queue),
                        "payment_id": result.letter.payment_id,
                        "to": result.to or None,
                        "remark": result.remark,
                    }
                    for result in results
                ],
                "sent": len(results) - len(stayed),
                "stayed": len(stayed),
            }
        )
    else:
        ways = Counter((_short(result.letter.queue), result.to) for result in results if result.to)
        for (name, to), count in ways.items():
            console.out().print(f"{count} of {name} {verb} to {to}")
        for result in stayed:
            console.out().print(
                f"{result.letter.message_id[:8]} stays in {_short(result.letter.queue)}: {result.remark}"
            )
        if not results:
            console.out().print("No dead letters.")
    if stayed:
        raise CommandError(f"{len(stayed)} of {len(results)} letters stay where they are.")


def _keep(graph: Graph, letter: Letter, why: str) -> str:
    """Write the letter to the bucket of parked events; returns where. Raises Retryable."""
    now = datetime.now(UTC)
    bucket = graph.outputs.parked_bucket
    key = f"DISCARDED/{now:%Y/%m/%d}/{_short(letter.queue)}-{letter.message_id}.json"
    document = _document(letter, {}) | {
        "discarded_at": now.isoformat(),
        "discarded_by": getpass.getuser(),
        "why": scrub_body(why),
        "attributes": dict(letter.attributes),
        "body": scrub_body(letter.body),
    }
    with retryable("keeping a discarded letter"):
        graph.client("s3").put_object(
            Bucket=bucket, Key=key, Body=json.dumps(document, indent=2).encode(), ContentType="application/json"
        )
    return f"s3://{bucket}/{key}"


def _document(letter: Letter, errors: dict[str, str]) -> dict[str, Any]:
    return {
        "queue": _short(letter.queue),
        "message_id": letter.message_id,
        "since": _at(letter.at),
        "reason": letter.reason,
        "detail": letter.detail,
        "first_error": errors.get(letter.message_id) or (letter.detail if letter.reason != RETRIES_EXHAUSTED else ""),
        "payment_id": letter.payment_id,
        "correlation_id": letter.correlation_id,
        "payments": letter.payments,
    }


def _readable(letter: Letter) -> str:
    text = scrub_body(letter.body)
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return text if len(text) <= _BODY_CHARS_MAX else f"{text[:_BODY_CHARS_MAX]}\n... {len(text)} characters"


def _payment(letter: Letter) -> str:
    if letter.payments > 1:
        return f"{letter.payments} payments"
    return letter.payment_id or "-"


def _short(queue: str) -> str:
    return queue.removesuffix("-dlq")


def _at(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
