"""The supervisor's decisions as tables: no process, no clock."""

import pytest

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
from supervisor.family import Phase, Rules, family
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


# ------------------------------------------------------------------------------------- starting


def test_children_start_in_order_and_together():
    told = Told([spec("a"), spec("b")])
    assert told.hear(Begin()) == (Start("a"), Start("b"))
    assert not told.state.ready


def test_children_after_a_gate_start_when_it_is_ready():
    told = Told([spec("nats", gate=True), spec("a"), spec("b")])
    assert told.hear(Begin()) == (Start("nats"),)
    assert told.hear(ChildReady("nats")) == (Start("a"), Start("b"))


def test_a_gate_that_has_done_its_work_stays_open():
    told = Told([spec("setup", gate=True, restart="transient"), spec("a")])
    told.hear(Begin())
    assert told.hear(ChildExited("setup", 0)) == (Start("a"),)


def test_the_family_is_ready_when_every_child_is():
    told = Told([spec("a"), spec("b")])
    told.hear(Begin(), ChildReady("a"))
    assert not told.state.ready
    told.hear(ChildReady("b"))
    assert told.state.ready


def test_a_child_that_failed_waits_for_a_gate_that_failed_too():
    told = Told([spec("nats", gate=True), spec("a")])
    told.hear(Begin(), ChildReady("nats"), ChildReady("a"))
    told.hear(ChildExited("nats", KILLED), ChildExited("a", CRASH))
    assert told.hear(RestartDue("a")) == ()
    assert told.hear(RestartDue("nats")) == (Start("nats"),)
    assert told.hear(ChildReady("nats")) == (Start("a"),)


# ------------------------------------------------------- (strategy, restart type, exit) → actions

RESTARTED = {
    ("permanent", 0): True,
    ("permanent", CRASH): True,
    ("permanent", KILLED): True,
    ("permanent", OUTSIDE_FAULT): True,
    ("transient", 0): False,
    ("transient", CRASH): True,
    ("transient", KILLED): True,
    ("transient", OUTSIDE_FAULT): True,
    ("temporary", 0): False,
    ("temporary", CRASH): False,
    ("temporary", KILLED): False,
    ("temporary", OUTSIDE_FAULT): False,
}


@pytest.mark.parametrize(("restart", "code"), RESTARTED)
@pytest.mark.parametrize("rules", [RULES, REST], ids=["one_for_one", "rest_for_one"])
def test_who_is_restarted_after_which_exit(rules, restart, code):
    told = Told([spec("a"), spec("b", restart=restart), spec("c")], rules)
    told.hear(Begin(), *(ChildReady(name) for name in "abc"))
    actions = told.hear(ChildExited("b", code))
    woken = [action.child for action in actions if isinstance(action, Wake)]
    stopped = [action.child for action in actions if isinstance(action, Stop)]
    restarted = RESTARTED[restart, code]
    assert woken == (["b"] if restarted else [])
    assert stopped == (["c"] if restarted and rules is REST else [])
    assert told.phase("b") is (Phase.WAITING if restarted else Phase.OVER)
    assert told.phase("a") is Phase.READY


def test_one_for_one_leaves_the_siblings_alone():
    told = up("a", "b", "c")
    assert told.hear(ChildExited("b", CRASH)) == (Wake("b", 0.0),)
    assert told.hear(RestartDue("b")) == (Start("b"),)


def test_rest_for_one_stops_backwards_what_came_later_then_starts_forwards():
    told = up("a", "b", "c", "d", rules=REST)
    assert told.hear(ChildExited("b", CRASH)) == (Wake("b", 0.0), Stop("d", 5.0))
    assert told.hear(RestartDue("b")) == ()
    assert told.hear(ChildExited("d", 0)) == (Stop("c", 5.0),)
    assert told.hear(ChildExited("c", 0)) == (Start("b"), Start("c"), Start("d"))


