"""What nats-server says of a message that it will not deliver again."""

from msgspec import Struct


class GivenUp(Struct, frozen=True, kw_only=True):
    """`io.nats.jetstream.advisory.v1.max_deliver` and `.terminated`, as far as they matter here.

    `reason` comes with a termination whose author gave one.
    """

    stream: str
    consumer: str
    stream_seq: int
    deliveries: int = 0
    reason: str = ""
