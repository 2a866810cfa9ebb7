"""Seats as processes of their own, in whatever language: started, told apart by their output."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "tests" / "clients"


class SeatProcess:
    """A program that prints what it was told on joining as its first line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def started(cls, command: list[str], url: str, **environment: str) -> "SeatProcess":
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("CONCLAVE_", "NATS_"))
        }
        process = await asyncio.create_subprocess_exec(
            *command,
            env=inherited | {"NATS_URL": url, "PYTHONPATH": str(ROOT)} | environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return cls(process)

    async def line(self) -> dict[str, Any]:
        """The next thing it says; what it complained of when it says nothing more."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        said = await self._process.stdout.readline()
        if not said:
            raise AssertionError((await self._process.stderr.read()).decode())
        told: dict[str, Any] = msgspec.json.decode(said)
        return told

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> int:
        """Wait until it goes by itself, and return its exit code."""
        return await self._process.wait()

    async def stop(self) -> int:
        """Ask it to go, and return its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode


def conclave_seat(*arguments: str) -> list[str]:
    """The command of an adapter seat of ours."""
    return [sys.executable, "-m", "supervisor", "seat", "--json", *arguments]
