"""The page about the message is true to the code."""

import re
from pathlib import Path
from typing import Any

from tests.builders.payments import make_authorization, make_enrichment

from postrail.contracts.payment import EntryMode
from postrail.iso20022.advice import build_advice, complete_advice

PAGE = Path(__file__).resolve().parents[3] / "docs" / "iso20022.md"


def paths_of(part: Any, path: str = "") -> set[str]:
    if isinstance(part, dict):
        return set().union(*(paths_of(value, f"{path}/{name}" if path else name) for name, value in part.items()))
    if isinstance(part, list):
        return set().union(*(paths_of(item, path) for item in part))
    return {path}


def test_the_table_names_every_element_that_is_written_and_no_other() -> None:
    """Purchase and refund, before and after enrichment."""
    written: set[str] = set()
    for transaction_type in ("00", "20"):
        authorization = make_authorization(transaction_type=transaction_type, entry_mode=EntryMode.ECOMMERCE)
        message = complete_advice(build_advice(authorization), authorization, make_enrichment())
        written |= paths_of(message["AuthstnInitn"])
    documented = re.findall(r"^\| `([A-Za-z]+/[A-Za-z/]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(written)


def test_the_codes_in_the_tables_are_the_codes_that_are_written() -> None:
    """Entry modes and response codes, row by row."""
    page = PAGE.read_text(encoding="utf-8")
    for entry_mode in EntryMode:
        code = build_advice(make_authorization(entry_mode=entry_mode))["AuthstnInitn"]["Cntxt"]["CardDataNtryMd"]
        assert f"| {entry_mode.value} | `{code}`" in page
    actions = [f"{number:03}" for number in range(8)]
    responses = [
        build_advice(make_authorization(action_code=action))["AuthstnInitn"]["PrcgRslt"]["RspnCd"] for action in actions
    ]
    assert f"| {' | '.join(actions)} |" in page
    assert f"| {' | '.join(responses)} |" in page
