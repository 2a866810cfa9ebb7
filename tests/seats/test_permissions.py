"""A seat with a user of its own can do its work, and nothing else."""

import os
import socket
import subprocess
import textwrap
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from actors.bus import Unavailable
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings
from subjects import names, permissions
from subjects.streams import CHECKPOINTS, COUNCILS, DELIBERATIONS
from supervisor.nats_server import binary
from tests.harness.events import until_async
from tests.harness.system import System
from tests.seats.conftest import Program, says

FILE = Path(__file__).parents[2] / "deploy" / "nats" / "seats.conf"
QUEUE = names.seat_queue("DEV", "guest")
LONG_ENOUGH_S = 0.3


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[BusSettings]:
    """How the seat reaches a server with the example configuration."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "CONCLAVE_STORE": str(tmp_path / "store"),
        "CONCLAVE_PASSWORD": "secret",
        "GUEST_PASSWORD": "secret",
    }
    file = tmp_path / "seats.conf"
    file.write_text(FILE.read_text().replace("port: 4222", f"port: {port}"))
    server = subprocess.Popen(
        [binary(), "-c", str(file)], env=os.environ | environment, stderr=subprocess.DEVNULL
    )
    yield BusSettings(
        url=f"nats://127.0.0.1:{port}",
        user="guest",
        password="secret",
        inbox_prefix=permissions.inbox_of(QUEUE),
    )
    server.terminate()
    server.wait()


@pytest.fixture
async def whole(restricted: BusSettings) -> AsyncIterator[System]:
    """A working system under the user `conclave`."""
    settings = replace(restricted, user="conclave", inbox_prefix="_INBOX")
    system = await System.connected(settings)
    await system.core()
    await system.agent()
    yield system
    await system.close()


@pytest.fixture
async def seat(whole: System, restricted: BusSettings) -> AsyncIterator[Program]:
    """The program of the seat, which has joined."""
    del whole
    bus = await connect(restricted, "guest")
    program = Program(bus, "DEV", "guest")
    assert (await program.join()).error is None
    yield program
    await program.stop()


async def hears(listener: NatsBus, subject: str, speaker: NatsBus, spoken: str) -> bool:
    """Whether a subscription that was just made gets what is published then."""
    heard: list[bytes] = []
    await listener.listen(subject, lambda message: heard.append(message.body))
    await listener.healthy()
    await speaker.publish(spoken, b"?")
    await speaker.healthy()
    await listener.healthy()
    return bool(heard)


def test_the_example_configuration_has_exactly_these_permissions():
    block = permissions.rendered(permissions.seat("DEV", "guest"))
    assert textwrap.indent(block, " " * 6) in FILE.read_text()


async def test_the_seat_can_do_its_work(whole: System, seat: Program):
    seat.loop(says("from behind a fence"))
    result = await whole.client.outcome((await whole.client.ask(protocol="ranked")).task_id)
    assert "from behind a fence" in {each.proposal.content for each in result.results}
    assert (await seat.beat()).error is None
    assert (await seat.leave()).error is None


@pytest.mark.parametrize(
    ("subject", "spoken"),
    [
        ("agent.request.>", "agent.request.DEV"),
        ("agent.request.*", "agent.request.seat-3-DEV-other"),
        ("agent.response.*", "agent.response.t"),
        ("deliberation.opened.*", "deliberation.opened.t"),
        ("deliberation.>", "deliberation.council.join"),
        ("agent.heartbeat.*", "agent.heartbeat.seat-3-DEV-other"),
        ("_INBOX.>", "_INBOX.somebody.1"),
        (">", "deliberation.request"),
    ],
)
async def test_it_cannot_hear(whole: System, seat: Program, subject: str, spoken: str):
    assert not await hears(seat.bus, subject, whole.client.bus, spoken)


async def test_what_it_may_hear_it_hears(whole: System, seat: Program):
    inbox = permissions.inbox_of(QUEUE)
    assert await hears(seat.bus, f"{inbox}.x.*", whole.client.bus, f"{inbox}.x.1")


@pytest.mark.parametrize(
    "subject",
    [
        "agent.request.DEV",
        f"agent.request.{QUEUE}",
        "deliberation.request",
        "deliberation.opened.t",
        "deliberation.round.t",
        "deliberation.outcome.completed.t",
        "deliberation.completed",
        "deliberation.cancel",
        "deliberation.council.delete",
        "deliberation.council.stored.DEV",
        "deliberation.checkpoint",
        "agent.heartbeat.seat-3-DEV-other",
    ],
)
async def test_it_cannot_say(whole: System, seat: Program, subject: str):
    assert not await hears(whole.client.bus, subject, seat.bus, subject)


@pytest.mark.parametrize(
    "call",
    [
        f"CONSUMER.MSG.NEXT.{DELIBERATIONS}.agent-DEV",
        f"CONSUMER.INFO.{DELIBERATIONS}.agent-DEV",
        f"CONSUMER.LIST.{DELIBERATIONS}",
        f"CONSUMER.CREATE.{DELIBERATIONS}.spy",
        f"CONSUMER.DURABLE.CREATE.{DELIBERATIONS}.agent-{QUEUE}",
        f"CONSUMER.DELETE.{DELIBERATIONS}.agent-DEV",
        f"DIRECT.GET.{DELIBERATIONS}",
        f"DIRECT.GET.{COUNCILS}",
        f"STREAM.PURGE.{CHECKPOINTS}",
        f"STREAM.MSG.GET.{DELIBERATIONS}",
        f"STREAM.PURGE.{DELIBERATIONS}",
        f"STREAM.DELETE.{DELIBERATIONS}",
    ],
)
async def test_jetstream_does_nothing_else_for_it(seat: Program, call: str):
    with pytest.raises(Unavailable):
        await seat.bus.request(f"$JS.API.{call}", b"{}", timeout_s=LONG_ENOUGH_S)


async def test_a_guest_of_ours_needs_no_more(whole: System, restricted: BusSettings):
    from actors.guests.guest import Guest
    from schemas.council import CouncilJoin
    from tests.harness.engines import Talking

    bus = await connect(restricted, "guest")
    guest = Guest(bus, Talking(), CouncilJoin(role="DEV", seat="guest"), "guest")
    await guest.start()
    try:
        result = await whole.client.outcome((await whole.client.ask()).task_id)
        assert "by guest" in {each.proposal.content for each in result.results}
        assert any(each.seat == "guest" for each in whole.client.progress[result.task_id])
    finally:
        await guest.drain()
        await bus.close()

    async def left() -> bool:
        return "guest" not in (await whole.client.ask()).seats

    await until_async(left)
