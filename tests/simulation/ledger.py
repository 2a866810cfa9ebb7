"""What must hold: watched at the server while it happens, and judged when all is over."""

from collections import Counter, defaultdict
from collections.abc import Callable

from actors.bus import Record
from actors.deliberations import history, outcome, responses
from actors.deliberations.rounds import asks
from schemas.agent import AgentRequest
from schemas.codec import decode
from schemas.deliberation import FINAL_STATUSES, Accepted, Opened, RoundOpened
from schemas.errors import BadMessage
from schemas.result import Deliberation
from subjects import names
from subjects.streams import DELIBERATIONS
from tests.simulation.client import MAX_PAYLOAD
from tests.simulation.consumer import Consumer
from tests.simulation.stream import Kept, Stream

INTRUDER = "Intruder"
"""The header that tells what somebody stored who should not."""

LATE_MS = 1_500
"""An outcome may come so long after its deadline when nothing was wrong by then."""

CROSSING_NS = 12_000_000_000
"""What was on its way when the deliberation ended may be stored so much later: a store is tried
again for ten seconds."""

RECOVERY_MS = 25_000
"""And so long after the last fault: lost requests time out, the dead are started anew."""


class Ledger:
    """The record of one run. `note` is told of every violation."""

    def __init__(self, note: Callable[[str], None], wall_ms: Callable[[], int]) -> None:
        self.accepted: dict[str, Accepted] = {}
        self.handed_in: set[str] = set()
        """Submissions that the stream itself has accepted."""
        self.public: Counter[str] = Counter()
        """Outcomes heard by somebody whose link is good."""
        self.by_task: defaultdict[str, list[Kept]] = defaultdict(list)
        self._note = note
        self._wall_ms = wall_ms

    # ------------------------------------------------------------------------ while it runs

    def stored(self, stream: Stream, kept: Kept) -> None:
        """A message was stored."""
        if stream.name != DELIBERATIONS:
            return
        task_id = names.task_of(kept.subject)
        if task_id is None and kept.subject.startswith("agent.request."):
            task_id = _task_of_request(kept)
        if task_id is None:
            return
        before = self.by_task[task_id]
        if kept.subject.startswith(("deliberation.round.", "agent.request.")):
            ends = (each for each in before if each.subject.startswith("deliberation.outcome."))
            if any(kept.stored_ns - each.stored_ns > CROSSING_NS for each in ends):
                self._note(f"{task_id}: {kept.subject} long after the end")
        before.append(kept)

    def acknowledged(self, consumer: Consumer, kept: Kept) -> None:
        """A consumer's message is done: what it asked for must have been stored by then."""
        if consumer.name.startswith("agent-"):
            self._check_seat(kept)
        elif consumer.name == "dispatcher":
            self._check_fan_out(kept)

    def _check_seat(self, kept: Kept) -> None:
        try:
            request = decode(AgentRequest, kept.body)
        except BadMessage:
            return
        told = self.by_task[request.task_id]
        place = (request.round, request.seat)
        over = _ended(told) or request.deadline_ms <= self._wall_ms() + 100
        past = any(_round(each) > request.round for each in told)
        if not over and not past and place not in {_answered(each) for each in told}:
            self._note(f"{request.task_id}: {place} was acknowledged before it was answered")

    def _check_fan_out(self, kept: Kept) -> None:
        task_id = names.task_of(kept.subject)
        if task_id is None or task_id not in self.by_task:
            return
        told = self.by_task[task_id]
        opened = next((each for each in told if _is("opened", each)), None)
        if opened is None or _ended(told):
            return
        try:
            events = [_record(each) for each in told if _is_told(each)]
            state = history.refolded(_record(opened), events, _record(kept))
        except BadMessage:
            return
        if _is("opened", kept):
            state = history.opening(_record(kept))
        elif not 0 < _round(kept) == state.round.round:
            return  # garbage, or a round out of its turn: nobody is asked for it
        if state.opened.deadline_ms <= self._wall_ms() + 100:
            return
        asked = {_asked(each) for each in told if each.subject.startswith("agent.request.")}
        wanted = {(each.request.round, each.request.seat) for each in asks(state)}
        if wanted - asked and not any(_round(each) > state.round.round for each in told):
            self._note(f"{task_id}: acknowledged before its seats were asked: {wanted - asked}")

    # ------------------------------------------------------------------------- when all is over

    def judge(self, healed_ms: int, trouble: bool) -> None:
        """Look at everything that was stored. `trouble`: whether anything could delay an end."""
        for task_id, accepted in self.accepted.items():
            opened = [each for each in self.by_task[task_id] if _is("opened", each)]
            if not opened or decode(Opened, opened[0].body).deadline_ms != accepted.deadline_ms:
                self._note(f"{task_id}: accepted, and not what is stored")
        for task_id in self.handed_in:
            if not any(_is("opened", each) for each in self.by_task[task_id]):
                self._note(f"{task_id}: handed in, and never opened")
        for task_id, told in tuple(self.by_task.items()):
            openings = [each for each in told if _is("opened", each)]
            if len(openings) > 1:
                self._note(f"{task_id}: opened {len(openings)} times")
            if openings:
                self._judge_end(task_id, told, openings[0], healed_ms if trouble else 0)

    def _judge_end(self, task_id: str, told: list[Kept], opened: Kept, healed_ms: int) -> None:
        ends = [each for each in told if each.subject.startswith("deliberation.outcome.")]
        if len(ends) != 1:
            self._note(f"{task_id}: {len(ends)} outcomes")
        if self.public[task_id] != len(ends):
            self._note(f"{task_id}: {self.public[task_id]} public events of {len(ends)} outcomes")
        if not ends:
            return
        deadline_ms = decode(Opened, opened.body).deadline_ms
        latest_ms = max(deadline_ms + LATE_MS, healed_ms + RECOVERY_MS if healed_ms else 0)
        if ends[0].stored_ns // 1_000_000 > latest_ms:
            late_ms = ends[0].stored_ns // 1_000_000 - deadline_ms
            self._note(f"{task_id}: ended {late_ms} ms late")
        self._judge_result(task_id, told, opened, ends[0])

    def _judge_result(self, task_id: str, told: list[Kept], opened: Kept, end: Kept) -> None:
        ended = decode(Deliberation, end.body)
        if ended.status not in FINAL_STATUSES or not end.subject.endswith(
            f"{ended.status.lower()}.{task_id}"
        ):
            self._note(f"{task_id}: status {ended.status} on {end.subject}")
        voters = [each.voter for each in ended.ballots]
        if len(set(voters)) < len(voters):
            self._note(f"{task_id}: a seat voted twice: {voters}")
        if any(stage.answered > stage.asked for stage in ended.stages):
            self._note(f"{task_id}: more answers than seats asked: {ended.stages}")
        rounds = [_round(each) for each in told if _is("round", each)]
        if rounds != list(range(1, len(rounds) + 1)):
            self._note(f"{task_id}: rounds {rounds}")
        records = [_record(each) for each in told if _is_told(each)]
        state = history.refolded(_record(opened), records, _record(end))
        heard = [(each.seat, each.round) for each in state.answers]
        if len(set(heard)) < len(heard):
            self._note(f"{task_id}: a seat was heard twice in a round: {heard}")
        asked = {(seat, each.round) for each in state.rounds for seat in each.seats}
        good = {(each.seat, each.round) for each in state.answers if each.failure is None}
        named = {(each.seat, each.round) for each in ended.failures if each.code and each.message}
        if named != asked - good:
            self._note(f"{task_id}: silent or failed are {asked - good}, named are {named}")
        at_ms = ended.created_at_ms + ended.duration_ms
        again = outcome.result(state, ended.status, at_ms, ended.reason)
        if outcome.fitted(again, MAX_PAYLOAD - 1_024) != end.body:
            self._note(f"{task_id}: the outcome does not follow from what is stored")


