"""The shapes of known models, without their weights: a config, a tokenizer, a chat template.

vLLM fills them with random numbers (`load_format = "dummy"`). Speed depends on the shape alone as
long as every text is as long as it may be, and one token in 151,936 is the end. Nothing is
downloaded. The figures are those of the models' published config.json.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "Qwen3-0.6B": {
        "hidden_size": 1_024,
        "intermediate_size": 3_072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "tie_word_embeddings": True,
    },
    "Qwen3-8B": {
        "hidden_size": 4_096,
        "intermediate_size": 12_288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
    },
    "small": {
        "hidden_size": 128,
        "intermediate_size": 384,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": 4_096,
        "tie_word_embeddings": True,
    },
}
"""`small` is nobody's: with it the benchmark runs from end to end where there is no card."""
COMMON: Mapping[str, Any] = {
    "vocab_size": 151_936,
    "head_dim": 128,
    "max_position_embeddings": 40_960,
    "rms_norm_eps": 1e-6,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
    "dtype": "bfloat16",
}


def shaped(name: str) -> Path:
    """Return a folder that vLLM takes for a model of this shape, making it if need be."""
    folder = Path(tempfile.gettempdir()) / f"conclave-shape-{name}"
    placeholder = folder / "model.safetensors"
    if not placeholder.is_file():
        _make(folder, COMMON | SHAPES[name])
        # A folder without weights is refused as incomplete; these are never read.
        placeholder.write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    return folder


def _make(folder: Path, shape: Mapping[str, Any]) -> None:
    import torch  # noqa: F401 - before transformers, which else believes that there is none
    from transformers import Qwen3Config

    from tests.engine.untrained import tokenizer

    words = tokenizer(shape["max_position_embeddings"], shape["vocab_size"])
    words.save_pretrained(folder)
    Qwen3Config(
        **shape,
        architectures=["Qwen3ForCausalLM"],
        bos_token_id=None,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    ).save_pretrained(folder)
