"""Killed at any moment and started again, a run ends with the balances of one that nobody disturbed."""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.batch.support import Bank, bodies, outcomes_in, wait_until, write_file

from local_cloud import postgres as local_postgres
from local_cloud import processes
from local_cloud.layout import StateDir
from postrail.adapters.postgres.migrate import migrate

pytestmark = pytest.mark.timeout(290)

ROWS = 6_000
SIZES = ("--chunk-size", "60", "--workers", "2")
COUNT_KEYS = ("lines", "posted", "duplicates", "conflicts", "rejected", "referred", "malformed", "failed")


def children_of(pid: int) -> list[int]:
    """Pids of the processes that `pid` has started and that run Python code of ours."""
    listed = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [int(row[0]) for row in rows if int(row[1]) == pid and "spawn_main" in row[-1]]


def kill_parent(process: "subprocess.Popen[str]") -> None:
    process.kill()


def kill_worker(process: "subprocess.Popen[str]") -> None:
    workers = children_of(process.pid)
    if workers:
        os.kill(random.choice(workers), signal.SIGKILL)


def kill_everything(process: "subprocess.Popen[str]") -> None:
    os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def undisturbed(postgres_server, migrated_template: str, tmp_path: Path) -> Any:
    """Run a file on a second bank that nothing happens to; its report and its balances."""
    names: list[str] = []

    def run(file: Path) -> tuple[dict[str, Any], dict[str, int]]:
        names.append(postgres_server.create_database(migrated_template))
        bank = Bank.open(postgres_server.owner_dsn_of(names[-1]), tmp_path / "undisturbed")
        return bank.run(file, *SIZES), bank.balances()

    yield run
    for name in names:
        postgres_server.drop_database(name)


def run_with_kills(bank: Bank, file: Path, kill: Callable[["subprocess.Popen[str]"], None], times: int) -> None:
    """Start the run `times` times and kill it each time a few commits later."""
    for _ in range(times):
        before = bank.chunks()
        process = bank.start(file, *SIZES)
        wait_until(lambda: bank.chunks() >= before + random.randint(1, 8) or process.poll() is not None)  # noqa: B023
        time.sleep(random.random() * 0.05)
        if process.poll() is None:
            kill(process)
        process.communicate(timeout=100)
    assert 0 < bank.posted() < ROWS


@pytest.mark.parametrize("kill", [kill_parent, kill_worker, kill_everything])
def test_a_killed_run_is_resumed_to_the_same_end(
    bank: Bank, undisturbed: Any, tmp_path: Path, kill: Callable[["subprocess.Popen[str]"], None]
) -> None:
    file = write_file(tmp_path / "day.jsonl", bodies(ROWS))
    run_with_kills(bank, file, kill, times=4)
    results = tmp_path / "refused.jsonl"
    report = bank.run(file, *SIZES, "--results", str(results))
    calm, balances = undisturbed(file)
    assert {key: report[key] for key in COUNT_KEYS} == {key: calm[key] for key in COUNT_KEYS}
    assert report["resumed"]
    assert bank.balances() == balances
    assert bank.posted() == report["posted"]
    assert sum(outcomes_in(results).values()) == report["lines"] - report["posted"]
    assert bank.verified()


def test_a_lost_worker_ends_the_run_with_a_sentence(bank: Bank, tmp_path: Path) -> None:
    file = write_file(tmp_path / "day.jsonl", bodies(ROWS))
    process = bank.start(file, *SIZES)
    wait_until(lambda: bank.chunks() >= 2)
    kill_worker(process)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "was ended by signal 9" in err
    assert "the same command goes on from there" in err
    assert "Traceback" not in err


def test_workers_end_by_themselves_when_their_parent_is_gone(bank: Bank, tmp_path: Path) -> None:
    file = write_file(tmp_path / "day.jsonl", bodies(ROWS))
    process = bank.start(file, *SIZES)
    wait_until(lambda: bank.chunks() >= 2)
    workers = children_of(process.pid)
    assert len(workers) == 2
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: not any(_alive(pid) for pid in workers), seconds=30)
    chunks = bank.chunks()
    time.sleep(0.5)
    assert bank.chunks() == chunks


def _alive(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


def test_two_runs_of_one_file_at_the_same_time_post_it_once(bank: Bank, undisturbed: Any, tmp_path: Path) -> None:
    file = write_file(tmp_path / "day.jsonl", bodies(2_000))
    both = [bank.start(file, *SIZES, "--results", str(tmp_path / f"{number}.jsonl")) for number in range(2)]
    ends = [(process.communicate(timeout=200), process.returncode) for process in both]
    assert [code for _, code in ends] == [0, 0], ends
    calm, balances = undisturbed(file)
    assert bank.posted() == calm["posted"]
    assert bank.balances() == balances
    assert (tmp_path / "0.jsonl").read_bytes() == (tmp_path / "1.jsonl").read_bytes()


@pytest.mark.parametrize("patience", ["0", "60"])
def test_kill_9_of_postgresql_in_the_middle_is_survived(undisturbed: Any, tmp_path: Path, patience: str) -> None:
    """With patience the run itself waits for the server; without, it ends with a sentence and is given again."""
    state = StateDir(tmp_path / "state")
    state.root.mkdir()
    try:
        settings = local_postgres.ensure_running(state, lambda _: None)
        migrate(settings.dsn)
        bank = Bank.open(settings.dsn, tmp_path / "bank")
        file = write_file(tmp_path / "day.jsonl", bodies(ROWS))
        process = bank.start(file, *SIZES, "--patience", patience)
        wait_until(lambda: bank.chunks() >= 3)
        record = processes.load(state, local_postgres.NAME)
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        if patience == "0":
            _, err = process.communicate(timeout=100)
            assert process.returncode == 1
            assert "goes on from there" in err
        assert local_postgres.ensure_running(state, lambda _: None).dsn == settings.dsn
        if patience != "0":
            _, err = process.communicate(timeout=200)
            assert process.returncode == 0, err
        report = bank.run(file, *SIZES)
        calm, balances = undisturbed(file)
        assert {key: report[key] for key in COUNT_KEYS} == {key: calm[key] for key in COUNT_KEYS}
        assert bank.balances() == balances
        assert bank.verified()
    finally:
        local_postgres.stop(state)
        local_postgres.remove_data(state)
