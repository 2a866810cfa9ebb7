"""The command line as a person has it: real processes, and one scripted system to talk to."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from supervisor.cli.root import app

ROOT = Path(__file__).parents[2]
Done = subprocess.CompletedProcess[str]
Conclave = Callable[..., Done]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which nothing points at a server."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("CONCLAVE_", "NATS_"))
    }
    home = str(tmp_path_factory.mktemp("home"))
    return inherited | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home}


@pytest.fixture
def conclave(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Conclave:
    """Runs `conclave` with these arguments inside this process, which saves a second each time."""
    for name in set(os.environ) - set(environment):
        monkeypatch.delenv(name)

    def run(*arguments: str, stdin: str = "", **env: str) -> Done:
        done = CliRunner().invoke(app, arguments, input=stdin, env=environment | env)
        if isinstance(done.exception, Exception):
            raise done.exception
        return Done(arguments, done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def up(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., tuple[subprocess.Popen[str], str]]]:
    """Starts `conclave up --engine scripted` on a free port; returns its process and url."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
        store = tmp_path_factory.mktemp("store")
        flags = ("--engine", "scripted", "--port", "0", "--store-dir", str(store))
        with (store / "log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "supervisor", "up", *flags, *arguments],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready nats://"), (store / "log").read_text()
        return process, line.split()[1]

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture(scope="session")
def url(up: Callable[..., tuple[subprocess.Popen[str], str]]) -> str:
    """Where a scripted system listens that tests share."""
    return up()[1]
