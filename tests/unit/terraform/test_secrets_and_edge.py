"""What Terraform's text must agree with: no value of a secret in any state, and an edge that both its sides know."""

import re
from pathlib import Path

import pytest

from switch.issuing.api.serve import BODY_BYTES_MAX
from switch.issuing.edge_key import HEADER

TERRAFORM = Path(__file__).parents[3] / "terraform"
FILES = sorted(path for path in TERRAFORM.rglob("*.tf") if not {".terraform", "tests"} & set(path.parts))

# Arguments whose values Terraform writes into its state, and resources that make a secret there.
KEPT_IN_STATE = re.compile(
    r"^\s*(?:secret_string|secret_binary|master_password)\s*="
    r'|^resource "(?:aws_cloudfrontkeyvaluestore_key|aws_iam_access_key|random_password|tls_private_key)"',
    re.MULTILINE,
)


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(TERRAFORM)) for path in FILES])
def test_no_secret_gets_into_a_state(path: Path) -> None:
    """Values are write-only, or put in by hand."""
    assert KEPT_IN_STATE.findall(path.read_text(encoding="utf-8")) == []


def test_passwords_are_ephemeral_all_the_way() -> None:
    """A variable that is not would be in the plan that people store and show."""
    declaration = re.compile(r'^variable "\w*password\w*" \{.*?^\}', re.MULTILINE | re.DOTALL)
    variables = [block for path in FILES for block in declaration.findall(path.read_text(encoding="utf-8"))]
    assert variables
    assert [block for block in variables if not re.search(r"^\s*ephemeral\s*= true$", block, re.MULTILINE)] == []


def test_the_edge_and_the_apis_agree() -> None:
    """On the header of the edge's key, which no log shows, and on how much of a body is let through."""
    edge = TERRAFORM / "modules" / "edge"
    assert f"const HEADER = '{HEADER}';" in (edge / "show_key.js").read_text(encoding="utf-8")
    assert f'"{HEADER}"' in (edge / "firewall.tf").read_text(encoding="utf-8")
    (body_bytes_max,) = re.findall(r"body_bytes_max = (\d+)", (TERRAFORM / "security.tf").read_text(encoding="utf-8"))
    assert int(body_bytes_max) == BODY_BYTES_MAX
