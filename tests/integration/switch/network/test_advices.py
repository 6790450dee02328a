"""Reversals, completions and advices: stored, acknowledged, delivered until the bank acknowledges them, in order."""

import asyncio

import pytest
from tests.integration.switch.links.peers import eventually, make_answer, run
from tests.integration.switch.network.fake_bank import approve, decline, silent_on
from tests.integration.switch.network.stage import CARD, make_network, purchase, reversal, staged

from switch.iso8583.message import Message

RESEND = (
    "UPDATE network.advices SET status = 'pending', finished_at = NULL, next_attempt_at = now() WHERE advice_id = $1"
)
"""As docs/switch.md has it."""


def test_a_reversal_of_the_cardholder_is_stored_then_answered_then_delivered(postgres_dsn: str) -> None:
    """1430 with 400 to the cardholder; the 1420 reaches the bank as it was sent, with the network's DE 33."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            paid = purchase(1)
            assert (await stage.ask(paid))[39] == "000"
            undo = reversal(paid)
            answer = await stage.ask(undo)
            assert (answer.mti, answer[11], answer[39]) == ("1430", "000900", "400")
            assert await stage.delivered(1)
            (got,) = stage.northgate.of("1420")
            assert {n: got[n] for n in (2, 3, 4, 11, 12, 24, 25, 32, 41, 49, 56)} == {
                n: undo[n] for n in (2, 3, 4, 11, 12, 24, 25, 32, 41, 49, 56)
            }
            assert got[33] == "900001"

    run(test())


def test_a_reversal_of_what_was_refused_is_not_passed_on(postgres_dsn: str) -> None:
    """Refused by the bank, by the network, or for want of an answer: 400 at once, and nothing more for the bank."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = decline("116")
            by_bank, by_network, by_time = purchase(1), purchase(2, amount=0), purchase(3)
            assert (await stage.ask(by_bank))[39] == "116"
            assert (await stage.ask(by_network))[39] == "110"
            stage.northgate.react = silent_on("110")
            assert (await stage.ask(by_time))[39] == "911"
            for number, refused in enumerate((by_bank, by_network, by_time)):
                assert (await stage.ask(reversal(refused, 900 + number)))[39] == "400"
            assert stage.service.counters.not_passed_on == 3
            assert [row["reason"] for row in await stage.advices()] == ["4021"]

    run(test())


def test_a_reversal_of_what_a_bank_could_not_decide_is_passed_on(postgres_dsn: str) -> None:
    """909 or 923 of a bank do not say that nothing is there, nor does a 913 that another message had."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            for number, code in enumerate(("909", "923", "913"), 1):
                stage.northgate.react = decline(code)
                assert (await stage.ask(purchase(number)))[39] == code
                assert (await stage.ask(reversal(purchase(number), 900 + number)))[39] == "400"
            assert await stage.delivered(3)
            assert stage.service.counters.not_passed_on == 0

    run(test())


def test_a_reversal_before_its_original_is_passed_on(postgres_dsn: str) -> None:
    """The network does not know the original, the bank may: it decides."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda message: make_answer(message, "914")
            assert (await stage.ask(reversal(purchase(77))))[39] == "400"
            assert await stage.delivered(1)

    run(test())


def test_a_repeated_reversal_is_answered_alike_and_kept_once(postgres_dsn: str) -> None:
    """Within the window from memory; after a restart from the database. Another one under its key gets 913."""

    async def test() -> None:
        paid = purchase(1)
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("142")
            assert (await stage.ask(reversal(paid)))[39] == "400"
            assert (await stage.ask(reversal(paid, mti="1421")))[39] == "400"
            assert len(await stage.advices()) == 1
        async with staged(postgres_dsn, cards=False) as stage:
            assert (await stage.ask(reversal(paid, mti="1421")))[39] == "400"
            assert (await stage.ask(reversal(paid, mti="1421", de24="401", de30="0" * 24)))[39] == "913"
            assert len(await stage.advices()) == 1
        async with staged(postgres_dsn, cards=False) as stage:
            assert (await stage.ask(reversal(paid, de4="000000000001")))[39] == "913"

    run(test())


@pytest.mark.parametrize(
    "changes", [{"de56": "1100"}, {"de24": "999"}, {"de24": "401"}], ids=["no original", "function", "no amounts"]
)
def test_a_reversal_that_says_too_little_is_a_format_error(postgres_dsn: str, changes: dict[str, str]) -> None:
    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            assert (await stage.ask(reversal(purchase(1), **changes)))[39] == "904"
            assert not await stage.advices()

    run(test())


