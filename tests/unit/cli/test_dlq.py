"""The commands over dead letters: listed with their reasons, sent by the way they came, put away with a reason."""

import json

import pytest
from tests.builders.payments import make_authorization

from postrail.cli.dead_letters import DeadLetterReader
from postrail.cli.first_errors import find_first_errors
from postrail.cli.redrive import CannotRedrive, Redriver
from postrail.stages.deduplicate import payment_key_of

PAYMENT = "pay_0197f0a0c0de7abc8def0123456789ab"


def _attributes(**values):
    return {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}


def _event(payment_id=PAYMENT, detail_type="PostingRequested"):
    metadata = {"payment_id": payment_id, "correlation_id": "run_12345678"}
    return json.dumps({"source": "postrail", "detail-type": detail_type, "detail": {"metadata": metadata, "data": {}}})


@pytest.fixture
def sqs(graph):
    return graph.client("sqs")


@pytest.fixture
def cli(graph, monkeypatch, postrail):
    monkeypatch.setattr("postrail.cli.dlq.load_graph", lambda: graph)
    return postrail


def _put(graph, queue, body, **attributes):
    url = graph.dead_letter_queues()[queue]
    graph.client("sqs").send_message(QueueUrl=url, MessageBody=body, MessageAttributes=_attributes(**attributes))


def _letters(graph):
    with DeadLetterReader(graph.client("sqs"), graph.dead_letter_queues()) as reader:
        return reader.look()


def _bodies(sqs, url):
    return [
        message["Body"] for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    ]


class TestList:
    def test_every_queue_is_listed_with_reason_and_payment(self, graph, cli):
        _put(graph, "posting-dlq", _event())
        _put(graph, "deduplicate-dlq", "{}", reason="WRONG_TYPE", detail="amount_minor", payment_id="pay_2")
        _put(graph, "rules-undelivered", _event(), ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="not allowed")
        code, out, _ = cli("dlq", "list", "--json")
        document = json.loads(out)
        assert code == 0
        seen = {(letter["queue"], letter["reason"], letter["payment_id"]) for letter in document["letters"]}
        assert seen == {
            ("posting", "RETRIES_EXHAUSTED", PAYMENT),
            ("deduplicate", "WRONG_TYPE", "pay_2"),
            ("rules-undelivered", "NO_PERMISSIONS", PAYMENT),
        }

    def test_the_table_counts_by_queue_and_reason(self, graph, cli):
        _put(graph, "posting-dlq", _event())
        _put(graph, "posting-dlq", _event())
        code, out, _ = cli("dlq", "list", "--queue", "posting")
        assert code == 0
        assert "2 dead letters: 2 posting RETRIES_EXHAUSTED" in out

    def test_no_letters_is_said(self, cli):
        assert cli("dlq", "list")[1].strip() == "No dead letters."

    def test_an_unknown_queue_names_those_that_exist(self, cli):
        code, _, err = cli("dlq", "list", "--queue", "postings")
        assert code == 1
        assert "There is no queue postings; there are deduplicate, posting, rules-undelivered." in err


class TestShow:
    def test_a_card_number_in_a_body_is_masked(self, graph, cli):
        _put(graph, "deduplicate-dlq", json.dumps({"card": "4761340000000019"}), reason="CLEAR_PAN", detail="card")
        (letter,) = _letters(graph)
        code, out, _ = cli("dlq", "show", letter.message_id[:8])
        assert code == 0
        assert "CLEAR_PAN" in out
        assert "4761340000000019" not in out

    def test_a_letter_that_is_not_there_is_said(self, cli):
        code, _, err = cli("dlq", "show", "abcdef")
        assert code == 1
        assert "No dead letter abcdef here" in err


