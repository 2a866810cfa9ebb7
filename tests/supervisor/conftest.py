"""Fixtures of the supervisor's tests."""

import pytest

from supervisor.process import Process
from tests.supervisor.children import Lines


@pytest.fixture
def lines() -> Lines:
    """What a child writes."""
    return Lines()


@pytest.fixture
async def start(lines):
    """Start a child whose lines are kept; it is gone after the test, whatever happens in it."""
    started = []

    async def start(spec, on_line=lines):
        started.append(await Process.start(spec, on_line))
        return started[-1]

    yield start
    for process in started:
        await process.kill()
