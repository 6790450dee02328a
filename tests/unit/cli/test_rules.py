"""The rules on the command line."""

import json

import pytest
from tests.builders.payments import make_enriched

from postrail.cli.rules import rule_file
from postrail.rules.rule_set import load_rule_set


@pytest.fixture
def enriched(tmp_path):
    """A file with the data of a PaymentEnriched."""
    path = tmp_path / "enriched.json"
    path.write_text(make_enriched().model_dump_json(exclude_none=True))
    return path


def test_the_default_rules_pass_their_own_tests(postrail, no_graph):
    code, out, err = postrail("rules", "test")
    assert (code, err) == (0, "")
    assert "tests pass" in out


def test_a_rule_that_fails_its_test_is_named(postrail, no_graph, tmp_path):
    text = rule_file(None).read_text().replace('when: account_status == "closed"', 'when: account_status == "shut"')
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    code, _, err = postrail("rules", "test", str(path))
    assert code == 1
    assert "rule account_closed: expected a match, got no match" in err


def test_a_rule_file_that_cannot_be_loaded_is_one_sentence(postrail, no_graph, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("name: [")
    code, out, err = postrail("rules", "test", str(path))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert str(path) in err


def test_every_rule_is_listed(postrail, no_graph):
    rules = load_rule_set(rule_file(None))
    _, out, _ = postrail("rules", "list")
    assert all(rule.id in out for rule in rules.rules)
    _, out, _ = postrail("rules", "list", "--json")
    document = json.loads(out)
    assert document["version"] == rules.version
    assert len(document["rules"]) == len(rules.rules)


def test_conditions_with_brackets_are_shown_as_written(postrail, no_graph):
    _, out, _ = postrail("rules", "list")
    assert "refer_above_minor[billing_currency]" in out


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_event_is_explained_rule_by_rule(postrail, no_graph, enriched, wrapped):
    if wrapped:
        enriched.write_text(json.dumps({"detail": {"metadata": {}, "data": json.loads(enriched.read_text())}}))
    code, out, _ = postrail("rules", "explain", "--file", str(enriched), "--json")
    document = json.loads(out)
    assert code == 0
    matched = {rule["rule_id"] for rule in document["rules"] if rule["matched"]}
    assert matched == {"foreign_transaction", "currency_conversion"}
    assert document["outcome"] == "approve"


def test_the_velocity_of_a_file_can_be_chosen(postrail, no_graph, enriched):
    _, out, _ = postrail("rules", "explain", "--file", str(enriched), "--velocity", "99")
    assert "decides: refer" in out


def test_plain_inputs_are_explained_too(postrail, no_graph, tmp_path):
    path = tmp_path / "inputs.json"
    path.write_text(json.dumps(load_rule_set(rule_file(None)).baseline() | {"account_status": "closed"}))
    _, out, _ = postrail("rules", "explain", "--file", str(path))
    assert "decides: reject" in out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "neither a PaymentEnriched event nor inputs"),
        ('{"amount_minor": "12"}', "the input amount_minor is int"),
        ('{"amount_minor": 12}', "missing:"),
        ("{", "not JSON"),
    ],
)
def test_a_file_that_cannot_be_explained_is_one_sentence(postrail, no_graph, tmp_path, content, says):
    path = tmp_path / "inputs.json"
    path.write_text(content)
    code, out, err = postrail("rules", "explain", "--file", str(path))
    assert (code, out) == (1, "")
    assert says in err


def test_a_missing_file_is_one_sentence(postrail, no_graph):
    code, _, err = postrail("rules", "explain", "--file", "/nowhere/inputs.json")
    assert code == 1
    assert err == "postrail: There is no file /nowhere/inputs.json: check the path.\n"
