"""What the real engine promises, with a real model."""

import asyncio
import json
from contextlib import aclosing

import pytest

from actors.engines.engine import Delta, EngineDead, Generated, GenerationRefused
from schemas.agent import ChatMessage
from schemas.council import Sampling
from tests.engine.conftest import LIMIT, SLOTS, TUNED, asked, said

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.timeout(300),
    pytest.mark.asyncio(loop_scope="session"),
]

ENDLESS = {"type": "string", "minLength": 100_000}
"""However early a model would stop, the grammar makes it go on."""
CHOICE = {
    "type": "object",
    "properties": {
        "ranking": {"type": "array", "items": {"enum": ["A", "B"]}, "minItems": 2, "maxItems": 2}
    },
    "required": ["ranking"],
}


def long(tokens: int, **fields):
    return asked("Go on.", sampling=Sampling(max_tokens=tokens), response_schema=ENDLESS, **fields)


async def test_what_is_streamed_is_what_comes_last(engine):
    streamed, last = await said(engine, asked("Name a risk."))
    assert streamed == last.content
    assert last.model == engine.model
    assert last.usage.prompt_tokens > 0
    assert 0 < last.usage.completion_tokens <= 12
    assert last.first_token_ms > 0
    assert last.queued_ms >= 0


async def test_the_log_probability_is_a_mean_of_what_was_chosen(engine):
    _, last = await said(engine, asked("Name a risk.", sampling=Sampling(temperature=2.0, seed=1)))
    _, surest = await said(engine, asked("Name a risk.", sampling=Sampling(temperature=0.0)))
    assert last.logprob < surest.logprob <= 0


async def test_a_seed_repeats_its_text_alone_and_in_company(engine):
    question = asked("Name a risk.", sampling=Sampling(max_tokens=12, temperature=1.5, seed=11))
    alone, _ = await said(engine, question)
    others = [asked(f"Tell of {n}.") for n in range(SLOTS - 1)]
    together, *_ = await asyncio.gather(*(said(engine, each) for each in (question, *others)))
    assert together[0] == alone


async def test_a_closed_stream_is_aborted_in_the_engine(engine):
    before = engine.aborted()
    async with aclosing(engine.generate(long(LIMIT))) as stream:
        async for piece in stream:
            assert isinstance(piece, Delta)
            break
    assert engine.aborted() == before + 1
    assert engine._llm.get_num_unfinished_requests() == 0
    assert await written_meanwhile() == 0