def test_a_completion_and_an_advice_go_the_same_way(postgres_dsn: str) -> None:
    """1220 with the pre-authorisation in DE 56 is answered 1230, 1120 is answered 1130; both reach the bank."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            held = purchase(1, de24="101")
            assert (await stage.ask(held))[39] == "000"
            completion = Message("1220", purchase(2, amount=800).fields | {24: "202", 56: reversal(held)[56]})
            answer = await stage.ask(completion)
            assert (answer.mti, answer[39]) == ("1230", "000")
            answer = await stage.ask(purchase(3, mti="1120", de38="OFF001"))
            assert (answer.mti, answer[39]) == ("1130", "000")
            assert await stage.delivered(2)
            assert stage.northgate.kinds() == {"1100": 1, "1220": 1, "1120": 1}

    run(test())


def test_what_is_not_acknowledged_is_repeated_until_it_is(postgres_dsn: str) -> None:
    """First 1420, then 1421 with growing waits; DE 11, 12 and 56 stay, and an alarm is raised after as many as set."""

    async def test() -> None:
        rules = {
            "between_messages_seconds": 0.0,
            "wait_seconds": 0.02,
            "wait_seconds_max": 0.05,
            "attempts_alarm": 3,
        }
        async with staged(postgres_dsn, network=make_network(response_seconds=0.05, store_and_forward=rules)) as stage:
            stage.northgate.react = silent_on("142")
            assert (await stage.ask(reversal(purchase(1))))[39] == "400"
            assert await eventually(lambda: len(stage.northgate.received) >= 4)
            stage.northgate.react = approve
            assert await stage.delivered(1)
            kinds = [message.mti for message in stage.northgate.received]
            assert kinds[0] == "1420"
            assert set(kinds[1:]) == {"1421"}
            assert len({(m[11], m[12], m[56], m[41]) for m in stage.northgate.received}) == 1
            assert stage.service.counters.alarms == 1
            (row,) = await stage.advices()
            assert (row["status"], row["action_code"], row["payload"]) == ("delivered", "400", None)

    run(test())


def test_order_is_kept(postgres_dsn: str) -> None:
    """What came first is delivered first, though its first attempts fail."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("142")
            for number in range(1, 21):
                assert (await stage.ask(reversal(purchase(number), 900 + number)))[39] == "400"
            assert {message[11] for message in stage.northgate.received} <= {"000901"}
            stage.northgate.react = approve
            assert await stage.delivered(20)
            acknowledged = list(dict.fromkeys(message[11] for message in stage.northgate.received))
            assert acknowledged == [f"{900 + number:06}" for number in range(1, 21)]

    run(test())


def test_one_that_is_never_acknowledged_steps_aside_with_its_own(postgres_dsn: str) -> None:
    """After the alarm others pass it, but not what speaks of the same original."""

    async def test() -> None:
        rules = {
            "between_messages_seconds": 0.0,
            "wait_seconds": 0.02,
            "wait_seconds_max": 30.0,
            "attempts_alarm": 2,
        }
        async with staged(postgres_dsn, network=make_network(response_seconds=0.05, store_and_forward=rules)) as stage:
            stuck = purchase(1)
            stage.northgate.react = lambda message: None if message[56][4:10] == "000001" else approve(message)
            partial = {"de24": "401", "de30": f"{500:012}{0:012}"}
            assert (await stage.ask(reversal(stuck, 901, **partial)))[39] == "400"
            assert (await stage.ask(reversal(stuck, 902, **partial)))[39] == "400"
            assert (await stage.ask(reversal(purchase(2), 903)))[39] == "400"
            assert await stage.delivered(1)
            assert "000902" not in {message[11] for message in stage.northgate.received}
            assert [row["status"] for row in await stage.advices()] == ["pending", "pending", "delivered"]

    run(test())


def test_what_the_bank_refuses_for_good_is_kept_for_people(postgres_dsn: str) -> None:
    """It does not hold up what comes after it, and its message can still be opened."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda m: make_answer(m, "904" if m[11] == "000901" else "400")
            for number in (901, 902):
                assert (await stage.ask(reversal(purchase(number), number)))[39] == "400"
            assert await stage.delivered(1)
            rows = await stage.advices()
            assert [(row["status"], row["action_code"]) for row in rows] == [("refused", "904"), ("delivered", "400")]
            assert rows[0]["payload"] is not None
            assert stage.service.counters.refused_advices == 1
            stage.northgate.react = approve
            await stage.rows(RESEND, rows[0]["advice_id"])
            assert await stage.delivered(2)
            assert stage.northgate.received[-1].mti == "1421"

    run(test())


def test_a_bank_that_is_busy_is_asked_again(postgres_dsn: str) -> None:
    """907 and its like are no refusal."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda m: make_answer(m, "907" if m.mti == "1420" else "400")
            assert (await stage.ask(reversal(purchase(1))))[39] == "400"
            assert await stage.delivered(1)
            assert stage.northgate.kinds() == {"1420": 1, "1421": 1}

    run(test())


