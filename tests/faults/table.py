"""Runs rows of the fault table, each on a stage of its own, and tells what the ledger found."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from tests.faults.rows.row import Row
from tests.faults.scene import Load, Scene
from tests.faults.verdict import Verdict

CALM_S = 1.0
"""Load before the first fault and after the last; less between two."""

BETWEEN_S = 0.3
GRACE_S = 10.0


class Finding(Struct, frozen=True, kw_only=True):
    """One row, run: what was done to the system, and what became of its deliberations."""

    id: str
    fault: str
    injections: int = 0
    kills: int = 0
    recoveries: Sequence[float | None] = ()
    verdict: Verdict | None = None
    problems: Sequence[str] = ()
    skipped: str = ""
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Nothing was lost, doubled or late, and everybody came back; or it was not run."""
        if self.verdict is None:
            return bool(self.skipped)
        return self.verdict.clean and not self.problems

    @property
    def median_s(self) -> float | None:
        """The median time to recover."""
        known = [each for each in self.recoveries if each is not None]
        return statistics.median(known) if known else None

    @property
    def max_s(self) -> float | None:
        """The longest time to recover."""
        return max((each for each in self.recoveries if each is not None), default=None)


async def run_row(row: Row, load: Load, injections: int = 1) -> Finding:
    """Inject a row's fault so many times under load, and classify every deliberation."""
    if missing := row.missing():
        return Finding(id=row.id, fault=row.fault, skipped=missing)
    begun = time.monotonic()
    async with row.stage(load, row.id.lower()) as scene:
        async with scene.ledger.load(scene.load.per_second):
            await asyncio.sleep(CALM_S)
            for _ in range(injections):
                await row.inject(scene)
                await asyncio.sleep(BETWEEN_S)
            await asyncio.sleep(CALM_S)
        await scene.ledger.settled(scene.load.timeout_s + GRACE_S)
        return finding(row, scene, injections, begun)


def finding(row: Row, scene: Scene, injections: int, begun: float) -> Finding:
    """What a row's scene and ledger say at the end."""
    return Finding(
        id=row.id,
        fault=row.fault,
        injections=injections,
        kills=scene.kills,
        recoveries=scene.recoveries,
        verdict=scene.ledger.verdict(),
        problems=scene.problems,
        seconds=time.monotonic() - begun,
    )


async def run_rows(
    rows: Sequence[Row],
    load: Load,
    injections: Callable[[Row], int],
    told: Callable[[Finding], None],
) -> list[Finding]:
    """Run rows one after the other; one that cannot be run to its end is a finding too."""
    findings = []
    for row in rows:
        begun = time.monotonic()
        try:
            found = await run_row(row, load, injections(row))
        except Exception as error:  # noqa: BLE001 - a broken row must not end the campaign
            problem = f"did not run to its end: {_causes(error)}"
            seconds = time.monotonic() - begun
            found = Finding(id=row.id, fault=row.fault, problems=[problem], seconds=seconds)
        findings.append(found)
        told(found)
    return findings


def _causes(error: BaseException) -> str:
    with contextlib.suppress(AttributeError):
        return "; ".join(_causes(each) for each in error.exceptions)  # type: ignore[attr-defined]
    return repr(error)
