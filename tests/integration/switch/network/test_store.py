"""The network's rows, when the database goes away in the middle of something."""

import asyncio

import asyncpg
import pytest

from postrail.domain.errors import Retryable
from switch.network.store import NetworkStore, open_pool

_CUT = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'postrail-network'"


@pytest.mark.timeout(60)
def test_a_connection_cut_during_a_delivery_is_retryable_and_the_next_delivery_begins(postgres_dsn: str) -> None:
    """Whoever delivers tries again later; the right to deliver went with the connection that was cut."""

    async def look_after_a_cut(store: NetworkStore) -> None:
        async with store.delivery("northgate") as delivery:
            assert delivery is not None
            elsewhere = await asyncpg.connect(postgres_dsn)
            await elsewhere.execute(f"{_CUT} AND datname = current_database()")
            await elsewhere.close()
            # The end of the stream reaches the pool, which takes the connection away.
            await asyncio.sleep(0.1)
            await delivery.next_advices(attempts_alarm=6, expire_seconds=60, count_max=10)

    async def test() -> None:
        pool = await open_pool(postgres_dsn)
        try:
            store = NetworkStore(pool, "meridian")
            with pytest.raises(Retryable):
                await look_after_a_cut(store)
            async with store.delivery("northgate") as delivery:
                assert delivery is not None
        finally:
            await pool.close()

    asyncio.run(test())