def test_what_expired_is_given_up_after_one_more_attempt(postgres_dsn: str) -> None:
    async def test() -> None:
        rules = {"between_messages_seconds": 0.0, "wait_seconds": 0.05, "expire_seconds": 0}
        async with staged(postgres_dsn, network=make_network(store_and_forward=rules)) as stage:
            stage.northgate.react = silent_on("142")
            assert (await stage.ask(reversal(purchase(1))))[39] == "400"
            assert await stage.stored(1, "expired")
            assert stage.northgate.kinds() == {"1420": 1}
            assert stage.service.counters.expired_advices == 1

    run(test())


def test_when_a_bank_signs_on_again_what_was_put_off_is_due(postgres_dsn: str) -> None:
    """Waits may have grown to minutes meanwhile: nothing waits for their end."""

    async def test() -> None:
        rules = {"between_messages_seconds": 0.0, "wait_seconds": 300.0, "wait_seconds_max": 300.0}
        async with staged(postgres_dsn, network=make_network(response_seconds=0.05, store_and_forward=rules)) as stage:
            stage.northgate.react = silent_on("142")
            assert (await stage.ask(reversal(purchase(1))))[39] == "400"
            assert await eventually(lambda: len(stage.northgate.received) == 1)
            await asyncio.sleep(0.1)
            await stage.northgate.stop()
            stage.northgate.react = approve
            await stage.northgate.start()
            assert await stage.delivered(1)
            assert [message.mti for message in stage.northgate.received] == ["1420", "1421"]

    run(test())


def test_live_payments_go_on_beside_a_long_queue(postgres_dsn: str) -> None:
    """The queue is throttled by its pause between messages; a payment does not wait for it."""

    async def test() -> None:
        rules = {"between_messages_seconds": 0.02}
        async with staged(postgres_dsn, network=make_network(store_and_forward=rules)) as stage:
            for number in range(1, 41):
                await stage.ask(reversal(purchase(number), 900 + number))
            assert (await stage.ask(purchase(500)))[39] == "000"
            assert len(await stage.advices("pending")) > 0

    run(test())


def test_two_processes_of_one_network_do_not_deliver_twice(postgres_dsn: str) -> None:
    """One has the right to deliver to a bank; what the other stores goes through it, in order, once."""

    async def test() -> None:
        async with staged(postgres_dsn) as one, staged(postgres_dsn, fakes=one.banks, cards=False) as other:
            for number in range(1, 31):
                stage = one if number % 2 else other
                assert (await stage.ask(reversal(purchase(number), 900 + number)))[39] == "400"
            assert await one.delivered(30)
            assert len(one.northgate.received) == 30
            assert {message.mti for message in one.northgate.received} == {"1420"}

    run(test())


def test_card_numbers_are_nowhere_in_clear(postgres_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Not in the network's tables, not in its logs, whatever happened."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110", "142")
            await stage.ask(purchase(1))
            await stage.ask(purchase(1, amount=5))
            await stage.ask(reversal(purchase(9)))
            await stage.ask(purchase(2, pan="4761340000000018"))
            await stage.northgate.stop()
            await stage.ask(purchase(3))
            assert len(await stage.advices()) == 3
            for table in ("advices", "stand_in_usage", "cards", "negative_cards"):
                for row in await stage.rows(f"SELECT to_jsonb(t)::text AS row FROM network.{table} AS t"):
                    assert CARD not in row["row"]
                    assert CARD.encode().hex() not in row["row"]
            details = str(stage.service.details())
            assert CARD not in details

    run(test())
    shown = capsys.readouterr()
    assert "4761340000000" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("mti", "first", "repeated", "statuses"),
    [
        ("1420", "914", "914", ["delivered"]),
        ("1220", "914", "914", ["refused"]),
        ("1420", "913", "913", ["refused"]),
        ("1420", "909", "913", ["delivered"]),
        ("1220", "900", "900", ["delivered"]),
    ],
)
def test_what_a_bank_says_ends_the_matter_or_does_not(
    postgres_dsn: str, mti: str, first: str, repeated: str, statuses: list[str]
) -> None:
    """Not traced: good for a reversal, not for a completion. Duplicate: good for a repetition alone."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda m: make_answer(m, repeated if m.mti.endswith("1") else first)
            message = reversal(purchase(1))
            if mti == "1220":
                message = Message("1220", purchase(2).fields | {24: "201", 56: message[56]})
            await stage.ask(message)
            assert await stage.stored(1, statuses[0])

    run(test())


def test_what_was_delivered_long_ago_is_removed(postgres_dsn: str) -> None:
    """And what is not delivered stays, however old."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = lambda m: make_answer(m, "400" if m[11] == "000901" else "904")
            for number in (901, 902):
                await stage.ask(reversal(purchase(number), number))
            assert await stage.stored(1, "refused")
            await stage.service._store.purge(3600)
            assert len(await stage.advices()) == 2
            await stage.service._store.purge(0)
            assert [row["status"] for row in await stage.advices()] == ["refused"]

    run(test())
