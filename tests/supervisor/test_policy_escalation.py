"""Back-off and escalation as tables: when the supervisor tries again, and when it gives up."""

from supervisor.events import (
    Begin,
    ChildExited,
    ChildReady,
    Escalate,
    Finish,
    RestartDue,
    Stop,
    Wake,
)
from tests.supervisor.told import CRASH, HOPELESS, OUTSIDE_FAULT, Told, spec, up


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
