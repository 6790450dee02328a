"""Processes of ours: found, told from strangers, ended with what they started."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from local_cloud import processes
from local_cloud.errors import LocalCloudError
from local_cloud.layout import StateDir
from local_cloud.processes import ProcessRecord

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
# Starts a child, prints its pid, and sleeps.
PARENT = [
    sys.executable,
    "-c",
    """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
""",
]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDir]:
    found = StateDir(tmp_path / "state")
    yield found
    processes.stop(found, "sleeper")


def start(state: StateDir, command: list[str]) -> ProcessRecord:
    return processes.start(state, "sleeper", command, env=dict(os.environ), cwd=Path("/"), address="here")


def wait_dead(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while processes.identity(pid) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    return processes.identity(pid) is None


def test_a_started_process_is_found_again_and_ended_once(state: StateDir) -> None:
    record = start(state, SLEEP)
    assert processes.running(state, "sleeper") == record
    assert processes.stop(state, "sleeper")
    assert processes.identity(record.pid) is None
    assert not processes.stop(state, "sleeper")


def test_a_recycled_pid_is_a_stranger_and_stays_alive(state: StateDir) -> None:
    """The record's pid lives, but it started at another time than what was recorded."""
    stranger = subprocess.Popen(SLEEP)
    try:
        known = processes.identity(stranger.pid)
        assert known is not None
        processes.save(state, ProcessRecord("sleeper", stranger.pid, f"{known}0", 0.0, ""))
        assert processes.running(state, "sleeper") is None
        assert not processes.stop(state, "sleeper")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_children_of_a_killed_leader_are_ended_too(state: StateDir) -> None:
    """The emulator's function workers outlive its kill -9."""
    record = start(state, PARENT)
    log = state.log("sleeper")
    assert processes.wait_for(lambda: log.read_text().strip().isdigit(), record, patience_s=10)
    child = int(log.read_text())
    os.kill(record.pid, 9)
    assert wait_dead(record.pid)
    assert processes.identity(child) is not None
    assert processes.stop(state, "sleeper")
    assert wait_dead(child)


def test_each_start_is_another_boot(state: StateDir) -> None:
    first = start(state, SLEEP)
    assert first.boot_id != replace(first, identity=first.identity + "1").boot_id


def test_a_zombie_does_not_live() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    assert wait_dead(child.pid)
    child.wait()


def test_a_command_that_is_not_there_says_so(state: StateDir) -> None:
    with pytest.raises((LocalCloudError, OSError)):
        start(state, ["/no/such/command"])


def test_a_taken_port_is_left_alone(state: StateDir) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not processes.port_is_free(port)
        assert processes.choose_port([port]) != port


def test_the_environment_of_a_local_cloud_leads_nowhere_else() -> None:
    """A profile of a real account, or a proxy, must not reach emulator, functions or Terraform."""
    env = processes.loopback_environment(
        {
            "AWS_PROFILE": "production",
            "AWS_ENDPOINT_URL": "https://example.com",
            "POSTRAIL_BUS_NAME": "x",
            "TF_VAR_region": "us-east-1",
            "PYTHONPATH": "x",
            "HTTP_PROXY": "http://proxy:3128",
            "NO_PROXY": "internal,localhost",
            "PATH": "/bin",
        }
    )
    assert env["PATH"] == "/bin"
    assert env["NO_PROXY"] == "127.0.0.1,localhost,internal"
    assert not {name for name in env if name.startswith(("AWS_", "POSTRAIL_", "TF_VAR_", "PYTHON"))}
