"""One real engine for all tests of it, on an event loop that lasts as long."""

import gc
import json
import os
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from actors.engines.engine import Delta, Engine, Generated, Generation
from actors.engines.models import BUNDLED_FOLDER, resolve
from actors.settings import PoolSettings
from schemas.agent import ChatMessage
from schemas.council import Sampling
from supervisor.engines import environment

TUNED = "TUNED"
SLOTS = 4
LIMIT = 512


def asked(text: str, *, sampling: Sampling | None = None, **fields: Any) -> Generation:
    """One seat's question, with as much of it as a test cares for."""
    whole = {
        "request_id": "test",
        "seat": "agent-dev-001",
        "queue": "DEV",
        "messages": (ChatMessage(role="user", content=text),),
        "sampling": sampling or Sampling(max_tokens=12, seed=7),
    }
    return Generation(**(whole | fields))


async def said(engine: Engine, generation: Generation) -> tuple[str, Generated]:
    """What was streamed, and what came last."""
    pieces = [piece async for piece in engine.generate(generation)]
    *deltas, last = pieces
    assert isinstance(last, Generated)
    return "".join(each.text for each in deltas if isinstance(each, Delta)), last


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled model, or where it is not there yet an untrained one of the same family."""
    if (BUNDLED_FOLDER / "config.json").is_file():
        return BUNDLED_FOLDER
    folder = tmp_path_factory.mktemp("model") / "untrained"
    maker = Path(__file__).with_name("untrained.py")
    subprocess.run([sys.executable, str(maker), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def adapter_folder(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of random numbers, big enough to change every word."""
    torch, safetensors = import_module("torch"), import_module("safetensors.torch")
    shape = json.loads((model_folder / "config.json").read_bytes())
    width, rank, place = shape["hidden_size"], 8, "self_attn.o_proj"
    inner = shape["num_attention_heads"] * shape["head_dim"]
    weights = {}
    torch.manual_seed(1)
    for layer in range(shape["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.{place}"
        weights[f"{name}.lora_A.weight"] = torch.randn(rank, inner)
        weights[f"{name}.lora_B.weight"] = torch.randn(width, rank)
    folder = tmp_path_factory.mktemp("adapter")
    safetensors.save_file(weights, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "r": rank, "lora_alpha": 64, "target_modules": ["o_proj"]}
    (folder / "adapter_config.json").write_text(json.dumps(told))
    return folder


@pytest.fixture(scope="session")
def settings(adapter_folder: Path) -> PoolSettings:
    return PoolSettings(
        max_concurrency=SLOTS,
        max_model_len=LIMIT,
        max_batched_tokens=LIMIT,
        kv_cache_mib=128,
        default_max_tokens=24,
        max_lora_rank=8,
        lora={TUNED: str(adapter_folder)},
    )


@pytest.fixture(scope="session")
def engine_variables(settings: PoolSettings) -> Iterator[None]:
    """The environment of an engine, for the engine's tests only."""
    before = dict(os.environ)
    os.environ.update(environment(settings))
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def engine(
    model_folder: Path, settings: PoolSettings, request: pytest.FixtureRequest
) -> AsyncIterator[Any]:
    request.getfixturevalue("engine_variables")
    pytest.importorskip("vllm", reason="the engine is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the engine's libraries think of one another
        vllm_engine = import_module("actors.engines.vllm_engine")
        engine = await vllm_engine.VllmEngine.create(resolve(str(model_folder)), settings)
    yield engine
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # vLLM leaves it to the collector to close its sockets
        await engine.close()
        gc.collect()
