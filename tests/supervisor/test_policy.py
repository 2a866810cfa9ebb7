"""The supervisor's decisions as tables: who is started, restarted or given up as hung."""

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
from supervisor.family import Phase
from tests.supervisor.told import CRASH, KILLED, OUTSIDE_FAULT, REST, RULES, Told, spec, up

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
