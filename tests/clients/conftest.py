"""One scripted system, and a client of it in each language."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import environment, up  # noqa: F401 - fixtures
from tests.clients import languages
from tests.clients.beside import Beside
from tests.clients.programs import Client

HERE = Path(__file__).parent
RUN_S = 120.0


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test here; its time is limited without what is installed before it, once."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.clients)
            item.add_marker(pytest.mark.timeout(RUN_S, func_only=True))


POOLS = """
[pools.default]
delta_ms = 0
[pools.slow]
queues = ["slow"]
scripted_latency_ms = 600000.0
[pools.broken]
queues = ["broken"]
scripted_failure_rate = 1.0
"""
"""Agents that answer at once, far too late, and with nothing but failures."""


@pytest.fixture(scope="session")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The configuration of the systems here."""
    file = tmp_path_factory.mktemp("pools") / "conclave.toml"
    file.write_text(POOLS)
    return file


@pytest.fixture(scope="session")
def url(up: Callable[..., tuple[Any, str]], pools: Path) -> str:  # noqa: F811
    """Where the system listens that all tests here share."""
    return up("--config", str(pools))[1]


@pytest.fixture(scope="session")
def make_client() -> Callable[[str, str], Client]:
    """Makes a client; where that cannot be, the test is skipped, or fails in CI."""

    def make(language: str, url: str) -> Client:
        try:
            return Client(language, url)
        except languages.Unavailable as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))

    return make


@pytest.fixture(scope="session", params=languages.READY)
def client(request: pytest.FixtureRequest, url: str, make_client: Callable[..., Client]) -> Client:
    """The client in each language in turn."""
    return make_client(request.param, url)


@pytest.fixture(scope="session")
def beside(url: str) -> Beside:
    """Somebody else who talks to the system."""
    return Beside(url)
