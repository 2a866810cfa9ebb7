"""A council is an agent of the Synadia Agent Protocol: what callers see on the wire."""

import asyncio
import json
from base64 import b64encode
from typing import Any

import pytest

from actors.bus import Message
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import SynadiaSettings
from actors.synadia import conversation
from actors.synadia.facade import Facade, offered
from schemas.council import Council, Seat
from subjects import names
from supervisor.config import Config
from supervisor.up import children
from tests.harness.engines import Gated, Refusing, Talking
from tests.harness.events import until, until_async
from tests.harness.nats_server import Server
from tests.harness.system import System
from tests.synadia.conftest import OWNER, Offer, prompted, subject

PROMPT = "Add retries to the billing client"


def attachment(name: str, content: bytes) -> dict[str, str]:
    return {"filename": name, "content": b64encode(content).decode()}


@pytest.fixture
def caller(system: System) -> NatsBus:
    """A connection beside the system's."""
    return system.client.bus


async def test_a_prompt_is_answered_with_the_winners_text(
    council: System, facade: Facade, caller: NatsBus
):
    stream = await prompted(caller, PROMPT)
    assert stream.error is None
    task_id = stream.statuses[1].removeprefix("task:")
    ended = await council.client.get(task_id)
    assert stream.text == ended.results[0].proposal.content
    assert stream.statuses[-1] == f"winner:{ended.winner_id}"
    assert ended.status == "COMPLETED"
    assert ended.protocol == "ranked"


async def test_the_first_chunk_acknowledges_and_seats_are_told_as_they_answer(
    facade: Facade, caller: NatsBus
):
    stream = await prompted(caller, PROMPT)
    assert stream.chunks[0] == {"type": "status", "data": "ack"}
    assert stream.statuses.count("ack") == 1
    for number in (1, 2, 3):
        seat = f"agent-dev-00{number}"
        begun = stream.statuses.index(f"seat_started:{seat}:propose")
        assert begun < stream.statuses.index(f"seat_answered:{seat}")


