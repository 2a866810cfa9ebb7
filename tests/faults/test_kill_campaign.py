"""Nothing accepted is lost, nothing is concluded twice, whichever process dies by kill -9."""

import pytest

from tests.faults.campaign import Plan, run
from tests.faults.run import as_text


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_ten_kills_under_load_lose_nothing_and_double_nothing():
    plan = Plan()
    report = await run(plan)
    print(as_text(report))
    verdict = report.verdict
    assert (verdict.lost, verdict.doubled, verdict.late) == ([], [], [])
    assert (verdict.accepted, sum(verdict.outcomes.values())) == (1_000, 1_000)
    assert (verdict.seats_missing, verdict.strangers) == ([], [])
    assert len(report.kills) == 10
    assert [kill.victim for kill in report.kills if kill.back_s is None] == []
