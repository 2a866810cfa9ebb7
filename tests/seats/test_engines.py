"""What stands behind an adapter seat: a command, a service, a model endpoint, and their faults."""

import asyncio
import json
import os
import signal
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from actors.clock import now_ms
from actors.deliberations.responses import MAX_FOREIGN_TEXT
from actors.engines.engine import Delta, Engine, Generated, Generation, GenerationRefused
from actors.guests.command import HELD_OPEN_S, CommandEngine
from actors.guests.openai import OpenAIEngine, OpenAIMissing
from actors.guests.request_reply import RequestReplyEngine
from schemas.agent import ChatMessage, Usage
from schemas.council import Sampling
from tests.harness.events import until
from tests.seats.endpoint import Endpoint, chunk, event, head

SCHEMA = {"type": "object", "properties": {"answer": {"enum": ["yes"]}}}


def asked(**fields: Any) -> Generation:
    whole = {
        "request_id": "t-1.0.guest",
        "seat": "guest",
        "queue": "seat-3-DEV-guest",
        "messages": (
            ChatMessage(role="system", content="be brief"),
            ChatMessage(role="user", content="why $(touch owned) `id`?"),
        ),
        "sampling": Sampling(),
        "deadline_ms": now_ms() + 10_000,
    }
    return Generation(**(whole | fields))


async def said(engine: Engine, **fields: Any) -> tuple[list[Delta], Generated]:
    *deltas, last = [piece async for piece in engine.generate(asked(**fields))]
    assert isinstance(last, Generated)
    return [each for each in deltas if isinstance(each, Delta)], last


async def refused(engine: Engine, **fields: Any) -> tuple[str, str]:
    with pytest.raises(GenerationRefused) as error:
        await said(engine, **fields)
    return error.value.code, error.value.message


class TestCommand:
    async def test_the_prompt_is_its_input_and_the_answer_its_output(self):
        _, last = await said(CommandEngine("cat"))
        assert last.content == "be brief\n\nwhy $(touch owned) `id`?"

    async def test_what_it_writes_is_streamed(self):
        engine = CommandEngine("cat >/dev/null; echo one; sleep 0.05; echo two")
        deltas, last = await said(engine)
        assert [each.text for each in deltas] == ["one\n", "two\n"]
        assert last.content == "one\ntwo\n"

    async def test_text_that_is_cut_within_a_character_stays_whole(self):
        engine = CommandEngine(r"printf '\303'; sleep 0.05; printf '\244'")
        assert (await said(engine))[1].content == "ä"

    async def test_it_is_told_of_the_shape_that_is_wanted(self):
        engine = CommandEngine('echo "well: $CONCLAVE_RESPONSE_SCHEMA" is the schema')
        assert json.loads((await said(engine, response_schema=SCHEMA))[1].content) == SCHEMA

    @pytest.mark.parametrize(
        ("command", "code", "text"),
        [
            ("exit 7", "command_failed", "exit code 7: "),
            ("echo why >&2; exit 1", "command_failed", "exit code 1: why"),
            ("no-such-program", "command_failed", "exit code 127"),
            ("true", "empty_answer", "without a text"),
            ("yes", "answer_too_large", f"more than {MAX_FOREIGN_TEXT} characters"),
        ],
    )
    async def test_it_fails_with(self, command: str, code: str, text: str):
        found, message = await refused(CommandEngine(command))
        assert found == code
        assert text in message

    async def test_prose_where_json_is_wanted_is_a_failure(self):
        assert (await refused(CommandEngine("echo hm"), response_schema=SCHEMA))[0] == "not_json"

    async def test_one_that_is_cut_short_ends_with_all_that_it_started(self, tmp_path: Path):
        file = tmp_path / "pids"
        engine = CommandEngine(f"sleep 300 & echo $! > {file}; echo ready; wait")
        async with aclosing(engine.generate(asked())) as stream:
            await anext(stream)
        assert engine.aborted() == 1
        pid = int(file.read_text())
        await until(lambda: not _runs(pid))

    async def test_text_that_nobody_reads_any_longer_does_not_hold_up_its_end(self):
        engine = CommandEngine("yes")
        async with aclosing(engine.generate(asked())) as stream:
            await anext(stream)
            await asyncio.sleep(0.2)  # more than the pipe and its buffer hold has been written
            began = time.monotonic()
        assert time.monotonic() - began < HELD_OPEN_S

    async def test_who_left_its_group_and_holds_its_output_does_not_hold_up_its_end(self):
        engine = CommandEngine("setsid sh -c 'echo $$; exec sleep 300' & wait")
        async with aclosing(engine.generate(asked())) as stream:
            pid = int((await anext(stream)).text)
            began = time.monotonic()
        assert HELD_OPEN_S <= time.monotonic() - began < 10 * HELD_OPEN_S
        os.kill(pid, signal.SIGKILL)
        await until(lambda: not _runs(pid))

    async def test_one_that_does_not_read_its_input_is_no_fault(self):
        huge = (ChatMessage(role="user", content="x" * 1_000_000),)
        assert (await said(CommandEngine("echo hello"), messages=huge))[1].content == "hello\n"