class TestFirstError:
    def test_the_first_failed_line_of_the_payment_is_found(self, graph, monkeypatch):
        lines = [
            {"message": "batch", "payment_id": PAYMENT, "error": "none of this"},
            {"message": "failed", "payment_id": PAYMENT, "error": "Retryable", "error_text": "deadlock detected"},
            {"message": "failed", "payment_id": PAYMENT, "error": "Retryable", "error_text": "later"},
            {"message": "failed", "payment_id": "pay_other", "error": "Retryable", "error_text": "another's"},
        ]
        logs = graph.client("logs")
        logs.create_log_group(logGroupName="/aws/lambda/postrail-test-post")
        logs.create_log_stream(logGroupName="/aws/lambda/postrail-test-post", logStreamName="s")
        _put(graph, "posting-dlq", _event())
        (letter,) = _letters(graph)
        now = int(letter.at * 1000)
        logs.put_log_events(
            logGroupName="/aws/lambda/postrail-test-post",
            logStreamName="s",
            logEvents=[{"timestamp": now + n, "message": json.dumps(line)} for n, line in enumerate(lines)],
        )
        with_function = graph.outputs.model_copy(update={"functions": {"post": {"name": "postrail-test-post"}}})
        object.__setattr__(graph, "outputs", with_function)
        assert find_first_errors(graph, [letter]) == {letter.message_id: "Retryable: deadlock detected"}

    def test_a_log_that_does_not_exist_gives_no_answer(self, graph):
        _put(graph, "posting-dlq", _event())
        with_function = graph.outputs.model_copy(update={"functions": {"post": {"name": "nothing"}}})
        object.__setattr__(graph, "outputs", with_function)
        assert find_first_errors(graph, _letters(graph)) == {}


class TestRedrive:
    def test_a_stages_letter_goes_back_into_its_queue(self, graph, sqs, cli):
        _put(graph, "posting-dlq", _event())
        code, out, _ = cli("dlq", "redrive", "--queue", "posting")
        assert code == 0
        assert "1 of posting sent to queue posting" in out
        assert _bodies(sqs, graph.outputs.queues["posting"].url) == [_event()]
        assert _letters(graph) == []

    def test_a_dry_run_sends_nothing(self, graph, sqs, cli):
        _put(graph, "posting-dlq", _event())
        assert "would go to queue posting" in cli("dlq", "redrive", "--all", "--dry-run")[1]
        assert _bodies(sqs, graph.outputs.queues["posting"].url) == []
        assert len(_letters(graph)) == 1

    def test_only_the_chosen_payment_goes(self, graph, sqs, cli):
        _put(graph, "posting-dlq", _event())
        _put(graph, "posting-dlq", _event("pay_2"))
        assert cli("dlq", "redrive", "--payment", "pay_2")[0] == 0
        assert _bodies(sqs, graph.outputs.queues["posting"].url) == [_event("pay_2")]
        assert [letter.payment_id for letter in _letters(graph)] == [PAYMENT]

    def test_without_a_choice_nothing_is_sent(self, cli):
        code, _, err = cli("dlq", "redrive")
        assert code == 2
        assert "Choose letters" in err

    def test_what_a_rule_could_not_deliver_goes_to_its_target(self, graph, sqs, cli):
        arn = "arn:aws:sqs:eu-west-2:123456789012:postrail-test-posting"
        _put(graph, "rules-undelivered", _event(), TARGET_ARN=arn, ERROR_CODE="SDK_CLIENT_ERROR")
        assert cli("dlq", "redrive", "--all")[0] == 0
        assert _bodies(sqs, graph.outputs.queues["posting"].url) == [_event()]

    def test_what_the_bus_could_not_keep_goes_to_the_bus(self, graph, monkeypatch):
        put = []
        events = graph.client("events")
        monkeypatch.setattr(
            events, "put_events", lambda **request: put.extend(request["Entries"]) or {"FailedEntryCount": 0}
        )
        _put(graph, "rules-undelivered", _event())
        (letter,) = _letters(graph)
        to, send = Redriver(graph, per_second=10).way(letter)
        send()
        assert to == "bus"
        assert [(entry["DetailType"], entry["EventBusName"]) for entry in put] == [
            ("PostingRequested", "postrail-test-payments")
        ]

    def test_a_letter_that_was_cut_stays_with_its_reason(self, graph, cli):
        _put(graph, "posting-dlq", _event(), reason="TOO_LARGE", truncated="true")
        code, out, err = cli("dlq", "redrive", "--all")
        assert code == 1
        assert "stays in posting: its body was cut" in out
        assert "1 of 1 letters stay where they are" in err
        assert len(_letters(graph)) == 1

    def test_the_rate_is_kept(self, graph):
        for _ in range(5):
            _put(graph, "posting-dlq", _event())
        now, pauses = [0.0], []

        def sleep(seconds):
            pauses.append(seconds)
            now[0] += seconds

        redriver = Redriver(graph, per_second=4, sleep=sleep, now=lambda: now[0])
        with DeadLetterReader(graph.client("sqs"), graph.dead_letter_queues()) as reader:
            redriver.redrive(reader, reader.look(), lambda _: None)
        assert pauses == pytest.approx([0.25] * 4)


