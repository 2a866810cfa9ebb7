"""A family of children that is told what happened: no process, no clock."""

from supervisor.events import Begin, ChildReady
from supervisor.family import Rules, family
from supervisor.intensity import Intensity
from supervisor.policy import step
from supervisor.spec import ChildSpec

CRASH, KILLED, OUTSIDE_FAULT, HOPELESS = 1, -9, 3, 2
RULES = Rules(intensity=Intensity(3, 30.0), backoff_s=0.5, backoff_limit_s=4.0, stop_timeout_s=10.0)
REST = Rules(
    strategy="rest_for_one",
    intensity=Intensity(3, 30.0),
    backoff_s=0.5,
    backoff_limit_s=4.0,
    stop_timeout_s=10.0,
)


def spec(name, **changes):
    return ChildSpec(
        id=name,
        argv=("true",),
        stop_timeout_s=5.0,
        outside_faults=(OUTSIDE_FAULT,),
        hopeless=(HOPELESS,),
        **changes,
    )


class Told:
    """A family that is told one event after the other at a given time."""

    def __init__(self, specs, rules=RULES):
        self.state = family(specs, rules)
        self.now = 0.0

    def hear(self, *events):
        done = ()
        for event in events:
            self.state, actions = step(self.state, event, self.now)
            done += actions
        return done

    def phase(self, name):
        return self.state[name].phase


def up(*names, rules=RULES, **changes):
    told = Told([spec(name, **changes) for name in names], rules)
    told.hear(Begin(), *(ChildReady(name) for name in names))
    return told
