"""What Terraform tells functions and tasks is what their settings read, and the switch gets all that it needs."""

import re
from pathlib import Path

import pytest

from postrail.settings import CommandLineSettings, Settings, SwitchSettings

TERRAFORM = Path(__file__).resolve().parents[3] / "terraform"
# A setting as a key of an environment, as opposed to one that a comment or a test mentions.
SETTING = re.compile(r"^\s*(?:POSTRAIL_)([A-Z_]+)\s*=", re.MULTILINE)
INLINE = re.compile(r"\{ ?POSTRAIL_([A-Z_]+)\s*=")


def told_in(folder: Path) -> set[str]:
    """The names of the settings that the modules below a folder give, in lower case."""
    texts = [path.read_text() for path in folder.rglob("*.tf")]
    return {name.lower() for text in texts for name in (*SETTING.findall(text), *INLINE.findall(text))}


def test_every_setting_that_terraform_gives_is_read() -> None:
    """A name that nobody reads would leave a default in its place, in silence."""
    known = {*Settings.model_fields, *SwitchSettings.model_fields, *CommandLineSettings.model_fields}
    told = told_in(TERRAFORM / "modules")
    assert told
    assert told <= known


@pytest.mark.parametrize(
    "setting",
    [
        "authorizations_table",
        "ecosystem_hosts",
        "health_port",
        "hsm",
        "hsm_keys",
        "listen_host",
        "log_level",
        "reference_table",
        "tls_secret_arn",
    ],
)
def test_the_tasks_of_the_switch_are_told(setting: str) -> None:
    """Besides what ledger and card vault tell whoever works with them."""
    assert setting in told_in(TERRAFORM / "modules" / "switch")


@pytest.mark.parametrize("setting", ["notifications_topic_arn", "token_audience", "token_issuer", "token_keys"])
def test_the_functions_of_the_api_are_told(setting: str) -> None:
    assert setting in told_in(TERRAFORM / "modules" / "api")
