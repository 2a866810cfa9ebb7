"""An event loop whose clock jumps: no sockets, no threads, and one course of events a seed.

What is ready runs in an order drawn by the seed; when nothing is, the clock jumps to the next
timer. So a minute of waiting costs nothing, and what happens at one moment happens in any order.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from itertools import count
from typing import Any, Protocol

EPOCH_NS = 1_800_000_000_000_000_000
"""The wall clock at virtual time 0."""

ENDLESS = 200_000
"""So many steps without time passing are a loop that waits for nothing."""


class Owner(Protocol):
    """Whose task it is: a simulated process, which can be frozen or killed as a whole."""

    frozen: "list[Step] | None"
    tasks: dict[asyncio.Task[Any], None]
    skew_ns: int


OWNER: ContextVar[Owner | None] = ContextVar("owner", default=None)


class Step:
    """What `asyncio.Handle` and `TimerHandle` are, and no more."""

    __slots__ = ("_act", "_arguments", "_cancelled", "_when", "context")

    def __init__(
        self,
        act: Callable[..., object],
        arguments: tuple[Any, ...],
        context: Context | None,
        when: float = 0.0,
    ) -> None:
        self._act = act
        self._arguments = arguments
        self._cancelled = False
        self._when = when
        self.context = context if context is not None else copy_context()

    def __repr__(self) -> str:
        return f"<{self._act} {self._arguments}>"

    def cancel(self) -> None:
        self._cancelled = True

    def cancelled(self) -> bool:
        return self._cancelled

    def when(self) -> float:
        return self._when


class VirtualLoop(asyncio.BaseEventLoop):
    """See the module. `draw` is the one source of chance for all that runs here."""

    def __init__(self, seed: int | str = 0) -> None:
        super().__init__()
        self.draw = random.Random(seed)
        self.steps = 0
        self.anyone_frozen = False
        self.world: Any = None
        self._now = 0.0
        self._moved = 0
        """How many steps there were when time last passed."""
        self._ready: list[Step] = []
        self._scheduled: list[tuple[float, int, Step]] = []
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._count = count().__next__
        self.set_task_factory(_owned)

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        step = Step(callback, args, context)
        self._ready.append(step)
        return step

    call_soon_threadsafe = call_soon
    """There is but one thread; asyncio comes here when it ends a forgotten generator."""

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        step = Step(callback, args, context, when)
        heappush(self._scheduled, (when, self._count(), step))
        return step

    def call_later(
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        when = self._now + delay
        step = Step(callback, args, context, when)
        heappush(self._scheduled, (when, self._count(), step))
        return step

    @property
    def timers(self) -> list[Step]:
        """What is still to happen at some time."""
        return [step for _, _, step in self._scheduled if not step.cancelled()]

    def wall_ns(self) -> int:
        """The wall clock as the running task's process sees it."""
        owner = OWNER.get()
        return EPOCH_NS + int(self._now * 1e9) + (owner.skew_ns if owner is not None else 0)

    def in_steps(self, steps: int, act: Callable[[], None]) -> None:
        """Do something between two steps of whatever tasks those are: at any await at all."""
        heappush(self._planned, (self.steps + steps, self._count(), act))

    def forget_plans(self) -> None:
        """Let nothing more happen at a step."""
        self._planned.clear()

    def thaw(self, owner: Owner) -> None:
        """Let a frozen process go on."""
        self._ready += owner.frozen or ()
        owner.frozen = None

    def _run_once(self) -> None:
        ready, random_ = self._ready, self.draw.random
        while not self._stopping:
            if not ready:
                self._jump()
            place = int(random_() * len(ready))
            ready[place], ready[-1] = ready[-1], ready[place]
            step = ready.pop()
            if step._cancelled or (self.anyone_frozen and _kept(step)):
                continue
            try:
                step.context.run(step._act, *step._arguments)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001 -- as asyncio does
                self.call_exception_handler({"message": f"in {step!r}", "exception": error})
            self.steps += 1
            if self._planned and self._planned[0][0] <= self.steps:
                heappop(self._planned)[2]()
            if self.steps > self._moved + ENDLESS:
                raise RuntimeError(f"{ENDLESS} steps and no time has passed, last {step!r}")

    def _jump(self) -> None:
        """Go to the next timer and make all that are due then ready."""
        scheduled = self._scheduled
        while scheduled and scheduled[0][2]._cancelled:
            heappop(scheduled)
        if not scheduled:
            raise RuntimeError("everybody waits and nothing is left that could happen")
        now = scheduled[0][0]
        if now > self._now:
            self._now = now
            self._moved = self.steps
        now = self._now
        while scheduled and scheduled[0][0] <= now:
            self._ready.append(heappop(scheduled)[2])


def _owned(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any],
    context: Context | None = None,
) -> asyncio.Task[Any]:
    task = asyncio.Task(work, loop=loop, context=context)
    owner = OWNER.get() if context is None else context.get(OWNER)
    if owner is not None:
        owner.tasks[task] = None
        task.add_done_callback(owner.tasks.pop)
    return task


def _kept(step: Step) -> bool:
    """Keep a frozen process's step for when it goes on."""
    owner = step.context.get(OWNER)
    if owner is None or owner.frozen is None:
        return False
    owner.frozen.append(step)
    return True
