"""Rows of the fault table as tests: a few quick ones, and some that take longer.

The whole table is `just faults`; a recorded campaign is `just faults campaign`.
"""

import importlib.util

import pytest

from tests.faults import report
from tests.faults.rows import ROWS
from tests.faults.scene import Load
from tests.faults.table import run_row

QUICK = ("P3", "M1", "S1")
LONGER = ("P20", "W1", "W3", "L1", "M2")


async def checked(row_id: str) -> None:
    row = next(row for row in ROWS if row.id == row_id)
    found = await run_row(row, Load())
    print(report.line(found))
    assert found.clean, report.line(found)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", QUICK)
async def test_nothing_is_lost_doubled_or_late(row):
    await checked(row)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("row", LONGER)
async def test_nothing_is_lost_doubled_or_late_through_worse(row):
    await checked(row)


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(600)
@pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="the engine is not installed")
async def test_nothing_is_lost_doubled_or_late_when_an_engine_dies():
    await checked("E2")


def test_every_row_has_a_name_of_its_own():
    assert len({row.id for row in ROWS}) == len({row.fault for row in ROWS}) == len(ROWS)
