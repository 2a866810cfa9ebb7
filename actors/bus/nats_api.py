"""What JetStream is asked about its streams and consumers, by its API under `$JS.API`."""

from typing import Any

from actors.bus import Disconnected, Message, NoResponders, Unavailable, jetstream
from actors.bus.nats_core import Connection
from subjects import names
from subjects.streams import ConsumerSpec, StreamSpec

CREATE_S = 5.0
CREATE_ATTEMPTS = 6


class JetStreamApi(Connection):
    """A connection that makes streams and consumers, and tells how far they are."""

    async def api(self, subject: str, body: Any) -> jetstream.ApiReply:
        """Call `$JS.API.<subject>`. Raises Unavailable, if JetStream refused in its words."""
        reply = await self.request(f"$JS.API.{subject}", jetstream.encode(body))
        return jetstream.reply(reply.body)

    async def last_sequence(self, stream: str) -> int:
        """See `actors.bus.Bus`."""
        return int((await self.api(f"STREAM.INFO.{stream}", {})).state.get("last_seq", 0))

    async def sweep(self, stream: str) -> None:
        """See `actors.bus.Bus`.

        nats-server counts attempts when somebody pulls, and not before. A pull with no room for
        any message makes it count, and neither takes a message nor adds to its attempts.
        """
        offset = 0
        while True:
            query = jetstream.encode({"offset": offset})
            reply = await self.request(f"$JS.API.CONSUMER.LIST.{stream}", query)
            page = jetstream.consumers(reply.body)
            for name in page.deserted:
                await self.request(names.next_request(stream, name), jetstream.PULL_NOTHING)
            offset += len(page.consumers)
            if not page.consumers or offset >= page.total:
                return

    async def ensure(self, stream: StreamSpec, *, update: bool = False) -> None:
        """See `actors.bus.Bus`."""
        config = jetstream.stream_config(stream)
        body = jetstream.encode(config)
        reply = await self._create(stream.name, body)
        if jetstream.name_in_use(reply.body):
            if update:
                await self.api(f"STREAM.UPDATE.{stream.name}", config)
        else:
            jetstream.reply(reply.body)

    async def _create(self, stream: str, body: bytes) -> Message:
        """Ask for a stream, again where nobody answers.

        A cluster whose leader changes answers nothing at all, and the same create twice is one.
        """
        left = CREATE_ATTEMPTS
        while True:
            left -= 1
            try:
                return await self.request(f"$JS.API.STREAM.CREATE.{stream}", body, None, CREATE_S)
            except (Disconnected, NoResponders):
                raise
            except Unavailable:
                if not left:
                    raise

    async def make_consumer(self, consumer: ConsumerSpec) -> None:
        """See `actors.bus.Bus`."""
        config = jetstream.durable_config(consumer)
        await self.api(
            f"CONSUMER.DURABLE.CREATE.{consumer.stream}.{consumer.durable}",
            {"stream_name": consumer.stream, "config": config},
        )

    async def remove_consumer(self, stream: str, consumer: str) -> None:
        """See `actors.bus.Bus`."""
        reply = await self.request(f"$JS.API.CONSUMER.DELETE.{stream}.{consumer}", b"")
        if not jetstream.no_consumer(reply.body):
            jetstream.reply(reply.body)

    async def acknowledged(self, stream: str, consumer: str) -> int | None:
        """See `actors.bus.Bus`."""
        told = await self._told(stream, consumer)
        return None if told is None else told.ack_floor.stream_seq

    async def delivered(self, stream: str, consumer: str) -> int:
        """See `actors.bus.Bus`."""
        told = await self._told(stream, consumer)
        return 0 if told is None else told.delivered.stream_seq

    async def _told(self, stream: str, consumer: str) -> jetstream.ApiReply | None:
        reply = await self.request(f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"")
        return None if jetstream.no_consumer(reply.body) else jetstream.reply(reply.body)
