"""Processes as an operator starts them: `conclave up` with the facade, and `conclave seat`."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from actors.settings import BusSettings
from tests.cli.conftest import ROOT, Conclave, Done, conclave, environment, up  # noqa: F401
from tests.synadia.programs import called, hosted

pytestmark = [pytest.mark.clients, pytest.mark.slow]

CONFIG = """
[synadia]
enabled = true
owner = "tests"
heartbeat_seconds = 1
"""


@pytest.fixture(scope="module")
def nats(up: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> BusSettings:  # noqa: F811
    """Where a whole system listens that shows its councils as agents."""
    file = tmp_path_factory.mktemp("config") / "conclave.toml"
    file.write_text(CONFIG)
    return BusSettings(url=up("--config", str(file))[1])


@contextmanager
def sitting(nats: BusSettings, environment: dict[str, str], agent: str) -> Iterator[None]:  # noqa: F811
    """Run `conclave seat --synadia` as long as the context lasts."""
    words = ("seat", "--role", "DEV", "--name", "guest", "--synadia", agent, "--server", nats.url)
    with subprocess.Popen(
        [sys.executable, "-m", "supervisor", *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "guest sits in DEV\n"
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


async def test_a_caller_and_an_agent_meet_in_a_council(
    nats: BusSettings,
    sdk: str,
    environment: dict[str, str],  # noqa: F811
):
    async with hosted(sdk, nats, "worker-1") as host:
        with sitting(nats, environment, "demo.tests.worker-1"):
            envelope = json.dumps({"prompt": "Add retries to the billing client"})
            found, *lines = await called(sdk, nats, "dev", envelope)
            assert found["found"] == "agents.prompt.conclave.tests.dev"
            statuses = [line["status"] for line in lines if "status" in line]
            assert "seat_answered:guest" in statuses
            assert "".join(line.get("response", "") for line in lines)
            assert "billing client" in await host.line()


def test_an_agent_that_is_not_there_takes_no_seat(nats: BusSettings, conclave: Conclave):  # noqa: F811
    words = ("--role", "DEV", "--name", "nobody", "--synadia", "demo.tests.worker-9")
    done: Done = conclave("seat", *words, "--server", nats.url)
    assert done.returncode == 3
    assert "no agent 'demo.tests.worker-9' answers" in done.stderr
    assert "conclave.tests.dev" in done.stderr
    council = json.loads(conclave("--json", "--server", nats.url, "councils", "show", "DEV").stdout)
    assert "nobody" not in {seat["id"] for seat in council["seats"]}
