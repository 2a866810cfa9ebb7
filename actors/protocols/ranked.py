"""`ranked`: independent proposals, then every seat votes once on the others', in secret.

Peers judge better than one judge (PoLL, arXiv 2404.18796); nobody sees its own text, for models
prefer it (2404.13076); drafting before any exchange avoids anchoring (2502.19130). 2N requests
and answers; a ballot is about 20 tokens beside reading N-1 proposals. With fewer than three
proposals there is nothing to rank, and agreement decides.
"""

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.protocols import election
from actors.protocols.rules import Prompt, Standing, writing
from schemas.agent import Stage
from schemas.council import Seat


class Ranked:
    """See the module."""

    first: Stage = "propose"

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """See `Rules`."""
        if state.round.stage == "ballot":
            return election.prompt(state, seat)
        return writing(state, prompts.PROPOSE)

    def decided(self, state: State) -> bool:
        """See `Rules`."""
        return election.decided(state)

    def next(self, state: State) -> OpenRound | Conclude:
        """See `Rules`."""
        if not election.candidates(state):
            return Conclude("FAILED", "no seat proposed anything")
        if state.round.stage == "ballot":
            return Conclude("COMPLETED")
        return election.call(state) or Conclude("COMPLETED")

    def standing(self, state: State) -> Standing:
        """See `Rules`."""
        return election.standing(state)
