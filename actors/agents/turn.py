"""One seat's turn: generate its text, tell it live, and store the answer.

Nothing but the stored response counts; what is published live is at most once and never in its way.
"""

import asyncio
import logging
from contextlib import aclosing, suppress
from typing import Any

from msgspec.structs import replace

from actors.bus import Bus, BusError, TooLarge
from actors.clock import now_ms
from actors.deliberations.responses import message_id
from actors.engines.engine import (
    Delta,
    Engine,
    EngineDead,
    Generated,
    Generation,
    GenerationRefused,
)
from actors.settings import PoolSettings
from schemas.agent import AgentRequest, AgentResponse, SeatFailure, Timing
from schemas.codec import encode
from schemas.progress import Progress, SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.types import MAX_TEXT
from schemas.version import SCHEMA_HEADERS
from subjects import names

log = logging.getLogger(__name__)


class Turn:
    """See the module.

    The first piece of text goes out at once, later ones every `delta_ms`: at 64 seats in flight
    the difference between a handful and thousands of messages a second.
    """

    def __init__(
        self, bus: Bus, engine: Engine, agent: str, request: AgentRequest, settings: PoolSettings
    ) -> None:
        self._bus = bus
        self._engine = engine
        self._agent = agent
        self._request = request
        self._seat: Any = {
            "task_id": request.task_id,
            "round": request.round,
            "seat": request.seat,
        }
        self._begun_ms = now_ms()
        self._pause_s = settings.delta_ms / 1000
        self._pieces: list[str] = []
        self._offset = 0
        self._next_s = 0.0

    async def answer(self, queue: str) -> AgentResponse | None:
        """The seat's response, a failure included; None when the deadline came first.

        Raises EngineDead, after which another agent takes the turn.
        """
        try:
            async with asyncio.timeout((self._request.deadline_ms - self._begun_ms) / 1000):
                return await self._generate(queue)
        except TimeoutError:
            return None
        except GenerationRefused as refused:
            return self._failure(refused.code, refused.message)
        except EngineDead:
            raise
        except Exception:
            log.exception("generation failed task_id=%(task_id)s seat=%(seat)s", self._seat)
            return self._failure("internal", "the generation failed inside the agent")

    async def store(self, answer: AgentResponse) -> AgentResponse:
        """Store the response and return what was stored, a failure if it was too large.

        Raises Unavailable.
        """
        try:
            await self._store(answer)
        except TooLarge as error:
            answer = self._failure("answer_too_large", str(error))
            await self._store(answer)
        if answer.failure is None:
            await self._publish(SeatAnswered(**self._seat, usage=answer.usage))
        else:
            await self._publish(SeatFailed(**self._seat, failure=answer.failure))
        return answer

    async def _store(self, answer: AgentResponse) -> None:
        subject = names.agent_response(answer.task_id)
        await self._bus.store(subject, encode(answer), message_id=message_id(self._request))

    async def _generate(self, queue: str) -> AgentResponse:
        request, engine = self._request, self._engine
        await self._publish(
            SeatStarted(
                **self._seat,
                stage=request.stage,
                model=engine.model,
                engine=engine.name,
                at_ms=self._begun_ms,
            )
        )
        generation = Generation(
            request_id=".".join(str(part) for part in self._seat.values()),
            seat=request.seat,
            queue=queue,
            messages=request.messages,
            sampling=request.sampling,
            priority=request.priority,
            response_schema=request.response_schema,
            deadline_ms=request.deadline_ms,
        )
        async with aclosing(engine.generate(generation)) as stream:
            async for piece in stream:
                if isinstance(piece, Delta):
                    await self._say(piece)
                else:
                    await self._flush()
                    return self._success(piece)
        raise GenerationRefused("internal", "the engine ended without a result")

    async def _say(self, piece: Delta) -> None:
        if piece.thinking:
            return
        self._pieces.append(piece.text)
        now_s = asyncio.get_running_loop().time()
        if now_s >= self._next_s:
            await self._flush()
            self._next_s = now_s + self._pause_s

    async def _flush(self) -> None:
        text = "".join(self._pieces)
        if text:
            self._pieces.clear()
            offset = self._offset
            self._offset += len(text)
            await self._publish(TextDelta(**self._seat, text=text, offset=offset))

    async def _publish(self, event: Progress) -> None:
        with suppress(BusError):  # whoever watches sees the rest in the result
            subject = names.progress(self._request.task_id)
            await self._bus.publish(subject, encode(event), SCHEMA_HEADERS)

    def _response(self) -> AgentResponse:
        ended_ms = now_ms()
        return AgentResponse(
            **self._seat,
            agent=self._agent,
            model=self._engine.model,
            engine=self._engine.name,
            timing=Timing(total_ms=ended_ms - self._begun_ms),
            created_at_ms=ended_ms,
            token=self._request.token,
        )

    def _success(self, said: Generated) -> AgentResponse:
        size = max(len(said.content), len(said.thinking))
        if size > MAX_TEXT:
            text = f"{size} characters are over the limit of {MAX_TEXT}"
            raise GenerationRefused("answer_too_large", text)
        response = self._response()
        waited_ms = max(self._begun_ms - self._request.created_at_ms, 0)
        return replace(
            response,
            content=said.content,
            thinking=said.thinking,
            finish_reason=said.finish_reason,
            model=said.model or response.model,
            usage=said.usage,
            logprob=said.logprob,
            timing=replace(
                response.timing,
                queued_ms=waited_ms + said.queued_ms,
                first_token_ms=said.first_token_ms,
            ),
        )

    def _failure(self, code: str, message: str) -> AgentResponse:
        return replace(self._response(), failure=SeatFailure(code=code, message=message[:2_000]))
