"""What a supervisor decides: state and event in, new state and actions out. No I/O, no clock.

The order of the specs is the order of starting: a child that is DUE starts when every gate
before it is READY; under `rest_for_one` also when every child before it has been started and
none after it is still on its way out. Stopping goes backwards, one child at a time.
"""

from typing import Final

from msgspec.structs import replace

from supervisor.events import (
    Action,
    Actions,
    ChildExited,
    ChildHung,
    ChildReady,
    Escalate,
    Event,
    Finish,
    Kill,
    RestartDue,
    Start,
    Stop,
    StopRequested,
    Wake,
)
from supervisor.family import LEAVING, RUNNING, Child, Family, Phase
from supervisor.intensity import delay, one_more, recent

ESCALATED: Final = 70
"""Exit code of a supervisor that gave up (EX_SOFTWARE)."""

SAME_WISH_S: Final = 1.0
"""Two signals this close are one wish: `timeout` and other wrappers pass on what the whole group
got anyway. Later it is a person who does not want to wait."""


def step(state: Family, event: Event, now: float) -> tuple[Family, Actions]:
    """Return what follows from an event at `now` (monotonic seconds)."""
    first: Actions = ()
    match event:  # Begin needs no case: every child is DUE from the beginning
        case StopRequested():
            state, first = _stop_requested(state, now)
        case ChildReady(child):
            state = _ready(state, state[child])
        case ChildHung(child):
            state, first = _hung(state, state[child])
        case RestartDue(child):
            if state[child].phase is Phase.WAITING:
                state = state.put(replace(state[child], phase=Phase.DUE))
        case ChildExited(child):
            state, first = _exited(state, state[child], event, now)
    state, then = _advance(state, now)
    return state, (*first, *then)


def _ready(state: Family, child: Child) -> Family:
    if child.phase is not Phase.STARTING:
        return state
    return state.put(replace(child, phase=Phase.READY, failed_starts=0, outside_faults=0))


def _hung(state: Family, child: Child) -> tuple[Family, Actions]:
    if child.phase not in RUNNING:
        return state, ()
    failed_starts = child.failed_starts + (child.phase is Phase.STARTING)
    killed = replace(child, phase=Phase.KILLING, failed_starts=failed_starts)
    return state.put(killed), (Kill(child.spec.id),)


def _exited(state: Family, child: Child, event: ChildExited, now: float) -> tuple[Family, Actions]:
    restart = child.spec.restart
    if child.phase in (Phase.CONDEMNED, Phase.STOPPING) or state.stop_by is not None:
        after = Phase.DUE if child.again else Phase.OVER
        return state.put(replace(child, phase=after, again=False)), ()
    if restart == "temporary" or (restart == "transient" and event.code == 0):
        return state.put(replace(child, phase=Phase.OVER)), ()
    if child.phase is Phase.STARTING:
        child = replace(child, failed_starts=child.failed_starts + 1)
    if event.code in child.spec.outside_faults:
        return _restart_later(state, child)
    return _restart(state, child, event, now)


def _restart_later(state: Family, child: Child) -> tuple[Family, Actions]:
    """Bring back a child that could not help it; only the delays grow."""
    rules = state.rules
    faults = child.outside_faults + 1
    child = replace(child, phase=Phase.WAITING, failed_starts=0, outside_faults=faults)
    wait_s = delay(faults + 1, rules.backoff_s, rules.backoff_limit_s)
    return _condemn_rest(state.put(child), child), (Wake(child.spec.id, wait_s),)


def _restart(state: Family, child: Child, event: ChildExited, now: float) -> tuple[Family, Actions]:
    """Bring back a child that failed, or give up."""
    rules = state.rules
    counted = recent(child.restarts, now, rules.intensity)
    failures = max(len(counted) + 1, child.failed_starts)
    wait_s = delay(failures, rules.backoff_s, rules.backoff_limit_s)
    at = now + wait_s
    too_often = not one_more(counted, at, rules.intensity)
    never_ready = child.failed_starts > rules.intensity.max_restarts
    if event.code in child.spec.hopeless or too_often or never_ready:
        state, _ = _stop(state.put(replace(child, phase=Phase.OVER)), now)
        return replace(state, exit_code=ESCALATED), (Escalate(_why(state, child, event)),)
    child = replace(child, phase=Phase.WAITING, restarts=(*counted, at))
    return _condemn_rest(state.put(child), child), (Wake(child.spec.id, wait_s),)


