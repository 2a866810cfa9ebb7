from schemas.agent import SeatFailure, Usage
from schemas.deliberation import Accepted
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.result import Deliberation, Failure, Proposal, Ranked
from supervisor.cli.board import CouncilView, settled

WHERE = {"task_id": "t", "round": 0}
ACCEPTED = Accepted(
    task_id="t",
    status="PENDING",
    role="DEV",
    protocol="independent",
    seats=("a", "b"),
    accepted_at_ms=1,
    deadline_ms=2,
)


def council() -> CouncilView:
    view = CouncilView(role="DEV", task="?", sent=10.0)
    view.accept(ACCEPTED, 1.5)
    return view


def delta(text: str, offset: int) -> TextDelta:
    return TextDelta(**WHERE, seat="a", text=text, offset=offset)


def test_the_acknowledgement_tells_the_seats():
    view = council()
    assert list(view.seats) == ["a", "b"]
    assert {seat.state for seat in view.seats.values()} == {"waiting"}


def test_a_seat_starts_writes_and_answers():
    view = council()
    view.take(SeatStarted(**WHERE, seat="a"), 11.0)
    view.take(delta("one ", 0), 12.0)
    view.take(delta("two", 4), 12.5)
    assert (view.seats["a"].state, view.seats["a"].text) == ("writing", "one two")
    view.take(SeatAnswered(**WHERE, seat="a", usage=Usage(completion_tokens=2)), 13.0)
    assert view.seats["a"].state == "answered"
    assert view.seats["a"].seconds(99.0) == 2.0
    assert settled([view]) == 1


def test_a_redelivered_seat_begins_its_text_again():
    view = council()
    view.take(delta("the first attempt", 0), 11.0)
    view.take(delta("again", 0), 12.0)
    assert view.seats["a"].text == "again"


def test_a_failed_seat_says_why():
    view = council()
    view.take(
        SeatFailed(**WHERE, seat="b", failure=SeatFailure(code="prompt_too_long", message="no")),
        11.0,
    )
    assert (view.seats["b"].state, view.seats["b"].why) == ("failed", "prompt_too_long: no")


def test_the_clock_stops_with_the_outcome():
    view = council()
    assert view.seconds(12.0) == 2.0
    view.take(Deliberation(task_id="t", role="DEV", protocol="independent", status="TIMEOUT"), 13.0)
    assert view.seconds(99.0) == 3.0


def test_the_outcome_tells_of_seats_whose_last_events_it_overtook():
    view = council()
    view.take(delta("half a", 0), 11.0)
    proposal = Proposal(author_id="a", author_role="DEV", content="half an answer", created_at_ms=1)
    outcome = Deliberation(
        task_id="t",
        role="DEV",
        protocol="independent",
        status="COMPLETED",
        results=(Ranked(proposal=proposal, score=1.0, rank=1),),
        failures=(Failure(seat="b", code="no_answer", message="silent"),),
    )
    view.take(outcome, 13.0)
    assert (view.seats["a"].state, view.seats["a"].text) == ("answered", "half an answer")
    assert (view.seats["b"].state, view.seats["b"].why) == ("failed", "no_answer: silent")
    assert settled([view]) == 2


def test_an_event_before_the_acknowledgement_is_kept():
    view = CouncilView(role="DEV", task="?", sent=10.0)
    view.take(delta("early", 0), 11.0)
    view.accept(ACCEPTED, 1.0)
    assert view.seats["a"].text == "early"
