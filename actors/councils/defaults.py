"""The five councils a new system begins with: three personas for each role."""

from schemas.council import Council, Seat

_PERSONAS: dict[str, tuple[str, ...]] = {
    "DEV": (
        "pragmatic implementer who wants the smallest change that works",
        "sceptical reviewer who looks for failure paths and edge cases",
        "performance engineer who measures before and after",
    ),
    "QA": (
        "test strategist who ranks risks and covers the worst first",
        "exploratory tester who looks for surprising inputs and states",
        "automation engineer who wants fast repeatable checks",
    ),
    "ARCHITECT": (
        "systems architect who draws clear boundaries and interfaces",
        "simplifier who removes parts until nothing can be removed",
        "evolution planner who thinks about migration and reversal",
    ),
    "DEVOPS": (
        "reliability engineer who plans for failure and recovery",
        "platform engineer who automates delivery and rollback",
        "security operator who limits access and watches for abuse",
    ),
    "DATA": (
        "data modeller who fixes meaning, keys and constraints first",
        "pipeline engineer who cares for freshness, lineage and cost",
        "analyst who asks which decision the numbers will serve",
    ),
}

ROLES = frozenset(_PERSONAS)


def default_councils() -> tuple[Council, ...]:
    """Return DEV, QA, ARCHITECT, DEVOPS and DATA with their seats `agent-<role>-001` to `-003`."""
    return tuple(
        Council(
            role=role,
            description=f"default {role} council",
            seats=tuple(
                Seat(id=f"agent-{role.lower()}-{number:03d}", persona=persona)
                for number, persona in enumerate(personas, 1)
            ),
        )
        for role, personas in _PERSONAS.items()
    )
