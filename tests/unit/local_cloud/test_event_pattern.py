"""Event patterns: each operator, what it takes and what it leaves."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.pipe_runner.errors import UnsupportedDefinitionError
from local_cloud.pipe_runner.event_pattern import compile_pattern

ABSENT = "absent"


def matches(pattern: dict[str, Any], event: dict[str, Any]) -> bool:
    return compile_pattern(json.dumps(pattern))(event)


@pytest.mark.parametrize(
    ("matcher", "taken", "left"),
    [
        ("INSERT", ["INSERT", ["x", "INSERT"]], ["insert", "INSERTED", 1, None, ABSENT]),
        (1, [1, 1.0], ["1", True, 2, None]),
        (True, [True], [1, "true", False]),
        (None, [None], ["", 0, ABSENT]),
        ("", [""], [None, " "]),
        ({"prefix": "00"}, ["00", "000"], ["100", 0, None, ABSENT]),
        ({"prefix": {"equals-ignore-case": "ab"}}, ["ABc", "abc"], ["bc"]),
        ({"suffix": ".png"}, ["a.png"], ["a.PNG", "png"]),
        ({"suffix": {"equals-ignore-case": ".png"}}, ["a.PNG"], ["png"]),
        ({"equals-ignore-case": "gbp"}, ["GBP", "gbp"], ["GB", 1]),
        ({"wildcard": "pay_*_x"}, ["pay__x", "pay_1/2_x"], ["pay_1", "xpay__x"]),
        ({"wildcard": r"a\*b"}, ["a*b"], ["aXb"]),
        ({"exists": True}, ["", None, 0, [1]], [ABSENT]),
        ({"exists": False}, [ABSENT], ["", None]),
        ({"anything-but": "x"}, ["y", 1, None], ["x", ABSENT]),
        ({"anything-but": [1, "x"]}, [2, "1"], [1, "x"]),
        ({"anything-but": {"prefix": "00"}}, ["100", 1], ["000"]),
        ({"anything-but": {"suffix": ["a", "b"]}}, ["c"], ["xa", "xb"]),
        ({"anything-but": {"equals-ignore-case": ["A"]}}, ["b"], ["a", "A"]),
        ({"anything-but": {"wildcard": "*/tmp/*"}}, ["/a/b"], ["/tmp/", "/a/tmp/b"]),
        ({"numeric": ["=", 5]}, [5, 5.0], ["5", 4]),
        ({"numeric": [">", 0, "<=", 5]}, [5, 0.1], [0, 6, True, None]),
    ],
)
def test_a_matcher_takes_and_leaves(matcher: object, taken: list[object], left: list[object]) -> None:
    """The same field is tried with every value; ABSENT stands for no field at all."""
    for value, expected in [*((one, True) for one in taken), *((one, False) for one in left)]:
        event = {} if value == ABSENT else {"field": value}
        assert matches({"field": [matcher]}, event) is expected, value


def test_fields_are_all_needed_and_values_are_alternatives() -> None:
    pattern = {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": {"action_code": {"S": [{"prefix": "00"}]}}}}
    approved = {"eventName": "INSERT", "dynamodb": {"NewImage": {"action_code": {"S": "000"}}}}
    assert matches(pattern, approved)
    assert not matches(pattern, approved | {"eventName": "REMOVE"})
    assert not matches(pattern, {"eventName": "INSERT", "dynamodb": {}})
    assert not matches(pattern, {"eventName": "INSERT"})


def test_a_pre_authorisation_rests() -> None:
    """Its item has an attribute that others lack, whatever stands in it."""
    image = {"action_code": {"S": [{"prefix": "00"}]}, "capture": {"S": [{"exists": False}]}}
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": image}}
    purchase = {"eventName": "INSERT", "dynamodb": {"NewImage": {"action_code": {"S": "000"}}}}
    assert matches(pattern, purchase)
    held = {"action_code": {"S": "000"}, "capture": {"S": "later"}}
    assert not matches(pattern, {"eventName": "INSERT", "dynamodb": {"NewImage": held}})


def test_or_takes_any_of_its_patterns_beside_the_other_fields() -> None:
    pattern = {"kind": ["a"], "$or": [{"x": [1]}, {"y": {"z": [2]}}]}
    assert matches(pattern, {"kind": "a", "x": 1})
    assert matches(pattern, {"kind": "a", "y": {"z": 2}})
    assert not matches(pattern, {"kind": "a", "x": 2})
    assert not matches(pattern, {"kind": "b", "x": 1})


def test_an_absent_branch_satisfies_exists_false_below_it() -> None:
    assert matches({"a": {"b": [{"exists": False}]}}, {})


def test_a_list_of_objects_matches_by_one_of_them() -> None:
    pattern = {"legs": {"currency": ["GBP"], "kind": ["fee"]}}
    assert matches(pattern, {"legs": [{"currency": "EUR", "kind": "x"}, {"currency": "GBP", "kind": "fee"}]})
    assert not matches(pattern, {"legs": [{"currency": "GBP", "kind": "x"}, {"currency": "EUR", "kind": "fee"}]})


@pytest.mark.parametrize(
    "pattern",
    [
        "not json",
        "[]",
        "{}",
        '{"a": "text"}',
        '{"a": []}',
        '{"a": [{"cidr": "10.0.0.0/8"}]}',
        '{"a": [{"unheard-of": 1}]}',
        '{"a": [{"prefix": 1}]}',
        '{"a": [{"prefix": "a", "suffix": "b"}]}',
        '{"a": [{"numeric": [">"]}]}',
        '{"a": [{"numeric": ["~", 1]}]}',
        '{"a": [{"wildcard": "**"}]}',
        '{"a": [{"wildcard": "a\\\\b"}]}',
        '{"$or": [{"a": [1]}]}',
    ],
)
def test_what_is_not_understood_is_refused_and_not_ignored(pattern: str) -> None:
    """A filter that silently matched nothing would lose every event."""
    with pytest.raises(UnsupportedDefinitionError):
        compile_pattern(pattern)


@given(st.text(min_size=1), st.text())
def test_prefix_suffix_and_exact_agree_with_strings(expected: str, value: str) -> None:
    event = {"field": value}
    assert matches({"field": [expected]}, event) == (value == expected)
    assert matches({"field": [{"prefix": expected}]}, event) == value.startswith(expected)
    assert matches({"field": [{"suffix": expected}]}, event) == value.endswith(expected)
    assert matches({"field": [{"anything-but": expected}]}, event) == (value != expected)
