"""One engine with the bundled model for all tests of it."""

import random
import sys
from pathlib import Path

import pytest

from actors.councils.defaults import default_councils
from actors.deliberations import prompts

MODELS = Path(__file__).parents[2] / "deploy" / "models"
NANO = MODELS / "nano"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            item.add_marker(pytest.mark.timeout(420))


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


@pytest.fixture(scope="session")
def lexicon(measuring):
    from corpus.words import Lexicon

    return Lexicon("held")


@pytest.fixture(scope="session")
def proposals(engine, lexicon):
    """For 40 held-out tasks: the task and the proposals of a default council's three seats."""
    from corpus.mix import user_message
    from corpus.tasks import make_task

    rng, councils = random.Random("test:proposals"), default_councils()
    tasks = [make_task(lexicon, rng) for _ in range(40)]
    users = [
        user_message(
            task.block, [], prompts.seat_block(council.role, seat.persona, prompts.PROPOSE)
        )
        for task, council in zip(tasks, councils * 8, strict=True)
        for seat in council.seats
    ]
    answers = [one[0] for one in engine.ask(users)]
    return [(task, answers[3 * place : 3 * place + 3]) for place, task in enumerate(tasks)]
