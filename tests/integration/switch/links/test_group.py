"""Links to a peer and what may happen to them, over real sockets."""

import asyncio

import pytest
from tests.integration.switch.links.peers import (
    WIRE,
    Peer,
    approve,
    eventually,
    linked,
    listening,
    make_answer,
    make_request,
    run,
    serving,
)

from switch.iso8583.message import Message, MessageInvalid
from switch.links.connection import Connection
from switch.links.errors import (
    AnswerInvalid,
    AnswerLost,
    AnswerTimedOut,
    DuplicateInFlight,
    PeerAway,
    TooManyInFlight,
)
from switch.links.management import answer_management


async def accept_sign_on(peer: Peer) -> None:
    """Answer the 1804 that a link begins with."""
    request = await peer.receive()
    assert (request.mti, request[24]) == ("1804", "801")
    await peer.send(answer_management(request))


def test_a_request_comes_back_answered() -> None:
    """The answer that is returned is that of the request."""

    async def test() -> None:
        async with serving() as server, linked(server.port) as group:
            answer = await group.request(make_request(stan=42), 2.0)
            assert (answer.mti, answer[11], answer[39]) == ("1110", "000042", "000")
            assert group.counters.pending == 0

    run(test())


def test_many_requests_share_a_link_and_answers_may_overtake() -> None:
    """A hundred requests at once over one link, answered backwards: each gets its own."""
    waiting: list[tuple[Connection, Message]] = []

    def receive(connection: Connection, message: Message) -> None:
        waiting.append((connection, message))
        if len(waiting) == 100:
            for each, request in reversed(waiting):
                each.send(make_answer(request))

    async def test() -> None:
        async with serving(receive, in_flight_per_connection_max=200) as server, linked(server.port) as group:
            asked = [group.begin_request(make_request(stan=number), 2.0) for number in range(1, 101)]
            answers = await asyncio.gather(*asked)
            assert [answer[11] for answer in answers] == [f"{number:06d}" for number in range(1, 101)]

    run(test())


def test_requests_go_round_robin_over_the_links() -> None:
    """Three links get as many requests each."""
    by_peer: dict[str, int] = {}

    def receive(connection: Connection, message: Message) -> None:
        by_peer[connection.peer] = by_peer.get(connection.peer, 0) + 1
        approve(connection, message)

    async def test() -> None:
        async with serving(receive) as server, linked(server.port, links=3) as group:
            for number in range(1, 31):
                await group.request(make_request(stan=number), 2.0)
            assert list(by_peer.values()) == [10, 10, 10]

    run(test())


def test_a_reversal_with_the_trace_number_of_its_original_gets_its_own_answer() -> None:
    """1100, 1120 and 1420 of one trace number and terminal are on the way together, and each is answered as itself."""
    waiting: list[tuple[Connection, Message]] = []

    def receive(connection: Connection, message: Message) -> None:
        waiting.append((connection, message))
        if len(waiting) == 3:
            for each, request in reversed(waiting):
                each.send(make_answer(request))

    async def test() -> None:
        async with serving(receive) as server, linked(server.port) as group:
            asked = [group.begin_request(make_request(mti, stan=5), 2.0) for mti in ("1100", "1120", "1420")]
            answers = await asyncio.gather(*asked)
            assert [answer.mti for answer in answers] == ["1110", "1130", "1430"]

    run(test())


def test_a_duplicate_in_flight_is_refused_and_the_first_is_answered() -> None:
    """The second of one key is not sent, and does not take the first one's answer."""
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with serving(lambda *asked: waiting.append(asked)) as server, linked(server.port) as group:
            first = group.begin_request(make_request(stan=5), 2.0)
            with pytest.raises(DuplicateInFlight):
                await group.request(make_request("1101", stan=5), 2.0)
            other = group.begin_request(make_request(stan=5, terminal="TERM0002"), 2.0)
            assert await eventually(lambda: len(waiting) == 2)
            for connection, request in waiting:
                connection.send(make_answer(request))
            assert (await first)[41] == "TERM0001"
            assert (await other)[41] == "TERM0002"
            assert group.counters.duplicates == 1

    run(test())


