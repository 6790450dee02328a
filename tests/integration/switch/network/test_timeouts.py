"""What a network does when its bank does not answer, or not as it should."""

import asyncio

from tests.integration.switch.links.peers import WIRE, eventually, make_answer, run
from tests.integration.switch.network.fake_bank import approve, silent_on
from tests.integration.switch.network.stage import (
    CARD,
    CIPHER,
    HARBOUR_CARD,
    cut_connections,
    make_network,
    purchase,
    staged,
)

from switch.iso8583.message import Message
from switch.network.payloads import open_message


def test_a_bank_that_does_not_answer_is_sent_a_reversal_and_the_cardholder_911(postgres_dsn: str) -> None:
    """911 to the cardholder; to the bank a 1420 with reason 4021 that names the original in DE 56."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110")
            answer = await stage.ask(purchase(7))
            assert (answer.mti, answer[11], answer[39]) == ("1110", "000007", "911")
            assert await stage.delivered(1)
            (undone,) = stage.northgate.of("1420")
            assert (undone[24], undone[25], undone[33], undone[2]) == ("400", "4021", "900001", CARD)
            assert undone[56] == "110000000726112101020306400001"
            assert (undone[4], undone[49], undone[41]) == ("000000001000", "826", "TERM0001")
            assert stage.service.counters.timed_out == 1

    run(test())


def test_the_reversal_is_stored_before_the_cardholder_is_answered(postgres_dsn: str) -> None:
    """When the cardholder has the 911, the reversal is in the database, whether the bank listens or not."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110", "142")
            assert (await stage.ask(purchase()))[39] == "911"
            (row,) = await stage.advices("pending")
            assert (row["message_type"], row["reason"], row["original_key"]) == (
                "1420",
                "4021",
                "400001:000001:261121010203:TERM0001:11",
            )

    run(test())


def test_a_late_approval_is_counted_and_stays_reversed(postgres_dsn: str) -> None:
    """The approval comes after the 911: nothing more goes to the cardholder, the reversal is delivered."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.late_seconds = 0.5
            assert (await stage.ask(purchase(1)))[39] == "911"
            assert await stage.delivered(1)
            assert await eventually(lambda: stage.service.counters.late_approvals == 1)
            stage.northgate.late_seconds = 0.0
            assert (await stage.ask(purchase(2)))[11] == "000002"
            assert stage.northgate.kinds() == {"1100": 2, "1420": 1}

    run(test())


def test_a_bank_that_is_lost_with_a_request_on_the_way_is_sent_a_reversal(postgres_dsn: str) -> None:
    """Whether it approved before it went is not known: 911 at once, and a reversal for when it is back."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(response_seconds=20)) as stage:
            stage.northgate.react = lambda _: None
            await stage.terminal.send(purchase())
            assert await eventually(lambda: bool(stage.northgate.received))
            await stage.northgate.stop()
            assert (await stage.terminal.receive())[39] == "911"
            assert len(await stage.advices("pending")) == 1
            stage.northgate.react = approve
            await stage.northgate.start()
            assert await stage.delivered(1)
            assert stage.northgate.of("1420", "1421")[0][25] == "4021"

    run(test())


def test_an_answer_of_another_amount_is_not_believed(postgres_dsn: str) -> None:
    """The bank approves something else: 909 to the cardholder, a 1420 with reason 4020 to the bank."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:

            def misread(message: Message) -> Message:
                answer = approve(message)
                if message.mti == "1100":
                    answer.fields[4] = "000000009999"
                return answer

            stage.northgate.react = misread
            assert (await stage.ask(purchase()))[39] == "909"
            assert await stage.delivered(1)
            assert stage.northgate.of("1420")[0][25] == "4020"
            assert stage.service.counters.invalid_answers == 1

    run(test())


def test_an_answer_that_cannot_be_read_is_undone_at_once(postgres_dsn: str) -> None:
    """Its format is broken: the cardholder does not wait for the time to run out, and the bank is told to undo it."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(response_seconds=20)) as stage:

            def spoil(message: Message) -> Message | None:
                if message.mti != "1100":
                    return approve(message)
                answer = make_answer(message)
                frame = WIRE.encode(answer)
                # the action code becomes letters
                at = frame.index(b"000TERM0001")
                connection = next(iter(stage.northgate._server._connections))  # type: ignore[union-attr]
                connection._transport.write(frame[:at] + b"0x0" + frame[at + 3 :])
                return None

            stage.northgate.react = spoil
            assert (await stage.ask(purchase()))[39] == "909"
            assert await stage.delivered(1)
            assert stage.northgate.of("1420")[0][25] == "4020"

    run(test())