def _is(kind: str, kept: Kept) -> bool:
    """Whether it is such a message, and stored by one of ours."""
    return kept.subject.startswith(f"deliberation.{kind}.") and INTRUDER not in kept.headers


def is_unfinished(told: list[Kept]) -> bool:
    """Whether a deliberation was opened and has no outcome."""
    return any(_is("opened", each) for each in told) and not _ended(told)


def _is_answer(kept: Kept) -> bool:
    return kept.subject.startswith("agent.response.")


def _is_told(kept: Kept) -> bool:
    """Whether a state is folded from it, whoever stored it."""
    return kept.subject.startswith("deliberation.round.") or _is_answer(kept)


def _ended(told: list[Kept]) -> bool:
    return any(each.subject.startswith("deliberation.outcome.") for each in told)


def _record(kept: Kept) -> Record:
    stored_ms = kept.stored_ns // 1_000_000
    return Record(kept.subject, kept.body, kept.headers, kept.sequence, stored_ms)


def _task_of_request(kept: Kept) -> str | None:
    try:
        return decode(AgentRequest, kept.body).task_id
    except BadMessage:
        return None


def _asked(kept: Kept) -> tuple[int, str]:
    request = decode(AgentRequest, kept.body)
    return request.round, request.seat


def _round(kept: Kept) -> int:
    try:
        return decode(RoundOpened, kept.body).round if _is("round", kept) else 0
    except BadMessage:
        return 0


def _answered(kept: Kept) -> tuple[int, str] | None:
    try:
        response = responses.read(kept.body, kept.headers) if _is_answer(kept) else None
    except BadMessage:
        return None
    return (response.round, response.seat) if response is not None else None
