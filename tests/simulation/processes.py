"""Operating-system processes, played: the supervisor starts them, and whoever likes kills them.

Each runs the code that `conclave run KIND` runs. Its tasks know whose they are, so it can be
frozen as by SIGSTOP, and killed: what it sent before may arrive, and nothing it does counts any
more.
"""

import asyncio
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Self

from supervisor import actor
from supervisor.cli import errors
from supervisor.spec import ChildSpec
from tests.simulation.client import Client
from tests.simulation.loop import OWNER, Step, VirtualLoop

KILLED = -9


class SimulatedProcess:
    """As `supervisor.process.Process`."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.code: int | None = None
        self.exited = asyncio.Event()
        self.last_words = ""
        self.frozen: list[Step] | None = None
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.clients: list[Client] = []
        self.left_behind: list[str] = []
        self._loop = _loop()
        self._world = self._loop.world
        self._stop = asyncio.Event()
        self.skew_ns = self._world.plan.skew_ns()
        self.pid = self._world.register(self)

    @classmethod
    async def start(cls, spec: ChildSpec, on_line: Callable[[str], None]) -> Self:
        del on_line  # a played process writes nothing
        self = cls(spec)
        await asyncio.sleep(0.2 * self._loop.draw.random())
        if not self.exited.is_set():
            context = copy_context()
            context.run(OWNER.set, self)
            self._loop.create_task(self._main(), name=f"main {spec.id}", context=context)
        return self

    @property
    def kind(self) -> str:
        """Which actor it is."""
        return self.spec.argv[self.spec.argv.index("run") + 1]

    async def _main(self) -> None:
        argv = self.spec.argv
        instance = argv[argv.index("--instance") + 1]
        config = self._world.config
        try:
            code = await actor.run(self.kind, config, "default", instance, self._stop)
        except errors.EXPECTED as error:
            code = errors.exit_code_of(error)
        here = asyncio.current_task()
        running = (each for each in self.tasks if each is not here and not each.done())
        self.left_behind = [_told(each) for each in running]
        self._over(code)

    def _over(self, code: int) -> None:
        """Be gone: nothing of it runs or speaks any more."""
        if self.exited.is_set():
            return
        self.code = code
        self.exited.set()
        for client in self.clients:
            client.kill()
        here = asyncio.current_task(self._loop)
        for task in tuple(self.tasks):
            if task is not here:
                task.cancel()
        self.thaw()

    def die(self) -> None:
        """SIGKILL, from wherever."""
        self._over(KILLED)

    def freeze(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after so long."""
        if self.frozen is None and not self.exited.is_set():
            self.frozen = []
            self._loop.anyone_frozen = True
            self._loop.call_later(seconds, self.thaw)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.frozen is not None:
            self._loop.thaw(self)

    async def terminate(self, timeout_s: float) -> None:
        self._stop.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            self._world.note(f"{self.spec.id} did not stop within {timeout_s:g} s")
            self.die()

    async def kill(self) -> None:
        self.die()


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def _told(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return f"{task.get_name()} {getattr(coroutine, '__qualname__', coroutine)}"
