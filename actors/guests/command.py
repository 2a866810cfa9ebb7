"""A command as the engine of a seat: the prompt on its stdin, the answer on its stdout.

Each request runs the command anew, in a process group of its own that ends with the request. What
the prompt says never becomes part of the command line.
"""

import asyncio
import codecs
import os
import signal
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Final

from actors.deliberations.responses import MAX_FOREIGN_TEXT
from actors.engines.engine import Delta, Generated, Generation, GenerationRefused
from actors.guests.plain_text import checked, prompt_of
from actors.tasks import TaskSet
from schemas.codec import encode

READ_BYTES: Final = 4_096
TOLD_BYTES: Final = 500
"""How much of the end of stderr a failure tells."""

HELD_OPEN_S: Final = 1.0
"""How long a command's end is waited for where a process that left its group holds its pipes."""


class CommandEngine:
    """See the module. `command` is run by the shell; Engine says what the rest is.

    The environment holds `CONCLAVE_REQUEST_ID`, `CONCLAVE_SEAT` and, where the answer must obey
    one, `CONCLAVE_RESPONSE_SCHEMA`.
    """

    name = "command"

    def __init__(self, command: str, model: str = "") -> None:
        self.model = model or command.split(maxsplit=1)[0][:256]
        self._command = command
        self._aborted = 0

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Run the command; stream what it writes. Raises GenerationRefused."""
        begun_s = time.monotonic()
        first_s = 0.0
        pieces: list[str] = []
        process = await self._started(generation)
        helpers = TaskSet("command")
        told: list[bytes] = [b""]
        try:
            helpers.spawn(_feed(process, prompt_of(generation)))
            listening = helpers.spawn(_listen(process, told))
            async for piece in _texts(process):
                first_s = first_s or time.monotonic()
                pieces.append(piece)
                yield Delta(piece)
                if sum(map(len, pieces)) > MAX_FOREIGN_TEXT:
                    text = f"the command wrote more than {MAX_FOREIGN_TEXT} characters"
                    raise GenerationRefused("answer_too_large", text)
            code = await process.wait()
            await listening
        finally:
            self._aborted += process.returncode is None
            await _end(process)
            await helpers.cancel()
        if code != 0:
            last = told[0].decode(errors="replace").strip()
            raise GenerationRefused("command_failed", f"exit code {code}: {last}")
        yield Generated(
            content=checked("".join(pieces), generation),
            first_token_ms=max(first_s - begun_s, 0.0) * 1000,
            model=self.model,
        )

    async def _started(self, generation: Generation) -> asyncio.subprocess.Process:
        environment = {
            "CONCLAVE_REQUEST_ID": generation.request_id,
            "CONCLAVE_SEAT": generation.seat,
        }
        if generation.response_schema is not None:
            environment["CONCLAVE_RESPONSE_SCHEMA"] = encode(generation.response_schema).decode()
        try:
            return await asyncio.create_subprocess_shell(
                self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=os.environ | environment,
                start_new_session=True,
            )
        except OSError as error:
            raise GenerationRefused("command_failed", str(error)) from None

    async def check(self) -> None:
        """Return: there is nothing between two requests that could die."""

    def aborted(self) -> int:
        """How many commands were ended before they had ended themselves."""
        return self._aborted

    async def close(self) -> None:
        """Nothing is held."""


async def _feed(process: asyncio.subprocess.Process, prompt: str) -> None:
    stdin = process.stdin
    assert stdin is not None  # noqa: S101 -- it is a pipe
    with suppress(OSError):  # a command need not read all of it
        stdin.write(prompt.encode(errors="replace"))
        await stdin.drain()
        stdin.close()
        await stdin.wait_closed()


async def _listen(process: asyncio.subprocess.Process, told: list[bytes]) -> None:
    assert process.stderr is not None  # noqa: S101 -- it is a pipe
    while piece := await process.stderr.read(READ_BYTES):
        told[0] = (told[0] + piece)[-TOLD_BYTES:]


async def _texts(process: asyncio.subprocess.Process) -> AsyncGenerator[str, None]:
    assert process.stdout is not None  # noqa: S101 -- it is a pipe
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    while piece := await process.stdout.read(READ_BYTES):
        if text := decoder.decode(piece):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill the command with all that it started, unless it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    assert process.stdout is not None  # noqa: S101 -- it is a pipe
    with suppress(TimeoutError):
        async with asyncio.timeout(HELD_OPEN_S):
            # Before Python 3.12 a process has ended when its pipes have, and one that holds more
            # than was read is not seen to end.
            while await process.stdout.read(READ_BYTES):
                pass
            await process.wait()
