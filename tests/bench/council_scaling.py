"""What does a council cost over a single agent? T(N)/T(1) for 3 and 15 seats, vLLM, over NATS.

T is what the client waits: from its request to the public outcome. Every size asks the same
council, whose seats all sit in one pool and so in one continuous batch, with the same max_tokens
and a new task each time (nothing but the deliberation's own prefix can be cached). The sizes
alternate; T(N)/T(1) is the ratio of the medians.

A model that ends some texts early makes T depend on its longest text, and of more texts the
longest is longer. So beside the plain ratio stands the one per token of the longest text:
[T(N)/longest(N)] / [T(1)/longest(1)]. With the untrained model every text has max_tokens tokens
and the two are the same.
"""

import time
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.settings import PoolSettings
from supervisor.up import running
from tests.bench.council import Council
from tests.bench.measuring import Bar, Options, Result, median, percentile, whole
from tests.bench.models import available

SIZES = (1, 3, 15)
LIMITS = {3: 1.2, 15: 1.7}
REPEATS = 11
WARM_UP = 2
MAX_TOKENS = 64
SETTINGS = PoolSettings(max_model_len=2_048, kv_cache_mib=256)


class Sample(Struct, frozen=True):
    """One deliberation: the client's wait in seconds and the completion tokens of each seat."""

    seconds: float
    tokens: list[int]
    first_token_ms: float


async def measure(options: Options) -> Result:
    """Run all sizes with every model there is."""
    samples: dict[tuple[str, int], list[Sample]] = {}
    for name, folder in available().items():
        for size, found in (await _with(folder, options)).items():
            samples[name, size] = found
    rows = [_row(name, size, samples) for name, size in samples]
    bars = [
        Bar(
            text=f"{ratio}, {row['seats']} seats, {row['model']} model",
            value=row[ratio],
            limit=limit,
        )
        for row in rows
        if (limit := LIMITS.get(row["seats"]))
        for ratio in (("T(N)/T(1)",) if row["model"] != "bundled" else ("per token",))
    ]
    notes = (
        (
            f"max_tokens {MAX_TOKENS}; T in ms, medians of {len(next(iter(samples.values())))},"
            " sizes alternating; `longest`: completion tokens of the longest text (median)."
        ),
    )
    detail = {f"{name} {size}": found for (name, size), found in samples.items()}
    return Result(
        bench="council_scaling",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=notes,
        detail=detail,
    )


async def _with(model: Path, options: Options) -> dict[int, list[Sample]]:
    repeats = options.repeats or (3 if options.quick else REPEATS)
    samples: dict[int, list[Sample]] = {size: [] for size in SIZES}
    config = whole(replace(SETTINGS, model=str(model)))
    async with running(config) as system, Council(system.nats, max(SIZES)) as council:
        for number in range(WARM_UP + repeats):
            for size in SIZES if number % 2 else reversed(SIZES):
                sample = await _one(council, size, f"{number}-{size}", seed=number)
                if number >= WARM_UP:
                    samples[size].append(sample)
    return samples


async def _one(council: Council, size: int, mark: str, seed: int) -> Sample:
    task = f"({mark}) Add retries with back-off to the billing client without charging twice"
    begun = time.perf_counter()
    over = await council.ask(task, size, max_tokens=MAX_TOKENS, seed=seed)
    seconds = time.perf_counter() - begun
    tokens = [ranked.proposal.usage.completion_tokens for ranked in over.results]
    first = max(ranked.proposal.timing.first_token_ms for ranked in over.results)
    return Sample(seconds, tokens, first)


def _row(name: str, size: int, samples: dict[tuple[str, int], list[Sample]]) -> dict[str, Any]:
    own, single = samples[name, size], samples[name, 1]
    seconds = median([sample.seconds for sample in own])
    longest = median([max(sample.tokens) for sample in own])
    ratio = seconds / median([sample.seconds for sample in single])
    ratio_of_longest = longest / median([max(sample.tokens) for sample in single])
    return {
        "model": name,
        "seats": size,
        "T": seconds * 1000,
        "T p90": percentile([sample.seconds for sample in own], 0.9) * 1000,
        "first token": median([sample.first_token_ms for sample in own]),
        "longest": longest,
        "tokens": median([sum(sample.tokens) for sample in own]),
        "tokens/s": median([sum(sample.tokens) / sample.seconds for sample in own]),
        "T(N)/T(1)": ratio,
        "per token": ratio / ratio_of_longest,
    }
