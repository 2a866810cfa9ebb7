"""What every process of a system holds at a moment, and how that changes over hours."""

import asyncio
import itertools
import statistics
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Sequence
from http.client import HTTPException
from typing import Any

import msgspec
import psutil
from msgspec import Struct

from actors.bus import BusError
from schemas.codec import decode
from schemas.service import StatsReply
from subjects.streams import DELIBERATIONS
from tests.cluster.servers import stream_info
from tests.faults.scene import EVERYBODY, Scene
from tests.faults.server_memory import own_mib

QUANTITIES = ("rss_mib", "own_mib", "threads", "fds", "tasks", "subscriptions")
"""`own_mib` is nats-server's: what it holds beside its caches (`tests/faults/server_memory.py`)."""

OF_RESIDENT = "own_mib"
"""This is told in per cent of what is resident: it is the part of it that can grow for good."""

SYSTEM = "stream"
"""The name under which the consumers of the stream stand, beside the processes."""

HOUR_S = 3_600


class Sample(Struct, frozen=True, kw_only=True):
    """One process at one moment; what cannot be asked of it is None."""

    at_s: float
    name: str
    pid: int
    held: dict[str, float]


class Trend(Struct, frozen=True, kw_only=True):
    """A quantity of a process over the whole run: its median, and its change in an hour.

    `whole` is what a change is told in per cent of, `over_s` the time from first to last sample.
    """

    name: str
    quantity: str
    samples: int
    over_s: float
    restarts: int
    median: float
    whole: float
    least: float
    most: float
    per_hour: float

    @property
    def percent_per_hour(self) -> float:
        """The change in an hour, of the whole."""
        return 100 * self.per_hour / self.whole if self.whole else 0.0


async def sample(scene: Scene, at_s: float, monitoring: str, profile: str) -> list[Sample]:
    """Look at every process, and ask the actors and nats-server what is not seen from outside."""
    tasks = await _tasks(scene)
    subscriptions = await asyncio.to_thread(_subscriptions, monitoring)
    own = await asyncio.to_thread(own_mib, profile)
    found = []
    for name in EVERYBODY:
        with_pid = await scene.process(name)
        held = _held(with_pid)
        if name in tasks:
            held["tasks"] = tasks[name]
        if name in subscriptions:
            held["subscriptions"] = subscriptions[name]
        if name == "nats-server" and own is not None:
            held["own_mib"] = own
        if held:
            found.append(Sample(at_s=at_s, name=name, pid=with_pid.pid, held=held))
    try:
        consumers = (await stream_info(scene.witness, DELIBERATIONS))["state"]["consumer_count"]
    except BusError:
        return found
    return [*found, Sample(at_s=at_s, name=SYSTEM, pid=0, held={"consumers": consumers})]


def _held(process: psutil.Process) -> dict[str, float]:
    try:
        with process.oneshot():
            return {
                "rss_mib": process.memory_info().rss / 2**20,
                "threads": process.num_threads(),
                "fds": process.num_fds(),
            }
    except psutil.Error:
        return {}


async def _tasks(scene: Scene) -> dict[str, float]:
    """The asyncio tasks of each actor, by its own count."""
    try:
        replies = await scene.witness.gather("$SRV.STATS", b"", stall_s=0.3, total_s=2.0)
    except BusError:
        return {}
    stats = [decode(StatsReply, reply.body) for reply in replies]
    return {_child(each.id): each.data["tasks"] for each in stats if "tasks" in each.data}


def _subscriptions(monitoring: str) -> dict[str, float]:
    """The subscriptions of each actor's connection, by nats-server's count."""
    connections = _monitored(monitoring, "connz?limit=1000").get("connections", ())
    return {_child(each.get("name", "")): each["subscriptions"] for each in connections}


def _monitored(monitoring: str, page: str) -> dict[str, Any]:
    """A page of nats-server's monitoring; empty while it is being killed, or hangs."""
    try:
        with urllib.request.urlopen(f"{monitoring}/{page}", timeout=2.0) as reply:  # noqa: S310
            found: dict[str, Any] = msgspec.json.decode(reply.read())
    except (OSError, HTTPException, msgspec.DecodeError):
        return {}
    return found


def _child(name: str) -> str:
    """`dispatcher dispatcher-1a2b3c` and `dispatcher-1a2b3c` are the dispatcher."""
    return name.rpartition(" ")[2].rpartition("-")[0]


def trends(samples: Iterable[Sample], *, warm_up_s: float, settling_s: float) -> list[Trend]:
    """Return the trend of every quantity of every process after the warm-up.

    The first `settling_s` of a process are left out too, each time it was started anew.
    """
    series: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    pids: defaultdict[str, list[int]] = defaultdict(list)
    born: dict[int, float] = {}
    for each in samples:
        if each.pid not in born:
            born[each.pid] = each.at_s if pids[each.name] else -settling_s
            pids[each.name].append(each.pid)
        if each.at_s >= warm_up_s and each.at_s >= born[each.pid] + settling_s:
            for quantity, value in each.held.items():
                series[each.name, quantity].append((each.at_s, value))
    medians = {key: statistics.median([value for _, value in of]) for key, of in series.items()}
    return [
        Trend(
            name=name,
            quantity=quantity,
            samples=len(points),
            over_s=points[-1][0] - points[0][0],
            restarts=len(pids[name]) - 1,
            median=medians[name, quantity],
            whole=medians[name, "rss_mib" if quantity == OF_RESIDENT else quantity],
            least=min(values),
            most=max(values),
            per_hour=slope(points) * HOUR_S,
        )
        for (name, quantity), points in series.items()
        for values in [[value for _, value in points]]
    ]


def slope(points: Sequence[tuple[float, float]], most: int = 400) -> float:
    """The change in a second: the median of the slopes of all pairs (Theil and Sen).

    Steps up and down, as a restart makes them, move it less than a steady growth does.
    """
    every = max(1, len(points) // most)
    pairs = itertools.combinations(points[::every], 2)
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairs if b[0] > a[0]]
    return statistics.median(slopes) if slopes else 0.0
