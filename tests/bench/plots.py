"""Which pictures are made of results that ask for none themselves.

Where hardly more than the question is known, columns are found by what they are called.
"""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.bench.measuring import Plot, columns, is_numeric

Rows = Sequence[Mapping[str, Any]]

RATES = ("*per s", "*/s", "*throughput*")
SEATS = ("*seat*", "*worker*")

PLOTS: Mapping[str, Sequence[Plot]] = {
    "ack_latency": (
        Plot(
            title="median latency by load",
            x="load",
            y=("p50",),
            by=("kind",),
            unit="ms",
            bars=True,
            log_y=True,
        ),
        Plot(
            title="throughput by load",
            x="load",
            y=("per s",),
            by=("kind",),
            bars=True,
            log_y=True,
        ),
    ),
    "arrivals": (
        Plot(
            title="acknowledgement by rate of arrivals",
            x="load",
            y=("p50", "p99"),
            by=("kind",),
            where={"load": "*/s"},
            unit="ms from the intended time",
            log_y=True,
        ),
        Plot(
            title="outcome by rate of arrivals",
            x="load",
            y=("whole", "whole p99"),
            by=("kind",),
            where={"load": "*/s"},
            unit="ms from the intended time",
            log_y=True,
        ),
    ),
    "store_growth": (
        Plot(
            title="queries as the store grows",
            x="finished",
            y=("ping", "get", "wait", "list", "stats"),
            unit="ms, median",
            log_x=True,
            log_y=True,
        ),
        Plot(
            title="starts as the store grows",
            x="finished",
            y=("restart s", "rebuild s", "responder s"),
            unit="s",
            log_x=True,
            log_y=True,
        ),
    ),
    "council_scaling": (Plot(title="T(N)/T(1), vLLM", x="seats", y=("T(N)/T(1)",), by=("model",)),),
    "prefix_cache": (
        Plot(
            title="found of what the seats share",
            x="context",
            y=("share",),
            by=("model", "seats"),
            log_x=True,
            limit=0.9,
        ),
    ),
    "engine_path": (
        Plot(title="throughput", x="in flight", y=("tokens/s",), by=("way",), log_x=True),
        Plot(
            title="time to first token",
            x="in flight",
            y=("first token",),
            by=("way",),
            unit="ms",
            log_x=True,
            log_y=True,
        ),
    ),
}
"""By benchmark. Columns that a result does not have make no picture."""


def of(bench: str, rows: Rows) -> Sequence[Plot]:
    """Return the pictures of a result without plots of its own; none where nothing is known."""
    return _rates(rows) if bench == "head_to_head" else PLOTS.get(bench, ())


def _rates(rows: Rows) -> Sequence[Plot]:
    """Who does how many a second, by number of seats."""
    return [
        Plot(title=rate, x=name, y=(rate,), by=_called(rows, SEATS)[:1], bars=True, log_y=True)
        for name in _names(rows)[:1]
        for rate in _called(rows, RATES)
    ]


def _names(rows: Rows) -> list[str]:
    return [each for each in columns(rows) if each != "not run" and not is_numeric(rows, each)]


def _called(rows: Rows, patterns: Sequence[str]) -> list[str]:
    """Return the columns of numbers that are called like one of the patterns."""
    return [
        each
        for each in columns(rows)
        if is_numeric(rows, each) and any(fnmatchcase(each, pattern) for pattern in patterns)
    ]
