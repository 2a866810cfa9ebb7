"""Three nats-servers with the shipped configuration: whoever is lost, what was stored is there.

The same under load, with the whole system and the ledger, are the rows K of the fault table.
"""

import asyncio

import pytest

from actors.bus import BusError, Unavailable
from actors.bus.nats_bus import NatsBus, connect
from subjects import names
from subjects.streams import DELIBERATIONS, streams
from tests.cluster.servers import NAMES, Servers, cluster, no_namespaces, stream_info, whole
from tests.faults.rows import ROWS
from tests.faults.scene import Load
from tests.faults.table import run_row
from tests.harness.events import until_async

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

WORK = names.agent_request("DEV")
PATIENCE_S = 60.0


class Writer:
    """Stores numbers one after the other, and knows which were acknowledged."""

    def __init__(self, bus: NatsBus) -> None:
        self.acknowledged: list[bytes] = []
        self._bus = bus
        self._writing = asyncio.create_task(self._write())

    async def _write(self) -> None:
        for number in range(1_000_000):
            body = str(number).encode()
            try:
                await self._bus.store(WORK, body, message_id=f"w-{number}")
            except BusError:
                continue  # unknown outcome: it may be there, and need not
            self.acknowledged.append(body)

    async def goes_on(self) -> None:
        """Return when something more was acknowledged."""
        before = len(self.acknowledged)
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acknowledged) == before:
                await asyncio.sleep(0.01)

    async def stop(self) -> None:
        self._writing.cancel()
        await asyncio.wait((self._writing,))


async def stored(bus: NatsBus) -> list[bytes]:
    """Everything in the stream, in order."""
    bodies: list[bytes] = []
    start = 1
    while records := await bus.scan(DELIBERATIONS, WORK, start):
        bodies += [record.body for record in records]
        start = records[-1].sequence + 1
    return bodies


async def nothing_is_lost_or_doubled(bus: NatsBus, writer: Writer) -> None:
    await until_async(lambda: whole(bus, DELIBERATIONS), PATIENCE_S)
    await writer.stop()
    bodies = await stored(bus)
    assert len(set(bodies)) == len(bodies)
    assert set(writer.acknowledged) <= set(bodies)


async def leader_of(bus: NatsBus) -> str:
    return (await stream_info(bus, DELIBERATIONS))["cluster"]["leader"]


async def test_a_killed_leader_costs_nothing(servers: Servers, bus: NatsBus):
    writer = Writer(bus)
    await writer.goes_on()
    leader = await leader_of(bus)
    servers.kill(leader)
    await writer.goes_on()
    servers.start(leader)
    await nothing_is_lost_or_doubled(bus, writer)


async def test_servers_of_one_machine_are_a_cluster_too():
    async with cluster(apart=False) as servers:
        bus = await connect(servers.settings, "test")
        for stream in streams(max_age_s=0, max_bytes=-1, replicas=len(NAMES)):
            await bus.ensure(stream)
        await bus.store(WORK, b"before")
        servers.kill(await leader_of(bus))
        await bus.store(WORK, b"after", message_id="after")
        assert await stored(bus) == [b"before", b"after"]
        await bus.close()


@pytest.mark.skipif(bool(no_namespaces()), reason=no_namespaces())
async def test_a_leader_that_is_cut_off_costs_nothing(servers: Servers, bus: NatsBus):
    writer = Writer(bus)
    await writer.goes_on()
    leader = await leader_of(bus)
    servers.unplug(leader)
    await writer.goes_on()
    servers.plug_in(leader)
    await nothing_is_lost_or_doubled(bus, writer)


async def test_with_two_lost_nothing_is_accepted_and_with_one_back_all_goes_on(
    servers: Servers, bus: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    await bus.store(WORK, b"before")
    monkeypatch.setattr("actors.bus.nats_bus.STORE_DEADLINE_S", 3.0)
    first, second = [name for name in NAMES if name != await leader_of(bus)]
    servers.kill(first)
    servers.kill(second)
    with pytest.raises(Unavailable):
        await bus.store(WORK, b"during", message_id="during")
    servers.start(first)
    writer = Writer(bus)
    await writer.goes_on()
    servers.start(second)
    await nothing_is_lost_or_doubled(bus, writer)
    assert (await stored(bus)).count(b"before") == 1


async def test_an_upgrade_of_one_after_the_other_costs_nothing(servers: Servers, bus: NatsBus):
    writer = Writer(bus)
    for name in NAMES:
        await writer.goes_on()
        await servers.retire(name)
        await writer.goes_on()
        servers.start(name)
        await until_async(lambda: whole(bus, DELIBERATIONS), PATIENCE_S)
    await nothing_is_lost_or_doubled(bus, writer)


async def test_the_whole_system_survives_a_killed_leader():
    row = next(row for row in ROWS if row.id == "K1")
    found = await run_row(row, Load())
    assert found.clean, found
