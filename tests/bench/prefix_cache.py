"""Of the prompt tokens that seats 2…N share with seat 1, how many came from the prefix cache?

The prompts are those that were really sent (read from the stream), turned into tokens by the
model's own tokenizer and chat template; what two prompts share is their common beginning, token
by token. Each deliberation has a context of its own, of 1,500 tokens, that no cache has seen.
Seat 1 is the seat that came first, with the fewest cached tokens: it pays, the others share.
"""

from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from transformers import AutoTokenizer

from schemas.agent import AgentRequest
from schemas.result import Deliberation
from supervisor.up import running
from tests.bench.council import Council
from tests.bench.council_scaling import SETTINGS
from tests.bench.measuring import Bar, Options, Result, median, whole
from tests.bench.models import available

SIZES = (3, 15)
CONTEXT_TOKENS = 1_500
MAX_TOKENS = 16
REPEATS = 7
LEAST = 0.90
WORDS = (
    "The billing client posts a charge and waits for the gateway",
    "A second worker reads the ledger while the first one writes",
    "Invoices are closed at midnight and reopened by an operator",
    "Every charge has a key that the gateway remembers for a day",
    "Queues grow on Mondays and nobody owns the slow consumer yet",
)


class Sample(Struct, frozen=True):
    """One deliberation, in tokens: seats 2…N's prompts, what they share, what was cached of it."""

    prompt: int
    shared: int
    cached: int
    context: int
    own_cached: int
    """What even the first seat found: the rules before the context, shared by all tasks."""


async def measure(options: Options) -> Result:
    """Ask councils of both sizes, with every model there is."""
    samples: dict[tuple[str, int], list[Sample]] = {}
    for name, folder in available().items():
        for size, found in (await _with(folder, options)).items():
            samples[name, size] = found
    rows = [_row(name, size, found) for (name, size), found in samples.items()]
    bars = [
        Bar(
            text=f"share from the cache, {row['seats']} seats, {row['model']} model",
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
        notes=("Tokens are sums over seats 2…N, medians of the deliberations.",),
        detail={f"{name} {size}": found for (name, size), found in samples.items()},
    )


async def _with(model: Path, options: Options) -> dict[int, list[Sample]]:
    tokenizer = AutoTokenizer.from_pretrained(model)
    repeats = options.repeats or (2 if options.quick else REPEATS)
    samples: dict[int, list[Sample]] = {size: [] for size in SIZES}
    config = whole(replace(SETTINGS, model=str(model)))
    async with running(config) as system, Council(system.nats, max(SIZES)) as council:
        for number in range(1 + repeats):
            for size in SIZES:
                context = _context(tokenizer, f"{size}-{number}")
                over = await council.ask(
                    "Which risk comes first?", size,
                    max_tokens=MAX_TOKENS, seed=number, context=context,
                )  # fmt: skip
                if number:
                    asked = await council.asked(over.task_id, size)
                    length = len(tokenizer.encode(context))
                    samples[size].append(_sample(tokenizer, asked, over, length))
    return samples


def _context(tokenizer: Any, mark: str) -> str:
    """Text of CONTEXT_TOKENS tokens that differs from every other from its first words on."""
    text = f"Case {mark}."
    number = 0
    while len(tokenizer.encode(text)) < CONTEXT_TOKENS:
        text += f" {WORDS[number % len(WORDS)]} ({mark}.{number})."
        number += 1
    return text


def _sample(tokenizer: Any, asked: list[AgentRequest], over: Deliberation, length: int) -> Sample:
    prompts = {request.seat: _tokens(tokenizer, request) for request in asked}
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


def _row(name: str, size: int, found: list[Sample]) -> dict[str, Any]:
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
    }
