"""What vLLM is told follows from the settings."""

from pathlib import Path

import pytest

from actors.engines.models import ResolvedModel
from actors.engines.vllm_arguments import engine_arguments
from actors.settings import PoolSettings


@pytest.fixture
def model(tmp_path: Path) -> ResolvedModel:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 2048}')
    return ResolvedModel(str(tmp_path), "mine")


def told(model: ResolvedModel, *, on_cpu: bool = True, **settings):
    return engine_arguments(model, PoolSettings(**settings), on_cpu=on_cpu)


def test_a_cpu_gets_so_much_memory_and_a_gpu_its_share(model: ResolvedModel):
    cpu = told(model, kv_cache_mib=64)
    gpu = told(model, on_cpu=False, gpu_share=0.25)
    assert cpu["kv_cache_memory_bytes"] == 64 << 20
    assert "gpu_memory_utilization" not in cpu
    assert gpu["gpu_memory_utilization"] == 0.25
    assert "kv_cache_memory_bytes" not in gpu


def test_several_gpus_share_one_model(model: ResolvedModel):
    assert told(model, on_cpu=False, gpu_share=2.0)["tensor_parallel_size"] == 2


@pytest.mark.parametrize(("on_cpu", "eager"), [(True, True), (False, False)])
def test_only_cpus_run_without_compiling(model: ResolvedModel, on_cpu, eager):
    assert told(model, on_cpu=on_cpu)["enforce_eager"] is eager
    assert told(model, on_cpu=on_cpu, enforce_eager=not eager)["enforce_eager"] is not eager


def test_no_more_context_than_the_model_was_made_for(model: ResolvedModel):
    assert told(model, max_model_len=4_096)["max_model_len"] == 2_048
    assert told(model, max_model_len=512)["max_model_len"] == 512


def test_every_slot_finds_room_in_a_batch(model: ResolvedModel):
    tight = told(model, on_cpu=False, max_batched_tokens=8, max_concurrency=64)
    assert tight["max_num_batched_tokens"] == 64


def test_a_cpu_reads_every_prompt_in_one_step(model: ResolvedModel):
    cpu = told(model, max_batched_tokens=8, max_model_len=512)
    assert (cpu["enable_chunked_prefill"], cpu["max_num_batched_tokens"]) == (False, 512)


def test_a_folder_without_an_adapter_is_named(model: ResolvedModel, tmp_path: Path):
    with pytest.raises(ValueError, match=r"lora\.DEV"):
        told(model, lora={"DEV": str(tmp_path)})


def test_adapters_are_made_room_for(model: ResolvedModel, tmp_path: Path):
    (tmp_path / "adapter_config.json").write_text("{}")
    given = told(model, lora={"DEV": str(tmp_path), "QA": str(tmp_path)}, max_lora_rank=9)
    assert (given["max_loras"], given["max_lora_rank"]) == (2, 16)


def test_without_adapters_nothing_is_paid_for_them(model: ResolvedModel):
    assert "enable_lora" not in told(model)


def test_weights_are_read_the_way_that_is_set(model: ResolvedModel):
    assert told(model)["load_format"] == "auto"
    assert told(model, load_format="dummy")["load_format"] == "dummy"
