"""Dispatcher: takes requests in, and asks the seats.

Listens on `deliberation.request` and `deliberation.cancel`; stores `deliberation.opened.<task>`
once; reads it, and the collector's `deliberation.round.<task>`, through a durable consumer and
stores one `agent.request.<queue>` per seat asked.
Keeps no state but a cache of the councils. A crash between opening and asking loses nothing: the
opening is delivered again, and message ids remove doubles. Run as many as you like.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable
from typing import Any

from actors import history, outcome
from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Conflict, Delivery, Record
from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.dead_letters import set_aside
from actors.deliberation import State
from actors.rounds import Ask, asks
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import decode, encode
from schemas.council import Council, Seat
from schemas.deliberation import (
    Accepted,
    Cancelled,
    CancelRequest,
    DeliberationRequest,
    Opened,
    RoundOpened,
)
from schemas.errors import BadMessage, Refused
from subjects import names
from subjects.streams import dispatch_consumer

log = logging.getLogger(__name__)

FETCH = 256
MAX_OPEN = 512
"""Openings being fanned out at a time; more wait in the stream."""
DRAIN_S = 5.0
MAX_SCHEMA_BYTES = 16_384
MAX_SCHEMA_DEPTH = 64
"""Deeper nesting would decode in one actor and pass Python's recursion limit in another."""
REFRESH_S = 30.0


