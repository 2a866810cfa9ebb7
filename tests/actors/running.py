"""What runs in a system: its actors, and how far a deliberation has come."""

from tests.harness.system import System


async def started(system: System, kind: str):
    """The running actor of a kind."""
    return next(actor for actor, _ in system._running if kind in actor.service.name)


async def answers_of(system: System, task_id: str) -> int:
    return len((await system.client.get(task_id)).results)
