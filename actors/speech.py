"""What an agent says about one seat: live progress, and the response it stores."""

import time
from contextlib import suppress

from actors.bus import Bus, BusError
from actors.clock import now_ms
from actors.engine import Delta, Engine, Generated
from schemas.agent import AgentRequest, AgentResponse, SeatFailure, Timing
from schemas.codec import encode
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from subjects import names


class Speech:
    """Live progress of one seat, at most once and never in the way of the answer.

    The first piece goes out at once; later ones are gathered for `delta_ms`, which at 64 seats
    in flight is the difference between a handful and thousands of messages a second.
    """

    def __init__(self, bus: Bus, request: AgentRequest, delta_ms: int) -> None:
        self.begun_ms = now_ms()
        self._bus = bus
        self._request = request
        self._subject = names.progress(request.task_id)
        self._pause_s = delta_ms / 1000
        self._pieces: list[str] = []
        self._offset = 0
        self._next_s = 0.0

    async def begin(self, engine: Engine) -> None:
        """Tell that the seat was taken up."""
        request = self._request
        await self._publish(
            SeatStarted(
                task_id=request.task_id,
                round=request.round,
                seat=request.seat,
                model=engine.model,
                engine=engine.name,
                at_ms=self.begun_ms,
            )
        )

    async def say(self, piece: Delta) -> None:
        """Tell the next piece of text, now or together with those that follow soon."""
        if piece.thinking:
            return
        self._pieces.append(piece.text)
        now_s = time.monotonic()
        if now_s >= self._next_s:
            await self.flush()
            self._next_s = now_s + self._pause_s

    async def flush(self) -> None:
        """Tell what was gathered."""
        text = "".join(self._pieces)
        if not text:
            return
        self._pieces.clear()
        request, offset = self._request, self._offset
        self._offset += len(text)
        await self._publish(
            TextDelta(
                task_id=request.task_id,
                round=request.round,
                seat=request.seat,
                text=text,
                offset=offset,
            )
        )

    async def end(self, answer: AgentResponse) -> None:
        """Tell that the answer or failure is stored."""
        task_id, round_number, seat = answer.task_id, answer.round, answer.seat
        if answer.failure is not None:
            failure = answer.failure
            await self._publish(
                SeatFailed(task_id=task_id, round=round_number, seat=seat, failure=failure)
            )
        else:
            usage = answer.usage
            await self._publish(
                SeatAnswered(task_id=task_id, round=round_number, seat=seat, usage=usage)
            )

    async def _publish(self, event: SeatStarted | TextDelta | SeatAnswered | SeatFailed) -> None:
        with suppress(BusError):  # live only: whoever watches sees the rest in the result
            await self._bus.publish(self._subject, encode(event))

    def response(self, agent: str, engine: Engine, said: Generated) -> AgentResponse:
        """The seat's answer as it is stored."""
        request = self._request
        ended_ms = now_ms()
        return AgentResponse(
            task_id=request.task_id,
            round=request.round,
            seat=request.seat,
            agent=agent,
            content=said.content,
            thinking=said.thinking,
            finish_reason=said.finish_reason,
            model=said.model or engine.model,
            engine=engine.name,
            usage=said.usage,
            logprob=said.logprob,
            timing=Timing(
                queued_ms=max(self.begun_ms - request.created_at_ms, 0) + said.queued_ms,
                first_token_ms=said.first_token_ms,
                total_ms=ended_ms - self.begun_ms,
            ),
            created_at_ms=ended_ms,
        )

    def failure(self, agent: str, engine: Engine, code: str, message: str) -> AgentResponse:
        """The seat's failure as it is stored."""
        request = self._request
        ended_ms = now_ms()
        return AgentResponse(
            task_id=request.task_id,
            round=request.round,
            seat=request.seat,
            agent=agent,
            model=engine.model,
            engine=engine.name,
            timing=Timing(total_ms=ended_ms - self.begun_ms),
            created_at_ms=ended_ms,
            failure=SeatFailure(code=code, message=message[:2_000]),
        )
