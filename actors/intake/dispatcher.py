"""Dispatcher: takes requests in, and asks the seats.

Listens on `deliberation.request` and `deliberation.cancel`, and stores
`deliberation.opened.<task>` once; `actors/intake/submissions.py` does so for what was handed in on
`deliberation.submit.<task>`. `actors/intake/fan_out.py` reads what was opened and asks the seats.
Keeps no state but a cache of the councils and of how busy they are. Run as many as you like.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable

from actors.actor import keep_running
from actors.bus import Bus, Conflict, Message, Subscription
from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.deliberations import ending, history, tokens
from actors.intake import opening
from actors.intake.admission import Admission
from actors.intake.fan_out import FanOut
from actors.intake.opening import Birth
from actors.intake.submissions import Submissions
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import encode, read
from schemas.deliberation import (
    Accepted,
    Cancelled,
    CancelRequest,
    DeliberationRequest,
    Opened,
)
from schemas.errors import BadMessage, Refused
from schemas.load import Load
from subjects import names

log = logging.getLogger(__name__)

DRAIN_S = 5.0
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
        new_secret: Callable[[], str] = tokens.new_secret,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._clock = clock
        self._new_id = new_id or self._timed_id
        self._new_secret = new_secret
        self._councils = CouncilDirectory(bus)
        self._limits = limits or Limits()
        self._admission = Admission(self._limits)
        self._loops = TaskSet("dispatcher loops")
        self._work = TaskSet("dispatcher work")
        self._news: Subscription | None = None
        self._fan_out = FanOut(bus, self._work, clock)
        self._submissions = Submissions(
            bus, self._councils, self._limits, self._work, clock=clock, new_secret=new_secret
        )
        self.service = Service(
            bus,
            "conclave-dispatcher",
            instance,
            "takes deliberations in and asks the seats",
            limits=limits,
            data=self._counters,
        )
        self.service.endpoint(names.REQUEST, DeliberationRequest, self.handle_request)
        self.service.endpoint(names.CANCEL, CancelRequest, self.handle_cancel)

    def _counters(self) -> dict[str, int]:
        return {
            "asked": self._fan_out.asked,
            "rejected": self._fan_out.rejected,
            "submitted": self._submissions.opened,
            "refused": self._submissions.refused,
            "shed": self._admission.shed,
        }

    async def start(self) -> None:
        """See `Actor`."""
        self._news = await self._bus.listen(names.LOAD, self._on_load)
        await self._councils.start()
        keep_running(self._loops, self.failed, "fan-out", self._fan_out.run)
        keep_running(self._loops, self.failed, "submissions", self._submissions.run)
        keep_running(self._loops, self.failed, "councils", self._refresh)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`."""
        await self.service.drain()
        await self._councils.drain()
        if self._news is not None:
            await self._news.close()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)

    def _timed_id(self) -> str:
        return f"{self._clock():012x}{secrets.token_hex(8)}"

    def _on_load(self, message: Message) -> None:
        try:
            self._admission.learn(read(Load, message.body, message.headers), self._clock())
        except BadMessage as error:
            log.warning("load not understood error=%s", error)

    async def handle_request(self, request: DeliberationRequest) -> Accepted:
        """Store the opening of a deliberation and acknowledge it. Raises Refused, BusError."""
        role = request.role
        council = await self._councils.find(role)
        if council is None:
            raise opening.unknown_role(role, self._councils.all())
        task_id = request.task_id or self._new_id()
        birth = Birth(task_id=task_id, secret=self._new_secret(), now_ms=self._clock())
        opened = opening.opened(request, council, self._limits, birth)
        overloaded = self._admission.refusal(role, birth.now_ms)
        if overloaded is not None:
            return await self._known(opened, overloaded)
        subject = names.opened(task_id)
        try:
            with self._admission.storing(role) as place:
                stored = await self._bus.store(subject, encode(opened), once=subject)
                place.sequence = stored.sequence
        except Conflict:
            return await self._known(opened)
        return opening.accepted(opened, duplicate=False)

    async def _known(self, opened: Opened, overloaded: Refused | None = None) -> Accepted:
        """The answer to a request that is stored already; what was accepted stays accepted."""
        if overloaded is not None and opened.request.task_id is None:
            raise overloaded
        record, _ = await history.ends(self._bus, opened.task_id)
        if record is None and overloaded is not None:
            raise overloaded
        first = read(Opened, record.body, record.headers) if record is not None else None
        if first is None or first.request != opened.request:
            text = f"task_id {opened.task_id} belongs to another request"
            raise Refused("conflict", text, "$.task_id")
        if first.refused is not None:
            raise Refused(first.refused.code, first.refused.message, first.refused.path)
        # Our own opening, by its secret, is one whose first receipt was lost.
        return opening.accepted(first, duplicate=first.secret != opened.secret)

    async def handle_cancel(self, request: CancelRequest) -> Cancelled:
        """Store the outcome CANCELLED, unless there is one. Raises Refused, BusError."""
        task_id = request.task_id
        opened, ended = await history.ends(self._bus, task_id)
        if opened is None:
            raise Refused("unknown_task", f"no deliberation {task_id}", "$.task_id")
        now = self._clock()
        reason = request.reason or "cancelled by a client"
        if ended is not None or not await ending.end(
            self._bus, opened, "CANCELLED", reason, now_ms=now
        ):
            raise Refused("already_over", f"deliberation {task_id} is over", "$.task_id")
        return Cancelled(task_id=task_id, cancelled_at_ms=now)

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_S)
            await self._councils.refresh()
