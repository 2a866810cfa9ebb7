"""Of the prompt tokens that seats 2…N share with seat 1, how many came from the prefix cache?

The prompts are those that were really sent (read from the stream), turned into tokens by the
model's own tokenizer and chat template; what two prompts share is their common beginning, token
by token. Each deliberation has a context of its own, of so many tokens, that no cache has seen.
Seat 1 is the seat that came first, with the fewest cached tokens: it pays, the others share.

T is what the client waits. Were the first seat's prefill repeated side by side, T(N)/T(1) would
grow with N where the context is long.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from transformers import AutoTokenizer

from actors.settings import PoolSettings
from schemas.agent import AgentRequest
from schemas.result import Deliberation
from supervisor.up import running
from tests.bench.council import Council
from tests.bench.council_scaling import SETTINGS
from tests.bench.measuring import Bar, Options, Result, median, whole
from tests.bench.models import available, untrained

SIZES = (1, 3, 15)
LENGTHS = (500, 1_500, 4_000, 16_000)
SHORT = 3_500
"""The longest context with room for the rest in the bundled model's 4,096 positions."""
POSITIONS = 18_432
MAX_TOKENS = 16
REPEATS = 3
LEAST = 0.90
WORDS = (
    "The billing client posts a charge and waits for the gateway",
    "A second worker reads the ledger while the first one writes",
    "Invoices are closed at midnight and reopened by an operator",
    "Every charge has a key that the gateway remembers for a day",
    "Queues grow on Mondays and nobody owns the slow consumer yet",
)


Key = tuple[str, int, int]
"""Model, tokens of context, seats."""


class Sample(Struct, frozen=True):
    """One deliberation, in tokens: seats 2…N's prompts, what they share, what was cached of it."""

    prompt: int
    shared: int
    cached: int
    context: int
    own_cached: int
    """What even the first seat found: the rules before the context, shared by all tasks."""
    seconds: float


async def measure(options: Options) -> Result:
    """Ask councils of all sizes about contexts of all lengths that a model takes."""
    samples: dict[Key, list[Sample]] = {}
    plans = {"untrained 18k": (untrained(positions=POSITIONS), LENGTHS)}
    if "bundled" in (models := available()):
        plans["bundled"] = (models["bundled"], [each for each in LENGTHS if each <= SHORT])
    for name, (folder, lengths) in plans.items():
        settings = replace(SETTINGS, model=str(folder), max_model_len=POSITIONS, kv_cache_mib=512)
        found = await asked(settings, lengths, options.repeats or (1 if options.quick else REPEATS))
        samples |= {(name, *key): each for key, each in found.items()}
    rows = [_row(*key, samples) for key in samples if key[2] > 1]
    bars = [
        Bar(
            text=f"share from the cache, {row['seats']} seats, context {row['context']:.0f},"
            f" {row['model']} model",
            value=row["share"],
            limit=LEAST,
            at_least=True,
        )
        for row in rows
    ]
    return Result(
        bench="prefix_cache",
        question=__doc__.partition("\n")[0],
        rows=rows,
        bars=bars,
        notes=("Tokens are sums over seats 2…N, medians of the deliberations; T in ms.",),
        detail={" ".join(map(str, key)): found for key, found in samples.items()},
    )


async def asked(
    settings: PoolSettings, lengths: Sequence[int], repeats: int
) -> dict[tuple[int, int], list[Sample]]:
    """Ask a system of its own with these settings; return samples by length and seats."""
    tokenizer = AutoTokenizer.from_pretrained(settings.model)
    samples: dict[tuple[int, int], list[Sample]] = {}
    async with running(whole(settings)) as system, Council(system.nats, max(SIZES)) as council:
        for number in range(1 + repeats):
            for length in lengths if number else lengths[:1]:
                for size in SIZES:
                    context = _context(tokenizer, length, f"{length}-{size}-{number}")
                    begun = time.perf_counter()
                    over = await council.ask(
                        "Which risk comes first?", size,
                        max_tokens=MAX_TOKENS, seed=number, context=context,
                    )  # fmt: skip
                    seconds = time.perf_counter() - begun
                    if number:
                        sent = await council.asked(over.task_id, size)
                        real = len(tokenizer.encode(context))
                        sample = _sample(tokenizer, sent, over, real, seconds)
                        samples.setdefault((length, size), []).append(sample)
    return samples


def _context(tokenizer: Any, length: int, mark: str) -> str:
    """Text of about `length` tokens that differs from every other from its first words on."""
    sentences = [f"Case {mark}."]
    tokens = 0
    while tokens < length:
        number = len(sentences)
        sentences.append(f"{WORDS[number % len(WORDS)]} ({mark}.{number}).")
        tokens += len(tokenizer.encode(f" {sentences[-1]}"))
    return " ".join(sentences)


def _sample(
    tokenizer: Any, sent: list[AgentRequest], over: Deliberation, length: int, seconds: float
) -> Sample:
    prompts = {request.seat: _tokens(tokenizer, request) for request in sent}
    usage = {each.proposal.author_id: each.proposal.usage for each in over.results}
    if any(len(prompts[seat]) != used.prompt_tokens for seat, used in usage.items()):
        raise RuntimeError("the engine's prompts are not those that were sent")
    first = min(usage, key=lambda seat: usage[seat].cached_tokens)
    others = [seat for seat in prompts if seat != first]
    shared = {seat: _common(prompts[first], prompts[seat]) for seat in others}
    return Sample(
        prompt=sum(len(prompts[seat]) for seat in others),
        shared=sum(shared.values()),
        cached=sum(min(usage[seat].cached_tokens, shared[seat]) for seat in others),
        context=length,
        own_cached=usage[first].cached_tokens,
        seconds=seconds,
    )


def _tokens(tokenizer: Any, request: AgentRequest) -> list[int]:
    chat = [{"role": message.role, "content": message.content} for message in request.messages]
    return list(
        tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=False
        )
    )


def _common(one: list[int], other: list[int]) -> int:
    return next(
        (place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]),
        min(len(one), len(other)),
    )


def _row(name: str, length: int, size: int, samples: Mapping[Key, list[Sample]]) -> dict[str, Any]:
    found = samples[name, length, size]
    seconds = median([sample.seconds for sample in found])
    return {
        "model": name,
        "seats": size,
        "context": median([sample.context for sample in found]),
        "prompt tokens": median([sample.prompt for sample in found]),
        "shared": median([sample.shared for sample in found]),
        "cached of it": median([sample.cached for sample in found]),
        "share": median([sample.cached / sample.shared for sample in found]),
        "least": min(sample.cached / sample.shared for sample in found),
        "first's own": median([sample.own_cached for sample in found]),
        "T": 1000 * seconds,
        "T(N)/T(1)": seconds / median([sample.seconds for sample in samples[name, length, 1]]),
    }
