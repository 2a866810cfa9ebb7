"""How long do acknowledgement and outcome take when requests come at their own times?

Open arrivals (Poisson, drawn beforehand); every latency counts from the intended time. Product
and floor (`tests/bench/beside_floor.py`) take turns.

    50/s, 100/s …   seats that answer at once, each rate higher, until one is no longer sustained:
                    the last before is the knee
    1, 64, 256 open seats that take SEAT_MS, arrivals so that about as many deliberations are
                    acknowledged and not yet over at any time
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

from tests.bench.beside_floor import (
    ACK,
    FLOOR,
    KINDS,
    SEAT_MS,
    SLOW_KINDS,
    Repeats,
    Rig,
    beside_floor,
    ended,
)
from tests.bench.client import Block, Times
from tests.bench.measuring import Bar, Options, Result, median, percentile

REPEATS = 3
BUDGET_S = 300.0
"""No further repeat is begun that would hardly end within this."""

RATES = (50, 100, 200, 400, 600, 800, 1_100, 1_500, 2_000, 2_700)
OPEN = {1: 1, 64: 2, 256: 4}
"""Deliberations under way, and how often in each repeat: a p99 wants many samples."""

MEASURED_S, WARM_UP_S = 2.5, 1.0
FILLED_S = 1.5 * SEAT_MS / 1_000
"""The warm-up of slow seats: so long, and as many are under way as will be."""

SUSTAINED = 0.9
"""A rate is sustained when no request failed, and outcomes came at so much of it."""

COMPARED = (FLOOR, ACK)
NAMES = ("p50", "p90", "p99", "whole", "whole p99", "per s", "mean whole")
Key = tuple[str, str]
"""Load and kind."""


class Ladder:
    """The rates of one repeat, upwards until neither kind sustains the last."""

    def __init__(self) -> None:
        self.knees: dict[str, float] = {}
        self._past: set[str] = set()

    def climbs(self, kind: str) -> bool:
        """Whether a kind may be asked for more."""
        return kind not in self._past

    def note(self, kind: str, rate: float, times: Times) -> None:
        """Take note of how a rate went."""
        if times.errors == 0 and len(times.wholes_ms) / times.wall_s >= SUSTAINED * rate:
            self.knees[kind] = rate
        else:
            self._past.add(kind)


async def measure(options: Options) -> Result:
    """Climb the ladder and fill the system with slow deliberations, several times."""
    samples: dict[Key, list[Times]] = {}
    ladders: list[Ladder] = []
    repeats = Repeats(options.repeats or (1 if options.quick else REPEATS), BUDGET_S)
    rates = RATES[1:6:2] if options.quick else RATES
    async with beside_floor() as rig:
        for repeat in repeats:
            ladders.append(await _climb(rig, samples, rates, repeat))
            for count, turns in OPEN.items():
                for turn, kind in product(range(1 if options.quick else turns), COMPARED):
                    block = _slow(kind, count, turns * repeat + turn, quick=options.quick)
                    samples.setdefault((f"{count} open", kind), []).append(await rig.send(block))
    return _summed_up(samples, ladders)


async def _climb(
    rig: Rig, samples: dict[Key, list[Times]], rates: tuple[int, ...], seed: int
) -> Ladder:
    ladder = Ladder()
    for rate in rates:
        for kind in filter(ladder.climbs, COMPARED):
            subject, body = KINDS[kind]
            block = Block(
                subject=subject,
                body=body,
                requests=int(rate * MEASURED_S),
                warm_up=int(rate * WARM_UP_S),
                rate=rate,
                ended=ended(kind),
                seed=seed,
            )
            times = await rig.send(block)
            ladder.note(kind, rate, times)
            samples.setdefault((f"{rate}/s", kind), []).append(times)
    return ladder


def _slow(kind: str, count: int, seed: int, *, quick: bool) -> Block:
    subject, body = SLOW_KINDS[kind]
    rate = count / (SEAT_MS / 1_000)
    seconds = 1.0 if quick else MEASURED_S
    return Block(
        subject=subject,
        body=body,
        requests=max(int(rate * seconds), 3 if quick else 10),
        warm_up=int(rate * FILLED_S),
        rate=rate,
        ended=ended(kind),
        seed=seed,
    )


def _summed_up(samples: dict[Key, list[Times]], ladders: list[Ladder]) -> Result:
    rows = [_row(key, times, samples) for key, times in samples.items()]
    found = {(row["load"], row["kind"]): row for row in rows}
    knees = {kind: median([ladder.knees.get(kind, 0.0) for ladder in ladders]) for kind in COMPARED}
    bars = (
        Bar(
            text="p99 ms of the acknowledgement, 256 deliberations under way",
            value=found["256 open", ACK]["p99"],
            limit=10.0,
        ),
    )
    notes = (
        "Latencies in ms from the intended time, medians over the repeats; `whole` is to the"
        " outcome; `open` is what was under way at a time, by Little's law; `x floor` is the"
        " median of the repeats' ratios of p50. `per s`"
        " runs from the first arrival to the last outcome, so slow seats' is lower than arrivals.",
        "The knee, the highest rate sustained: "
        + ", ".join(f"{kind} {knee:.0f}/s" for kind, knee in knees.items()),
        f"Slow seats take {SEAT_MS:.0f} ms.",
    )
    return Result(
        bench="arrivals",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=notes,
        detail={
            "knees": knees,
            "samples": {
                f"{load} {kind}": [_figures(block) for block in times]
                for (load, kind), times in samples.items()
            },
        },
    )


def _row(key: Key, times: list[Times], samples: Mapping[Key, list[Times]]) -> dict[str, Any]:
    figures = [_figures(block) for block in times]
    row: dict[str, Any] = {"load": key[0], "kind": key[1]}
    row |= {name: median([each[name] for each in figures]) for name in figures[0]}
    row["open"] = _rate(key[0]) * row.pop("mean whole") / 1_000
    floors = map(_figures, samples.get((key[0], FLOOR), []))
    ratios = [own["p50"] / other["p50"] for own, other in zip(figures, floors, strict=False)]
    row["x floor"] = median(ratios) if ratios else None
    row["errors"] = sum(block.errors for block in times)
    return row


def _rate(load: str) -> float:
    count, _, of = load.replace("/", " /").partition(" ")
    return float(count) if of == "/s" else float(count) / (SEAT_MS / 1_000)


def _figures(block: Times) -> dict[str, float]:
    acks, wholes = block.latencies_ms, block.wholes_ms
    if not acks or not wholes:
        return dict.fromkeys(NAMES, 0.0)
    return {
        "p50": percentile(acks, 0.5),
        "p90": percentile(acks, 0.9),
        "p99": percentile(acks, 0.99),
        "whole": percentile(wholes, 0.5),
        "whole p99": percentile(wholes, 0.99),
        "per s": len(wholes) / block.wall_s,
        "mean whole": sum(wholes) / len(wholes),
    }
