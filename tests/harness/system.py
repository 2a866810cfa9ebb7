"""A whole system inside one test: every actor on its own connection, and a client beside them."""

import json
from collections import defaultdict
from typing import Any

import msgspec

from actors.actor import Actor
from actors.agents.agent import Agent
from actors.bus.nats_bus import NatsBus, connect
from actors.councils.registry import Registry
from actors.dead_letters.dead_letter_office import DeadLetterOffice
from actors.deliberations.collector import Collector
from actors.engines.engine import Engine
from actors.engines.scripted_engine import ScriptedEngine
from actors.intake.dispatcher import Dispatcher
from actors.queries.responder import Responder
from actors.settings import BusSettings, Limits, PoolSettings
from schemas.codec import decode
from schemas.deliberation import Accepted
from schemas.errors import ERROR_CODE_HEADER, ERROR_HEADER
from schemas.progress import Progress
from schemas.result import Deliberation
from subjects import names
from subjects.streams import streams
from tests.harness.events import until

CORE = {
    "registry": Registry,
    "dispatcher": Dispatcher,
    "collector": Collector,
    "responder": Responder,
    "dead-letters": DeadLetterOffice,
}


class Reply:
    """What a client gets: headers, body, and the error if it is one."""

    def __init__(self, headers: Any, raw: bytes) -> None:
        self.headers = dict(headers)
        self.raw = raw
        self.body: Any = msgspec.json.decode(raw)
        self.error: dict[str, str] | None = self.body.get("error")

    @property
    def code(self) -> str:
        """The error's code; every error has all its parts."""
        assert self.error is not None, self.body
        assert self.headers[ERROR_HEADER]
        assert int(self.headers[ERROR_CODE_HEADER]) >= 400
        assert self.error["message"]
        assert self.error["path"].startswith("$")
        return self.error["code"]


class Client:
    """A program beside the system that knows NATS and JSON, and hears every public event."""

    def __init__(self, bus: NatsBus) -> None:
        self.bus = bus
        self.outcomes: defaultdict[str, list[tuple[str, Deliberation]]] = defaultdict(list)
        self.progress: defaultdict[str, list[Progress]] = defaultdict(list)

    async def listen(self) -> None:
        for subject in names.PUBLIC_OUTCOMES:
            await self.bus.serve(subject, self._on_outcome)
        await self.bus.serve(names.ANY_PROGRESS, self._on_progress)

    async def _on_outcome(self, message: Any) -> None:
        result = decode(Deliberation, message.body)
        self.outcomes[result.task_id].append((message.subject, result))

    async def _on_progress(self, message: Any) -> None:
        event = decode(Progress, message.body)
        self.progress[event.task_id].append(event)

    async def call(
        self, subject: str, body: Any = None, headers: Any = None, timeout_s: float = 10.0
    ) -> Reply:
        """Send a dict as JSON, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
        reply = await self.bus.request(subject, raw, headers, timeout_s=timeout_s)
        return Reply(reply.headers, reply.body)

    async def ask(self, role: str = "DEV", **request: Any) -> Accepted:
        """Open a deliberation that must be accepted; in one round unless told otherwise."""
        request = {
            "task_description": "Add retries to the billing client",
            "role": role,
            "protocol": "independent",
        } | request
        reply = await self.call(names.REQUEST, request)
        assert reply.error is None, reply.error
        return decode(Accepted, reply.raw)

    async def outcome(self, task_id: str) -> Deliberation:
        """The result that the public event carried; it must be the only one."""
        await until(lambda: self.outcomes[task_id])
        assert len(self.outcomes[task_id]) == 1
        return self.outcomes[task_id][0][1]

    async def get(self, task_id: str, **query: Any) -> Deliberation:
        reply = await self.call(names.GET, {"task_id": task_id, **query})
        assert reply.error is None, reply.error
        return decode(Deliberation, reply.raw)

    async def discovered(self, verb: str, name: str = "") -> list[dict[str, Any]]:
        """What service discovery says: one reply per instance."""
        subject = f"$SRV.{verb}.{name}".rstrip(".")
        replies = await self.bus.gather(subject, b"", stall_s=0.1, total_s=1.0)
        return [json.loads(reply.body) for reply in replies]


class System:
    """The actors of one test. What is not crashed by the test is drained at its end."""

    def __init__(self, settings: BusSettings, client: Client) -> None:
        self.settings = settings
        self.client = client
        self._running: list[tuple[Actor, NatsBus]] = []

    @classmethod
    async def connected(cls, settings: BusSettings) -> "System":
        bus = await connect(settings, "client")
        for stream in streams(max_age_s=0, max_bytes=-1, replicas=1):
            await bus.ensure(stream)
        client = Client(bus)
        await client.listen()
        return cls(settings, client)

    async def core(self, limits: Limits | None = None) -> None:
        """Start every actor but the agents."""
        for kind in CORE:
            await self.add(kind, limits=limits)

    async def add(self, kind: str, instance: str = "", limits: Limits | None = None) -> Any:
        """Start one core actor."""
        bus = await connect(self.settings, kind)
        return await self._start(CORE[kind](bus, instance or f"{kind}-1", limits), bus)

    async def agent(
        self, engine: Engine | None = None, *, instance: str = "agent-1", **pool: Any
    ) -> Agent:
        """Start an agent with `engine`, by default the scripted one."""
        pool = {"engine": "scripted", "scripted_words": 12, "delta_ms": 0} | pool
        named = pool.pop("named_queues", frozenset())
        settings = PoolSettings(**pool)
        bus = await connect(self.settings, instance)
        agent = Agent(
            bus,
            engine or ScriptedEngine(settings),
            pool="default",
            settings=settings,
            instance=instance,
            named_queues=named,
        )
        await self._start(agent, bus)
        return agent

    async def _start(self, actor: Any, bus: NatsBus) -> Any:
        await actor.start()
        self._running.append((actor, bus))
        return actor

    async def crash(self, actor: Any) -> None:
        """End an actor as kill -9 does: nothing is finished, given back or said."""
        bus = self._take(actor)
        await bus._nc.close()
        for tasks in ("_loops", "_work"):
            if hasattr(actor, tasks):
                await getattr(actor, tasks).cancel()

    async def stop(self, actor: Any) -> None:
        """End an actor in good order."""
        bus = self._take(actor)
        await actor.drain()
        await bus.close()

    def _take(self, actor: Any) -> NatsBus:
        entry = next(each for each in self._running if each[0] is actor)
        self._running.remove(entry)
        return entry[1]

    async def close(self) -> None:
        for actor, _ in reversed(self._running.copy()):
            await self.stop(actor)
        await self.client.bus.close()
