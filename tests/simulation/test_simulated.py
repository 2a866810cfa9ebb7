"""The whole system in virtual time: nothing lost, nothing twice, nothing left behind."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.defects import DEFECTS
from tests.simulation.patches import simulated
from tests.simulation.run import regressions, simulate, told
from tests.simulation.world import World

SEEDS = 150
"""In every run of the tests; `just sim` has more. A seed takes about 50 ms of processor time."""

FOUND_WITHIN = 20
"""So many seeds at most until a planted defect is seen."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

CHUNK = 50


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_whatever_happens_every_deliberation_ends_once_and_in_time(first):
    failed = [
        report for seed in range(first, first + CHUNK) if (report := simulate(seed)).violations
    ]
    assert not failed, "\n".join(map(told, failed))


@pytest.mark.parametrize("seed", regressions())
def test_what_once_failed_holds(seed):
    report = simulate(seed)
    assert not report.violations, told(report)


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_is_found(defect):
    with DEFECTS[defect]():
        for seed in range(FOUND_WITHIN):
            if simulate(seed).violations:
                return
    pytest.fail(f"{FOUND_WITHIN} seeds and not seen: {defect}")


def test_the_same_seed_is_the_same_course_of_events_in_another_process():
    code = (
        "import json; from tests.simulation.test_simulated import course; "
        "print(json.dumps(course(11)))"
    )
    root = Path(__file__).parents[2]
    told_there = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "7", "PYTHONPATH": str(root)},
        cwd=root,
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert json.loads(told_there.stdout) == json.loads(json.dumps(course(11)))


def course(seed: int) -> list[tuple[int, str, int]]:
    """Everything stored in a run, and when."""
    with simulated():
        world = World(seed)
        world.run()
    streams = world.network.server.streams.values()
    return [(k.sequence, k.subject, k.stored_ns) for each in streams for k in each.records.values()]


def test_the_simulated_world_is_as_bad_as_it_should_be():
    reports = [simulate(seed) for seed in range(80)]
    ends = {end for report in reports for end in report.outcomes}
    assert ends == {"completed", "timeout", "failed", "cancelled"}
    assert sum(report.messages for report in reports) > 80 * 300
