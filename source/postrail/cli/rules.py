"""`postrail rules`: explain a decision rule by rule, run the rules' own tests, list the rules."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from postrail.cli import console
from postrail.cli.failures import CommandError
from postrail.cli.graph import load_graph
from postrail.cli.history import read_history
from postrail.contracts.events import PaymentEnriched
from postrail.contracts.payment import Decision
from postrail.rules.decisions import re_run
from postrail.rules.inputs import INPUTS, InputValue, input_problem, rule_inputs
from postrail.rules.rule_set import Explanation, RuleSet, load_rule_set
from postrail.settings import Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Explain, test and list the rules.")

_FILE_BYTES_MAX = 1_000_000
RulesFile = Annotated[
    Path | None, typer.Option("--rules", help="The rule file. Default: POSTRAIL_RULES_FILE, else the checkout's own.")
]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be explained: inputs of the rules and, for a payment on record, the decision that was made."""

    name: str
    inputs: Mapping[str, InputValue]
    decision: Decision | None


@app.command()
def explain(
    payment: Annotated[str | None, typer.Option("--payment", help="A payment that the rules have decided on.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A PaymentEnriched event, or the inputs of the rules, as JSON.")
    ] = None,
    velocity: Annotated[
        int, typer.Option(min=1, help="With --file: payments of the card in this hour, this one included.")
    ] = 1,
    rules: RulesFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """Say for every rule whether it matches a payment, and why.

    For a payment on record the inputs are those that the decision recorded; the rules are those at hand, and the
    answer says whether they still decide the same.
    """
    if (payment is None) == (file is None):
        raise CommandError("Name either --payment PAYMENT_ID or --file FILE.", exit_code=2)
    rule_set = load_rule_set(rule_file(rules))
    subject = _on_record(payment) if payment is not None else _from_file(file or Path(), velocity)
    try:
        explanations = rule_set.explain(subject.inputs)
    except ValueError as error:
        msg = f"{subject.name} lacks facts: {error}."
        raise CommandError(msg) from error
    outcome = rule_set.outcome_of(rule_set.evaluate(subject.inputs)).value
    again = re_run(subject.decision, rule_set) if subject.decision else None
    if as_json:
        console.write_json(_document(subject, rule_set, explanations, outcome))
        return
    console.out().print(_table_of(explanations))
    console.out().print(f"\n{rule_set.name} {rule_set.version} decides: {outcome}")
    if subject.decision and again:
        console.out().print(
            f"Recorded: {subject.decision.outcome.value} by {subject.decision.rule_set} {subject.decision.version}; "
            f"{'the same' if again.same else 'NOT the same'} as these rules say"
            f"{'' if again.same_version else ' (the rules have changed since)'}."
        )


@app.command("test")
def check(
    file: Annotated[Path | None, typer.Argument(help="The rule file. Default: the checkout's own.")] = None,
) -> None:
    """Run the tests and examples that stand in a rule file."""
    path = rule_file(file)
    rule_set = load_rule_set(path)
    failures = rule_set.run_tests()
    for failure in failures:
        given = json.dumps(dict(failure.given), ensure_ascii=False)
        console.err().print(
            f"{failure.subject}: expected {failure.expected}, got {failure.got}; given {given}", soft_wrap=True
        )
    passed = rule_set.test_count() - len(failures)
    summary = f"{rule_set.name} {rule_set.version}: {passed} of {rule_set.test_count()} tests pass"
    if failures:
        msg = f"{summary}: correct {path}."
        raise CommandError(msg)
    console.out().print(f"{summary}.", soft_wrap=True)


@app.command("list")
def list_rules(
    rules: RulesFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = False,
) -> None:
    """List the rules with their conditions."""
    rule_set = load_rule_set(rule_file(rules))
    if as_json:
        rows = [
            {"rule_id": rule.id, "outcome": rule.outcome.value, "when": rule.when.strip(), "reason": rule.reason}
            for rule in rule_set.rules
        ]
        console.write_json({"rule_set": rule_set.name, "version": rule_set.version, "rules": rows})
        return
    grid = console.table("rule", "outcome", "reason", "when")
    for rule in rule_set.rules:
        grid.add_row(rule.id, rule.outcome.value, rule.reason, " ".join(rule.when.split()))
    console.out().print(f"{rule_set.name} {rule_set.version}\n")
    console.out().print(grid)


def rule_file(chosen: Path | None) -> Path:
    """The rule file to use: the one chosen, the setting's, or the default of the config folder."""
    settings = Settings()
    return chosen or settings.rules_file or settings.resolved_config_dir() / "rules" / "issuer-default.yaml"


def _on_record(payment_id: str) -> Subject:
    history = read_history(load_graph(), payment_id)
    if history is None:
        msg = f"No payment {payment_id} is known here: check the id."
        raise CommandError(msg)
    if history.decision is None:
        msg = (
            f"The rules have made no decision on {payment_id}: see how far it came with `postrail trace {payment_id}`."
        )
        raise CommandError(msg)
    return Subject(payment_id, history.decision.inputs, history.decision)


def _from_file(path: Path, velocity: int) -> Subject:
    raw = path.read_bytes()
    if len(raw) > _FILE_BYTES_MAX:
        msg = f"{path} has {len(raw)} bytes: that is no event."
        raise CommandError(msg)
    content = json.loads(raw)
    if isinstance(content, dict) and "amount_minor" in content:
        return Subject(str(path), _flat_inputs(path, content), None)
    for wrapper in ("detail", "data"):
        if isinstance(content, dict) and wrapper in content:
            content = content[wrapper]
    try:
        event = PaymentEnriched.model_validate_json(json.dumps(content))
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in problem["loc"]) or "the whole"
        msg = f"{path} is neither a PaymentEnriched event nor inputs of the rules: {place}: {problem['msg']}."
        raise CommandError(msg) from error
    return Subject(str(path), rule_inputs(event, velocity_hour=velocity), None)


def _flat_inputs(path: Path, content: dict[str, Any]) -> dict[str, InputValue]:
    problems = [problem for name, value in content.items() if (problem := input_problem(name, value))]
    missing = sorted(INPUTS.keys() - content.keys())
    if missing:
        problems.append(f"missing: {', '.join(missing)}")
    if problems:
        msg = f"{path}: {'; '.join(problems[:5])}."
        raise CommandError(msg)
    return content


def _table_of(explanations: tuple[Explanation, ...]) -> Any:
    grid = console.table("rule", "matches", "outcome", "reason", "when")
    for each in explanations:
        verdict = "failed" if each.matched is None else ("yes" if each.matched else "no")
        grid.add_row(
            each.rule_id,
            verdict,
            each.outcome.value if each.matched is not False else "",
            each.error or (each.reason if each.matched else ""),
            " ".join(each.condition.split()),
        )
    return grid


def _document(
    subject: Subject, rule_set: RuleSet, explanations: tuple[Explanation, ...], outcome: str
) -> dict[str, Any]:
    again = re_run(subject.decision, rule_set) if subject.decision else None
    return {
        "subject": subject.name,
        "rule_set": rule_set.name,
        "version": rule_set.version,
        "outcome": outcome,
        "rules": [
            {
                "rule_id": each.rule_id,
                "matched": each.matched,
                "outcome": each.outcome.value,
                "reason": each.reason,
                "when": each.condition,
                "error": each.error,
            }
            for each in explanations
        ],
        "inputs": dict(subject.inputs),
        "recorded": subject.decision.model_dump(mode="json") if subject.decision else None,
        "same_as_recorded": again.same if again else None,
        "same_version": again.same_version if again else None,
    }
