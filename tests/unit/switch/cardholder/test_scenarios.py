"""Scenario files: what is wrong in one is said with its place."""

from pathlib import Path
from textwrap import dedent

import pytest

from postrail.domain.errors import ConfigInvalid
from postrail.domain.money import Money
from switch.cardholder.scenarios import Send, load_scenario, parse_money

HEAD = """
name: sample
description: A sample.
cards: { card: { balance: "10.00" } }
steps:
"""


def load(tmp_path: Path, steps: str) -> object:
    path = tmp_path / "sample.yaml"
    path.write_text(HEAD + dedent(steps), encoding="utf-8")
    return load_scenario(path)


def test_a_scenario_is_read(tmp_path: Path) -> None:
    """Steps are known by the key that only they have."""
    scenario = load(
        tmp_path,
        """
        - { send: purchase, card: card, amount: 1.50 GBP, as: coffee, expect: { mti: "1110", 39: "000" } }
        - { send: reversal, of: coffee, expect: { 39: "400" } }
        - { line: silent }
        - { post: approved }
        - { delivered: { "1420": 1 } }
        - { records: { approved: 1 } }
        - { ledger: { card: { held: "1.50" } } }
        """,
    )
    kinds = [type(step).__name__ for step in scenario.steps]  # type: ignore[attr-defined]
    assert kinds == ["Send", "Send", "Line", "Post", "Delivered", "Records", "Ledger"]
    first = scenario.steps[0]  # type: ignore[attr-defined]
    assert isinstance(first, Send)
    assert first.name == "coffee"


@pytest.mark.parametrize(
    ("steps", "complaint"),
    [
        ("- { wait: 5 }", "steps.0: a step is one of send, line, ledger"),
        ("- { send: purchase, card: card }", "purchase needs `card` and `amount`"),
        ("- { send: purchase, card: nobody, amount: 1.00 GBP }", "step 1: there is no card nobody"),
        ("- { send: reversal, of: coffee }", "step 1: no message before is named coffee"),
        ("- { send: reversal }", "reversal needs `of`"),
        ("- { send: purchase, card: card, amount: 1.001 GBP }", "is no amount such as 12.50 GBP"),
        ("- { send: purchase, card: card, amount: 1.00 GBP, expect: { 39: 000 } }", "steps.0.send.expect.39"),
        ("- { line: slow }", "steps.0.line.line"),
        ("- { ledger: { other: { held: '1.00' } } }", "step 1: there is no card other"),
        ("[", "is no YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, steps: str, complaint: str) -> None:
    """The file, the step, and what it should be."""
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path, steps)
    assert "sample.yaml" in str(caught.value)
    assert complaint in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """No traceback for a mistyped name."""
    with pytest.raises(ConfigInvalid, match=r"nothing\.yaml cannot be read"):
        load_scenario(tmp_path / "nothing.yaml")


def test_amounts_follow_their_currency() -> None:
    """Yen have no decimals, dinars three."""
    assert parse_money("12.50 GBP") == Money(1_250, "GBP")
    assert parse_money("500 JPY") == Money(500, "JPY")
    assert parse_money("1.234 KWD") == Money(1_234, "KWD")
    for text in ("0.5 JPY", "1 XXX", "GBP", "-1.00 GBP", "1.00"):
        with pytest.raises(ValueError, match=r"amount|currency"):
            parse_money(text)
