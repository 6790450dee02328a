"""Rules as data: versioned YAML with conditions in CEL, evaluated to a decision that can be explained and re-run."""

from postrail.rules.decisions import ReRun, decide, re_run
from postrail.rules.inputs import INPUTS, rule_inputs
from postrail.rules.rule_file import RuleSetFile
from postrail.rules.rule_set import Explanation, RuleSet, RuleTestFailure, load_rule_set

__all__ = [
    "INPUTS",
    "Explanation",
    "ReRun",
    "RuleSet",
    "RuleSetFile",
    "RuleTestFailure",
    "decide",
    "load_rule_set",
    "re_run",
    "rule_inputs",
]
