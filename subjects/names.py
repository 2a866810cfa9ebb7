"""Every subject by name: builders for those with variable tokens, constants for the rest."""

import re

from subjects.errors import InvalidSubject

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SEAT_QUEUE = re.compile(r"seat-\d")

REQUEST = "deliberation.request"
CANCEL = "deliberation.cancel"
GET = "deliberation.get"
WAIT = "deliberation.wait"
LIST = "deliberation.list"
STATS = "deliberation.stats"
RECOUNT = "deliberation.recount"
CONTRACT = "deliberation.contract"
LOAD = "deliberation.load"
CHECKPOINT = "deliberation.checkpoint"
DEAD_LIST = "deliberation.dead.list"
DEAD_GET = "deliberation.dead.get"
DEAD_RETRY = "deliberation.dead.retry"
DEAD_DROP = "deliberation.dead.drop"
COUNCIL_CREATE = "deliberation.council.create"
COUNCIL_GET = "deliberation.council.get"
COUNCIL_LIST = "deliberation.council.list"
COUNCIL_DELETE = "deliberation.council.delete"
COUNCIL_JOIN = "deliberation.council.join"
COUNCIL_LEAVE = "deliberation.council.leave"

COMPLETED = "deliberation.completed"
FAILED = "deliberation.failed"
TIMEOUT = "deliberation.timeout"
CANCELLED = "deliberation.cancelled"
PUBLIC_OUTCOMES = (COMPLETED, FAILED, TIMEOUT, CANCELLED)

ANYTHING = ">"
ANY_SUBMISSION = "deliberation.submit.*"
ANY_OPENED = "deliberation.opened.*"
ANY_ROUND = "deliberation.round.*"
ANY_OUTCOME = "deliberation.outcome.*.*"
ANY_PROGRESS = "deliberation.progress.*"
ANY_AGENT_REQUEST = "agent.request.*"
ANY_AGENT_RESPONSE = "agent.response.*"
ANY_HEARTBEAT = "agent.heartbeat.*"
ANY_COUNCIL = "deliberation.council.stored.*"
ANY_COUNCIL_CHANGE = "deliberation.council.changed.*"
ANY_DEAD = "deliberation.dead.stored.*"
ANY_GIVEN_UP = "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.DELIBERATIONS.*"
ANY_TERMINATED = "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.DELIBERATIONS.*"

SYNADIA_HARNESS = "conclave"
"""What we are called among the agents of the Synadia Agent Protocol."""


def token(field: str, value: str) -> str:
    """Return `value` if it may stand as one token of a subject.

    Raises InvalidSubject otherwise: no wildcard, dot, space or control character gets on the wire.
    """
    if not is_token(value):
        raise InvalidSubject(field, value)
    return value


def is_token(value: str) -> bool:
    """Whether a value can be one token of a subject of ours."""
    return _TOKEN.fullmatch(value) is not None


def submission(task_id: str) -> str:
    """Where a client hands a request in while nobody of ours need be there."""
    return f"deliberation.submit.{token('task_id', task_id)}"


def opened(task_id: str) -> str:
    """Where the dispatcher stores, once, that a deliberation exists."""
    return f"deliberation.opened.{token('task_id', task_id)}"


def round_opened(task_id: str) -> str:
    """Where the collector stores that a further round began."""
    return f"deliberation.round.{token('task_id', task_id)}"


def agent_request(queue: str) -> str:
    """Where seats served by `queue` get their work."""
    return f"agent.request.{token('queue', queue)}"


def seat_queue(role: str, seat: str) -> str:
    """The queue of a seat that a foreign program holds: it alone is served from there.

    The role's length keeps apart what `-` would join alike in two councils.
    """
    return f"seat-{len(role)}-{role}-{seat}"


def is_seat_queue(queue: str) -> bool:
    """Whether a queue is a foreign program's; no council made by hand may use such a name."""
    return _SEAT_QUEUE.match(queue) is not None


def next_request(stream: str, consumer: str) -> str:
    """Where JetStream is asked for the next messages of a consumer."""
    return f"$JS.API.CONSUMER.MSG.NEXT.{token('stream', stream)}.{token('consumer', consumer)}"


def heartbeat(queue: str) -> str:
    """Where the foreign program that is served by `queue` says that it is still there."""
    return f"agent.heartbeat.{token('queue', queue)}"


def agent_response(task_id: str) -> str:
    """Where every seat of a deliberation answers."""
    return f"agent.response.{token('task_id', task_id)}"


def outcome(status: str, task_id: str) -> str:
    """Where the one outcome of a deliberation is stored; `status` in small letters."""
    return f"deliberation.outcome.{token('status', status)}.{token('task_id', task_id)}"


def any_outcome_of(task_id: str) -> str:
    """The filter that matches the outcome of a deliberation whatever its status."""
    return f"deliberation.outcome.*.{token('task_id', task_id)}"


def progress(task_id: str) -> str:
    """Where live events of a deliberation pass by, unstored."""
    return f"deliberation.progress.{token('task_id', task_id)}"


def council_stored(role: str) -> str:
    """Where the present state of a council is stored."""
    return f"deliberation.council.stored.{token('role', role)}"


def dead_letter(stream_sequence: int) -> str:
    """Where a message that cannot be processed is set aside, one subject per origin."""
    return f"deliberation.dead.stored.{stream_sequence}"


def synadia_agent(verb: str, owner: str, name: str) -> str:
    """Where a council is an agent of the Synadia Agent Protocol; verbs: prompt, status, hb."""
    who = f"{SYNADIA_HARNESS}.{token('owner', owner)}.{token('name', name)}"
    return f"agents.{token('verb', verb)}.{who}"


def task_of(subject: str) -> str | None:
    """The task id that ends a per-task subject, or None for a subject of another kind."""
    head, _, last = subject.rpartition(".")
    if head in _PER_TASK or head.startswith("deliberation.outcome."):
        return last
    return None


_PER_TASK = frozenset(
    {
        "deliberation.submit",
        "deliberation.opened",
        "deliberation.round",
        "agent.response",
        "deliberation.progress",
    }
)
