"""Dead letter office: sees to messages that were given up, and to what is done with them.

nats-server says once that a message had all its attempts, or was ended by whoever had it. A
stream captures that, so nothing is missed while nobody reads it. Here each becomes a dead letter,
and who waits for the message waits no longer: a seat asked counts as failed, a submission is
opened as refused, a deliberation that cannot be fanned out ends as FAILED. Each of these is a
compare-and-set or has a message id, so doing it twice does nothing.

Listens on `deliberation.dead.list|get|retry|drop`. Keeps no state; run as many as you like.
"""

import asyncio
import logging
from collections.abc import Callable

from actors import dead_letters
from actors.actor import keep_running
from actors.bus import Bus, BusError, Conflict, Delivery, Record
from actors.clock import now_ms
from actors.dead_letters import set_aside
from actors.dead_letters.letter_retry import LetterRetry
from actors.deliberations import ending, history
from actors.deliberations.seat_failure import fail_seat
from actors.intake import opening
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.advisory import GivenUp
from schemas.agent import AgentRequest
from schemas.codec import decode, encode, read
from schemas.dead_letter import DeadLetter, DeadLetterListQuery, DeadLetterPage, DeadLetterQuery
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage, Refused
from subjects import names
from subjects.errors import InvalidSubject
from subjects.streams import DEAD_LETTERS, DELIBERATIONS, advisory_consumer, backoff_s, reader_of

log = logging.getLogger(__name__)

FETCH = 64
BATCH = 256
SWEEP_S = 5.0
"""A queue that nobody serves any more is looked at so often for messages given up."""


