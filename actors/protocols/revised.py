"""`revised`: `rounds` of critique by a peer and revision by the author, then the vote.

Each seat criticises the next one's newest text and each author revises its own, all at the same
time (Du et al. 2023, arXiv 2305.14325, with authors instead of consensus). First proposals stay
eligible, because revision overturns right answers (2605.00914). N proposals, 2N texts a round, N
ballots; published comparisons find this dearer and seldom better than `ranked` at equal tokens
(2508.17536): offered to be measured, not the default.
"""

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.protocols import election
from actors.protocols.ranked import Ranked
from actors.protocols.rules import Prompt, writing
from schemas.agent import AgentResponse
from schemas.council import Seat

LABEL = "A"


class Revised(Ranked):
    """See the module."""

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """See `Rules`."""
        stage = state.round.stage
        if stage not in ("critique", "revise"):
            return super().prompt(state, seat)
        authors = _newest(state)
        fence = election.marker(state, seat.id)
        if stage == "critique":
            text = authors[_peer(seat.id, list(authors))].content
            block = prompts.material_block("Proposals", [(LABEL, _bounded(text))], fence)
            return Prompt(prompts.CRITIQUE.format(label=LABEL), (block,))
        own = prompts.material_block(
            "Your proposal", [(LABEL, _bounded(authors[seat.id].content))], fence
        )
        said = [(str(n), _bounded(text)) for n, text in enumerate(_critiques(state, seat.id), 1)]
        heard = prompts.material_block("Critiques", said, fence)
        return writing(state, prompts.REVISE, own, heard)

    def next(self, state: State) -> OpenRound | Conclude:
        """See `Rules`."""
        authors = tuple(_newest(state))
        stage = state.round.stage
        enough = len(authors) >= election.TO_RANK
        if stage == "critique":
            criticised = tuple(seat for seat in authors if _critiques(state, seat))
            if criticised:
                return OpenRound("revise", criticised)
        elif stage != "ballot" and enough and _held(state) < state.opened.request.rounds:
            return OpenRound("critique", authors)
        return super().next(state)


def _newest(state: State) -> dict[str, AgentResponse]:
    """Each author's newest text, in seat order."""
    newest = {answer.seat: answer for answer in election.candidates(state).values()}
    return {seat.id: newest[seat.id] for seat in state.opened.seats if seat.id in newest}


def _held(state: State) -> int:
    return sum(opened.stage == "critique" for opened in state.rounds)


def _peer(critic: str, authors: list[str]) -> str:
    return authors[(authors.index(critic) + 1) % len(authors)]


def _critiques(state: State, author: str) -> list[str]:
    """What was said of an author's newest text in the last round of critique."""
    opened = [each for each in state.rounds if each.stage == "critique"][-1]
    said = [each for each in state.answers_in(opened.round) if each.failure is None]
    asked = list(opened.seats)
    return [each.content for each in said if _peer(each.seat, asked) == author]


def _bounded(text: str) -> str:
    return text[: election.PEER_CHARACTERS]
