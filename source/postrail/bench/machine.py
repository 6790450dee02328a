"""What a measurement was made on: figures mean nothing without it."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_CPU_INFO: Final = Path("/proc/cpuinfo")
_PACKAGES: Final = ("pydantic", "pydantic-core", "orjson", "common-expression-language", "asyncpg", "psycopg")


def describe_machine() -> dict[str, object]:
    """Processor, cores this process may use, how busy they were, system, Python and the packages that decide the speed.

    JSON-able. `load_average` is the mean number of runnable processes in the last minute: above the number of cores,
    times include waiting.
    """
    return {
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "load_average": _load_average(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "packages": {name: found for name in _PACKAGES if (found := _version(name)) is not None},
    }


def _cpu_model() -> str:
    """The processor's name: Linux says it in /proc/cpuinfo, other systems through `platform`."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _load_average() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
