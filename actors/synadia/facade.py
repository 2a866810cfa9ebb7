"""Facade: every council is one agent of the Synadia Agent Protocol for NATS 0.3.

Serves `agents.prompt|status.conclave.<owner>.<name>` and publishes `agents.hb.…`, where the name is
the council's role in small letters (§2.2). Agents come and go with the councils. It keeps nothing
but conversations: when it stops, their callers are told, and the deliberations go on. Run as
many as you like; they share the prompts.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial

from msgspec import Struct

from actors.actor import keep_running
from actors.bus import Bus, BusError, Message
from actors.councils import CouncilDirectory
from actors.replying import error_headers
from actors.service import Service
from actors.settings import Limits, SynadiaSettings
from actors.synadia.conversation import CallerGone, Conversation, send
from actors.tasks import TaskSet
from schemas import synadia
from schemas.codec import encode
from schemas.council import Council
from schemas.errors import Refused
from subjects import names

log = logging.getLogger(__name__)

REFRESH_S = 30.0
DRAIN_S = 3.0
STOPPING = "the facade is stopping; the deliberation goes on, ask deliberation.get for it"


class _Agent(Struct, frozen=True):
    """A council as it is offered."""

    role: str
    service: Service


def offered(councils: Iterable[Council]) -> dict[str, Council]:
    """Return the councils by the name of their agent.

    Of two roles that differ in capitals alone, the council that was there first has the name.
    """
    by_name: dict[str, Council] = {}
    for council in sorted(councils, key=lambda each: (each.created_at_ms, each.role)):
        by_name.setdefault(council.role.lower(), council)
    return by_name


class Facade:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        instance: str,
        settings: SynadiaSettings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._instance = instance
        self._settings = settings or SynadiaSettings()
        self._limits = limits or Limits()
        self._changed = asyncio.Event()
        self._councils = CouncilDirectory(bus, self._changed.set)
        self._agents: dict[str, _Agent] = {}
        self._talking: set[asyncio.Future[None]] = set()
        self._abandoned = 0
        self._loops = TaskSet("facade loops")
        self.service = Service(
            bus,
            "conclave-synadia",
            instance,
            "shows councils as agents of the Synadia Agent Protocol",
            data=lambda: {
                "agents": len(self._agents),
                "conversations": len(self._talking),
                "abandoned": self._abandoned,
            },
        )

    async def start(self) -> None:
        """See `Actor`."""
        await self._councils.start()
        await self._offer()
        keep_running(self._loops, self.failed, "agents", self._follow_councils)
        keep_running(self._loops, self.failed, "heartbeats", self._beat)
        keep_running(self._loops, self.failed, "councils", self._refresh)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. Who is still waiting after a moment is told that nothing is lost."""
        await self.service.drain()
        await self._loops.cancel()
        await self._councils.drain()
        for agent in self._agents.values():
            await agent.service.drain()
        if self._talking:
            _, late = await asyncio.wait(self._talking, timeout=DRAIN_S)
            for conversation in late:
                conversation.cancel()

    async def _follow_councils(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._offer()
            except BusError:
                self._changed.set()
                raise

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._councils.refresh()

    async def _offer(self) -> None:
        """Bring the agents into step with the councils. Raises BusError."""
        councils = offered(self._councils.all())
        for name, agent in tuple(self._agents.items()):
            if name not in councils or councils[name].role != agent.role:
                del self._agents[name]
                await agent.service.drain()
        for name in sorted(councils.keys() - self._agents.keys()):
            agent = _Agent(councils[name].role, self._service(name, councils[name]))
            try:
                await agent.service.start()
                await self._publish_heartbeat(name, agent)
            except BusError:
                await agent.service.drain()
                raise
            self._agents[name] = agent

    def _service(self, name: str, council: Council) -> Service:
        about = council.description or f"council {council.role} of {len(council.seats)} agents"
        limit = min(self._limits.max_request_bytes, self._bus.max_payload)
        metadata = {
            "agent": names.SYNADIA_HARNESS,
            "owner": self._settings.owner,
            "session": name,
            "protocol_version": synadia.PROTOCOL_VERSION,
            "role": council.role,
        }
        service = Service(
            self._bus,
            synadia.SERVICE,
            f"{self._instance}-{name}",
            about,
            limits=self._limits,
            metadata=lambda: metadata,
        )
        service.raw_endpoint(
            synadia.PROMPT,
            self._subject(synadia.PROMPT, name),
            partial(self._converse, council.role),
            self._refuse,
            max_payload=f"{limit}B",
            attachments_ok="true",
        )
        service.raw_endpoint(
            synadia.STATUS,
            self._subject(synadia.STATUS, name),
            partial(self._tell_status, name, service),
            self._refuse,
        )
        return service

    def _subject(self, verb: str, name: str) -> str:
        return names.synadia_agent(verb, self._settings.owner, name)

    async def _converse(self, role: str, message: Message) -> None:
        talking = asyncio.ensure_future(Conversation(self._bus, role, message).run())
        self._talking.add(talking)
        talking.add_done_callback(self._talking.discard)
        await asyncio.wait((talking,))
        if talking.cancelled():
            raise Refused("unavailable", STOPPING)
        try:
            talking.result()
        except CallerGone:
            self._abandoned += 1
            log.info("caller is gone role=%s", role)
        else:
            await send(self._bus, message.reply, synadia.TERMINATOR)

    async def _refuse(self, message: Message, refused: Refused) -> None:
        """An error is told in headers and then, as every stream, ended (§9.3)."""
        headers = error_headers(refused.message, synadia.status_code(refused.code))
        after_ms = refused.retry_after_ms
        context = synadia.ErrorContext(
            error=refused.code,
            message=refused.message,
            path=refused.path,
            retry_after_s=after_ms / 1000 if after_ms is not None else None,
        )
        await send(self._bus, message.reply, encode(context), headers)
        await send(self._bus, message.reply, synadia.TERMINATOR)

    async def _tell_status(self, name: str, service: Service, message: Message) -> None:
        await self._bus.publish(message.reply, self._heartbeat(name, service))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._settings.heartbeat_seconds)
            for name, agent in tuple(self._agents.items()):
                await self._publish_heartbeat(name, agent)

    async def _publish_heartbeat(self, name: str, agent: _Agent) -> None:
        beat = self._heartbeat(name, agent.service)
        await self._bus.publish(self._subject(synadia.HEARTBEAT, name), beat)

    def _heartbeat(self, name: str, service: Service) -> bytes:
        return encode(
            synadia.Heartbeat(
                agent=names.SYNADIA_HARNESS,
                owner=self._settings.owner,
                session=name,
                instance_id=service.instance,
                ts=datetime.now(UTC).isoformat(timespec="milliseconds"),
                interval_s=self._settings.heartbeat_seconds,
            )
        )
