"""`synthesized`: `ranked`, then the top seat writes one answer from the best three.

The aggregation of Mixture-of-Agents (arXiv 2406.04692) with an elected, not an appointed,
chair; when it fails, the next seat in rank takes over. 2N requests and one; the synthesis reads
three proposals.
"""

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.protocols import election
from actors.protocols.ranked import Ranked
from actors.protocols.rules import Place, Prompt, Standing, writing
from schemas.council import Seat

BEST = 3


class Synthesized(Ranked):
    """See the module."""

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """See `Rules`."""
        if state.round.stage != "synthesize":
            return super().prompt(state, seat)
        best = election.standing(state).places[:BEST]
        texts = [
            (chr(ord("A") + number), place.answer.content[: election.PEER_CHARACTERS])
            for number, place in enumerate(best)
        ]
        block = prompts.material_block("Proposals", texts, election.marker(state, seat.id))
        return writing(state, prompts.SYNTHESIZE, block)

    def next(self, state: State) -> OpenRound | Conclude:
        """See `Rules`."""
        if state.round.stage != "synthesize":
            ranked = super().next(state)
            if isinstance(ranked, OpenRound) or ranked.status == "FAILED":
                return ranked
        if state.texts("synthesize"):
            return Conclude("COMPLETED")
        asked = {seat for each in state.rounds if each.stage == "synthesize" for seat in each.seats}
        for place in election.standing(state).places[:BEST]:
            if place.answer.seat not in asked:
                return OpenRound("synthesize", (place.answer.seat,))
        return Conclude("COMPLETED")

    def standing(self, state: State) -> Standing:
        """See `Rules`: the synthesis first, its author's proposal behind it."""
        ranked = election.standing(state)
        written = state.texts("synthesize")
        if not written or not ranked.places:
            return ranked
        author = written[0].seat
        own = [place for place in ranked.places if place.answer.seat == author]
        versions = tuple(each for place in own for each in (place.answer, *place.versions))
        first = Place(written[0], ranked.places[0].score, versions)
        others = tuple(place for place in ranked.places if place.answer.seat != author)
        best = ", ".join(place.answer.seat for place in ranked.places[:BEST])
        reason = f"written by {author} from the best of {best}; {ranked.reason}"
        return Standing((first, *others), reason)
