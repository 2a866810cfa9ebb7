"""Connections and small helpers for talking to the bus directly."""

from collections.abc import AsyncIterator

import pytest

from actors.nats_bus import NatsBus, connect
from actors.settings import BusSettings


@pytest.fixture
async def other(bus: NatsBus, nats_settings: BusSettings) -> AsyncIterator[NatsBus]:
    """A second connection to the world of `bus`."""
    del bus
    other = await connect(nats_settings, "other")
    yield other
    await other.close()
