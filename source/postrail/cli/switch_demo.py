"""`postrail switch demo`: two banks, two networks, cards that are ordered and paid with, and payments that are posted.

Everything is real: accounts and cards come from the HTTP API, notifications from the topic, authorizations from
terminals over ISO 8583, and postings from the pipeline of the local cloud.
"""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from postrail.adapters.aws.observability import logger
from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.trace import PaymentTrace, trace
from postrail.cli import console
from postrail.cli.api_client import ApiClient
from postrail.cli.cardholder_messages import show_exchange
from postrail.cli.failures import CommandError
from postrail.cli.graph import Cloud, Graph
from postrail.cli.observer import deliveries_policy
from postrail.cli.task_roles import party_credentials
from postrail.domain.money import Money
from postrail.settings import Settings, SwitchSettings
from switch.bootstrap import build_terminal_line
from switch.cardholder.card import HeldCard
from switch.cardholder.terminal import Place, Terminal
from switch.cardholder.till import Patience, Till
from switch.crew import Crew
from switch.ecosystem import load_ecosystem
from switch.iso8583.message import Message
from switch.issuing.api.routes import CREATE_ACCOUNT, GET_BALANCE, ORDER_CARD
from switch.issuing.callers import Scope

NOTICE_SECONDS_MAX: Final = 120.0
POSTED_SECONDS_MAX: Final = 60.0
LINE_UP_SECONDS_MAX: Final = 10.0
LOOK_SECONDS: Final = 0.2
_OPENING_MINOR: Final = 50_000
_PAYMENT_OF: Final = (
    "SELECT 'pay_' || replace(payment_id::text, '-', '') AS payment_id FROM bank.authorizations"
    " WHERE bank_id = $1 AND rrn = $2 AND left(message_type, 2) = $3"
)

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody with an account and a card."""

    bank_id: str
    network_id: str
    account_id: str
    customer_id: str
    currency: str
    card: HeldCard


def run_demo(graph: Graph, cloud: Cloud, folder: Path) -> None:
    """Play it, printing what happens. Raises CommandError, CrewFailed and what the graph's clients raise."""
    logger.setLevel("WARNING")
    ecosystem = load_ecosystem(Settings().resolved_config_dir() / "ecosystem.yaml")
    with ExitStack() as stack:
        crew = stack.enter_context(
            Crew(ecosystem, switch_environment(graph, cloud), folder, party_credentials(graph, cloud))
        )
        _start(crew)
        database = stack.enter_context(Database(graph.ledger_dsn()))
        demo = Demo(graph, crew, database)
        first = demo.issue(bank_id="northgate", network_id="meridian", name="Ada Brightwell")
        second = demo.issue(bank_id="harbour", network_id="solstice", name="Cormac Kinsale")
        demo.buy(first, 4_250, "A purchase, at a terminal that speaks ISO 8583:1993")
        demo.buy(second, 1_800, "A purchase, at a terminal that speaks ISO 8583:1987")
        demo.book_and_check_out(first, 12_000, 9_640)
        demo.change_mind(first, 2_000)
        demo.ask_too_much(second, 99_900)
    console.out().print("\nBanks and networks have stopped. `make status` shows what still runs.")


