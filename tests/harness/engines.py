"""Engines with one property each, so that a test can say which one it needs."""

import asyncio
from collections.abc import AsyncIterator, Callable

from actors.engines.engine import Delta, EngineDead, Generated, Generation, GenerationRefused
from schemas.agent import Usage

SECRET = "engine-internals-7f3a"  # in an exception's text, and never to be seen by a client


class Talking:
    """Says what `text_of` says for a generation, at once."""

    name = "talking"
    model = "talking-1"

    def __init__(self, text_of: Callable[[Generation], str] = lambda each: f"by {each.seat}"):
        self.begun: list[Generation] = []
        self._text_of = text_of
        self._aborted = 0

    async def generate(self, generation: Generation) -> AsyncIterator[Delta | Generated]:
        self.begun.append(generation)
        whole = False
        try:
            async for delta in self.speak(generation):
                yield delta
            whole = True
            yield self.said(generation)
        finally:
            self._aborted += not whole

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        yield Delta(self._text_of(generation))

    def said(self, generation: Generation) -> Generated:
        text = self._text_of(generation)
        usage = Usage(prompt_tokens=7, cached_tokens=5, completion_tokens=len(text.split()))
        return Generated(content=text, usage=usage, logprob=-0.5)

    async def check(self) -> None:
        return

    def aborted(self) -> int:
        return self._aborted

    async def close(self) -> None:
        return


class Gated(Talking):
    """Says its first word, then nothing more until `gate` is set."""

    def __init__(self, seats: frozenset[str] | None = None) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self._seats = seats

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        yield Delta("by ")
        if self._seats is None or generation.seat in self._seats:
            await self.gate.wait()
        yield Delta(generation.seat)


class Streaming(Talking):
    """Says its text word by word, giving way to others in between."""

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        yield Delta("private thought", thinking=True)
        for word in self._text_of(generation).split(" "):
            yield Delta(word + " ")
            await asyncio.sleep(0)


class Dying(Talking):
    """Dies on its first generation, as an engine process does that is killed."""

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        del generation
        raise EngineDead("the engine process ended")
        yield


class Raising(Talking):
    """Has a defect, whose message is nobody's business."""

    def __init__(self, *seats: str) -> None:
        super().__init__()
        self._seats = seats

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        if not self._seats or generation.seat in self._seats:
            raise RuntimeError(SECRET)
        async for delta in super().speak(generation):
            yield delta


class Refusing(Talking):
    """Refuses the seats named, or every one, with a stable code."""

    def __init__(self, code: str, *seats: str) -> None:
        super().__init__()
        self._code = code
        self._seats = seats

    async def speak(self, generation: Generation) -> AsyncIterator[Delta]:
        if not self._seats or generation.seat in self._seats:
            raise GenerationRefused(self._code, f"{generation.seat} will not")
        async for delta in super().speak(generation):
            yield delta


class Mute(Talking):
    """Ends without a result, which no engine should."""

    async def generate(self, generation: Generation) -> AsyncIterator[Delta | Generated]:
        self.begun.append(generation)
        yield Delta("and then ")
