"""Guest: one foreign seat, held by whatever engine it is given.

Asks `deliberation.council.join` for a seat, pulls from the consumer that it is told, answers as an
agent does, says on `agent.heartbeat.<queue>` that it is there, and leaves when it is drained. A
seat that was taken from it, since its heartbeats did not get through, it takes again.
"""

import asyncio
import logging
import secrets
from contextlib import suppress

from msgspec.structs import replace

from actors.actor import keep_running
from actors.agents.agent import Agent
from actors.asking import ask
from actors.bus import Bus, BusError, Puller
from actors.engines.engine import Engine
from actors.settings import PoolSettings
from schemas.council import Alive, CouncilJoin, CouncilLeave, Heartbeat, Joined, Left
from schemas.errors import Refused
from subjects import names

log = logging.getLogger(__name__)

REPLY_S = 5.0


class Guest(Agent):
    """See the module. It reads nothing of the streams but what it is asked."""

    def __init__(self, bus: Bus, engine: Engine, joining: CouncilJoin, instance: str) -> None:
        settings = PoolSettings(queues=(), max_concurrency=joining.max_concurrency)
        super().__init__(bus, engine, pool="guest", settings=settings, instance=instance)
        self._joining = replace(joining, lease=joining.lease or secrets.token_hex(16))
        self._joined: Joined | None = None

    @property
    def joined(self) -> Joined:
        """What the registry said of the seat."""
        assert self._joined is not None  # noqa: S101 -- `start` came first
        return self._joined

    def _seats(self) -> set[str]:
        return {self._joining.seat}

    async def _take_queues(self) -> None:
        await self._join()
        self._take(self.joined.queue)
        keep_running(self._loops, self.failed, "heartbeat", self._beat)

    async def _join(self) -> None:
        """Take the seat. Raises Refused, BusError."""
        self._joined = await ask(self._bus, names.COUNCIL_JOIN, self._joining, Joined, REPLY_S)
        log.info("joined role=%s seat=%s", self._joined.role, self._joined.seat)

    async def _puller(self, queue: str) -> Puller:
        del queue
        return await self._bus.join(self.joined.stream, self.joined.consumer)

    async def _beat(self) -> None:
        joined = self.joined
        beat = Heartbeat(role=joined.role, seat=joined.seat, lease=joined.lease)
        while True:
            await asyncio.sleep(joined.heartbeat_seconds)
            try:
                await ask(self._bus, joined.heartbeat_subject, beat, Alive, REPLY_S)
            except Refused as refused:
                log.warning("seat taken from us, joining again reason=%s", refused)
                await self._join()

    async def _leave_queues(self) -> None:
        """Nothing: what is in hand is finished before the seat is given up."""

    async def drain(self) -> None:
        """See `Actor`; what does not end in time counts as failed at once."""
        await super().drain()
        if (joined := self._joined) is None:
            return
        leaving = CouncilLeave(role=joined.role, seat=joined.seat, lease=joined.lease)
        with suppress(Refused, BusError):  # then the missing heartbeats say it
            await ask(self._bus, names.COUNCIL_LEAVE, leaving, Left, REPLY_S)

    async def _stored_round(self, task_id: str) -> int:
        """Unknown to a seat, so it speaks to the end; an answer to what is past changes nothing."""
        del task_id
        return 0

    async def _is_ended(self, task_id: str) -> bool:
        """Unknown to a seat; an answer to what is over changes nothing."""
        del task_id
        return False
