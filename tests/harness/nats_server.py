"""A real nats-server on a free loopback port, with as many empty worlds as tests want."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from actors.settings import BusSettings
from supervisor.nats_server import binary

START_S = 30.0


class Server:
    """A nats-server process with JetStream on disk.

    Each account is a world of its own: its streams, subjects and services are nobody else's,
    so tests share the process and nothing more.
    """

    def __init__(self, folder: Path, *, accounts: int = 1, max_payload: int = 8_388_608) -> None:
        self.port = _free_port()
        self._names = iter([f"t{number}" for number in range(accounts)])
        self._file = folder / "nats-server.conf"
        self._log = folder / "nats-server.log"
        self._process: subprocess.Popen[bytes] | None = None
        settings = {
            "server_name": "tests",
            "host": "127.0.0.1",
            "port": self.port,
            "max_payload": max_payload,
            "max_pending": 134_217_728,
            "jetstream": {"store_dir": str(folder), "max_file_store": 4 * 2**30},
            "accounts": {f"t{number}": _account(f"t{number}") for number in range(accounts)},
        }
        self._file.write_text(json.dumps(settings))

    def account(self) -> BusSettings | None:
        """How to reach a world that nobody has used; None when there is none left."""
        name = next(self._names, None)
        if name is None:
            return None
        return BusSettings(url=f"nats://127.0.0.1:{self.port}", user=name, password="secret")

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary(), "-c", str(self._file)], stderr=log)
        deadline = time.monotonic() + START_S
        while not self._greets():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(self._log.read_text())
            time.sleep(0.01)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It hangs: connections stay open and nothing answers."""
        server = psutil.Process(self._pid())
        server.suspend()
        while server.status() != psutil.STATUS_STOPPED:  # the signal takes effect a moment later
            time.sleep(0.001)

    def resume(self) -> None:
        """The end of `pause`; harmless at any other time."""
        if self._process is not None:
            os.kill(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        assert self._process is not None
        return self._process.pid


class Worlds:
    """Empty worlds without end: when a server has none left, another is started."""

    def __init__(self, new_folder: Callable[[], Path], at_a_time: int = 100) -> None:
        self._new_folder = new_folder
        self._at_a_time = at_a_time
        self._servers: list[Server] = []

    def new(self) -> BusSettings:
        """How to reach a world that nobody has used."""
        account = self._servers[-1].account() if self._servers else None
        while account is None:
            server = Server(self._new_folder(), accounts=self._at_a_time)
            self._servers.append(server)
            server.start()
            account = server.account()
        return account

    def close(self) -> None:
        for server in self._servers:
            server.kill()


def _account(name: str) -> dict[str, object]:
    return {"jetstream": "enabled", "users": [{"user": name, "password": "secret"}]}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
