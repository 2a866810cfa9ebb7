"""An engine without a model, for load and fault tests; it runs only when asked for by name.

The same seat, task and seed give the same text. Half of the words are drawn for the task and half
for the seat, so that the seats of a council agree in part, as models do. Where a JSON schema is
given, the text is a valid instance of it.
"""

import asyncio
import json
import math
import random
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Final

from actors.engine import Delta, EngineDead, Generated, Generation, GenerationRefused
from actors.prompts import ANSWER
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
_MAX_DEPTH = 32


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
            value = json_instance(generation.response_schema, own)
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


# ---------------------------------------------------------------------------- JSON by schema

_SILENT: Final = frozenset(
    {
        "$schema",
        "$id",
        "$comment",
        "$defs",
        "definitions",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "format",
        "readOnly",
        "writeOnly",
        "additionalProperties",
    }
)
"""Keywords that ask nothing of the smallest instance."""

_ASKED: Final = {
    "object": frozenset({"properties", "required"}),
    "array": frozenset({"items", "minItems", "maxItems", "uniqueItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_EVERY = frozenset().union(*_ASKED.values())


def json_instance(schema: Mapping[str, Any], draw: random.Random) -> Any:
    """Make the smallest value that is valid under a JSON schema; where there is a choice, draw.

    Raises GenerationRefused with `bad_schema`, naming the place, for keywords not known here and
    for schemas that cannot be met.
    """
    return _Instances(schema, draw).of(schema, "$", 0)


class _Instances:
    """One walk over a schema; references lead back to its root."""

    def __init__(self, root: Mapping[str, Any], draw: random.Random) -> None:
        self._root = root
        self._draw = draw

    def of(self, schema: Any, path: str, depth: int) -> Any:
        if schema is True:
            return None
        if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
            raise _bad(path, "is no schema that can be met")
        if "$ref" in schema:
            return self.of(self._referred(schema["$ref"], path), path, depth + 1)
        for choice in ("anyOf", "oneOf"):
            if choice in schema:
                return self.of(_first(schema[choice], f"{path}.{choice}"), path, depth + 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._draw.choice(_filled(schema["enum"], f"{path}.enum"))
        kind = _kind(schema, path)
        make: Callable[[Mapping[str, Any], str, int], Any] = getattr(self, f"_{kind}")
        return make(schema, path, depth + 1)

    def _referred(self, reference: Any, path: str) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _bad(path, "refers to another document")
        found: Any = self._root
        for step in filter(None, reference[1:].split("/")):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def _object(self, schema: Mapping[str, Any], path: str, depth: int) -> Any:
        properties = schema.get("properties", {})
        return {
            name: self.of(properties.get(name, True), f"{path}.{name}", depth)
            for name in schema.get("required", ())
        }

    def _array(self, schema: Mapping[str, Any], path: str, depth: int) -> Any:
        least, items = schema.get("minItems", 0), schema.get("items", True)
        if least > schema.get("maxItems", least):
            raise _bad(path, "asks for more items than it allows")
        if isinstance(items, Mapping) and "enum" in items and least <= len(items["enum"]):
            return self._draw.sample(items["enum"], least)
        if not schema.get("uniqueItems"):
            return [self.of(items, f"{path}[{index}]", depth) for index in range(least)]
        if least > 1:
            raise _bad(path, "asks for distinct items that are no enum")
        return [self.of(items, f"{path}[0]", depth)] * least

    def _string(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        least, most = schema.get("minLength", 0), schema.get("maxLength", math.inf)
        if least > most:
            raise _bad(path, "asks for a longer string than it allows")
        word = self._draw.choice(_WORDS)
        return (word * (least // len(word) + 1))[: int(min(max(least, len(word)), most))]

    def _integer(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        least, most = _bounds(schema)
        low = math.floor(least) + 1 if "exclusiveMinimum" in schema else math.ceil(least)
        high = math.ceil(most) - 1 if "exclusiveMaximum" in schema else math.floor(most)
        if low > high:
            raise _bad(path, "leaves no integer between its bounds")
        return self._draw.randint(low, high)

    def _number(self, schema: Mapping[str, Any], path: str, _: int) -> Any:
        low, high = _bounds(schema)
        value = (low + high) / 2
        bare = {low, high} & {schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")}
        if low > high or value in bare:
            raise _bad(path, "leaves no number between its bounds")
        return value

    def _boolean(self, *_: Any) -> Any:
        return self._draw.random() < 0.5  # noqa: PLR2004

    def _null(self, *_: Any) -> Any:
        return None


def _kind(schema: Mapping[str, Any], path: str) -> str:
    """The type asked for; every other keyword must be one that type knows."""
    given = schema.get("type", "object" if "properties" in schema else "null")
    kind = given[0] if isinstance(given, list) and given else given
    if not isinstance(kind, str) or kind not in _ASKED:
        raise _bad(path, "has a type that JSON does not know")
    for keyword in schema.keys() - _SILENT - {"type"}:
        if keyword not in _EVERY:
            raise _bad(f"{path}.{keyword}", "is beyond the scripted engine")
    return kind


def _bounds(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    high = min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))
    if math.isinf(low):
        low = 0 if high > 0 else high - 10
    return low, low + 10 if math.isinf(high) else high


def _filled(options: Any, path: str) -> list[Any]:
    if not isinstance(options, list) or not options:
        raise _bad(path, "is not a list with something in it")
    return options


def _first(options: Any, path: str) -> Any:
    return _filled(options, path)[0]


def _bad(path: str, problem: str) -> GenerationRefused:
    return GenerationRefused("bad_schema", f"{path} {problem}")
