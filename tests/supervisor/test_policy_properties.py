"""Whatever happens, and in whatever order, some things always hold of a supervisor."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from supervisor.events import (
    Begin,
    ChildExited,
    ChildHung,
    ChildReady,
    Escalate,
    Finish,
    Kill,
    RestartDue,
    Start,
    Stop,
    StopRequested,
    Wake,
)
from supervisor.family import Rules, family
from supervisor.intensity import Intensity
from supervisor.policy import step
from supervisor.spec import ChildSpec

NAMES = ("nats", "a", "b", "c")
CODES = st.sampled_from([0, 1, -9])
PERIOD, MOST, OUTSIDE_FAULT = 10.0, 3, 75


class World(RuleBasedStateMachine):
    """Children that are what the actions made them, and a supervisor that hears of them."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.alive, self.waking, self.ending = set(), {}, []
        self.restarts = {name: [] for name in NAMES}
        self.stopping, self.stopped, self.finished, self.escalated = False, [], False, False
        self.began = False

    @precondition(lambda self: not self.began)
    @rule(
        strategy=st.sampled_from(["one_for_one", "rest_for_one"]),
        kinds=st.lists(
            st.sampled_from(["permanent", "permanent", "transient", "temporary"]),
            min_size=4,
            max_size=4,
        ),
    )
    def begin(self, strategy, kinds):
        specs = [
            ChildSpec(
                id=name,
                argv=("x",),
                restart=kind,
                gate=name == "nats",
                outside_faults=(OUTSIDE_FAULT,),
            )
            for name, kind in zip(NAMES, kinds, strict=True)
        ]
        rules = Rules(strategy=strategy, intensity=Intensity(MOST, PERIOD), backoff_s=0.2)
        self.state = family(specs, rules)
        self.began = True
        self.hear(Begin())

    def hear(self, event):
        self.state, actions = step(self.state, event, self.now)
        for action in actions:
            match action:
                case Start(child):
                    assert child not in self.alive, "started twice"
                    assert not self.stopping, "started during a stop"
                    self.alive.add(child)
                case Wake(child, delay_s):
                    self.waking[child] = self.now + delay_s
                    if not (isinstance(event, ChildExited) and event.code == OUTSIDE_FAULT):
                        self.restarts[child].append(self.now + delay_s)
                case Stop(child) | Kill(child):
                    assert child in self.alive
                    self.ending.append(child)
                    if self.stopping and isinstance(action, Stop):
                        self.stopped.append(child)
                case Escalate():
                    self.escalated = self.stopping = True
                case Finish(code):
                    assert not self.alive, "left a child behind"
                    assert code == (70 if self.escalated else 0)
                    self.finished = True

    @precondition(lambda self: self.alive and not self.finished)
    @rule(data=st.data(), code=st.one_of(CODES, st.just(OUTSIDE_FAULT)))
    def some_child_exits(self, data, code):
        child = data.draw(st.sampled_from(sorted(self.alive)))
        self.alive.discard(child)
        self.hear(ChildExited(child, code))

    @precondition(lambda self: self.began and not self.finished)
    @rule(data=st.data())
    def some_child_is_ready(self, data):
        self.hear(ChildReady(data.draw(st.sampled_from(NAMES))))

    @precondition(lambda self: self.alive and not self.finished)
    @rule(data=st.data())
    def some_child_hangs(self, data):
        self.hear(ChildHung(data.draw(st.sampled_from(sorted(self.alive)))))

    @rule(seconds=st.floats(0, 4))
    def time_passes(self, seconds):
        self.now += seconds
        if self.finished:
            return
        for child in [c for c, at in self.waking.items() if at <= self.now]:
            del self.waking[child]
            self.hear(RestartDue(child))

    @precondition(lambda self: self.began and not self.finished)
    @rule()
    def somebody_asks_to_stop(self):
        self.stopping = True
        self.hear(StopRequested())

    @invariant()
    def no_window_holds_more_restarts_than_the_intensity(self):
        for times in self.restarts.values():
            for end in times:
                assert sum(0 <= end - at <= PERIOD for at in times) <= MOST

    @invariant()
    def children_are_stopped_in_reverse_order(self):
        places = [NAMES.index(child) for child in self.stopped]
        assert places == sorted(places, reverse=True)

    def teardown(self):
        """From any state, asking to stop ends everything, however children end."""
        if not self.began or self.finished:
            return
        self.stopping = True
        self.hear(StopRequested())
        for _ in range(2 * len(NAMES)):
            if self.finished:
                return
            child = next(c for c in reversed(NAMES) if c in self.alive)
            self.alive.discard(child)
            self.hear(ChildExited(child, 0))
        assert self.finished


TestWhateverHappens = World.TestCase
TestWhateverHappens.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