class Demo:
    """The acts of the demonstration."""

    def __init__(self, graph: Graph, crew: Crew, database: Database) -> None:
        self._graph = graph
        self._crew = crew
        self._database = database
        self._out = console.out()

    def issue(self, *, bank_id: str, network_id: str, name: str) -> Customer:
        """Open an account, order a card on it, and wait until its customer is told that it is ready."""
        subject = f"demo-{secrets.token_hex(4)}"
        bank = ApiClient(self._graph, bank_id=bank_id)
        account = bank.call(CREATE_ACCOUNT, {"name": name, "subject": subject, "opening_balance_minor": _OPENING_MINOR})
        holder = ApiClient(self._graph, subject=subject, bank_id=bank_id)
        with _letter_box(self._graph, account["customer_id"]) as letters:
            order = {"account_id": account["account_id"], "network_id": network_id}
            ordered = holder.call(ORDER_CARD, order, more=(Scope.CARD_NUMBER,))
            card = HeldCard(ordered["pan"], ordered["expiry"][2:4] + ordered["expiry"][5:7])
            self._title(f"{name} opens an account at {bank_id} and orders a card of {network_id}")
            self._out.print(
                console.facts(
                    [
                        ("account", f"{account['account_id']}, IBAN {account['iban']}"),
                        ("card", f"{card.masked}, good until {ordered['expiry']}, {ordered['status']}"),
                        ("token", ordered["card_token"]),
                    ]
                )
            )
            _produce_now(self._graph)
            notice = _await(
                letters, NOTICE_SECONDS_MAX, "No notification of the card came: see the logs of produce_cards."
            )
        self._out.print(f"Notification on the topic: {notice}", soft_wrap=True)
        return Customer(bank_id, network_id, account["account_id"], account["customer_id"], account["currency"], card)

    def buy(self, customer: Customer, amount_minor: int, title: str) -> None:
        """A purchase, from the terminal to the posted balance."""
        self._title(title)
        amount = Money(amount_minor, customer.currency)
        message = self._at_terminal(customer, lambda terminal: terminal.purchase(customer.card, amount))
        self._show_balance(customer, "held by the approval")
        self._follow(customer, message)
        self._show_balance(customer, "posted by the pipeline")

    def book_and_check_out(self, customer: Customer, estimated_minor: int, final_minor: int) -> None:
        """A pre-authorisation that only holds, and its completion, which is posted and ends the hold."""
        self._title("A hotel: a pre-authorisation holds, its completion is posted")
        estimate, final = Money(estimated_minor, customer.currency), Money(final_minor, customer.currency)
        booked = self._at_terminal(customer, lambda terminal: terminal.pre_authorisation(customer.card, estimate))
        self._show_balance(customer, "held, and left alone by the pipeline")
        completion = self._at_terminal(customer, lambda terminal: terminal.completion(booked, final), insist=True)
        self._follow(customer, completion)
        self._show_balance(customer, "posted, and the rest of the hold is free")

    def change_mind(self, customer: Customer, amount_minor: int) -> None:
        """A purchase that is reversed: whether its posting was first or not, nothing is left of it."""
        self._title("A purchase that is reversed")
        amount = Money(amount_minor, customer.currency)
        before = self._balance(customer)["available_minor"]
        bought = self._at_terminal(customer, lambda terminal: terminal.purchase(customer.card, amount))
        self._at_terminal(customer, lambda terminal: terminal.reversal(bought), insist=True)
        _await(
            lambda: self._balance(customer)["available_minor"] == before or None,
            POSTED_SECONDS_MAX,
            "The reversal did not bring the money back: look at it with `postrail trace`.",
        )
        self._show_balance(customer, "as before")

    def ask_too_much(self, customer: Customer, amount_minor: int) -> None:
        """A purchase beyond what is available."""
        self._title("A purchase beyond the balance: 116 at the bank, 51 on a wire of 1987")
        amount = Money(amount_minor, customer.currency)
        self._at_terminal(customer, lambda terminal: terminal.purchase(customer.card, amount))
        self._show_balance(customer, "nothing was held")

    def _at_terminal(
        self, customer: Customer, write: Callable[[Terminal], Message], *, insist: bool = False
    ) -> Message:
        settings = SwitchSettings().model_copy(update={"ecosystem_hosts": self._crew.hosts})
        message, answer = asyncio.run(_exchange(customer.network_id, settings, write, insist=insist))
        listen = self._crew.ecosystem.network(customer.network_id).listen
        self._out.print(f"Over {listen.dialect}, framing {listen.framing.value}, to {customer.network_id}.")
        if answer is None:
            msg = f"The network {customer.network_id} gave no answer to a {message.mti}."
            raise CommandError(msg)
        return message

    def _follow(self, customer: Customer, message: Message) -> None:
        """Wait until the payment is in the ledger, and show what was posted."""
        # A completion is answered by the network, which delivers it to the bank a moment later.
        row = _await(
            lambda: self._database.fetch_one(_PAYMENT_OF, customer.bank_id, message[37], message.mti[:2]),
            POSTED_SECONDS_MAX,
            "The bank has no authorization of this message.",
        )
        payment_id = row["payment_id"]
        found = _await(
            lambda: _posted(trace(self._database, payment_id)),
            POSTED_SECONDS_MAX,
            f"{payment_id} was not posted: look at it with `postrail trace {payment_id}`.",
        )
        transaction = found.sequences[0].transaction
        decided = found.switch.authorization
        if transaction is None or decided is None:
            return
        seconds = (transaction.recorded_at - decided.decided_at).total_seconds()
        self._out.print(f"Posted {seconds:.2f} s after the approval: {payment_id}")
        grid = console.table("leg", "amount", right=("amount",))
        for leg in transaction.legs:
            grid.add_row(leg.account_id, console.format_minor(leg.amount_minor, leg.currency))
        self._out.print(grid)

    def _balance(self, customer: Customer) -> Mapping[str, Any]:
        client = ApiClient(self._graph, bank_id=customer.bank_id)
        return client.call(GET_BALANCE, {"account_id": customer.account_id})

    def _show_balance(self, customer: Customer, remark: str) -> None:
        found = self._balance(customer)
        told = ", ".join(
            f"{name} {console.format_minor(found[f'{name}_minor'], customer.currency)}"
            for name in ("total", "held", "available")
        )
        self._out.print(f"Ledger: {told} ({remark})")

    def _title(self, text: str) -> None:
        self._out.print(f"\n=== {text}", style="bold")


