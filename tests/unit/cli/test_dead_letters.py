"""Looking into dead-letter queues: nothing is taken out, nothing is counted twice."""

import json

import pytest
from botocore.exceptions import ClientError

from postrail.cli.dead_letters import RETRIES_EXHAUSTED, DeadLetterReader, find_ids, stream_record_ids


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


def _range(**more):
    batch = {
        "shardId": "shardId-1",
        "startSequenceNumber": "100",
        "endSequenceNumber": "101",
        "batchSize": 2,
        "streamArn": "arn:aws:dynamodb:eu-west-2:123456789012:table/t/stream/1",
    }
    return json.dumps({"context": {"condition": "RetryAttemptsExhausted"}, "DDBStreamBatchInfo": batch} | more)


class FakeStreams:
    """A stream of two records, or one that has moved on."""

    def __init__(self, *, trimmed=False):
        self.trimmed = trimmed

    def get_shard_iterator(self, **wanted):
        if self.trimmed:
            raise ClientError({"Error": {"Code": "TrimmedDataAccessException"}}, "GetShardIterator")
        assert (wanted["SequenceNumber"], wanted["ShardIteratorType"]) == ("100", "AT_SEQUENCE_NUMBER")
        return {"ShardIterator": "it"}

    def get_records(self, ShardIterator, Limit):  # noqa: N803 - boto3's spelling
        images = [{"payment_id": {"S": f"pay_{n}"}, "correlation_id": {"S": "run_1"}} for n in range(Limit)]
        return {"Records": [{"dynamodb": {"NewImage": image}} for image in images]}


def test_a_pipes_letter_is_one_for_each_record_of_its_range():
    assert stream_record_ids(_range(), FakeStreams()) == [("pay_0", "run_1"), ("pay_1", "run_1")]


def test_keys_in_a_pipes_letter_need_no_stream():
    keys = [{"payment_id": {"S": "pay_7"}}, {"payment_id": {"S": "pay_8"}}]
    assert stream_record_ids(_range(items={"keys": keys}), None) == [("pay_7", None), ("pay_8", None)]


@pytest.mark.parametrize("streams", [None, FakeStreams(trimmed=True)])
def test_a_range_that_cannot_be_read_names_nobody(streams):
    assert stream_record_ids(_range(), streams) == []


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"DDBStreamBatchInfo": 3}'])
def test_other_letters_are_no_ranges(body):
    assert stream_record_ids(body, FakeStreams()) == []


def test_the_reader_gives_a_letter_for_each_payment_of_a_range(sqs, queues):
    keys = [{"payment_id": {"S": "pay_7"}}, {"payment_id": {"S": "pay_8"}}]
    sqs.send_message(QueueUrl=queues["posting-dlq"], MessageBody=_range(items={"keys": keys}))
    with DeadLetterReader(sqs, queues) as reader:
        letters = reader.look()
    assert [(letter.payment_id, letter.payments) for letter in letters] == [("pay_7", 2), ("pay_8", 2)]
