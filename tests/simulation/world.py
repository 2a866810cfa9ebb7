"""One run: a whole system under its supervisor, clients beside it, faults, peace, and a verdict."""

import asyncio
import gc
from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.bus import Message
from actors.bus.nats_bus import NatsBus
from actors.settings import BusSettings, Limits, PoolSettings
from schemas.codec import decode
from schemas.result import Deliberation
from subjects import names
from supervisor import up
from supervisor.config import Config, SupervisorSettings
from supervisor.health import Prober
from supervisor.spec import ChildSpec
from supervisor.supervisor import Supervisor
from tests.simulation.client import Client, Network, simulated_bus
from tests.simulation.clients import Caller, Intruder
from tests.simulation.ledger import Ledger, is_unfinished
from tests.simulation.leftovers import look_for_leftovers, sweep, watched
from tests.simulation.loop import EPOCH_NS, VirtualLoop
from tests.simulation.plan import HEALED_S, KILLS_A_CHILD, Plan
from tests.simulation.processes import KILLED, SimulatedProcess
from tests.simulation.weather import CALM

SETTLING_S = 1.0
"""Links that were cut last are back after this, and who starts has started."""

PATIENCE_S = 90.0
"""So long after the last deadline and the last fault everything must have come to rest."""

LEAVING_S = 40.0
"""What the server itself drops in time (a reader that is gone) is gone after this."""

ANY_AWAIT = 500
"""A process is killed within so many steps of whatever runs: at any await at all."""


class Report(Struct, frozen=True):
    """What came of a run."""

    seed: int
    violations: tuple[str, ...]
    seconds: float
    steps: int
    messages: int
    outcomes: tuple[str, ...]


