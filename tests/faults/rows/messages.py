"""M: messages that cannot be read, and answers that come too late."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from actors.bus import BusError
from schemas.codec import decode
from schemas.service import StatsReply
from subjects import names
from subjects.streams import DEAD_LETTERS
from supervisor.spec import ServiceAnswers
from tests.faults.rows.row import Row
from tests.faults.scene import Load, Scene, supervised

LATE = "late-agent"
POISON = b'{"task_id": "poison", "round": "\xff'


async def poison(scene: Scene) -> None:
    """What no actor can decode lies on every stored subject; each is set aside, with its reason."""
    before = await scene.witness.last_sequence(DEAD_LETTERS)
    subjects = (
        names.opened("poison"),
        names.round_opened("poison"),
        names.agent_request("DEV"),
        names.agent_response("poison"),
    )
    for subject in subjects:
        await scene.witness.store(subject, POISON)

    async def set_aside() -> bool:
        return await scene.witness.last_sequence(DEAD_LETTERS) >= before + len(subjects)

    async with scene.recovering():
        await scene.until(set_aside)


async def _speaks(scene: Scene) -> bool:
    """Whether the late one has work in hand."""
    probe = scene.probe(LATE)
    assert isinstance(probe, ServiceAnswers)
    subject = f"$SRV.STATS.{probe.service}.{probe.instance}"
    reply = await scene.witness.request(subject, b"", timeout_s=1.0)
    return bool(decode(StatsReply, reply.body).data["running"])


@asynccontextmanager
async def two_agents(load: Load, tag: str) -> AsyncIterator[Scene]:
    """A second agent, which nobody supervises: if it hangs, it hangs."""
    async with supervised(load, tag) as scene:
        await scene.spawn("agent", LATE)
        yield scene


async def come_back_late(scene: Scene) -> None:
    """An agent hangs with work in hand until that was given to another, and answers then."""
    process = await scene.process(LATE)
    await scene.until(lambda: _speaks(scene))
    process.suspend()
    await scene.pause()
    async with scene.recovering():
        process.resume()
        await scene.back(LATE)


async def flood(scene: Scene) -> None:
    """A client that subscribes to everything and reads nothing is cut off by the server."""
    address = scene.nats.url.removeprefix("nats://").rpartition(":")
    reader, writer = await asyncio.open_connection(address[0], int(address[2]), limit=4_096)
    async with scene.recovering():
        writer.write(b'CONNECT {"verbose":false,"name":"deaf"}\r\nSUB > 1\r\nPING\r\n')
        body = bytes(min(scene.witness.max_payload, 1_000_000))
        for _ in range(150):  # the server keeps 64 MiB for it at most
            try:
                await scene.witness.publish("flood", body)
            except BusError:
                await asyncio.sleep(0.1)
        await scene.until(scene.witness.healthy)  # the server has all of it now
        while await reader.read(1 << 20):
            pass
        await scene.answered("conclave-dispatcher")
    writer.close()


ROWS = (
    Row(id="M1", fault="poison on every stored subject", inject=poison),
    Row(
        id="M2",
        fault="an agent pauses past ack_wait, comes back and answers",
        inject=come_back_late,
        stage=two_agents,
        weight=0.1,
    ),
    Row(id="M3", fault="slow consumer: a client that reads nothing", inject=flood, weight=0.05),
)
