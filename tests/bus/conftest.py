"""Connections and small helpers for talking to the bus directly."""

from asyncio import AbstractEventLoop, new_event_loop
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from actors.nats_bus import NatsBus, connect
from actors.settings import BusSettings


@pytest.fixture
async def other(bus: NatsBus, nats_settings: BusSettings) -> AsyncIterator[NatsBus]:
    """A second connection to the world of `bus`."""
    del bus
    other = await connect(nats_settings, "other")
    yield other
    await other.close()


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], AbstractEventLoop]]:
    """The product runs on uvloop where it is there, and must keep its promises on both."""
    return {"asyncio": new_event_loop, "uvloop": uvloop.new_event_loop}
