"""One operating-system process and everything it started, on asyncio.

stdin      a pipe that is never written to: its end tells a child that its parent died
stdout     } both come here line by line; a child's own stdout would mix with the supervisor's
stderr     }
group      a session of its own: a terminal's Ctrl-C reaches the supervisor only, and the whole
           group can be killed; whoever left the group is found by a mark in the environment
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import secrets
import signal
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, Self

import psutil  # it has no types of its own

from supervisor.spec import ChildSpec

MARK: Final = "CONCLAVE_CHILD"
"""Set in a child's environment to a value of its own, inherited by all that it starts."""

LONGEST_LINE: Final = 16_384
"""A longer line is cut into pieces of this size: a child must not fill our memory."""

KILL_WAIT_S: Final = 5.0
"""A killed process that is still there after this hangs in the kernel; it is left behind."""

KILL_ROUNDS: Final = 10
"""What is still there after so many looks hangs in the kernel."""

LAST_WORDS: Final = 12
"""So many lines are kept to explain a child's end."""

logger = logging.getLogger(__name__)

OnLine = Callable[[str], None]

_PR_SET_PDEATHSIG: Final = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class Process:
    """A running child. `exited` is set, and `code` known, when all of it is gone."""

    def __init__(self, spec: ChildSpec, on_line: OnLine) -> None:
        self.spec = spec
        self.code: int | None = None
        self.exited = asyncio.Event()
        self.mark = f"{spec.id}.{secrets.token_hex(8)}"
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=LAST_WORDS)
        self._process: asyncio.subprocess.Process
        self._stdin = -1
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def start(cls, spec: ChildSpec, on_line: OnLine) -> Self:
        """Start a process. Raises OSError when there is no such program or no room."""
        self = cls(spec, on_line)
        stdin, self._stdin = os.pipe()
        output, child_output = os.pipe()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *spec.argv,
                stdin=stdin,
                stdout=child_output,
                stderr=child_output,
                env=os.environ | dict(spec.env) | {MARK: self.mark},
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()) if spec.dies_with_parent else None,
            )
        except BaseException:
            os.close(self._stdin)
            os.close(output)
            raise
        finally:
            os.close(stdin)
            os.close(child_output)
        reading = asyncio.create_task(self._read(output), name=f"read {spec.id}")
        self._tasks = {reading, asyncio.create_task(self._reap(reading), name=f"reap {spec.id}")}
        return self

    @property
    def pid(self) -> int:
        """The process's number, also its group's."""
        return self._process.pid

    @property
    def last_words(self) -> str:
        """What it wrote last, most often the reason of its end."""
        return "\n".join(self._lines)

    async def terminate(self, timeout_s: float) -> None:
        """Ask it to end, kill it after `timeout_s`; return when it is gone."""
        self._signal(self.spec.stop_signal)
        try:
            async with asyncio.timeout(timeout_s):
                await self.exited.wait()
        except TimeoutError:
            logger.warning(
                "killed child=%s reason='still there after %.1f s'", self.spec.id, timeout_s
            )
            await self.kill()

    async def kill(self) -> None:
        """End the whole group now; return when it is gone."""
        self._kill_group()
        try:
            async with asyncio.timeout(KILL_WAIT_S):
                await self.exited.wait()
        except TimeoutError:
            logger.exception("child=%s pid=%d cannot be killed", self.spec.id, self.pid)
            self._over(-signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    def _kill_group(self) -> None:
        # Nobody may be left; macOS says EPERM when there are only zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def _reap(self, reading: asyncio.Task[None]) -> None:
        code = await self._process.wait()
        self._kill_group()
        await asyncio.to_thread(kill_marked, self.mark)
        # Nobody holds the other end any more: what was written last is still to be read.
        await asyncio.wait([reading], timeout=1.0)
        reading.cancel()
        self._over(code)

    def _over(self, code: int) -> None:
        if not self.exited.is_set():
            self.code = code
            os.close(self._stdin)
            self.exited.set()

    async def _read(self, output: int) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        pipe = os.fdopen(output, "rb", buffering=0)
        transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        rest = b""
        try:
            while chunk := await reader.read(LONGEST_LINE):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._line(line)
                if len(rest) >= LONGEST_LINE:
                    self._line(rest)
                    rest = b""
            self._line(rest)
        finally:
            transport.close()

    def _line(self, line: bytes) -> None:
        if text := line.decode(errors="replace").rstrip():
            self._lines.append(text)
            self._on_line(text)


def kill_marked(mark: str) -> None:
    """Kill every process with this mark in its environment.

    That finds what left its group and lost its parents (Ray's processes do both). It is looked
    for again after a find: what is being started just now shows its mark a moment later.
    """
    for _ in range(KILL_ROUNDS):
        found = [process for process in psutil.process_iter() if _mark_of(process) == mark]
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if not found:
            return


def _mark_of(process: psutil.Process) -> str:
    try:
        mark: str = process.environ().get(MARK, "")
    except (psutil.Error, OSError):
        return ""  # gone meanwhile, or not ours
    return mark


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; runs between fork and exec."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before we asked
            os._exit(1)
