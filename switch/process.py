"""One process of the switch: it starts, says so, works until it is told to stop, and stops in good order."""

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Final, Protocol, TypeVar

from postrail.adapters.aws.observability import logger
from switch.health import Health, HealthServer
from switch.meter import MinuteMeter

_ALLOCATIONS_PER_COLLECTION: Final = 50_000
"""Messages live for milliseconds and die without the collector's help."""

STOP_SECONDS_MAX: Final = 25.0
"""Fargate kills a task 30 seconds after it has asked it to stop."""


class Service(Protocol):
    """What a process runs."""

    async def start(self) -> None:
        """Begin; returns when it is ready for work."""
        ...

    async def stop(self) -> None:
        """Take nothing new, finish what was begun, and end."""
        ...

    def health(self) -> Health:
        """How it is."""
        ...

    @property
    def port(self) -> int:
        """Where it listens."""
        ...


ServiceT = TypeVar("ServiceT", bound=Service)


def run_process(
    name: str,
    build: Callable[[], Awaitable[ServiceT]],
    *,
    health_host: str = "127.0.0.1",
    health_port: int = 0,
    log_level: str = "INFO",
    ready: Callable[[ServiceT], None] = lambda _: None,
    meter: Callable[[ServiceT], MinuteMeter] | None = None,
) -> None:
    """Run a service until SIGTERM or SIGINT. `ready` is called once it takes work; `health_port` 0 is no health port.

    `meter` makes what tells of its work each minute, and a last time when it stops; None tells nothing.

    Raises what `build` and `start` raise; whatever happens later is logged, and the service goes on.
    """
    logger.setLevel(log_level)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(name, build, health_host, health_port, ready, meter))


async def _run(
    name: str,
    build: Callable[[], Awaitable[ServiceT]],
    health_host: str,
    health_port: int,
    ready: Callable[[ServiceT], None],
    make_meter: Callable[[ServiceT], MinuteMeter] | None,
) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.set_exception_handler(_log_stray_error)
    service = await build()
    await service.start()
    health = HealthServer(service.health)
    if health_port:
        await health.start(health_host, health_port)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION)
    logger.info("started", process_name=name, port=service.port)
    ready(service)
    meter = make_meter(service) if make_meter else None
    metering = loop.create_task(meter.run()) if meter else None
    await stopping.wait()
    logger.info("stopping", process_name=name)
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await service.stop()
    except TimeoutError:
        logger.warning("stopped before everything was finished", process_name=name)
    if meter and metering:
        metering.cancel()
        meter.tell()
    await health.stop()


def _log_stray_error(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    # The context may hold messages, and so card numbers: the error's class and the loop's own words are all we keep.
    error = context.get("exception")
    logger.error(
        "unexpected error", error=type(error).__name__ if error else None, error_text=str(context.get("message", ""))
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop, where it is installed: it halves what a message costs."""
    if sys.platform == "win32" or find_spec("uvloop") is None:
        return None
    import uvloop  # noqa: PLC0415

    return uvloop.new_event_loop