def test_a_late_answer_is_handed_over_once_and_counted() -> None:
    """No answer in time is AnswerTimedOut; the answer that comes after goes to `on_late`, a second one to nobody."""
    late: list[Message] = []
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with (
            serving(lambda *asked: waiting.append(asked)) as server,
            linked(server.port, on_late=late.append) as group,
        ):
            with pytest.raises(AnswerTimedOut):
                await group.request(make_request(stan=9), 0.05)
            connection, request = waiting[0]
            connection.send(make_answer(request))
            connection.send(make_answer(request))
            assert await eventually(lambda: group.counters.unhandled == 1)
            assert [answer[11] for answer in late] == ["000009"]
            assert (group.counters.tx_expired, group.counters.rx_expired, group.counters.pending) == (1, 1, 0)

    run(test())


def test_who_stops_waiting_leaves_a_late_answer() -> None:
    """A request whose task was cancelled is still known when it is answered."""
    late: list[Message] = []
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with (
            serving(lambda *asked: waiting.append(asked)) as server,
            linked(server.port, on_late=late.append) as group,
        ):
            asked = asyncio.create_task(group.request(make_request(stan=9), 5.0))
            assert await eventually(lambda: len(waiting) == 1)
            asked.cancel()
            await asyncio.sleep(0)
            waiting[0][0].send(make_answer(waiting[0][1]))
            assert await eventually(lambda: len(late) == 1)

    run(test())


def test_requests_on_the_way_are_bounded() -> None:
    """At the bound nothing more is sent; an answer makes room."""
    waiting: list[tuple[Connection, Message]] = []

    async def test() -> None:
        async with (
            serving(lambda *asked: waiting.append(asked)) as server,
            linked(server.port, in_flight_max=2) as group,
        ):
            first = group.begin_request(make_request(stan=1), 5.0)
            second = group.begin_request(make_request(stan=2), 5.0)
            with pytest.raises(TooManyInFlight):
                await group.request(make_request(stan=3), 5.0)
            assert await eventually(lambda: len(waiting) == 2)
            waiting[0][0].send(make_answer(waiting[0][1]))
            await first
            third = group.begin_request(make_request(stan=3), 5.0)
            assert await eventually(lambda: len(waiting) == 3)
            for connection, request in waiting[1:]:
                connection.send(make_answer(request))
            await asyncio.gather(second, third)

    run(test())


def test_a_peer_that_does_not_read_is_not_sent_more() -> None:
    """What may lie unread before a peer is bounded, whatever the bound in flight."""

    async def sleepy(peer: Peer) -> None:
        await accept_sign_on(peer)
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(30)

    async def test() -> None:
        async with listening(sleepy) as port, linked(port, in_flight_max=1_000_000) as group:
            asked: list[asyncio.Future[Message]] = []

            async def pour() -> None:
                for number in range(1, 200_000):
                    asked.append(group.begin_request(make_request(stan=number), 20.0))
                    if number % 500 == 0:
                        await asyncio.sleep(0)

            with pytest.raises(TooManyInFlight, match="does not read"):
                await pour()
            for each in asked:
                each.cancel()

    run(test())


def test_a_link_is_up_only_after_its_sign_on() -> None:
    """Connected is not up: nothing is sent before the peer has accepted the sign-on."""
    signing: list[Peer] = []
    states: list[bool] = []

    async def slow(peer: Peer) -> None:
        request = await peer.receive()
        signing.append(peer)
        await asyncio.sleep(0.1)
        await peer.send(answer_management(request))
        await peer.send(make_answer(await peer.receive()))

    async def test() -> None:
        async with listening(slow) as port, linked(port, wait=False, on_state=states.append) as group:
            assert await eventually(lambda: len(signing) == 1)
            assert not group.up
            with pytest.raises(PeerAway):
                await group.request(make_request(), 1.0)
            assert await group.wait_up(2.0)
            assert (await group.request(make_request(), 1.0))[39] == "000"
        assert states == [True, False]

    run(test())


def test_a_refused_sign_on_is_tried_again_and_the_reason_shown() -> None:
    """A peer that refuses twice and then accepts is reached in the end."""
    refusals = 0

    async def moody(peer: Peer) -> None:
        nonlocal refusals
        request = await peer.receive()
        if refusals < 2:
            refusals += 1
            await peer.send(answer_management(request, "909"))
            return
        await peer.send(answer_management(request))
        await peer.receive()

    async def test() -> None:
        async with listening(moody) as port, linked(port, wait=False) as group:
            assert await eventually(lambda: refusals >= 1 and bool(group.failure))
            assert "refused the sign-on with 909" in group.failure
            assert await group.wait_up(5.0)
            assert refusals == 2

    run(test())


