"""An engine without a model, for load and fault tests; it runs only when asked for by name.

The same seat, task and seed give the same text. Half of the words are drawn for the task and half
for the seat, so that the seats of a council agree in part, as models do. Where a JSON schema is
given, the text is a valid instance of it.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from actors.deliberations.prompts import ANSWER
from actors.engines.engine import Delta, EngineDead, Generated, Generation, GenerationRefused
from actors.engines.json_instance import json_instance
from actors.settings import PoolSettings
from schemas.agent import ChatMessage, Usage

_PROSE: Final = (
    "start small measure first then keep one clear boundary between parts write the test before "
    "change limit what can fail at once watch every queue name an owner for each step prefer "
    "plain data roll back early record why decide late review risk with evidence remove nobody "
    "uses isolate slow paths retry care verify inputs cache only facts ship often"
)
_WORDS: Final = tuple(_PROSE.split())
_ANSWERS: Final = ("yes", "yes", "yes", "no", "perhaps")
"""What a closed question is answered, so that a vote has a majority to find."""
_COPIED_WORDS = 6
_READ_CHARACTERS = 2_000


class ScriptedEngine:
    """Answers at once, or after `scripted_latency_ms`, with words that no model wrote.

    `scripted_failure_rate` of the generations are refused with `planted_failure`: which ones
    depends on seat, task and seed alone.
    """

    name = "scripted"
    model = "scripted"

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._aborted = 0
        self._closed = False

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        """Stream the whole text as one piece, then `Generated`; tokens are counted in words."""
        if self._closed:
            raise EngineDead("the scripted engine was closed")
        complete = False
        try:
            if self._settings.scripted_latency_ms > 0:
                await asyncio.sleep(self._settings.scripted_latency_ms / 1000)
            try:
                generated = self._write(generation)
            except GenerationRefused:
                complete = True
                raise
            yield Delta(generated.content)
            complete = True
            yield generated
        finally:
            self._aborted += not complete

    async def check(self) -> None:
        """Return: there is nothing that could die."""

    def aborted(self) -> int:
        """How many generations were given up during the latency or before their last piece."""
        return self._aborted

    async def close(self) -> None:
        """Refuse whatever follows."""
        self._closed = True

    def _write(self, generation: Generation) -> Generated:
        task = _task_of(generation.messages)
        key = f"{task}\0{generation.sampling.seed or 0}"
        own = random.Random(f"{generation.seat}\0{key}")  # noqa: S311
        if own.random() < self._settings.scripted_failure_rate:
            raise GenerationRefused("planted_failure", "scripted_failure_rate hit this seat")
        limit = generation.sampling.max_tokens or self._settings.default_max_tokens
        if generation.response_schema is None:
            words = _words(task, random.Random(key), own, self._settings.scripted_words)  # noqa: S311
            if ANSWER in generation.messages[-1].content:
                words += ["\nanswer:", own.choice(_ANSWERS)]
        else:
            value = json_instance(generation.response_schema, own, _WORDS)
            words = [json.dumps(value, separators=(",", ":"), ensure_ascii=False)]
        written = words[:limit]
        return Generated(
            content=" ".join(written),
            finish_reason="stop" if len(written) == len(words) else "length",
            usage=Usage(
                prompt_tokens=sum(len(message.content.split()) for message in generation.messages),
                completion_tokens=len(written),
            ),
            first_token_ms=self._settings.scripted_latency_ms,
            model=self.model,
        )


def _task_of(messages: Sequence[ChatMessage]) -> str:
    """What the seats of a deliberation share: the last message up to the seat's own block."""
    return messages[-1].content.partition("# Your seat")[0][:_READ_CHARACTERS]


def _words(task: str, shared: random.Random, own: random.Random, count: int) -> list[str]:
    """Words of the task, of the task's own drawing and of the seat's own drawing, mixed."""
    plain = dict.fromkeys(word.strip(".,:;!?\"'()#-").lower() for word in task.split())
    of_task = [word for word in plain if len(word) > 3 and word.isalpha()]  # noqa: PLR2004
    copied = own.sample(of_task, min(_COPIED_WORDS, len(of_task), count // 3))
    common = shared.choices(_WORDS, k=(count - len(copied)) // 2)
    words = copied + common + own.choices(_WORDS, k=count - len(copied) - len(common))
    own.shuffle(words)
    return words
