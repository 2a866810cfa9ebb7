"""The whole system with the scripted engine: up, used, hurt, down. Slow, so few."""

import asyncio
import os
import re
import signal
import sys

import psutil
import pytest

from actors import nats_bus
from schemas.codec import decode
from schemas.service import PingReply
from supervisor import config, up
from supervisor.errors import GaveUp
from supervisor.process import MARK, Process
from supervisor.spec import ChildSpec
from tests.supervisor.children import alive, eventually, marked

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
        }
    assert not any(alive(pid) for pid in pids)


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


class Command:
    """`conclave up` as a person starts it."""

    def __init__(self, tmp_path):
        self.lines: list[str] = []
        argv = ("up", "--port", "0", "--engine", "scripted", "--store-dir", str(tmp_path))
        env = {"PYTHONPATH": os.pathsep.join(sys.path), "NATS_URL": ""}
        self.spec = ChildSpec(id="up", argv=(sys.executable, "-m", "supervisor", *argv), env=env)

    async def ready(self):
        process = await Process.start(self.spec, self.lines.append)
        await eventually(lambda: any(line.startswith("ready ") for line in self.lines), within_s=40)
        return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_says_ready_once_and_ends_in_good_order(tmp_path, number):
    command = Command(tmp_path)
    process = await command.ready()
    everybody = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, number)
    async with asyncio.timeout(15):
        await process.exited.wait()
    said = [line for line in command.lines if line.startswith("ready ")]
    assert [bool(re.fullmatch(r"ready nats://127\.0\.0\.1:\d+", line)) for line in said] == [True]
    assert process.code == 0
    assert len(everybody) == len(CHILDREN)
    assert not any(alive(child.pid) for child in everybody)


@pytest.mark.skipif(sys.platform != "linux", reason="nats-server outlives its parent elsewhere")
async def test_a_killed_supervisor_takes_everybody_with_it(tmp_path):
    process = await Command(tmp_path).ready()
    everybody = psutil.Process(process.pid).children(recursive=True)
    marks = [child.environ()[MARK] for child in everybody]
    os.kill(process.pid, signal.SIGKILL)
    await eventually(lambda: not any(alive(child.pid) for child in everybody), within_s=5.0)
    assert not any(marked(mark) for mark in marks)