def test_a_peer_that_comes_back_is_connected_again() -> None:
    """Links outlive a peer's restart; meanwhile it is away, and whoever asks is told so at once."""
    states: list[bool] = []

    async def test() -> None:
        async with serving() as first:
            port = first.port
            async with linked(port, links=2, on_state=states.append) as group:
                await first.stop(0.1)
                assert await eventually(lambda: not group.up)
                with pytest.raises(PeerAway):
                    await group.request(make_request(), 1.0)
                await first.start("127.0.0.1", port)
                assert await group.wait_up(5.0, links=2)
                assert (await group.request(make_request(), 1.0))[39] == "000"
        assert states == [True, False, True, False]

    run(test())


def test_one_link_of_two_carries_on_when_the_other_is_lost() -> None:
    """What was on the way over the lost link fails at once; the group stays up."""
    peers: list[Connection] = []

    async def test() -> None:
        async with (
            serving(lambda connection, _: peers.append(connection)) as server,
            linked(server.port, links=2) as group,
        ):
            asked = [group.begin_request(make_request(stan=number), 5.0) for number in (1, 2)]
            assert await eventually(lambda: len(peers) == 2)
            peers[0].abort("cut")
            done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert isinstance(done.pop().exception(), AnswerLost)
            assert len(waiting) == 1
            assert group.up
            waiting.pop().cancel()
            assert await group.wait_up(5.0, links=2)

    run(test())


def test_an_idle_link_echoes_and_stays() -> None:
    """Without traffic an 831 goes out every echo_seconds, and its answer keeps the link beyond read_seconds."""
    echoes: list[Message] = []

    def count(_: Connection, request: Message) -> None:
        if request[24] == "831":
            echoes.append(request)

    async def test() -> None:
        async with (
            serving(manage=count) as server,
            linked(server.port, echo_seconds=0.05, read_seconds=0.3) as group,
        ):
            assert await eventually(lambda: len(echoes) >= 10)
            assert group.up
            assert len({echo[11] for echo in echoes}) == len(echoes)

    run(test())


def test_a_peer_that_has_died_silently_is_found_out() -> None:
    """A half-open connection: the socket is there, nobody answers. After read_seconds the link is down."""
    connections = 0

    async def dead(peer: Peer) -> None:
        nonlocal connections
        connections += 1
        await accept_sign_on(peer)
        await asyncio.sleep(30)

    async def test() -> None:
        async with listening(dead) as port, linked(port, echo_seconds=0.05, read_seconds=0.2) as group:
            asked = group.begin_request(make_request(), 10.0)
            with pytest.raises(AnswerLost):
                await asked
            assert "nothing was heard" in group.failure
            assert await eventually(lambda: connections == 2)

    run(test())


def test_a_peer_that_signs_off_gets_no_requests_until_it_signs_on() -> None:
    """802 from the peer: the link stays, is not used, and is again after 801."""

    async def test() -> None:
        proceed = asyncio.Event()
        answers: list[Message] = []

        async def leaving(peer: Peer) -> None:
            await accept_sign_on(peer)
            await peer.send(Message("1804", {7: "1121010203", 11: "000777", 12: "261121010203", 24: "802"}))
            answers.append(await peer.receive())
            await proceed.wait()
            await peer.send(Message("1804", {7: "1121010203", 11: "000778", 12: "261121010203", 24: "801"}))
            answers.append(await peer.receive())
            await peer.send(make_answer(await peer.receive()))

        async with listening(leaving) as port, linked(port, wait=False) as group:
            assert await eventually(lambda: group.signed_off)
            with pytest.raises(PeerAway):
                await group.request(make_request(), 1.0)
            proceed.set()
            assert await group.wait_up(2.0)
            assert (await group.request(make_request(), 2.0))[39] == "000"
            assert [(each.mti, each[11], each[39]) for each in answers] == [
                ("1814", "000777", "800"),
                ("1814", "000778", "800"),
            ]

    run(test())


