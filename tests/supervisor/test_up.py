"""The whole system with the scripted engine: up, used, hurt, down. Slow, so few."""

import asyncio
import contextlib
import os
import re
import signal
import sys

import psutil
import pytest

from actors.bus import nats_bus
from actors.settings import BusSettings
from schemas.codec import decode
from schemas.service import PingReply
from supervisor import config, nats_server, policy, up
from supervisor.config import EmbeddedServer, SupervisorSettings
from supervisor.errors import GaveUp
from supervisor.process import Process
from supervisor.spec import ChildSpec
from tests.supervisor.children import alive, eventually, supervising

pytestmark = pytest.mark.slow

CHILDREN = ("nats-server", "registry", "dispatcher", "collector", "responder", "default-1")
SCRIPTED = {
    "nats": {"url": ""},
    "server": {"port": 0, "temporary_store": True},
    "pools": {"*": {"engine": "scripted"}},
    "supervisor": {"heartbeat_seconds": 0.5},
}


def scripted(**sections):
    """A configuration of a small system, whatever this machine's environment says."""
    return config.load(flags=SCRIPTED | sections, environ={})


async def replaced(system, child, old) -> None:
    await eventually(lambda: system.pid(child) not in (None, old), within_s=20)
    async with asyncio.timeout(20):
        await system.supervisor.ready.wait()


async def names_of_all(login) -> set[str]:
    bus = await nats_bus.connect(login, "test")
    try:
        replies = await bus.gather("$SRV.PING", b"", stall_s=0.3, total_s=3.0)
        return {decode(PingReply, reply.body).name for reply in replies}
    finally:
        await bus.close()


async def test_everybody_answers_when_it_is_ready_and_nobody_is_left_afterwards():
    async with up.running(scripted()) as system:
        pids = [system.pid(child) for child in CHILDREN]
        assert await names_of_all(system.nats) == {
            "conclave-registry",
            "conclave-dispatcher",
            "conclave-collector",
            "conclave-responder",
            "conclave-agent",
            "conclave-dead-letters",
        }
    assert not any(alive(pid) for pid in pids)


async def test_a_server_that_runs_already_is_used_and_left_alone(tmp_path):
    server = nats_server.settled(EmbeddedServer(port=0))
    theirs = nats_server.child(server, BusSettings(), tmp_path)
    async with supervising([theirs]) as other:
        await eventually(lambda: other.pid("nats-server") is not None)
        async with up.running(scripted(nats={"url": nats_server.url(server)})) as system:
            assert system.url == nats_server.url(server)
            assert system.pid("nats-server") is None
        assert alive(other.pid("nats-server"))


async def test_whoever_is_killed_is_back_while_the_others_stay():
    async with up.running(scripted()) as system:
        for child in CHILDREN:
            before = {name: system.pid(name) for name in CHILDREN}
            os.kill(before[child], signal.SIGKILL)
            await replaced(system, child, before[child])
            assert [name for name in CHILDREN if system.pid(name) != before[name]] == [child]


async def test_a_stopped_actor_is_found_out_through_nats_and_replaced():
    async with up.running(scripted()) as system:
        victim = system.pid("dispatcher")
        os.kill(victim, signal.SIGSTOP)
        await replaced(system, "dispatcher", victim)
        assert not alive(victim)


async def test_a_system_that_cannot_start_says_why(monkeypatch):
    monkeypatch.setattr(up, "CORE", ("registry", "nobody"))
    with pytest.raises(GaveUp) as raised:
        async with up.running(scripted()):
            pytest.fail("it started")
    assert raised.value.code == 70
    assert "nobody cannot run (exit code 2)" in raised.value.reason


async def test_three_copies_on_the_one_server_it_would_start_are_refused():
    wanted = scripted(retention={"durability": "cluster"})
    with pytest.raises(config.ConfigError, match=r"retention\.replicas: 3 copies"):
        async with up.running(wanted):
            pytest.fail("it started")


class Command:
    """`conclave up` as a person starts it, ready while the block lasts."""

    def __init__(self, tmp_path):
        self.lines: list[str] = []
        argv = ("up", "--port", "0", "--engine", "scripted", "--store-dir", str(tmp_path))
        env = {"PYTHONPATH": os.pathsep.join(sys.path), "NATS_URL": ""}
        self._spec = ChildSpec(id="up", argv=(sys.executable, "-m", "supervisor", *argv), env=env)

    @property
    def announced(self) -> list[str]:
        return [line for line in self.lines if line.startswith("ready ")]

    async def __aenter__(self):
        self.process = await Process.start(self._spec, self.lines.append)
        done = self.process.exited.is_set
        await eventually(lambda: bool(self.announced) or done(), within_s=40)
        assert self.announced, self.lines
        self.everybody = psutil.Process(self.process.pid).children(recursive=True)
        return self

    async def __aexit__(self, *error):
        del error
        await self.process.terminate(15.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_says_ready_once_and_ends_in_good_order(tmp_path, number):
    async with Command(tmp_path) as command:
        os.kill(command.process.pid, number)
        async with asyncio.timeout(15):
            await command.process.exited.wait()
    (announced,) = command.announced
    assert re.fullmatch(r"ready nats://127\.0\.0\.1:\d+", announced)
    assert command.process.code == 0
    assert len(command.everybody) == len(CHILDREN)
    assert not any(alive(child.pid) for child in command.everybody)


async def test_a_child_that_keeps_dying_ends_the_command_within_its_window(tmp_path):
    """As it ships: after more than five failures within 30 s everything stops, with code 70."""
    window_s = SupervisorSettings().period_seconds + SupervisorSettings().stop_timeout_seconds
    async with Command(tmp_path) as command:
        async with asyncio.timeout(window_s):
            while not command.process.exited.is_set():
                with contextlib.suppress(psutil.Error):
                    for child in psutil.Process(command.process.pid).children():
                        if "dispatcher" in child.cmdline():
                            child.kill()
                await asyncio.sleep(0.02)
        everybody = [child.pid for child in command.everybody]
    assert command.process.code == policy.ESCALATED
    assert any("giving up: dispatcher failed" in line for line in command.lines)
    assert not any(alive(pid) for pid in everybody)


async def test_a_stop_while_nats_is_away_takes_no_longer(tmp_path):
    """Actors that wait for NATS obey at once: nobody has to be killed."""
    async with Command(tmp_path) as command:
        (server,) = (child for child in command.everybody if child.name() == "nats-server")
        server.suspend()
        os.kill(command.process.pid, signal.SIGTERM)
        # nats-server has all of the time before it is killed; the rest is a busy machine's.
        async with asyncio.timeout(SupervisorSettings().stop_timeout_seconds + 15.0):
            await command.process.exited.wait()
    assert command.process.code == 0
    assert not any(alive(child.pid) for child in command.everybody)


@pytest.mark.skipif(sys.platform != "linux", reason="nats-server outlives its parent elsewhere")
async def test_a_killed_supervisor_takes_everybody_with_it(tmp_path):
    async with Command(tmp_path) as command:
        os.kill(command.process.pid, signal.SIGKILL)
        everybody = [child.pid for child in command.everybody]
        await eventually(lambda: not any(alive(pid) for pid in everybody), within_s=5.0)
