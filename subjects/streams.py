"""Streams and consumers as data: what is stored, for how long, and who reads it how."""

from msgspec import Struct
from msgspec.structs import replace

from subjects import names

DELIBERATIONS = "DELIBERATIONS"
COUNCILS = "COUNCILS"
DEAD_LETTERS = "DEAD_LETTERS"
ADVISORIES = "ADVISORIES"
CHECKPOINTS = "CHECKPOINTS"

DUPLICATE_WINDOW_S = 120.0
"""Doubles by `Nats-Msg-Id` are dropped this long; effects stay single beyond it by their keys."""

ACK_WAIT_S = 5.0
"""Work of a dead agent is given to another after this; agents report progress every third of it."""

BACKOFF_S = (ACK_WAIT_S, ACK_WAIT_S, 10.0, 15.0, ACK_WAIT_S)
"""How long each attempt may be silent before the next: longer each time, so that a message that
kills whoever takes it stays below the supervisor's restart intensity; and together well below the
usual deadline of a minute, so that who dies with all but the last still answers in time. The last
is no wait for a next attempt but for the end of the last one."""

RETRY_BACKOFF_S = (1.0, 5.0, 15.0, 30.0)
"""The same for attempts that were given back, as when nothing can be stored: soon at first, and
together more than a minute, so that an outage of that length makes no message look like poison."""

MAX_DELIVERIES = len(BACKOFF_S)
"""After so many attempts a message has proved to be poison: it becomes a dead letter."""


class RePublish(Struct, frozen=True):
    """Stored messages of `source` also go out live on `destination`."""

    source: str
    destination: str


class StreamSpec(Struct, frozen=True, kw_only=True):
    """A stream as it shall be. `last_only` keeps one message per subject."""

    name: str
    subjects: tuple[str, ...]
    description: str
    max_age_s: float = 0.0
    max_bytes: int = -1
    replicas: int = 1
    last_only: bool = False
    republish: RePublish | None = None


class ConsumerSpec(Struct, frozen=True, kw_only=True):
    """A durable pull consumer with explicit acknowledgement, of what follows `start_after`."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    description: str
    ack_wait_s: float = ACK_WAIT_S
    backoff_s: tuple[float, ...] = ()
    max_deliver: int = MAX_DELIVERIES
    max_ack_pending: int = 8_192
    start_after: int = 0


def streams(max_age_s: float, max_bytes: int, replicas: int) -> tuple[StreamSpec, ...]:
    """Return the five streams of a system.

    All of a deliberation lies in DELIBERATIONS, so there is one total order. Its RePublish
    turns a stored outcome into the public event, so an event is never seen that is not stored.
    DEAD_LETTERS keeps of each letter what became of it last, so one that was dropped stays dropped.
    ADVISORIES captures what nats-server says only once: that a message was given up.
    CHECKPOINTS is of use only beside DELIBERATIONS, and may be lost at any time.
    """
    return (
        StreamSpec(
            name=DELIBERATIONS,
            description="every deliberation from request to outcome, in one total order",
            subjects=(
                names.ANY_SUBMISSION,
                names.ANY_OPENED,
                names.ANY_ROUND,
                names.ANY_OUTCOME,
                names.ANY_AGENT_REQUEST,
                names.ANY_AGENT_RESPONSE,
            ),
            max_age_s=max_age_s,
            max_bytes=max_bytes,
            replicas=replicas,
            republish=RePublish(names.ANY_OUTCOME, "deliberation.{{wildcard(1)}}"),
        ),
        StreamSpec(
            name=COUNCILS,
            description="the present state of every council",
            subjects=(names.ANY_COUNCIL,),
            replicas=replicas,
            last_only=True,
            republish=RePublish(names.ANY_COUNCIL, "deliberation.council.changed.{{wildcard(1)}}"),
        ),
        StreamSpec(
            name=DEAD_LETTERS,
            description="messages that could not be processed, with reason and origin",
            subjects=(names.ANY_DEAD,),
            max_age_s=max_age_s,
            replicas=replicas,
            last_only=True,
        ),
        StreamSpec(
            name=ADVISORIES,
            description="which messages nats-server gave up to deliver",
            subjects=(names.ANY_GIVEN_UP, names.ANY_TERMINATED),
            max_age_s=max_age_s,
            replicas=replicas,
        ),
        StreamSpec(
            name=CHECKPOINTS,
            description="before which record of DELIBERATIONS nothing is open",
            subjects=(names.CHECKPOINT,),
            replicas=replicas,
            last_only=True,
        ),
    )


def backoff_s(attempt: int) -> float:
    """How long to wait after an attempt that was given back, before the next."""
    return RETRY_BACKOFF_S[min(attempt, len(RETRY_BACKOFF_S)) - 1]


def submission_consumer() -> ConsumerSpec:
    """Requests handed in while nobody was there; shared by all dispatchers."""
    return ConsumerSpec(
        stream=DELIBERATIONS,
        durable="submissions",
        filters=(names.ANY_SUBMISSION,),
        description="submissions that have yet to be opened",
        backoff_s=BACKOFF_S,
    )


def dispatch_consumer() -> ConsumerSpec:
    """Openings and rounds whose seats have yet to be asked; shared by all dispatchers."""
    return ConsumerSpec(
        stream=DELIBERATIONS,
        durable="dispatcher",
        filters=(names.ANY_OPENED, names.ANY_ROUND),
        description="fan-out of opened rounds to the seats' queues",
        backoff_s=BACKOFF_S,
    )


def agent_consumer(queue: str) -> ConsumerSpec:
    """The work of one queue; shared by all agents that serve it."""
    return ConsumerSpec(
        stream=DELIBERATIONS,
        durable=f"agent-{queue}",
        filters=(names.agent_request(queue),),
        description=f"seats waiting in queue {queue}",
        backoff_s=BACKOFF_S,
    )


def seat_consumer(queue: str, max_concurrency: int, start_after: int) -> ConsumerSpec:
    """The work of a seat that a foreign program holds: at most so much in its hands at a time."""
    own = agent_consumer(queue)
    return replace(own, max_ack_pending=max_concurrency, start_after=start_after)


_DISPATCHER = dispatch_consumer().durable
_SUBMISSIONS = submission_consumer().durable
_READERS = {
    "deliberation.submit": _SUBMISSIONS,
    "deliberation.opened": _DISPATCHER,
    "deliberation.round": _DISPATCHER,
}


def reader_of(subject: str) -> str:
    """The durable consumer that acts upon a message of DELIBERATIONS; empty if there is none.

    Others may have consumers of their own there: that these give up means nothing to us.
    """
    head, _, last = subject.rpartition(".")
    return f"agent-{last}" if head == "agent.request" else _READERS.get(head, "")


def is_ours(durable: str) -> bool:
    """Whether a consumer of DELIBERATIONS is one that acts for the system."""
    return durable in (_SUBMISSIONS, _DISPATCHER) or durable.startswith("agent-")


def advisory_consumer() -> ConsumerSpec:
    """Messages given up that have yet to become dead letters. It is itself never given up."""
    return ConsumerSpec(
        stream=ADVISORIES,
        durable="dead-letters",
        filters=(names.ANY_GIVEN_UP, names.ANY_TERMINATED),
        description="messages given up that have yet to become dead letters",
        max_deliver=-1,
    )
