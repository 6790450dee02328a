"""What is killed comes back, and nothing is lost or posted twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.e2e.conftest import REPO, Cloud
from tests.e2e.test_road import assert_all_accounted_for, assert_ledger_balanced

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


def test_the_pipe_runner_is_killed_and_nothing_is_lost(cloud: Cloud) -> None:
    """Kill -9 in the middle of a stream, start again: every payment comes to one end."""
    postrail = str(Path(sys.executable).parent / "postrail")
    command = [postrail, "inject", "--count", "400", "--seed", "11", "--via", "table", "--wait", "--json"]
    with subprocess.Popen(command, cwd=REPO, env=cloud.env, stdout=subprocess.PIPE, text=True) as injection:
        for _ in range(2):
            time.sleep(1.5)
            status = json.loads((cloud.state_dir / "pipe-runner.json").read_text())
            os.kill(status["pid"], signal.SIGKILL)
            restarted = cloud.local_cloud("up", "--only", "pipes")
            assert restarted.returncode == 0, restarted.stderr
        out, _ = injection.communicate(timeout=240)
    report = json.loads(out)
    assert_all_accounted_for(report)
    assert report["parked"] == 40, report
    assert_ledger_balanced(cloud)
