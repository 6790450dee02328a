"""Requests about holds, small and plain, and what an account has."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.integration.ledger.support import ADA, IDS, SETTLEMENT, credit, debit, make_order

from postrail.adapters.postgres.accounts import PostgresAccounts
from postrail.adapters.postgres.connection import Database
from postrail.domain.hold import ExtendHold, PlaceHold, ReleaseHold
from postrail.ports import PostingOrder

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IN_A_WEEK = NOW + timedelta(days=7)


def place_request(account_id: str = ADA, amount_minor: int = 1_000, **changes: Any) -> PlaceHold:
    """Hold 10.00 of Ada's money for a week, under a key of its own."""
    hold_id = changes.pop("hold_id", None) or IDS.new_id("hld")
    return PlaceHold(
        hold_id=hold_id,
        change_key=changes.pop("change_key", f"place:{hold_id}"),
        account_id=account_id,
        currency=changes.pop("currency", account_id.rpartition(":")[2].upper()),
        amount_minor=amount_minor,
        expires_at=changes.pop("expires_at", IN_A_WEEK),
        occurred_at=changes.pop("occurred_at", NOW),
        **changes,
    )


def extend_request(hold_id: str, add_minor: int = 0, **changes: Any) -> ExtendHold:
    """Hold more or longer, under a key of its own."""
    key = changes.pop("change_key", f"extend:{IDS.new_id('req')}")
    return ExtendHold(hold_id, key, NOW, add_minor, **changes)


def release_request(hold_id: str, amount_minor: int | None = None, **changes: Any) -> ReleaseHold:
    """Let go of an amount or of all, under a key of its own."""
    key = changes.pop("change_key", f"release:{IDS.new_id('req')}")
    return ReleaseHold(hold_id, key, NOW, amount_minor)


def capture(hold_id: str, amount_minor: int, *, account_id: str = ADA, final: bool = False) -> PostingOrder:
    """An order that captures an amount of a hold, to settlement."""
    order = make_order(debit(account_id, amount_minor), credit(SETTLEMENT, amount_minor))
    return replace(order, hold_id=hold_id, final_capture=final)


def standing(database: Database, account_id: str = ADA) -> tuple[int, int, int, int]:
    """Total, held, locked, available."""
    (row,) = PostgresAccounts(database).read_balances([account_id])
    return row.total_minor, row.held_minor, row.locked_minor, row.available_minor


HOLDS_THAT_DO_NOT_ADD_UP = """
SELECT a.account_id, a.held_minor, a.locked_minor, h.held, h.locked
  FROM ledger.account_balances AS a
  LEFT JOIN (SELECT account_no, sum(remaining_minor) AS held,
                    sum(remaining_minor) FILTER (WHERE kind = 'dispute') AS locked
               FROM ledger.holds GROUP BY account_no) AS h ON h.account_no = a.account_no
 WHERE (a.held_minor, a.locked_minor) IS DISTINCT FROM (coalesce(h.held, 0), coalesce(h.locked, 0))
"""

CHANGES_THAT_DO_NOT_ADD_UP = """
SELECT h.hold_id
  FROM ledger.holds AS h
  JOIN (SELECT hold_id, sum(held_minor) AS held, count(*) FILTER (WHERE change = 'place') AS placed,
               coalesce(sum(amount_minor) FILTER (WHERE change = 'capture'), 0) AS captured
          FROM ledger.hold_changes GROUP BY hold_id) AS c ON c.hold_id = h.hold_id
 WHERE (c.held, c.placed, c.captured) IS DISTINCT FROM (h.remaining_minor, 1, h.captured_minor)
"""

CAPTURES_WITHOUT_TRANSACTION = """
SELECT c.change_key FROM ledger.hold_changes AS c
  LEFT JOIN ledger.journal_transactions AS t ON t.transaction_id = c.transaction_id
 WHERE c.change = 'capture' AND t.transaction_id IS NULL
"""


def check_holds(database: Database) -> None:
    """Held equals active holds, and holds equal what happened to them."""
    for query in (HOLDS_THAT_DO_NOT_ADD_UP, CHANGES_THAT_DO_NOT_ADD_UP, CAPTURES_WITHOUT_TRANSACTION):
        assert database.fetch(query) == []
