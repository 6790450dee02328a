"""A server and what peers may do to it, over real sockets."""

import asyncio

import pytest
from tests.integration.switch.links.peers import (
    WIRE,
    approve,
    connected,
    eventually,
    make_answer,
    make_request,
    run,
    serving,
)

from switch.iso8583.message import Message
from switch.links.connection import Connection

SIGN_ON = Message("1804", {7: "1121010203", 11: "000901", 12: "261121010203", 24: "801"})


def manage(function_code: str, stan: str = "000902") -> Message:
    return Message("1804", SIGN_ON.fields | {11: stan, 24: function_code})


def test_a_request_is_answered() -> None:
    """What comes in goes to the service, what it sends goes back."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            await peer.send(make_request())
            answer = await peer.receive()
            assert (answer.mti, answer[11], answer[39]) == ("1110", "000001", "000")
            assert 2 not in answer.fields

    run(test())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_a_message_in_pieces_is_one_message(size: int) -> None:
    """However the network cuts messages, they are read alike: byte by byte too."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            data = WIRE.encode(make_request(stan=1)) + WIRE.encode(make_request(stan=2))
            for start in range(0, len(data), size):
                await peer.send_bytes(data[start : start + size])
                await asyncio.sleep(0)
            assert [(await peer.receive())[11] for _ in range(2)] == ["000001", "000002"]

    run(test())


def test_many_messages_in_one_read_are_each_answered() -> None:
    """A read that holds fifty requests gives fifty answers."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            await peer.send(*(make_request(stan=number) for number in range(1, 51)))
            answers = [await peer.receive() for _ in range(50)]
            assert [answer[11] for answer in answers] == [f"{number:06d}" for number in range(1, 51)]

    run(test())


def test_answers_may_overtake_each_other() -> None:
    """The service answers when it is ready, in any order."""
    waiting: list[Message] = []

    def receive(connection: Connection, message: Message) -> None:
        waiting.append(message)
        if len(waiting) == 3:
            for each in reversed(waiting):
                connection.send(make_answer(each))

    async def test() -> None:
        async with serving(receive) as server, connected(server.port) as peer:
            await peer.send(*(make_request(stan=number) for number in (1, 2, 3)))
            assert [(await peer.receive())[11] for _ in range(3)] == ["000003", "000002", "000001"]

    run(test())


@pytest.mark.parametrize(
    ("function_code", "action_code"), [("801", "800"), ("802", "800"), ("831", "800"), ("899", "902"), ("811", "902")]
)
def test_network_management_is_answered_by_the_server(function_code: str, action_code: str) -> None:
    """1804 never reaches the service: sign-on, sign-off and echo are accepted, what is unknown is refused."""

    async def test() -> None:
        async with serving(pytest.fail) as server, connected(server.port) as peer:
            await peer.send(manage(function_code))
            answer = await peer.receive()
            assert (answer.mti, answer[11], answer[24], answer[39]) == ("1814", "000902", function_code, action_code)

    run(test())


def test_the_owner_may_answer_network_management() -> None:
    """A key change is for who has keys."""

    def answer(_: Connection, request: Message) -> Message | None:
        return request.answer({11: request[11], 39: "800"}) if request[24] == "811" else None

    async def test() -> None:
        async with serving(manage=answer) as server, connected(server.port) as peer:
            await peer.send(manage("811"), manage("831"))
            assert (await peer.receive()).fields == {11: "000902", 39: "800"}
            assert (await peer.receive())[24] == "831"

    run(test())


def test_who_has_not_signed_on_is_turned_away_where_it_is_required() -> None:
    """Before the sign-on, and after the sign-off, a request is answered 905; in between it is served."""

    async def test() -> None:
        async with serving(require_sign_on=True) as server, connected(server.port) as peer:
            await peer.send(make_request(stan=1), SIGN_ON, make_request(stan=2), manage("802"), make_request(stan=3))
            answers = [await peer.receive() for _ in range(5)]
            assert [answer[39] for answer in answers] == ["905", "800", "000", "800", "905"]

    run(test())


def test_what_cannot_be_read_is_answered_904_and_its_neighbours_live() -> None:
    """A message with a letter in its amount: 904 for it, approvals for those before and behind it."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            bad = WIRE.encode(make_request(stan=2)).replace(b"000000001000", b"00000000I000")
            await peer.send_bytes(WIRE.encode(make_request(stan=1)) + bad + WIRE.encode(make_request(stan=3)))
            answers = [await peer.receive() for _ in range(3)]
            assert [(answer[11], answer[39]) for answer in answers] == [
                ("000001", "000"),
                ("000002", "904"),
                ("000003", "000"),
            ]
            assert server.counters.rejected == 1

    run(test())


