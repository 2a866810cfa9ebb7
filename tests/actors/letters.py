"""What a client sees of dead letters and of the messages behind them."""

from typing import Any

from subjects import names
from subjects.streams import DELIBERATIONS
from tests.harness.events import until_async
from tests.harness.system import System


async def listed(system: System, **query: Any) -> list[dict[str, Any]]:
    reply = await system.client.call(names.DEAD_LIST, query)
    assert reply.error is None, reply.error
    return reply.body["letters"]


async def the_letter(system: System, **query: Any) -> dict[str, Any]:
    """The only letter there is, once it is there."""

    async def there() -> bool:
        return bool(await listed(system, **query))

    await until_async(there)
    (letter,) = await listed(system, **query)
    return letter


async def copies(system: System, subject: str) -> int:
    return len(await system.client.bus.scan(DELIBERATIONS, subject))
