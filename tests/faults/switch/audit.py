"""Compares what cardholders were told with what bank, ledger and table hold, payment by payment and to the penny."""

from collections import Counter
from typing import NamedTuple

from tests.faults.switch.crowd import Crowd, Payment
from tests.faults.switch.stage import Stage, await_condition
from tests.integration.switch.bank.pipeline import differences, post_items

QUIET_SECONDS_MAX = 90.0
_RECORDS = """
    SELECT a.authorization_key, a.action_code, a.amount_minor, a.reversed_minor, h.status, h.amount_minor,
           (SELECT count(*) FROM bank.authorizations AS c WHERE c.original = a.payment_id AND c.action_code < '100')
      FROM bank.authorizations AS a LEFT JOIN ledger.holds AS h USING (hold_id)
"""
_BALANCES = "SELECT account_id, total_minor, held_minor FROM ledger.account_balances"


class Record(NamedTuple):
    """What the bank has of a payment."""

    key: str
    action_code: str
    amount: int
    reversed: int
    hold: str | None
    held: int | None
    completions: int


def await_quiet(stage: Stage) -> None:
    """Until nothing is stored that has not been delivered: by the network, by the bank's relay."""
    await_condition(
        lambda: stage.one("SELECT count(*) FROM network.advices WHERE status = 'pending'") == 0,
        "the network has delivered what it stored",
        QUIET_SECONDS_MAX,
    )
    await_condition(
        lambda: stage.one("SELECT count(*) FROM bank.approvals_to_relay") == 0,
        "the bank has relayed its approvals",
        QUIET_SECONDS_MAX,
    )


def find_faults(stage: Stage, crowd: Crowd) -> list[str]:
    """Everything that is not as cardholders were told; nothing, as a rule. Payments must be quiet."""
    faults = find_faults_of_payments(stage, crowd)
    faults += find_faults_of_relay(stage)
    _post_everything(stage)
    faults += find_faults_of_accounts(stage, crowd)
    faults += differences(stage.dsn)
    return faults


def find_faults_of_payments(stage: Stage, crowd: Crowd) -> list[str]:
    """Before anything is posted: approved is held, or owed without a hold; everything else is nothing."""
    rows = [Record(*row) for row in stage.rows(_RECORDS)]
    records = {row.key: row for row in rows}
    faults = [f"{len(rows) - len(records)} payments are recorded twice"] if len(records) < len(rows) else []
    for payment in crowd.payments:
        problem = _problem_of(payment, records.get(payment.key))
        if problem:
            faults.append(f"{payment}: {problem}; {records.get(payment.key)}")
    refused = stage.rows("SELECT message_type, action_code FROM network.advices WHERE status <> 'delivered'")
    faults += [f"the bank has not taken a {kind}: {code}" for kind, code in refused]
    return faults


def _problem_of(payment: Payment, record: Record | None) -> str | None:
    owes = payment.approved and payment.undone < payment.amount
    is_live = record is not None and record.action_code < "100" and record.reversed < record.amount
    if not owes and is_live:
        return "the cardholder owes nothing, the bank thinks otherwise"
    if not owes:
        return "money is held for nothing" if record is not None and record.hold == "active" else None
    if record is None or not is_live:
        return "the cardholder has seen an approval, the bank has none"
    wrongs = {
        "another part is taken back than the cardholder took back": record.reversed != payment.undone,
        # What a network approved in the bank's stead above the balance is owed, and cannot be held.
        "what is owed is not held": record.hold not in {"active", None},
        "a refund holds money": payment.kind == "refund" and record.hold is not None,
        "its completion is not there, or more than once": payment.completed is not None and record.completions != 1,
    }
    return "; ".join(wrong for wrong, is_wrong in wrongs.items() if is_wrong) or None


def find_faults_of_relay(stage: Stage) -> list[str]:
    """Each approval of the bank is in the table, and nothing else is."""
    approved = Counter(
        f"pay_{row[0].hex}"
        for row in stage.rows("SELECT payment_id FROM bank.authorizations WHERE action_code < '100'")
    )
    items = Counter(item["payment_id"] for item in stage.table.items())
    lost, invented = approved - items, items - approved
    return [f"not in the table: {sorted(lost)}"] * bool(lost) + [f"only in the table: {sorted(invented)}"] * bool(
        invented
    )


def _post_everything(stage: Stage) -> None:
    """Lead what the table holds through the pipeline's stages, twice, as streams may; then let the bank settle."""
    items = stage.table.items()
    for _ in range(2):
        post_items(stage.dsn, items, stage.cards)
    # Their time comes later and later, as in the field; here it comes now.
    stage.execute("UPDATE bank.reversals SET look_again_at = clock_timestamp() WHERE status = 'waiting'")
    await_condition(
        lambda: stage.one("SELECT count(*) FROM bank.reversals WHERE status = 'waiting'") == 0,
        "the bank has turned back what was posted and taken back",
        QUIET_SECONDS_MAX,
    )


def find_faults_of_accounts(stage: Stage, crowd: Crowd) -> list[str]:
    """After everything is posted: each account has lost exactly what its cardholder bought."""
    faults = []
    balances = {row[0]: row[1:] for row in stage.rows(_BALANCES)}
    for account_id, opening in stage.openings.items():
        payments = [payment for payment in crowd.payments if payment.card.account_id == account_id]
        wanted = (opening - sum(payment.debit for payment in payments), sum(payment.held for payment in payments))
        if balances[account_id] != wanted:
            told = "\n    ".join(map(str, payments))
            faults.append(f"{account_id} has (total, held) {balances[account_id]} and not {wanted}:\n    {told}")
    return faults
