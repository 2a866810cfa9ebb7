"""Fan-out: asks the seats of every round that was opened.

Reads openings and rounds through a durable consumer shared by all dispatchers. A crash between
opening and asking loses nothing: the opening is delivered again, and message ids remove doubles.
"""

import asyncio
import logging
from collections.abc import Callable

from actors.bus import Bus, BusError, Delivery, Record, TooLarge
from actors.dead_letters import give_up
from actors.deliberations import history
from actors.deliberations.deliberation import State
from actors.deliberations.rounds import Ask, asks
from actors.deliberations.seat_failure import fail_seat
from actors.tasks import TaskSet
from schemas.codec import encode, read
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import backoff_s, dispatch_consumer

log = logging.getLogger(__name__)

MAX_OPEN = 32
"""Openings being fanned out at a time; more wait in the stream, so that requests need not."""

FRESH_MS = 2_000
"""An opening this young is taken to be open: hardly any deliberation ends sooner, and to look
would cost each a question more."""


class FanOut:
    """See the module. `work` holds what is under way."""

    def __init__(self, bus: Bus, work: TaskSet, clock: Callable[[], int]) -> None:
        self.asked = self.rejected = 0
        self._bus = bus
        self._work = work
        self._clock = clock
        self._room = asyncio.Semaphore(MAX_OPEN)

    async def run(self) -> None:
        """Ask until cancelled. Raises Unavailable when the consumer is gone."""
        puller = await self._bus.pull(dispatch_consumer())
        try:
            while True:
                for delivery in await puller.fetch(MAX_OPEN, wait=True):
                    await self._room.acquire()
                    task = self._work.spawn(self._ask(delivery), "ask")
                    task.add_done_callback(lambda _: self._room.release())
        finally:
            await puller.close()

    async def _ask(self, delivery: Delivery) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                state = await self._state(delivery.record)
                if state is not None and state.opened.deadline_ms > self._clock():
                    for ask in asks(state):
                        group.create_task(self._store(ask))
            await delivery.ack()
        except* BadMessage as errors:
            self.rejected += 1
            why = errors.exceptions[0]
            bad = why if isinstance(why, BadMessage) else BadMessage(str(why))
            await give_up(self._bus, delivery, bad)
        except* BusError as errors:
            log.warning("asking again later reason=%s", errors.exceptions[0])
            await delivery.nak(backoff_s(delivery.attempt))

    async def _state(self, record: Record) -> State | None:
        """The state in which a round was opened; None when that is no longer stored, or over."""
        task_id = names.task_of(record.subject) or ""
        if record.subject.startswith("deliberation.opened."):
            state = history.opening(record)
            if self._clock() - record.stored_ms < FRESH_MS:
                return state
            _, ended = await history.ends(self._bus, task_id)
            return state if ended is None else None
        read(RoundOpened, record.body, record.headers)
        opened, ended = await history.ends(self._bus, task_id)
        if opened is None or ended is not None:
            return None
        return await history.rebuild(self._bus, opened, record)

    async def _store(self, ask: Ask) -> None:
        request = ask.request
        message_id = f"{request.task_id}.{request.round}.{request.seat}.{request.token}"
        subject = names.agent_request(ask.queue)
        try:
            await self._bus.store(subject, encode(request), message_id=message_id)
        except TooLarge as error:
            await fail_seat(
                self._bus, request, "prompt_too_large", str(error), now_ms=self._clock()
            )
        self.asked += 1