class TestIntakePipe:
    @pytest.fixture
    def asked(self, graph, monkeypatch):
        """The duplicate check's input, which answers that everything is accepted."""
        asked = []

        class Payload:
            def read(self):
                return json.dumps([{"metadata": {}, "data": {}} for _ in asked[-1]]).encode()

        def invoke(FunctionName, Payload):  # noqa: N803 - boto3's names
            asked.append(json.loads(Payload))
            return {"Payload": payload}

        payload = Payload()
        monkeypatch.setattr(graph.client("lambda"), "invoke", invoke)
        outputs = graph.outputs.model_copy(update={"functions": {"deduplicate": {"name": "postrail-test-deduplicate"}}})
        object.__setattr__(graph, "outputs", outputs)
        return asked

    def _obituary(self, *payment_ids):
        batch = {"streamArn": "arn:none", "shardId": "s", "startSequenceNumber": "1", "batchSize": len(payment_ids)}
        return json.dumps(
            {"DDBStreamBatchInfo": batch, "items": {"keys": [{"payment_id": {"S": id_}} for id_ in payment_ids]}}
        )

    def _store(self, graph, **changes):
        body = make_authorization()
        row = {
            "payment_id": {"S": body.payment_id},
            "correlation_id": {"S": "run_12345678"},
            "action_code": {"S": "000"},
            "authorization": {"S": body.model_dump_json()},
        }
        graph.client("dynamodb").put_item(TableName=graph.table("authorizations"), Item=row | changes)
        return body

    def _letter(self, graph, body):
        sqs = graph.client("sqs")
        url = sqs.create_queue(QueueName="postrail-test-intake-pipe-dlq")["QueueUrl"]
        sqs.send_message(QueueUrl=url, MessageBody=body)
        with DeadLetterReader(sqs, {"intake-pipe-dlq": url}) as reader:
            return reader.look()[0]

    def test_records_pass_the_check_in_the_name_of_their_first_owner(self, graph, asked):
        """What marked its key and then failed to be published is no duplicate of itself."""
        body = self._store(graph)
        marker = {
            "payment_key": {"S": payment_key_of(body)},
            "payment_id": {"S": body.payment_id},
            "owner": {"S": "o1"},
        }
        graph.client("dynamodb").put_item(TableName=graph.table("dedup"), Item=marker)
        Redriver(graph, per_second=10).way(self._letter(graph, self._obituary(body.payment_id)))[1]()
        assert [[record["eventID"] for record in records] for records in asked] == [["o1"]]

    def test_another_payments_marker_gives_no_name(self, graph, asked):
        body = self._store(graph)
        marker = {"payment_key": {"S": payment_key_of(body)}, "payment_id": {"S": "pay_other"}, "owner": {"S": "o1"}}
        graph.client("dynamodb").put_item(TableName=graph.table("dedup"), Item=marker)
        Redriver(graph, per_second=10).way(self._letter(graph, self._obituary(body.payment_id)))[1]()
        assert asked[0][0]["eventID"] == f"redrive-{body.payment_id}"

    def test_declined_and_resting_authorizations_are_left_out(self, graph, asked):
        body = self._store(graph, capture={"S": "later"})
        letter = self._letter(graph, self._obituary(body.payment_id))
        with pytest.raises(CannotRedrive, match="find the authorizations"):
            Redriver(graph, per_second=10).way(letter)


class TestDiscard:
    def test_a_discarded_letter_is_kept_with_its_reason(self, graph, cli):
        _put(graph, "posting-dlq", json.dumps({"card": "4761340000000019"}), reason="CLEAR_PAN")
        code, out, _ = cli("dlq", "discard", "--all", "--why", "test data of 4761340000000019", "--yes", "--json")
        assert code == 0
        (kept,) = json.loads(out)["discarded"]
        bucket, _, key = kept["kept"].removeprefix("s3://").partition("/")
        text = graph.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        assert key.startswith("DISCARDED/")
        assert json.loads(text)["why"].startswith("test data of")
        assert "4761340000000019" not in text
        assert _letters(graph) == []

    def test_a_reason_is_demanded(self, graph, cli):
        _put(graph, "posting-dlq", _event())
        code, _, err = cli("dlq", "discard", "--all", "--yes")
        assert code == 2
        assert "Say why with --why" in err
        assert len(_letters(graph)) == 1
