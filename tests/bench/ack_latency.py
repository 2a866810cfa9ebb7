"""How long until a client holds the durable acknowledgement of its deliberation?

Closed loops: the next request is sent when the last is answered, or over. `arrivals` asks the same
of requests that come when they come. `tests/bench/beside_floor.py` tells what each kind is; the
system does the whole work of the deliberations meanwhile.

    1 whole             one deliberation at a time: the next request when the last outcome was seen
    64 whole, 256 whole so many at a time, each followed to its outcome: `per s` is the throughput
    1, 64, 256          so many unanswered requests; at once the next, while the system still works
                        at deliberations acknowledged before: an overload
"""

from collections.abc import Mapping
from typing import Any

from tests.bench.beside_floor import (
    ACK,
    FLOOR,
    KINDS,
    STORED,
    SUBMIT,
    Repeats,
    beside_floor,
    ended,
)
from tests.bench.client import Block, Times
from tests.bench.measuring import Bar, Options, Result, median, percentile

REPEATS = 5
BUDGET_S = 300.0
"""No further repeat is begun that would hardly end within this."""

IN_FLIGHT = {
    "1 whole": 400,
    "64 whole": 2_000,
    "256 whole": 2_000,
    "1": 800,
    "64": 2_000,
    "256": 2_500,
}
"""Requests measured at each load; a fifth more come before as warm-up."""

Key = tuple[str, str]
"""Load and kind."""


async def measure(options: Options) -> Result:
    """Run every kind at every load, in turn, several times."""
    samples: dict[Key, list[Times]] = {}
    repeats = Repeats(options.repeats or (2 if options.quick else REPEATS), BUDGET_S)
    async with beside_floor() as rig:
        for _ in repeats:
            for key, block in _blocks(10 if options.quick else 1):
                samples.setdefault(key, []).append(await rig.send(block))
    return _summed_up(samples)


def _blocks(less: int) -> list[tuple[Key, Block]]:
    return [
        (
            (load, kind),
            Block(
                subject=subject,
                body=body,
                requests=requests // less,
                warm_up=requests // less // 5,
                in_flight=int(load.split()[0]),
                ended=ended(kind) if load.endswith("whole") else "",
                stored=kind in STORED,
            ),
        )
        for load, requests in IN_FLIGHT.items()
        for kind, (subject, body) in KINDS.items()
    ]


def _summed_up(samples: dict[Key, list[Times]]) -> Result:
    rows = [_row(key, times, samples) for key, times in samples.items()]
    found = {(row["load"], row["kind"]): row for row in rows}
    bars = [
        Bar(
            text="p50 of the acknowledgement over the floor's, 1 in flight",
            value=found["1 whole", ACK]["x floor"],
            limit=1.3,
        ),
        Bar(
            text="p50 of the stream's own receipt (submit) over the floor's, 1 in flight",
            value=found["1 whole", SUBMIT]["x floor"],
            limit=1.3,
        ),
        Bar(
            text="deliberations a second over the floor's, 64 in flight",
            value=found["64 whole", ACK]["rate x floor"],
            limit=0.8,
            at_least=True,
        ),
        *(
            bar
            for load in ("1 whole", "1")
            for kind in ("ack, 1 seat", ACK)
            for bar in (
                Bar(text=f"p99 ms, load {load}, {kind}", value=found[load, kind]["p99"], limit=3.0),
                Bar(
                    text=f"p50 over bare publish, load {load}, {kind}",
                    value=found[load, kind]["x publish"],
                    limit=3.0,
                ),
            )
        ),
    ]
    notes = (
        "Latencies in ms, each the median over the repeats; `whole` is the p50 to the outcome;"
        " `x publish`, `x floor` and `rate x floor` are medians of the repeats' ratios.",
    )
    return Result(
        bench="ack_latency",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=notes,
        detail={
            f"{load} {kind}": [_figures(block) for block in times]
            for (load, kind), times in samples.items()
        },
    )


def _row(key: Key, times: list[Times], samples: Mapping[Key, list[Times]]) -> dict[str, Any]:
    figures = [_figures(block) for block in times]
    row: dict[str, Any] = {"load": key[0], "kind": key[1]}
    row |= {name: median([each[name] for each in figures]) for name in figures[0]}
    publish = map(_figures, samples[key[0], "publish"])
    floors = list(map(_figures, samples[key[0], FLOOR]))
    row["x publish"] = _ratio(figures, list(publish), "p50")
    row["x floor"] = _ratio(figures, floors, "p50")
    row["rate x floor"] = _ratio(figures, floors, "per s")
    row["errors"] = sum(block.errors for block in times)
    return row


def _ratio(own: list[dict[str, float]], others: list[dict[str, float]], name: str) -> float:
    return median([mine[name] / other[name] for mine, other in zip(own, others, strict=True)])


def _figures(block: Times) -> dict[str, float]:
    values = block.latencies_ms
    return {
        "p50": percentile(values, 0.5),
        "p90": percentile(values, 0.9),
        "p99": percentile(values, 0.99),
        "max": max(values),
        "whole": percentile(block.wholes_ms, 0.5) if block.wholes_ms else 0.0,
        "per s": len(values) / block.wall_s,
    }
