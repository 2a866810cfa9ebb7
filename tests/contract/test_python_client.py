"""`import conclave`: the client for Python programs, with asyncio and without."""

import asyncio
import threading

import pytest

import conclave
from actors.settings import BusSettings
from conclave import Accepted, Deliberation, ListQuery, SeatStarted, TextDelta
from tests.harness.system import System


@pytest.fixture
def settings(council: System) -> BusSettings:
    """How to reach a system that works."""
    return council.settings


async def test_asking_gives_the_outcome(settings: BusSettings):
    async with conclave.connect(settings) as client:
        result = await client.ask("How do we retry payments?", "QA", protocol="independent")
        assert result.status == "COMPLETED"
        assert result.results[0].proposal.author_id.startswith("agent-qa-")
        assert await client.get(result.task_id) == result
        assert await client.wait(result.task_id) == result
        page = await client.list(ListQuery(role="QA"))
        assert [each.task_id for each in page.deliberations] == [result.task_id]


async def test_progress_is_iterated_from_acknowledgement_to_outcome(settings: BusSettings):
    async with conclave.connect(settings) as client:
        events = [event async for event in client.stream("How?", protocol="independent")]
    accepted, *progress, outcome = events
    assert isinstance(accepted, Accepted)
    assert isinstance(outcome, Deliberation)
    assert {each.seat for each in progress if isinstance(each, SeatStarted)} == set(accepted.seats)
    told = [each for each in progress if isinstance(each, TextDelta)]
    for ranked in outcome.results:
        author = ranked.proposal.author_id
        assert "".join(each.text for each in told if each.seat == author) == ranked.proposal.content


async def test_asking_again_under_the_same_id_gives_the_same_outcome_at_once(settings: BusSettings):
    async with conclave.connect(settings) as client:
        first = await client.ask("How?", task_id="mine", protocol="independent")
        async with asyncio.timeout(3):
            assert await client.ask("How?", task_id="mine", protocol="independent") == first


async def test_leaving_a_stream_early_leaves_the_deliberation_alone(settings: BusSettings):
    async with conclave.connect(settings) as client:
        events = client.stream("How?", task_id="left", protocol="independent")
        assert isinstance(await anext(events), Accepted)
        await events.aclose()
        assert (await client.wait("left")).status == "COMPLETED"


async def test_a_refusal_is_raised_with_code_and_path(settings: BusSettings):
    async with conclave.connect(settings) as client:
        with pytest.raises(conclave.Refused) as caught:
            await client.ask("How?", "NOBODY")
    assert (caught.value.code, caught.value.path) == ("unknown_role", "$.role")


async def test_where_nobody_listens_connecting_says_so():
    with pytest.raises(conclave.Unavailable):
        async with conclave.connect("nats://127.0.0.1:9", timeout_s=0.2):
            pass


def test_a_program_without_asyncio_asks_and_iterates_and_leaves_no_thread(url: str):
    before = threading.active_count()
    with conclave.connect(url) as client:
        result = client.ask("How do we retry payments?", protocol="independent")
        assert isinstance(result, Deliberation)
        assert result.status == "COMPLETED"
        *_, outcome = client.stream("How?", "QA", protocol="independent")
        assert isinstance(outcome, Deliberation)
        assert client.get(outcome.task_id) == outcome
        with pytest.raises(conclave.Refused, match="no deliberation nope"):
            client.cancel("nope")
        for event in client.stream("Left early"):
            assert isinstance(event, Accepted)
            break
    assert threading.active_count() == before


def test_without_asyncio_too_nobody_listening_is_an_error_and_leaves_no_thread():
    before = threading.active_count()
    with (
        pytest.raises(conclave.Unavailable),
        conclave.connect("nats://127.0.0.1:9", timeout_s=0.2),
    ):
        pass
    assert threading.active_count() == before
