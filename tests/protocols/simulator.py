"""A council in a bad world, simulated: one seed, one course of events, no clock and no network.

What decides is the real code (`actors/rounds.py`, `actors/protocols`, `actors/history.py`,
`actors/outcome.py`); the stream, the agents and the collectors' loops are played here. Answers
are slow, lost, sent twice, out of order, broken or forged; asks are delivered twice; stores fail,
or succeed without a receipt; collectors crash, begin anew from the stream, and race.
"""

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from actors import history, outcome
from actors.bus import Record
from actors.deliberation import Conclude, OpenRound, State
from actors.json_instance import json_instance
from actors.rounds import asks, decide
from schemas.agent import AgentRequest, AgentResponse, SeatFailure, Usage
from schemas.codec import encode
from schemas.deliberation import Constraints, RoundOpened
from subjects import names
from tests.harness.builders import opened

LIMIT = 1_000_000
TIMEOUT_MS = 20_000
LATE_MS = 4_000
"""How long after the deadline an outcome may be stored: crashes, lost receipts, slow stores."""

WORDS = [
    "retry",
    "ledger",
    "key",
    "outbox",
    "queue",
    "worker",
    "once",
    "never",
    "jitter",
    "budget",
    "alarm",
    "owner",
]
BROKEN = ("", "{", '{"ranking": []}', "[" * 5_000, '{"answer": "\\ud800"}', "answer:", ">>> A")


class World:
    """One deliberation from its opening until nothing more happens."""

    def __init__(self, protocol: str, seed: int) -> None:
        self.draw = random.Random(f"{protocol}/{seed}")
        self.seen: Counter[str] = Counter()
        self.log: list[Record] = []
        self.now = 1_000
        self._asked: set[str] = set()
        self._agenda: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._steps = 0
        self.opened = _drawn(protocol, self.draw)
        self.collectors = [Collector(self, n) for n in range(self.draw.choice([1, 2]))]

    @property
    def task_id(self) -> str:
        return self.opened.task_id

    def run(self) -> "World":
        self.append(names.opened(self.task_id), encode(self.opened))
        self.later(self.draw.randint(0, TIMEOUT_MS), self._stray)
        for collector in self.collectors:
            if self.maybe(0.4):
                self.later(self.draw.randint(0, TIMEOUT_MS), collector.crash)
        while self._agenda:
            self.now, _, act, arguments = heapq.heappop(self._agenda)
            act(*arguments)
        return self

    # ------------------------------------------------------------------------------ chance

    def maybe(self, chance: float) -> bool:
        return self.draw.random() < chance

    def later(self, delay_ms: int, act: Callable[..., None], *arguments: Any) -> None:
        self._steps += 1  # of two at the same time, the one planned first
        heapq.heappush(self._agenda, (self.now + delay_ms, self._steps, act, arguments))

    # ------------------------------------------------------------------------------ the stream

    def append(self, subject: str, body: bytes) -> None:
        record = Record(subject, body, {}, len(self.log) + 1, self.now)
        self.log.append(record)
        for collector in self.collectors:
            self.later(self.draw.choice([1, 2, 30]), collector.hear, record.sequence)
        if subject.startswith(("deliberation.opened.", "deliberation.round.")):
            for _ in range(1 + self.maybe(0.2)):
                self.later(self.draw.randint(1, 200), self._dispatch, record)

    def stored(self, kind: str) -> list[Record]:
        return [each for each in self.log if each.subject.startswith(f"deliberation.{kind}.")]

    def compare_and_set(self, subject: str, body: bytes, kind: str, after: int) -> bool:
        last = max((each.sequence for each in self.stored(kind)), default=0)
        if last != after:
            self.seen["conflicts"] += 1
            return False
        self.append(subject, body)
        return True

    # ---------------------------------------------------------------------- dispatcher, agents

    def _dispatch(self, record: Record) -> None:
        is_round = record.subject.startswith("deliberation.round.")
        state = history.refolded(self.log[0], self.log[1:], record if is_round else self.log[0])
        for ask in asks(state) if self.now < self.opened.deadline_ms else ():
            message_id = f"{ask.request.round}.{ask.request.seat}"
            if message_id not in self._asked or self.maybe(0.3):
                self._asked.add(message_id)
                self._speak(ask.request)

    def _speak(self, request: AgentRequest) -> None:
        if self.maybe(0.08):
            self.seen["lost"] += 1
            return
        slow = self.draw.choices([300, 3_000, 30_000], [85, 12, 3])[0]
        for number in range(1 + self.maybe(0.15)):
            self.seen["doubles"] += number
            self.later(self.draw.randint(5, slow), self._answer, request)

    def _answer(self, request: AgentRequest) -> None:
        if self.now < request.deadline_ms or self.maybe(0.2):
            self.append(names.agent_response(self.task_id), encode(_said(request, self.draw)))

    def _stray(self) -> None:
        """What nobody should store, and somebody may."""
        base = {"task_id": self.task_id, "round": self.draw.randint(0, 9), "seat": "s1"}
        fields = base | self.draw.choice([{}, {"seat": "stranger"}, {"task_id": "another"}])
        forged = encode(AgentResponse(**fields, content="forged"))
        self.append(names.agent_response(self.task_id), self.draw.choice([b"{", forged]))


