"""Whatever is killed when: what cardholders saw is what the books hold, and no card number is left anywhere."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from random import SystemRandom

import pytest
from tests.faults.switch.audit import (
    await_quiet,
    find_faults,
    find_faults_of_accounts,
    find_faults_of_payments,
    find_faults_of_relay,
)
from tests.faults.switch.crowd import Crowd
from tests.faults.switch.pan_scan import PanScan
from tests.faults.switch.stage import Cloud, Postgres, Stage, staged

PAYMENTS_BEFORE, PAYMENTS_AFTER = 80, 120
UNDISTURBED = {"000", "116"}
"""What cardholders are told when nothing is wrong: approved, or not enough money."""


def kill_bank(stage: Stage) -> None:
    stage.kill("bank")
    stage.start("bank")


def kill_network(stage: Stage) -> None:
    stage.kill("network")
    stage.start("network")


def kill_postgres(stage: Stage) -> None:
    stage.postgres.kill()
    stage.postgres.start()
    stage.end_leases()


def kill_bank_and_network(stage: Stage) -> None:
    stage.kill("bank", "network")
    stage.start("bank", "network")


def kill_bank_while_the_table_is_frozen(stage: Stage) -> None:
    stage.table.cloud.freeze()
    stage.kill("bank")
    stage.start("bank")
    stage.table.cloud.thaw()


@pytest.mark.parametrize(
    "disturb",
    [kill_bank, kill_network, kill_postgres, kill_bank_and_network, kill_bank_while_the_table_is_frozen],
)
def test_what_cardholders_saw_is_what_the_books_hold(
    postgres: Postgres, cloud: Cloud, tmp_path: Path, disturb: Callable[[Stage], None]
) -> None:
    """Approved is held or owed, then posted once; undone nets to zero; each approval is relayed; no PAN anywhere."""
    seed = int(os.environ.get("POSTRAIL_FAULT_SEED", "0")) or SystemRandom().randrange(1, 1_000_000)
    with staged(postgres, cloud, tmp_path) as stage:
        crowd = Crowd(stage, seed)
        asyncio.run(crowd.play(lambda: disturb(stage), before=PAYMENTS_BEFORE, after=PAYMENTS_AFTER))
        await_quiet(stage)
        faults = find_faults(stage, crowd)
        assert not faults, f"seed {seed}, {crowd.told}:\n" + "\n".join(faults)
        assert crowd.told["000"] > PAYMENTS_BEFORE // 2, crowd.told
        assert crowd.told.keys() - UNDISTURBED, f"nobody felt it: {crowd.told}"
        found = list(find_pans(stage))
        assert not found, f"seed {seed}:\n" + "\n".join(found[:20])


def test_the_audit_tells_of_everything_that_is_not_as_cardholders_were_told(
    postgres: Postgres, cloud: Cloud, tmp_path: Path
) -> None:
    """The same books are wrong when a cardholder was told something else, or when the table lacks an item."""
    with staged(postgres, cloud, tmp_path) as stage:
        crowd = Crowd(stage, seed=1)
        asyncio.run(crowd.play(lambda: None, before=40, after=20))
        await_quiet(stage)
        assert crowd.told.keys() <= UNDISTURBED
        held = next(each for each in crowd.payments if each.kind == "purchase" and each.approved and not each.undone)
        held.told = "undone"
        assert len(find_faults_of_payments(stage, crowd)) == 1
        stan = held.request.fields[11]
        held.told, held.request.fields[11] = "000", "999999"
        assert "none" in find_faults_of_payments(stage, crowd)[0]
        held.request.fields[11] = stan
        assert find_faults(stage, crowd) == []
        held.told = "undone"
        assert held.card.account_id in find_faults_of_accounts(stage, crowd)[0]
        stage.table.remove(stage.table.items()[0])
        assert "not in the table" in find_faults_of_relay(stage)[0]


def find_pans(stage: Stage) -> Iterator[str]:
    """Card numbers in anything that the run has left behind."""
    scan = PanScan(card.pan for card in stage.cards)
    yield from scan.scan_files(stage.logs)
    yield from scan.scan_database(stage.dsn)
    yield from scan.scan_dump(stage.dsn)
    yield from scan.scan_documents("the table", stage.table.items())
    yield from scan.scan_documents("the command lines", [line.decode() for line in stage.command_lines])
    yield from scan.scan_documents("the environment", [stage.environment])
    data = [path for path in stage.postgres.data_folder.rglob("*") if path.is_file()]
    yield from scan.scan_files(data, plausible=False)
