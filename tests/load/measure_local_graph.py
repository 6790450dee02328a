"""Measures the graph that `make local` deployed: throughput of a burst, latency at 20 payments a second.

Prints machine and versions, every run, and the medians. Each run's own books are checked: a run that loses a payment
ends the measurement. Before the runs that count, one burst warms the functions up. There are enough sample cards that
the velocity rule does not turn the measurement into one of referrals.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

BURSTS = 5
BURST_COUNT = 1000
STEADY_COUNT = 400
STEADY_RATE = 20
ACCOUNTS = 1500
POSTRAIL = str(Path(sys.executable).parent / "postrail")


def run(*arguments: str) -> str:
    """Run `postrail`; its errors end the measurement."""
    done = subprocess.run([POSTRAIL, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"postrail {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def inject(seed: int, count: int, *more: str) -> dict[str, Any]:
    """Inject, wait for every payment's end, and read the report."""
    common = ("--seed", str(seed), "--accounts", str(ACCOUNTS), "--duplicates", "0.1", "--wait", "--json")
    report: dict[str, Any] = json.loads(run("inject", "--count", str(count), *common, *more))
    return report


def show(name: str, report: dict[str, Any]) -> None:
    """One line a run."""
    ends = " ".join(f"{end} {report[end]}" for end in ("posted", "parked", "rejected", "referred", "dead_lettered"))
    latency = report["latency_ms"]
    print(
        f"{name:9} {report['throughput_per_s']:7.1f}/s  p50 {latency['p50']:8.1f} ms  p99 {latency['p99']:8.1f} ms"
        f"  unaccounted {report['unaccounted']}  {ends}",
        flush=True,
    )


def main() -> None:
    """Warm up, measure, verify."""
    print(f"{platform.platform()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    print(f"Python {platform.python_version()}, postrail {version('postrail')}, ministack {version('ministack')}")
    run("seed", "--accounts", str(ACCOUNTS))
    run("selftest")
    seed = int(time.time())
    show("warm-up", inject(seed, BURST_COUNT))
    bursts = []
    for number in range(1, BURSTS + 1):
        bursts.append(inject(seed + number, BURST_COUNT))
        show(f"burst {number}", bursts[-1])
    steady = inject(seed + 100, STEADY_COUNT, "--rate", str(STEADY_RATE))
    show(f"{STEADY_RATE}/s", steady)
    run("ledger", "verify")
    print(
        json.dumps(
            {
                "burst_payments_per_s_median": statistics.median(report["throughput_per_s"] for report in bursts),
                "burst_payments": BURST_COUNT,
                "bursts": BURSTS,
                "steady_per_s": STEADY_RATE,
                "steady_latency_ms": steady["latency_ms"],
                "ledger_verify": "clean",
            }
        )
    )


if __name__ == "__main__":
    main()
