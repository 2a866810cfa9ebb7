"""The kill campaign: a steady load on a whole system while its processes die by kill -9.

Every process of `conclave up` is killed in turn. What is promised: each is back within seconds,
and every accepted deliberation ends exactly once, by its deadline.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Sequence

import psutil
from msgspec import Struct

from actors.bus import Bus, BusError
from actors.nats_bus import connect
from actors.settings import PoolSettings
from supervisor.config import Config, EmbeddedServer
from supervisor.up import RunningSystem, running
from tests.faults.ledger import Ledger, Verdict

VICTIMS = ("nats-server", "registry", "dispatcher", "collector", "responder", "default-1")
"""In the order of their dying; after the last the first is killed again."""

SERVICES = {name: f"conclave-{name}" for name in VICTIMS} | {"default-1": "conclave-agent"}
BACK_S = 30.0
SETTLE_S = 60.0


class Plan(Struct, frozen=True, kw_only=True):
    """How much, how fast, how many kills; the issue's figures by default."""

    deliberations: int = 1_000
    seats: int = 3
    per_second: float = 20.0
    latency_ms: float = 100.0
    kills: int = 10
    timeout_s: float = 60.0
    victims: tuple[str, ...] = VICTIMS


class Kill(Struct, frozen=True, kw_only=True):
    """One kill: when, whom, and the time until its service answered again (None: it did not)."""

    at_s: float
    victim: str
    back_s: float | None


class Report(Struct, frozen=True, kw_only=True):
    """What a campaign found."""

    plan: Plan
    kills: Sequence[Kill]
    verdict: Verdict
    seconds: float

    @property
    def clean(self) -> bool:
        return self.verdict.clean and all(kill.back_s is not None for kill in self.kills)


def system_of(plan: Plan) -> Config:
    """Return the system that is attacked: everything as it ships, with agents without a model."""
    return Config(
        server=EmbeddedServer(port=0, temporary_store=True),
        pools={"default": PoolSettings(engine="scripted", scripted_latency_ms=plan.latency_ms)},
    )


async def run(plan: Plan) -> Report:
    """Run a whole campaign on a system of its own."""
    begun = time.monotonic()
    async with running(system_of(plan)) as system:
        client = await connect(system.nats, "faults client")
        witness = await connect(system.nats, "faults witness")
        async with Ledger(client, seats=plan.seats, timeout_s=plan.timeout_s) as ledger:
            sending = asyncio.create_task(ledger.send(plan.deliberations, plan.per_second))
            kills = await _kill_in_turn(plan, system, witness)
            await sending
            await ledger.settled(SETTLE_S)
            verdict = ledger.verdict()
        await client.close()
        await witness.close()
    return Report(plan=plan, kills=kills, verdict=verdict, seconds=time.monotonic() - begun)


async def _kill_in_turn(plan: Plan, system: RunningSystem, witness: Bus) -> list[Kill]:
    """Kill evenly over the time of sending, each when the one before is back."""
    begun = time.monotonic()
    every_s = plan.deliberations / plan.per_second / (plan.kills + 1)
    kills: list[Kill] = []
    for number in range(plan.kills):
        await asyncio.sleep(begun + every_s * (number + 1) - time.monotonic())
        victim = plan.victims[number % len(plan.victims)]
        at_s = time.monotonic() - begun
        kills.append(Kill(at_s=at_s, victim=victim, back_s=await _kill(system, victim, witness)))
    return kills


async def _kill(system: RunningSystem, victim: str, witness: Bus) -> float | None:
    """Kill one process; return the seconds until its service answers again."""
    pid = await _pid(system, victim)
    process = psutil.Process(pid)
    begun = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while _alive(process):
        await asyncio.sleep(0.005)
    while time.monotonic() < begun + BACK_S:
        if await _answers(witness, victim):
            return time.monotonic() - begun
        await asyncio.sleep(0.02)
    return None


async def _pid(system: RunningSystem, victim: str) -> int:
    """The number of a process; one that is being started anew has none for a moment."""
    for _ in range(1_000):
        if (pid := system.pid(victim)) is not None:
            return pid
        await asyncio.sleep(0.01)
    raise LookupError(victim)


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


async def _answers(witness: Bus, victim: str) -> bool:
    """Ask through NATS, as a client would; for nats-server, an actor behind it must answer."""
    service = SERVICES["dispatcher" if victim == "nats-server" else victim]
    with contextlib.suppress(BusError):
        await witness.request(f"$SRV.PING.{service}", b"", timeout_s=0.5)
        return True
    return False
