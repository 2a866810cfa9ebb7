"""A deliberation folded from its events: what counts, when it is over, and who is first."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from actors.deliberations import outcome
from actors.deliberations.deliberation import Conclude, State, end, respond
from actors.deliberations.rounds import asks, decide
from actors.protocols import PROTOCOLS
from schemas.agent import AgentResponse
from schemas.council import Sampling, Seat
from tests.harness.builders import TASK, after, answer, begun, failure, opened

RULES = PROTOCOLS["independent"]
KEYS = "Give each payment an idempotency key so that a retry cannot charge twice."
KEYS_TOO = "Give each payment an idempotency key and retry with it."
ODD = "Bananas ripen faster beside apples."


def decided(state: State) -> object:
    return decide(state, 2_000).command


def test_a_new_deliberation_waits():
    assert decided(after()) is None


def test_it_waits_while_one_seat_is_silent():
    assert decided(after(answer("s1"), failure("s2"))) is None


def test_it_is_complete_when_every_seat_has_answered():
    assert decided(after(*map(answer, ("s1", "s2", "s3")))) == Conclude("COMPLETED")


def test_one_seat_alone_is_enough_when_one_was_asked():
    assert decided(after(answer("s1"), seats=1)) == Conclude("COMPLETED")


def test_a_failed_seat_is_not_waited_for():
    state = after(answer("s1"), failure("s2"), answer("s3"))
    assert decided(state) == Conclude("COMPLETED")


def test_it_has_failed_when_every_seat_has():
    state = after(*map(failure, ("s1", "s2", "s3")))
    assert decided(state) == Conclude("FAILED", "no seat proposed anything")


def test_the_first_answer_of_a_seat_counts():
    state = after(answer("s1", "first"), answer("s1", "second"), failure("s1"))
    assert state.answers_in(0)[0].content == "first"
    assert state.ignored == 2


def test_a_stranger_changes_nothing():
    state = after(answer("intruder"))
    assert state == replace(after(), ignored=1)


def test_an_answer_to_a_round_that_was_not_asked_changes_nothing():
    ahead = [answer("s1", round=number) for number in range(1, 5)]
    assert after(*ahead) == replace(after(), ignored=4)
    assert decided(after(*ahead)) is None


def test_what_comes_after_the_end_changes_nothing():
    over = end(after(answer("s1")))
    assert respond(over, answer("s2"), 2_000) == replace(over, ignored=1)


ANSWERS = (answer("s1", KEYS), answer("s2", KEYS_TOO), answer("s3", ODD), failure("s4"))
NOISE = (answer("s1", "double"), answer("stranger"), failure("s2"))


@given(order=st.permutations(ANSWERS))
def test_the_order_of_arrival_does_not_change_the_result(order):
    expected = outcome.result(after(*ANSWERS, seats=4), "COMPLETED", 2_000)
    found = outcome.result(after(*order, seats=4), "COMPLETED", 2_000)
    assert found == expected


@given(noise=st.lists(st.sampled_from(NOISE), max_size=6), at=st.integers(0, 6))
def test_doubles_and_strangers_do_not_change_the_result(noise, at):
    late = [*ANSWERS, *noise[at:]]
    early = [each for each in noise[:at] if each.seat == "stranger"]
    found = outcome.result(after(*early, *late, seats=4), "COMPLETED", 2_000)
    assert found == outcome.result(after(*ANSWERS, seats=4), "COMPLETED", 2_000)


def ranked(*answers: AgentResponse, seats: int = 3) -> tuple[list[str], str]:
    standing = RULES.standing(after(*answers, seats=seats))
    return [place.answer.seat for place in standing.places], standing.reason


def test_the_proposal_closest_to_the_others_is_first():
    seats, reason = ranked(answer("s1", ODD), answer("s2", KEYS), answer("s3", KEYS_TOO))
    assert seats[-1] == "s1"
    assert reason.startswith(("closest to the other proposals", "agreement tied"))


def test_the_reason_names_the_scores_and_the_next():
    middle = answer("s3", f"{KEYS} Bananas ripen faster.")
    seats, reason = ranked(answer("s1", ODD), answer("s2", KEYS), middle)
    assert seats[0] == "s3"
    assert reason.startswith("closest to the other proposals: mean similarity 0.")
    assert "next is s2 with 0." in reason


def test_a_tie_goes_to_the_higher_log_probability():
    seats, reason = ranked(
        answer("s1", KEYS, logprob=-2.0), answer("s2", KEYS, logprob=-0.5), answer("s3", KEYS)
    )
    assert seats == ["s2", "s1", "s3"]
    assert reason == "agreement tied at 1.00 with s1; higher mean token log-probability (-0.500)"


def test_a_full_tie_goes_to_the_earlier_seat():
    seats, reason = ranked(answer("s3", KEYS), answer("s2", KEYS), answer("s1", KEYS))
    assert seats == ["s1", "s2", "s3"]
    assert reason == "agreement tied at 1.00 with s2; earlier seat"


def test_one_proposal_says_that_it_was_alone():
    seats, reason = ranked(answer("s2", KEYS), failure("s1"))
    assert seats == ["s2"]
    assert reason.startswith("the only proposal")


def test_nobody_wins_where_nobody_spoke():
    assert ranked(failure("s1")) == ([], "")


def test_repeating_the_task_does_not_win():
    echo = answer("s1", TASK)
    for order in permutations((echo, answer("s2", KEYS), answer("s3", KEYS_TOO))):
        assert ranked(*order)[0][-1] == "s1"


def test_every_seat_is_asked_once_on_its_queue():
    asked = replace(
        opened(), seats=(*opened().seats, Seat(id="guest", persona="p", queue="elsewhere"))
    )
    made = asks(begun(asked))
    assert [(each.queue, each.request.seat) for each in made] == [
        ("DEV", "s1"),
        ("DEV", "s2"),
        ("DEV", "s3"),
        ("elsewhere", "guest"),
    ]
    assert {each.request.deadline_ms for each in made} == {301_000}


def test_seats_share_all_of_the_prompt_but_their_own_lines():
    first, *others = [each.request.messages for each in asks(begun(opened(context="long " * 500)))]
    for messages in others:
        assert messages[0] == first[0]
        shared = messages[1].content.partition("# Your seat")[0]
        assert shared == first[1].content.partition("# Your seat")[0]
        assert len(shared) > 0.9 * len(messages[1].content)


def test_a_seed_follows_from_task_and_seat():
    seeds = [each.request.sampling.seed for each in asks(begun(opened()))]
    assert len(set(seeds)) == 3
    assert seeds == [each.request.sampling.seed for each in asks(begun(opened()))]
    assert seeds != [each.request.sampling.seed for each in asks(begun(opened(task_id="t-2")))]


@pytest.mark.parametrize("seed", [7, 2**31 - 1])
def test_a_callers_seed_is_counted_up_by_seat(seed: int):
    made = asks(begun(opened(sampling=Sampling(seed=seed))))
    assert [each.request.sampling.seed for each in made] == [
        (seed + number) % 2**31 for number in range(3)
    ]


def test_what_the_caller_asks_stands_over_the_seats_own_sampling():
    own = Sampling(temperature=0.1, max_tokens=50, seed=5, stop=("END",))
    base = opened(1, sampling=Sampling(temperature=0.9))
    asked = asks(begun(replace(base, seats=(Seat(id="s1", persona="p", sampling=own),))))
    assert asked[0].request.sampling == replace(own, temperature=0.9)