class Dispatcher:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        instance: str,
        limits: Limits | None = None,
        clock: Callable[[], int] = now_ms,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._clock = clock
        self._new_id = new_id or self._timed_id
        self._councils = CouncilDirectory(bus)
        self._limits = limits or Limits()
        self._loops = TaskSet("dispatcher loops")
        self._work = TaskSet("dispatcher work")
        self._room = asyncio.Semaphore(MAX_OPEN)
        self._asked = self._rejected = 0
        self.service = Service(
            bus,
            "conclave-dispatcher",
            instance,
            "takes deliberations in and asks the seats",
            limits=limits,
            data=lambda: {"asked": self._asked, "rejected": self._rejected},
        )
        self.service.endpoint(names.REQUEST, DeliberationRequest, self.handle_request)
        self.service.endpoint(names.CANCEL, CancelRequest, self.handle_cancel)

    async def start(self) -> None:
        """See `Actor`."""
        await self._councils.start()
        keep_running(self._loops, self.failed, "fan-out", self._fan_out)
        keep_running(self._loops, self.failed, "councils", self._refresh)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`."""
        await self.service.drain()
        await self._councils.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)

    def _timed_id(self) -> str:
        return f"{self._clock():012x}{secrets.token_hex(8)}"

    async def handle_request(self, request: DeliberationRequest) -> Accepted:
        """Store the opening of a deliberation and acknowledge it. Raises Refused, BusError."""
        council = await self._councils.find(request.role)
        if council is None:
            known = ", ".join(each.role for each in self._councils.all())
            raise Refused(
                "unknown_role", f"no council {request.role!r}; there are: {known}", "$.role"
            )
        opened = self._opened(request, council)
        subject = names.opened(opened.task_id)
        try:
            await self._bus.store(subject, encode(opened), once=subject)
        except Conflict:
            return await self._known(opened)
        return accepted(opened, duplicate=False)

    def _opened(self, request: DeliberationRequest, council: Council) -> Opened:
        if request.response_schema is not None:
            check_schema(request.response_schema)
        if request.constraints.timeout_seconds > self._limits.max_timeout_seconds:
            raise Refused(
                "bad_request",
                f"timeout_seconds is over the limit of {self._limits.max_timeout_seconds:g}",
                "$.constraints.timeout_seconds",
            )
        seats = seats_for(request, council)
        if request.quorum is not None and request.quorum > len(seats):
            text = f"a quorum of {request.quorum} cannot be reached with {len(seats)} seats"
            raise Refused("bad_request", text, "$.quorum")
        if request.samples is not None and request.samples < len(seats):
            text = f"{request.samples} samples are fewer than the {len(seats)} seats asked"
            raise Refused("bad_request", text, "$.samples")
        opened_at_ms = self._clock()
        return Opened(
            task_id=request.task_id or self._new_id(),
            request=request,
            seats=seats,
            opened_at_ms=opened_at_ms,
            deadline_ms=opened_at_ms + int(request.constraints.timeout_seconds * 1000),
        )

    async def _known(self, opened: Opened) -> Accepted:
        record, _ = await history.ends(self._bus, opened.task_id)
        first = decode(Opened, record.body) if record is not None else None
        if first is None or first.request != opened.request:
            text = f"task_id {opened.task_id} belongs to another request"
            raise Refused("conflict", text, "$.task_id")
        return accepted(first, duplicate=True)

    async def handle_cancel(self, request: CancelRequest) -> Cancelled:
        """Store the outcome CANCELLED, unless there is one. Raises Refused, BusError."""
        task_id = request.task_id
        opened, ended = await history.ends(self._bus, task_id)
        if opened is None:
            raise Refused("unknown_task", f"no deliberation {task_id}", "$.task_id")
        now = self._clock()
        if ended is not None:
            raise _over(task_id)
        try:
            state = await history.rebuild(self._bus, opened)
            reason = request.reason or "cancelled by a client"
            body = outcome.fitted(
                outcome.result(state, "CANCELLED", now, reason), self._bus.max_payload
            )
            once = names.any_outcome_of(task_id)
            await self._bus.store(names.outcome("cancelled", task_id), body, once=once)
        except Conflict:
            raise _over(task_id) from None
        return Cancelled(task_id=task_id, cancelled_at_ms=now)

    async def _fan_out(self) -> None:
        puller = await self._bus.pull(dispatch_consumer())
        try:
            while True:
                for delivery in await puller.fetch(FETCH, wait=True):
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
            self._rejected += 1
            await set_aside(self._bus, delivery.record, str(errors.exceptions[0]))
            await delivery.term()
        except* BusError as errors:
            log.warning("asking again later reason=%s", errors.exceptions[0])
            await delivery.nak(RETRY_S)

    async def _state(self, record: Record) -> State | None:
        """The state in which a round was opened; None when its opening is no longer stored."""
        if record.subject.startswith("deliberation.opened."):
            return history.opening(record)
        decode(RoundOpened, record.body)
        opened, _ = await history.ends(self._bus, names.task_of(record.subject) or "")
        return await history.rebuild(self._bus, opened, record) if opened is not None else None

    async def _store(self, ask: Ask) -> None:
        request = ask.request
        message_id = f"{request.task_id}.{request.round}.{request.seat}"
        subject = names.agent_request(ask.queue)
        await self._bus.store(subject, encode(request), message_id=message_id)
        self._asked += 1

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._councils.refresh()


def _over(task_id: str) -> Refused:
    return Refused("already_over", f"deliberation {task_id} is over", "$.task_id")


def check_schema(schema: dict[str, Any]) -> None:
    """Refuse a schema that is too long or too deep for the messages it will travel in."""
    size = len(encode(schema))
    if size > MAX_SCHEMA_BYTES:
        text = f"{size} bytes are over the limit of {MAX_SCHEMA_BYTES} bytes"
        raise Refused("bad_request", text, "$.response_schema")
    level: list[Any] = [schema]
    for _ in range(MAX_SCHEMA_DEPTH):
        parts = (each.values() if isinstance(each, dict) else each for each in level)
        level = [part for some in parts for part in some if isinstance(part, (dict, list))]
        if not level:
            return
    text = f"nested more than {MAX_SCHEMA_DEPTH} levels deep"
    raise Refused("bad_request", text, "$.response_schema")


def seats_for(request: DeliberationRequest, council: Council) -> tuple[Seat, ...]:
    """The seats asked: the council's first `num_agents`. Raises Refused when it has fewer."""
    wanted = request.num_agents if request.num_agents is not None else len(council.seats)
    if wanted > len(council.seats):
        text = f"council {council.role} has {len(council.seats)} seats, {wanted} were asked for"
        raise Refused("too_many_agents", text, "$.num_agents")
    return council.seats[:wanted]


def accepted(opened: Opened, *, duplicate: bool) -> Accepted:
    """The acknowledgement of a stored deliberation."""
    return Accepted(
        task_id=opened.task_id,
        status="PENDING",
        role=opened.request.role,
        protocol=opened.request.protocol,
        seats=tuple(seat.id for seat in opened.seats),
        accepted_at_ms=opened.opened_at_ms,
        deadline_ms=opened.deadline_ms,
        duplicate=duplicate,
    )
