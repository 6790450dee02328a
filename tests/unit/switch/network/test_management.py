"""Network management that links leave to the network."""

import pytest

from switch.iso8583.message import Message
from switch.network.management import manage


def make(function: str) -> Message:
    return Message("1804", {7: "1121010203", 11: "000001", 12: "261121010203", 24: function})


@pytest.mark.parametrize(("function", "code"), [("821", "800"), ("811", "918")])
def test_cutover_is_acknowledged_and_key_change_refused(function: str, code: str) -> None:
    answer = manage(make(function))
    assert answer is not None
    assert (answer.mti, answer[11], answer[24], answer[39]) == ("1814", "000001", function, code)


@pytest.mark.parametrize("function", ["801", "802", "831", "899"])
def test_the_rest_is_left_to_the_link(function: str) -> None:
    assert manage(make(function)) is None
