"""Looking into dead-letter queues: nothing is taken out, nothing is counted twice."""

import json

import pytest

from postrail.cli.dead_letters import RETRIES_EXHAUSTED, DeadLetterReader, find_ids


def _attributes(**values):
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


@pytest.fixture
def sqs(graph):
    return graph.client("sqs")


@pytest.fixture
def queues(graph):
    return graph.dead_letter_queues()


def test_a_letter_says_reason_and_payment_by_its_attributes(sqs, queues):
    attributes = _attributes(reason="WRONG_TYPE", detail="amount_minor", payment_id="pay_1", correlation_id="run_1")
    sqs.send_message(QueueUrl=queues["deduplicate-dlq"], MessageBody="{}", MessageAttributes=attributes)
    with DeadLetterReader(sqs, queues) as reader:
        (letter,) = reader.look()
    assert (letter.queue, letter.reason, letter.detail) == ("deduplicate-dlq", "WRONG_TYPE", "amount_minor")
    assert (letter.payment_id, letter.correlation_id) == ("pay_1", "run_1")
    assert letter.at > 1_600_000_000


def test_a_redriven_message_says_it_by_its_body(sqs, queues):
    body = {
        "detail-type": "PostingRequested",
        "detail": {"metadata": {"payment_id": "pay_2", "correlation_id": "run_1"}},
    }
    sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody=json.dumps(body))
    with DeadLetterReader(sqs, queues) as reader:
        (letter,) = reader.look()
    assert (letter.payment_id, letter.correlation_id, letter.reason) == ("pay_2", "run_1", RETRIES_EXHAUSTED)


def test_every_letter_is_shown_once_however_often_one_looks(sqs, queues):
    for number in range(23):
        sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody=str(number))
    with DeadLetterReader(sqs, queues) as reader:
        assert len(reader.look()) == 23
        assert reader.look() == []
        sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody="late")
        assert [letter.body for letter in reader.look()] == ["late"]


def test_after_the_look_everything_is_visible_again(sqs, queues):
    for number in range(12):
        sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody=str(number))
    with DeadLetterReader(sqs, queues) as reader:
        reader.look()
    with DeadLetterReader(sqs, queues) as another:
        assert len(another.look()) == 12


def test_a_deleted_letter_is_gone(sqs, queues):
    sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody="x")
    with DeadLetterReader(sqs, queues) as reader:
        reader.delete(reader.look()[0])
    with DeadLetterReader(sqs, queues) as another:
        assert another.look() == []


@pytest.mark.parametrize(
    ("body", "ids"),
    [
        ("no json", (None, None)),
        ("[1, 2]", (None, None)),
        ('"text"', (None, None)),
        ('{"metadata": {"payment_id": 7, "correlation_id": "run_1"}}', (None, "run_1")),
        ('[{"dynamodb": {"NewImage": {"payment_id": {"S": "p"}, "correlation_id": {"S": "c"}}}}]', ("p", "c")),
        ('{"requestPayload": {"detail": {"metadata": {"payment_id": "p", "correlation_id": "c"}}}}', ("p", "c")),
        ('{"a":' * 40 + "1" + "}" * 40, (None, None)),
    ],
)
def test_ids_are_found_in_bodies_of_any_shape(body, ids):
    assert find_ids(body) == ids