class TestRequestReply:
    async def test_whoever_replies_is_heard(self, bus):
        async def reply(message: Any) -> None:
            await bus.publish(message.reply, b"echo: " + message.body)

        await bus.serve("my.agent", reply)
        deltas, last = await said(RequestReplyEngine(bus, "my.agent"))
        assert last.content.startswith("echo: be brief")
        assert [each.text for each in deltas] == [last.content]

    async def test_nobody_there_is_a_failure_at_once(self, bus):
        assert (await refused(RequestReplyEngine(bus, "my.agent")))[0] == "agent_gone"

    async def test_silence_is_a_failure_by_the_deadline(self, bus):
        async def reply(_: Any) -> None:
            return

        await bus.serve("my.agent", reply)
        found = await refused(RequestReplyEngine(bus, "my.agent"), deadline_ms=now_ms() + 100)
        assert found[0] == "agent_silent"

    async def test_an_error_reply_is_a_failure(self, bus):
        async def reply(message: Any) -> None:
            headers = {"Nats-Service-Error": "tired", "Nats-Service-Error-Code": "503"}
            await bus.publish(message.reply, b"", headers)

        await bus.serve("my.agent", reply)
        found = await refused(RequestReplyEngine(bus, "my.agent"))
        assert found == ("agent_error", "503: tired")


async def talking(_: dict[str, Any], write: Any) -> None:
    """Says two words and its figures, as services do that follow OpenAI's description."""
    await write(head())
    for word, logprob in (("two", -0.5), (" words", -1.5)):
        token = {"token": word, "logprob": logprob, "top_logprobs": []}
        await write(event(chunk(word, logprobs={"content": [token], "refusal": None})))
    await write(event(chunk(finish_reason="length")))
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    usage |= {"prompt_tokens_details": {"cached_tokens": 4}}
    await write(event(chunk() | {"choices": [], "usage": usage}))
    await write(b"data: [DONE]\n\n")


def replies(status: int, body: Any) -> Any:
    async def manner(_: dict[str, Any], write: Any) -> None:
        await write(head(status, "application/json") + json.dumps(body).encode())

    return manner


async def breaking(_: dict[str, Any], write: Any) -> None:
    # The length that it promises is never reached: the connection breaks in mid-sentence.
    promised = b"HTTP/1.1 200 \r\nContent-Type: text/event-stream\r\nContent-Length: 100000\r\n\r\n"
    await write(promised + event(chunk("half a")))


async def endless(_: dict[str, Any], write: Any) -> None:
    await write(head())
    while True:
        await write(event(chunk("more and more ")))
        await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)


class TestOpenAI:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("openai", reason="needs the extra `openai`")

    async def test_what_it_streams_is_passed_on_with_its_figures(self):
        async with Endpoint(talking) as endpoint:
            engine = OpenAIEngine(endpoint.url, "wanted", logprobs=True)
            deltas, last = await said(engine)
            await engine.close()
        assert [each.text for each in deltas] == ["two", " words"]
        assert (last.content, last.finish_reason, last.model) == (
            "two words",
            "length",
            "real-name",
        )
        assert last.usage == Usage(prompt_tokens=9, cached_tokens=4, completion_tokens=2)
        assert last.logprob == -1.0
        assert last.first_token_ms > 0

    async def test_it_is_asked_for_what_the_seat_is_asked_for(self):
        sampling = Sampling(temperature=0.5, seed=7, max_tokens=99, top_k=3, stop=("END",))
        async with Endpoint(talking) as endpoint:
            engine = OpenAIEngine(endpoint.url, "wanted")
            with pytest.raises(GenerationRefused):  # two words are no JSON
                await said(engine, sampling=sampling, response_schema=SCHEMA)
            await engine.close()
        (request,) = endpoint.asked
        wanted = {
            "model": "wanted",
            "stream": True,
            "temperature": 0.5,
            "seed": 7,
            "max_tokens": 99,
            "top_k": 3,
            "stop": ["END"],
        }
        assert request | wanted == request
        assert [each["role"] for each in request["messages"]] == ["system", "user"]
        assert request["response_format"]["json_schema"]["schema"] == SCHEMA
        assert not {"min_p", "logprobs", "top_p"} & set(request)

    @pytest.mark.parametrize(
        ("manner", "code", "text"),
        [
            (replies(400, {"error": {"message": "too long a prompt"}}), "http_400", "too long"),
            (replies(401, {"error": {"message": "who are you?"}}), "http_401", "who are you"),
            (replies(404, {"error": {"message": "no model"}}), "http_404", "no model"),
            (breaking, "endpoint_unreachable", ""),
            (endless, "answer_too_large", "more than"),
        ],
        ids=["too long", "key", "model", "broken stream", "endless"],
    )
    async def test_it_fails_with(self, manner: Any, code: str, text: str):
        async with Endpoint(manner) as endpoint:
            engine = OpenAIEngine(endpoint.url, "wanted")
            found, message = await refused(engine)
            await engine.close()
        assert found == code
        assert text in message

    async def test_nobody_listening_is_a_failure(self):
        async with Endpoint(talking) as endpoint:
            url = endpoint.url
        engine = OpenAIEngine(url, "wanted")
        assert (await refused(engine))[0] == "endpoint_unreachable"
        await engine.close()

    async def test_silence_is_a_failure(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr("actors.guests.openai.SILENCE_S", 0.1)

        async def silent(_: dict[str, Any], write: Any) -> None:
            await write(head())
            await asyncio.sleep(60)

        async with Endpoint(silent) as endpoint:
            engine = OpenAIEngine(endpoint.url, "wanted")
            assert (await refused(engine))[0] == "endpoint_silent"
            await engine.close()

    async def test_one_that_is_cut_short_is_told_by_the_closed_connection(self):
        async with Endpoint(endless) as endpoint:
            engine = OpenAIEngine(endpoint.url, "wanted")
            async with aclosing(engine.generate(asked())) as stream:
                await anext(stream)
            assert engine.aborted() == 1
            await asyncio.wait_for(endpoint.gone.wait(), 20)
            await engine.close()


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("actors.guests.openai.import_module", absent)
    with pytest.raises(OpenAIMissing, match=r"conclave\[openai\]"):
        OpenAIEngine("http://127.0.0.1:1/v1", "any")


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return b"\nState:\tZ" not in Path(f"/proc/{pid}/status").read_bytes()
