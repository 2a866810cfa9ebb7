"""Does a child live? Asked through NATS, where its clients would ask, not of the process table.

A process that exists may be stopped, stuck in a loop or deaf. When NATS itself does not answer,
nothing is known of anybody, and nobody is called hung.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import partial
from typing import Final

from actors.bus import Bus, BusError, Message, nats_bus
from actors.settings import BusSettings
from schemas import codec
from schemas.errors import BadMessage
from schemas.service import PingReply
from supervisor import nats_server
from supervisor.spec import PoolAnswers, Probe, ServerAnswers, ServiceAnswers

STALL_S: Final = 0.25
"""Agents of a pool that answer this long after the last one are counted the next time."""

ENOUGH_FAILURES: Final = 3
"""After so many round trips of its own that failed, the prober connects anew."""

logger = logging.getLogger(__name__)


class Answer(Enum):
    """What a probe found out."""

    ALIVE = auto()
    MISSING = auto()
    UNKNOWN = auto()


Ask = Callable[[Probe, float], Awaitable[Answer]]
"""Asks a probe within so many seconds; raises nothing."""


def misses(before: int, answer: Answer) -> int:
    """Return how many heartbeats in a row are missing now."""
    return before + 1 if answer is Answer.MISSING else 0


class Prober:
    """Asks children over a connection of its own, made when it is first needed.

    What it holds against a child it first checks on itself: a request that it answers itself
    has to come through NATS and back. A connection that fails so too often is made anew, since a
    client library may be deaf without knowing (it says `is_connected`, and its flush succeeds).
    """

    def __init__(self, settings: BusSettings) -> None:
        self._settings = settings
        self._bus: Bus | None = None
        self._connecting = asyncio.Lock()
        self._echo = f"_INBOX.conclave-supervisor.{secrets.token_hex(8)}"
        self._failures = 0
        self._closed = False

    async def ask(self, probe: Probe, timeout_s: float) -> Answer:
        """Ask one probe; UNKNOWN when NATS itself does not answer."""
        if isinstance(probe, ServerAnswers):
            alive = await nats_server.answers(
                probe.host, probe.port, self._settings, timeout_s
            ) and await nats_server.healthy(probe.http_port, timeout_s)
            return Answer.ALIVE if alive else Answer.MISSING
        bus = await self._connected(timeout_s)
        if bus is None:
            return Answer.UNKNOWN
        if await self._answered(bus, probe, timeout_s):
            return Answer.ALIVE
        return Answer.MISSING if await self._works(bus, timeout_s) else Answer.UNKNOWN

    async def close(self) -> None:
        """Leave NATS; whatever is asked from now on is UNKNOWN."""
        self._closed = True
        async with self._connecting:
            await self._disconnect()

    async def _connected(self, timeout_s: float) -> Bus | None:
        async with self._connecting:
            if self._failures >= ENOUGH_FAILURES:
                await self._disconnect()
            if self._bus is None and not self._closed:
                try:
                    # Ours from here on, so that it is closed whatever comes next.
                    self._bus = await nats_bus.connect(
                        self._settings, "conclave-supervisor", timeout_s=timeout_s
                    )
                    await self._bus.serve(self._echo, partial(_echo, self._bus))
                except BusError as error:
                    logger.debug("no NATS yet reason=%s", error)
                    await self._disconnect()
            return self._bus

    async def _disconnect(self) -> None:
        bus, self._bus, self._failures = self._bus, None, 0
        if bus is not None:
            with contextlib.suppress(BusError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await bus.close()

    async def _works(self, bus: Bus, timeout_s: float) -> bool:
        """Tell whether a message of ours comes through NATS and back."""
        try:
            await bus.request(self._echo, b"", timeout_s=timeout_s)
        except BusError:
            self._failures += bus is self._bus
            return False
        self._failures = 0
        return True

    async def _answered(
        self, bus: Bus, probe: ServiceAnswers | PoolAnswers, timeout_s: float
    ) -> bool:
        try:
            if isinstance(probe, ServiceAnswers):
                subject = f"$SRV.PING.{probe.service}.{probe.instance}"
                await bus.request(subject, b"", timeout_s=timeout_s)
                return True
            replies = await bus.gather(
                f"$SRV.PING.{probe.service}", b"", stall_s=STALL_S, total_s=timeout_s
            )
        except BusError:
            return False
        return sum(_is_of(probe.pool, reply.body) for reply in replies) >= probe.replicas


async def _echo(bus: Bus, message: Message) -> None:
    with contextlib.suppress(BusError):
        await bus.publish(message.reply, b"")


def _is_of(pool: str, body: bytes) -> bool:
    try:
        return codec.decode(PingReply, body).metadata.get("pool") == pool
    except BadMessage:
        return False
