"""A council is an agent of the Synadia Agent Protocol: prompts, answers, refusals on the wire."""

import json
from base64 import b64encode
from typing import Any

import pytest

from actors.bus.nats_bus import NatsBus
from actors.synadia import conversation
from actors.synadia.facade import Facade
from subjects import names
from tests.harness.engines import Refusing, Talking
from tests.harness.events import until
from tests.harness.system import System
from tests.synadia.conftest import PROMPT, Offer, prompted, subject


def attachment(name: str, content: bytes) -> dict[str, str]:
    return {"filename": name, "content": b64encode(content).decode()}


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
