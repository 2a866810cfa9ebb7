"""What does a running system take while nobody asks it anything?

`conclave up` with scripted agents, as a user starts it, left alone: the processor time of all its
processes in percent of one core, and how much memory each keeps resident.
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil

from supervisor.config import INHERITED, handed_over
from tests.bench.measuring import Bar, Options, Result, scripted

REST_S, QUICK_REST_S = 20.0, 5.0
SETTLED_S = 3.0
MEGABYTE = 10**6
LIMIT_PERCENT = 3.0
LIMIT_MB = 80.0


async def measure(options: Options) -> Result:
    """Start a system, leave it alone, and look at its processes before and after."""
    rest_s = QUICK_REST_S if options.quick else REST_S
    async with _started() as parent:
        await asyncio.sleep(SETTLED_S)
        family = [psutil.Process(parent.pid), *psutil.Process(parent.pid).children(recursive=True)]
        before = [_cpu_s(each) for each in family]
        await asyncio.sleep(rest_s)
        used = [(_cpu_s(each) - old) / rest_s for each, old in zip(family, before, strict=True)]
        rows: list[dict[str, Any]] = [
            {"process": _name(each), "% of a core": 100 * share, "RSS MB": _rss_mb(each)}
            for each, share in zip(family, used, strict=True)
        ]
    total = sum(row["% of a core"] for row in rows)
    core = [row for row in rows if not row["process"].startswith("agent")]
    return Result(
        bench="idle",
        question=__doc__.partition("\n")[0],
        rows=[*rows, {"process": "all", "% of a core": total, "RSS MB": _sum(rows)}],
        bars=(
            Bar(text="% of a core, the whole system", value=total, limit=LIMIT_PERCENT),
            *(
                Bar(text=f"RSS MB, {row['process']}", value=row["RSS MB"], limit=LIMIT_MB)
                for row in core
            ),
        ),
        notes=(f"Over {rest_s:.0f} s, begun {SETTLED_S:.0f} s after every actor had answered.",),
    )


@asynccontextmanager
async def _started() -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "supervisor", "up",
        env={**os.environ, INHERITED: handed_over(scripted())}, stdout=PIPE, stderr=DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert (await process.stdout.readline()).startswith(b"ready")
        yield process
    finally:
        process.terminate()
        await process.wait()


def _name(process: psutil.Process) -> str:
    """The actor's kind, as on its command line: `python -m supervisor run KIND …`."""
    words = process.cmdline()
    if "supervisor" not in words:
        return process.name()
    return words[words.index("run") + 1] if "run" in words else "supervisor"


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _rss_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MEGABYTE


def _sum(rows: list[dict[str, Any]]) -> float:
    return float(sum(row["RSS MB"] for row in rows))
