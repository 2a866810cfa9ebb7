"""A deliberation as a program of any language lives through it."""

import json
from collections.abc import Callable

import msgspec
import pytest

from subjects import names
from tests.clients.beside import Beside
from tests.clients.programs import Client, Said, asked, unique

SHORT = {"constraints": {"timeout_seconds": 0.3}}


def test_ask_prints_the_acknowledgement_every_piece_of_text_and_the_outcome(client: Client):
    task_id = unique()
    said = client.ask(task_id=task_id)
    assert said.code == 0, said.errors
    (accepted,) = said.on(names.REQUEST)
    (outcome,) = said.on(names.COMPLETED)
    events = said.on(names.progress(task_id))
    assert accepted["seats"] == outcome["seats"]
    assert outcome["status"] == "COMPLETED"
    texts = {each["seat"]: each["text"] for each in events if each["event"] == "delta"}
    assert texts == {
        each["proposal"]["author_id"]: each["proposal"]["content"] for each in outcome["results"]
    }


def test_a_client_makes_an_id_of_its_own_when_it_has_none(client: Client):
    first, second = client.ask(), client.ask()
    ids = {said.on(names.COMPLETED)[0]["task_id"] for said in (first, second)}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("queue", "request_fields", "subject"),
    [("broken", {}, names.FAILED), ("slow", SHORT, names.TIMEOUT)],
)
def test_ask_ends_with_whatever_outcome_there_is(
    client: Client, beside: Beside, queue: str, request_fields: dict, subject: str
):
    said = client.ask(role=beside.council(queue), **request_fields)
    assert said.code == 0, said.errors
    assert len(said.on(subject)) == 1


def test_ask_ends_when_somebody_else_cancels(client: Client, beside: Beside):
    task_id = unique()
    request = asked(task_id=task_id, role=beside.council("slow"))
    with client.start("ask", json.dumps(request)) as process:
        assert process.stdout is not None
        process.stdout.readline()  # accepted, or being worked at
        beside.send(names.CANCEL, {"task_id": task_id})
        output, _ = process.communicate(timeout=20)
    assert output.splitlines()[-1].startswith(f"{names.CANCELLED} ")


@pytest.mark.parametrize(
    ("wrong", "number", "code", "path"),
    [
        ({"role": "SALES"}, 404, "unknown_role", "$.role"),
        ({"colour": "red"}, 400, "bad_message", "$.colour"),
    ],
)
def test_a_refusal_is_told_by_number_code_and_field(
    client: Client, wrong: dict, number: int, code: str, path: str
):
    for said in (client.call(names.REQUEST, asked(**wrong)), client.ask(**wrong)):
        assert said.code == 1
        ((_, reply),) = said.lines
        assert (reply["error"]["code"], reply["error"]["path"]) == (code, path)
        assert said.errors.startswith(f"refused: {number} ")
        assert reply["error"]["message"][:30] in said.errors  # in the header it may be cut short


def test_a_request_that_nobody_serves_ends_at_once(client: Client):
    said = client.call("deliberation.nobody_serves_this")
    assert (said.code, said.lines) == (2, ())
    assert said.errors


def test_messagepack_serves_as_well_as_json(client: Client, beside: Beside):
    query = {"task_id": packed(client, names.REQUEST, asked())["task_id"]}
    assert packed(client, names.WAIT, query) == beside.send(names.GET, query)


def test_a_request_is_handed_in_while_nobody_of_ours_need_be_there(client: Client, beside: Beside):
    task_id = unique()
    subject = names.submission(task_id)
    (stored,) = client.call(subject, asked()).on(subject)
    assert stored["stream"]
    assert beside.send(names.WAIT, {"task_id": task_id})["status"] == "COMPLETED"


def test_a_refusal_comes_in_messagepack_too(client: Client):
    assert packed(client, names.GET, {"task_id": "nope"})["error"]["code"] == "unknown_task"


def packed(client: Client, subject: str, message: dict):
    """The reply to a request in MessagePack."""
    if client.language != "shell":
        return client.run("call", "--msgpack", subject, json.dumps(message)).on(subject)[0]
    body = "".join(f"\\x{byte:02x}" for byte in msgspec.msgpack.encode(message))
    with client.start("call", "--msgpack", subject, body) as process:
        output, _ = process.communicate(timeout=20)
    return msgspec.msgpack.decode(bytes.fromhex(output.split()[1]))


@pytest.mark.parametrize("language", ["node", "go", "python"])
def test_each_stored_outcome_is_read_once_however_often_the_reader_starts(
    language: str, url: str, make_client: Callable[[str, str], Client]
):
    client, name = make_client(language, url), unique("reader")
    ended = {client.ask().on(names.COMPLETED)[0]["task_id"] for _ in range(2)}
    seen = [task for _ in range(2) for task in read(client.run("outcomes", name, "1"))]
    assert len(set(seen)) == 2
    seen += read(client.run("outcomes", name, "1000"))
    assert len(set(seen)) == len(seen)
    assert ended <= set(seen)


def read(said: Said) -> list[str]:
    """The tasks whose outcomes were printed; the subject names them as the body does."""
    assert all(
        subject == names.outcome("completed", message["task_id"]) for subject, message in said.lines
    )
    return [message["task_id"] for _, message in said.lines]
