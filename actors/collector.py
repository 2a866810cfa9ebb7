"""Collector: folds what the seats say, and stores the one outcome.

Follows `deliberation.opened.*`, `agent.response.*` and `deliberation.outcome.*.*` in stream
order. After a crash it reads again from the longest allowed deadline ago, so it needs no
checkpoint; deadlines come from the stored openings and hold even if no agent ever answers.
The outcome is a compare-and-set, so a second collector is a harmless hot standby.
"""

import asyncio
import heapq
import logging
from collections.abc import Callable

from actors import outcome
from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Conflict, Record
from actors.clock import now_ms
from actors.dead_letters import set_aside
from actors.deliberation import Conclude, State, begin, end, respond
from actors.protocols import PROTOCOLS
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.agent import AgentResponse
from schemas.codec import decode
from schemas.deliberation import Opened
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

FILTERS = (names.ANY_OPENED, names.ANY_AGENT_RESPONSE, names.ANY_OUTCOME)
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
        self._deadlines: list[tuple[int, str]] = []
        self._earlier = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._concluding: set[str] = set()
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
        keep_running(self._loops, self.failed, "deadlines", self._watch_deadlines)
        await self._caught_up.wait()
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What is open stays in the stream for whoever comes next."""
        await self.service.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)

    async def _fold(self) -> None:
        since = self._clock() - int(self._limits.max_timeout_seconds * 1000)
        self._open.clear()
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
            if record.subject.startswith("agent.response."):
                self._on_response(task_id, decode(AgentResponse, record.body))
            elif record.subject.startswith("deliberation.opened."):
                self._on_opened(task_id, decode(Opened, record.body))
            elif (state := self._open.pop(task_id, None)) is not None:
                self._ignored += end(state).ignored
        except BadMessage as error:
            self._rejected += 1
            self._work.spawn(set_aside(self._bus, record, error.message), "set aside")

    def _on_opened(self, task_id: str, opened: Opened) -> None:
        if opened.task_id != task_id:
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        self._open[task_id] = begin(opened)
        heapq.heappush(self._deadlines, (opened.deadline_ms, task_id))
        if self._deadlines[0][1] == task_id:
            self._earlier.set()

    def _on_response(self, task_id: str, response: AgentResponse) -> None:
        if response.task_id != task_id:
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        state = self._open.get(task_id)
        if state is None:
            self._ignored += 1
            return
        self._open[task_id] = respond(state, response)
        if self._caught_up.is_set():
            self._judge(task_id)

    def _judge(self, task_id: str) -> None:
        state = self._open[task_id]
        verdict = PROTOCOLS[state.opened.request.protocol].decide(state)
        if verdict is None and self._clock() >= state.opened.deadline_ms:
            verdict = Conclude("TIMEOUT", "the deadline passed before every seat had answered")
        if verdict is not None and task_id not in self._concluding:
            self._concluding.add(task_id)
            self._work.spawn(self._conclude(state, verdict), "conclude")

    async def _conclude(self, state: State, verdict: Conclude) -> None:
        task_id = state.opened.task_id
        concluded = outcome.result(state, verdict.status, self._clock(), verdict.reason)
        body = outcome.fitted(concluded, self._bus.max_payload)
        subject = names.outcome(verdict.status.lower(), task_id)
        try:
            await self._bus.store(subject, body, once=names.any_outcome_of(task_id))
            self._concluded += 1
        except Conflict:
            log.debug("somebody else concluded task_id=%s", task_id)
        except BusError as error:
            log.warning("concluding again later task_id=%s error=%s", task_id, error)
            self._defer(task_id)
        finally:
            self._concluding.discard(task_id)

    def _defer(self, task_id: str) -> None:
        retry = self._clock() + int(RETRY_S * 1000)
        heapq.heappush(self._deadlines, (retry, task_id))
        self._earlier.set()

    async def _watch_deadlines(self) -> None:
        await self._caught_up.wait()
        while True:
            self._earlier.clear()
            now = self._clock()
            while self._deadlines and self._deadlines[0][0] <= now:
                _, task_id = heapq.heappop(self._deadlines)
                if task_id in self._open:
                    self._judge(task_id)
            wait = (self._deadlines[0][0] - now) / 1000 if self._deadlines else None
            try:
                async with asyncio.timeout(wait):
                    await self._earlier.wait()
            except TimeoutError:
                continue
