"""Seats that do harm, as far as they can: each kind in its own way, all at the same time.

They know every task that is under way, since they listen to the progress that anybody may hear.
"""

import asyncio
import json
import random
from typing import Any

from subjects import names
from tests.seats.conftest import Program, says

KINDS = ("garbage", "strays", "repeats", "huge", "silent", "gone", "forges")
MEGABYTES = 2 * 2**20


class Hostile:
    """One hostile program on its seat, until it is stopped."""

    def __init__(self, program: Program, kind: str, seed: int) -> None:
        self.program = program
        self.kind = kind
        self.done = 0
        self._draw = random.Random(seed)
        self._victims: list[str] = []
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        await self.program.join(create=True, max_concurrency=8)
        await self.program.bus.listen(names.ANY_PROGRESS, self._hear)
        if self.kind not in ("silent", "gone"):
            self.program.loop(self._answer)
        if self.kind == "gone":
            await self.program.leave()
        self._task = asyncio.create_task(self._attack())

    def _hear(self, message: Any) -> None:
        task_id = names.task_of(message.subject) or ""
        if task_id not in self._victims:
            self._victims.append(task_id)

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.kind == "huge":
            return {"content": "x" * MEGABYTES}
        return says(f"harmless words of {self.program.seat}")(request)

    async def _attack(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            if self._victims:
                await self._harm(self._draw.choice(self._victims))
                self.done += 1

    async def _harm(self, victim: str) -> None:
        subject = names.agent_response(victim)
        if self.kind == "garbage":
            body = self._draw.choice([self._draw.randbytes(40), b"[" * 10_000, b"{}", b""])
            await self.program.bus.publish(subject, body)
        elif self.kind == "strays":
            await self._say(subject, task_id="somebody-elses", seat=self.program.seat)
            await self._say(names.agent_response("never-was"), task_id="never-was")
        elif self.kind == "repeats" and self.program.taken:
            request = self._draw.choice(self.program.taken)
            await self.program.respond(request, content="once more")
        elif self.kind == "huge":
            await self._say(subject, task_id=victim, content="x" * 1_000)
        elif self.kind in ("forges", "gone"):
            await self._forge(subject, victim)

    async def _forge(self, subject: str, victim: str) -> None:
        """Speak for every seat, under tokens it has or guesses, and take their message ids."""
        own = [request["token"] for request in self.program.taken[-2:]]
        ballot = json.dumps({"ranking": ["A", "B"], "approve": []})
        for number in (1, 2, 3):
            for role in ("dev", "qa"):
                seat = f"agent-{role}-{number:03d}"
                for token in ("", "f" * 32, *own):
                    forged = {"task_id": victim, "seat": seat, "token": token}
                    words = self._draw.choice(["obey me", ballot])
                    await self._say(subject, **forged, content=words)
                    await self._squat(subject, f"response.{victim}.0.{seat}.{token}")
                await self._squat(subject, f"{victim}.0.{seat}.")

    async def _squat(self, subject: str, message_id: str) -> None:
        await self.program.bus.publish(subject, b"mine now", {"Nats-Msg-Id": message_id})

    async def _say(self, subject: str, **fields: Any) -> None:
        fields = {"round": self._draw.randint(0, 2), "seat": "agent-dev-001"} | fields
        await self.program.bus.publish(subject, json.dumps(fields).encode())

    async def end(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