def test_rest_for_one_forgets_a_temporary_sibling():
    told = Told([spec("a"), spec("b", restart="temporary"), spec("c")], REST)
    told.hear(Begin(), *(ChildReady(name) for name in "abc"))
    told.hear(ChildExited("a", CRASH), RestartDue("a"), ChildExited("c", 0))
    assert told.hear(ChildExited("b", 0)) == (Start("a"), Start("c"))


def test_a_crash_while_a_sibling_is_being_restarted_is_one_more_restart():
    told = up("a", "b", "c", rules=REST)
    assert told.hear(ChildExited("b", CRASH)) == (Wake("b", 0.0), Stop("c", 5.0))
    assert told.hear(ChildExited("a", CRASH)) == (Wake("a", 0.0),)
    told.hear(RestartDue("a"), RestartDue("b"))
    assert told.hear(ChildExited("c", KILLED)) == (Start("a"), Start("b"), Start("c"))


def test_two_crashes_at_the_same_moment_are_two_restarts():
    told = up("a", "b")
    assert told.hear(ChildExited("a", CRASH), ChildExited("b", CRASH)) == (
        Wake("a", 0.0),
        Wake("b", 0.0),
    )


# -------------------------------------------------------------------------- back-off, escalation


def test_restarts_follow_at_once_then_after_growing_delays():
    told = up("a")
    delays = []
    for _ in range(3):
        (wake,) = told.hear(ChildExited("a", CRASH))
        delays.append(wake.delay_s)
        told.now += wake.delay_s
        told.hear(RestartDue("a"), ChildReady("a"))
    assert delays == [0.0, 0.5, 1.0]


def test_one_failure_too_many_stops_everybody_and_ends_with_70():
    told = up("a", "b")
    for _ in range(3):
        told.hear(ChildExited("b", CRASH), RestartDue("b"), ChildReady("b"))
    first, second = told.hear(ChildExited("b", CRASH, "ValueError: no"))
    assert isinstance(first, Escalate)
    assert "b failed more than 3 times within 30 s" in first.reason
    assert "ValueError: no" in first.reason
    assert second == Stop("a", 5.0)
    assert told.hear(ChildExited("a", 0)) == (Finish(70),)


def test_every_child_has_an_intensity_of_its_own():
    told = up("a", "b")
    for _ in range(3):
        told.hear(ChildExited("a", CRASH), RestartDue("a"), ChildReady("a"))
        told.hear(ChildExited("b", CRASH), RestartDue("b"), ChildReady("b"))
    assert told.state.ready


def test_failures_spread_over_time_never_escalate():
    told = up("a")
    for _ in range(50):
        told.now += 31.0
        assert told.hear(ChildExited("a", CRASH)) == (Wake("a", 0.0),)
        told.hear(RestartDue("a"), ChildReady("a"))


def test_a_child_that_never_gets_ready_escalates_however_slowly_it_fails():
    told = Told([spec("a")])
    told.hear(Begin())
    for _ in range(3):
        told.now += 100.0
        (wake,) = told.hear(ChildExited("a", CRASH))
        told.hear(RestartDue("a"))
    told.now += 100.0
    escalate, finish = told.hear(ChildExited("a", CRASH))
    assert "4 times in a row before it was ready" in escalate.reason
    assert (wake.delay_s, finish) == (1.0, Finish(70))


def test_a_child_that_cannot_be_helped_escalates_at_once():
    told = up("a")
    escalate, finish = told.hear(ChildExited("a", HOPELESS))
    assert "a cannot run (exit code 2)" in escalate.reason
    assert finish == Finish(70)


def test_a_fault_from_outside_is_retried_for_ever_ever_more_slowly():
    told = up("a")
    delays = []
    for _ in range(6):
        (wake,) = told.hear(ChildExited("a", OUTSIDE_FAULT))
        delays.append(wake.delay_s)
        told.hear(RestartDue("a"))
    assert delays == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    told.hear(ChildReady("a"))
    assert told.hear(ChildExited("a", OUTSIDE_FAULT)) == (Wake("a", 0.5),)


