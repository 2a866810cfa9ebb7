"""Three real nats-servers with deploy/nats/cluster.conf, each killed or cut off at will.

As root on Linux each has a network namespace of its own, so that a cut link is a cut link;
elsewhere they differ by their ports, and a partition cannot be made.
"""

import asyncio
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from actors.bus import Bus, BusError
from actors.bus.nats_bus import connect
from actors.settings import BusSettings
from supervisor.nats_server import binary

CONFIGURATION = Path(__file__).parents[2] / "deploy" / "nats" / "cluster.conf"
NAMES = ("n1", "n2", "n3")
FORMED_S = 60.0


class Place(Struct, frozen=True):
    """Where a server listens. `enter` is the command that leads there, `cable` its link's name."""

    host: str
    port: int
    route_port: int
    enter: tuple[str, ...] = ()
    cable: str = ""


class Servers:
    """The cluster. `url` names all three."""

    def __init__(self, places: dict[str, Place], folder: Path) -> None:
        self._places = places
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        addresses = [f"{place.host}:{place.port}" for place in places.values()]
        self.settings = BusSettings(url=",".join(f"nats://{each}" for each in addresses))

    def start(self, name: str) -> None:
        """Start one; it finds the others."""
        place = self._places[name]
        store = self._folder / name
        store.mkdir(exist_ok=True)
        routes = [f"nats-route://{p.host}:{p.route_port}" for p in self._places.values()]
        known = {
            "CONCLAVE_NODE": name,
            "CONCLAVE_HOST": place.host,
            "CONCLAVE_PORT": str(place.port),
            "CONCLAVE_ROUTE_PORT": str(place.route_port),
            "CONCLAVE_ROUTES": json.dumps(routes),
            "CONCLAVE_STORE": str(store),
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*place.enter, binary(), "-c", str(CONFIGURATION)],
                env=os.environ | known,
                stderr=log,
            )

    def kill(self, name: str) -> None:
        """It dies by kill -9."""
        self._processes[name].kill()
        self._processes[name].wait()

    def pause(self, name: str) -> None:
        """It hangs until `resume`."""
        os.kill(self._processes[name].pid, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """The end of `pause`."""
        os.kill(self._processes[name].pid, signal.SIGCONT)

    async def retire(self, name: str) -> None:
        """Lame-duck mode: it hands its leaderships and clients over, then ends."""
        process = self._processes[name]
        process.send_signal(signal.SIGUSR2)
        await asyncio.to_thread(process.wait)

    def unplug(self, name: str) -> None:
        """Nothing reaches it any more, and nobody is told; only with namespaces."""
        _ip("link", "set", self._places[name].cable, "down")

    def plug_in(self, name: str) -> None:
        """The end of `unplug`."""
        _ip("link", "set", self._places[name].cable, "up")

    def close(self) -> None:
        """End all."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """What one has said."""
        return (self._folder / f"{name}.log").read_text()


async def stream_info(bus: Bus, stream: str) -> Any:
    """JetStream's account of a stream, with its leader and followers. Raises BusError."""
    reply = await bus.request(f"$JS.API.STREAM.INFO.{stream}", b"")
    info = msgspec.json.decode(reply.body)
    if "error" in info:
        raise BusError(info["error"]["description"])
    return info


async def whole(bus: Bus, stream: str) -> bool:
    """Tell whether a stream has a leader, and two followers that have all of it."""
    with suppress(BusError):
        state = (await stream_info(bus, stream)).get("cluster", {})
        followers = state.get("replicas", ())
        current = [f for f in followers if f.get("current") and not f.get("offline")]
        return bool(state.get("leader")) and len(current) == len(NAMES) - 1
    return False


@asynccontextmanager
async def cluster(*, apart: bool = True) -> AsyncIterator[Servers]:
    """Three servers that have found each other, while the block lasts; `apart` where possible."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="conclave-cluster-")))
        apart = apart and not no_namespaces()
        places = stack.enter_context(_namespaces()) if apart else _ports()
        servers = Servers(places, folder)
        stack.callback(servers.close)
        for name in NAMES:
            servers.start(name)
        await _formed(servers.settings)
        yield servers


async def _formed(settings: BusSettings) -> None:
    """Return when there is a leader that knows all servers: it can place three copies."""
    bus = await connect(settings, "cluster", timeout_s=FORMED_S)
    config = {"name": "FORMED", "subjects": ["formed"], "num_replicas": len(NAMES)}
    async with asyncio.timeout(FORMED_S):
        while True:
            with suppress(BusError):
                await bus.api("STREAM.CREATE.FORMED", config)
                await bus.api("STREAM.DELETE.FORMED", {})
                break
            await asyncio.sleep(0.1)
    await bus.close()


# ------------------------------------------------------------------------------------- places


def no_namespaces() -> str:
    """Say why this machine has no network namespaces for us; empty when it has."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None:
        return "network namespaces need root on Linux, and iproute2"
    probe = f"cx{secrets.token_hex(3)}"
    if subprocess.run(["ip", "netns", "add", probe], capture_output=True, check=False).returncode:
        return "network namespaces are not allowed here"
    _ip("netns", "del", probe)
    return ""


@contextmanager
def _namespaces() -> Iterator[dict[str, Place]]:
    """A bridge in the main namespace, where clients are, and a cable to each server's own."""
    mark = f"cx{secrets.token_hex(3)}"
    net = f"10.{64 + secrets.randbelow(64)}.{secrets.randbelow(250)}"
    bridge = f"{mark}b"
    with ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{net}.254/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        places = {}
        for number, name in enumerate(NAMES, 1):
            space, cable = f"{mark}{name}", f"{mark}v{number}"
            _ip("netns", "add", space)
            stack.callback(_ip, "netns", "del", space)
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", space)
            stack.callback(_ip, "link", "del", cable)
            _ip("link", "set", cable, "master", bridge, "up")
            _ip("-n", space, "addr", "add", f"{net}.{number}/24", "dev", "eth0")
            _ip("-n", space, "link", "set", "eth0", "up")
            enter = ("ip", "netns", "exec", space)
            places[name] = Place(f"{net}.{number}", 4222, 6222, enter, cable)
        yield places


def _ports() -> dict[str, Place]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(6)]
        free = [probe.getsockname()[1] for probe in probes]
    pairs = zip(free[:3], free[3:], strict=True)
    return {
        name: Place("127.0.0.1", port, route)
        for name, (port, route) in zip(NAMES, pairs, strict=True)
    }


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
