"""What a foreign seat needs of NATS, and no more: allow lists for its own user.

A token keeps one seat from answering for another only if it cannot be read by others. So a seat's
user may pull from its own consumer alone, and hear nothing but replies below an inbox of its own.
"""

from msgspec import Struct

from subjects import names
from subjects.streams import seat_consumer


class Permissions(Struct, frozen=True):
    """The subjects that a user may publish on and subscribe to; everything else is denied."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def inbox_of(queue: str) -> str:
    """The inbox prefix of a seat: whoever may hear `_INBOX.>` hears what others pull."""
    return f"_INBOX_{queue}"


def seat(role: str, name: str) -> Permissions:
    """What the program of one seat needs: to join, to pull, to answer, and to be heard of.

    The acknowledgement's subject has two forms; in the second a domain and an account precede.
    To its own inbox it may publish since our client sends itself a message to measure the link.
    """
    queue = names.seat_queue(role, name)
    consumer = seat_consumer(queue, 1, 0)
    own = f"{consumer.stream}.{consumer.durable}"
    return Permissions(
        publish=(
            names.COUNCIL_JOIN,
            names.COUNCIL_LEAVE,
            names.heartbeat(queue),
            names.next_request(consumer.stream, consumer.durable),
            f"$JS.API.CONSUMER.INFO.{own}",
            f"$JS.ACK.{own}.>",
            f"$JS.ACK.*.*.{own}.>",
            names.ANY_AGENT_RESPONSE,
            names.ANY_PROGRESS,
            f"{inbox_of(queue)}.>",
        ),
        subscribe=(f"{inbox_of(queue)}.>",),
    )


def rendered(permissions: Permissions) -> str:
    """The permissions as nats-server's configuration has them."""
    allowed = (("publish", permissions.publish), ("subscribe", permissions.subscribe))
    lines = ["permissions: {"]
    for verb, subjects in allowed:
        lines.append(f"  {verb}: {{ allow: [")
        lines += [f'    "{subject}"' for subject in subjects]
        lines.append("  ] }")
    return "\n".join([*lines, "}"])
