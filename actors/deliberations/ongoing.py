"""The deliberations that have no outcome yet, folded from the stream record by record.

No input or output and no clock: what a collector knows is what it has read.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

from actors.bus import Record
from actors.deliberations import responses
from actors.deliberations.checkpoint import Folded
from actors.deliberations.deliberation import State, advance, objection, respond
from actors.deliberations.history import opening
from actors.intake.load import LoadMeter
from schemas.codec import read
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage


class Ongoing:
    """See the module. `states` are by task."""

    def __init__(self) -> None:
        self.states: dict[str, State] = {}
        self.round_sequence: dict[str, int] = {}
        """Where the last further round of a task was stored, if it had one."""
        self.folded = Folded()
        self.load = LoadMeter()
        self.ignored = 0
        self.refused: Counter[str] = Counter()
        """Responses that changed nothing, by the reason why; see `responses.py`."""

    def clear(self) -> None:
        """Know nothing: the stream is read again."""
        self.states.clear()
        self.round_sequence.clear()
        self.folded.clear()
        self.load.clear()
        self.refused.clear()

    def apply(self, task_id: str, record: Record) -> None:
        """Fold the next record, which is of this task. Raises BadMessage if it does not decode."""
        self.folded.last = record
        if record.subject.startswith("deliberation.outcome."):
            self.forget(task_id)
        elif record.subject.startswith("deliberation.opened."):
            self._on_opening(task_id, record)
        elif record.subject.startswith("deliberation.round."):
            self._on_round(task_id, record)
        else:
            self._on_response(task_id, record)

    def forget(self, task_id: str) -> None:
        """It has its outcome."""
        state = self.states.pop(task_id, None)
        self.folded.ended(task_id)
        self.round_sequence.pop(task_id, None)
        if state is not None:
            self.ignored += state.ignored
            self.load.ended(state.opened.request.role)

    def _on_opening(self, task_id: str, record: Record) -> None:
        state = opening(record)
        if state.opened.task_id != task_id:
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        if task_id in self.states:
            return  # stored past the compare-and-set, so not by a dispatcher; the first stands
        self.load.began(state.opened.request.role)
        self.states[task_id] = state
        self.folded.began(task_id, record)

    def _on_round(self, task_id: str, record: Record) -> None:
        if task_id in self.states:
            self.round_sequence[task_id] = record.sequence
        opened = read(RoundOpened, record.body, record.headers)
        self._change(task_id, partial(advance, opened=opened))

    def _on_response(self, task_id: str, record: Record) -> None:
        try:
            response = responses.read(record.body, record.headers)
        except BadMessage:
            self.refused["garbage"] += 1
            raise
        if response.task_id != task_id:
            self.refused["wrong_task"] += 1
            raise BadMessage("task_id is not the one in the subject", "$.task_id")
        state = self.states.get(task_id)
        against = "not_open" if state is None else objection(state, response)
        if against is not None:
            self.refused[against] += 1
        self._change(task_id, partial(respond, response=response, stored_ms=record.stored_ms))

    def _change(self, task_id: str, event: Callable[[State], State]) -> None:
        if task_id in self.states:
            self.states[task_id] = event(self.states[task_id])
        else:
            self.ignored += 1
