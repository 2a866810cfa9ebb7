"""One request in, one ranked result out."""

import pytest

from tests.harness.system import System


async def test_a_request_ends_in_exactly_one_completed_event(council: System):
    accepted = await council.client.ask()
    result = await council.client.outcome(accepted.task_id)
    assert council.client.outcomes[accepted.task_id][0][0] == "deliberation.completed"
    assert result.status == "COMPLETED"
    assert [each.rank for each in result.results] == [1, 2, 3]
    assert result.winner_id == result.results[0].proposal.author_id
    assert result.winner_reason
    assert not result.degraded


@pytest.mark.parametrize("count", [1, 2, 3])
async def test_as_many_seats_answer_as_were_asked_for(council: System, count: int):
    accepted = await council.client.ask(num_agents=count)
    result = await council.client.outcome(accepted.task_id)
    assert len(result.results) == count
    assert {each.proposal.author_id for each in result.results} == set(accepted.seats)
