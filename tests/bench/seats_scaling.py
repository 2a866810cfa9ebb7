"""What does each further seat cost? T(N)/T(1) for up to 15 seats that all take 200 ms.

T is what a client waits: from its request to the public outcome. Whatever is beyond the 200 ms is
the orchestration of N requests and N responses. One deliberation at a time, the sizes alternating;
T(N)/T(1) is the ratio of the medians.
"""

import time
from typing import Any

from supervisor.up import running
from tests.bench.council import Council
from tests.bench.measuring import Bar, Options, Plot, Result, median, percentile, scripted

SIZES = (1, 2, 3, 5, 8, 11, 15)
LATENCY_MS = 200.0
LIMIT = 1.10
REPEATS = 25
WARM_UP = 3
BEYOND = "beyond the seats"
TASK = "Add retries with back-off to the billing client without charging twice"


async def measure(options: Options) -> Result:
    """Ask councils of every size, in turn."""
    repeats = options.repeats or (2 if options.quick else REPEATS * (3 if options.full else 1))
    samples: dict[int, list[float]] = {size: [] for size in SIZES}
    config = scripted(LATENCY_MS)
    async with running(config) as system, Council(system.nats, max(SIZES)) as council:
        for number in range(WARM_UP + repeats):
            for size in SIZES if number % 2 else reversed(SIZES):
                begun = time.perf_counter()
                await council.ask(TASK, size, max_tokens=64, seed=number)
                if number >= WARM_UP:
                    samples[size].append((time.perf_counter() - begun) * 1000)
    rows = [_row(size, samples) for size in SIZES]
    last = rows[-1]
    return Result(
        bench="seats_scaling",
        question=(__doc__ or "").partition("\n")[0],
        rows=rows,
        bars=(Bar(text=f"T({last['seats']})/T(1)", value=last["T(N)/T(1)"], limit=LIMIT),),
        plots=(
            Plot(title="T(N)/T(1)", x="seats", y=("T(N)/T(1)",), limit=LIMIT),
            Plot(title="beyond the seats' own 200 ms", x="seats", y=(BEYOND,), unit="ms"),
        ),
        notes=(f"T in ms, medians of {repeats}; each seat takes {LATENCY_MS:.0f} ms.",),
        detail=samples,
    )


def _row(size: int, samples: dict[int, list[float]]) -> dict[str, Any]:
    own = median(samples[size])
    return {
        "seats": size,
        "T": own,
        "T p90": percentile(samples[size], 0.9),
        BEYOND: own - LATENCY_MS,
        "T(N)/T(1)": own / median(samples[1]),
    }
