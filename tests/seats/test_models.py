"""A council of everything: vLLM agents, a Node program, a shell command, a model endpoint.

The endpoint is vLLM's own OpenAI server with the bundled model.
"""

import asyncio
import os
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.engines.models import BUNDLED_FOLDER
from actors.settings import PoolSettings
from supervisor.engines import environment as engine_environment
from tests.cli.conftest import environment, up  # noqa: F401 - fixtures
from tests.clients import languages
from tests.harness.events import until_async
from tests.seats.programs import CLIENTS, SeatProcess, conclave_seat
from tests.seats.test_programs import client, start  # noqa: F401 - fixtures

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.clients, pytest.mark.timeout(900)]
MODEL = "served-elsewhere"
PATIENCE_S = 300.0


@pytest.fixture
def url(environment: dict[str, str], tmp_path: Path) -> Any:  # noqa: F811
    """A system whose agents run the bundled model; the council is asked while it lasts."""
    pytest.importorskip("vllm")
    from subprocess import PIPE, Popen

    store = tmp_path / "store"
    flags = ["--port", "0", "--store-dir", str(store)]
    pool = {"CONCLAVE_POOLS__DEFAULT__MODEL": str(BUNDLED_FOLDER)}
    with (tmp_path / "log").open("w") as log:
        process = Popen(
            [sys.executable, "-m", "supervisor", "up", *flags],
            env=environment | pool,
            stdout=PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("ready nats://"), (tmp_path / "log").read_text()[-3_000:]
        yield line.split()[1]
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[str]:
    """Where vLLM's OpenAI server answers for the bundled model."""
    pytest.importorskip("vllm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--model", str(BUNDLED_FOLDER), "--served-model-name", MODEL]
    arguments += ["--host", "127.0.0.1", "--port", str(port), "--enforce-eager"]
    arguments += ["--max-model-len", "2048", "--block-size", "32"]
    with (tmp_path / "server.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments),
            env=os.environ
            | engine_environment(PoolSettings())
            | {"VLLM_CPU_KVCACHE_SPACE": "1", "PYTHONPATH": "."},
            stdout=log,
            stderr=log,
        )
    try:
        await until_async(lambda: _answers(process, port), within_s=PATIENCE_S)
        assert process.returncode is None, (tmp_path / "server.log").read_text()[-3_000:]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int) -> bool:
    return process.returncode is not None or await asyncio.to_thread(_greets, port)


def _greets(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def test_a_council_of_everything_deliberates(
    url: str,
    endpoint: str,
    client,  # noqa: F811
    start: Callable[..., Any],  # noqa: F811
):
    del url
    languages.client("node")
    seats: list[SeatProcess] = [
        await start(["node", str(CLIENTS / "node" / "seat.mjs"), "DEV", "node-guest"]),
        await start(
            conclave_seat(
                *("--role", "DEV", "--name", "shell-guest"),
                *("--exec", f"sh {CLIENTS / 'shell' / 'seat.sh'}"),
            )
        ),
        await start(
            conclave_seat(
                *("--role", "DEV", "--name", "model-guest"),
                *("--openai", endpoint, "--model", MODEL, "--logprobs"),
            )
        ),
    ]
    accepted = await client.ask(
        protocol="ranked", sampling={"max_tokens": 48, "seed": 7, "temperature": 0.0}
    )
    assert len(accepted.seats) == 6
    await until_async(lambda: _has(client, accepted.task_id), within_s=PATIENCE_S)
    result = await client.outcome(accepted.task_id)
    assert result.status == "COMPLETED"
    wrote = {each.proposal.author_id: each.proposal for each in result.results}
    assert {each.engine for each in wrote.values()} == {"vllm", "node", "command", "openai"}
    assert set(wrote) == set(accepted.seats)
    theirs = wrote["model-guest"]
    assert theirs.model == MODEL
    assert theirs.content.strip()
    assert theirs.usage.completion_tokens > 0
    assert theirs.logprob is not None
    assert any(each.ranking for each in result.ballots)
    pieces = [each for each in client.progress[accepted.task_id] if each.seat == "model-guest"]
    assert sum(type(each).__name__ == "TextDelta" for each in pieces) >= 1
    for seat in seats:
        assert await seat.stop() == 0


async def _has(client: Any, task_id: str) -> bool:  # noqa: F811
    return bool(client.outcomes[task_id])
