"""A store with very many deliberations: a real one's records, written again under other ids."""

import asyncio
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import psutil
from msgspec import Struct
from msgspec.structs import replace

from actors.bus import Bus, Record
from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from schemas.codec import decode
from schemas.deliberation import Accepted
from subjects import names
from subjects.streams import DELIBERATIONS, streams
from supervisor import nats_server
from supervisor.config import Config
from supervisor.up import running
from tests.bench.measuring import scripted
from tests.clients.nats_wire import Wire

OPEN = 1_000

CHUNK = 1_000
"""Deliberations written before the stream is waited for: fewer messages than its queue holds."""

WRITTEN_S = 60.0

_OURS = ("Nats-Msg-Id", "Conclave-Schema", "Content-Type")
"""Headers that were written; the others say where a message lay, or what had to be true then."""


class Template(Struct, frozen=True):
    """A deliberation's records as bytes for the wire, and the id in them."""

    task_id: str
    before: bytes
    """Up to where it is still open."""
    after: bytes
    count: tuple[int, int]

    def named(self, task_id: str, *, ended: bool) -> bytes:
        """The same of another id, which is as long."""
        raw = self.before + self.after if ended else self.before
        return raw.replace(self.task_id.encode(), task_id.encode())


class Store(Struct):
    """The nats-server, a bus to it, and what was written."""

    config: Config
    bus: Bus
    wire: Wire
    server: psutil.Process
    finished: int = 0
    rounds: int = 0
    last: int = 0
    opened: dict[str, int] = {}


async def templates() -> tuple[Template, Template]:
    """A finished deliberation of one seat, and one of three of which two have answered."""
    async with running(scripted()) as system:
        bus = await connect(system.nats, "bench")
        try:
            return await _written(bus, "f", 1), await _written(bus, "o", 3)
        finally:
            await bus.close()


async def _written(bus: Bus, kind: str, seats: int) -> Template:
    task_id = name_of(kind, 0, 0)
    request = {
        "task_description": "Add retries with back-off to the billing client",
        "role": "DEV",
        "num_agents": seats,
        "task_id": task_id,
        "constraints": {"timeout_seconds": 3_600},
    }
    reply = await bus.request(names.REQUEST, msgspec.json.encode(request))
    decode(Accepted, reply.body)
    await bus.request(names.WAIT, msgspec.json.encode({"task_id": task_id}), timeout_s=60)
    own = [each for each in await bus.scan(DELIBERATIONS, names.ANYTHING) if _is_of(each, task_id)]
    answers = [each for each in own if each.subject == names.agent_response(task_id)]
    first = own.index(answers[0])
    # Without what asks a third seat: there it waits for the answer.
    split = own.index(answers[1]) + 1 if seats > 1 else first
    before, after = own[:split], own[split:]
    return Template(task_id, _raw(before), _raw(after), (len(before), len(after)))


def _is_of(record: Record, task_id: str) -> bool:
    return task_id.encode() in record.body


def name_of(kind: str, size: int, number: int) -> str:
    """The id of a deliberation; all are as long."""
    return f"bench-{kind}-{size:03d}-{number:09d}"


def _raw(records: Sequence[Record]) -> bytes:
    """Publications as a client sends them."""
    raw = []
    for record in records:
        kept = [f"{name}: {record.headers[name]}" for name in _OURS if name in record.headers]
        head = "\r\n".join(["NATS/1.0", *kept, "", ""]).encode()
        size = len(head) + len(record.body)
        line = f"HPUB {record.subject} {len(head)} {size}\r\n".encode()
        raw.append(line + head + record.body + b"\r\n")
    return b"".join(raw)


@asynccontextmanager
async def filled() -> AsyncIterator[Store]:
    """Run a nats-server with an empty store, which is removed afterwards."""
    config = scripted()
    async with AsyncExitStack() as stack:
        server = nats_server.settled(config.server)
        directory = stack.enter_context(nats_server.store(server))
        login = BusSettings(url=nats_server.url(server))
        spec = nats_server.child(server, login, directory)
        process = await asyncio.create_subprocess_exec(*spec.argv, stderr=DEVNULL)
        stack.push_async_callback(process.wait)
        stack.callback(process.kill)
        bus = await connect(login, "bench")
        stack.push_async_callback(bus.close)
        for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
            await bus.ensure(stream)
        wire = stack.enter_context(Wire(login.url))
        config = replace(config, server=server, nats=login)
        yield Store(config, bus, wire, psutil.Process(process.pid))


async def grow(store: Store, finished: Template, size: int) -> None:
    """Write finished deliberations until there are so many."""
    while store.finished < size:
        count = min(CHUNK, size - store.finished)
        numbers = range(store.finished, store.finished + count)
        raw = [finished.named(name_of("f", 0, number), ended=True) for number in numbers]
        await _write(store, b"".join(raw), count * sum(finished.count))
        store.finished += count


async def _write(store: Store, raw: bytes, messages: int) -> None:
    await asyncio.to_thread(store.wire.send, raw)
    store.last += messages
    async with asyncio.timeout(WRITTEN_S):
        while await store.bus.last_sequence(DELIBERATIONS) < store.last:
            await asyncio.sleep(0.002)


async def leave_open(store: Store, unfinished: Template) -> None:
    """Write deliberations that are still open."""
    store.rounds += 1
    store.opened = {
        name_of("o", store.rounds, number): store.last + 1 + number * unfinished.count[0]
        for number in range(OPEN)
    }
    raw = [unfinished.named(task_id, ended=False) for task_id in store.opened]
    await _write(store, b"".join(raw), OPEN * unfinished.count[0])


async def end_open(store: Store, unfinished: Template) -> None:
    """Write what ends those that are open."""
    whole = [
        unfinished.after.replace(unfinished.task_id.encode(), task_id.encode())
        for task_id in store.opened
    ]
    await _write(store, b"".join(whole), OPEN * unfinished.count[1])
