"""Messages of other versions: understood, or refused by a name that says why."""

import json

import msgspec
import pytest

from actors.bus import Message
from actors.dead_letters import CODE
from schemas import version
from schemas.agent import AgentRequest, AgentResponse
from schemas.codec import CONTENT_TYPE, MSGPACK, encode, read
from schemas.council import Council, Seat
from schemas.deliberation import GetQuery
from schemas.errors import ERROR_CODE_HEADER, BadMessage
from schemas.version import MAJOR, MINOR, SCHEMA, VERSION
from subjects import names
from subjects.streams import DEAD_LETTERS, DELIBERATIONS, agent_consumer
from tests.harness.events import until
from tests.harness.system import System

NEWER = f"{MAJOR}.{MINOR + 7}"
OTHER = f"{MAJOR + 1}.0"


@pytest.mark.parametrize(
    "headers", [{}, {SCHEMA: VERSION}, {SCHEMA: NEWER}, {SCHEMA: f"{MAJOR}.0"}]
)
def test_no_version_our_own_and_any_minor_are_understood(headers):
    assert read(GetQuery, b'{"task_id": "a"}', headers) == GetQuery(task_id="a")


@pytest.mark.parametrize(
    "stated",
    [OTHER, "0.1", "", "1", f"{MAJOR}.", f"{MAJOR}.x", f"{MAJOR}.1\n", f" {VERSION}", "v1.0"],
)
def test_another_major_version_and_what_is_none_are_refused(stated: str):
    with pytest.raises(BadMessage) as caught:
        read(GetQuery, b'{"task_id": "a"}', {SCHEMA: stated})
    assert caught.value.code == "unsupported_version"
    assert f"supported: {MAJOR}.x" in caught.value.message
    assert repr(stated[:32]) in caught.value.message


def test_a_long_lie_is_cut_short():
    with pytest.raises(BadMessage) as caught:
        version.check({SCHEMA: "9" * 10_000})
    assert len(caught.value.message) < 200


async def test_a_client_of_a_newer_minor_version_is_told_which_field_is_not_known(council: System):
    reply = await council.client.call(names.GET, {"task_id": "a", "mood": "new"}, {SCHEMA: NEWER})
    assert reply.code == "bad_message"
    assert reply.error["path"] == "$.mood"
    assert reply.headers[SCHEMA] == VERSION
    accepted = await council.client.call(names.LIST, {"limit": 1}, {SCHEMA: NEWER})
    assert accepted.error is None


async def test_another_major_version_is_refused_by_name(council: System):
    reply = await council.client.call(names.LIST, {}, {SCHEMA: OTHER})
    assert reply.code == "unsupported_version"
    assert reply.headers[ERROR_CODE_HEADER] == "400"
    assert reply.headers[SCHEMA] == VERSION


async def test_a_refusal_in_messagepack_states_the_version_too(council: System):
    headers = {SCHEMA: OTHER, "Content-Type": MSGPACK}
    reply = await council.client.bus.request(names.LIST, msgspec.msgpack.encode({}), headers)
    assert msgspec.msgpack.decode(reply.body)["error"]["code"] == "unsupported_version"
    assert (reply.headers[SCHEMA], reply.headers["Content-Type"]) == (VERSION, MSGPACK)


async def test_all_that_is_stored_and_published_states_the_version(council: System):
    heard: list[Message] = []
    for subject in (names.ANY_PROGRESS, *names.PUBLIC_OUTCOMES):
        await council.client.bus.listen(subject, heard.append)
    accepted = await council.client.ask(protocol="ranked")
    await council.client.outcome(accepted.task_id)
    await until(lambda: any(each.subject == names.COMPLETED for each in heard))
    stored = await council.client.bus.scan(DELIBERATIONS, ">")
    assert len({record.subject.split(".")[1] for record in stored}) >= 4
    assert {each.headers.get(SCHEMA) for each in [*heard, *stored]} == {VERSION}


async def test_a_stored_message_of_another_major_version_is_set_aside(council: System):
    bus = council.client.bus
    task_id = "from-the-future"
    body = json.dumps({"task_id": task_id, "round": 0, "seat": "agent-dev-001"}).encode()
    subject = names.agent_response(task_id)
    stored = await bus.store(subject, body, headers={SCHEMA: OTHER})
    while not (letters := await bus.last(DEAD_LETTERS, [names.ANY_DEAD])):
        assert (await council.client.call(names.LIST)).error is None  # it goes on meanwhile
    assert [each.subject for each in letters] == [names.dead_letter(stored.sequence)]
    assert letters[0].headers[CODE] == "unsupported_version"
    reply = await council.client.call(names.GET, {"task_id": task_id})
    assert reply.code == "unknown_task"


async def test_a_seat_may_answer_in_messagepack(system: System):
    await system.core()
    client = system.client
    seat = {"id": "packed", "persona": "plain"}
    await client.call(names.COUNCIL_CREATE, {"role": "PACKED", "seats": [seat]})
    accepted = await client.ask("PACKED")
    puller = await client.bus.pull(agent_consumer("PACKED"))
    (delivery,) = await puller.fetch(1, wait=True)
    asked = read(AgentRequest, delivery.record.body, delivery.record.headers)
    answer = AgentResponse(
        task_id=asked.task_id,
        round=asked.round,
        seat=asked.seat,
        token=asked.token,
        content="said in few bytes",
    )
    await client.bus.store(
        names.agent_response(asked.task_id),
        encode(answer, MSGPACK),
        headers={CONTENT_TYPE: MSGPACK},
    )
    await delivery.ack()
    await puller.close()
    outcome = await client.outcome(accepted.task_id)
    assert outcome.results[0].proposal.content == "said in few bytes"


async def test_a_council_of_another_major_version_is_no_council_of_ours(council: System):
    stored = Council(role="FUTURE", seats=(Seat(id="s1", persona="plain"),))
    subject = names.council_stored("FUTURE")
    await council.client.bus.store(subject, encode(stored), headers={SCHEMA: OTHER})
    reply = await council.client.call(names.REQUEST, {"task_description": "x", "role": "FUTURE"})
    assert reply.code == "unknown_role"
    reply = await council.client.call(names.COUNCIL_GET, {"role": "FUTURE"})
    assert reply.code == "unsupported_version"


async def test_an_outcome_of_another_major_version_is_not_passed_on(council: System):
    task_id = "ended-later"
    subject = names.outcome("completed", task_id)
    body = json.dumps({"task_id": task_id, "score": "of another kind"}).encode()
    await council.client.bus.store(subject, body, headers={SCHEMA: OTHER})
    for endpoint in (names.GET, names.WAIT):
        reply = await council.client.call(endpoint, {"task_id": task_id})
        assert reply.code == "unsupported_version"
