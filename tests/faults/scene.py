"""The scene of a fault: a whole system under load, the ledger beside it, and means to hurt it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import psutil
from msgspec import Struct
from msgspec.structs import replace

from actors.bus import BusError
from actors.bus.nats_bus import NatsBus, connect
from actors.settings import BusSettings, Limits, PoolSettings
from supervisor.config import INHERITED, Config, EmbeddedServer, SupervisorSettings, handed_over
from supervisor.health import Answer, Prober
from supervisor.process import Process
from supervisor.spec import ChildSpec, Probe, ServiceAnswers
from supervisor.up import RunningSystem, running
from tests.faults.ledger import Ledger

BACK_S = 60.0
"""Who is not back by then is counted as not back at all."""

CORE = ("registry", "dispatcher", "collector", "responder")
AGENT = "default-1"
EVERYBODY = ("nats-server", *CORE, AGENT)


class Load(Struct, frozen=True, kw_only=True):
    """How the system is used meanwhile."""

    per_second: float = 20.0
    seats: int = 3
    timeout_s: float = 60.0
    latency_ms: float = 100.0
    pause_s: float = 13.0
    """How long who is paused stays so: more than `ack_wait`."""

    forgetful: bool = False
    """The stream does not keep outcomes until the end."""


def shipped(load: Load, **sections: object) -> Config:
    """The system as it ships, with agents without a model.

    Two settings differ: as many restarts as there are faults, soon one after the other; and the
    longest deadline is that of the load, so that a new collector reads no more than it needs.
    """
    settings = {
        "server": EmbeddedServer(port=0, temporary_store=True),
        "limits": Limits(max_timeout_seconds=load.timeout_s),
        "pools": {"default": PoolSettings(engine="scripted", scripted_latency_ms=load.latency_ms)},
        "supervisor": SupervisorSettings(max_restarts=1_000, backoff_limit_seconds=0.5),
    }
    return Config(**(settings | sections))  # type: ignore[arg-type]


class Scene:
    """A running system. `recoveries` are seconds, None for a time that did not end."""

    def __init__(self, load: Load, config: Config, system: RunningSystem | None = None) -> None:
        self.load = load
        self.config = config
        self.nats = config.nats
        self.kills = 0
        self.recoveries: list[float | None] = []
        self.problems: list[str] = []
        self.ledger: Ledger
        self.witness: NatsBus
        """A client that reaches the server whatever is done to the actors' links."""
        self._system = system
        self._spawned: dict[str, tuple[Process, Probe]] = {}

    @asynccontextmanager
    async def observed(self, tag: str) -> AsyncIterator["Scene"]:
        """Open the ledger and the witness while the block lasts, and end what was spawned."""
        async with AsyncExitStack() as stack:
            self._prober = Prober(self.nats)
            stack.push_async_callback(self._prober.close)
            self.witness = await connect(self.nats, "faults witness", timeout_s=30.0)
            stack.push_async_callback(self.witness.close)
            client = await connect(self.nats, "faults client", timeout_s=30.0)
            stack.push_async_callback(client.close)
            stack.push_async_callback(self._end_spawned)
            self.ledger = Ledger(
                client,
                seats=self.load.seats,
                timeout_s=self.load.timeout_s,
                tag=tag,
                forgetful=self.load.forgetful,
            )
            await stack.enter_async_context(self.ledger)
            yield self

    @asynccontextmanager
    async def recovering(self, within_s: float = BACK_S) -> AsyncIterator[None]:
        """The time from here to the end of the block is one recovery, and has a limit."""
        begun = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                yield
        except TimeoutError:
            self.recoveries.append(None)
            self.problems.append(f"not back within {within_s:g} s")
        else:
            self.recoveries.append(time.monotonic() - begun)

    async def pause(self) -> None:
        """Let a fault last."""
        await asyncio.sleep(self.load.pause_s)

    # ------------------------------------------------------------------------------- processes

    @property
    def system(self) -> RunningSystem:
        """The supervised system; only scenes that have one may ask."""
        assert self._system is not None
        return self._system

    async def process(self, child: str) -> psutil.Process:
        """A child's process; one that is being started anew has none for a moment."""
        if child in self._spawned:
            return psutil.Process(self._spawned[child][0].pid)
        while True:
            pid = self.system.pid(child)
            if pid is not None and (process := living(pid)) is not None:
                return process
            await asyncio.sleep(0.005)

    async def kill(self, child: str) -> None:
        """Kill -9; return when it is dead."""
        await self.kill_process(await self.process(child))

    async def kill_process(self, process: psutil.Process) -> None:
        """The same to any process."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
            self.kills += 1
        await gone(process)

    def probe(self, child: str) -> Probe:
        """What its supervisor asks to know whether it lives."""
        if child in self._spawned:
            return self._spawned[child][1]
        probe = self.system.supervisor._state[child].spec.ready
        assert probe is not None
        return probe

    async def back(self, *children: str) -> None:
        """Return when each of them answers through NATS, as its clients would ask."""
        for child in children:
            await self.answers(self.probe(child))
            if child == "nats-server":
                await self.answered("conclave-dispatcher")

    async def answers(self, probe: Probe) -> None:
        """Return when a probe is answered."""
        while await self._prober.ask(probe, 0.5) is not Answer.ALIVE:
            await asyncio.sleep(0.02)

    async def answered(self, service: str) -> None:
        """Return when any instance of a service answers."""
        await self.until(lambda: self.witness.request(f"$SRV.PING.{service}", b"", timeout_s=0.5))

    async def until(self, attempt: Callable[[], Awaitable[object]]) -> None:
        """Return when an attempt comes through and does not say False."""
        while True:
            with contextlib.suppress(BusError):
                if await attempt() is not False:
                    return
            await asyncio.sleep(0.02)

    async def spawn(self, kind: str, name: str) -> None:
        """Start one more actor that no supervisor watches, as on another machine."""
        instance = f"{name}-{os.getpid()}"
        spec = ChildSpec(
            id=name,
            argv=(
                *(sys.executable, "-m", "supervisor", "run", kind),
                *("--instance", instance, "--pool", "default", "--supervised"),
            ),
            env={INHERITED: handed_over(self.config)},
        )
        probe = ServiceAnswers(f"conclave-{kind}", instance)
        self._spawned[name] = (await Process.start(spec, lambda _: None), probe)
        await self.back(name)

    async def _end_spawned(self) -> None:
        for process, _ in self._spawned.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
            await process.terminate(10.0)


def living(pid: int) -> psutil.Process | None:
    """The process of that number; None when there is none, or but a zombie."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return process if process.status() != psutil.STATUS_ZOMBIE else None
    return None


async def gone(process: psutil.Process) -> None:
    """Return when a process is dead; a zombie that nobody has reaped is."""
    with contextlib.suppress(psutil.NoSuchProcess):
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.005)


Stage = Callable[[Load, str], contextlib.AbstractAsyncContextManager[Scene]]
"""Makes a scene: the load and the name that its deliberations begin with."""


@asynccontextmanager
async def supervised(
    load: Load, tag: str, kind: type[Scene] = Scene, **sections: object
) -> AsyncIterator[Scene]:
    """Everything on one machine, as `conclave up` runs it."""
    config = shipped(load, **sections)
    async with running(config) as system:
        scene = kind(load, replace(config, nats=system.nats), system)
        async with scene.observed(tag):
            yield scene


@asynccontextmanager
async def elsewhere(
    load: Load, tag: str, actors: BusSettings, direct: BusSettings, kind: type[Scene] = Scene
) -> AsyncIterator[Scene]:
    """The actors of one machine with a NATS that is not theirs; `direct` is how we reach it."""
    config = shipped(load, nats=actors)
    async with running(config) as system:
        scene = kind(load, config, system)
        scene.nats = direct
        async with scene.observed(tag):
            yield scene
