"""`conclave show` and `recount`, over a running system."""

from supervisor.client import Client
from tests.harness.system import System


async def ended(council: System, **request: object) -> str:
    accepted = await council.client.ask(**{"protocol": "ranked"} | request)
    await council.client.outcome(accepted.task_id)
    return accepted.task_id


async def test_the_history_is_every_event_from_opening_to_outcome(council: System):
    task_id = await ended(council)
    events = await Client(council.client.bus).events(task_id)
    kinds = [event.subject.split(".")[1] for event in events]
    assert (kinds[0], kinds[-1], kinds.count("round")) == ("opened", "outcome", 1)
    assert [event.sequence for event in events] == sorted(event.sequence for event in events)


async def test_an_unknown_deliberation_has_no_history(council: System):
    assert await Client(council.client.bus).events("nope") == []


async def test_a_recount_leaves_seats_out(council: System):
    task_id = await ended(council)
    again = await Client(council.client.bus).recount(task_id, "copeland", ["agent-dev-002"])
    assert again.counting == "copeland"
    assert "agent-dev-002" not in {each.proposal.author_id for each in again.results}
