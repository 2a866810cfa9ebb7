"""Programs built with the protocol's own SDKs, in an environment of their own."""

import asyncio
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actors.settings import BusSettings

HERE = Path(__file__).parent / "sdk"
VENV = HERE / ".venv"
REQUIREMENTS = HERE / "requirements.txt"
INSTALL_S = 300.0
RUN_S = 40.0


class Unavailable(Exception):
    """The SDKs cannot be installed from here."""


def python() -> str:
    """The interpreter that has the SDKs; installs what its lock file says. Raises Unavailable."""
    stamp = VENV / "installed.txt"
    wanted = REQUIREMENTS.read_text()
    with (HERE / "requirements.txt").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two test runs one installs and the other waits
        if not stamp.exists() or stamp.read_text() != wanted:
            _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(VENV))
            _run("uv", "pip", "install", "--quiet", "--require-hashes", "-r", str(REQUIREMENTS))
            stamp.write_text(wanted)
    return str(VENV / "bin" / "python")


def _run(*command: str) -> None:
    env = os.environ | {"VIRTUAL_ENV": str(VENV)}
    try:
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise Unavailable(str(error)) from None
    if done.returncode != 0:
        raise Unavailable(f"`{' '.join(command)}` failed: {done.stderr.strip()[-800:]}")


def with_login(settings: BusSettings) -> str:
    """The url of a world, its user and password, if any, in it."""
    if not settings.user:
        return settings.url
    scheme, _, address = settings.url.partition("://")
    return f"{scheme}://{settings.user}:{settings.password}@{address}"


class Host:
    """A hosted agent: where it is prompted, and what it was prompted with."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.subject = ""

    async def line(self) -> str:
        assert self.process.stdout is not None
        return (await self.process.stdout.readline()).decode().rstrip("\n")

    def kill(self) -> None:
        self.process.kill()


@asynccontextmanager
async def hosted(interpreter: str, settings: BusSettings, name: str) -> AsyncIterator[Host]:
    """Run the hosted agent as long as the context lasts."""
    process = await asyncio.create_subprocess_exec(
        interpreter,
        str(HERE / "host.py"),
        with_login(settings),
        name,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    host = Host(process)
    try:
        word, _, host.subject = (await host.line()).partition(" ")
        assert word == "ready", word
        yield host
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def called(interpreter: str, settings: BusSettings, *arguments: str) -> list[dict[str, Any]]:
    """Run the caller to its end; return the lines it printed."""
    process = await asyncio.create_subprocess_exec(
        interpreter,
        str(HERE / "caller.py"),
        with_login(settings),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), RUN_S)
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0
    return [json.loads(line) for line in output.splitlines()]
