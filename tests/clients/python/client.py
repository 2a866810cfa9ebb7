"""A council's client in Python, with the official nats-py: pip install nats-py msgspec.

    client.py ask '{"task_description": "How do we retry payments?", "role": "DEV"}'
    client.py call deliberation.list '{"limit": 5}'    any request; --msgpack before it
    client.py watch 'deliberation.>'                   events, until Ctrl-C
    client.py outcomes READER COUNT                    what completed since READER last read
    client.py decode FILE...                           stored messages, as JSON

Every line it prints is a subject and a message. Exit codes: 1 refused, 2 nobody answered.
"""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

import nats
from msgspec import msgpack  # only for --msgpack; any other library for it does as well
from nats.aio.client import Client
from nats.aio.msg import Msg

OUTCOMES = [f"deliberation.{end}" for end in ("completed", "failed", "timeout", "cancelled")]
MSGPACK = "application/msgpack"


class Refused(Exception):
    """The council's typed error: a stable code, a sentence, and the field concerned."""

    def __init__(self, number: str, error: dict[str, Any]) -> None:
        super().__init__(f"refused: {number} {error['code']}: {error['message']}")
        self.code = error["code"]
        self.path = error.get("path", "$")


def show(subject: str, message: Any) -> None:
    print(subject, json.dumps(message), flush=True)


async def call(nc: Client, subject: str, message: Any, *, packed: bool = False) -> Any:
    """Send a request; return its reply. Raises Refused, or an error of NATS."""
    reply = await nc.request(
        subject,
        msgpack.encode(message) if packed else json.dumps(message).encode(),
        timeout=310 if subject.endswith(".wait") else 10,
        headers={"Content-Type": MSGPACK} if packed else None,
    )
    headers = reply.headers or {}
    unpack = msgpack.decode if headers.get("Content-Type") == MSGPACK else json.loads
    answer = unpack(reply.data)
    if number := headers.get("Nats-Service-Error-Code"):
        show(subject, answer)
        raise Refused(number, answer["error"])
    return answer


async def wait_for(nc: Client, task_id: str) -> Any:
    """Return the outcome when it is there, also while the system is coming back."""
    while True:
        try:
            return await call(nc, "deliberation.wait", {"task_id": task_id})
        except (nats.errors.Error, OSError):  # passes; a refusal does not
            await asyncio.sleep(0.2)


async def ask(nc: Client, back: asyncio.Event, request: dict[str, Any]) -> None:
    """Print the acknowledgement, all progress and the outcome of one deliberation."""
    task_id = request.setdefault("task_id", str(uuid.uuid4()))  # known before anything happens
    over: asyncio.Future[tuple[str, Any]] = asyncio.get_running_loop().create_future()

    async def on_progress(event: Msg) -> None:
        show(event.subject, json.loads(event.data))

    async def on_outcome(event: Msg) -> None:
        outcome = json.loads(event.data)
        if outcome["task_id"] == task_id and not over.done():
            over.set_result((event.subject, outcome))

    await nc.subscribe(f"deliberation.progress.{task_id}", cb=on_progress)
    for subject in OUTCOMES:
        await nc.subscribe(subject, cb=on_outcome)
    show("deliberation.request", await call(nc, "deliberation.request", request))

    missed = asyncio.create_task(back.wait())
    await asyncio.wait({over, missed}, return_when=asyncio.FIRST_COMPLETED)
    missed.cancel()
    if over.done():
        show(*over.result())
    else:  # events pass by once: what was missed while the connection was away is asked for
        show("deliberation.wait", await wait_for(nc, task_id))


async def watch(nc: Client, subjects: list[str]) -> None:
    """Print what passes by on these subjects, for ever."""

    async def on_event(event: Msg) -> None:
        show(event.subject, json.loads(event.data))

    for subject in subjects:
        await nc.subscribe(subject, cb=on_event)
    await nc.flush()
    print("watching", file=sys.stderr, flush=True)
    await asyncio.Event().wait()


async def outcomes(nc: Client, reader: str, count: int) -> None:
    """Print the next outcomes from the stream; each is read once, however often this runs."""
    completed = await nc.jetstream().pull_subscribe(
        "deliberation.outcome.completed.*", durable=reader, stream="DELIBERATIONS"
    )
    for message in await completed.fetch(count, timeout=1):
        show(message.subject, json.loads(message.data))
        await message.ack_sync()


async def run(command: str, *words: str) -> None:
    back = asyncio.Event()

    async def on_reconnect() -> None:
        back.set()

    nc = await nats.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"),
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        reconnected_cb=on_reconnect,
    )
    try:
        match command, *words:
            case "ask", request:
                await ask(nc, back, json.loads(request))
            case "watch", *subjects:
                await watch(nc, subjects)
            case "outcomes", reader, count:
                await outcomes(nc, reader, int(count))
            case "call", "--msgpack", subject, message:
                show(subject, await call(nc, subject, json.loads(message), packed=True))
            case "call", subject, *message:
                show(subject, await call(nc, subject, json.loads("".join(message) or "{}")))
            case _:
                raise SystemExit(__doc__)
    finally:
        await nc.close()


def main() -> int:
    command, *words = sys.argv[1:] or ["help"]
    if command == "decode":
        for stored in map(Path, words):
            unpack = msgpack.decode if stored.suffix == ".msgpack" else json.loads
            show(str(stored), unpack(stored.read_bytes()))
        return 0
    try:
        asyncio.run(run(command, *words))
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except nats.errors.Error as error:
        print(repr(error), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
