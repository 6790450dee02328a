"""The hash chains of the ledger from outside: their ends as an anchor, and anchors against the chain."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

import asyncpg

from postrail.adapters.postgres.connection import Database
from postrail.adapters.postgres.queries import statements
from postrail.domain.anchor import Anchor, LaneHead
from postrail.domain.instants import format_instant
from postrail.ports import Clock

_SQL: Final = statements("chain.sql")
_ANCHORS_AT_ONCE: Final = 50
_HASH_DIGITS: Final = 16


@dataclass(slots=True)
class AnchorCheck:
    """How many anchors were looked at, how many do not stand in the chain, and what is wrong with the first."""

    anchors: int = 0
    wrong: int = 0
    first_key: str = ""
    first_detail: str = ""


def take_anchor(database: Database | str | Callable[[], str], *, clock: Clock) -> Anchor:
    """The heads of all lanes at this moment. Raises Retryable."""
    rows = Database.of(database).fetch(_SQL["heads"])
    heads = (LaneHead(row["lane"], row["lane_no"], row["batch_id"], row["hash"], row["recorded_at"]) for row in rows)
    return Anchor(clock.now(), tuple(heads))


def check_anchors(database: Database, anchors: Iterable[Anchor]) -> AnchorCheck:
    """Look every head of every anchor up in the chain; a bounded number of anchors is in memory."""
    check = AnchorCheck()
    for some in _groups(anchors):
        links = iter(_find_links(database, some))
        for anchor in some:
            check.anchors += 1
            faults = [fault for head in anchor.heads if (fault := _fault(head, next(links)))]
            if faults:
                check.wrong += 1
                check.first_key = check.first_key or f"anchor of {format_instant(anchor.taken_at, microseconds=True)}"
                check.first_detail = check.first_detail or faults[0]
    return check


def _groups(anchors: Iterable[Anchor]) -> Iterator[Sequence[Anchor]]:
    rest = iter(anchors)
    while some := list(islice(rest, _ANCHORS_AT_ONCE)):
        yield some


def _find_links(database: Database, anchors: Sequence[Anchor]) -> list[asyncpg.Record]:
    places = [(head.lane, head.lane_no) for anchor in anchors for head in anchor.heads]
    return database.fetch(_SQL["find_links"], [lane for lane, _ in places], [number for _, number in places])


def _fault(head: LaneHead, link: asyncpg.Record) -> str:
    """What is wrong with the place of a head in the chain; empty when it stands."""
    place = f"lane {head.lane} no. {head.lane_no}"
    if link["hash"] is None:
        return f"{place} is not in the chain any more: the anchor saw batch {head.batch_id} there"
    if (link["hash"], link["batch_id"]) == (head.hash, head.batch_id):
        return ""
    was, now = (each.hex()[:_HASH_DIGITS] for each in (head.hash, link["hash"]))
    return (
        f"{place} was rewritten: the anchor saw batch {head.batch_id} with hash {was}…, "
        f"the chain has batch {link['batch_id']} with {now}…"
    )
