"""What a running system leaves on a machine: its processes and their listening sockets.

Every child of the supervisor carries a mark in its environment that all its descendants inherit,
those too that left its group (Ray's do): so the whole system is found, and nobody else's. Some
of Ray's overwrite their environment; those are found as descendants.
"""

import asyncio
import ipaddress
import time
from collections.abc import Iterable

import psutil
from msgspec import Struct

from supervisor.process import MARK
from supervisor.up import RunningSystem


class Listener(Struct, frozen=True):
    """A socket that waits for others: a listening TCP one, or a bound and unconnected UDP one."""

    program: str
    kind: str
    address: str
    port: int

    @property
    def loopback(self) -> bool:
        address = ipaddress.ip_address(self.address.partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_loopback


class Footprint(Struct, frozen=True):
    """Everything of one system at one moment."""

    processes: tuple[psutil.Process, ...]
    listeners: tuple[Listener, ...]

    @property
    def exposed(self) -> list[Listener]:
        """Listeners that others than this machine can reach."""
        return [listener for listener in self.listeners if not listener.loopback]


def of(system: RunningSystem, children: Iterable[str]) -> Footprint:
    """Return the footprint of a system's children, by their ids, with all their descendants."""
    marks = set()
    for child in children:
        pid = system.pid(child)
        assert pid is not None, f"{child} is not running"
        marks.add(psutil.Process(pid).environ()[MARK])
    marked = {process for process in psutil.process_iter() if _mark(process) in marks}
    processes = tuple(marked.union(*map(_descendants, marked)))
    listeners = tuple(found for process in processes for found in _listeners(process))
    return Footprint(processes, listeners)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get(MARK)
    except psutil.Error:
        return None  # gone meanwhile, or not ours


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def _listeners(process: psutil.Process) -> list[Listener]:
    try:
        program = " ".join(process.cmdline())[:80] or process.name()
        connections = process.net_connections(kind="inet")
    except psutil.Error:
        return []
    waiting = [c for c in connections if c.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)]
    return [
        Listener(program, "tcp" if c.status == psutil.CONN_LISTEN else "udp", *c.laddr)
        for c in waiting
        if c.laddr and not c.raddr
    ]


async def remains(footprint: Footprint, patience_s: float = 2.0) -> list[str]:
    """Return what is still there of a stopped system: processes alive, ports still listening."""
    give_up = time.monotonic() + patience_s
    while found := _remains(footprint):
        if time.monotonic() > give_up:
            return found
        await asyncio.sleep(0.05)
    return []


def _remains(footprint: Footprint) -> list[str]:
    alive = [p for p in footprint.processes if p.is_running() and p.status() != "zombie"]
    ports = {listener.port for listener in footprint.listeners if listener.kind == "tcp"}
    listening = {
        c.laddr.port
        for c in psutil.net_connections(kind="tcp")
        if c.status == psutil.CONN_LISTEN and c.laddr
    }
    return [*map(str, alive), *(f"port {port}" for port in sorted(ports & listening))]