async def test_a_seat_that_fails_is_told_with_its_reason(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(Refusing("prompt_too_long", "agent-dev-002"))
    await offer()
    stream = await prompted(caller, PROMPT)
    assert "seat_failed:agent-dev-002:prompt_too_long" in stream.statuses
    assert stream.text


async def test_the_stream_is_typed_json_and_a_long_answer_comes_in_pieces(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    text = "é\u0001" * conversation.PIECE
    await system.agent(Talking(lambda _: text))
    await offer()
    stream = await prompted(caller, {"prompt": PROMPT, "conclave": {"num_agents": 1}})
    assert stream.text == text
    assert sum(each["type"] == "response" for each in stream.chunks) == 2
    assert all(set(each) == {"type", "data"} for each in stream.chunks)


async def test_fields_of_the_request_travel_in_the_field_conclave(
    council: System, facade: Facade, caller: NatsBus
):
    asked = {"protocol": "vote", "task_id": "mine-1", "num_agents": 2, "context": "All is known."}
    stream = await prompted(
        caller, {"prompt": "Is it safe?", "conclave": asked, "from_a_later_version": 1}
    )
    ended = await council.client.get("mine-1")
    assert (ended.protocol, ended.seats) == ("vote", ("agent-dev-001", "agent-dev-002"))
    assert stream.statuses[1] == "task:mine-1"


async def test_the_same_task_id_again_is_answered_the_same(facade: Facade, caller: NatsBus):
    envelope = {"prompt": PROMPT, "conclave": {"task_id": "mine-1"}}
    first = await prompted(caller, envelope)
    again = await prompted(caller, envelope)
    assert again.text == first.text
    other = await prompted(caller, envelope | {"prompt": "Something else"})
    assert other.error is not None
    assert (other.error[0], other.error[1]["error"]) == ("409", "conflict")


async def test_attached_texts_are_context_that_every_seat_reads(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    engine = Talking()
    await system.agent(engine)
    await offer()
    files = [attachment("notes.md", "Zürich pays late".encode()), attachment("b.txt", b"twice")]
    await prompted(
        caller,
        {"prompt": PROMPT, "attachments": files, "conclave": {"context": "Our customers."}},
    )
    for generation in engine.begun[:3]:
        shown = generation.messages[-1].content
        assert "Our customers.\n\n## notes.md\nZürich pays late\n\n## b.txt\ntwice" in shown


BAD: dict[str, tuple[Any, str]] = {
    "nothing": (b"", "$.prompt"),
    "blanks": ("  \n ", "$.prompt"),
    "an empty prompt": ({"prompt": ""}, "$.prompt"),
    "no prompt": ({"attachments": []}, "$.prompt"),
    "a prompt that is no text": ({"prompt": 7}, "$.prompt"),
    "half a JSON object": (b'{"prompt": "x"', "$"),
    "bytes that are no text": (b"\xff\xfe", "$"),
    "an endless prompt": ("x" * 100_001, "$.prompt"),
    "an attachment without a name": (
        {"prompt": "x", "attachments": [{"content": "eA=="}]},
        "$.attachments[0].filename",
    ),
    "an attachment in URL-safe base64": (
        {"prompt": "x", "attachments": [{"filename": "a", "content": "_-8="}]},
        "$.attachments[0]",
    ),
    "an attachment that is no text": (
        {"prompt": "x", "attachments": [attachment("a.png", b"\x89PNG\xff")]},
        "$.attachments[0]",
    ),
    "a role of its own": ({"prompt": "x", "conclave": {"role": "QA"}}, "$.conclave.role"),
    "an unknown field": ({"prompt": "x", "conclave": {"rounnds": 2}}, "$.conclave.rounnds"),
    "a wrong value": ({"prompt": "x", "conclave": {"rounds": 0}}, "$.conclave.rounds"),
    "a context that is no text": (
        {"prompt": "x", "attachments": [], "conclave": {"context": []}},
        "$.conclave.context",
    ),
    "a task id that is none": (
        {"prompt": "x", "conclave": {"task_id": "a.b"}},
        "$.conclave.task_id",
    ),
    "more seats than there are": ({"prompt": "x", "conclave": {"num_agents": 9}}, "$.num_agents"),
}


@pytest.mark.parametrize("what", BAD)
async def test_it_is_refused_with_400_and_its_place(facade: Facade, caller: NatsBus, what: str):
    body, path = BAD[what]
    stream = await prompted(caller, body)
    assert stream.error is not None
    number, context = stream.error
    assert (number, context["path"]) == ("400", path)
    assert context["message"]
    assert len(stream.messages) == 1, "no chunk comes before an error that precedes the work"


async def test_a_request_over_the_limit_is_refused(facade: Facade, caller: NatsBus):
    stream = await prompted(caller, b"x" * 1_048_577)
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("400", "too_large")


async def test_without_a_reply_subject_nothing_is_opened(facade: Facade, caller: NatsBus):
    await caller.publish(subject("prompt"), b"to nobody")
    await until(lambda: facade._agents["dev"].service.unanswerable)
    stats = await caller.request(names.LIST, b"{}")
    assert json.loads(stats.body)["deliberations"] == []


async def test_a_deliberation_that_fails_ends_the_stream_with_an_error(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(Refusing("prompt_too_long"))
    await offer()
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "failed")
    assert stream.text == ""
    assert stream.statuses[0] == "ack"


async def test_what_is_there_at_the_deadline_is_told_before_the_error(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(Gated(frozenset({"agent-dev-003"})))
    await offer()
    asked = {"protocol": "independent", "constraints": {"timeout_seconds": 1.0}}
    stream = await prompted(caller, {"prompt": PROMPT, "conclave": asked})
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "timeout")
    assert stream.text in ("by agent-dev-001", "by agent-dev-002")


async def test_a_deliberation_that_somebody_cancels_is_a_conflict(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(engine := Gated())
    await offer()
    envelope = {"prompt": PROMPT, "conclave": {"task_id": "mine-1"}}
    prompting = asyncio.ensure_future(prompted(caller, envelope))
    await until(lambda: engine.begun)
    await system.client.call(names.CANCEL, {"task_id": "mine-1"})
    stream = await prompting
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("409", "cancelled")


async def test_while_nothing_happens_the_caller_is_told_that_work_goes_on(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "ALIVE_S", 0.05)
    monkeypatch.setattr(conversation, "PROBE_S", 0.02)
    await system.core()
    await system.agent(engine := Gated())
    await offer()
    async with asyncio.timeout(30), caller.converse(subject("prompt"), b"Wait.") as replies:
        while (await replies.get()).body != b'{"type":"status","data":"working"}':
            pass
        engine.gate.set()
        while (await replies.get()).body:
            pass


@pytest.mark.parametrize("own", [None, "mine-1"], ids=["ours", "the caller's own"])
async def test_when_its_caller_is_gone_a_deliberation_ends_unless_its_id_is(
    system: System, offer: Offer, monkeypatch: pytest.MonkeyPatch, own: str | None
):
    monkeypatch.setattr(conversation, "ALIVE_S", 0.05)
    monkeypatch.setattr(conversation, "PROBE_S", 0.5)
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    caller = await connect(system.settings, "caller")
    envelope = json.dumps({"prompt": PROMPT, "conclave": {"task_id": own}}).encode()
    async with caller.converse(subject("prompt"), envelope):
        await until(lambda: engine.begun)
        (task_id,) = {each.request_id.partition(".")[0] for each in engine.begun}
        await caller.close()
    await until(lambda: facade._abandoned)
    if own is None:
        assert (await system.client.outcome(task_id)).status == "CANCELLED"
        await until(engine.aborted)
    else:
        assert (await system.client.get(task_id)).status == "IN_PROGRESS"
        engine.gate.set()
        assert (await system.client.outcome(task_id)).status == "COMPLETED"


async def test_a_facade_that_stops_tells_its_callers_and_the_deliberation_goes_on(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.synadia.facade.DRAIN_S", 0.05)
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    envelope = {"prompt": PROMPT, "conclave": {"task_id": "mine-1"}}
    prompting = asyncio.ensure_future(prompted(caller, envelope))
    await until(lambda: len(engine.begun) == 3)
    await system.stop(facade)
    stream = await prompting
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "unavailable")
    engine.gate.set()
    assert (await system.client.outcome("mine-1")).status == "COMPLETED"


async def test_a_restart_of_nats_costs_neither_the_caller_nor_the_council_anything(
    own_server: Server,
):
    settings = own_server.account()
    assert settings is not None
    system = await System.connected(settings)
    try:
        await system.core()
        await system.agent(engine := Gated())
        bus = await connect(settings, "facade-1")
        await system._start(Facade(bus, "facade-1", SynadiaSettings(owner=OWNER)), bus)
        prompting = asyncio.ensure_future(prompted(system.client.bus, PROMPT))
        await until(lambda: len(engine.begun) == 3)
        own_server.kill()
        engine.gate.set()
        own_server.start()
        stream = await prompting
        assert stream.error is None
        assert stream.text
    finally:
        await system.close()


async def test_prompts_over_the_limit_in_flight_are_refused(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    facade._agents["dev"].service.limits = facade._limits.__class__(max_in_flight=1)
    first = asyncio.ensure_future(prompted(caller, PROMPT))
    await until(lambda: engine.begun)
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    number, context = stream.error
    assert (number, context["error"], context["retry_after_s"]) == ("429", "overloaded", 0.25)
    engine.gate.set()
    assert (await first).text


async def test_every_council_is_found_with_what_the_protocol_demands(
    council: System, facade: Facade
):
    found = await council.client.discovered("INFO", "agents")
    by_role = {each["metadata"]["role"]: each for each in found}
    assert set(by_role) == {"ARCHITECT", "DATA", "DEV", "DEVOPS", "QA"}
    dev = by_role["DEV"]
    assert (
        dev["metadata"] | {"agent": "conclave", "owner": OWNER, "session": "dev"}
        == (dev["metadata"])
    )
    assert dev["metadata"]["protocol_version"] == "0.3"
    assert dev["description"]
    endpoints = {each["name"]: each for each in dev["endpoints"]}
    assert {name: each["subject"] for name, each in endpoints.items()} == {
        "prompt": subject("prompt"),
        "status": subject("status"),
    }
    assert {each["queue_group"] for each in endpoints.values()} == {"agents"}
    assert endpoints["prompt"]["metadata"] == {"max_payload": "1048576B", "attachments_ok": "true"}


async def test_agents_come_and_go_with_the_councils(
    council: System, facade: Facade, caller: NatsBus
):
    seats = [{"id": "lawyer", "persona": "contract lawyer"}]
    await council.client.call(names.COUNCIL_CREATE, {"role": "Legal", "seats": seats})
    await until(lambda: "legal" in facade._agents)
    assert (await prompted(caller, PROMPT, "legal")).text
    await council.client.call(names.COUNCIL_DELETE, {"role": "Legal"})
    await until_async(lambda: is_gone(council, "Legal"))


async def is_gone(system: System, role: str) -> bool:
    found = await system.client.discovered("PING", "agents")
    return role not in {each["metadata"]["role"] for each in found}


def test_of_two_roles_that_differ_in_capitals_the_first_has_the_name():
    seats = (Seat(id="a", persona="p"),)
    older = Council(role="dev", seats=seats, created_at_ms=1)
    newer = Council(role="DEV", seats=seats, created_at_ms=2)
    other = Council(role="QA", seats=seats, created_at_ms=3)
    assert offered([newer, other, older]) == {"dev": older, "qa": other}


async def test_two_facades_share_the_prompts(
    council: System, facade: Facade, offer: Offer, caller: NatsBus
):
    await offer("facade-2")
    streams = await asyncio.gather(*(prompted(caller, PROMPT) for _ in range(8)))
    assert all(each.text for each in streams)
    served = await council.client.discovered("STATS", "agents")
    counts = [
        endpoint["num_requests"]
        for each in served
        for endpoint in each["endpoints"]
        if endpoint["subject"] == subject("prompt")
    ]
    assert len(counts) == 2
    assert sum(counts) == 8


async def test_every_agent_beats_and_tells_the_same_when_asked(
    council: System, offer: Offer, caller: NatsBus
):
    heard: asyncio.Queue[Message] = asyncio.Queue()
    await caller.listen("agents.hb.*.*.*", heard.put_nowait)
    await offer()
    beats = [await heard.get() for _ in range(10)]
    assert len({each.subject for each in beats}) == 5
    of_dev = [json.loads(each.body) for each in beats if each.subject == subject("hb")]
    assert len(of_dev) == 2
    asked = json.loads((await caller.request(subject("status"), b"whatever")).body)
    assert {**asked, "ts": ""} == {**of_dev[1], "ts": ""}
    assert asked == {
        "agent": "conclave",
        "owner": OWNER,
        "session": "dev",
        "instance_id": "facade-1-dev",
        "ts": asked["ts"],
        "interval_s": 1,
    }


async def test_errors_are_counted_where_they_were_made(
    council: System, facade: Facade, caller: NatsBus
):
    await prompted(caller, b"{")
    (stats,) = await council.client.discovered("STATS", "agents.facade-1-dev")
    prompt = next(each for each in stats["endpoints"] if each["name"] == "prompt")
    assert (prompt["num_requests"], prompt["num_errors"]) == (1, 1)
    assert prompt["last_error"].startswith("bad_message")


def test_conclave_up_starts_the_facade_where_it_is_enabled():
    assert "synadia" not in {each.id for each in children(Config())}
    enabled = Config(synadia=SynadiaSettings(enabled=True))
    (spec,) = [each for each in children(enabled) if each.id == "synadia"]
    assert spec.argv[3:5] == ("run", "synadia")


async def test_what_the_protocol_has_no_number_for_becomes_one_of_its_own(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "SUBMIT_S", 0.0)
    await system.add("registry")
    await offer()
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "unavailable")
