"""An agent of the protocol as an engine: whatever it sends becomes a text or a reason."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from actors.bus import Message, Unavailable
from actors.bus.nats_bus import NatsBus
from actors.engines.engine import Delta, Generated, Generation, GenerationRefused
from actors.guests.json_text import json_in
from actors.guests.plain_text import prompt_of
from actors.synadia.engine import NOBODY_ANSWERS, SynadiaEngine, found
from schemas.agent import ChatMessage
from schemas.council import Sampling
from subjects import names
from tests.harness.system import System
from tests.synadia.conftest import Offer, subject

PROMPTED = "agents.prompt.demo.tests.fake"
ACK = {"type": "status", "data": "ack"}
END = b""

Script = list[dict[str, Any] | bytes]
Play = Callable[..., Any]


def generation(text: str = "Why?", schema: dict[str, Any] | None = None) -> Generation:
    return Generation(
        request_id="t-1.0.guest",
        seat="guest",
        queue="synadia",
        messages=(
            ChatMessage(role="system", content="You hold a seat."),
            ChatMessage(role="user", content=text),
        ),
        sampling=Sampling(),
        response_schema=schema,
    )


def says(*texts: Any) -> Script:
    return [ACK, *({"type": "response", "data": text} for text in texts), END]


async def said(engine: SynadiaEngine, asked: Generation | None = None) -> tuple[str, Generated]:
    """What was streamed, and the whole."""
    pieces: list[str] = []
    async with aclosing(engine.generate(asked or generation())) as stream:
        async for piece in stream:
            if isinstance(piece, Delta):
                pieces.append(piece.text)
            else:
                return "".join(pieces), piece
    raise AssertionError("no result")


async def refused(engine: SynadiaEngine, asked: Generation | None = None) -> GenerationRefused:
    with pytest.raises(GenerationRefused) as caught:
        await said(engine, asked)
    assert caught.value.message
    return caught.value


@pytest.fixture
async def play(bus: NatsBus) -> AsyncIterator[Play]:
    """Puts an agent on the bus that answers each prompt with the same messages."""

    async def start(script: Script, *, max_payload: str = "1MB") -> SynadiaEngine:
        async def answer(message: Message) -> None:
            for each in script:
                body = each if isinstance(each, bytes) else json.dumps(each).encode()
                await bus.publish(message.reply, body)

        async def inform(message: Message) -> None:
            metadata = {"max_payload": max_payload, "attachments_ok": "true"}
            endpoint = {"name": "prompt", "subject": PROMPTED, "metadata": metadata}
            info = {"name": "agents", "id": "X1", "endpoints": [endpoint]}
            await bus.publish(message.reply, json.dumps(info).encode())

        await bus.serve(PROMPTED, answer, "agents")
        await bus.serve("$SRV.INFO.agents", inform)
        return SynadiaEngine(bus, "X1")

    return start


async def test_text_is_joined_in_order_whatever_else_comes_between(play: Play):
    script = says("Keep ", {"text": "it ", "attachments": [{"filename": "a", "content": ""}]})
    script[2:2] = [{"type": "from a later version", "data": {}}, ACK]
    script.insert(-1, {"type": "response", "data": "small."})
    streamed, whole = await said(await play(script))
    assert streamed == whole.content == "Keep it small."
    assert whole.first_token_ms > 0


@pytest.mark.parametrize(
    ("chunk", "code"),
    [
        (b"plain text", "bad_chunk"),
        (b"[]", "bad_chunk"),
        ({"type": "response"}, "bad_chunk"),
        ({"type": "response", "data": 7}, "bad_chunk"),
        ({"type": "response", "data": "x" * 100_001}, "answer_too_large"),
        (
            {"type": "query", "data": {"reply_subject": "deliberation.cancel", "prompt": "?"}},
            "bad_chunk",
        ),
        ({"type": "query", "data": {"reply_subject": "_INBOX.>", "prompt": "?"}}, "bad_chunk"),
        ({"type": "response", "data": " \n"}, "empty_answer"),
    ],
)
async def test_what_is_no_answer_is_refused_with_its_reason(play: Play, chunk: Any, code: str):
    assert (await refused(await play([ACK, chunk, END]))).code == code


async def test_a_stream_that_falls_silent_is_given_up(play: Play, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("schemas.synadia.INACTIVITY_S", 0.05)
    assert (await refused(await play([ACK]))).code == "agent_silent"


async def test_a_question_is_answered_in_its_inbox(play: Play, bus: NatsBus):
    told: asyncio.Queue[Message] = asyncio.Queue()
    await bus.listen("_INBOX.question.1", told.put_nowait)
    asked = {"id": "1", "reply_subject": "_INBOX.question.1", "prompt": "May I?"}
    script = [ACK, {"type": "query", "data": asked}, *says("So be it.")]
    assert (await said(await play(script)))[0] == "So be it."
    assert (await told.get()).body.decode() == NOBODY_ANSWERS


async def test_a_prompt_over_the_agents_limit_is_not_sent(play: Play):
    engine = await play(says("never"), max_payload="1KB")
    assert (await refused(engine, generation("x" * 1_024))).code == "prompt_too_long"
    assert (await said(engine, generation("short")))[0] == "never"


@pytest.mark.parametrize(
    "text",
    [
        '{"vote": "A"}',
        'I vote:\n```json\n{"vote": "A"}\n```\nThat is all.',
        'I vote {"vote": "A"}, as I must.',
    ],
)
async def test_json_is_found_in_what_agents_say_around_it(play: Play, text: str):
    schema = {"type": "object"}
    _, whole = await said(await play(says(text)), generation(schema=schema))
    assert json.loads(whole.content) == {"vote": "A"}


@pytest.mark.parametrize("text", ["I vote for A.", "{A}", "```json\n{\n```"])
async def test_no_json_where_it_was_asked_for_is_a_failure(play: Play, text: str):
    engine = await play(says(text))
    assert (await refused(engine, generation(schema={"type": "object"}))).code == "not_json"


def test_deep_nesting_is_no_json():
    assert json_in("[" * 100_000) is None


def test_a_chat_becomes_one_prompt_and_a_schema_is_asked_for_in_words():
    prompt = prompt_of(generation(schema={"type": "integer"}))
    system, user, schema = prompt.split("\n\n")
    assert (system, user) == ("You hold a seat.", "Why?")
    assert schema.endswith('\n{"type":"integer"}')


async def test_what_answers_discovery_and_is_no_agent_is_passed_over(play: Play, bus: NatsBus):
    for body in (b"", b"{", b'{"id": "Y", "endpoints": []}', b'{"id": 7}'):

        async def inform(message: Message, body: bytes = body) -> None:
            await bus.publish(message.reply, body)

        await bus.serve("$SRV.INFO.agents", inform)
    await play(says("here"))
    assert (await found(bus, "demo.tests.fake")).subject == PROMPTED


async def test_without_agents_the_error_says_so(bus: NatsBus):
    with pytest.raises(Unavailable, match="there is none"):
        await found(bus, "demo.tests.fake")


async def test_a_council_can_hold_a_seat_in_another(council: System, offer: Offer):
    await offer()
    engine = SynadiaEngine(council.client.bus, subject("prompt", "qa"))
    seats = [{"id": "testers", "persona": "all of QA", "queue": "whole-council"}]
    await council.agent(engine, queues=("whole-council",), instance="adapter-1")
    await council.client.call(names.COUNCIL_CREATE, {"role": "BOARD", "seats": seats})
    accepted = await council.client.ask("BOARD")
    ended = await council.client.outcome(accepted.task_id)
    (proposal,) = [each.proposal for each in ended.results]
    assert (proposal.engine, proposal.model) == ("synadia", "conclave.tests.qa")
    tasks = (await council.client.call(names.LIST, {"role": "QA"})).body["deliberations"]
    (asked,) = tasks
    inner = await council.client.get(asked["task_id"])
    assert proposal.content == inner.results[0].proposal.content
