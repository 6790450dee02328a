"""Holds Terraform code and images to checkov's rules: no finding, no unread file, no suppression without a reason.

checkov itself ends well when a file cannot be parsed, and takes a suppression without a word. Both would leave
resources unchecked in silence, so its report is judged here.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from local_cloud.errors import LocalCloudError
from local_cloud.layout import CHECKOUT

CHECKOV: Final = CHECKOUT / ".tools" / "checkov" / "bin" / "checkov"
CONFIG: Final = CHECKOUT / ".ci" / "checkov.yaml"
FRAMEWORKS: Final = frozenset({"terraform", "dockerfile"})
_PATIENCE_S: Final = 600.0
_WORDS_MAX: Final = 2000
_REASON_LENGTH_MIN: Final = 15
# What checkov writes where a suppression has no reason.
_NO_REASON: Final = "No comment provided"


def judge(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong in checkov's reports, of which each is about one framework; a line each. Empty: nothing."""
    missing = FRAMEWORKS - {str(report["check_type"]) for report in reports}
    faults = [f"nothing was checked as {framework}: are its files gone?" for framework in sorted(missing)]
    for report in reports:
        results = report["results"]
        unread = sorted(_relative(path) for path in results["parsing_errors"])
        unexplained = _unexplained(results["skipped_checks"])
        faults += [f"{path}: checkov cannot read it, so nobody checked it" for path in unread]
        faults += sorted(_line(check, str(check["check_name"])) for check in results["failed_checks"])
        faults += sorted(_line(check, "suppressed without a reason") for check in unexplained)
    # A module's fault is found at every place that uses it, and a report tells again what the one before it told.
    return list(dict.fromkeys(faults))


def summarise(reports: Sequence[Mapping[str, Any]]) -> str:
    """How much was checked, and how much of it is suppressed, for people."""
    passed, skipped = (
        {
            (check["check_id"], check["file_abs_path"], check["resource"])
            for report in reports
            for check in report["results"][kind]
        }
        for kind in ("passed_checks", "skipped_checks")
    )
    return f"checkov: {len(passed)} checks passed, {len(skipped)} suppressed beside their resource with a reason"


def run_checkov() -> list[dict[str, Any]]:
    """Run checkov as .ci/checkov.yaml says; returns its reports. Raises LocalCloudError when there are none."""
    if not CHECKOV.exists():
        raise LocalCloudError("checkov is not installed here; run `make check`, which does it.")
    try:
        answer = subprocess.run(
            [str(CHECKOV), "--config-file", str(CONFIG)],
            capture_output=True,
            text=True,
            check=False,
            env=_offline_environment(),
            cwd=CHECKOUT,
            timeout=_PATIENCE_S,
        )
    except subprocess.TimeoutExpired as error:
        message = f"checkov took over {_PATIENCE_S:.0f} s"
        raise LocalCloudError(message) from error
    try:
        return read_reports(answer.stdout)
    except ValueError as error:
        message = f"checkov ended with {answer.returncode}:\n{(answer.stderr or answer.stdout).strip()[-_WORDS_MAX:]}"
        raise LocalCloudError(message) from error


def read_reports(text: str) -> list[dict[str, Any]]:
    """Reports out of what checkov prints: for each directory a document, of one report or a list of them.

    Raises ValueError when it is something else.
    """
    decoder = json.JSONDecoder()
    reports: list[dict[str, Any]] = []
    rest = text.strip()
    while rest:
        document, end = decoder.raw_decode(rest)
        reports += document if isinstance(document, list) else [document]
        rest = rest[end:].lstrip()
    # A directory in which a framework finds no file has an empty report, without results.
    return [report for report in reports if "results" in report]


def main() -> int:
    """Run and judge; returns the exit status."""
    try:
        reports = run_checkov()
    except LocalCloudError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    faults = judge(reports)
    sys.stderr.writelines(f"{fault}\n" for fault in faults)
    sys.stdout.write(f"{summarise(reports)}\n" if not faults else "")
    return 1 if faults else 0


def _unexplained(skipped: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for check in skipped:
        reason = str(check["check_result"].get("suppress_comment") or "").strip()
        if reason == _NO_REASON or len(reason) < _REASON_LENGTH_MIN:
            yield check


def _line(check: Mapping[str, Any], words: str) -> str:
    first = check["file_line_range"][0]
    resource = ".".join(str(check["resource"]).split(".")[-2:])
    return f"{_relative(check['file_abs_path'])}:{first}: {check['check_id']} {resource}: {words}"


def _relative(path: str) -> str:
    absolute = Path(path)
    return str(absolute.relative_to(CHECKOUT)) if absolute.is_relative_to(CHECKOUT) else path


def _offline_environment() -> dict[str, str]:
    """Without anybody's credentials: checkov needs none, and would use some that it finds."""
    forbidden = ("AWS_", "BC_", "CKV_", "CHECKOV_", "PRISMA_", "TF_")
    return {name: value for name, value in os.environ.items() if not name.startswith(forbidden)}


if __name__ == "__main__":
    sys.exit(main())