async def test_a_cancelled_task_is_aborted_in_the_engine(engine):
    before = engine.aborted()
    task = asyncio.create_task(said(engine, long(LIMIT)))
    await unfinished(engine, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.aborted() == before + 1
    assert await written_meanwhile() == 0


async def unfinished(engine, requests: int) -> None:
    """Wait until so many requests are in the engine."""
    while engine._llm.get_num_unfinished_requests() < requests:
        await asyncio.sleep(0.01)


async def written_meanwhile() -> float:
    """Tokens that the engine writes while nobody has asked for any."""
    from vllm.v1.metrics.reader import get_metrics_snapshot

    def written() -> float:
        found = get_metrics_snapshot()
        return sum(each.value for each in found if each.name == "vllm:generation_tokens")

    await asyncio.sleep(0.2)
    before = written()
    await asyncio.sleep(0.3)
    return written() - before


async def test_a_schema_is_obeyed(engine):
    question = asked("Rank.", sampling=Sampling(max_tokens=64), response_schema=CHOICE)
    content, last = await said(engine, question)
    assert last.finish_reason == "stop"
    assert set(json.loads(content)) == {"ranking"}
    assert len(json.loads(content)["ranking"]) == 2


@pytest.mark.parametrize(
    "schema", [{"type": "banana"}, {"$ref": "#/nowhere"}, {"pattern": "(", "type": "string"}]
)
async def test_a_broken_schema_is_refused_and_harms_nobody(engine, schema):
    with pytest.raises(GenerationRefused) as refused:
        await said(engine, asked("Rank.", response_schema=schema))
    assert refused.value.code == "bad_schema"
    assert refused.value.message
    await said(engine, asked("Name a risk."))


async def test_a_prompt_without_room_is_refused_and_harms_nobody(engine):
    with pytest.raises(GenerationRefused) as refused:
        await said(engine, asked("risk " * 4 * LIMIT))
    assert refused.value.code == "prompt_too_long"
    assert str(LIMIT - 1) in refused.value.message
    await engine.check()
    await said(engine, asked("Name a risk."))


async def test_an_answer_ends_where_the_model_has_no_more_room(engine):
    _, last = await said(engine, long(32_768))
    assert last.finish_reason == "length"
    assert last.usage.prompt_tokens + last.usage.completion_tokens == LIMIT


async def test_the_pool_limits_an_answer_that_nobody_limited(engine, settings):
    question = asked("Go on.", sampling=Sampling(), response_schema=ENDLESS)
    _, last = await said(engine, question)
    assert last.usage.completion_tokens == settings.default_max_tokens


async def test_a_stop_word_is_not_part_of_the_answer(engine):
    content, last = await said(
        engine,
        asked("x", response_schema={"const": "abSTOPcd"}, sampling=Sampling(stop=("STOP",))),
    )
    assert content == '"ab'
    assert last.finish_reason == "stop"


async def test_who_is_urgent_overtakes_those_that_wait(engine):
    order: list[str] = []

    async def answer(name: str, priority: int) -> None:
        await said(engine, long(60, request_id=name, priority=priority))
        order.append(name)

    waiting = [asyncio.create_task(answer(f"{n}", 0)) for n in range(3 * SLOTS)]
    await unfinished(engine, 3 * SLOTS)
    await answer("urgent", -5)
    await asyncio.gather(*waiting)
    assert order.index("urgent") < 2 * SLOTS + 1


async def test_seats_that_arrive_at_once_read_their_common_prefix_once(engine):
    context = " ".join(f"fact {n}" for n in range(80))

    def seat(number: int):
        own = ChatMessage(role="user", content=f"{context}\nseat {number}")
        return asked("", messages=(own,), seat=f"seat-{number}")

    answers = await asyncio.gather(*(said(engine, seat(n)) for n in range(3)))
    usages = [last.usage for _, last in answers]
    shared = usages[0].prompt_tokens - 16
    assert sorted(usage.cached_tokens for usage in usages)[1] >= 0.9 * shared


async def test_seeded_prompts_that_fill_more_than_one_step_harm_nobody(engine):
    def seat(number: int):
        own = ChatMessage(role="user", content=f"fact {number} " * 70)
        return asked("", messages=(own,), sampling=Sampling(max_tokens=4, seed=number))

    answers = await asyncio.gather(*(said(engine, seat(n)) for n in range(2 * SLOTS)))
    assert sum(last.usage.prompt_tokens for _, last in answers) > 2 * LIMIT
    assert all(last.usage.completion_tokens for _, last in answers)


async def test_a_queue_with_an_adapter_speaks_with_its_own_voice(engine):
    plain = asked("Name a risk.", sampling=Sampling(max_tokens=12, temperature=0.0))
    tuned = asked("Name a risk.", queue=TUNED, sampling=plain.sampling)
    texts = [(await said(engine, each))[0] for each in (plain, tuned, plain)]
    assert texts[0] == texts[2] != texts[1]


async def test_equal_names_of_requests_do_not_meet(engine):
    questions = [asked(f"Tell of {n}.", request_id="same") for n in range(SLOTS)]
    answers = await asyncio.gather(*(said(engine, each) for each in questions))
    assert all(isinstance(last, Generated) for _, last in answers)


async def test_thinking_is_no_part_of_the_answer(engine, monkeypatch):
    monkeypatch.setattr(engine, "_thinks", True)
    monkeypatch.setattr("actors.engines.thinking.OPEN", '"<hm>')
    monkeypatch.setattr("actors.engines.thinking.CLOSE", "</hm>")
    schema = {"const": "<hm>so</hm>yes"}
    question = asked("x", response_schema=schema, sampling=Sampling(max_tokens=64))
    pieces = [piece async for piece in engine.generate(question)]
    assert pieces[-1].thinking == "so"
    assert pieces[-1].content == 'yes"'
    assert "".join(each.text for each in pieces[:-1] if each.thinking) == "so"


async def test_a_dead_engine_is_called_dead(engine, monkeypatch):
    from vllm.v1.engine.exceptions import EngineDeadError

    async def dead() -> None:
        raise EngineDeadError

    monkeypatch.setattr(engine._llm, "check_health", dead)
    with pytest.raises(EngineDead):
        await engine.check()
