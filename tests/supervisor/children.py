"""Small children of every temper, and what a supervisor needs to know of them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil

from supervisor.config import SupervisorSettings
from supervisor.health import Answer
from supervisor.process import MARK
from supervisor.spec import ChildSpec
from supervisor.supervisor import Supervisor

OBEDIENT = "import sys; print('here', flush=True); sys.stdin.read()"
STUBBORN = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('here', flush=True); time.sleep(600)"
)
CRASHING = "raise SystemExit('the configuration is nowhere to be found')"
PARENTAL = (
    "import subprocess, sys, time;"
    " subprocess.Popen(['sleep', '600']);"
    " subprocess.Popen(['sleep', '600'], start_new_session=True);"
    " print('here', flush=True); time.sleep(600)"
)


def python(code: str, child_id: str = "child", **changes) -> ChildSpec:
    """A child that runs a few lines of Python and nothing of ours."""
    return ChildSpec(id=child_id, argv=(sys.executable, "-S", "-c", code), **changes)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has reaped yet does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def marked(mark: str) -> list[int]:
    """The processes that a child and its descendants still are."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK, "").startswith(mark):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


async def eventually(true: Callable[[], bool], within_s: float = 10.0) -> None:
    """Return as soon as `true` is; for what cannot be waited for otherwise (other processes)."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


class Lines(list):
    """Lines a child wrote, and the chance to wait for one."""

    def __init__(self):
        super().__init__()
        self._more = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.append(line)
        self._more.set()

    async def first(self) -> str:
        async with asyncio.timeout(10):
            while not self:
                self._more.clear()
                await self._more.wait()
        return self[0]


async def always_alive(probe, timeout_s) -> Answer:
    del probe, timeout_s
    return Answer.ALIVE


@asynccontextmanager
async def supervising(specs, ask=always_alive, **settings) -> AsyncIterator[Supervisor]:
    """Run a supervisor while the block lasts; afterwards nothing of it is left."""
    quick = {"heartbeat_seconds": 0.1, "backoff_seconds": 0.01, "stop_timeout_seconds": 5.0}
    supervisor = Supervisor(specs, SupervisorSettings(**(quick | settings)), ask)
    running = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        supervisor.stop()
        async with asyncio.timeout(20):
            await running
