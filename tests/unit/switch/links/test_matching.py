"""Which answer belongs to which request, without a socket."""

import asyncio

import pytest

from switch.iso8583.message import Fault, Message, MessageInvalid
from switch.links.counters import Counters
from switch.links.errors import AnswerInvalid, AnswerTimedOut
from switch.links.matching import PendingAnswers, default_key


def make_message(mti: str, stan: str = "000001", terminal: str = "TERM0001") -> Message:
    return Message(mti, {11: stan, 41: terminal})


@pytest.mark.parametrize(
    ("request_mti", "answer_mti"),
    [("1100", "1110"), ("1101", "1110"), ("1120", "1130"), ("1121", "1130"), ("1220", "1230"), ("1420", "1430"),
     ("1421", "1430"), ("1804", "1814")],
)  # fmt: skip
def test_a_request_and_its_answer_have_one_key(request_mti: str, answer_mti: str) -> None:
    """Also a repeat and the answer to it."""
    assert default_key(make_message(request_mti)) == default_key(make_message(answer_mti))


def test_types_trace_numbers_and_terminals_tell_keys_apart() -> None:
    """Authorization, advice, completion and reversal of one payment may all be on the way."""
    messages = [make_message(mti) for mti in ("1100", "1120", "1220", "1420", "1804")]
    messages += [make_message("1100", stan="000002"), make_message("1100", terminal="TERM0002")]
    assert len({default_key(message) for message in messages}) == len(messages)


def test_without_a_trace_number_there_is_no_key() -> None:
    """The fault names the field."""
    with pytest.raises(MessageInvalid) as caught:
        default_key(Message("1100", {41: "TERM0001"}))
    assert (caught.value.fault, caught.value.path) == (Fault.MISSING_FIELD, "11")


def test_of_late_answers_only_so_many_are_remembered() -> None:
    """The oldest go: their answers are then as unknown as those nobody asked for."""
    late: list[Message] = []

    async def test() -> None:
        counters = Counters()
        pending = PendingAnswers(counters, in_flight_max=10, on_late=late.append, late_count_max=2)
        for number in range(3):
            request = make_message("1100", stan=f"{number:06d}")
            with pytest.raises(AnswerTimedOut):
                await pending.wait(pending.admit(request), None, 0.001)
        for number in range(3):
            pending.settle(make_message("1110", stan=f"{number:06d}"))
        assert [each[11] for each in late] == ["000001", "000002"]
        assert (counters.tx_expired, counters.rx_expired, counters.unhandled) == (3, 2, 1)

    asyncio.run(test())


def test_a_key_used_anew_takes_the_answer_itself() -> None:
    """A repeat with the key of a timed-out request: the answer is its own, not a late one."""
    late: list[Message] = []

    async def test() -> None:
        pending = PendingAnswers(Counters(), in_flight_max=10, on_late=late.append)
        with pytest.raises(AnswerTimedOut):
            await pending.wait(pending.admit(make_message("1100")), None, 0.001)
        again = pending.wait(pending.admit(make_message("1101")), None, 5.0)
        pending.settle(make_message("1110"))
        assert (await again).mti == "1110"
        assert late == []

    asyncio.run(test())


def test_only_an_unreadable_answer_fails_a_request() -> None:
    """An unreadable request that happens to share a key does not; an answer with a wrong MAC does."""

    async def test() -> None:
        pending = PendingAnswers(Counters(), in_flight_max=10, on_late=lambda _: None)
        waiting = pending.wait(pending.admit(make_message("1100")), None, 5.0)
        pending.spoil(MessageInvalid(Fault.MAC_INVALID, "64", "wrong", make_message("1101")))
        pending.spoil(MessageInvalid(Fault.MAC_INVALID, "64", "wrong", None))
        pending.spoil(MessageInvalid(Fault.BAD_MTI, "t", "wrong", Message("")))
        assert not waiting.done()
        pending.spoil(MessageInvalid(Fault.MAC_INVALID, "64", "wrong", make_message("1110")))
        with pytest.raises(AnswerInvalid):
            await waiting
        assert len(pending) == 0

    asyncio.run(test())
