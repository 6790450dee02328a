"""Sample files: the same rows in every format, the promised shares, no card numbers, busy cards by the hour."""

from collections import Counter
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest

from postrail.batch.columns import RowBuilder
from postrail.batch.failures import FileUnusable
from postrail.batch.files import LocalFile, format_by_name, recognise
from postrail.batch.generate import write_reference, write_rows
from postrail.batch.reference import CardLine, read_reference
from postrail.batch.rows import open_rows
from postrail.contracts.payment import Authorization
from postrail.domain.card import find_clear_pans
from postrail.domain.errors import Permanent, ReasonCode
from postrail.ports import ExchangeRate
from postrail.sampling.accounts import sample_accounts
from postrail.sampling.day import HOUR_WEIGHTS, sample_day
from postrail.stages.decode import decode_authorizations
from postrail.stages.deduplicate import fingerprint_of, payment_key_of

ACCOUNTS = sample_accounts(1, 200)
DAY = date(2026, 10, 1)
COUNT = 4_000


def bodies(seed: int = 1, count: int = COUNT, **options: Any) -> list[dict[str, Any]]:
    return list(sample_day(seed, count, **{"accounts": ACCOUNTS, "day": DAY} | options))


def authorizations(rows: list[dict[str, Any]]) -> list[Authorization | Permanent]:
    return decode_authorizations([orjson.dumps(row) for row in rows])


def test_the_same_seed_and_day_give_the_same_rows_and_others_do_not() -> None:
    assert bodies() == bodies()
    assert bodies(seed=2) != bodies()
    keys = [
        {payment_key_of(each) for each in authorizations(bodies(day=day)) if isinstance(each, Authorization)}
        for day in (DAY, date(2026, 10, 2))
    ]
    assert keys[0].isdisjoint(keys[1])


def test_duplicates_conflicts_and_malformed_rows_come_in_the_promised_number() -> None:
    found = authorizations(bodies(duplicates=0.1, malformed=0.01))
    good = [each for each in found if isinstance(each, Authorization)]
    assert len(found) - len(good) == 40
    assert len({each.payment_id for each in good}) == len(good)
    by_key = Counter(map(payment_key_of, good))
    assert sum(number - 1 for number in by_key.values()) == 400
    contents = Counter(key for key, _ in {(payment_key_of(each), fingerprint_of(each)) for each in good})
    assert 0 < sum(number - 1 for number in contents.values()) < 150


def test_rows_come_in_the_order_of_time_and_the_day_has_quiet_and_busy_hours() -> None:
    good = [each for each in authorizations(bodies(malformed=0)) if isinstance(each, Authorization)]
    firsts = [each for each in good if each.message_type == "1100"]
    hours = Counter(each.authorized_at.hour for each in firsts)
    assert {each.authorized_at.date() for each in good} == {DAY}
    assert hours.most_common(1)[0][0] in {hour for hour, weight in enumerate(HOUR_WEIGHTS) if weight > 80}
    seen = {each.payment_id: each.authorized_at for each in good}
    ordered = [moment for moment in seen.values() if moment]
    drops = sum(1 for before, after in pairwise(ordered) if after < before)
    assert drops <= COUNT * 0.06, "only repeats carry an earlier time"


def test_a_long_day_has_cards_that_are_used_too_often_within_an_hour() -> None:
    good = [
        each
        for each in authorizations(bodies(count=60_000, accounts=sample_accounts(1, 5_000), malformed=0, duplicates=0))
        if isinstance(each, Authorization)
    ]
    uses = Counter((each.card.token, each.authorized_at.hour) for each in good)
    busy = sum(1 for number in uses.values() if number > 20)
    assert 0 < busy < len(uses) * 0.01


@pytest.mark.parametrize("name", ["day.jsonl", "day.csv", "day.parquet", "day.csv.gz", "day.jsonl.zst"])
def test_every_format_carries_the_same_rows(tmp_path: Path, name: str) -> None:
    rows = bodies(count=500, flat=True, malformed=0.02)
    format_, compression = format_by_name(name)
    assert format_ is not None
    path = tmp_path / name
    assert write_rows(path, iter(rows), format_, compression) == 500
    again = tmp_path / f"again-{name}"
    write_rows(again, iter(rows), format_, compression)
    assert again.read_bytes() == path.read_bytes()
    source = LocalFile(path)
    file = open_rows(source, recognise(source))
    build = RowBuilder(file.header).from_line if file.header else None
    read = [build(record) if build else record for _, _, record in file.rows()]
    assert all(isinstance(text, bytes) for text in read)
    found = decode_authorizations([text for text in read if isinstance(text, bytes)])
    expected = authorizations(rows)
    assert [getattr(each, "reason", each) for each in found] == [getattr(each, "reason", each) for each in expected]


def test_nothing_but_the_row_that_is_wrong_on_purpose_holds_a_card_number(tmp_path: Path) -> None:
    rows = bodies(malformed=0.01)
    with_numbers = [row for row in rows if any(find_clear_pans(orjson.dumps(row).decode()))]
    refused = authorizations(with_numbers)
    assert all(isinstance(each, Permanent) and each.reason is ReasonCode.CLEAR_PAN for each in refused)
    path = tmp_path / "reference.jsonl"
    write_reference(path, ACCOUNTS, [])
    assert not any(find_clear_pans(path.read_text()))


def test_reference_data_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "reference.jsonl"

    rate = ExchangeRate("EUR", "GBP", Decimal("0.8648"), DAY, "tests")
    assert write_reference(path, ACCOUNTS, [rate]) == 200
    lines = list(read_reference(path))
    assert [line.to_rate() for line in lines if not isinstance(line, CardLine)] == [rate]
    cards = [line for line in lines if isinstance(line, CardLine)]
    assert [(card.card, card.account, card.opening_balance_minor) for card in cards] == [
        (each.card_token, each.details, each.opening_balance_minor) for each in ACCOUNTS
    ]


@pytest.mark.parametrize("options", [{"duplicates": 0.9, "malformed": 0.2}, {"accounts": []}, {"malformed": -0.1}])
def test_impossible_wishes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        bodies(**options)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"card": "9990", "account": {}}', "line 2 is no card and no rate"),
        ('{"rate": "1.1", "source": "GBP", "target": "EUR", "day": "2026-13-45", "publisher": "x"}', "day"),
        ("{", "line 2 is no card and no rate"),
    ],
)
def test_a_wrong_line_of_reference_data_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "reference.jsonl"
    write_reference(path, ACCOUNTS[:1], [])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(FileUnusable, match=problem):
        list(read_reference(path))


def test_cards_that_nobody_wants_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "reference.jsonl"
    write_reference(path, ACCOUNTS, [ExchangeRate("EUR", "GBP", Decimal("0.8648"), DAY, "tests")])
    wanted = ACCOUNTS[7].card_token
    lines = list(read_reference(path, wants=lambda token: token == wanted.encode()))
    assert [line.card for line in lines if isinstance(line, CardLine)] == [wanted]
    assert len(lines) == 2