def _why(state: Family, child: Child, event: ChildExited) -> str:
    limit = state.rules.intensity
    said = f": {event.last_words}" if event.last_words else ""
    if event.code in child.spec.hopeless:
        return f"{child.spec.id} cannot run (exit code {event.code}){said}"
    if child.failed_starts > limit.max_restarts:
        often = f"{child.failed_starts} times in a row before it was ready"
    else:
        often = f"more than {limit.max_restarts} times within {limit.period_s:g} s"
    return f"{child.spec.id} failed {often}, last with exit code {event.code}{said}"


def _condemn_rest(state: Family, failed: Child) -> Family:
    """Under `rest_for_one`, what was started after a failed child has to go and come again."""
    if state.rules.strategy == "one_for_one":
        return state
    for child in state.children[state.place(failed) + 1 :]:
        if child.phase in RUNNING:
            again = child.spec.restart != "temporary"
            state = state.put(replace(child, phase=Phase.CONDEMNED, again=again))
    return state


def _stop_requested(state: Family, now: float) -> tuple[Family, Actions]:
    if state.stop_by is None:
        return _stop(state, now)
    asked_before_s = now - (state.stop_by - state.rules.stop_timeout_s)
    return (state, ()) if asked_before_s < SAME_WISH_S else _kill_all(state)


def _stop(state: Family, now: float) -> tuple[Family, Actions]:
    after = dict.fromkeys(RUNNING, Phase.CONDEMNED) | dict.fromkeys(
        (Phase.DUE, Phase.WAITING), Phase.OVER
    )
    children = tuple(
        replace(child, phase=after.get(child.phase, child.phase), again=False)
        for child in state.children
    )
    return replace(state, children=children, stop_by=now + state.rules.stop_timeout_s), ()


def _kill_all(state: Family) -> tuple[Family, Actions]:
    alive = [child for child in state.children if child.phase is not Phase.OVER]
    for child in alive:
        state = state.put(replace(child, phase=Phase.KILLING))
    return state, tuple(Kill(child.spec.id) for child in reversed(alive))


def _advance(state: Family, now: float) -> tuple[Family, Actions]:
    """Stop the last child that has to go, start all that may, notice the end."""
    actions: list[Action] = []
    leaving = [child for child in state.children if child.phase in LEAVING]
    if leaving and all(child.phase is Phase.CONDEMNED for child in leaving):
        last = leaving[-1]
        state = state.put(replace(last, phase=Phase.STOPPING))
        actions.append(Stop(last.spec.id, _time_to_stop(state, last, now)))
    for child in state.children:
        if child.phase is Phase.DUE and _may_start(state, child):
            state = state.put(replace(child, phase=Phase.STARTING))
            actions.append(Start(child.spec.id))
    if all(child.phase is Phase.OVER for child in state.children):
        actions.append(Finish(state.exit_code))
    return state, tuple(actions)


def _may_start(state: Family, child: Child) -> bool:
    place = state.place(child)
    before, after = state.children[:place], state.children[place + 1 :]
    if any(c.spec.gate and c.phase not in (Phase.READY, Phase.OVER) for c in before):
        return False
    if state.rules.strategy == "one_for_one":
        return True
    return all(c.phase in (*RUNNING, Phase.OVER) for c in before) and not any(
        c.phase in LEAVING for c in after
    )


def _time_to_stop(state: Family, child: Child, now: float) -> float:
    """All children together have the supervisor's time, and each a little even when it is over."""
    if state.stop_by is None:
        return child.spec.stop_timeout_s
    left = max(state.stop_by - now, state.rules.shortest_stop_s)
    return min(child.spec.stop_timeout_s, left)