# ------------------------------------------------------------------------------------------ hung


def test_a_hung_child_is_killed_and_then_treated_as_crashed():
    told = up("a", "b")
    assert told.hear(ChildHung("a")) == (Kill("a"),)
    assert told.hear(ChildExited("a", KILLED)) == (Wake("a", 0.0),)


def test_a_child_that_hangs_while_starting_counts_as_a_failed_start():
    told = Told([spec("a")])
    told.hear(Begin())
    for _ in range(4):
        told.now += 100.0
        assert told.hear(ChildHung("a")) == (Kill("a"),)
        actions = told.hear(ChildExited("a", KILLED), RestartDue("a"))
    assert isinstance(actions[0], Escalate)


@pytest.mark.parametrize("late", [ChildHung("a"), ChildReady("a"), RestartDue("a")])
def test_news_of_a_child_that_is_gone_are_passed_over(late):
    told = up("a", "b")
    told.hear(StopRequested(), ChildExited("b", 0), ChildExited("a", 0))
    assert told.hear(late) == (Finish(0),)
    assert told.phase("a") is Phase.OVER


# -------------------------------------------------------------------------------------- stopping


def test_stopping_goes_backwards_one_child_at_a_time():
    told = up("a", "b", "c")
    assert told.hear(StopRequested()) == (Stop("c", 5.0),)
    assert told.hear(ChildExited("c", 0)) == (Stop("b", 5.0),)
    assert told.hear(ChildExited("b", KILLED)) == (Stop("a", 5.0),)
    assert told.hear(ChildExited("a", 0)) == (Finish(0),)


def test_all_children_together_have_the_supervisors_time_to_stop():
    told = up("a", "b", "c")
    assert told.hear(StopRequested()) == (Stop("c", 5.0),)
    told.now = 5.0
    assert told.hear(ChildExited("c", KILLED)) == (Stop("b", 5.0),)
    told.now = 9.9
    assert told.hear(ChildExited("b", KILLED)) == (Stop("a", 1.0),)


def test_a_second_request_to_stop_kills_whoever_is_left():
    told = up("a", "b")
    told.hear(StopRequested())
    told.now = 1.0
    assert told.hear(StopRequested()) == (Kill("b"), Kill("a"))
    assert told.hear(ChildExited("a", KILLED), ChildExited("b", KILLED)) == (Finish(0),)


def test_a_request_to_stop_that_comes_twice_at_once_is_one_request():
    told = up("a", "b")
    assert told.hear(StopRequested(), StopRequested()) == (Stop("b", 5.0),)


def test_a_child_waiting_for_its_restart_is_not_started_during_a_stop():
    told = up("a", "b")
    told.hear(ChildExited("b", CRASH))
    assert told.hear(StopRequested()) == (Stop("a", 5.0),)
    assert told.hear(RestartDue("b")) == ()


def test_a_child_that_dies_by_itself_during_a_stop_is_over():
    told = up("a", "b")
    told.hear(StopRequested())
    assert told.hear(ChildExited("a", CRASH)) == ()
    assert told.hear(ChildExited("b", 0)) == (Finish(0),)


def test_a_stop_during_a_rest_for_one_restart_brings_nobody_back():
    told = up("a", "b", rules=REST)
    told.hear(ChildExited("a", CRASH), StopRequested())
    assert told.hear(ChildExited("b", 0)) == (Finish(0),)


def test_a_stop_waits_for_a_child_that_is_being_killed():
    told = up("a", "b")
    told.hear(ChildHung("b"))
    assert told.hear(StopRequested()) == ()
    assert told.hear(ChildExited("b", KILLED)) == (Stop("a", 5.0),)


def test_the_system_ends_when_no_child_is_left_to_run():
    told = up("a", "b", restart="temporary")
    told.hear(ChildExited("a", 0))
    assert told.hear(ChildExited("b", CRASH)) == (Finish(0),)
