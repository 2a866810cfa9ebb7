"""Whoever replies on a NATS subject as the engine of a seat: the prompt out, the answer back.

`nats reply my.agent …` is enough, as is any service that answers text with text. Nothing is
streamed, and nobody can be stopped: a seat that is cut short lets it talk to nobody.
"""

import time
from collections.abc import AsyncGenerator

from actors.bus import Bus, NoResponders, TooLarge, Unavailable
from actors.clock import now_ms
from actors.engines.engine import Delta, Generated, Generation, GenerationRefused
from actors.guests.plain_text import checked, prompt_of
from schemas.errors import ERROR_CODE_HEADER, ERROR_HEADER

REQUEST_ID = "Conclave-Request-Id"
SEAT = "Conclave-Seat"


class RequestReplyEngine:
    """See the module. `subject` is where it listens; Engine says what the rest is."""

    name = "request-reply"

    def __init__(self, bus: Bus, subject: str) -> None:
        self.model = subject[:256]
        self._bus = bus
        self._subject = subject
        self._aborted = 0

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Ask, and hand over the reply in one piece. Raises GenerationRefused."""
        begun_s = time.monotonic()
        complete = False
        try:
            text = checked(await self._ask(generation), generation)
            complete = True
        except GenerationRefused:
            complete = True
            raise
        finally:
            self._aborted += not complete
        yield Delta(text)
        took_ms = (time.monotonic() - begun_s) * 1000
        yield Generated(content=text, first_token_ms=took_ms, model=self.model)

    async def _ask(self, generation: Generation) -> str:
        headers = {REQUEST_ID: generation.request_id, SEAT: generation.seat}
        patience_s = max((generation.deadline_ms - now_ms()) / 1000, 0.001)
        try:
            body = prompt_of(generation).encode(errors="replace")
            reply = await self._bus.request(self._subject, body, headers, patience_s)
        except TooLarge as error:
            raise GenerationRefused("prompt_too_long", str(error)) from None
        except NoResponders as error:
            raise GenerationRefused("agent_gone", str(error)) from None
        except Unavailable as error:
            raise GenerationRefused("agent_silent", str(error)) from None
        if code := reply.headers.get(ERROR_CODE_HEADER):
            text = f"{code}: {reply.headers.get(ERROR_HEADER, '')}"
            raise GenerationRefused("agent_error", text)
        return reply.body.decode(errors="replace")

    async def check(self) -> None:
        """Return: an agent that is gone fails the seats that it is asked for, and may be back."""

    def aborted(self) -> int:
        """How many requests were left before their reply."""
        return self._aborted

    async def close(self) -> None:
        """Nothing is held."""
