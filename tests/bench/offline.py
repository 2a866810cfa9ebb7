"""vLLM's own offline throughput: `LLM.generate` with everything at once, nothing of ours beside it.

python -m tests.bench.offline JOB    a `Job` as JSON; prints one `Done`, its last line
"""

import os
import sys
import time

import msgspec
from msgspec import Struct

from actors.engines.models import resolve
from actors.engines.vllm_arguments import engine_arguments
from actors.settings import PoolSettings
from supervisor import engines
from tests.bench.engine_load import Load


class Job(Struct, frozen=True):
    """What is to be written, how often, and with which engine."""

    settings: PoolSettings
    load: Load
    repeats: int


class Done(Struct, frozen=True):
    """Tokens written in each repeat, and the seconds it took."""

    tokens: list[int]
    seconds: list[float]


def run(job: Job) -> Done:
    """Generate; the first time is warm-up."""
    import torch

    on_cpu = not torch.cuda.is_available()
    os.environ.update(engines.environment(job.settings))
    if not on_cpu:  # by vLLM's default the engine has a process of its own
        os.environ.pop("VLLM_ENABLE_V1_MULTIPROCESSING")
    from vllm import LLM, SamplingParams

    arguments = engine_arguments(resolve(job.settings.model), job.settings, on_cpu=on_cpu)
    llm = LLM(**arguments | {"disable_log_stats": True})
    tokenizer = llm.get_tokenizer()
    done = Done([], [])
    for repeat in range(-1, job.repeats):
        asked = [job.load.generation(number) for number in range(job.load.texts)]
        prompts = [
            {
                "prompt_token_ids": tokenizer.apply_chat_template(
                    [{"role": each.role, "content": each.content} for each in one.messages],
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=False,
                )
            }
            for one in asked
        ]
        parameters = [
            SamplingParams(
                temperature=job.settings.temperature,
                top_p=job.settings.top_p,
                max_tokens=job.load.max_tokens,
                seed=one.sampling.seed,
            )
            for one in asked
        ]
        llm.reset_prefix_cache()
        begun = time.perf_counter()
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        if repeat >= 0:
            done.seconds.append(time.perf_counter() - begun)
            done.tokens.append(sum(len(each.outputs[0].token_ids) for each in outputs))
    return done


if __name__ == "__main__":
    print(msgspec.json.encode(run(msgspec.json.decode(sys.argv[1], type=Job))).decode())