def test_garbage_ends_its_own_connection_alone() -> None:
    """A length that cannot be is answered by closing; another peer does not notice."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer, connected(server.port) as neighbour:
            await peer.send_bytes(b"\xff\xff" + b"GET / HTTP/1.1\r\n\r\n" * 3)
            assert await peer.ended()
            await neighbour.send(make_request())
            assert (await neighbour.receive())[39] == "000"
            assert await eventually(lambda: server.connections == 1)

    run(test())


def test_a_defect_at_one_message_is_answered_909_and_its_neighbours_live() -> None:
    """What the service did not foresee ends neither the connection nor what else is on it."""

    def receive(connection: Connection, message: Message) -> None:
        if message[11] == "000002":
            raise RuntimeError("unforeseen")
        approve(connection, message)

    async def test() -> None:
        async with serving(receive) as server, connected(server.port) as peer:
            await peer.send(*(make_request(stan=number) for number in (1, 2, 3)))
            assert [(await peer.receive())[39] for _ in range(3)] == ["000", "909", "000"]
            assert server.in_flight == 0

    run(test())


def test_nothing_is_read_beyond_the_bound_in_flight() -> None:
    """With five requests unanswered the sixth waits, though it lay in the same read; an answer lets one more in."""
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with (
            serving(lambda *asked: waiting.append(asked), in_flight_per_connection_max=5) as server,
            connected(server.port) as peer,
        ):
            await peer.send(*(make_request(stan=number) for number in range(1, 21)))
            assert await eventually(lambda: len(waiting) == 5)
            await asyncio.sleep(0.05)
            assert (len(waiting), server.in_flight) == (5, 5)
            connection, first = waiting[0]
            connection.send(make_answer(first))
            assert await eventually(lambda: len(waiting) == 6)
            await asyncio.sleep(0.05)
            assert (len(waiting), server.in_flight) == (6, 5)
            for index in range(1, 20):
                assert await eventually(lambda index=index: len(waiting) > index)  # type: ignore[misc]
                connection.send(make_answer(waiting[index][1]))
            answers = [await peer.receive() for _ in range(20)]
            assert [answer[11] for answer in answers] == [f"{number:06d}" for number in range(1, 21)]

    run(test())


def test_a_peer_that_does_not_read_its_answers_is_not_read_from() -> None:
    """What a peer leaves unread is bounded: its requests wait in its own buffers, and others are served."""
    served = 0

    def receive(connection: Connection, message: Message) -> None:
        nonlocal served
        served += 1
        approve(connection, message)

    async def test() -> None:
        async with serving(receive) as server, connected(server.port, limit=1024) as peer:
            burst = b"".join(WIRE.encode(make_request(stan=number)) for number in range(1, 1001))
            sent = 0
            try:
                async with asyncio.timeout(5):
                    while True:
                        peer.writer.write(burst)
                        sent += 1000
                        await asyncio.wait_for(peer.writer.drain(), 0.5)
            except TimeoutError:
                pass
            assert served < sent
            before = served
            await asyncio.sleep(0.1)
            assert served == before
            async with connected(server.port) as neighbour:
                await neighbour.send(make_request())
                assert (await neighbour.receive())[39] == "000"
            # it reads again: all are answered
            for _ in range(sent):
                await peer.receive()
            assert served == sent + 1

    run(test())


def test_connections_are_bounded() -> None:
    """Beyond the bound a connection is closed, counted, and room comes back when another leaves."""

    async def test() -> None:
        async with serving(connections_max=2) as server:
            async with connected(server.port) as first, connected(server.port):
                assert await eventually(lambda: server.connections == 2)
                async with connected(server.port) as third:
                    assert await third.ended()
                await first.send(make_request())
                assert (await first.receive())[39] == "000"
                assert server.counters.refused == 1
            assert await eventually(lambda: server.connections == 0)
            async with connected(server.port) as again:
                await again.send(make_request())
                assert (await again.receive())[39] == "000"

    run(test())


def test_a_silent_connection_is_closed() -> None:
    """Nothing for read_seconds: the peer is taken for dead."""

    async def test() -> None:
        async with serving(read_seconds=0.1) as server, connected(server.port) as peer:
            assert await peer.ended()

    run(test())


def test_a_message_that_never_becomes_whole_does_not_keep_a_connection() -> None:
    """Bytes that dribble in are no sign of life when they make no message."""

    async def test() -> None:
        async with serving(read_seconds=0.2) as server, connected(server.port) as peer:
            data = WIRE.encode(make_request())

            async def dribble() -> None:
                for place in range(len(data) - 1):
                    await peer.send_bytes(data[place : place + 1])
                    await asyncio.sleep(0.02)

            with pytest.raises(ConnectionError):
                await dribble()

    run(test())


def test_a_service_that_never_answers_does_not_hold_a_connection_for_ever() -> None:
    """At the bound, with nothing moving for read_seconds, the connection is given up."""

    async def test() -> None:
        async with (
            serving(lambda *_: None, in_flight_per_connection_max=2, read_seconds=0.1) as server,
            connected(server.port) as peer,
        ):
            await peer.send(*(make_request(stan=number) for number in (1, 2, 3)))
            assert await peer.ended()
            assert await eventually(lambda: server.connections == 0)

    run(test())


def test_stopping_answers_what_is_in_flight_and_turns_away_the_rest() -> None:
    """A stop waits for the service, tells who signed on, answers new requests 907, and then closes."""
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with serving(lambda *asked: waiting.append(asked)) as server, connected(server.port) as peer:
            await peer.send(SIGN_ON, make_request(stan=1))
            assert (await peer.receive())[39] == "800"
            assert await eventually(lambda: len(waiting) == 1)
            stopping = asyncio.create_task(server.stop(5.0))
            sign_off = await peer.receive()
            assert (sign_off.mti, sign_off[24]) == ("1804", "802")
            await peer.send(make_request(stan=2))
            refused = await peer.receive()
            assert (refused[11], refused[39]) == ("000002", "907")
            connection, first = waiting[0]
            connection.send(make_answer(first))
            answered = await peer.receive()
            assert (answered[11], answered[39]) == ("000001", "000")
            assert await peer.ended()
            await stopping

    run(test())


def test_an_answer_that_nobody_waits_for_is_counted() -> None:
    """A peer that sends answers unasked does no harm."""

    async def test() -> None:
        async with serving() as server, connected(server.port) as peer:
            await peer.send(make_answer(make_request(stan=7)), make_request(stan=8))
            assert (await peer.receive())[11] == "000008"
            assert server.counters.unhandled == 1

    run(test())
