"""One engine with the bundled model for all tests of it."""

import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "deploy" / "models"
NANO = MODELS / "nano"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(180))


@pytest.fixture(scope="session")
def measuring():
    """The measuring scripts beside the model, importable; heavy only when the engine starts."""
    sys.path.insert(0, str(MODELS))
    yield
    sys.path.remove(str(MODELS))


@pytest.fixture(scope="session")
def engine(measuring):
    pytest.importorskip("vllm")
    if not (NANO / "model.safetensors").exists():
        pytest.skip("the bundled model is not there")
    from sampling import Engine

    return Engine(NANO)
