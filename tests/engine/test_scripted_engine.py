"""The engine without a model is as predictable as the tests that lean on it need it."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.deliberations.prompts import PROPOSE, chat, seat_block, task_block
from actors.engines.engine import Delta, EngineDead, Generated, GenerationRefused
from actors.engines.scripted_engine import ScriptedEngine
from actors.settings import PoolSettings
from schemas.council import Sampling
from tests.engine.conftest import asked, said

BALLOT = {
    "$defs": {"Label": {"enum": ["A", "B", "C"]}},
    "type": "object",
    "properties": {
        "ranking": {
            "type": "array",
            "items": {"enum": ["A", "B", "C"]},
            "minItems": 3,
            "maxItems": 3,
            "uniqueItems": True,
        },
        "approve": {"type": "array", "items": {"$ref": "#/$defs/Label"}},
        "reason": {"type": "string", "minLength": 3, "maxLength": 5},
    },
    "required": ["ranking", "approve", "reason"],
    "additionalProperties": False,
}


def engine(**settings: Any) -> ScriptedEngine:
    return ScriptedEngine(PoolSettings(engine="scripted", **settings))


def seat(number: int, seed: int | None = None, task: str = "Choose a storage engine for orders."):
    messages = chat(task_block(task), [], seat_block("DEV", f"persona {number}", PROPOSE))
    return asked("", messages=messages, seat=f"seat-{number}", sampling=Sampling(seed=seed))


async def content(engine: ScriptedEngine, generation) -> str:
    return (await said(engine, generation))[1].content


async def test_it_says_what_it_is_and_counts_words():
    streamed, last = await said(engine(scripted_words=10), seat(1))
    assert (last.model, ScriptedEngine.name) == ("scripted", "scripted")
    assert streamed == last.content
    assert last.usage.completion_tokens == len(last.content.split()) == 10
    assert last.usage.prompt_tokens > 10
    assert last.logprob is None


async def test_the_same_seat_task_and_seed_say_the_same():
    assert await content(engine(), seat(1, 3)) == await content(engine(), seat(1, 3))
    assert await content(engine(), seat(1, 3)) != await content(engine(), seat(1, 4))


async def test_seats_differ_and_agree_in_part():
    first, second = [set((await content(engine(), seat(n))).split()) for n in (1, 2)]
    assert first != second
    assert first & second


async def test_words_of_the_task_are_taken_up():
    assert {"storage", "engine", "orders", "choose"} & set(
        (await content(engine(), seat(1))).split()
    )


async def test_an_answer_ends_at_its_limit():
    _, last = await said(engine(), asked("Go on.", sampling=Sampling(max_tokens=5)))
    assert (last.usage.completion_tokens, last.finish_reason) == (5, "length")


async def test_failures_are_planted_as_often_as_asked_for_and_always_the_same():
    async def fails(number: int) -> bool:
        try:
            await said(engine(scripted_failure_rate=0.3), seat(number))
        except GenerationRefused as refused:
            return refused.code == "planted_failure"
        return False

    first = [await fails(number) for number in range(200)]
    assert 30 < sum(first) < 90
    assert first == [await fails(number) for number in range(200)]


async def test_who_leaves_early_is_counted():
    slow = engine(scripted_latency_ms=60_000)
    task = asyncio.create_task(said(slow, seat(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with aclosing(engine().generate(seat(1))) as stream:
        assert isinstance(await anext(stream), Delta)
        assert isinstance(await anext(stream), Generated)
    assert slow.aborted() == 1


async def test_a_closed_engine_is_dead():
    closed = engine()
    await closed.close()
    with pytest.raises(EngineDead):
        await said(closed, seat(1))


# ---------------------------------------------------------------------------- JSON by schema


async def answered(schema: Any, seed: int = 1) -> Any:
    question = asked("Vote.", response_schema=schema, sampling=Sampling(seed=seed))
    return json.loads(await content(engine(), question))


async def test_a_ballot_is_valid_and_not_everybody_votes_alike():
    ballots = [await answered(BALLOT, seed) for seed in range(20)]
    assert all(sorted(ballot["ranking"]) == ["A", "B", "C"] for ballot in ballots)
    assert len({tuple(ballot["ranking"]) for ballot in ballots}) > 1


def integers() -> st.SearchStrategy[dict[str, Any]]:
    bounds = st.tuples(st.integers(-50, 50), st.integers(0, 20))
    return st.one_of(
        bounds.map(lambda b: {"type": "integer", "minimum": b[0], "maximum": b[0] + b[1]}),
        bounds.map(lambda b: {"type": "integer", "exclusiveMinimum": b[0]}),
        bounds.map(lambda b: {"type": "number", "minimum": b[0], "maximum": b[0] + b[1]}),
        bounds.map(lambda b: {"type": "number", "exclusiveMaximum": b[0]}),
    )


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    lengths = st.tuples(st.integers(0, 12), st.integers(0, 12))
    return st.one_of(
        integers(),
        lengths.map(lambda n: {"type": "string", "minLength": n[0], "maxLength": n[0] + n[1]}),
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}]),
        st.lists(st.text(max_size=5), min_size=1, max_size=4).map(lambda each: {"enum": each}),
        st.integers().map(lambda value: {"const": value}),
    )


def branches(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    sizes = st.integers(0, 3)
    members = st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
    return st.one_of(
        st.tuples(inner, sizes).map(lambda p: {"type": "array", "items": p[0], "minItems": p[1]}),
        members.map(lambda m: {"type": "object", "properties": m, "required": sorted(m)[::2]}),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
    )


@given(schema=st.recursive(leaves(), branches, max_leaves=12), seed=st.integers(0, 9))
def test_whatever_it_writes_is_valid_under_its_schema(schema, seed):
    jsonschema = pytest.importorskip("jsonschema", reason="comes with the engine")
    jsonschema.validate(asyncio.run(answered(schema, seed)), schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "^a"},
        {"type": "banana"},
        {"$ref": "#/$defs/nowhere"},
        {"$ref": "https://example.com/x"},
        {"$ref": "#"},
        {"enum": []},
        {"type": "integer", "minimum": 3, "maximum": 2},
        {"type": "array", "items": {"type": "string"}, "minItems": 2, "uniqueItems": True},
        {"not": {}},
    ],
)
async def test_what_it_cannot_write_is_refused(schema):
    with pytest.raises(GenerationRefused) as refused:
        await answered(schema)
    assert refused.value.code == "bad_schema"
    assert refused.value.message.startswith("$")
