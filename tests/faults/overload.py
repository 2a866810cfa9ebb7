"""`just overload`: a burst of ten times what the council can do, and what became of it.

A whole system with the scripted engine, whose capacity follows from slots and latency. Requests
arrive at intended times, whatever the system does (an open model). Then half of the capacity is
asked for, one after the other, until so many in a row were accepted and answered soon: recovered.

Exit code 1 when something accepted was lost, ended twice, late or not COMPLETED; when anything but
`overloaded` was said; when nothing was shed; or when recovery took longer than 30 s.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from statistics import median

import msgspec
import uvloop
from msgspec import Struct

from actors.bus import Bus, BusError
from actors.bus.nats_bus import connect
from actors.settings import Limits, PoolSettings
from schemas.codec import decode, encode
from schemas.deliberation import Accepted, Constraints, DeliberationRequest
from schemas.errors import ERROR_HEADER, ErrorReply
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS
from supervisor.config import Config, EmbeddedServer
from supervisor.up import running
from tests.faults.verdict import LATE_MS

RECOVERY_S = 30.0
IN_A_ROW = 10


class Plan(Struct, frozen=True, kw_only=True):
    """How much can be done, and how much more is asked for."""

    slots: int = 4
    latency_ms: float = 200.0
    factor: float = 10.0
    burst_s: float = 10.0
    backlog: int = 60
    timeout_s: float = 15.0

    @property
    def capacity(self) -> float:
        """Deliberations of one seat a second."""
        return self.slots * 1000 / self.latency_ms


class Report(Struct, frozen=True, kw_only=True):
    """What a burst found. `recovery_s` is None when there was no recovery in time."""

    plan: Plan
    sent: int
    accepted: int
    shed: int
    errors: dict[str, int]
    outcomes: dict[str, int]
    lost: list[str]
    doubled: list[str]
    late: list[str]
    longest_s: float
    hint_ms: float
    shed_p50_ms: float
    recovery_s: float | None

    @property
    def clean(self) -> bool:
        """Whether everything is as promised."""
        wrong = self.lost or self.doubled or self.late or self.errors
        all_answered = self.outcomes.keys() <= {"completed"}
        return not wrong and all_answered and self.shed > 0 and self.recovery_s is not None


class Client:
    """Asks, and writes down what it is told."""

    def __init__(self, bus: Bus, timeout_s: float) -> None:
        self.deadlines: dict[str, int] = {}
        self.shed_ms: list[float] = []
        self.hints: list[int] = []
        self.errors: Counter[str] = Counter()
        self._bus = bus
        self._timeout_s = timeout_s

    async def ask(self, task_id: str) -> bool:
        """Send one request; return whether it was accepted."""
        request = DeliberationRequest(
            task_id=task_id,
            task_description="Keep the council from drowning",
            role="DEV",
            num_agents=1,
            protocol="independent",
            constraints=Constraints(timeout_seconds=self._timeout_s),
        )
        begun = time.perf_counter()
        try:
            reply = await self._bus.request(names.REQUEST, encode(request), timeout_s=10.0)
        except BusError as error:
            self.errors[str(error)] += 1
            return False
        if ERROR_HEADER not in reply.headers:
            self.deadlines[task_id] = decode(Accepted, reply.body).deadline_ms
            return True
        error = decode(ErrorReply, reply.body).error
        if error.code == "overloaded" and error.retry_after_ms:
            self.shed_ms.append((time.perf_counter() - begun) * 1000)
            self.hints.append(error.retry_after_ms)
        else:
            self.errors[error.code] += 1
        return False


async def run(plan: Plan) -> Report:
    """Run one burst on a system of its own."""
    config = Config(
        server=EmbeddedServer(port=0, temporary_store=True),
        limits=Limits(max_backlog=plan.backlog),
        pools={
            "default": PoolSettings(
                engine="scripted",
                scripted_latency_ms=plan.latency_ms,
                max_concurrency=plan.slots,
            )
        },
    )
    async with running(config) as system:
        bus = await connect(system.nats, "overload client")
        client = Client(bus, plan.timeout_s)
        await _burst(client, plan)
        recovery_s = await _recovered(bus, client, plan)
        report = await _read(bus, client, plan, recovery_s)
        await bus.close()
    return report


async def _burst(client: Client, plan: Plan) -> None:
    rate = plan.capacity * plan.factor
    begun = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(rate * plan.burst_s)):
            await asyncio.sleep(begun + number / rate - time.monotonic())
            tasks.create_task(client.ask(f"burst-{number:05d}"))


async def _recovered(bus: Bus, client: Client, plan: Plan) -> float | None:
    """Seconds from the end of the burst to the first of so many good answers in a row."""
    begun = time.monotonic()
    first_s, row, number = 0.0, 0, 0
    while (now_s := time.monotonic() - begun) < RECOVERY_S:
        task_id = f"after-{number:05d}"
        number += 1
        if await client.ask(task_id) and await _ended_soon(bus, task_id, plan):
            first_s = first_s if row else now_s
            row += 1
        else:
            row = 0
        if row == IN_A_ROW:
            return first_s
        await asyncio.sleep(2 / plan.capacity)
    return None


async def _ended_soon(bus: Bus, task_id: str, plan: Plan) -> bool:
    """Whether a deliberation waited little beside its own time."""
    soon_s = plan.latency_ms / 1000 + 1.0
    query = msgspec.json.encode({"task_id": task_id, "timeout_seconds": soon_s})
    reply = await bus.request(names.WAIT, query, timeout_s=soon_s + 5)
    return decode(Deliberation, reply.body).status == "COMPLETED"


async def _read(bus: Bus, client: Client, plan: Plan, recovery_s: float | None) -> Report:
    """Wait for what is open, then hold the stream against what was promised."""
    give_up = time.monotonic() + plan.timeout_s + LATE_MS / 1000
    while True:
        ended = await _outcomes(bus)
        if client.deadlines.keys() <= ended.keys() or time.monotonic() > give_up:
            break
        await asyncio.sleep(0.2)
    mine = {task_id: ended.get(task_id, []) for task_id in client.deadlines}
    stored = {task_id: found[0] for task_id, found in mine.items() if found}
    return Report(
        plan=plan,
        sent=len(client.deadlines) + len(client.shed_ms) + client.errors.total(),
        accepted=len(client.deadlines),
        shed=len(client.shed_ms),
        errors=dict(client.errors),
        outcomes=dict(Counter(status for status, _, _ in stored.values())),
        lost=[task_id for task_id, found in mine.items() if not found],
        doubled=[task_id for task_id, found in mine.items() if len(found) > 1],
        late=[
            task_id
            for task_id, (_, stored_ms, _) in stored.items()
            if stored_ms > client.deadlines[task_id] + LATE_MS
        ],
        longest_s=max((took for _, _, took in stored.values()), default=0) / 1000,
        hint_ms=median(client.hints or [0]),
        shed_p50_ms=median(client.shed_ms or [0]),
        recovery_s=recovery_s,
    )


async def _outcomes(bus: Bus) -> dict[str, list[tuple[str, int, int]]]:
    """Status, time stored and duration of every outcome, by task."""
    found: dict[str, list[tuple[str, int, int]]] = {}
    start = 1
    while records := await bus.scan(DELIBERATIONS, names.ANY_OUTCOME, start):
        for record in records:
            _, _, status, task_id = record.subject.split(".")
            took = decode(Deliberation, record.body).duration_ms
            found.setdefault(task_id, []).append((status, record.stored_ms, took))
        start = records[-1].sequence + 1
    return found


def told(report: Report) -> str:
    """The report as lines for people."""
    plan = report.plan
    back = "not in time" if report.recovery_s is None else f"{report.recovery_s:.1f} s"
    wrong = {"lost": report.lost, "doubled": report.doubled, "late": report.late}
    counts = ", ".join(f"{what} {len(found)}" for what, found in wrong.items())
    return "\n".join(
        (
            f"capacity {plan.capacity:g}/s, asked {plan.capacity * plan.factor:g}/s"
            f" for {plan.burst_s:g} s, bound {plan.backlog} open",
            f"sent {report.sent}, accepted {report.accepted}, shed {report.shed}; medians:"
            f" said in {report.shed_p50_ms:.1f} ms, come again in {report.hint_ms:.0f} ms",
            f"outcomes {report.outcomes}, the longest after {report.longest_s:.1f} s"
            f" of {plan.timeout_s:g} s; {counts}, other errors {report.errors}",
            f"recovered after {back}",
        )
    )


def main() -> int:
    """Run what the command line asks for."""
    normal = Plan()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--factor", type=float, default=normal.factor, help="times the capacity")
    parser.add_argument("--burst-s", type=float, default=normal.burst_s)
    parser.add_argument("--slots", type=int, default=normal.slots)
    parser.add_argument("--latency-ms", type=float, default=normal.latency_ms)
    parser.add_argument("--backlog", type=int, default=normal.backlog)
    parser.add_argument("--timeout-s", type=float, default=normal.timeout_s)
    report = uvloop.run(run(Plan(**vars(parser.parse_args()))))
    print(told(report))
    return int(not report.clean)


if __name__ == "__main__":
    sys.exit(main())
