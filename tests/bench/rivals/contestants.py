"""The contestants: how each is installed, started, loaded, hurt and ended."""

import asyncio
import hashlib
import os
import secrets
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from msgspec import Struct

from tests.bench.rivals.ledger import Block

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
VENVS = HERE / ".venvs"
INSTALL_S, START_S, END_S, BLOCK_S = 300.0, 90.0, 15.0, 150.0


RAY = {
    # By name for other systems; everywhere it means: listen on loopback only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}


class NotRun(Exception):
    """A rival cannot take part; the reason."""


class Rival(Struct, frozen=True):
    """One that runs in an environment of its own: `requirements/<environment>.txt`."""

    name: str
    module: str
    environment: str
    durable: bool = True
    """Whether what it accepts is stored."""


RIVALS = (
    Rival("FastStream on NATS", "with_faststream", "faststream"),
    Rival("Celery chord on Redis", "with_celery", "celery"),
    Rival("Ray actors", "ray_actors", "ray", durable=False),
    Rival("AutoGen Core, gRPC", "with_autogen", "autogen", durable=False),
    Rival("Ray tasks, HTTP, NATS", "ray_http", "ray"),
)


class Contestant(Struct):
    """A system that runs, and the client process that loads it."""

    name: str
    load: Process
    durable: bool = True
    victim: Callable[[], int] | None = None
    """Names a worker process to kill; None where nothing would survive that."""

    async def begin(self, **block: Any) -> None:
        """Have a block sent. Raises NotRun when the client is gone."""
        assert self.load.stdin is not None
        if self.load.returncode is not None:
            raise NotRun(f"its client ended with exit code {self.load.returncode}")
        self.load.stdin.write(msgspec.json.encode(block) + b"\n")
        await self.load.stdin.drain()

    async def result(self) -> Block:
        """Wait for the block's result. Raises NotRun when the client does not answer."""
        try:
            async with asyncio.timeout(BLOCK_S):
                return msgspec.json.decode(await _json_line(self.load), type=Block)
        except (TimeoutError, EOFError) as error:
            raise NotRun(f"its client did not answer: {error!r}") from error


def environment(name: str) -> Path:
    """Return the Python of a rival's environment; install it first, if it changed or is not there.

    Raises NotRun with the end of what the installer said.
    """
    lock = HERE / "requirements" / f"{name}.txt"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder = VENVS / name
    python, stamp = folder / "bin" / "python", folder / ".stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return python
    print(f"installing {name} into {folder.relative_to(ROOT)}", flush=True)
    steps = (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
         "--require-hashes", "--requirement", str(lock)],
    )  # fmt: skip
    for step in steps:
        try:
            done = subprocess.run(
                step, capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise NotRun(f"not installed within {INSTALL_S:.0f} s") from error
        if done.returncode:
            raise NotRun(f"not installed: {(done.stderr.strip() or 'no reason')[-200:]}")
    stamp.write_text(digest)
    return python


@asynccontextmanager
async def running(rival: Rival, nats_url: str, seats: int) -> AsyncIterator[Contestant]:
    """Run a rival's system and its client. Raises NotRun."""
    python = str(await asyncio.to_thread(environment, rival.environment))
    module = f"tests.bench.rivals.{rival.module}"
    async with spawned(python, module, "serve", nats_url, str(seats)) as system:
        try:
            async with asyncio.timeout(START_S):
                said = msgspec.json.decode(await _json_line(system))
        except (TimeoutError, EOFError) as error:
            raise NotRun(f"not started within {START_S:.0f} s: {error!r}") from error
        async with spawned(python, module, "load", said["url"]) as load:
            yield Contestant(rival.name, load, rival.durable, iter(said["workers"]).__next__)


@asynccontextmanager
async def spawned(python: str, module: str, *arguments: str) -> AsyncIterator[Process]:
    """Run a module; at the end close its stdin, and kill what of it does not go by itself."""
    log = Path(os.devnull).open("wb")  # noqa: SIM115, ASYNC230
    process = await asyncio.create_subprocess_exec(
        python, "-m", module, *arguments, stdin=PIPE, stdout=PIPE, stderr=log, cwd=ROOT,
        env=os.environ | RAY,
        limit=2**26,
    )  # fmt: skip
    log.close()
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    try:
        family = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        family = []
    assert process.stdin is not None
    process.stdin.close()
    try:
        await asyncio.wait_for(process.wait(), END_S)
    except TimeoutError:
        process.kill()
        await process.wait()
    for child in family:
        if child.is_running():
            child.kill()


async def _json_line(process: Process) -> bytes:
    """Return the next line of JSON; libraries print other things between."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(b"{"):
            return line
    raise EOFError("it ended")


def kill(pid: int) -> None:
    """Kill a worker as the kernel would for want of memory."""
    os.kill(pid, signal.SIGKILL)
