"""Repetitions, and messages that come under a key that another has."""

from tests.integration.switch.links.peers import run
from tests.integration.switch.network.fake_bank import decline
from tests.integration.switch.network.stage import OTHER_CARD, make_network, purchase, reversal, staged


def test_an_exact_repetition_gets_the_stored_answer(postgres_dsn: str) -> None:
    """1101 after 1100: the same action and approval code, and the bank is not asked again. DE 7 may differ."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            first = await stage.ask(purchase(1))
            stage.northgate.react = decline("116")
            again = await stage.ask(purchase(1, mti="1101", de7="1121010209"))
            assert (again.mti, again[39], again[38]) == ("1110", first[39], first[38])
            assert again[7] == "1121010209"
            assert len(stage.northgate.received) == 1
            assert stage.service.counters.repeats == 1

    run(test())


def test_a_repetition_of_a_refusal_is_refused_alike(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            stage.northgate.react = decline("116")
            assert (await stage.ask(purchase(1)))[39] == "116"
            assert (await stage.ask(purchase(1, mti="1101")))[39] == "116"
            assert len(stage.northgate.received) == 1

    run(test())


def test_the_same_key_with_another_amount_or_card_gets_913(postgres_dsn: str) -> None:
    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            assert (await stage.ask(purchase(1)))[39] == "000"
            assert (await stage.ask(purchase(1, mti="1101", amount=1001)))[39] == "913"
            assert (await stage.ask(purchase(1, pan=OTHER_CARD)))[39] == "913"
            assert (await stage.ask(purchase(1, mti="1101")))[39] == "000"
            assert len(stage.northgate.received) == 1

    run(test())


def test_a_payment_that_was_refused_as_913_does_not_undo_the_other_ones(postgres_dsn: str) -> None:
    """Its reversal names the key that the two share, and another card: it is answered and not passed on."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            assert (await stage.ask(purchase(1)))[39] == "000"
            other = purchase(1, pan=OTHER_CARD)
            assert (await stage.ask(other))[39] == "913"
            assert (await stage.ask(reversal(other)))[39] == "400"
            assert not await stage.advices()

    run(test())


def test_a_repetition_while_the_first_is_on_its_way_gets_the_same_answer(postgres_dsn: str) -> None:
    """The bank is asked once; both are answered when it has answered. A fifth repetition is told to wait (923)."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(response_seconds=5)) as stage:
            stage.northgate.late_seconds = 0.2
            await stage.terminal.send(purchase(1), *(purchase(1, mti="1101") for _ in range(5)))
            codes = [(await stage.terminal.receive())[39] for _ in range(6)]
            assert codes == ["923"] + ["000"] * 5
            assert len(stage.northgate.received) == 1

    run(test())


def test_a_payment_of_another_terminal_or_time_is_another(postgres_dsn: str) -> None:
    """The trace number alone says nothing."""

    async def test() -> None:
        async with staged(postgres_dsn) as stage:
            for message in (
                purchase(1),
                purchase(1, terminal="TERM0002", amount=2000),
                purchase(1, de12="261121010204", amount=3000),
                purchase(1, de32="400002", amount=4000),
            ):
                assert (await stage.ask(message))[39] == "000"
            assert len(stage.northgate.received) == 4

    run(test())


def test_two_acquirers_that_number_alike_do_not_get_each_others_answers(postgres_dsn: str) -> None:
    """Their payments are on the way at once with one trace number and terminal: one waits for the other."""

    async def test() -> None:
        async with staged(postgres_dsn, network=make_network(response_seconds=5)) as stage:
            stage.northgate.late_seconds = 0.1
            await stage.terminal.send(purchase(1), purchase(1, de32="400002", amount=2000))
            answers = [await stage.terminal.receive() for _ in range(2)]
            assert [(answer[32], answer[4][-4:], answer[39]) for answer in answers] == [
                ("400001", "1000", "000"),
                ("400002", "2000", "000"),
            ]

    run(test())
