"""Carries out what `supervisor/policy.py` decides, and tells it what happened.

One loop takes one event after the other, so decisions never overlap. Whatever takes time
(starting, watching, stopping a child) is a task of the group and ends in an event.
"""

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from supervisor.config import SupervisorSettings
from supervisor.events import (
    Action,
    Begin,
    ChildExited,
    ChildHung,
    ChildReady,
    Escalate,
    Event,
    Finish,
    Kill,
    RestartDue,
    Start,
    Stop,
    StopRequested,
    Wake,
)
from supervisor.family import Rules, family
from supervisor.health import Answer, Ask, misses
from supervisor.intensity import Intensity
from supervisor.policy import step
from supervisor.process import Process
from supervisor.spec import ChildSpec, Probe, validated

CANNOT_START: Final = 127
"""The exit code, as in a shell, of a program that could not be started at all."""

READY_POLL_S: Final = 0.05
PROGRESS_S: Final = 10.0

logger = logging.getLogger(__name__)


class Outcome(Struct, frozen=True):
    """How it ended: 0 when asked to stop, else the reason too."""

    exit_code: int
    reason: str = ""


class Supervisor:
    """Starts children, keeps them alive, stops them.

    `ready` is set while all of them are there, `stopping` from when they have to go.
    """

    def __init__(self, specs: Sequence[ChildSpec], settings: SupervisorSettings, ask: Ask) -> None:
        self.ready = asyncio.Event()
        self.stopping = asyncio.Event()
        self.outcome: Outcome | None = None
        self._settings = settings
        self._ask = ask
        self._state = family(validated(specs), _rules(settings))
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._processes: dict[str, asyncio.Future[Process]] = {}
        self._reason = ""

    async def run(self) -> Outcome:
        """Supervise until asked to stop or until it is hopeless; leave no process behind."""
        self._events.put_nowait(Begin())
        try:
            async with asyncio.TaskGroup() as tasks:
                while self.outcome is None:
                    self._take(await self._events.get(), tasks)
        finally:
            self.ready.clear()
            for process in self._running():
                await process.kill()
        return self.outcome

    def stop(self) -> None:
        """Ask for an orderly end; asked again, a little later, everything is killed."""
        self._events.put_nowait(StopRequested())

    def pid(self, child_id: str) -> int | None:
        """Return the number of a child's process, None while it has none."""
        return next((p.pid for p in self._running() if p.spec.id == child_id), None)

    def _running(self) -> list[Process]:
        started = [f for f in self._processes.values() if f.done() and not f.cancelled()]
        return [future.result() for future in started]

    def _take(self, event: Event, tasks: asyncio.TaskGroup) -> None:
        self._state, actions = step(self._state, event, time.monotonic())
        for action in actions:
            self._do(action, tasks)
        if self._state.stop_by is not None:
            self.stopping.set()
        if self._state.ready and not self.stopping.is_set():
            self.ready.set()
        else:
            self.ready.clear()

    def _do(self, action: Action, tasks: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        match action:
            case Start(child):
                self._processes[child] = loop.create_future()
                tasks.create_task(self._live(self._state[child].spec), name=f"live {child}")
            case Wake(child, delay_s):
                logger.warning("restarting child=%s in_s=%.2f", child, delay_s)
                loop.call_later(delay_s, self._events.put_nowait, RestartDue(child))
            case Stop(child, timeout_s):
                tasks.create_task(self._end(child, timeout_s), name=f"stop {child}")
            case Kill(child):
                tasks.create_task(self._end(child, None), name=f"kill {child}")
            case Escalate(reason):
                self._reason = reason
                logger.critical("giving up: %s", reason)
            case Finish(exit_code):
                self.outcome = Outcome(exit_code, self._reason)

    async def _live(self, spec: ChildSpec) -> None:
        """Start a child, watch it, report its end: one incarnation."""
        began = time.monotonic()
        try:
            process = await Process.start(spec, lambda line: _log_line(spec.id, line))
        except OSError as error:
            self._gone(spec.id, CANNOT_START, f"cannot start {spec.argv[0]}: {error.strerror}")
            return
        self._processes[spec.id].set_result(process)
        logger.info("started child=%s pid=%d", spec.id, process.pid)
        watching = asyncio.create_task(self._watch(process), name=f"watch {spec.id}")
        try:
            await process.exited.wait()
        finally:
            watching.cancel()
        logger.info("exited child=%s after_s=%.1f", spec.id, time.monotonic() - began)
        self._gone(spec.id, process.code or 0, process.last_words)

    def _gone(self, child: str, code: int, last_words: str) -> None:
        if code and not self.stopping.is_set():
            said = last_words.rpartition("\n")[2]
            logger.warning("failed child=%s code=%d said=%r", child, code, said)
        self._processes.pop(child).cancel()
        self._events.put_nowait(ChildExited(child, code, last_words))

    async def _end(self, child: str, timeout_s: float | None) -> None:
        """End a child in good order within a time, or at once; its exit is reported elsewhere."""
        future = self._processes.get(child)
        if future is None:
            return
        # It may be on its way: a process that is being started can only be ended afterwards.
        await asyncio.wait([future])
        if not future.cancelled():
            process = future.result()
            await (process.kill() if timeout_s is None else process.terminate(timeout_s))

    async def _watch(self, process: Process) -> None:
        """Say when a child is ready, and when it is hung.

        Its end is looked for after every question: nats-py now and then loses the cancellation
        of a request, and what watched a dead child would then speak about its successor.
        """
        spec, beats = process.spec, self._settings.missed_heartbeats
        if spec.ready is not None and not await self._gets_ready(process, spec.ready):
            if not process.exited.is_set():
                logger.error("hung child=%s not ready after_s=%.0f", spec.id, spec.start_timeout_s)
                self._events.put_nowait(ChildHung(spec.id))
            return
        self._events.put_nowait(ChildReady(spec.id))
        if spec.health is not None and await self._falls_silent(process, spec.health):
            logger.error("hung child=%s missed_heartbeats=%d", spec.id, beats)
            self._events.put_nowait(ChildHung(spec.id))

    async def _gets_ready(self, process: Process, probe: Probe) -> bool:
        """Wait for the first answer; time in which NATS itself is away does not count."""
        spec = process.spec
        began = before = reported = time.monotonic()
        waited_s = 0.0
        while waited_s < spec.start_timeout_s:
            answer = await self._ask(probe, self._settings.heartbeat_seconds)
            if process.exited.is_set():
                return False
            now = time.monotonic()
            if answer is Answer.ALIVE:
                logger.info("ready child=%s after_s=%.2f", spec.id, now - began)
                return True
            if answer is Answer.MISSING:
                waited_s += now - before
            if now - reported > PROGRESS_S:
                reported = now
                logger.info("waiting for child=%s since_s=%.0f", spec.id, now - began)
            before = now
            await asyncio.sleep(READY_POLL_S)
        return False

    async def _falls_silent(self, process: Process, probe: Probe) -> bool:
        """Return True when so many heartbeats in a row are missing, False when it is gone."""
        beat_s = self._settings.heartbeat_seconds
        missed = 0
        while missed < self._settings.missed_heartbeats:
            next_beat = time.monotonic() + beat_s
            missed = misses(missed, await self._ask(probe, beat_s))
            if process.exited.is_set():
                return False
            await asyncio.sleep(next_beat - time.monotonic())
        return True


_SERVER_LEVELS: Final = {"INF": "DEBUG", "WRN": "WARNING", "ERR": "ERROR", "FTL": "ERROR"}
_LEVEL: Final = re.compile(r"\b(DEBUG|INFO|WARNING|ERROR|CRITICAL)\b|\[(INF|WRN|ERR|FTL)\]")


def _log_line(child: str, line: str) -> None:
    """Pass a child's line on at its own level; nats-server's chatter is for debugging."""
    found = _LEVEL.search(line, 0, 80)
    name = "INFO" if found is None else found[1] or _SERVER_LEVELS[found[2]]
    logger.log(getattr(logging, name), "%s | %s", child, line)


def _rules(settings: SupervisorSettings) -> Rules:
    return Rules(
        strategy=settings.strategy,
        intensity=Intensity(settings.max_restarts, settings.period_seconds),
        backoff_s=settings.backoff_seconds,
        backoff_limit_s=settings.backoff_limit_seconds,
        stop_timeout_s=settings.stop_timeout_seconds,
    )
