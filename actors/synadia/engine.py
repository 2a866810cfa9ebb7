"""An agent of the Synadia Agent Protocol as the engine of seats: each request is one prompt.

The agent is found through service discovery and asked at the subject that it told (§4.3). What it
cannot be told is left out: the protocol has no sampling, and a JSON Schema is asked for in words.
Nor can it be stopped: a seat that is cut short lets it talk to nobody (§6.7). A question in
mid-stream (§7) is answered, as far as there is anybody to answer: go on without.
"""

import asyncio
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from actors.bus import Bus, Message, Replies, TooLarge, Unavailable
from actors.bus.replies import LINK_LOST, NO_RESPONDERS
from actors.bus.replies import STATUS as SERVER_STATUS
from actors.deliberations.responses import MAX_FOREIGN_TEXT
from actors.engines.engine import Delta, Generated, Generation, GenerationRefused
from actors.guests.plain_text import checked, prompt_of
from schemas import synadia
from schemas.codec import decode, encode
from schemas.errors import ERROR_CODE_HEADER, ERROR_HEADER, BadMessage
from schemas.synadia import AgentRecord, Asked, EndpointRecord, Said

STALL_S: Final = 0.5
TOTAL_S: Final = 2.0
NOBODY_ANSWERS: Final = "Nobody is here to answer. Decide for yourself and go on."

_INBOX = re.compile(r"_INBOX(\.[A-Za-z0-9_-]{1,64}){1,8}")
"""Where a question may be answered: no agent chooses what else we publish to."""


async def found(bus: Bus, address: str) -> EndpointRecord:
    """Return where an agent is prompted: its `prompt` subject, its last three tokens, or its id.

    Raises Unavailable, naming who is there, when it does not answer.
    """
    subject = f"$SRV.INFO.{synadia.SERVICE}"
    known: dict[str, str] = {}
    for reply in await bus.gather(subject, b"", stall_s=STALL_S, total_s=TOTAL_S):
        try:
            agent = decode(AgentRecord, reply.body)
        except BadMessage:
            continue  # whatever it is, it is no agent
        endpoint = synadia.prompt_endpoint(agent)
        if endpoint is None:
            continue
        if address in (endpoint.subject, short(endpoint.subject), agent.id):
            return endpoint
        known[short(endpoint.subject)] = endpoint.subject
    there = f"there are: {', '.join(sorted(known))}" if known else "there is none"
    raise Unavailable(f"no agent {address!r} answers on {subject}; {there}")


def short(subject: str) -> str:
    """Return `<agent>.<owner>.<name>` of a prompt subject that has the default form."""
    return subject.removeprefix(f"{synadia.SERVICE}.{synadia.PROMPT}.")


class SynadiaEngine:
    """See the module. `address` is what `found` takes; Engine says what the rest is."""

    name = "synadia"

    def __init__(self, bus: Bus, address: str) -> None:
        self.model = address[:256]
        self._bus = bus
        self._address = address
        self._endpoint: EndpointRecord | None = None
        self._was_found = False
        self._aborted = 0

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Prompt the agent; stream its text and then the whole. Raises GenerationRefused."""
        begun_s = time.monotonic()
        first_s = 0.0
        pieces: list[str] = []
        complete = False
        try:
            async with aclosing(self._texts(generation)) as texts:
                async for piece in texts:
                    first_s = first_s or time.monotonic()
                    pieces.append(piece)
                    yield Delta(piece)
            complete = True
        except GenerationRefused:
            complete = True
            raise
        finally:
            self._aborted += not complete
        yield Generated(
            content=checked("".join(pieces), generation),
            first_token_ms=max(first_s - begun_s, 0.0) * 1000,
            model=self.model,
        )

    async def _texts(self, generation: Generation) -> AsyncGenerator[str, None]:
        size = 0
        try:
            subject, body = await self._request(generation)
            async with self._bus.converse(subject, body) as replies:
                while (chunk := await self._next(replies)) is not None:
                    if isinstance(chunk, Asked):
                        await self._answer(chunk)
                    elif (size := size + len(chunk.text)) > MAX_FOREIGN_TEXT:
                        text = f"the agent wrote more than {MAX_FOREIGN_TEXT} characters"
                        raise GenerationRefused("answer_too_large", text)
                    else:
                        yield chunk.text
        except TooLarge as error:
            raise GenerationRefused("prompt_too_long", str(error)) from None
        except Unavailable as error:
            raise GenerationRefused("agent_gone", str(error)) from None

    async def _request(self, generation: Generation) -> tuple[str, bytes]:
        endpoint = self._endpoint or await self._find()
        body = encode({"prompt": prompt_of(generation)})
        limit = synadia.max_payload(endpoint, self._bus.max_payload)
        if len(body) > limit:
            text = f"{len(body)} bytes are over the agent's limit of {limit} bytes"
            raise GenerationRefused("prompt_too_long", text)
        return endpoint.subject, body

    async def _find(self) -> EndpointRecord:
        self._endpoint = await found(self._bus, self._address)
        self.model = short(self._endpoint.subject)[:256]
        self._was_found = True
        return self._endpoint

    async def _next(self, replies: Replies) -> Said | Asked | None:
        """Return the next chunk that says something, None at the end of the stream."""
        while True:
            try:
                async with asyncio.timeout(synadia.INACTIVITY_S):
                    reply = await replies.get()
            except TimeoutError:
                text = f"the agent was silent for {synadia.INACTIVITY_S:g} s"
                raise GenerationRefused("agent_silent", text) from None
            if not reply.body and not reply.headers:
                return None
            self._check(reply)
            try:
                chunk = synadia.read_chunk(reply.body)
            except BadMessage as error:
                raise GenerationRefused("bad_chunk", error.message) from None
            if chunk is not None:
                return chunk

    def _check(self, reply: Message) -> None:
        status = "" if reply.body else reply.headers.get(SERVER_STATUS)
        if status == NO_RESPONDERS:
            self._endpoint = None  # it may come back elsewhere
            raise Unavailable(f"nobody answers for {self.model}")
        if status == LINK_LOST:
            raise Unavailable("the link was lost, and what the agent said meanwhile")
        if code := reply.headers.get(ERROR_CODE_HEADER):
            text = f"{code}: {reply.headers.get(ERROR_HEADER, '')}"
            raise GenerationRefused("agent_error", text)

    async def _answer(self, asked: Asked) -> None:
        if _INBOX.fullmatch(asked.reply_subject) is None:
            text = f"the agent wants an answer on {asked.reply_subject[:100]!r}, which is no inbox"
            raise GenerationRefused("bad_chunk", text)
        await self._bus.publish(asked.reply_subject, NOBODY_ANSWERS.encode())

    async def check(self) -> None:
        """Raise Unavailable while the agent was never there.

        Later on, one that is gone fails the seats that it is asked for, and may be back.
        """
        if not self._was_found:
            await self._find()

    def aborted(self) -> int:
        """How many prompts were left before their end."""
        return self._aborted

    async def close(self) -> None:
        """Nothing is held."""
