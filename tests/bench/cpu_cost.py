"""Where does the processor time of a deliberation go, in the product and in the floor?

So many at a time, each followed to its outcome; processor time (user and system) of every
process, in ms for each deliberation. Unlike latencies it hardly depends on what else runs on the
machine, so it shows what an optimisation earns.
"""

from collections import defaultdict
from collections.abc import Mapping

import psutil

from tests.bench.beside_floor import ACK, FLOOR, KINDS, Repeats, Rig, beside_floor, ended
from tests.bench.client import Block
from tests.bench.measuring import Options, Result, median

REPEATS = 5
BUDGET_S = 200.0
"""No further repeat is begun that would hardly end within this."""

IN_FLIGHT = {1: 300, 64: 2_000}
CHILDREN = ("nats-server", "dispatcher", "collector", "responder", "registry", "default-1")


async def measure(options: Options) -> Result:
    """Count for product and floor in turn, several times."""
    found: defaultdict[tuple[int, str], list[Mapping[str, float]]] = defaultdict(list)
    repeats = Repeats(options.repeats or (2 if options.quick else REPEATS), BUDGET_S)
    async with beside_floor() as rig:
        processes = _processes(rig)
        for _ in repeats:
            for in_flight, requests in IN_FLIGHT.items():
                for kind in (FLOOR, ACK):
                    count = requests // (10 if options.quick else 1)
                    await rig.send(_block(kind, in_flight, count // 5))
                    before = {name: _cpu_ms(each) for name, each in processes.items()}
                    await rig.send(_block(kind, in_flight, count))
                    used = {
                        name: (_cpu_ms(each) - before[name]) / count
                        for name, each in processes.items()
                    }
                    found[in_flight, kind].append(used | {"all": sum(used.values())})
    rows = [
        {"in flight": in_flight, "kind": kind}
        | {name: median([each[name] for each in used]) for name in used[0]}
        for (in_flight, kind), used in found.items()
    ]
    shares = {
        in_flight: median(
            [
                ours["all"] / floor["all"]
                for ours, floor in zip(found[in_flight, ACK], found[in_flight, FLOOR], strict=True)
            ]
        )
        for in_flight in IN_FLIGHT
    }
    return Result(
        bench="cpu_cost",
        question=__doc__.partition("\n")[0],
        rows=rows,
        notes=tuple(
            f"{in_flight} in flight: the product takes {share:.2f} times what the floor takes."
            for in_flight, share in shares.items()
        ),
        detail={f"{in_flight} {kind}": used for (in_flight, kind), used in found.items()},
    )


def _processes(rig: Rig) -> dict[str, psutil.Process]:
    pids = {name: rig.system.pid(name) for name in CHILDREN}
    pids |= {name: process.pid for name, process in rig.processes.items() if name != "echo"}
    return {name: psutil.Process(pid) for name, pid in pids.items()}


def _block(kind: str, in_flight: int, requests: int) -> Block:
    subject, body = KINDS[kind]
    return Block(
        subject=subject, body=body, requests=requests, in_flight=in_flight, ended=ended(kind)
    )


def _cpu_ms(process: psutil.Process) -> float:
    times = process.cpu_times()
    return 1_000 * float(times.user + times.system)
