"""Collector: folds what the seats say, and stores what follows: a round, or the one outcome.

Follows `deliberation.opened.*`, `deliberation.round.*`, `agent.response.*` and
`deliberation.outcome.*.*` in stream order. After a crash it reads again from the longest allowed
deadline ago, so it needs no checkpoint; deadlines come from the stored openings and hold even if
no agent ever answers. Rounds and outcome are compare-and-sets, so a second collector is a
harmless hot standby.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable
from functools import partial

from actors import outcome
from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Conflict, Record
from actors.clock import now_ms
from actors.dead_letters import set_aside
from actors.deliberation import Conclude, OpenRound, State, advance, respond
from actors.history import opening
from actors.rounds import decide
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.agent import AgentResponse
from schemas.codec import decode, encode
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

FILTERS = (names.ANY_OPENED, names.ANY_ROUND, names.ANY_AGENT_RESPONSE, names.ANY_OUTCOME)
DRAIN_S = 5.0


class Collector:
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
        self._limits = limits or Limits()
        self._open: dict[str, State] = {}
        self._wakings: list[tuple[int, str]] = []
        self._earlier = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._deciding: set[str] = set()
        """Tasks whose decision is being stored and has not come back by the stream."""
        self._round_sequence: dict[str, int] = {}
        self._loops = TaskSet("collector loops")
        self._work = TaskSet("collector work")
        self._concluded = self._ignored = self._rejected = 0
        self.service = Service(
            bus,
            "conclave-collector",
            instance,
            "folds what the seats say and stores the one outcome",
            data=self._counters,
        )

    def _counters(self) -> dict[str, int]:
        return {
            "open": len(self._open),
            "concluded": self._concluded,
            "ignored": self._ignored,
            "rejected": self._rejected,
        }

    async def start(self) -> None:
        """See `Actor`; ready once the past is read."""
        keep_running(self._loops, self.failed, "fold", self._fold)
        keep_running(self._loops, self.failed, "time", self._watch_time)
        await self._caught_up.wait()
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What is open stays in the stream for whoever comes next."""
        await self.service.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)

    async def _fold(self) -> None:
        since = self._clock() - int(self._limits.max_timeout_seconds * 1000)
        self._caught_up.clear()
        self._open.clear()
        self._deciding.clear()
        async for record in self._bus.follow(DELIBERATIONS, FILTERS, since_ms=since):
            if record is None:
                self._caught_up.set()
                for task_id in tuple(self._open):
                    self._judge(task_id)
            else:
                self._apply(record)

    def _apply(self, record: Record) -> None:
        task_id = names.task_of(record.subject) or ""
        try:
            if record.subject.startswith("deliberation.outcome."):
                self._forget(task_id)
            elif record.subject.startswith("deliberation.opened."):
                self._open[task_id] = _checked_opening(task_id, record)
            elif record.subject.startswith("deliberation.round."):
                self._on_round(task_id, record)
            else:
                self._on_response(task_id, record)
        except BadMessage as error:
            self._rejected += 1
            self._work.spawn(set_aside(self._bus, record, error.message), "set aside")
        if task_id in self._open and self._caught_up.is_set():
            self._judge(task_id)

    def _forget(self, task_id: str) -> None:
        state = self._open.pop(task_id, None)
        self._deciding.discard(task_id)
        self._round_sequence.pop(task_id, None)
        self._ignored += state.ignored if state is not None else 0

    def _on_round(self, task_id: str, record: Record) -> None:
        if task_id in self._open:
            self._round_sequence[task_id] = record.sequence
        self._deciding.discard(task_id)
        self._change(task_id, partial(advance, opened=decode(RoundOpened, record.body)))

    def _on_response(self, task_id: str, record: Record) -> None:
        response = decode(AgentResponse, record.body)
        if response.task_id != task_id:
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        self._change(task_id, partial(respond, response=response, stored_ms=record.stored_ms))

    def _change(self, task_id: str, event: Callable[[State], State]) -> None:
        if task_id in self._open:
            self._open[task_id] = event(self._open[task_id])
        else:
            self._ignored += 1

    def _judge(self, task_id: str) -> None:
        state = self._open[task_id]
        if task_id in self._deciding:
            return
        decision = decide(state, self._clock())
        if isinstance(decision.command, Conclude):
            self._deciding.add(task_id)
            self._work.spawn(self._conclude(state, decision.command), "conclude")
        elif isinstance(decision.command, OpenRound):
            self._deciding.add(task_id)
            self._work.spawn(self._open_round(state, decision.command), "open round")
        else:
            self._look_again(task_id, decision.look_again_ms)

    async def _conclude(self, state: State, verdict: Conclude) -> None:
        task_id = state.opened.task_id
        concluded = outcome.result(state, verdict.status, self._clock(), verdict.reason)
        body = outcome.fitted(concluded, self._bus.max_payload)
        subject = names.outcome(verdict.status.lower(), task_id)
        if await self._decided(task_id, subject, body, names.any_outcome_of(task_id), 0):
            self._concluded += 1

    async def _open_round(self, state: State, command: OpenRound) -> None:
        task_id = state.opened.task_id
        opened = RoundOpened(
            task_id=task_id,
            round=state.round.round + 1,
            stage=command.stage,
            seats=command.seats,
            heard=len(state.answers),
            opened_at_ms=self._clock(),
        )
        subject = names.round_opened(task_id)
        after = self._round_sequence.get(task_id, 0)
        await self._decided(task_id, subject, encode(opened), subject, after)

    async def _decided(
        self, task_id: str, subject: str, body: bytes, once: str, after: int
    ) -> bool:
        """Store a decision, unless another collector was first; either comes back by the stream."""
        try:
            await self._bus.store(subject, body, once=once, after=after)
        except Conflict:
            log.debug("somebody else decided task_id=%s", task_id)
            return False
        except BusError as error:
            log.warning("deciding again later task_id=%s error=%s", task_id, error)
            self._deciding.discard(task_id)
            self._look_again(task_id, self._clock() + int(RETRY_S * 1000))
            return False
        return True

    def _look_again(self, task_id: str, at_ms: int) -> None:
        heapq.heappush(self._wakings, (at_ms, task_id))
        if self._wakings[0] == (at_ms, task_id):
            self._earlier.set()

    async def _watch_time(self) -> None:
        while True:
            await self._caught_up.wait()
            self._earlier.clear()
            now = self._clock()
            while self._wakings and self._wakings[0][0] <= now:
                _, task_id = heapq.heappop(self._wakings)
                if task_id in self._open:
                    self._judge(task_id)
            wait = (self._wakings[0][0] - now) / 1000 if self._wakings else None
            try:
                async with asyncio.timeout(wait):
                    await self._earlier.wait()
            except TimeoutError:
                continue


def _checked_opening(task_id: str, record: Record) -> State:
    state = opening(record)
    if state.opened.task_id != task_id:
        raise BadMessage("task_id is not the one in the subject", "$.task_id")
    return state
