"""Reading a stream in order, once and without gaps, whatever becomes of the consumer."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any
from uuid import uuid4

from actors.bus import BusError, Record, Unavailable, jetstream
from actors.bus.nats_pull import Requests, Wire, to_record

log = logging.getLogger(__name__)

FOLLOW_BATCH = 512


async def follow(
    wire: Wire,
    register: Callable[[Requests], Callable[[], None]],
    stream: str,
    filters: Sequence[str],
    *,
    since_ms: int,
    after: int = 0,
) -> AsyncGenerator[Record | None, None]:
    """Every message in stream order, once, from where it is told; see `actors.bus.Bus.follow`.

    The consumer is made anew, behind the last message seen, whenever it is lost or a
    delivery is missing (its numbers run without gaps: the "ordered consumer" of NATS ADR-17).
    Raises Unavailable when the stream ends before that: it must be read from the beginning.
    """
    caught_up = False
    while True:
        name = f"follow-{uuid4().hex[:12]}"
        config = jetstream.follower_config(name, filters, after=after, since_ms=since_ms)
        if (waiting := await _made(wire, stream, config, after)) is None:
            await asyncio.sleep(0.25)
            continue
        if not caught_up and waiting == 0:
            caught_up = True
            yield None
        requests = Requests(wire, stream, name)
        unregister = register(requests)
        try:
            await requests.open()
            expected = 1
            quiet = False
            while True:
                if requests.credit() == 0:
                    await _check_delivered(wire, f"{stream}.{name}", expected, quiet=quiet)
                    await requests.ask(FOLLOW_BATCH, linger=True)
                arrived = await requests.take(FOLLOW_BATCH)
                quiet = not arrived
                for message, tokens in arrived:
                    if tokens.consumer_sequence != expected:
                        raise Unavailable(f"delivery {expected} is missing")
                    expected += 1
                    after = tokens.stream_sequence
                    yield to_record(message, tokens)
                    if not caught_up and tokens.pending == 0:
                        caught_up = True
                        yield None
        except BusError as error:
            log.warning("following anew stream=%s after=%d reason=%s", stream, after, error)
        finally:
            unregister()
            await requests.close()
        await asyncio.sleep(0.05)


async def _made(wire: Wire, stream: str, config: dict[str, Any], after: int) -> int | None:
    """Make a follower; return how many messages wait for it, None where that cannot be now.

    Raises Unavailable when the stream ends before `after`.
    """
    body = {"stream_name": stream, "config": config}
    try:
        last = (await wire.api(f"STREAM.INFO.{stream}", {})).state.get("last_seq", 0)
        reply = await wire.api(f"CONSUMER.CREATE.{stream}.{config['name']}", body)
    except BusError as error:
        log.warning("cannot follow stream=%s error=%s", stream, error)
        return None
    if last < after:  # made anew, restored from a backup, or its end is lost
        raise Unavailable(f"{stream} ends at {last}, before what was read of it")
    return reply.num_pending


async def _check_delivered(wire: Wire, consumer: str, expected: int, *, quiet: bool) -> None:
    """When it is quiet, raise Unavailable if the server has sent more than arrived.

    What was lost last, with the link to a client that was cut, shows no gap until something else
    is stored: in a quiet system never.
    """
    if not quiet:
        return
    info = await wire.api(f"CONSUMER.INFO.{consumer}", {})
    if info.delivered.consumer_seq >= expected:
        raise Unavailable(f"delivery {expected} is missing")
