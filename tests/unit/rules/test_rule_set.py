"""The rule engine: hit policy, failures that refer, what a bad rule file says."""

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.builders.rules import BASELINE, as_json, load, make_file, make_rule

from postrail.contracts.payment import RuleOutcome
from postrail.domain.errors import ConfigInvalid
from postrail.rules import RuleSet, RuleSetFile, load_rule_set
from postrail.rules.rule_set import NOT_EVALUATED


def ids(rules: RuleSet, **inputs: Any) -> list[str]:
    return [hit.rule_id for hit in rules.evaluate({**BASELINE, **inputs})]


class TestEvaluation:
    def test_every_matching_rule_is_collected_in_file_order(self, tmp_path: Path) -> None:
        rules = load(
            tmp_path,
            make_file(
                make_rule(id="second_in_alphabet", when="foreign"),
                make_rule(id="converted", when="converted"),
                make_rule(id="a_first_in_alphabet", when="foreign"),
            ),
        )
        assert ids(rules, foreign=True) == ["second_in_alphabet", "a_first_in_alphabet"]

    @pytest.mark.parametrize(
        ("outcomes", "decided"),
        [
            ([], "approve"),
            (["warn"], "approve"),
            (["approve", "warn"], "approve"),
            (["warn", "refer"], "refer"),
            (["reject", "refer", "warn"], "reject"),
            (["refer", "reject"], "reject"),
        ],
    )
    def test_the_most_severe_outcome_decides_and_warnings_do_not_block(
        self, tmp_path: Path, outcomes: list[str], decided: str
    ) -> None:
        matching = [make_rule(id=f"rule{n}", outcome=outcome) for n, outcome in enumerate(outcomes)]
        never = make_rule(id="never_here", when="converted", outcome="reject")
        rules = load(tmp_path, make_file(never, *matching))
        hits = rules.evaluate({**BASELINE, "foreign": True})
        assert rules.outcome_of(hits) is RuleOutcome(decided)

    def test_lists_and_limits_are_names_in_conditions(self, tmp_path: Path) -> None:
        rules = load(
            tmp_path,
            make_file(
                make_rule(id="listed", when="acceptor_id in watched"),
                make_rule(id="many", when="velocity_hour > most"),
                make_rule(id="large", when="billing_currency in by_currency && billing_minor > by_currency['GBP']"),
            ),
        )
        assert ids(rules, acceptor_id="M2") == ["listed"]
        assert ids(rules, velocity_hour=11) == ["many"]
        assert ids(rules, billing_currency="GBP", billing_minor=501) == ["large"]
        assert ids(rules, billing_currency="GBP", billing_minor=500, velocity_hour=10, acceptor_id="M3") == []

    def test_one_payment_leaves_nothing_behind_for_the_next(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(make_rule(when="issuer_country == null")))
        assert ids(rules, issuer_country=None) == ["abroad"]
        assert ids(rules, issuer_country="GB") == []

    def test_a_condition_that_fails_refers_the_payment_and_spares_the_other_rules(self, tmp_path: Path) -> None:
        rules = load(
            tmp_path,
            make_file(
                make_rule(id="unsound", when="foreign && by_currency[billing_currency] > 1", outcome="approve"),
                make_rule(id="sound", when="foreign"),
            ),
        )
        hits = rules.evaluate({**BASELINE, "foreign": True, "billing_currency": "CHF"})
        assert [(hit.rule_id, hit.outcome) for hit in hits] == [("unsound", "refer"), ("sound", "warn")]
        assert hits[0].reason == NOT_EVALUATED
        assert rules.outcome_of(hits) is RuleOutcome.REFER

    def test_a_condition_that_gives_no_boolean_for_a_payment_refers_it(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(make_rule(when="foreign ? velocity_hour : false")))
        hits = rules.evaluate({**BASELINE, "foreign": True})
        assert [(hit.rule_id, hit.outcome, hit.reason) for hit in hits] == [("abroad", "refer", NOT_EVALUATED)]

    def test_a_trailing_comment_in_a_condition_does_not_swallow_the_next_rule(self, tmp_path: Path) -> None:
        rules = load(
            tmp_path, make_file(make_rule(when="foreign // far away"), make_rule(id="converted", when="converted"))
        )
        assert ids(rules, foreign=True, converted=True) == ["abroad", "converted"]

    def test_a_missing_input_is_an_error_and_never_an_approval(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file())
        with pytest.raises(ValueError, match="foreign"):
            rules.evaluate({"converted": True})

    def test_threads_that_share_a_rule_set_do_not_see_each_others_inputs(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(make_rule(when="velocity_hour % 2 == 0")))
        wrong: list[int] = []

        def evaluate(parity: int) -> None:
            for _ in range(400):
                matched = ids(rules, velocity_hour=parity) == ["abroad"]
                wrong.extend([parity] * (matched is not (parity == 0)))

        threads = [threading.Thread(target=evaluate, args=(n % 2,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    @given(
        st.fixed_dictionaries(
            {"foreign": st.booleans(), "converted": st.booleans(), "velocity_hour": st.integers(0, 2**62)}
        )
    )
    def test_evaluating_together_equals_explaining_one_by_one(self, inputs: dict[str, Any]) -> None:
        content = make_file(
            make_rule(id="one", when="foreign || velocity_hour > most"),
            make_rule(id="two", when="converted && !foreign"),
            make_rule(id="three", when="velocity_hour > 9223372036854775000 - 1 || velocity_hour == 3"),
        )
        rules = RuleSet(RuleSetFile.model_validate_json(as_json(content)))
        given_ = {**BASELINE, **inputs}
        explained = [e.rule_id for e in rules.explain(given_) if e.matched]
        assert [hit.rule_id for hit in rules.evaluate(given_)] == explained


class TestExplanation:
    def test_every_rule_is_explained_with_its_condition_whether_it_matched_or_not(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(make_rule(), make_rule(id="converted", when=" converted ")))
        first, second = rules.explain({**BASELINE, "foreign": True})
        assert (first.rule_id, first.matched, first.condition, first.reason) == ("abroad", True, "foreign", "Abroad")
        assert (second.rule_id, second.matched, second.condition) == ("converted", False, "converted")

    def test_a_failed_evaluation_is_explained_as_neither_matched_nor_unmatched(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(make_rule(when="foreign && by_currency[billing_currency] > 1")))
        (only,) = rules.explain({**BASELINE, "foreign": True, "billing_currency": "CHF"})
        assert only.matched is None
        assert "CHF" in only.error


class TestVersion:
    def test_a_change_of_a_condition_shows_in_the_version_even_when_nobody_raised_it(self, tmp_path: Path) -> None:
        before = load(tmp_path, make_file())
        after = load(tmp_path, make_file(make_rule(when="!foreign || foreign && true && foreign")))
        assert before.version.startswith("2026.1+")
        assert before.version != after.version

    @pytest.mark.parametrize("change", [{"lists": {"watched": ["M1"]}}, {"limits": {"most": 11, "by_currency": {}}}])
    def test_a_change_of_a_list_or_limit_shows_in_the_version(self, tmp_path: Path, change: dict[str, Any]) -> None:
        assert load(tmp_path, make_file()).version != load(tmp_path, make_file(**change)).version

    def test_a_change_of_a_description_or_test_does_not_show_in_the_version(self, tmp_path: Path) -> None:
        other = make_file(make_rule(description="In other words."))
        assert load(tmp_path, make_file()).version == load(tmp_path, other).version


class TestBadFiles:
    @pytest.mark.parametrize(
        ("when", "complaint"),
        [
            ("foreign &&", "no valid CEL"),
            ("foriegn", "names 'foriegn'"),
            ("['a'].exists(x, x == merchant)", "names 'merchant'"),
            ("amount_minor > 10.5", "floating point"),
            ("amount_minor > .5", "floating point"),
            ("amount_minor > 1e3", "floating point"),
            ("double(amount_minor) > double(1)", "calls 'double'"),
            ("mcc.lower() == 'x'", "calls 'lower'"),
            ("foreign && shout(mcc)", "calls 'shout'"),
            ("mcc", "gives str"),
            ("mcc > 1", "cannot be evaluated"),
            ("issuer_country.startsWith('G')", "without its optional facts"),
        ],
    )
    def test_a_condition_that_cannot_work_is_refused_at_load_naming_file_and_rule(
        self, tmp_path: Path, when: str, complaint: str
    ) -> None:
        with pytest.raises(ConfigInvalid) as refused:
            load(tmp_path, make_file(make_rule(id="odd_one", when=when)))
        message = str(refused.value)
        assert complaint in message
        assert "rules.yaml" in message
        assert "odd_one" in message

    @pytest.mark.parametrize(
        "when", ["mcc == '10.5'", 'mcc.startsWith("1e3")', "watched.exists(m, m == acceptor_id)", "size(mcc) == 4"]
    )
    def test_sound_conditions_that_look_odd_are_taken(self, tmp_path: Path, when: str) -> None:
        assert load(tmp_path, make_file(make_rule(when=when))).rules[0].when == when

    @pytest.mark.parametrize(
        ("content", "complaint"),
        [
            (make_file(make_rule(), make_rule()), "more than one rule has the id abroad"),
            (make_file(lists={"foreign": ["x"]}), "takes a name that is in use"),
            (make_file(lists={"watched": []}, limits={"watched": 1}), "takes a name that is in use"),
            (make_file(lists={"package": ["x"]}), "kept by CEL: package"),
            (make_file(baseline={"foreign": False}), "is missing"),
            (make_file(baseline=BASELINE | {"foreign": "no"}), "the input foreign is bool, not 'no'"),
            (make_file(baseline=BASELINE | {"velocity_hour": True}), "the input velocity_hour is int, not True"),
            (make_file(baseline=BASELINE | {"mcc": None}), "the input mcc is str, not None"),
            (make_file(baseline=BASELINE | {"weather": "wet"}), "there is no input 'weather'"),
            (make_file(make_rule(tests=[{"matches": True, "given": {"foreign": True}}] * 2)), "a test that does not"),
            (make_file(make_rule(tests=[])), "tests"),
            (make_file(make_rule(outcome="maybe")), "outcome"),
            (make_file(make_rule(priority=1)), "priority"),
            (make_file(limits={"most": 1.5}), "limits"),
            (make_file(version="latest"), "version"),
            (
                make_file(examples=[{"name": "n", "given": {}, "hits": ["no_such_rule"], "outcome": "warn"}]),
                "no_such_rule",
            ),
        ],
    )
    def test_a_file_that_contradicts_itself_is_refused_with_a_sentence(
        self, tmp_path: Path, content: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(ConfigInvalid, match=complaint):
            load(tmp_path, content)

    @pytest.mark.parametrize(
        ("text", "complaint"),
        [
            ("name: a\nname: b\n", "stands twice"),
            ("rules: [", "no valid YAML"),
            ("- 1\n- 2\n", "file: "),
            ("NO: 1\n", "every key must be text"),
            ("!!python/object/apply:os.getcwd []\n", "no valid YAML"),
            ("a: " + "x" * 1_000_001, "larger than"),
        ],
    )
    def test_text_that_is_no_rule_file_is_refused(self, tmp_path: Path, text: str, complaint: str) -> None:
        path = tmp_path / "rules.yaml"
        path.write_text(text)
        with pytest.raises(ConfigInvalid, match=complaint):
            load_rule_set(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigInvalid, match=r"nowhere\.yaml"):
            load_rule_set(tmp_path / "nowhere.yaml")


class TestOwnTests:
    def test_failing_tests_are_reported_with_what_was_expected(self, tmp_path: Path) -> None:
        wrong = [{"given": {"foreign": True}, "matches": False}, {"given": {"foreign": False}, "matches": True}]
        failures = load(tmp_path, make_file(make_rule(tests=wrong))).run_tests()
        assert [(f.subject, f.expected, f.got) for f in failures] == [
            ("rule abroad", "no match", "a match"),
            ("rule abroad", "a match", "no match"),
        ]

    def test_a_baseline_that_a_rule_matches_is_a_failure(self, tmp_path: Path) -> None:
        rules = load(tmp_path, make_file(baseline=BASELINE | {"foreign": True}))
        assert "baseline" in [failure.subject for failure in rules.run_tests()]

    def test_an_example_must_name_all_hits_and_the_outcome(self, tmp_path: Path) -> None:
        example = {"name": "far away", "given": {"foreign": True}, "hits": [], "outcome": "approve"}
        (failure,) = load(tmp_path, make_file(examples=[example])).run_tests()
        assert failure.subject == "example 'far away'"
        assert failure.got == "approve by abroad"
