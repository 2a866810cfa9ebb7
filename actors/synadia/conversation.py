"""One prompt to a council: the request, what is told while it deliberates, and the answer.

ack                          the deliberation is stored and will end by its deadline
task:<task_id>               what `deliberation.get|wait|cancel` know it by
seat_started:<seat>:<stage>  and seat_answered:<seat>, seat_failed:<seat>:<code>, live
working                      nothing happened for a while
winner:<seat>                whose text follows, as `response` chunks

All but the last are `status` chunks, since callers join every `response` into one answer, and which
text is the answer is known at the end. The protocol has no signal for cancelling: a caller gives
up its reply subject. So every `working` is sent as a request, and when the server says again and
again that nobody listens there, the deliberation is cancelled, unless its id is the caller's own,
under which the result can be fetched later.
"""

import asyncio
import logging
from typing import Any

from actors.asking import ask, new_task_id
from actors.bus import Bus, BusError, Headers, Message, NoResponders, Unavailable
from actors.clock import now_ms
from schemas import synadia
from schemas.codec import decode, encode, read
from schemas.deliberation import (
    FINAL_STATUSES,
    Accepted,
    Cancelled,
    CancelRequest,
    DeliberationRequest,
    WaitQuery,
)
from schemas.errors import BadMessage, Refused
from schemas.progress import Progress, SeatAnswered, SeatFailed, SeatStarted
from schemas.result import Deliberation
from schemas.synadia import Envelope
from subjects import names

log = logging.getLogger(__name__)

ALIVE_S = 20.0
"""Callers give up after 60 s of silence (§6.6)."""

PROBE_S = 0.5
MISSES = 2
"""A caller that is being reconnected is not there for a moment."""

RETRY_S = 0.5
SUBMIT_S = 5.0
"""So long a request is sent again while nobody takes it in."""

LINK_S = 30.0
"""So long a chunk is sent again while the link to the server is lost."""

WAIT_S = 30.0
REPLY_S = 5.0
GRACE_S = 30.0
"""So long after its deadline a deliberation that cannot be read is waited for."""

PIECE = 8_000
"""Characters in a chunk: at 6 bytes each (\\uXXXX) within the least `max_payload` there is."""

_GIVEN = ("task_description", "role")


def request_of(envelope: Envelope, role: str) -> DeliberationRequest:
    """Return what a prompt asks of a council, under an id. Raises BadMessage.

    Attached texts become the context. The envelope's field `conclave` holds further fields of
    the request.
    """
    for field in _GIVEN:
        if field in envelope.conclave:
            raise BadMessage("is told by the prompt and its subject", f"$.conclave.{field}")
    fields: dict[str, Any] = {"context": "", **envelope.conclave}
    fields |= {"task_description": envelope.prompt, "role": role}
    if fields.get("task_id") is None:
        fields["task_id"] = new_task_id()
    if not isinstance(fields["context"], str):
        raise BadMessage("is no text", "$.conclave.context")
    for at, attachment in enumerate(envelope.attachments):
        text = synadia.attached_text(attachment, f"$.attachments[{at}]")
        fields["context"] = f"{fields['context']}\n\n## {attachment.filename}\n{text}".lstrip()
    try:
        return decode(DeliberationRequest, encode(fields))
    except BadMessage as error:
        is_prompt = error.path == "$.task_description"
        path = "$.prompt" if is_prompt else f"$.conclave{error.path[1:]}"
        raise BadMessage(error.message, path) from None


async def send(bus: Bus, reply: str, body: bytes, headers: Headers | None = None) -> None:
    """Publish to a caller, also while the link is lost for a moment: a missing chunk is no answer.

    Raises Unavailable after `LINK_S`, TooLarge.
    """
    loop = asyncio.get_running_loop()
    last_s = loop.time() + LINK_S
    while True:
        try:
            return await bus.publish(reply, body, headers)
        except Unavailable:
            if loop.time() > last_s:
                raise
        await asyncio.sleep(RETRY_S)


class CallerGone(Exception):
    """Nobody listens on the reply subject any more."""


