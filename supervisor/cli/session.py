"""From the common options to a connected client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from actors.bus import nats_bus
from actors.settings import BusSettings
from supervisor import reaching
from supervisor.cli.options import Common
from supervisor.client import Client

T = TypeVar("T")

CONNECT_S = 2.0
"""How long a server may take to greet us, unless `--timeout` is shorter: people are waiting."""


def bus_settings(common: Common) -> BusSettings:
    """Return how to reach NATS; see `supervisor.reaching`."""
    return reaching.bus_settings(common.server, common.context, common.config)


@asynccontextmanager
async def connected(common: Common) -> AsyncIterator[Client]:
    """Connect for the time of one command. Raises Unavailable."""
    settings = bus_settings(common)
    bus = await nats_bus.connect(settings, "conclave-cli", timeout_s=min(common.timeout, CONNECT_S))
    try:
        yield Client(bus, common.timeout)
    finally:
        await bus.close()


def ask_once(common: Common, call: Callable[[Client], Awaitable[T]]) -> T:
    """Connect, make one call, leave."""

    async def work() -> T:
        async with connected(common) as client:
            return await call(client)

    return asyncio.run(work())
