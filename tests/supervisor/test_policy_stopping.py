"""Stopping as tables: in which order, within which time, and when all is over."""

from supervisor.events import ChildExited, ChildHung, Finish, Kill, RestartDue, Stop, StopRequested
from tests.supervisor.told import CRASH, KILLED, REST, up


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
