"""Fixtures of the supervisor's tests."""

import pytest

from tests.supervisor.children import Lines


@pytest.fixture
def lines() -> Lines:
    """What a child writes."""
    return Lines()
