"""The load that every contestant gets, in a process of the contestant's own environment.

Standard library only. A contestant's client is a function that, given where its system is and a
callback for outcomes, yields a way to hand over one task; `serve` does the rest: for each `Block`
on a line of stdin it writes one line of JSON, `{"seconds": …, "tasks": [[…], …]}`, each task as
[due, accepted, [ended, …], why] in seconds since the block began.

closed   `in_flight` loops, each handing over its next task when the last one's outcome was seen
paced    arrivals drawn beforehand (Poisson); everything counts from the intended time
"""

import asyncio
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

STUCK_S = 30.0
"""A closed loop waits no longer for one outcome."""

ECHOES_S = 1.0
"""So much longer is listened after the last outcome: a second one of the same task counts."""

Submit = Callable[[str, int], Awaitable[str]]
"""Hands over a task with so many seats; returns, once it is accepted, the name it ends under."""

Ended = Callable[[str], None]
Connect = Callable[[str, Ended], AbstractAsyncContextManager[Submit]]


@dataclass(kw_only=True)
class Block:
    """Tasks of so many seats for so long; with `rate` (per second) they are paced, else closed."""

    mark: str
    seats: int
    seconds: float
    in_flight: int = 1
    rate: float = 0.0
    seed: int = 0
    watch_s: float = STUCK_S
    """How long after the last arrival of a paced block outcomes are waited for."""


@dataclass
class Task:
    """What was seen of one task, in seconds since the block began."""

    due: float
    accepted: float | None = None
    why: str = ""
    key: str = ""


@dataclass
class Load:
    """One block being sent."""

    block: Block
    begun: float = field(default_factory=time.perf_counter)
    tasks: list[Task] = field(default_factory=list)
    ends: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    over: defaultdict[str, asyncio.Event] = field(
        default_factory=lambda: defaultdict(asyncio.Event)
    )
    submit: Submit | None = None

    def ended(self, key: str) -> None:
        """Note an outcome, of whichever task."""
        self.ends[key].append(self._now())
        self.over[key].set()

    async def run(self) -> dict[str, Any]:
        """Send all of it."""
        await (self._paced() if self.block.rate else self._closed())
        seen = [[task.due, task.accepted, self.ends[task.key], task.why] for task in self.tasks]
        return {"seconds": self.block.seconds, "tasks": seen}

    def _now(self) -> float:
        return time.perf_counter() - self.begun

    async def _closed(self) -> None:
        async def loop() -> None:
            while self._now() < self.block.seconds:
                task = await self._one(self._now())
                if not task.why:
                    await self._seen(task, STUCK_S)

        await asyncio.gather(*(loop() for _ in range(self.block.in_flight)))

    async def _paced(self) -> None:
        draw = random.Random(self.block.seed)
        due = 0.05
        async with asyncio.TaskGroup() as group:
            while due < self.block.seconds:
                await self._until(due)
                group.create_task(self._one(due))
                due += draw.expovariate(self.block.rate)
        last = self._now() + self.block.watch_s
        for task in self.tasks:
            if not task.why:
                await self._seen(task, max(0.0, last - self._now()))
        await asyncio.sleep(ECHOES_S)

    async def _one(self, due: float) -> Task:
        task = Task(due)
        self.tasks.append(task)
        name = f"{self.block.mark}-{len(self.tasks)}"
        assert self.submit is not None
        try:
            task.key = await self.submit(name, self.block.seats)
        except Exception as error:  # noqa: BLE001  (whatever a rival's library raises is a refusal)
            task.why = repr(error)[:200]
        else:
            task.accepted = self._now()
        return task

    async def _seen(self, task: Task, patience: float) -> None:
        try:
            await asyncio.wait_for(self.over[task.key].wait(), patience)
        except TimeoutError:
            task.why = "no outcome"

    async def _until(self, due: float) -> None:
        """Sleep, the last two milliseconds awake: uvloop's timers count milliseconds."""
        await asyncio.sleep(max(0.0, due - self._now() - 0.002))
        while self._now() < due:
            await asyncio.sleep(0)


async def _send(url: str, connect: Connect) -> None:
    current: Load | None = None

    def ended(key: str) -> None:
        if current is not None:
            current.ended(key)

    async with connect(url, ended) as submit:
        while line := await asyncio.to_thread(sys.stdin.readline):
            current = Load(Block(**json.loads(line)))
            current.submit = submit
            print(json.dumps(await current.run()), flush=True)


def serve(connect: Connect) -> None:
    """Send blocks from stdin until it ends, on uvloop where the environment has it."""
    try:
        from uvloop import run
    except ImportError:
        from asyncio import run
    run(_send(sys.argv[2], connect))


def ready(**said: Any) -> None:
    """Tell on stdout that a system is up: its `url`, and the numbers of its `workers`."""
    print(json.dumps(said), flush=True)


def until_stdin_ends() -> None:
    """Block until whoever started this process has enough of it."""
    sys.stdin.read()