def test_a_bank_that_is_not_there_gives_912(postgres_dsn: str) -> None:
    """Nothing was sent, so nothing is undone; this range has no stand-in."""

    async def test() -> None:
        async with staged(postgres_dsn, down=("harbour",)) as stage:
            assert (await stage.ask(purchase(pan=HARBOUR_CARD)))[39] == "912"
            assert not await stage.advices()

    run(test())


def test_nothing_secret_is_stored_with_a_reversal(postgres_dsn: str) -> None:
    """Track, chip data and PIN are not kept even sealed; the card number only sealed."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110", "142")
            track = f"{CARD}=39122011234567"
            assert (await stage.ask(purchase(de35=track, de55="5A084761340000000019")))[39] == "911"
            (row,) = await stage.advices()
            kept = open_message(CIPHER, row["payload"], row["advice_key"])
            assert kept[2] == CARD
            assert not {35, 52, 55} & set(kept.fields)
            dumped = "".join(str(dict(each)) for each in await stage.rows("SELECT * FROM network.advices"))
            assert CARD not in dumped
            assert CARD.encode() not in row["payload"]

    run(test())


def test_while_the_store_is_away_nothing_new_is_taken(postgres_dsn: str, postgres_superuser_dsn: str) -> None:
    """A timeout whose reversal cannot be stored is not answered until it is; new payments are refused with 909."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110")
            await stage.rows("ALTER TABLE network.advices RENAME TO advices_away")
            await stage.terminal.send(purchase(1))
            assert await eventually(lambda: not stage.service.details()["store_well"])
            assert stage.service.well
            refused = await stage.ask(purchase(2))
            assert (refused[11], refused[39]) == ("000002", "909")
            await asyncio.sleep(0.2)
            await stage.rows("ALTER TABLE network.advices_away RENAME TO advices")
            answer = await stage.terminal.receive()
            assert (answer[11], answer[39]) == ("000001", "911")
            assert stage.service.details()["store_well"]
            assert await stage.delivered(1)

    run(test())


def test_connections_to_the_database_that_are_cut_lose_no_reversal(
    postgres_dsn: str, postgres_superuser_dsn: str
) -> None:
    """Cut again and again while hundreds time out: every 911 that left has its reversal, and each is delivered."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            harbour = stage.banks["harbour"]
            assert (await stage.ask(purchase(999, pan=HARBOUR_CARD)))[39] == "000"
            harbour.react = silent_on("110")
            await stage.terminal.send(*(purchase(number, pan=HARBOUR_CARD) for number in range(1, 301)))
            told: set[str] = set()
            while len(told) < 300:
                if len(told) % 60 == 0:
                    await cut_connections(postgres_superuser_dsn)
                answer = await stage.terminal.receive()
                assert answer[39] == "911"
                told.add(answer[11])
            rows = await stage.advices()
            assert {row["original_key"].split(":")[1] for row in rows} == told
            assert len(rows) == 300
            assert await stage.delivered(300)
            assert {message[56][4:10] for message in harbour.of("1420", "1421")} == told

    run(test())


def test_a_network_that_stops_answers_what_it_began(postgres_dsn: str) -> None:
    """A payment whose bank is silent is answered and its reversal stored before the process may end."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = silent_on("110", "142")
            await stage.terminal.send(purchase(1))
            assert await eventually(lambda: bool(stage.northgate.received))
            await stage.service.stop()
            assert (await stage.terminal.receive())[39] == "911"
            assert len(await stage.advices("pending")) == 1
            assert (await stage.ask(purchase(2)))[39] == "907"

    run(test())
