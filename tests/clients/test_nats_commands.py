"""Every `nats` command of the README does what it says.

The CLI may be absent here: its bytes are replayed, and the real one runs where it is installed.
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from subjects import names
from subjects.streams import DELIBERATIONS
from tests.clients import nats_cli
from tests.clients.contract import fields_of_reply
from tests.clients.nats_wire import Delivered, Wire
from tests.clients.programs import asked

README = (Path(__file__).parents[2] / "README.md").read_text()
TRIES = 5
ACTORS = ("registry", "dispatcher", "collector", "responder", "agent")

COMMANDS = tuple(
    dict.fromkeys(
        shlex.join(shlex.split(line, comments=True))
        for line in re.findall(r"^nats .+$", README, re.MULTILINE)
        + re.findall(r"`(nats [^`]+)`", README)
    )
)
"""What the README tells a person to type."""

ELSEWHERE = tuple(each for each in COMMANDS if each.startswith("nats req agents."))
"""Not our protocol: tests/synadia/test_prompts.py sends what these send."""

REFUSED = {
    ("deliberation.request", "unknown_role"),
    ("deliberation.cancel", "already_over"),
    ("deliberation.council.create", "conflict"),
    ("deliberation.council.join", "conflict"),
    ("deliberation.council.join", "unknown_role"),
}
"""Errors that the README's commands meet in its tour, or when they are typed twice."""


@pytest.fixture
def wire(url: str) -> Iterator[Wire]:
    with Wire(url) as wire:
        yield wire


@pytest.fixture
def billing(url: str) -> str:
    """The deliberation of the README's tour, which has ended."""
    tour = next(each for each in COMMANDS if names.REQUEST in each and "task_id" in each)
    _, _, subject, request, *_ = shlex.split(tour)
    query = {"task_id": json.loads(request)["task_id"]}
    with Wire(url) as wire:
        nats_cli.req(wire, subject, request.encode())
        nats_cli.req(wire, names.WAIT, json.dumps(query).encode(), timeout_s=20)
    return query["task_id"]


@pytest.mark.parametrize("command", [each for each in COMMANDS if each not in ELSEWHERE])
def test_a_command_of_the_readme_gets_what_it_asks_for(wire: Wire, billing: str, command: str):
    match shlex.split(command.replace("…", billing))[1:]:
        case ["req", subject, body, *options]:
            (reply,) = nats_cli.req(wire, subject, body.encode(), **read(options))
            check(subject, reply)
        case ["sub", subject, *options]:
            read(options)
            nats_cli.sub(wire, subject)
            wire.publish(names.REQUEST, "nobody.reads.this", json.dumps(asked()).encode())
            event = wire.receive(nats_cli.TIMEOUT_S)
            assert event is not None
            assert json.loads(event.body)["task_id"]
        case ["micro", "ls"]:
            assert_all_answer(lambda: [info.name for info in nats_cli.micro_ls(wire)])
        case ["micro", "info", name]:
            info, stats = nats_cli.micro_info(wire, name)
            assert info.name == stats.name == name
            assert subjects(info) == subjects(stats)
        case ["micro", "stats", name]:
            assert {stats.name for stats in nats_cli.micro_stats(wire, name)} == {name}
        case ["stream", "view", stream]:
            assert nats_cli.stream_view(wire, stream)
        case _:
            pytest.fail(f"nobody has written down what `{command}` sends")


def read(options: list[str]) -> dict[str, float]:
    """What the options of `nats req` and `nats sub` mean to their replay."""
    match options:
        case []:
            return {}
        case ["--raw", *others]:
            return read(others)
        case ["--timeout", seconds, *others]:
            return read(others) | {"timeout_s": float(seconds.removesuffix("s"))}
        case _:
            pytest.fail(f"nobody has written down what {options} changes")


def check(subject: str, reply: Delivered) -> None:
    """A reply is what the contract says of this endpoint, or the error that the tour tells of."""
    answer = json.loads(reply.body)
    if subject.startswith("deliberation.submit."):
        assert {"stream", "seq"} <= set(answer) <= {"stream", "seq", "duplicate"}
    elif subject == names.CONTRACT:
        assert answer["asyncapi"].startswith("3.")
    elif "Nats-Service-Error-Code" in reply.headers:
        assert (subject, answer["error"]["code"]) in REFUSED
    else:
        assert set() < set(answer) <= fields_of_reply(subject)


def subjects(described: Any) -> list[str]:
    return [endpoint.subject for endpoint in described.endpoints]


def test_headers_make_the_request_messagepack(wire: Wire):
    headers = ("Content-Type:application/msgpack",)
    body = msgspec.msgpack.encode({"limit": 1})
    (reply,) = nats_cli.req(wire, names.LIST, body, headers=headers)
    assert "deliberations" in msgspec.msgpack.decode(reply.body)


def test_a_request_nobody_listens_to_is_told_at_once(wire: Wire):
    with pytest.raises(nats_cli.NoResponders):
        nats_cli.req(wire, "deliberation.nobody_serves_this")
    with pytest.raises(nats_cli.NoResponders):
        nats_cli.micro_info(wire, "conclave-nobody")


@pytest.mark.parametrize("replies", [0, 1_000])
def test_every_actor_answers_a_request_for_many_replies_within_the_stall(wire: Wire, replies: int):
    def ping() -> list[str]:
        came = nats_cli.req(wire, "$SRV.PING", replies=replies, timeout_s=2.0)
        return [json.loads(reply.body)["name"] for reply in came]

    assert_all_answer(ping)


def assert_all_answer(ask: Callable[[], list[str]]) -> None:
    """Every actor answers before the CLI stops to listen; again if this machine was too busy."""
    names_of_all = {f"conclave-{actor}" for actor in ACTORS}
    assert any(set(ask()) >= names_of_all for _ in range(TRIES))


def test_viewing_a_stream_leaves_no_consumer_behind(wire: Wire, billing: str):
    page = nats_cli.stream_view(wire, DELIBERATIONS)
    assert page
    assert all(re.match(r"(deliberation|agent)\.[a-z]+\..", each.subject) for each in page)
    listed = wire.request(f"$JS.API.CONSUMER.NAMES.{DELIBERATIONS}", b"")
    assert not [name for name in json.loads(listed.body)["consumers"] if "pager" in name]


@pytest.mark.skipif(shutil.which("nats") is None, reason="the nats CLI is not on the PATH")
def test_the_real_cli_agrees(url: str, billing: str):
    for command in COMMANDS:
        words = shlex.split(command.replace("…", billing))
        if command in ELSEWHERE or words[1] not in ("req", "micro"):
            continue  # `sub` does not end, and `stream view` wants a terminal
        done = subprocess.run(
            [words[0], "--server", url, *words[1:]], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout, command