class Collector:
    """The loop of `actors/collector.py` on the simulated stream."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._skew_ms = number * world.draw.randint(-50, 50)
        self._life = 0
        self._up = True
        self._forget()

    def _forget(self) -> None:
        self._state: State | None = None
        self._read = self._last_round = 0
        self._deciding = False

    def crash(self) -> None:
        self._world.seen["crashes"] += 1
        self._life += 1
        self._up = False
        self._forget()
        self._world.later(self._world.draw.randint(50, 1_000), self._restart)

    def _restart(self) -> None:
        self._up = True
        self._fold(len(self._world.log))
        self._judge(self._life)

    def hear(self, sequence: int) -> None:
        if self._up and sequence > self._read:
            self._fold(sequence)
            self._judge(self._life)

    def _fold(self, sequence: int) -> None:
        for record in self._world.log[self._read : sequence]:
            if record.subject.startswith("deliberation.opened."):
                self._state = history.opening(record)
            elif record.subject.startswith("deliberation.outcome."):
                self._state = None
            elif self._state is not None:
                self._state = history.folded(self._state, record)
                if record.subject.startswith("deliberation.round."):
                    self._last_round = record.sequence
                    self._deciding = False
        self._read = sequence

    def _judge(self, life: int) -> None:
        if self._state is None or self._deciding or life != self._life:
            return
        now = self._world.now + self._skew_ms
        decision = decide(self._state, now)
        if decision.command is None:
            self._world.later(max(decision.look_again_ms - now, 0), self._judge, life)
            return
        self._deciding = True
        store = self._decision(self._state, decision.command, now)
        self._world.later(self._world.draw.choice([1, 5, 60, 400]), self._store, store, life)

    def _decision(
        self, state: State, command: Conclude | OpenRound, now: int
    ) -> tuple[str, bytes, str, int]:
        task_id = self._world.task_id
        if isinstance(command, Conclude):
            told = outcome.result(state, command.status, now, command.reason)
            subject = names.outcome(command.status.lower(), task_id)
            return subject, outcome.fitted(told, LIMIT), "outcome", 0
        following = RoundOpened(
            task_id=task_id,
            round=state.round.round + 1,
            stage=command.stage,
            seats=command.seats,
            heard=len(state.answers),
            opened_at_ms=now,
        )
        return names.round_opened(task_id), encode(following), "round", self._last_round

    def _store(self, store: tuple[str, bytes, str, int], life: int) -> None:
        world = self._world
        if life != self._life and world.maybe(0.5):
            return  # it crashed before the message had left
        failed = world.maybe(0.1)
        if not failed or world.maybe(0.5):
            world.compare_and_set(*store)
        if failed and life == self._life:
            world.seen["failed stores"] += 1
            self._deciding = False
            world.later(500, self._judge, life)


def _drawn(protocol: str, draw: random.Random) -> Any:
    """A request with any of the options, and one to five seats."""
    seats = draw.randint(1, 5)
    patience = draw.choice([None, None, 2.0, 8.0])
    asked = opened(
        seats,
        protocol=protocol,
        rounds=draw.randint(1, 2),
        counting=draw.choice(["borda", "copeland", "approval", "plurality", "confidence"]),
        quorum=draw.choice([None, None, draw.randint(1, seats)]),
        grace_ms=draw.choice([0, 50, 2_000]),
        samples=draw.choice([None, 1, 7]),
        constraints=Constraints(timeout_seconds=TIMEOUT_MS / 1000, seat_timeout_seconds=patience),
    )
    return replace(asked, deadline_ms=asked.opened_at_ms + TIMEOUT_MS)


def _said(request: AgentRequest, draw: random.Random) -> AgentResponse:
    """A seat's answer: as asked, or broken, or a failure."""
    response = AgentResponse(
        task_id=request.task_id,
        round=request.round,
        seat=request.seat,
        usage=Usage(prompt_tokens=100, completion_tokens=draw.randint(1, 40)),
        logprob=draw.choice([None, -1_000_000.0, -draw.random()]),
    )
    if draw.random() < 0.1:
        return replace(response, failure=SeatFailure(code="internal", message="it broke"))
    if draw.random() < 0.12:
        return replace(response, content=draw.choice(BROKEN))
    if request.stage in ("answer", "reconsider"):
        return replace(response, content=f"so\nanswer: {draw.choice('xxxyz')}")
    if request.response_schema is not None:
        return replace(
            response, content=json.dumps(json_instance(request.response_schema, draw, WORDS))
        )
    return replace(response, content=" ".join(draw.choices(WORDS, k=8)))


def runs(protocol: str, count: int) -> Iterator[World]:
    for seed in range(count):
        yield World(protocol, seed).run()
