"""The vote that `ranked`, `revised` and `synthesized` share: candidates, ballots, the count."""

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from actors.deliberations import ballots, counting, prompts
from actors.deliberations.counting import Ballot
from actors.deliberations.deliberation import OpenRound, State
from actors.protocols import agreement
from actors.protocols.rules import Place, Prompt, Standing
from schemas.agent import AgentResponse
from schemas.council import Seat
from schemas.deliberation import CountingRule, RoundOpened

PEER_CHARACTERS = 8_000
"""What a voter sees of one candidate at most."""

TO_RANK = 2
"""A ballot on fewer candidates says nothing."""


class Cast(Struct, frozen=True):
    """What became of one voter's ballot: the ballot, or why it is an abstention."""

    voter: str
    labels: Mapping[str, str]
    drawn_by: int
    ballot: Ballot | None = None
    abstained: str = ""


class Election(Struct, frozen=True):
    """Candidates by key, what every voter did, and the scores under a rule."""

    rule: CountingRule
    candidates: Mapping[str, AgentResponse]
    cast: tuple[Cast, ...]
    scores: Mapping[str, float]


def key(answer: AgentResponse) -> str:
    """The key of a candidate: its author and the round it was written in."""
    return f"{answer.seat}#{answer.round}"


def candidates(state: State) -> dict[str, AgentResponse]:
    """Every proposal and revision, the first ones included; empty ones stand for nothing."""
    texts = state.texts("propose", "revise")
    return {key(answer): answer for answer in texts if answer.content.strip()}


def on_ballot(state: State, voter: str) -> list[str]:
    """The candidates a voter may rank: all but its own."""
    return [name for name, answer in candidates(state).items() if answer.seat != voter]


def call(state: State) -> OpenRound | None:
    """The vote to be opened: every seat that has two or more others' texts to rank."""
    voters = tuple(
        seat.id for seat in state.opened.seats if len(on_ballot(state, seat.id)) >= TO_RANK
    )
    return OpenRound("ballot", voters) if voters else None


def prompt(state: State, seat: Seat) -> Prompt:
    """The ballot paper of a voter: the others' texts under labels drawn for it alone."""
    shown = _labels(state, state.round, seat.id)
    known = candidates(state)
    texts = [(label, known[name].content[:PEER_CHARACTERS]) for label, name in shown.items()]
    block = prompts.material_block("Proposals", texts, marker(state, seat.id))
    return Prompt(prompts.BALLOT, (block,), ballots.schema(tuple(shown)))


def marker(state: State, seat: str) -> str:
    """A fence that follows from ids a peer did not know when it wrote."""
    return f"{ballots.seed(state.opened.task_id, state.round.round, f'fence {seat}'):08x}"


def _labels(state: State, opened: RoundOpened, voter: str) -> dict[str, str]:
    drawn_by = ballots.seed(opened.task_id, opened.round, voter)
    return ballots.labels(drawn_by, on_ballot(state, voter))


def hold(
    state: State, rule: CountingRule | None = None, without: Collection[str] = ()
) -> Election | None:
    """Count the vote as far as it has gone; None before there was one.

    `without` leaves seats out, as voters and as candidates.
    """
    opened = next((each for each in state.rounds if each.stage == "ballot"), None)
    if opened is None:
        return None
    rule = rule or state.opened.request.counting
    standing = {
        name: answer for name, answer in candidates(state).items() if answer.seat not in without
    }
    voters = [voter for voter in opened.seats if voter not in without]
    cast = tuple(_on(standing, _cast(state, opened, voter)) for voter in voters)
    valid = [each.ballot for each in cast if each.ballot is not None]
    scores = counting.count(rule, tuple(standing), valid)
    return Election(rule, standing, cast, scores)


def _cast(state: State, opened: RoundOpened, voter: str) -> Cast:
    shown = _labels(state, opened, voter)
    drawn_by = ballots.seed(opened.task_id, opened.round, voter)
    said = next((each for each in state.answers_in(opened.round) if each.seat == voter), None)
    if said is None:
        return Cast(voter, shown, drawn_by, abstained="silent")
    read = ballots.read(said, shown)
    if isinstance(read, str):
        return Cast(voter, shown, drawn_by, abstained=read)
    return Cast(voter, shown, drawn_by, ballot=read)


def _on(standing: Collection[str], cast: Cast) -> Cast:
    """The ballot as it ranks those that stand; one that ranks fewer than two says nothing."""
    if cast.ballot is None:
        return cast
    ranking = tuple(name for name in cast.ballot.ranking if name in standing)
    if len(ranking) < TO_RANK:
        return replace(cast, ballot=None, abstained="fewer than two left to rank")
    return replace(cast, ballot=replace(cast.ballot, ranking=ranking))


def decided(state: State) -> bool:
    """Whether no ballot still to come can change the winner, nor its abstaining."""
    election = hold(state)
    if election is None or state.round.stage != "ballot" or len(election.candidates) < TO_RANK:
        return False
    said = {answer.seat for answer in state.answers_in(state.round.round)}
    valid = [cast.ballot for cast in election.cast if cast.ballot is not None]
    outstanding = [
        frozenset(on_ballot(state, voter)) for voter in state.round.seats if voter not in said
    ]
    if not valid:
        return False
    return counting.settled(election.rule, tuple(election.candidates), valid, outstanding)


def standing(
    state: State, rule: CountingRule | None = None, without: Collection[str] = ()
) -> Standing:
    """Authors by their best version's score; ties by agreement, log-probability, seat order."""
    task = state.opened.request.task_description
    texts = [each for each in candidates(state).values() if each.seat not in without]
    election = hold(state, rule, without)
    agreed = agreement.order(texts, task)
    if election is None or not any(cast.ballot is not None for cast in election.cast):
        plain = agreement.standing(_latest(texts), task)
        return Standing(_joined(plain.places), f"{plain.reason} (no ballots)" if texts else "")
    places = sorted(
        (Place(place.answer, round(election.scores[key(place.answer)], 4)) for place in agreed),
        key=lambda place: -place.score,
    )
    joined = _joined(places)
    return Standing(joined, _reason(election, joined))


def _latest(texts: list[AgentResponse]) -> list[AgentResponse]:
    return list({answer.seat: answer for answer in texts}.values())


def _joined(places: Collection[Place]) -> tuple[Place, ...]:
    """One place an author: its best version, with the other ones behind it."""
    by_author: dict[str, Place] = {}
    for place in places:
        best = by_author.get(place.answer.seat)
        if best is None:
            by_author[place.answer.seat] = place
        else:
            versions = (*best.versions, place.answer)
            by_author[place.answer.seat] = Place(best.answer, best.score, versions)
    return tuple(by_author.values())


def _reason(election: Election, places: tuple[Place, ...]) -> str:
    valid = sum(cast.ballot is not None for cast in election.cast)
    of = f"{valid} of {len(election.cast)} ballots"
    first = places[0]
    if len(places) == 1:
        return f"the only author; {of}"
    second = places[1]
    text = f"{election.rule} {first.score:.2f} over {of}, next is {second.answer.seat}"
    if first.score > second.score:
        return f"{text} with {second.score:.2f}"
    return f"{text} with the same; closer to the other proposals, or {agreement.tie(first, second)}"
