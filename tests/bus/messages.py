"""What the tests of the bus store and hear."""

from collections.abc import Sequence

from actors.bus import Delivery, Message, Record
from actors.bus.nats_bus import NatsBus
from subjects import names

WORK = names.agent_request("DEV")


async def stored_work(bus: NatsBus, *bodies: bytes) -> None:
    for body in bodies:
        await bus.store(WORK, body)


def bodies(items: Sequence[Delivery | Record | Message]) -> list[bytes]:
    return [each.record.body if hasattr(each, "record") else each.body for each in items]


def appending(heard: list[tuple[str, bytes]]):
    async def hear(message: Message) -> None:
        heard.append((message.subject, message.body))

    return hear
