"""`postrail validate`: which deployment it looks at, and how it asks a ledger that it cannot reach."""

import io
import json

import pytest

from postrail.cli.failures import CommandError
from postrail.cli.graph import Graph
from postrail.cli.ledger_door import FunctionEnds, ask_function

RUN = "validate_" + "a" * 32
POSTED = {
    "payment_id": "pay_1",
    "correlation_id": RUN,
    "status": "posted",
    "detail_type": "PaymentPosted",
    "reason": None,
    "settled_at": "2026-11-21T04:00:00+00:00",
}


class Functions:
    """A Lambda client that answers the same each time."""

    def __init__(self, document, error=""):
        self.document = document
        self.error = error
        self.asked = []

    def invoke(self, *, FunctionName, Payload):  # noqa: N803 - boto3's names
        self.asked.append((FunctionName, json.loads(Payload)))
        answer = {"Payload": io.BytesIO(json.dumps(self.document).encode())}
        return answer | ({"FunctionError": self.error} if self.error else {})


@pytest.fixture
def lambda_of(graph, monkeypatch):
    """Puts a client in the place of the graph's."""

    def put(functions):
        monkeypatch.setitem(graph.outputs.functions, "check_ledger", {"name": "test-check-ledger"})
        monkeypatch.setattr(Graph, "client", lambda _, service: functions)
        return graph

    return put


def test_an_environment_without_outputs_says_how_to_get_them(postrail, no_graph, monkeypatch):
    monkeypatch.chdir(no_graph)
    code, _, err = postrail("validate", "--env", "staging")
    assert code == 1
    assert "make outputs ENV=staging" in err


def test_outputs_of_an_older_version_are_refused_in_one_sentence(postrail, graph, no_graph, monkeypatch):
    monkeypatch.setenv("POSTRAIL_OUTPUTS", str(no_graph / "aws-outputs.json"))
    code, _, err = postrail("validate")
    assert code == 1
    assert "deploy with this version first" in err


def test_the_function_is_asked_by_its_full_name_and_its_answer_returned(lambda_of):
    functions = Functions({"pending": []})
    assert ask_function(lambda_of(functions))({"ask": "state"}) == {"pending": []}
    assert functions.asked == [("test-check-ledger", {"ask": "state"})]


@pytest.mark.parametrize(
    ("document", "error"),
    [
        pytest.param({"errorMessage": "no way to the ledger"}, "Unhandled", id="failed"),
        pytest.param(None, "", id="no_object"),
    ],
)
def test_a_function_that_failed_is_a_sentence_and_no_answer(lambda_of, document, error):
    with pytest.raises(CommandError, match="test-check-ledger could not answer"):
        ask_function(lambda_of(Functions(document, error)))({"ask": "state"})


def test_ends_are_asked_for_once_a_second_and_waiting_payments_have_none():
    now, asked = [0.0], []

    def ask(question):
        asked.append(question)
        return {"payments": [POSTED, POSTED | {"payment_id": "pay_2", "status": "waiting", "settled_at": None}]}

    ends = FunctionEnds(ask, RUN, clock=lambda: now[0])
    assert set(ends.ends()) == {"pay_1"}
    assert set(ends.ends()) == {"pay_1"}
    assert len(asked) == 1
    now[0] = 1.5
    ends.ends()
    assert asked == [{"ask": "ends", "run_id": RUN}] * 2
