"""Which pictures are made of results that ask for none themselves."""

from collections.abc import Mapping, Sequence

from tests.bench.measuring import Plot

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
