"""An engine with moods: quick, slow, straggling, refusing, broken or dead, as the seed has it."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from actors.engines.engine import Delta, EngineDead, Generated, Generation, GenerationRefused
from actors.engines.scripted_engine import ScriptedEngine
from actors.settings import PoolSettings

BROKEN = ("", "{", '{"ranking": []}', "[" * 300, '{"answer": "\\ud800"}', "answer:", ">>> A")
"""Texts that are no ballot and no closed answer."""


class Planted(Exception):
    """A failure on purpose, so that no other is taken for it."""


class MoodyEngine:
    """The scripted engine behind whatever a real one may do. `moods` weighs them."""

    name = "scripted"
    model = "scripted"

    def __init__(self, settings: PoolSettings, draw: random.Random, moods: dict[str, float]):
        self._scripted = ScriptedEngine(settings)
        self._draw = draw
        self._moods = moods

    async def generate(self, generation: Generation) -> AsyncGenerator[Delta | Generated, None]:
        mood = self._draw.choices(list(self._moods), list(self._moods.values()))[0]
        await asyncio.sleep(self._draw.random() * (20.0 if mood == "straggling" else 0.3))
        if mood == "refusing":
            raise GenerationRefused("planted_refusal", "not in the mood")
        if mood == "broken":
            raise Planted
        if mood == "dead":
            raise EngineDead("planted")
        if mood == "babbling":
            yield Generated(content=self._draw.choice(BROKEN))
            return
        async with aclosing(self._scripted.generate(generation)) as pieces:
            async for piece in pieces:
                yield piece

    async def check(self) -> None:
        return

    def aborted(self) -> int:
        return self._scripted.aborted()

    async def close(self) -> None:
        await self._scripted.close()
