"""Collector: folds what the seats say, and stores what follows: a round, or the one outcome.

Follows `deliberation.opened.*`, `deliberation.round.*`, `agent.response.*` and
`deliberation.outcome.*.*` in stream order. After a crash it reads again from the longest allowed
deadline ago, so it needs no checkpoint; deadlines come from the stored openings and hold even if
no agent ever answers. What is older and still open, after an outage longer than that, is ended
then. Rounds and outcome are compare-and-sets, so a second collector is a harmless hot standby.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Conflict, Record
from actors.clock import now_ms
from actors.dead_letters import set_aside
from actors.deliberations import outcome, responses
from actors.deliberations.deliberation import (
    Conclude,
    OpenRound,
    State,
    advance,
    objection,
    respond,
)
from actors.deliberations.history import opening
from actors.deliberations.leftovers import end_leftovers
from actors.deliberations.rounds import decide
from actors.deliberations.wakings import Wakings
from actors.intake.load import TELL_S, LoadMeter
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import encode, read
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from schemas.version import SCHEMA_HEADERS
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

FILTERS = (names.ANY_OPENED, names.ANY_ROUND, names.ANY_AGENT_RESPONSE, names.ANY_OUTCOME)
DRAIN_S = 5.0
MAX_DECIDING = 64
"""Outcomes being made at a time. Hundreds at once, as after a crash, would let the requests of the
first time out before their replies are looked at, and all would begin anew."""


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
        self._wakings = Wakings()
        self._caught_up = asyncio.Event()
        self._past: dict[str, list[Record]] = {}
        """Before it has caught up: what was read of tasks that may still be open."""
        self._room = asyncio.Semaphore(MAX_DECIDING)
        self._deciding: set[str] = set()
        """Tasks whose decision is being stored and has not come back by the stream."""
        self._round_sequence: dict[str, int] = {}
        self._load = LoadMeter()
        self._folded = 0
        self._since_ms = 0
        self._loops = TaskSet("collector loops")
        self._work = TaskSet("collector work")
        self._concluded = self._ignored = self._rejected = 0
        self._refused: Counter[str] = Counter()
        """Responses that changed nothing, by the reason why; see `responses.py`."""
        self.service = Service(
            bus,
            "conclave-collector",
            instance,
            "folds what the seats say and stores the one outcome",
            data=self._counters,
        )

    def _counters(self) -> dict[str, Any]:
        return {
            "open": len(self._open),
            "concluded": self._concluded,
            "ignored": self._ignored,
            "rejected": self._rejected,
            "refused": dict(self._refused),
        }

    async def start(self) -> None:
        """See `Actor`; ready once the past is read."""
        keep_running(self._loops, self.failed, "fold", self._fold)
        keep_running(self._loops, self.failed, "time", self._watch_time)
        keep_running(self._loops, self.failed, "load", self._tell_load)
        keep_running(self._loops, self.failed, "leftovers", self._end_leftovers)
        await self._caught_up.wait()
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What is open stays in the stream for whoever comes next."""
        await self.service.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)

    async def _fold(self) -> None:
        self._since_ms = self._clock() - int(self._limits.max_timeout_seconds * 1000)
        self._caught_up.clear()
        self._past.clear()
        self._open.clear()
        self._deciding.clear()
        self._refused.clear()
        self._load.clear()
        self._wakings.clear()
        self._round_sequence.clear()
        records = self._bus.follow(DELIBERATIONS, FILTERS, since_ms=self._since_ms)
        async with aclosing(records):
            async for record in records:
                if record is None:
                    self._catch_up()
                elif self._caught_up.is_set():
                    self._apply(record)
                else:
                    self._keep(record)

    def _keep(self, record: Record) -> None:
        """Keep what is read of the past, undecoded: of what has ended nothing is needed."""
        task_id = names.task_of(record.subject) or ""
        if record.subject.startswith("deliberation.outcome."):
            self._past.pop(task_id, None)
        else:
            self._past.setdefault(task_id, []).append(record)
        self._folded = record.sequence

    def _catch_up(self) -> None:
        """Fold the past of what is open, and see what follows from it."""
        folded = self._folded
        for records in self._past.values():
            for record in records:
                self._apply(record)
        self._folded = folded
        self._past.clear()
        self._caught_up.set()
        for task_id in tuple(self._open):
            self._judge(task_id)

    def _apply(self, record: Record) -> None:
        task_id = names.task_of(record.subject) or ""
        try:
            if record.subject.startswith("deliberation.outcome."):
                self._forget(task_id)
            elif record.subject.startswith("deliberation.opened."):
                self._on_opening(task_id, record)
            elif record.subject.startswith("deliberation.round."):
                self._on_round(task_id, record)
            else:
                self._on_response(task_id, record)
        except BadMessage as error:
            self._rejected += 1
            self._work.spawn(self._set_aside(record, error), "set aside")
        self._folded = record.sequence
        if task_id in self._open and self._caught_up.is_set():
            self._judge(task_id)

    async def _set_aside(self, record: Record, error: BadMessage) -> None:
        while True:
            try:
                await set_aside(self._bus, record, error.message, code=error.code)
            except BusError as failure:
                log.warning("setting aside later sequence=%d %s", record.sequence, failure)
                await asyncio.sleep(RETRY_S)
            else:
                return

    def _on_opening(self, task_id: str, record: Record) -> None:
        state = _checked_opening(task_id, record)
        if task_id in self._open:
            return  # stored past the compare-and-set, so not by a dispatcher; the first stands
        self._load.began(state.opened.request.role)
        self._open[task_id] = state

    def _forget(self, task_id: str) -> None:
        state = self._open.pop(task_id, None)
        self._deciding.discard(task_id)
        self._round_sequence.pop(task_id, None)
        self._wakings.forget(task_id)
        if state is not None:
            self._ignored += state.ignored
            self._load.ended(state.opened.request.role)

    def _on_round(self, task_id: str, record: Record) -> None:
        if task_id in self._open:
            self._round_sequence[task_id] = record.sequence
        self._deciding.discard(task_id)
        opened = read(RoundOpened, record.body, record.headers)
        self._change(task_id, partial(advance, opened=opened))

    def _on_response(self, task_id: str, record: Record) -> None:
        try:
            response = responses.read(record.body, record.headers)
        except BadMessage:
            self._refused["garbage"] += 1
            raise
        if response.task_id != task_id:
            self._refused["wrong_task"] += 1
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        state = self._open.get(task_id)
        against = "not_open" if state is None else objection(state, response)
        if against is not None:
            self._refused[against] += 1
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
            # Taken with the state: a further round may be read before the task has its turn.
            after = self._round_sequence.get(task_id, 0)
            self._work.spawn(self._open_round(state, decision.command, after), "open round")
        else:
            self._wakings.set(task_id, decision.look_again_ms)

    async def _conclude(self, state: State, verdict: Conclude) -> None:
        task_id = state.opened.task_id
        async with self._room:
            concluded = outcome.result(state, verdict.status, self._clock(), verdict.reason)
            body = outcome.fitted(concluded, self._bus.max_payload)
            subject = names.outcome(verdict.status.lower(), task_id)
            if await self._decided(task_id, subject, body, names.any_outcome_of(task_id), 0):
                self._concluded += 1

    async def _open_round(self, state: State, command: OpenRound, after: int) -> None:
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
        await self._decided(task_id, subject, encode(opened), subject, after)

    async def _decided(
        self, task_id: str, subject: str, body: bytes, once: str, after: int
    ) -> bool:
        """Store a decision, unless another collector was first; either comes back by the stream."""
        try:
            await self._bus.store(subject, body, once=once, after=after)
        except Conflict:
            log.debug("somebody else decided task_id=%s", task_id)
            if subject.startswith("deliberation.outcome."):
                self._forget(task_id)  # the outcome may lie before what was read of the task
            return False
        except BusError as error:
            log.warning("deciding again later task_id=%s error=%s", task_id, error)
            self._deciding.discard(task_id)
            self._wakings.set(task_id, self._clock() + int(RETRY_S * 1000))
            return False
        return True

    async def _end_leftovers(self) -> None:
        await self._caught_up.wait()
        self._concluded += await end_leftovers(self._bus, self._since_ms, self._clock)
        await asyncio.Event().wait()  # there can be no more: from here on all is followed

    async def _tell_load(self) -> None:
        """Let the dispatchers know what is open, so that they can refuse more than can be done."""
        await self._caught_up.wait()
        clock = asyncio.get_running_loop().time
        while True:
            if (load := self._load.told(self._folded, clock())) is not None:
                await self._bus.publish(names.LOAD, encode(load), SCHEMA_HEADERS)
            await asyncio.sleep(TELL_S)

    async def _watch_time(self) -> None:
        while True:
            await self._caught_up.wait()
            for task_id in self._wakings.take(self._clock()):
                if task_id in self._open:
                    self._judge(task_id)
            await self._wakings.wait(self._clock())


def _checked_opening(task_id: str, record: Record) -> State:
    state = opening(record)
    if state.opened.task_id != task_id:
        raise BadMessage("task_id is not the one in the subject", "$.task_id")
    return state
