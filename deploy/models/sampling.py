"""Ask the model through vLLM, as the agents do."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from actors.deliberations.prompts import RULES

for _name, _value in {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
}.items():
    os.environ.setdefault(_name, _value)


TOP_P = 0.95
"""What agents send by default, `actors.settings.PoolSettings`."""


@dataclass(frozen=True)
class Answer:
    """One sampled text, why it ended, and its length in tokens."""

    text: str
    reason: str
    tokens: int


class Engine:
    """One vLLM engine in this process, with the settings of the CPU recipe."""

    def __init__(self, folder: Path) -> None:
        began = time.monotonic()
        import vllm

        imported = time.monotonic()
        self.vllm = vllm
        self.llm = vllm.LLM(
            model=str(folder),
            max_model_len=4096,
            max_num_seqs=64,
            max_num_batched_tokens=4096,
            kv_cache_memory_bytes=256 << 20,
            block_size=32,
            enforce_eager=True,
            # a seeded request whose prompt is split into chunks ends the engine on a CPU (0.32)
            enable_chunked_prefill=False,
            enable_prefix_caching=True,
            disable_log_stats=True,
            structured_outputs_config={"backend": "guidance", "disable_any_whitespace": True},
        )
        self.import_seconds = imported - began
        self.start_seconds = time.monotonic() - imported

    def ask(
        self,
        users: Sequence[str],
        temperature: float = 0.8,
        max_tokens: int = 160,
        samples: int = 1,
        seed: int | None = 0,
        schemas: Sequence[dict[str, Any]] | None = None,
    ) -> list[list[Answer]]:
        """Sample answers to user messages; the system message is the agents'."""
        from vllm.sampling_params import StructuredOutputsParams

        chats = [
            [{"role": "system", "content": RULES}, {"role": "user", "content": user}]
            for user in users
        ]
        params = [
            self.vllm.SamplingParams(
                temperature=temperature,
                top_p=TOP_P,
                max_tokens=max_tokens,
                n=samples,
                seed=None if seed is None else seed + place,
                structured_outputs=StructuredOutputsParams(json=schemas[place])
                if schemas
                else None,
            )
            for place in range(len(users))
        ]
        outputs = self.llm.chat(chats, params, use_tqdm=False)
        return [
            [Answer(one.text, str(one.finish_reason), len(one.token_ids)) for one in output.outputs]
            for output in outputs
        ]

    def speed(self, users: Sequence[str], tokens: int = 64) -> float:
        """Tokens written per second with all these requests in flight."""
        params = self.vllm.SamplingParams(temperature=0.8, max_tokens=tokens, ignore_eos=True)
        chats = [
            [{"role": "system", "content": RULES}, {"role": "user", "content": user}]
            for user in users
        ]
        self.llm.chat(chats, params, use_tqdm=False)
        began = time.monotonic()
        self.llm.chat(chats, params, use_tqdm=False)
        return len(users) * tokens / (time.monotonic() - began)
