"""Collector: folds what the seats say, and stores what follows: a round, or the one outcome.

Follows `deliberation.opened.*`, `deliberation.round.*`, `agent.response.*` and
`deliberation.outcome.*.*` in stream order. After a crash it reads on from a checkpoint, or without
one from the longest allowed deadline ago; deadlines come from the stored openings and hold even if
no agent ever answers. What is older and still open, after an outage longer than that, is ended
then. Rounds and outcome are compare-and-sets, so a second collector is a harmless hot standby;
`standby.py` keeps it from doing in vain what the first does.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Conflict, Record
from actors.clock import now_ms
from actors.dead_letters import set_aside
from actors.deliberations import checkpoint, outcome
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.deliberations.leftovers import end_leftovers
from actors.deliberations.ongoing import Ongoing
from actors.deliberations.past import Beginning, Past, beginning
from actors.deliberations.rounds import decide
from actors.deliberations.standby import Standby
from actors.deliberations.wakings import Wakings
from actors.intake.load import TELL_S
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import encode
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
        self._ongoing = Ongoing()
        self._wakings = Wakings()
        self._caught_up = asyncio.Event()
        self._begun = Beginning()
        self._past = Past()
        self._is_whole = False
        """Whether all that has no outcome is known: only then may a checkpoint say so."""
        self._told = 0
        """The sequence up to which the last checkpoint went."""
        self._room = asyncio.Semaphore(MAX_DECIDING)
        self._standby = Standby()
        self._deciding: set[str] = set()
        """Tasks whose decision is being stored and has not come back by the stream."""
        self._loops = TaskSet("collector loops")
        self._work = TaskSet("collector work")
        self._concluded = self._rejected = self._setting_aside = 0
        self.service = Service(
            bus,
            "conclave-collector",
            instance,
            "folds what the seats say and stores the one outcome",
            data=self._counters,
        )

    def _counters(self) -> dict[str, Any]:
        return {
            "open": len(self._ongoing.states),
            "concluded": self._concluded,
            "ignored": self._ongoing.ignored,
            "rejected": self._rejected,
            "refused": dict(self._ongoing.refused),
        }

    async def start(self) -> None:
        """See `Actor`; ready once the past is read."""
        keep_running(self._loops, self.failed, "fold", self._fold)
        keep_running(self._loops, self.failed, "time", self._watch_time)
        keep_running(self._loops, self.failed, "load", self._tell_load)
        keep_running(self._loops, self.failed, "checkpoints", self._keep_checkpoints)
        await self._caught_up.wait()
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What is open stays in the stream for whoever comes next."""
        await self.service.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)
        await self._store_checkpoint()

    async def _fold(self) -> None:
        oldest_ms = self._clock() - int(self._limits.max_timeout_seconds * 1000)
        self._caught_up.clear()
        self._is_whole = False
        self._deciding.clear()
        self._standby.clear()
        self._wakings.clear()
        self._ongoing.clear()
        self._begun = begun = await beginning(self._bus, oldest_ms)
        self._past = Past()
        records = self._bus.follow(
            DELIBERATIONS, FILTERS, since_ms=begun.since_ms, after=begun.after
        )
        async with aclosing(records):
            async for record in records:
                if record is None:
                    self._catch_up()
                elif self._caught_up.is_set():
                    self._apply(record)
                else:
                    self._past.keep(record)

    def _catch_up(self) -> None:
        """Fold the past of what is open, and see what follows from it."""
        for record in self._past.take():
            self._apply(record)
        self._ongoing.folded.last = self._past.last
        self._caught_up.set()
        for task_id in tuple(self._ongoing.states):
            self._judge(task_id)

    def _apply(self, record: Record) -> None:
        task_id = names.task_of(record.subject) or ""
        try:
            self._ongoing.apply(task_id, record)
        except BadMessage as error:
            self._rejected += 1
            self._setting_aside += 1
            self._work.spawn(self._set_aside(record, error), "set aside")
        if record.subject.startswith("deliberation.outcome."):
            self._forget(task_id)
        elif record.subject.startswith("deliberation.round."):
            self._deciding.discard(task_id)
            self._standby.forget(task_id)
        if task_id in self._ongoing.states and self._caught_up.is_set():
            self._judge(task_id)

    async def _set_aside(self, record: Record, error: BadMessage) -> None:
        while True:
            try:
                await set_aside(self._bus, record, error.message, code=error.code)
            except BusError as failure:
                log.warning("setting aside later sequence=%d %s", record.sequence, failure)
                await asyncio.sleep(RETRY_S)
            else:
                self._setting_aside -= 1
                return

    def _forget(self, task_id: str) -> None:
        self._ongoing.forget(task_id)
        self._standby.forget(task_id)
        self._deciding.discard(task_id)
        self._wakings.forget(task_id)

    def _judge(self, task_id: str) -> None:
        state = self._ongoing.states[task_id]
        if task_id in self._deciding:
            return
        now_ms = self._clock()
        decision = decide(state, now_ms)
        if decision.command is None:
            self._wakings.set(task_id, decision.look_again_ms)
        elif (until_ms := self._stands_by(state, now_ms)) is not None:
            self._wakings.set(task_id, until_ms)
        elif isinstance(decision.command, Conclude):
            self._deciding.add(task_id)
            self._work.spawn(self._conclude(state, decision.command), "conclude")
        else:
            self._deciding.add(task_id)
            # Taken with the state: a further round may be read before the task has its turn.
            after = self._ongoing.round_sequence.get(task_id, 0)
            self._work.spawn(self._open_round(state, decision.command, after), "open round")

    def _stands_by(self, state: State, now_ms: int) -> int | None:
        return self._standby.until(state.opened.task_id, now_ms, state.opened.deadline_ms)

    async def _conclude(self, state: State, verdict: Conclude) -> None:
        task_id = state.opened.task_id
        async with self._room:
            try:
                concluded = outcome.result(state, verdict.status, self._clock(), verdict.reason)
            except Exception:  # else nobody would ever end it, whoever reads it again
                log.exception("result not told task_id=%s", task_id)
                concluded = outcome.unjudged(state, self._clock())
            body = outcome.fitted(concluded, self._bus.max_payload)
            subject = names.outcome(concluded.status.lower(), task_id)
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
            self._standby.lost()
            if subject.startswith("deliberation.outcome."):
                self._forget(task_id)  # the outcome may lie before what was read of the task
            return False
        except BusError as error:
            log.warning("deciding again later task_id=%s error=%s", task_id, error)
            self._deciding.discard(task_id)
            self._wakings.set(task_id, self._clock() + int(RETRY_S * 1000))
            return False
        self._standby.won()
        return True

    async def _keep_checkpoints(self) -> None:
        """End what was left behind; from then on all that is open is known, and is written down.

        Begins anew when the fold has.
        """
        while True:
            await self._caught_up.wait()
            begun = self._begun
            if not (self._is_whole or begun.is_whole):
                self._concluded += await end_leftovers(self._bus, begun.since_ms, self._clock)
            self._is_whole = self._caught_up.is_set() and begun is self._begun
            await self._store_checkpoint()
            await asyncio.sleep(checkpoint.EVERY_S)

    async def _store_checkpoint(self) -> None:
        """Tell whoever starts next where to begin, if that is news.

        Not while something is being set aside: were it lost with us, nobody would read it again.
        """
        folded = self._ongoing.folded
        if not self._is_whole or self._setting_aside or folded.sequence == self._told:
            return
        told = folded.checkpoint()
        if told is None:
            return
        try:
            await self._bus.publish(names.CHECKPOINT, encode(told), SCHEMA_HEADERS)
        except BusError as error:
            log.info("no checkpoint this time, the next start reads longer: %s", error)
        else:
            self._told = folded.sequence

    async def _tell_load(self) -> None:
        """Let the dispatchers know what is open, so that they can refuse more than can be done."""
        await self._caught_up.wait()
        clock, ongoing = asyncio.get_running_loop().time, self._ongoing
        while True:
            load = ongoing.load.told(ongoing.folded.sequence, clock())
            if load is not None:
                await self._bus.publish(names.LOAD, encode(load), SCHEMA_HEADERS)
            await asyncio.sleep(TELL_S)

    async def _watch_time(self) -> None:
        while True:
            await self._caught_up.wait()
            for task_id in self._wakings.take(self._clock()):
                if task_id in self._ongoing.states:
                    self._judge(task_id)
            await self._wakings.wait(self._clock())
