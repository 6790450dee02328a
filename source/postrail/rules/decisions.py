"""Decisions: what a rule set said of a payment, with all that is needed to say it again."""

from dataclasses import dataclass
from datetime import datetime

from postrail.contracts.base import trusted
from postrail.contracts.payment import Decision, RuleHit, RuleOutcome
from postrail.rules.inputs import InputValue
from postrail.rules.rule_set import RuleSet


@dataclass(frozen=True, slots=True)
class ReRun:
    """A decision made again from its recorded inputs by the rule set at hand."""

    same: bool
    """Whether outcome and matched rules are those of the recorded decision."""
    same_version: bool
    """Whether the rule set at hand is the one that decided: name, version and content."""
    outcome: RuleOutcome
    matched: tuple[RuleHit, ...]


def decide(rules: RuleSet, inputs: dict[str, InputValue], *, decided_at: datetime) -> Decision:
    """Evaluate and record version, outcome, matches and inputs. `decided_at` is aware, UTC."""
    hits = rules.evaluate(inputs)
    # Every part was validated before: the rule set when it was loaded, the inputs with the payment's event.
    return trusted(
        Decision,
        {
            "rule_set": rules.name,
            "version": rules.version,
            "outcome": rules.outcome_of(hits),
            "matched": hits,
            "inputs": inputs,
            "decided_at": decided_at,
        },
    )


def re_run(decision: Decision, rules: RuleSet) -> ReRun:
    """Make a recorded decision again. Raises ValueError when `rules` need an input that was not recorded."""
    matched = rules.evaluate(decision.inputs)
    outcome = rules.outcome_of(matched)
    return ReRun(
        same=outcome is decision.outcome and matched == decision.matched,
        same_version=(rules.name, rules.version) == (decision.rule_set, decision.version),
        outcome=outcome,
        matched=matched,
    )


def deciding_reason(decision: Decision) -> str:
    """The reason of the first match that decided, and how many more there were; for refusals and referrals."""
    reasons = [hit.reason for hit in decision.matched if hit.outcome is decision.outcome]
    if not reasons:
        return f"no rule of {decision.rule_set} gave {decision.outcome}"
    return reasons[0] if len(reasons) == 1 else f"{reasons[0]} (and {len(reasons) - 1} more)"
