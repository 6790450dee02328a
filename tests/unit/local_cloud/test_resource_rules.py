"""What `make check` makes of checkov's reports."""

import json
from typing import Any

import pytest

from local_cloud.layout import CHECKOUT
from local_cloud.resource_rules import judge, read_reports, summarise

_BUCKET = CHECKOUT / "terraform" / "modules" / "anchors" / "bucket.tf"


def _check(resource: str = "module.anchors.aws_s3_bucket.anchors", comment: str | None = None) -> dict[str, Any]:
    result = {"result": "SKIPPED", "suppress_comment": comment} if comment is not None else {"result": "FAILED"}
    return {
        "check_id": "CKV_AWS_18",
        "check_name": "Ensure the S3 bucket has access logging enabled",
        "file_abs_path": str(_BUCKET),
        "file_line_range": [5, 13],
        "resource": resource,
        "check_result": result,
    }


def _report(framework: str = "terraform", **kinds: Any) -> dict[str, Any]:
    results = {"passed_checks": [], "failed_checks": [], "skipped_checks": [], "parsing_errors": [], **kinds}
    return {"check_type": framework, "results": results}


_IMAGES = _report("dockerfile")


def test_reports_without_faults_are_no_fault() -> None:
    """Passed and explained checks are counted, not told."""
    report = _report(
        passed_checks=[_check()], skipped_checks=[_check(comment="the audit trail tells who touches what")]
    )
    assert judge([report, _IMAGES]) == []
    assert summarise([report, _IMAGES]) == "checkov: 1 checks passed, 1 suppressed beside their resource with a reason"


def test_a_finding_is_told_once_with_its_place() -> None:
    """However many modules use the resource, and however often checkov repeats itself."""
    twice = [_check(), _check("module.other.module.anchors.aws_s3_bucket.anchors")]
    report = _report(failed_checks=twice)
    (fault,) = judge([report, _IMAGES, report])
    place, _, words = fault.partition(": CKV_AWS_18 ")
    assert place == "terraform/modules/anchors/bucket.tf:5"
    assert words == "aws_s3_bucket.anchors: Ensure the S3 bucket has access logging enabled"


def test_a_file_that_checkov_cannot_read_is_a_fault() -> None:
    """Its resources were not checked, though checkov itself ends well."""
    faults = judge([_report(parsing_errors=[str(_BUCKET)]), _IMAGES])
    assert faults == ["terraform/modules/anchors/bucket.tf: checkov cannot read it, so nobody checked it"]


@pytest.mark.parametrize("comment", ["No comment provided", "", "later"], ids=["none", "empty", "no reason"])
def test_a_suppression_without_a_reason_is_a_fault(comment: str) -> None:
    """Whoever suppresses says why."""
    (fault,) = judge([_report(skipped_checks=[_check(comment=comment)]), _IMAGES])
    assert fault.endswith("CKV_AWS_18 aws_s3_bucket.anchors: suppressed without a reason")


def test_a_framework_of_which_nothing_was_checked_is_a_fault() -> None:
    """A moved directory must not end the checks in silence."""
    assert judge([_report()]) == ["nothing was checked as dockerfile: are its files gone?"]


def test_reports_of_several_directories_are_all_read() -> None:
    """Each has a document of its own: one report, a list, or an empty one."""
    empty = {"passed": 0, "failed": 0, "resource_count": 0}
    text = "\n".join(json.dumps(document, indent=1) for document in (_report(), [_report(), _IMAGES], empty))
    assert [report["check_type"] for report in read_reports(text)] == ["terraform", "terraform", "dockerfile"]


@pytest.mark.parametrize("text", ["Traceback", '{"check_type": '], ids=["words", "half a document"])
def test_what_is_no_report_is_refused(text: str) -> None:
    """A checker that broke down has found nothing, which is not the same as nothing to find."""
    with pytest.raises(ValueError, match="Expecting"):
        read_reports(text)
