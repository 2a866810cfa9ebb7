"""Three nats-servers, and a client of theirs."""

from collections.abc import AsyncIterator

import pytest

from actors.bus.nats_bus import NatsBus, connect
from subjects.streams import streams
from tests.cluster.servers import NAMES, Servers, cluster


@pytest.fixture
async def servers() -> AsyncIterator[Servers]:
    """A cluster that this test may hurt."""
    async with cluster() as servers:
        yield servers


@pytest.fixture
async def bus(servers: Servers) -> AsyncIterator[NatsBus]:
    """A client that knows all three, and the streams on all three."""
    bus = await connect(servers.settings, "test", timeout_s=30.0)
    for stream in streams(max_age_s=0, max_bytes=-1, replicas=len(NAMES)):
        await bus.ensure(stream)
    yield bus
    await bus.close()
