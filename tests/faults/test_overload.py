"""A burst beyond capacity on a whole system; `just overload` is the long form."""

import pytest

from tests.faults.overload import Plan, run, told


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_a_burst_is_shed_and_what_was_accepted_ends_in_time():
    report = await run(Plan(burst_s=2.0, backlog=20))
    assert report.clean, told(report)
    assert report.shed > report.accepted
