"""How long a stored message rests before it is sent for the first time."""

from tests.integration.switch.links.peers import run
from tests.integration.switch.network.stage import make_network, purchase, reversal, staged


def test_a_stored_message_rests_for_the_initial_delay(postgres_dsn: str) -> None:
    """It is acknowledged at once and due a minute later; then it goes out as a first attempt, not as a repetition."""

    async def test() -> None:
        rules = {"initial_delay_seconds": 60.0, "between_messages_seconds": 0.0}
        async with staged(postgres_dsn, network=make_network(store_and_forward=rules)) as stage:
            assert (await stage.ask(reversal(purchase(1))))[39] == "400"
            (row,) = await stage.rows(
                "SELECT extract(epoch FROM next_attempt_at - created_at)::float8 AS rest, attempts FROM network.advices"
            )
            assert (round(row["rest"]), row["attempts"]) == (60, 0)
            assert stage.northgate.of("1420") == []
            await stage.rows("UPDATE network.advices SET next_attempt_at = clock_timestamp()")
            assert await stage.delivered(1)
            assert [message.mti for message in stage.northgate.received] == ["1420"]

    run(test())
