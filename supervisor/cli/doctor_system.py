"""What `conclave doctor` asks a running system: server, streams, actors, agents and their slots."""

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence

from actors.bus import Bus, BusError
from schemas.council import Council
from schemas.errors import Refused
from schemas.result import AgentStats
from schemas.service import PingReply
from subjects import streams
from supervisor.cli import text
from supervisor.client import Client
from supervisor.doctor import Finding

ACTORS = ("dispatcher", "collector", "responder", "registry")
STREAMS = (
    streams.DELIBERATIONS,
    streams.COUNCILS,
    streams.DEAD_LETTERS,
    streams.ADVISORIES,
    streams.CHECKPOINTS,
)
START = "conclave up, or conclave run {}"


async def system(client: Client) -> AsyncIterator[Finding]:
    """Look at everything behind a connection that stands."""
    yield await _round_trip(client.bus)
    for stream in STREAMS:
        yield await _stream(client.bus, stream)
    pings = await client.services()
    for finding in actors(pings):
        yield finding
    try:
        agents = (await client.stats()).agents
        councils = (await client.councils()).councils
    except (Refused, BusError) as error:
        yield Finding(what="agents", state="problem", found=str(error), todo="start the actors")
        return
    for finding in placed(agents, councils):
        yield finding


async def _round_trip(bus: Bus) -> Finding:
    began = time.perf_counter()
    alive = await bus.healthy()
    took = (time.perf_counter() - began) * 1_000
    if not alive:
        return Finding(what="NATS", state="problem", found="no round trip", todo="look at its log")
    limit = bus.max_payload // 1024
    return Finding(
        what="NATS", state="ok", found=f"answers in {took:.1f} ms, {limit} KiB a message"
    )


async def _stream(bus: Bus, name: str) -> Finding:
    try:
        last = await bus.last_sequence(name)
    except BusError as error:
        todo = START.format("dispatcher") + " makes it; the server must have JetStream (-js)"
        return Finding(what=name, state="problem", found=str(error), todo=todo)
    return Finding(what=name, state="ok", found=f"{last} messages so far")


def actors(pings: Sequence[PingReply]) -> Iterator[Finding]:
    """Tell of each core actor how many answer `$SRV.PING`."""
    alive = Counter(ping.name for ping in pings)
    versions = {ping.name: ping.version for ping in pings}
    for name in ACTORS:
        service = f"conclave-{name}"
        if service in alive:
            found = f"{alive[service]} answering, version {versions[service]}"
            yield Finding(what=name, state="ok", found=found)
        else:
            todo = START.format(name)
            yield Finding(what=name, state="problem", found="does not answer", todo=todo)


def placed(agents: Sequence[AgentStats], councils: Sequence[Council]) -> Iterator[Finding]:
    """Tell of each agent what it serves, and of each council whether somebody serves it."""
    for agent in agents:
        queues = " ".join(agent.queues)
        who = text.model(agent.model, agent.engine)
        found = f"{agent.running} of {agent.slots} slots taken, {who}: {queues}"
        yield Finding(what=f"agent {agent.agent}", state="ok", found=found)
    served = {queue for agent in agents for queue in agent.queues}
    for council in councils:
        wanted = {seat.queue or council.role for seat in council.seats}
        lacking = sorted(wanted - served) if "*" not in served else []
        if lacking:
            yield Finding(
                what=f"council {council.role}",
                state="problem",
                found=f"no agent serves {', '.join(lacking)}",
                todo=START.format("agent") + ", or give the queue to a pool in the configuration",
            )
        else:
            yield Finding(
                what=f"council {council.role}", state="ok", found=f"{len(council.seats)} seats"
            )
