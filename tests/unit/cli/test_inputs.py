"""What inject sends: samples and files."""

import json

import pytest
from tests.builders.payments import make_authorization

from postrail.cli.failures import CommandError
from postrail.cli.inputs import read_payments, sampled_payments

AUTHORIZATION = make_authorization().model_dump(mode="json", exclude_none=True)


def _sample(**overrides):
    wanted = {
        "count": 50,
        "seed": 3,
        "duplicates": 0.1,
        "malformed": 0.1,
        "accounts": 20,
        "accounts_seed": 1,
        "run_id": "run_1",
    }
    return sampled_payments(**(wanted | overrides))


def test_samples_have_ids_of_their_own():
    payments = _sample()
    assert len({payment.payment_id for payment in payments}) == 50


def test_shares_that_leave_no_payment_are_refused():
    with pytest.raises(CommandError, match="at least one payment"):
        _sample(duplicates=0.6, malformed=0.4)


def test_a_line_may_be_a_body_or_a_whole_event(tmp_path):
    event = {"metadata": {"event_id": "x"}, "data": {"authorization": AUTHORIZATION | {"payment_id": "pay_2"}}}
    path = tmp_path / "payments.jsonl"
    path.write_text(f"{json.dumps(AUTHORIZATION)}\n\n{json.dumps(event)}\n")
    first, second = read_payments(path)
    assert (first.payment_id, first.body) == (AUTHORIZATION["payment_id"], AUTHORIZATION)
    assert (second.payment_id, second.body["payment_id"]) == ("pay_2", "pay_2")


def test_a_body_without_an_id_gets_a_name_to_follow_it_by(tmp_path):
    path = tmp_path / "payments.jsonl"
    path.write_text('{"amount_minor": 1}\n{"amount_minor": 1}\n')
    first, second = read_payments(path)
    assert first.payment_id != second.payment_id
    assert first.body == {"amount_minor": 1}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "holds no payments"),
        ("\n\n", "holds no payments"),
        ("{}\n{", "line 2 is no JSON"),
        ("[]", "line 1 holds no JSON object"),
        ('{"payment_id": "pay_1"}\n{"payment_id": "pay_1"}', "lines 1 and 2 have the same payment_id"),
        ('{"x": "' + "x" * 400_000 + '"}', "line 1 is longer"),
    ],
)
def test_a_file_that_cannot_be_sent_names_the_line(tmp_path, content, says):
    path = tmp_path / "payments.jsonl"
    path.write_text(content)
    with pytest.raises(CommandError, match=says):
        read_payments(path)