def test_an_answer_that_cannot_be_believed_ends_the_waiting() -> None:
    """A garbled answer fails its request at once; its neighbour gets its own."""

    async def garble(peer: Peer) -> None:
        await accept_sign_on(peer)
        requests = [await peer.receive() for _ in range(2)]
        bad = WIRE.encode(make_answer(requests[0]))
        assert bad.endswith(b"826")
        bad = bad[:-3] + b"8Z6"
        await peer.send_bytes(bad + WIRE.encode(make_answer(requests[1])))
        await peer.receive()

    async def test() -> None:
        async with listening(garble) as port, linked(port) as group:
            first = group.begin_request(make_request(stan=1), 2.0)
            second = group.begin_request(make_request(stan=2), 2.0)
            with pytest.raises(AnswerInvalid):
                await first
            assert (await second)[11] == "000002"
            assert group.counters.rejected == 1

    run(test())


def test_a_message_that_cannot_be_written_is_refused_and_nothing_waits() -> None:
    """A wrong request is the caller's error: nothing is sent and its key is free."""

    async def test() -> None:
        async with serving() as server, linked(server.port) as group:
            wrong = make_request(stan=3)
            wrong.fields[4] = "ten"
            with pytest.raises(MessageInvalid):
                await group.request(wrong, 1.0)
            with pytest.raises(MessageInvalid):
                await group.request(Message("1100", {3: "000000"}), 1.0)
            assert (await group.request(make_request(stan=3), 1.0))[39] == "000"

    run(test())


def test_stopping_waits_for_answers_then_signs_off() -> None:
    """A stop lets what is on the way come home, says 802, and closes; nothing new is sent."""
    waiting: list[tuple[Connection, Message]] = []
    functions: list[str] = []

    async def test() -> None:
        async with (
            serving(
                lambda *asked: waiting.append(asked), manage=lambda _, request: functions.append(request[24])
            ) as server,
            linked(server.port) as group,
        ):
            asked = group.begin_request(make_request(), 5.0)
            assert await eventually(lambda: len(waiting) == 1)
            stopping = asyncio.create_task(group.stop(5.0))
            await asyncio.sleep(0)
            with pytest.raises(PeerAway):
                await group.request(make_request(stan=2), 1.0)
            waiting[0][0].send(make_answer(waiting[0][1]))
            assert (await asked)[39] == "000"
            await stopping
            assert functions == ["801", "802"]
            assert await eventually(lambda: server.connections == 0)

    run(test())


def test_who_still_waits_at_the_end_of_a_stop_is_told() -> None:
    """A stop is bounded: what is not answered by then is lost, not forgotten."""

    async def test() -> None:
        async with serving(lambda *_: None) as server, linked(server.port) as group:
            asked = group.begin_request(make_request(), 30.0)
            await group.stop(0.05)
            with pytest.raises(AnswerLost):
                await asked

    run(test())


def test_terminals_need_no_sign_on() -> None:
    """With sign_on false a link is up as soon as it is connected, and no 1804 is sent."""
    functions: list[str] = []

    async def test() -> None:
        async with (
            serving(manage=lambda _, request: functions.append(request[24])) as server,
            linked(server.port, sign_on=False) as group,
        ):
            assert (await group.request(make_request(), 1.0))[39] == "000"
            await group.stop()
            assert functions == []

    run(test())


def test_a_peer_without_a_network_is_away() -> None:
    """Where nobody listens, requests fail at once, and the reason is there for the operator."""

    async def test() -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        async with linked(port, wait=False) as group:
            with pytest.raises(PeerAway):
                await group.request(make_request(), 1.0)
            assert await eventually(lambda: "refused" in group.failure.lower() or "connect" in group.failure.lower())

    run(test())


def test_an_own_key_tells_answers_apart() -> None:
    """Where terminals share trace numbers and the peer leaves DE 41 out, another field may tell."""

    def by_reference(message: Message) -> str:
        return message.mti[1] + message[37]

    def receive(connection: Connection, message: Message) -> None:
        connection.send(message.answer({11: "000001", 37: message[37], 39: "000"}))

    async def test() -> None:
        async with serving(receive) as server, linked(server.port, key=by_reference) as group:
            answer = await group.request(make_request(stan=77), 1.0)
            assert answer[37] == "000000000077"

    run(test())
