"""What became of the tasks that one contestant was given: pure functions over what was seen."""

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from tests.bench.measuring import percentile

STUCK_S = 30.0


class Task(Struct, frozen=True, array_like=True):
    """One task: seconds since its block began; `accepted` None when it was refused."""

    due: float
    accepted: float | None
    ended: list[float]
    why: str = ""


class Block(Struct, frozen=True):
    """What `load.py` saw of one block."""

    seconds: float
    tasks: list[Task]


def losses(tasks: Sequence[Task]) -> dict[str, int]:
    """Count what was handed over, and what of it never ended, ended twice, or late.

    `lost` had no outcome when the watch was over; `stuck` had none 30 s after it was accepted, the
    lost included.
    """
    accepted = [task for task in tasks if task.accepted is not None]
    return {
        "accepted": len(accepted),
        "refused": len(tasks) - len(accepted),
        "completed": sum(bool(task.ended) for task in accepted),
        "lost": sum(not task.ended for task in accepted),
        "doubled": sum(len(task.ended) > 1 for task in accepted),
        "stuck > 30 s": sum(_stuck(task) for task in accepted),
    }


def _stuck(task: Task) -> bool:
    assert task.accepted is not None
    return not task.ended or task.ended[0] - task.accepted > STUCK_S


def latencies(tasks: Sequence[Task], *, durable: bool) -> dict[str, Any]:
    """Return milliseconds from the intended time to acceptance and to the outcome.

    `ack` is "none" where nothing is stored before it is accepted.
    """
    acks = [(task.accepted - task.due) * 1000 for task in tasks if task.accepted is not None]
    ends = [(task.ended[0] - task.due) * 1000 for task in tasks if task.ended]
    return {
        "ack p50": percentile(acks, 0.5) if durable and acks else "none",
        "ack p99": percentile(acks, 0.99) if durable and acks else "none",
        "p50": percentile(ends, 0.5) if ends else None,
        "p99": percentile(ends, 0.99) if ends else None,
    }


def throughput(block: Block) -> float:
    """Return outcomes a second, until the last: what is in flight at the end is waited for.

    Counting only what ends within the block's time would find nothing where one task takes longer.
    """
    ends = [task.ended[0] for task in block.tasks if task.ended]
    return len(ends) / max([block.seconds, *ends])
