"""What goes wrong in a run, and what is asked of the council: drawn by the seed before it begins.

Every kind of trouble comes in some runs only (swarm testing): a run with everything at once
hides what one trouble alone would show.
"""

import random
from typing import Any, get_args

from schemas.deliberation import CountingRule, ProtocolName
from tests.simulation.weather import Weather, drawn

HEALED_S = 6.0
"""From then on nothing goes wrong any more."""

KILLS_A_CHILD = 2
"""Fewer than the supervisor bears, so that it must never give up."""


class Plan:
    """See the module. Faults are (second, kind, whom, how many seconds)."""

    def __init__(self, draw: random.Random) -> None:
        self.weather: Weather = drawn(draw)
        self.agents = draw.choice([1, 2, 2])
        self.slots = draw.choice([1, 3, 64])
        self.standby = draw.random() < 0.3
        """Whether every core actor runs twice."""
        self.remembers_ids = draw.random() < 0.5
        """Whether the stream drops doubles by message id; nothing may rest on that alone."""
        self.moods = _moods(draw)
        self.requests = [drawn_request(draw, number) for number in range(draw.choice([1, 2, 4]))]
        self.faults = sorted(_faults(draw) + _restarts(draw))
        self.intruder = draw.random() < 0.25
        """Whether somebody stores what nobody should."""
        self._skews = draw.choice([(0,), (0,), (-50_000_000, 0, 50_000_000)])
        self._draw = draw

    def skew_ns(self) -> int:
        """How far a process's wall clock is off."""
        return self._draw.choice(self._skews)


def _moods(draw: random.Random) -> dict[str, float]:
    rare = ("straggling", "refusing", "broken", "babbling", "dead")
    chosen = {mood: draw.choice([0.0, 0.0, 0.05, 0.3]) for mood in rare}
    if chosen["dead"]:
        chosen["dead"] = 0.02
    return {"quick": 1.0, **chosen}


def drawn_request(draw: random.Random, number: int) -> dict[str, Any]:
    """A request with any of the options."""
    seats = draw.randint(1, 3)
    constraints: dict[str, Any] = {"timeout_seconds": draw.choice([0.5, 3.0, 8.0, 30.0])}
    if draw.random() < 0.4:
        constraints["seat_timeout_seconds"] = draw.choice([1.0, 4.0])
    request = {
        "task_description": f"How should billing client {number} retry a failed payment?",
        "role": draw.choice(["DEV", "QA"]),
        "num_agents": seats,
        "protocol": draw.choice(get_args(ProtocolName)),
        "rounds": draw.randint(1, 2),
        "counting": draw.choice(get_args(CountingRule)),
        "grace_ms": draw.choice([0, 50, 500]),
        "constraints": constraints,
    }
    if draw.random() < 0.4:
        request["quorum"] = draw.randint(1, seats)
    if draw.random() < 0.8:
        request["task_id"] = f"t-{number}"
    return request


def _faults(draw: random.Random) -> list[tuple[float, str, str, float]]:
    """When what happens to whom, and for how long."""
    kinds = [kind for kind in ("kill", "freeze", "cut", "hole", "server") if draw.random() < 0.4]
    whom = ["registry", "dispatcher", "collector", "responder", "agent", "client"]
    found = []
    for kind in kinds:
        for _ in range(draw.choice([1, 1, 2, 4])):
            seconds = draw.choice([0.1, 1.0, 3.0]) * draw.random()
            if kind == "freeze":
                seconds *= draw.choice([1.0, 8.0])
            found.append((HEALED_S * draw.random(), kind, draw.choice(whom), seconds))
    return found


def _restarts(draw: random.Random) -> list[tuple[float, str, str, float]]:
    """A collector killed amid its work: what it comes back with is what it had kept before."""
    times = draw.choice([0, 1, 2, 2])
    return [(1.0 + 3.0 * draw.random(), "kill", "collector", 0.0) for _ in range(times)]
