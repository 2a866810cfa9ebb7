"""The embedded nats-server: found, configured, greeted.

Only loopback listeners, unless configured otherwise; JetStream with file storage. Its ports are
chosen once, before the first start, so that after kill -9 it is back where its clients look.

It is asked for its own health too: after one failed write, as on a full disk, it says PONG and
stores nothing any more until it is started anew, although there may be room again.

SIGTERM ends it at once and in good order (it is SIGUSR2 that begins the lame-duck mode with its
two minutes).
"""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from actors.settings import BusSettings
from supervisor.config import EmbeddedServer
from supervisor.errors import AddressInUse, NoServerBinary, StoreInUse
from supervisor.spec import ChildSpec, ServerAnswers

CHILD: Final = "nats-server"

LOOPBACK: Final = "127.0.0.1"

CLOSED_CLIENTS: Final = 100
"""The server remembers so many connections that are over. It would remember 10,000, and our look at
its health is a new connection each second: it would grow by more than a MiB an hour."""

FEW_CORES: Final = 2
"""With so many cores or fewer the server keeps to one: changing threads for every message is up to
a third of what it takes, and the actors need the other (tests/bench/results/PROFILE.md)."""

LONGEST_GREETING: Final = 65_536
"""INFO of a standalone server is about 500 bytes; who sends more is no nats-server of ours."""


def binary() -> str:
    """Return the nats-server of this environment, else the one on PATH. Raises NoServerBinary."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise NoServerBinary
    return found


def settled(server: EmbeddedServer) -> EmbeddedServer:
    """Return the server's settings with ports that are free now. Raises AddressInUse."""
    with bound(server.host, server.port) as port, bound(LOOPBACK, server.http_port) as http_port:
        return replace(server, port=port, http_port=http_port)


@contextlib.contextmanager
def bound(host: str, port: int) -> Iterator[int]:
    """Hold a port, a free one for 0, and yield its number. Raises AddressInUse."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise AddressInUse(host, port, error.strerror or str(error)) from None
        yield probe.getsockname()[1]


def url(server: EmbeddedServer) -> str:
    """Return where clients on this machine find the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(server.host, server.host)  # noqa: S104 - compared, not bound
    return f"nats://{host}:{server.port}"


@contextlib.contextmanager
def store(server: EmbeddedServer) -> Iterator[Path]:
    """Hold the store directory for oneself. Raises StoreInUse.

    A lock of the kernel's, so that a killed supervisor leaves none behind.
    """
    if server.temporary_store:
        with tempfile.TemporaryDirectory(prefix="conclave-", ignore_cleanup_errors=True) as new:
            yield Path(new)
        return
    directory = Path(server.store_dir).expanduser() if server.store_dir else _data_home()
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (directory / "lock").open("w")
    except OSError as error:
        raise StoreInUse(str(directory), error.strerror or str(error)) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreInUse(str(directory), "another conclave is using it") from None
        yield directory.absolute()


def child(server: EmbeddedServer, login: BusSettings, directory: Path) -> ChildSpec:
    """Write the server's configuration file; return how it is started and known to live."""
    file = directory / "nats-server.conf"
    file.touch(mode=0o600)
    file.write_text(configuration(server, login, directory))
    answers_here = ServerAnswers(host=server.host, port=server.port, http_port=server.http_port)
    return ChildSpec(
        id=CHILD,
        argv=(binary(), "-c", str(file)),
        env=environment(os.cpu_count() or 1, os.environ),
        ready=answers_here,
        health=answers_here,
        gate=True,
        dies_with_parent=True,
    )


def environment(cores: int, outer: Mapping[str, str]) -> Mapping[str, str]:
    """Return what a server on so many cores is told by its environment, unless that is said."""
    return {"GOMAXPROCS": "1"} if cores <= FEW_CORES and "GOMAXPROCS" not in outer else {}


def configuration(server: EmbeddedServer, login: BusSettings, directory: Path) -> str:
    """Return the configuration file; JSON is a form of it that needs no quoting rules of ours."""
    settings: dict[str, object] = {
        "server_name": "conclave",
        "host": server.host,
        "port": server.port,
        "http": f"{LOOPBACK}:{server.http_port}",
        "max_payload": server.max_payload_bytes,
        "max_closed_clients": CLOSED_CLIENTS,
        "jetstream": {
            "store_dir": str(directory),
            "sync_interval": server.sync_interval,
        },
    }
    if login.token:
        settings["authorization"] = {"token": login.token}
    elif login.user:
        settings["authorization"] = {"user": login.user, "password": login.password}
    return msgspec.json.format(json.dumps(settings), indent=2) + "\n"


async def answers(host: str, port: int, login: BusSettings, timeout_s: float) -> bool:
    """Tell whether a server greets a new client, accepts it and says PONG."""
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port, limit=LONGEST_GREETING)
            try:
                greeting = await reader.readline()
                if not greeting.startswith(b"INFO "):
                    return False
                writer.write(b"CONNECT " + _introduction(login) + b"\r\nPING\r\n")
                return await reader.readline() == b"PONG\r\n"
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


async def healthy(http_port: int, timeout_s: float) -> bool:
    """Tell whether a server of this machine finds itself fit: JetStream on, every stream writable.

    The monitoring's `/healthz`; its answer's first line is all that is needed of HTTP.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(LOOPBACK, http_port)
            try:
                writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
                return (await reader.readline()).split()[1:2] == [b"200"]
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


def _introduction(login: BusSettings) -> bytes:
    said: dict[str, object] = {"verbose": False, "pedantic": False, "name": "conclave-supervisor"}
    if login.token:
        said["auth_token"] = login.token
    elif login.user:
        said |= {"user": login.user, "pass": login.password}
    return msgspec.json.encode(said)


def _data_home() -> Path:
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "conclave"
