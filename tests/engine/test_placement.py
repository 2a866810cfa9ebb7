"""Ray places, restarts and leaves nothing behind: real processes, and an engine without a model."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import psutil
import pytest

from actors.bus import BusError
from actors.bus.nats_bus import NatsBus
from actors.settings import BusSettings, PoolSettings
from supervisor import placement
from supervisor.config import INHERITED, Config, ConfigError, handed_over

REPLICAS = 2
PATIENCE_S = 90.0


class Driver:
    """`conclave run placement` as a process, and all that it started."""

    def __init__(self, bus: NatsBus, settings: BusSettings) -> None:
        self.bus = bus
        pool = PoolSettings(engine="scripted", replicas=REPLICAS)
        config = handed_over(Config(nats=settings, pools={"default": pool}))
        argv = ("run", "placement", "--pool", "default", "--instance", "driver")
        self.process = psutil.Popen(
            [sys.executable, "-m", "supervisor", *argv],
            env=os.environ | {INHERITED: config},
            stdin=subprocess.DEVNULL,
        )
        self.seen: dict[int, psutil.Process] = {self.process.pid: self.process}

    def all(self) -> list[psutil.Process]:
        """Everything alive that the driver ever started, orphans too."""
        for process in list(self.seen.values()):
            try:
                self.seen |= {child.pid: child for child in process.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue
        return [each for each in self.seen.values() if lives(each)]

    def replicas(self) -> list[psutil.Process]:
        return [each for each in self.all() if each.name() == "ray::Replica"]

    async def answers(self, service: str, instance: str) -> bool:
        try:
            await self.bus.request(f"$SRV.PING.{service}.{instance}", b"", timeout_s=1.0)
        except BusError:
            return False
        return True

    async def ready(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            names = [("conclave-agent", f"driver-{n}") for n in range(1, REPLICAS + 1)]
            for name in (("conclave-placement", "driver"), *names):
                while not await self.answers(*name):
                    assert self.process.poll() is None, "the driver has ended"
                    await asyncio.sleep(0.1)

    async def gone_in(self) -> float:
        """Seconds until nothing is left."""
        begun = time.monotonic()
        while self.all() or self.process.poll() is None:
            await asyncio.sleep(0.1)
        return time.monotonic() - begun


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def listening(processes: list[psutil.Process]) -> set[str]:
    """The addresses at which these processes listen, IPv4 within IPv6 as IPv4."""
    return {
        connection.laddr.ip.removeprefix("::ffff:")
        for process in processes
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }


@pytest.fixture
async def driver(bus: NatsBus, nats_settings: BusSettings) -> AsyncIterator[Driver]:
    pytest.importorskip("ray", reason="Ray is not installed")
    driver = Driver(bus, nats_settings)
    yield driver
    for process in driver.all():
        process.kill()
    driver.process.wait()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_a_replica_that_dies_is_back_and_a_killed_driver_takes_all_with_it(driver: Driver):
    await driver.ready()
    assert listening(driver.all()) <= {"127.0.0.1", "::1"}
    victim = driver.replicas()[0]
    victim.kill()
    async with asyncio.timeout(PATIENCE_S):
        while lives(victim) or len(driver.replicas()) < REPLICAS:
            await asyncio.sleep(0.1)
    await driver.ready()
    driver.process.kill()
    async with asyncio.timeout(10.0):
        await driver.gone_in()


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_told_to_stop_a_driver_leaves_nothing_and_exits_0(driver: Driver):
    await driver.ready()
    driver.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(20.0):
        await driver.gone_in()
    assert driver.process.returncode == 0


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_when_ray_itself_dies_the_driver_fails_and_leaves_nothing(driver: Driver):
    await driver.ready()
    next(each for each in driver.all() if each.name() == "gcs_server").kill()
    async with asyncio.timeout(30.0):
        await driver.gone_in()
    assert driver.process.returncode == 1


def share(gpus: float, **settings: Any) -> dict[str, Any]:
    return placement._share(gpus, PoolSettings(**settings), "default")


def test_a_replica_gets_a_share_of_a_gpu_where_there_is_one():
    assert share(1.0, gpu_share=0.25, replicas=4) == {"num_gpus": 0.25}
    assert share(4.0, gpu_share=2.0, replicas=2) == {"num_gpus": 2.0}


def test_without_gpu_a_replica_gets_a_share_of_the_machine():
    assert share(0.0, cpu_share=0.5, replicas=2) == {"resources": {placement.CPU: 0.5}}


@pytest.mark.parametrize(
    "wanted",
    [
        lambda: share(1.0, gpu_share=0.3, replicas=4),
        lambda: share(1.0, gpu_share=0.9, replicas=2),
        lambda: share(1.0, gpu_share=2.0, replicas=1),
        lambda: share(0.0, cpu_share=1.0, replicas=2),
        lambda: share(0.0, cpu_share=2.0, replicas=1),
    ],
)
def test_what_finds_no_room_is_refused_and_not_waited_for(wanted: Callable[[], Any]):
    with pytest.raises(ConfigError, match="do not fit on this machine"):
        wanted()