class Conversation:
    """See the module."""

    def __init__(self, bus: Bus, role: str, message: Message) -> None:
        self._bus = bus
        self._role = role
        self._message = message
        self._misses = 0

    async def run(self) -> None:
        """Send everything but the terminator. Raises Refused, BusError, CallerGone."""
        envelope = synadia.read_envelope(self._message.body)
        request = request_of(envelope, self._role)
        task_id = request.task_id or ""
        news: asyncio.Queue[bytes | None] = asyncio.Queue()

        def hear(message: Message) -> None:
            if (told := _told(message)) is not None:
                news.put_nowait(told)

        listening = await self._bus.listen(names.progress(task_id), hear)
        try:
            accepted = await self._submit(request)
            await self._say(synadia.status("ack"))
            await self._say(synadia.status(f"task:{task_id}"))
            ended = await self._until_over(accepted, news)
        except CallerGone:
            if envelope.conclave.get("task_id") is None:
                await self._cancel(task_id)
            raise
        finally:
            await listening.close()
        await self._conclude(ended)

    async def _until_over(
        self, accepted: Accepted, news: "asyncio.Queue[bytes | None]"
    ) -> Deliberation:
        """Pass on what happens until the deliberation is over, and never be silent for long."""
        over = asyncio.ensure_future(self._outcome(accepted))
        over.add_done_callback(lambda _: news.put_nowait(None))
        loop = asyncio.get_running_loop()
        due = loop.time() + ALIVE_S
        try:
            while True:
                try:
                    async with asyncio.timeout_at(due):
                        told = await news.get()
                except TimeoutError:
                    await self._say_working()
                    due = loop.time() + ALIVE_S
                    continue
                if told is None:
                    return await over
                await self._say(told)
        finally:
            over.cancel()

    async def _submit(self, request: DeliberationRequest) -> Accepted:
        """The id is there, so asking again opens no second deliberation."""
        last_ms = now_ms() + int(SUBMIT_S * 1000)
        while True:
            try:
                return await ask(self._bus, names.REQUEST, request, Accepted)
            except Unavailable:
                if now_ms() > last_ms:
                    raise
            await asyncio.sleep(RETRY_S)

    async def _outcome(self, accepted: Accepted) -> Deliberation:
        last_ms = accepted.deadline_ms + int(GRACE_S * 1000)
        query = WaitQuery(task_id=accepted.task_id, timeout_seconds=WAIT_S)
        while True:
            try:
                found = await ask(self._bus, names.WAIT, query, Deliberation, WAIT_S + REPLY_S)
            except (Refused, Unavailable) as error:  # a responder that stops refuses, too
                if now_ms() > last_ms:
                    raise
                log.warning("asking again task_id=%s error=%s", accepted.task_id, error)
                await asyncio.sleep(RETRY_S)
            else:
                if found.status in FINAL_STATUSES:
                    return found

    async def _conclude(self, ended: Deliberation) -> None:
        """The winner's text, also of a deliberation that ran out of time; else why there is none.

        Raises Refused unless the deliberation was completed.
        """
        if ended.results and ended.status in ("COMPLETED", "TIMEOUT"):
            winner = ended.results[0].proposal
            await self._say(synadia.status(f"winner:{winner.author_id}"))
            for start in range(0, len(winner.content), PIECE):
                await self._say(synadia.response(winner.content[start : start + PIECE]))
        if ended.status != "COMPLETED":
            code = ended.status.lower()
            reason = f": {ended.reason}" if ended.reason else ""
            raise Refused(code, f"deliberation {ended.task_id} ended as {code}{reason}")

    async def _say(self, chunk: bytes) -> None:
        await send(self._bus, self._message.reply, chunk)

    async def _say_working(self) -> None:
        """Raises CallerGone."""
        try:
            await self._bus.request(
                self._message.reply, synadia.status("working"), timeout_s=PROBE_S
            )
        except NoResponders:
            self._misses += 1
            if self._misses >= MISSES:
                raise CallerGone from None
        except Unavailable:
            self._misses = 0  # it took the chunk and, as every caller, answered nothing

    async def _cancel(self, task_id: str) -> None:
        cancel = CancelRequest(task_id=task_id, reason="the caller is gone")
        try:
            await ask(self._bus, names.CANCEL, cancel, Cancelled)
        except (Refused, BusError) as error:
            log.info("not cancelled task_id=%s reason=%s", task_id, error)


def _told(message: Message) -> bytes | None:
    try:
        event: Progress = read(Progress, message.body, message.headers)  # type: ignore[arg-type]
    except BadMessage:
        return None
    match event:
        case SeatStarted(seat=seat, stage=stage):
            return synadia.status(f"seat_started:{seat}:{stage}")
        case SeatAnswered(seat=seat):
            return synadia.status(f"seat_answered:{seat}")
        case SeatFailed(seat=seat, failure=failure):
            return synadia.status(f"seat_failed:{seat}:{failure.code}")
    return None
