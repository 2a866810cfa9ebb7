"""`python -m tests.engine.measure [MODEL]`: what the engine does with a council at once.

T(N)/T(1), prefix cache hits of seats that arrive together, and how long an abort takes. The best
of several rounds counts, one of each kind in turn, so that a busy machine harms all alike.
"""

import asyncio
import os
import sys
import time
from contextlib import aclosing
from importlib import import_module
from typing import Any

from actors.deliberations.prompts import PROPOSE, chat, seat_block, task_block
from actors.engines.engine import Delta, Engine, Generated, Generation
from actors.engines.models import resolve
from actors.settings import PoolSettings
from schemas.council import Sampling
from supervisor.engines import environment

ROUNDS = 5
COUNCILS = (1, 3, 15)
ENDLESS = {"type": "string", "minLength": 100_000}


def seat(number: int, *, tokens: int, task: str, endless: bool) -> Generation:
    messages = chat(task_block(task), [], seat_block("DEV", f"persona number {number}", PROPOSE))
    return Generation(
        request_id=f"seat-{number}",
        seat=f"seat-{number}",
        queue="DEV",
        messages=messages,
        sampling=Sampling(max_tokens=tokens, seed=number),
        response_schema=ENDLESS if endless else None,
    )


async def spoken(engine: Engine, generation: Generation) -> Generated:
    last = [piece async for piece in engine.generate(generation)][-1]
    assert isinstance(last, Generated)
    return last


async def round_of(engine: Engine, seats: int, tokens: int, task: str) -> float:
    """Seconds until all seats have said as many tokens as they may."""
    asked = [seat(n, tokens=tokens, task=task, endless=True) for n in range(seats)]
    begun = time.perf_counter()
    answers = await asyncio.gather(*(spoken(engine, each) for each in asked))
    assert all(answer.usage.completion_tokens == tokens for answer in answers)
    return time.perf_counter() - begun


async def speed(engine: Engine, tokens: int) -> None:
    best = dict.fromkeys(COUNCILS, float("inf"))
    for number in range(ROUNDS):
        for seats in COUNCILS:
            took = await round_of(engine, seats, tokens, f"Task {number} for {seats}. " * 20)
            best[seats] = min(best[seats], took)
    ratios = "  ".join(f"T({n})/T(1) {best[n] / best[1]:.2f}" for n in COUNCILS[1:])
    print(f"{tokens} tokens: T(1) {best[1] * 1000:.0f} ms  {ratios}", flush=True)


async def prefix(engine: Engine, seats: int, words: int) -> None:
    """How much of what they share the seats 2…N read from the cache, arriving at once."""
    task = " ".join(f"{seats}.{n}" for n in range(words))
    asked = [seat(n, tokens=8, task=task, endless=False) for n in range(seats)]
    answers = await asyncio.gather(*(spoken(engine, each) for each in asked))
    cached = sorted(answer.usage.cached_tokens for answer in answers)[1:]
    most = max(answer.usage.prompt_tokens for answer in answers)
    waited = max(answer.first_token_ms for answer in answers)
    share = sum(cached) / (len(cached) * most)
    print(f"{seats} seats at once, prompt {most} tokens: {share:.1%} cached, {waited:.0f} ms")


async def abort(engine: Any) -> None:
    took = []
    for number in range(ROUNDS):
        async with aclosing(
            engine.generate(seat(number, tokens=900, task="Go on.", endless=True))
        ) as stream:
            async for piece in stream:
                assert isinstance(piece, Delta)
                begun = time.perf_counter()
                break
        assert engine._llm.get_num_unfinished_requests() == 0
        took.append(time.perf_counter() - begun)
    print(f"abort: {min(took) * 1000:.2f} to {max(took) * 1000:.2f} ms")


async def main(model: str) -> None:
    settings = PoolSettings()
    os.environ.update(environment(settings))
    begun = time.perf_counter()
    module = import_module("actors.engines.vllm_engine")
    imported = time.perf_counter() - begun
    engine = await module.VllmEngine.create(resolve(model), settings)
    print(f"import {imported:.1f} s, start {time.perf_counter() - begun - imported:.1f} s")
    for tokens in (64, 128):
        await speed(engine, tokens)
    for seats in COUNCILS[1:]:
        await prefix(engine, seats, words=400)
    await abort(engine)
    await engine.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "conclave-nano"))
