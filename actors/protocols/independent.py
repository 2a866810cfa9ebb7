"""`independent`: every seat proposes once, at the same time, and none sees another's text.

Ranked by agreement (`actors/protocols/agreement.py`). N requests, N answers, N proposals' tokens.
"""

from actors.deliberations import prompts
from actors.deliberations.deliberation import Conclude, OpenRound, State
from actors.protocols import agreement
from actors.protocols.rules import Prompt, Standing, writing
from schemas.agent import Stage
from schemas.council import Seat


class Independent:
    """See the module."""

    first: Stage = "propose"

    def prompt(self, state: State, seat: Seat) -> Prompt:
        """See `Rules`."""
        del seat
        return writing(state, prompts.PROPOSE)

    def decided(self, state: State) -> bool:
        """See `Rules`: every proposal may yet change whom the others agree with."""
        del state
        return False

    def next(self, state: State) -> OpenRound | Conclude:
        """See `Rules`."""
        if not state.texts("propose"):
            return Conclude("FAILED", "no seat proposed anything")
        return Conclude("COMPLETED")

    def standing(self, state: State) -> Standing:
        """See `Rules`."""
        return agreement.standing(state.texts("propose"), state.opened.request.task_description)
