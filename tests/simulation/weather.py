"""What a link does to messages: delay, loss, doubles, and one overtaking another."""

import random

from msgspec import Struct

TICK_S = 1e-9
"""What keeps two messages in order: at one and the same moment, anything goes first."""


class Weather(Struct):
    """Chances for each message, and the mean delay in seconds. What is 0 does not happen."""

    delay_s: float = 0.001
    loss: float = 0.0
    doubles: float = 0.0
    overtaking: float = 0.0

    def arrivals(self, draw: random.Random, now: float, previous: float) -> list[float]:
        """When copies of a message arrive that is sent now, behind one arriving at `previous`."""
        if self.loss and draw.random() < self.loss:
            return []
        times = [now + self.delay_s * 2 * draw.random()]
        if not self.overtaking or draw.random() >= self.overtaking:
            times[0] = max(times[0], previous + TICK_S)
        if self.doubles and draw.random() < self.doubles:
            times.append(times[0] + self.delay_s * 5 * draw.random())
        return times


CALM = Weather()


def drawn(draw: random.Random) -> Weather:
    """The weather of a whole run; each kind of trouble comes in some runs only."""
    return Weather(
        delay_s=draw.choice([0.0005, 0.002, 0.02]),
        loss=draw.choice([0.0, 0.0, 0.002, 0.02]),
        doubles=draw.choice([0.0, 0.0, 0.05, 0.2]),
        overtaking=draw.choice([0.0, 0.0, 0.1, 0.5]),
    )