async def _exchange(
    network_id: str, settings: SwitchSettings, write: Callable[[Terminal], Message], *, insist: bool
) -> tuple[Message, Message | None]:
    """One message of a terminal and the network's answer to it."""
    line = await build_terminal_line(network_id, settings, on_late=lambda _: None)
    await line.start()
    try:
        if not await line.wait_up(LINE_UP_SECONDS_MAX):
            msg = f"The network {network_id} takes no terminals: {line.failure}."
            raise CommandError(msg)
        terminal = Terminal(Place(), now=lambda: datetime.now(UTC), first_stan=secrets.randbelow(999_999))
        till = Till(terminal, line, Patience(), tell=show_exchange)
        message = write(terminal)
        outcome = await (till.insist(message) if insist else till.ask(message))
        return message, outcome.answer
    finally:
        await line.stop(0.5)


def _start(crew: Crew) -> None:
    with console.working("Starting two banks and two networks"):
        for bank in crew.ecosystem.banks:
            crew.start("bank", bank.id)
        for network in crew.ecosystem.networks:
            member = crew.start("network", network.id)
            for bank in crew.ecosystem.members(network.id):
                member.await_bank(bank.id)
    console.out().print(
        "Running: " + ", ".join(f"{name} at {place}" for name, place in crew.hosts.items()), soft_wrap=True
    )


def switch_environment(graph: Graph, cloud: Cloud) -> dict[str, str]:
    """What the processes are told of the local cloud."""
    vault = graph.outputs.card_vault
    if not vault:
        raise CommandError("The local cloud has no card vault yet: run `make local` again.")
    return {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_ACCESS_KEY_ID": cloud.access_key_id,
        "AWS_SECRET_ACCESS_KEY": cloud.secret_access_key,
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "POSTRAIL_LEDGER_DSN": graph.ledger_dsn(),
        "POSTRAIL_AUTHORIZATIONS_TABLE": graph.table("authorizations"),
        "POSTRAIL_REFERENCE_TABLE": graph.table("reference"),
        "POSTRAIL_CARD_VAULT_TABLE": vault["table"],
        "POSTRAIL_CARD_VAULT_KEY_ARN": vault["key_arn"],
        "POSTRAIL_LOG_LEVEL": "WARNING",
    }


@contextmanager
def _letter_box(graph: Graph, customer_id: str) -> Iterator[Callable[[], str | None]]:
    """A queue of one's own behind the topic of notifications; yields what looks into it."""
    sqs, sns = graph.client("sqs"), graph.client("sns")
    url = sqs.create_queue(QueueName=f"{graph.outputs.name_prefix}-demo-{secrets.token_hex(4)}")["QueueUrl"]
    subscription = ""
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": deliveries_policy(arn)})
        subscription = sns.subscribe(
            TopicArn=graph.topic_arn("notifications"),
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"FilterPolicy": json.dumps({"customer_id": [customer_id]})},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]

        def look() -> str | None:
            messages = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1, MaxNumberOfMessages=1).get("Messages", [])
            return str(json.loads(messages[0]["Body"])["Message"]) if messages else None

        yield look
    finally:
        if subscription:
            sns.unsubscribe(SubscriptionArn=subscription)
        sqs.delete_queue(QueueUrl=url)


def _produce_now(graph: Graph) -> None:
    """Run the scheduled function that produces cards, rather than wait for its minute."""
    graph.client("lambda").invoke(FunctionName=graph.function("produce_cards"), InvocationType="Event", Payload=b"{}")


def _posted(found: PaymentTrace | None) -> PaymentTrace | None:
    return found if found and found.sequences and found.sequences[0].transaction else None


def _await(look: Callable[[], FoundT | None], seconds: float, otherwise: str) -> FoundT:
    """What `look` finds, once it finds something. Raises CommandError(otherwise)."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise CommandError(otherwise)
        time.sleep(LOOK_SECONDS)
    return found
