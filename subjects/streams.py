"""Streams and consumers as data: what is stored, for how long, and who reads it how."""

from msgspec import Struct

from subjects import names

DELIBERATIONS = "DELIBERATIONS"
COUNCILS = "COUNCILS"
DEAD_LETTERS = "DEAD_LETTERS"

DUPLICATE_WINDOW_S = 120.0
"""Doubles by `Nats-Msg-Id` are dropped this long; effects stay single beyond it by their keys."""

ACK_WAIT_S = 10.0
"""Work of a dead agent is given to another after this; agents report progress every third of it."""

MAX_DELIVERIES = 5
"""After so many attempts a message has proved to be poison and its seat is failed."""


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
    """A durable pull consumer with explicit acknowledgement."""

    stream: str
    durable: str
    filters: tuple[str, ...]
    description: str
    ack_wait_s: float = ACK_WAIT_S
    max_deliver: int = MAX_DELIVERIES
    max_ack_pending: int = 8_192


def streams(max_age_s: float, max_bytes: int, replicas: int) -> tuple[StreamSpec, ...]:
    """Return the three streams of a system.

    All of a deliberation lies in DELIBERATIONS, so there is one total order. Its RePublish
    turns a stored outcome into the public event, so an event is never seen that is not stored.
    """
    return (
        StreamSpec(
            name=DELIBERATIONS,
            description="every deliberation from request to outcome, in one total order",
            subjects=(
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
        ),
    )


def dispatch_consumer() -> ConsumerSpec:
    """Openings and rounds whose seats have yet to be asked; shared by all dispatchers."""
    return ConsumerSpec(
        stream=DELIBERATIONS,
        durable="dispatcher",
        filters=(names.ANY_OPENED, names.ANY_ROUND),
        description="fan-out of opened rounds to the seats' queues",
        max_deliver=-1,
    )


def agent_consumer(queue: str) -> ConsumerSpec:
    """The work of one queue; shared by all agents that serve it."""
    return ConsumerSpec(
        stream=DELIBERATIONS,
        durable=f"agent-{queue}",
        filters=(names.agent_request(queue),),
        description=f"seats waiting in queue {queue}",
        max_deliver=-1,
    )
