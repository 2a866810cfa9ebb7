"""Seats held by programs in other languages and by adapters, in a system of real processes."""

import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from schemas.result import Deliberation
from subjects import names
from tests.cli.conftest import environment, up  # noqa: F401 - fixtures
from tests.clients import languages
from tests.harness.events import until, until_async
from tests.harness.system import Client
from tests.seats.programs import CLIENTS, SeatProcess, conclave_seat

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture(scope="session")
def url(up: Callable[..., tuple[Any, str]]) -> str:  # noqa: F811
    """A scripted system, as a person starts it."""
    return up()[1]


@pytest.fixture
async def client(url: str) -> AsyncIterator[Client]:
    bus = await connect(BusSettings(url=url), "test")
    client = Client(bus)
    await client.listen()
    yield client
    await bus.close()


@pytest.fixture
async def start(url: str) -> AsyncIterator[Callable[..., Any]]:
    """Starts seats, each of which has joined; what is left of them is sent away."""
    started: list[SeatProcess] = []

    async def start(command: list[str], **environment: str) -> SeatProcess:  # noqa: F811
        started.append(await SeatProcess.started(command, url, **environment))
        assert "lease" in await started[-1].line()
        return started[-1]

    yield start
    for each in started:
        await each.stop()


def made(language: str) -> list[str]:
    """The command of a seat in a language; where it cannot be had, the test is skipped."""
    try:
        if language == "node":
            languages.client("node")
            return ["node", str(CLIENTS / "node" / "seat.mjs")]
        languages.client("go")
        return [languages.go_program("seat")]
    except languages.Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


async def deliberated(client: Client, role: str = "DEV", **request: Any) -> Deliberation:
    accepted = await client.ask(role, **({"protocol": "ranked"} | request))
    # Longer than a request takes that is delivered a second time in each round.
    await until(lambda: client.outcomes[accepted.task_id], within_s=60)
    return await client.outcome(accepted.task_id)


def texts(result: Deliberation) -> dict[str, str]:
    return {each.proposal.author_id: each.proposal.content for each in result.results}


async def has_left(client: Client, role: str, seat: str) -> None:
    async def left() -> bool:
        council = (await client.call(names.COUNCIL_GET, {"role": role})).body
        return seat not in {each["id"] for each in council["seats"]}

    await until_async(left)


@pytest.mark.clients
@pytest.mark.parametrize("language", ["node", "go"])
async def test_a_program_in_another_language_holds_a_seat(client: Client, start, language):
    seat = f"{language}-guest"
    process = await start([*made(language), "DEV", seat])
    result = await deliberated(client)
    assert result.status == "COMPLETED"
    assert texts(result)[seat].startswith(f"As {seat} I would")
    assert (await process.line())["answered"] == "propose"
    events = [each for each in client.progress[result.task_id] if each.seat == seat]
    assert {type(each).__name__ for each in events} >= {"SeatStarted", "TextDelta", "SeatAnswered"}
    assert await process.stop() == 0
    await has_left(client, "DEV", seat)


@pytest.mark.clients
@pytest.mark.parametrize("language", ["node", "go"])
async def test_its_ballot_is_valid(client: Client, start, language):
    """All seats of the council are its own, so every ballot is cast by it."""
    role = f"ALL-{language}"
    await client.call(names.COUNCIL_JOIN, {"role": role, "seat": "nobody", "create": True})
    seats = [await start([*made(language), role, f"{language}-{n}"]) for n in (1, 2, 3)]
    result = await deliberated(client, role, constraints={"seat_timeout_seconds": 5.0})
    cast = [each for each in result.ballots if each.ranking]
    assert {each.voter for each in cast} <= {f"{language}-{n}" for n in (1, 2, 3)}
    assert len(cast) >= 2
    for each in seats:
        assert await each.stop() == 0


@pytest.mark.clients
async def test_a_killed_program_does_not_hold_up_the_council(client: Client, start):
    """Nobody knows that it is gone until its heartbeats are missed; time is up before that."""
    process = await start([*made("node"), "QA", "node-doomed"])
    process.kill()
    result = await deliberated(client, "QA", constraints={"seat_timeout_seconds": 2.0})
    assert result.status == "COMPLETED"
    assert ("node-doomed", "abstained") in {(f.seat, f.code) for f in result.failures}


class TestCommands:
    async def test_a_shell_command_holds_a_seat(self, client: Client, start):
        command = f"sh {CLIENTS / 'shell' / 'seat.sh'}"
        flags = ["--role", "DEV", "--name", "shell-guest", "--exec", command, "--concurrency", "2"]
        process = await start(conclave_seat(*flags))
        result = await deliberated(client)
        assert result.status == "COMPLETED"
        assert "and would answer with fewer" in texts(result)["shell-guest"]
        ballots = {each.voter: each for each in result.ballots}
        voted = ballots["shell-guest"]
        assert voted.ranking or voted.abstained in ("silent", "not_needed")
        assert await process.stop() == 0
        await has_left(client, "DEV", "shell-guest")

    async def test_a_command_that_fails_fails_its_seat_and_says_why(self, client: Client, start):
        command = "echo the model is out >&2; exit 3"
        await start(conclave_seat("--role", "DATA", "--name", "broken", "--exec", command))
        result = await deliberated(client, "DATA", protocol="independent")
        (failure,) = result.failures
        assert (failure.seat, failure.code) == ("broken", "command_failed")
        assert failure.message == "exit code 3: the model is out"

    async def test_whoever_replies_on_a_subject_holds_a_seat(self, client: Client, start):
        async def reply(message: Any) -> None:
            assert message.headers["Conclave-Seat"] == "oracle"
            await client.bus.publish(message.reply, b"Reply hazy, try again.")

        oracle = await client.bus.serve("my.oracle", reply)
        flags = ["--role", "DEVOPS", "--name", "oracle", "--subject", "my.oracle"]
        process = await start(conclave_seat(*flags))
        result = await deliberated(client, "DEVOPS", protocol="independent")
        assert texts(result)["oracle"] == "Reply hazy, try again."
        await oracle.close()
        again = await deliberated(client, "DEVOPS", protocol="independent")
        assert {each.seat: each.code for each in again.failures} == {"oracle": "agent_gone"}
        assert await process.stop() == 0

    async def test_a_taken_seat_is_told_and_is_no_success(self, url: str):
        flags = ["--role", "DEV", "--name", "agent-dev-001", "--exec", "cat"]
        process = await SeatProcess.started(conclave_seat(*flags), url)
        with pytest.raises(AssertionError, match="seat agent-dev-001 of DEV is taken"):
            await process.line()
        assert await process.ended() == 1

    @pytest.mark.parametrize(
        "flags",
        [
            ["--exec", "cat", "--subject", "a.b"],
            [],
            ["--openai", "http://127.0.0.1:1/v1"],
            ["--exec", "cat", "--model", "m"],
        ],
        ids=str,
    )
    def test_what_does_not_go_together_is_wrong_usage(self, flags):
        from typer.testing import CliRunner

        from supervisor.cli.root import app

        done = CliRunner().invoke(app, ["seat", "--role", "DEV", "--name", "x", *flags])
        assert done.exit_code == 2
