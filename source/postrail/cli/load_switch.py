"""Load through the switch: a bank and a network beside the local cloud, terminals that pay by the clock.

Cards and accounts are opened for the run. A payment is on its way from when its 1100 was due until its posting is
committed: terminal, network, bank, hold, DynamoDB stream, pipeline, ledger.
"""

import asyncio
import secrets
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from postrail.adapters.aws.reference_table import card_item
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.follow import PostgresFollower
from postrail.bench.switch_load import make_purchase
from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph
from postrail.cli.ledger_ends import end_of
from postrail.cli.switch_demo import switch_environment
from postrail.cli.table_writes import write_all
from postrail.domain.errors import PostrailError
from postrail.load.run import Ended, Ways
from postrail.settings import Settings, SwitchSettings
from switch.bootstrap import build_terminal_line
from switch.crew import Crew
from switch.ecosystem import Ecosystem, load_ecosystem
from switch.issuing.card_sample import SampleCard, make_sample_cards
from switch.issuing.file_vault import load_file_lookup
from switch.links.group import LinkGroup

BANK: Final = "northgate"
NETWORK: Final = "meridian"
CARDS: Final = 500
_BALANCE_MINOR: Final = 100_000_000
_ANSWER_SECONDS: Final = 30.0
_UP_SECONDS: Final = 15.0
_STAN_MAX: Final = 999_999
_PAYMENTS_OF: Final = (
    "SELECT rrn, 'pay_' || replace(payment_id::text, '-', '') AS payment_id FROM bank.authorizations"
    " WHERE card_token = ANY ($1::text[]) AND decided_at >= $2 AND rrn = ANY ($3::text[])"
)


@dataclass(frozen=True, slots=True)
class TerminalPayment:
    """A purchase to be made at a terminal, told apart by its retrieval reference number (DE 37)."""

    number: int
    rrn: str


def terminal_payments(count: int) -> list[TerminalPayment]:
    """`count` purchases with reference numbers that no earlier run of this day had."""
    first = secrets.randbelow(10**5) * 10**7
    return [TerminalPayment(number, f"{first + number:012d}") for number in range(count)]


@contextmanager
def through_the_switch(graph: Graph, database: Database) -> Iterator[Ways[TerminalPayment]]:
    """Bank, network and cards for the time of a run. Raises CommandError where there is no local cloud."""
    if graph.cloud is None:
        raise CommandError(
            "A load through the switch runs its own bank and network beside a local cloud. In an account, let "
            "terminals of yours call the network, and use --via table here."
        )
    ecosystem = load_ecosystem(Settings().resolved_config_dir() / "ecosystem.yaml")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postrail-load-switch-")))
        with console.working(f"Opening {CARDS} accounts and starting {BANK} and {NETWORK}"):
            cards = _open_cards(graph, database, ecosystem, folder)
            environment = switch_environment(graph, graph.cloud) | {"POSTRAIL_CARD_FOLDER": str(folder / "cards")}
            # The bank finds the cards of this run by their keyed hash; no number goes into the vault.
            del environment["POSTRAIL_CARD_VAULT_TABLE"], environment["POSTRAIL_CARD_VAULT_KEY_ARN"]
            crew = stack.enter_context(Crew(ecosystem, environment, folder))
            crew.start("bank", BANK)
            crew.start("network", NETWORK).await_bank(BANK)
        terminals = stack.enter_context(_Terminals(crew.hosts, cards))
        yield Ways(
            send=terminals.pay,
            id_of=lambda payment: payment.rrn,
            ends=_ends(database, [card.card_token for card in cards], datetime.now(UTC)),
            letters=dict,
            batch_max=1,
        )


def _open_cards(graph: Graph, database: Database, ecosystem: Ecosystem, folder: Path) -> list[SampleCard]:
    cards = make_sample_cards(
        database,
        bank=ecosystem.bank(BANK),
        network_id=NETWORK,
        lookup=load_file_lookup(folder / "cards"),
        count=CARDS,
        balance_minor=_BALANCE_MINOR,
    )
    items = [card_item(card.card_token, card.details) for card in cards]
    write_all(graph.client("dynamodb"), graph.table("reference"), items)
    return cards


class _Terminals:
    """Terminals on one line to the network, in an event loop of their own; `pay` may be called from many threads."""

    def __init__(self, hosts: Mapping[str, str], cards: Sequence[SampleCard]) -> None:
        self._settings = SwitchSettings().model_copy(update={"ecosystem_hosts": dict(hosts)})
        self._cards = [(card.pan, card.expiry[2:4] + card.expiry[5:7]) for card in cards]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="load-terminals")
        self._line: LinkGroup | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        self._line = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            asyncio.run_coroutine_threadsafe(self._line.stop(0.5), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    def pay(self, payments: Sequence[TerminalPayment]) -> dict[str, str]:
        """Pay and wait for the answers; returns why the declined ones, and those without answer, were not taken."""
        refused: dict[str, str] = {}
        for payment in payments:
            reason = asyncio.run_coroutine_threadsafe(self._pay(payment), self._loop).result()
            if reason:
                refused[payment.rrn] = reason
        return refused

    async def _open(self) -> LinkGroup:
        line = await build_terminal_line(NETWORK, self._settings, links=4, on_late=lambda _: None)
        await line.start()
        if not await line.wait_up(_UP_SECONDS):
            raise CommandError(f"The network {NETWORK} takes no terminals: {line.failure}.")
        return line

    async def _pay(self, payment: TerminalPayment) -> str:
        pan, expiry = self._cards[payment.number % len(self._cards)]
        message = make_purchase(payment.number, pan, expiry, currency="826")
        message.fields[37] = payment.rrn
        message.fields[41] = f"L{payment.number // _STAN_MAX:07d}"
        if self._line is None:
            return "the line is closed"
        try:
            answer = await self._line.request(message, _ANSWER_SECONDS)
        except PostrailError as error:
            return f"no answer: {error}"
        code = answer.get(39)
        return "" if code.startswith("00") else f"declined with {code}"


def _ends(
    database: Database, card_tokens: Sequence[str], since: datetime
) -> Callable[[Sequence[str]], Mapping[str, Ended]]:
    follower = PostgresFollower(database)
    payment_ids: dict[str, str] = {}

    def ends(rrns: Sequence[str]) -> dict[str, Ended]:
        unknown = [rrn for rrn in rrns if rrn not in payment_ids]
        if unknown:
            rows = database.fetch(_PAYMENTS_OF, list(card_tokens), since, unknown)
            payment_ids.update((row["rrn"], row["payment_id"]) for row in rows)
        rrn_of = {payment_ids[rrn]: rrn for rrn in rrns if rrn in payment_ids}
        found = ((row.payment_id, end_of(row)) for row in follower.by_payment(list(rrn_of)))
        return {rrn_of[each]: Ended(end.outcome.value, end.reason, end.at) for each, end in found if end is not None}

    return ends


def decline_reasons(refused: Mapping[str, str]) -> str:
    """Why payments were not taken at terminals, most frequent first."""
    return ", ".join(f"{count:,} {reason}" for reason, count in Counter(refused.values()).most_common(5))