class World:
    """See the module. `plan` may be changed before it begins."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.loop = VirtualLoop(seed)
        self.loop.world = self
        self.plan = Plan(self.loop.draw)
        self.violations: list[str] = []
        self.processes: list[SimulatedProcess] = []
        self.network = Network(self.loop, self.plan.weather)
        self.ledger = Ledger(self.note, self.wall_ms)
        self.healed_s = HEALED_S
        self.was_struck = False

    def note(self, violation: str) -> None:
        """Write down what must not be."""
        if violation not in self.violations:
            self.violations.append(violation)

    def wall_ms(self) -> int:
        """The server's clock."""
        return (EPOCH_NS + int(self.loop.time() * 1e9)) // 1_000_000

    def register(self, process: SimulatedProcess) -> int:
        """Take note of a new process and number it."""
        self.processes.append(process)
        return len(self.processes)

    def run(self) -> Report:
        """Let it all happen as planned, and judge."""
        with watched(self):
            try:
                self.loop.run_until_complete(self._course())
                look_for_leftovers(self)
            except Exception as error:  # noqa: BLE001 -- whatever it was, the seed must be told
                self.note(f"the run broke off: {error!r}")
            finally:
                sweep(self.loop)
                gc.collect(0)  # an error that nobody retrieved is told while somebody listens
        ends = (told[-1] for told in self.ledger.by_task.values() if told)
        return Report(
            self.seed,
            tuple(self.violations),
            self.loop.time(),
            self.loop.steps,
            self.network.sent,
            tuple(each.subject.split(".")[2] for each in ends if ".outcome." in each.subject),
        )

    async def _course(self) -> None:
        await self.begin()
        lives = [Caller(self, request).live() for request in self.plan.requests]
        if self.plan.intruder:
            lives.append(Intruder(self).live())
        for second, kind, whom, seconds in self.plan.faults:
            self.loop.call_at(second, self.strike, kind, whom, seconds)
        self.loop.call_at(HEALED_S, self.heal)
        await asyncio.gather(*lives)
        await self.end()

    # --------------------------------------------------------------------- beginning and end

    async def begin(self) -> None:
        """Start the supervisor, and somebody who hears every public event."""
        self.config = _config(self.plan)
        server = self.network.server
        server.remembers_ids = self.plan.remembers_ids
        server.stored = self.ledger.stored
        server.acknowledged = self.ledger.acknowledged
        self._observer = await self._observing()
        self._prober = Prober(self.config.nats)
        self._supervisor = Supervisor(self._children(), self.config.supervisor, self._prober.ask)
        self._supervising = asyncio.create_task(self._supervisor.run(), name="supervisor")

    def _children(self) -> Sequence[ChildSpec]:
        specs = up.children(self.config)
        twins = [_twin(spec) for spec in specs if spec.id in up.CORE]
        return (*specs, *twins) if self.plan.standby else specs

    async def _observing(self) -> NatsBus:
        client = Client(self.network, CALM, sturdy=True)
        bus = await simulated_bus(self.network, "observer", client)
        for subject in names.PUBLIC_OUTCOMES:
            await bus.listen(subject, self._on_outcome)
        return bus

    def _on_outcome(self, message: Message) -> None:
        self.ledger.public[decode(Deliberation, message.body).task_id] += 1

    async def end(self) -> None:
        """When all has come to rest, stop it in good order, and judge."""
        await self._rest()
        await asyncio.sleep(SETTLING_S)
        if self._supervising.done():
            self.note(f"the supervisor gave up: {self._supervising.result().reason}")
        self._supervisor.stop()
        await self._prober.close()
        await self._supervising
        await self._observer.close()
        self.ledger.judge(EPOCH_NS // 1_000_000 + int(self.healed_s * 1_000), self._is_troubled())
        await asyncio.sleep(LEAVING_S)

    async def _rest(self) -> None:
        is_ready = self._supervisor.ready.is_set
        while self.loop.time() < self.healed_s + SETTLING_S or not is_ready() or self._unrest():
            if self.loop.time() > self._last_s() + PATIENCE_S:
                self.note(f"no rest: ready {is_ready()}, {self._unrest()}")
                return
            await asyncio.sleep(0.5)

    def _last_s(self) -> float:
        """When the last deadline and the last fault are over."""
        deadlines = [each.deadline_ms for each in self.ledger.accepted.values()]
        return max([self.healed_s, *((each - EPOCH_NS // 1_000_000) / 1e3 for each in deadlines)])

    def _unrest(self) -> list[str]:
        busy = [
            f"consumer {each.name}: {each.backlog} waiting, {len(each.pending)} pending"
            for each in self.network.server.consumers.values()
            if not each.is_ephemeral and (each.backlog or each.pending)
        ]
        told = self.ledger.by_task.items()
        return busy + [f"{task_id} has no outcome" for task_id, each in told if is_unfinished(each)]

    def _is_troubled(self) -> bool:
        weather = self.plan.weather
        rough = weather.loss or weather.doubles or weather.overtaking
        return bool(self.was_struck or rough or self.plan.moods.get("dead"))

    # --------------------------------------------------------------------------------- faults

    def strike(self, kind: str, whom: str, seconds: float) -> None:
        """Let a fault happen to somebody of a kind."""
        self.was_struck = True
        seconds = min(seconds, self.healed_s - self.loop.time())
        alive = [each for each in self.processes if not each.exited.is_set() and each.kind == whom]
        if kind == "server":
            self.network.crash(seconds)
        elif kind in ("cut", "hole"):
            self._strike_link(kind, self._clients(whom, alive), seconds)
        elif alive:
            process = self.loop.draw.choice(alive)
            if kind == "freeze":
                process.freeze(seconds)
            elif self._killed(process.spec.id) < KILLS_A_CHILD:
                self.loop.in_steps(self.loop.draw.randint(0, ANY_AWAIT), process.die)

    def _clients(self, whom: str, alive: Sequence[SimulatedProcess]) -> list[Client]:
        if whom == "client":
            return [each for each in self.network.clients if not each.sturdy]
        return [client for process in alive for client in process.clients]

    def _strike_link(self, kind: str, clients: Sequence[Client], seconds: float) -> None:
        if clients:
            client = self.loop.draw.choice(clients)
            (client.cut if kind == "cut" else client.black_hole)(seconds)

    def _killed(self, child: str) -> int:
        return sum(each.spec.id == child and each.code == KILLED for each in self.processes)

    def heal(self) -> None:
        """Let nothing more go wrong."""
        self.network.weather = replace(CALM, delay_s=self.plan.weather.delay_s)
        self.loop.forget_plans()
        for process in self.processes:
            process.thaw()


def _twin(spec: ChildSpec) -> ChildSpec:
    """A second one of the same kind."""
    first = spec.argv[spec.argv.index("--instance") + 1]
    second = f"{first}-2"
    argv = tuple(second if word == first else word for word in spec.argv)
    probe: Any = replace(spec.ready, instance=second)  # type: ignore[type-var]
    return replace(spec, id=f"{spec.id}-2", argv=argv, ready=probe, health=probe)


def _config(plan: Plan) -> Config:
    pool = PoolSettings(
        engine="scripted",
        queues=("DEV", "QA"),
        replicas=plan.agents,
        max_concurrency=plan.slots,
        scripted_words=6,
    )
    return Config(
        nats=BusSettings(url="simulated"),
        limits=Limits(max_timeout_seconds=60.0),
        supervisor=SupervisorSettings(heartbeat_seconds=6.0, missed_heartbeats=2),
        pools={"default": pool},
    )