class DeadLetterOffice:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        instance: str,
        limits: Limits | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._clock = clock
        self._retry = LetterRetry(bus)
        self._loops = TaskSet("dead letter loops")
        self._given_up = 0
        self.service = Service(
            bus,
            "conclave-dead-letters",
            instance,
            "sees to messages that were given up",
            limits=limits,
            data=lambda: {"given_up": self._given_up},
        )
        self.service.endpoint(names.DEAD_LIST, DeadLetterListQuery, self.handle_list)
        self.service.endpoint(names.DEAD_GET, DeadLetterQuery, self.handle_get)
        self.service.endpoint(names.DEAD_RETRY, DeadLetterQuery, self.handle_retry)
        self.service.endpoint(names.DEAD_DROP, DeadLetterQuery, self.handle_drop)

    async def start(self) -> None:
        """See `Actor`."""
        keep_running(self._loops, self.failed, "advisories", self._read_advisories)
        keep_running(self._loops, self.failed, "sweep", self._sweep)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. An advisory in hand is delivered again, to whoever comes next."""
        await self.service.drain()
        await self._loops.cancel()

    async def _read_advisories(self) -> None:
        puller = await self._bus.pull(advisory_consumer())
        try:
            while True:
                for delivery in await puller.fetch(FETCH, wait=True):
                    await self._take(delivery)
        finally:
            await puller.close()

    async def _take(self, delivery: Delivery) -> None:
        try:
            await self._see_to(delivery.record)
            await delivery.ack()
        except BadMessage as error:
            log.warning("advisory not understood error=%s", error)
            await delivery.term()
        except BusError as error:
            log.warning("advisory again later error=%s", error)
            await delivery.nak(backoff_s(delivery.attempt))

    async def _see_to(self, advisory: Record) -> None:
        given = decode(GivenUp, advisory.body)
        message = await self._message(given.stream_seq)
        if message is None:
            log.warning("message given up is no longer stored sequence=%d", given.stream_seq)
            return
        if given.consumer != reader_of(message.subject):
            return
        code, reason = "poison", f"{given.deliveries} attempts ended without an acknowledgement"
        if ".MSG_TERMINATED." in advisory.subject:
            code, reason = "terminated", given.reason or "ended by whoever had it in hand"
        self._given_up += 1
        await set_aside(self._bus, message, reason, code=code, attempts=given.deliveries)
        try:
            await self._let_go(message, code, reason)
        except (BadMessage, InvalidSubject) as error:
            log.info("nobody waits for garbage sequence=%d error=%s", message.sequence, error)

    async def _message(self, sequence: int) -> Record | None:
        found = await self._bus.scan(DELIBERATIONS, ">", sequence, 1)
        return found[0] if found and found[0].sequence == sequence else None

    async def _let_go(self, message: Record, code: str, reason: str) -> None:
        """Let nobody wait any longer for what comes of a message."""
        if message.subject.startswith("agent.request."):
            request = read(AgentRequest, message.body, message.headers)
            _, ended = await history.ends(self._bus, request.task_id)
            if ended is None:
                await fail_seat(self._bus, request, code, reason, now_ms=self._clock())
        elif message.subject.startswith("deliberation.submit."):
            await self._refuse(message, reason)
        elif (task_id := names.task_of(message.subject)) is not None:
            await self._fail(message, task_id, reason)

    async def _fail(self, message: Record, task_id: str, reason: str) -> None:
        """End a deliberation whose present round nobody could be asked."""
        number = 0
        if message.subject.startswith("deliberation.round."):
            number = read(RoundOpened, message.body, message.headers).round
        opened, ended = await history.ends(self._bus, task_id)
        if opened is None or ended is not None:
            return
        state = await history.rebuild(self._bus, opened)
        if state.round.round == number:
            await ending.end(self._bus, opened, "FAILED", reason, now_ms=self._clock())

    async def _refuse(self, submission: Record, reason: str) -> None:
        task_id = names.task_of(submission.subject) or ""
        subject = names.opened(task_id)
        birth = opening.Birth(
            task_id=task_id, secret="", now_ms=self._clock(), submitted_at_ms=submission.stored_ms
        )
        refused = opening.refused(submission.body, None, Refused("internal", reason), birth)
        try:
            await self._bus.store(subject, encode(refused), once=subject)
        except Conflict:
            return  # it was opened, and only its acknowledgement was lost

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            await self._bus.sweep(DELIBERATIONS)

    async def handle_list(self, query: DeadLetterListQuery) -> DeadLetterPage:
        """A page of letters without their bodies, oldest first. Raises BusError."""
        found: list[DeadLetter] = []
        start = query.cursor or 1
        while True:
            records = await self._bus.scan(DEAD_LETTERS, names.ANY_DEAD, start, BATCH)
            for record in records:
                start = record.sequence + 1
                if not dead_letters.is_letter(record):
                    continue
                letter = dead_letters.letter(record)
                if query.state in (None, letter.state) and query.task_id in (None, letter.task_id):
                    found.append(letter)
                if len(found) == query.limit:
                    return DeadLetterPage(letters=tuple(found), cursor=start)
            if len(records) < BATCH:
                return DeadLetterPage(letters=tuple(found))

    async def handle_get(self, query: DeadLetterQuery) -> DeadLetter:
        """One letter with its body. Raises Refused, BusError."""
        record = await self._retry.find(query.id)
        return dead_letters.letter(record, room=self._room())

    async def handle_retry(self, query: DeadLetterQuery) -> DeadLetter:
        """Send the message again, once; a letter retried before is told as it is. Raises Refused.

        An agent that takes it finds the deliberation as it is by then: an answer to a round that
        is past changes nothing.
        """
        return dead_letters.letter(await self._retry.retry(query.id))

    async def handle_drop(self, query: DeadLetterQuery) -> DeadLetter:
        """Let a letter go; its message is never set aside again. Raises Refused, BusError."""
        record = await self._retry.find(query.id)
        if dead_letters.state(record) == "dropped":
            return dead_letters.letter(record)
        try:
            await dead_letters.mark(self._bus, record, "dropped")
        except Conflict:
            text = f"letter {query.id} was changed at the same moment; look and try again"
            raise Refused("conflict", text, "$.id") from None
        return dead_letters.letter(await self._retry.find(query.id))

    def _room(self) -> int:
        """Bytes of a body that fit into a reply, however much they grow when told."""
        return self._bus.max_payload // 8
