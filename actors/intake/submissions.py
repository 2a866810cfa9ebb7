"""Submissions: opens what was handed in on `deliberation.submit.<task_id>`, whoever was there then.

The stream's own receipt promised the client one outcome. So a submission that cannot be
deliberated is opened too, as refused, and the collector ends it as FAILED with that reason.
The first submission of an id stands: the same again changes nothing, another is a dead letter.
The deadline counts from when the server stored it; one that is past then ends as TIMEOUT at once.
"""

import asyncio
import logging
from collections.abc import Callable

from msgspec.structs import replace

from actors.bus import Bus, BusError, Conflict, Delivery, Record, TooLarge
from actors.councils import CouncilDirectory
from actors.councils.defaults import ROLES
from actors.dead_letters import set_aside
from actors.deliberations import history
from actors.intake import opening
from actors.intake.opening import Birth
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import encode, read
from schemas.council import Council
from schemas.deliberation import DeliberationRequest, Opened
from schemas.errors import BadMessage, Refused
from subjects import names
from subjects.errors import InvalidSubject
from subjects.streams import backoff_s, submission_consumer

log = logging.getLogger(__name__)

LOOK_AGAIN_S = 1.0
MAX_OPENING = 64
"""Submissions being opened at a time; more wait in the stream."""


class Submissions:
    """See the module. `work` holds what is under way."""

    def __init__(
        self,
        bus: Bus,
        councils: CouncilDirectory,
        limits: Limits,
        work: TaskSet,
        *,
        clock: Callable[[], int],
        new_secret: Callable[[], str],
    ) -> None:
        self.opened = self.refused = 0
        self._bus = bus
        self._councils = councils
        self._limits = limits
        self._work = work
        self._clock = clock
        self._new_secret = new_secret
        self._room = asyncio.Semaphore(MAX_OPENING)

    async def run(self) -> None:
        """Open until cancelled. Raises Unavailable when the consumer is gone."""
        puller = await self._bus.pull(submission_consumer())
        try:
            while not self._can_judge():
                await asyncio.sleep(LOOK_AGAIN_S)
                await self._councils.refresh()
            while True:
                for delivery in await puller.fetch(MAX_OPENING, wait=True):
                    await self._room.acquire()
                    task = self._work.spawn(self._take(delivery), "submission")
                    task.add_done_callback(lambda _: self._room.release())
        finally:
            await puller.close()

    def _can_judge(self) -> bool:
        """Whether a registry has stored the first councils, each of which leaves a trace."""
        known = {council.role for council in self._councils.known()}
        return known >= ROLES

    async def _take(self, delivery: Delivery) -> None:
        try:
            await self._open(delivery)
            await delivery.ack()
        except BusError as error:
            log.warning("submission again later reason=%s", error)
            await delivery.nak(backoff_s(delivery.attempt))

    async def _open(self, delivery: Delivery) -> None:
        record = delivery.record
        try:
            subject = names.opened(names.task_of(record.subject) or "")
        except InvalidSubject as error:
            await set_aside(self._bus, record, str(error), attempts=delivery.attempt)
            return
        ours = await self._opening(record)
        try:
            await self._bus.store(subject, encode(ours), once=subject)
        except Conflict:
            if await self._first(ours.task_id) != ours.request:
                text = f"task_id {ours.task_id} belongs to another request"
                await set_aside(self._bus, record, text, code="conflict", attempts=delivery.attempt)
        else:
            self.opened += ours.refused is None
            self.refused += ours.refused is not None

    async def _opening(self, record: Record) -> Opened:
        birth = Birth(
            task_id=names.task_of(record.subject) or "",
            secret=self._new_secret(),
            now_ms=self._clock(),
            submitted_at_ms=record.stored_ms,
        )
        request = None
        try:
            request = self._request(record, birth.task_id)
            ours = opening.opened(request, await self._council(request), self._limits, birth)
        except Refused as why:
            ours = opening.refused(record.body, request, why, birth)
        size, limit = len(encode(ours)), self._bus.max_payload
        if size > limit:
            too_large = Refused("too_large", str(TooLarge(size, limit)))
            return opening.refused(record.body, None, too_large, birth)
        return ours

    def _request(self, record: Record, task_id: str) -> DeliberationRequest:
        size, limit = len(record.body), self._limits.max_request_bytes
        if size > limit:
            raise Refused("too_large", f"{size} bytes are over the limit of {limit} bytes")
        request = read(DeliberationRequest, record.body, record.headers)
        if request.task_id not in (None, task_id):
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        return replace(request, task_id=task_id)

    async def _council(self, request: DeliberationRequest) -> Council:
        council = await self._councils.find(request.role)
        if council is not None:
            return council
        raise opening.unknown_role(request.role, self._councils.all())

    async def _first(self, task_id: str) -> DeliberationRequest | None:
        """The request that has the id; None if what is stored there is no opening."""
        record, _ = await history.ends(self._bus, task_id)
        try:
            return read(Opened, record.body, record.headers).request if record else None
        except BadMessage:
            return None
