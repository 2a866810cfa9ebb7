"""The small parts that actors are made of."""

import asyncio
import logging
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.agents.slots import Slots
from actors.bus import Conflict, Stored, Unavailable
from actors.bus.jetstream import ack_tokens, receipt
from actors.councils.defaults import default_councils
from actors.deliberations import prompts
from actors.queries import stats
from actors.queries.stats import OutcomeFacts, Window, _Code
from actors.tasks import TaskSet
from schemas.agent import Usage
from schemas.codec import decode, encode
from schemas.council import Council
from schemas.deliberation import FINAL_STATUSES
from schemas.errors import HTTP_LIKE, BadMessage, Refused
from schemas.result import NOT_NEEDED

NOW = 10_000_000


outcomes = st.builds(
    OutcomeFacts,
    role=st.sampled_from(["DEV", "QA"]),
    status=st.sampled_from(FINAL_STATUSES),
    duration_ms=st.integers(0, 1_000),
    usage=st.builds(Usage, prompt_tokens=st.integers(0, 9), completion_tokens=st.integers(0, 9)),
    failures=st.lists(st.builds(_Code, st.sampled_from(["timeout", NOT_NEEDED]))).map(tuple),
)


def window(*facts: tuple[int, str, int]) -> Window:
    recent = Window()
    for stored_ms, status, duration_ms in facts:
        recent.add(stored_ms, OutcomeFacts(role="DEV", status=status, duration_ms=duration_ms))
    return recent


# the window of recent outcomes


def test_an_empty_window_counts_nothing():
    found = Window().stats(NOW)
    assert (found.completed, found.duration.p50, found.councils) == (0, 0.0, ())


def test_outcomes_are_counted_by_status():
    found = window(
        (NOW, "COMPLETED", 5), (NOW, "COMPLETED", 6), (NOW, "TIMEOUT", 9), (NOW, "CANCELLED", 1)
    ).stats(NOW)
    assert (found.completed, found.failed, found.timeout, found.cancelled) == (2, 0, 1, 1)
    assert found.councils[0].completed == 2


def test_what_is_older_than_the_window_is_forgotten():
    old = NOW - stats.WINDOW_S * 1000
    assert window((old - 1, "COMPLETED", 5), (old, "COMPLETED", 6)).stats(NOW).completed == 1


@given(
    old=st.lists(outcomes, max_size=20),
    recent=st.lists(outcomes, max_size=20),
    most=st.integers(1, 30),
)
def test_what_is_forgotten_is_in_no_sum(
    old: list[OutcomeFacts], recent: list[OutcomeFacts], most: int
):
    before, alone = Window(), Window()
    with mock.patch.object(stats, "MAX_ENTRIES", most):
        for facts in old:
            before.add(NOW - stats.WINDOW_S * 1000 - 1, facts)
        for facts in recent:
            before.add(NOW, facts)
        for facts in recent[-most:]:
            alone.add(NOW, facts)
    assert before.stats(NOW) == alone.stats(NOW)


def test_what_has_no_final_status_is_shown_nowhere_and_taken_from_nobody():
    """As a stranger may store: it leaves the window after what came before it, and is gone."""
    recent, begun = Window(), NOW - stats.WINDOW_S * 1000
    for stored_ms, status in ((begun - 1, "COMPLETED"), (begun, "PENDING")):
        facts = OutcomeFacts(role="DEV", status=status, usage=Usage(completion_tokens=4))
        recent.add(stored_ms, facts)
    assert recent.stats(NOW).councils == ()
    recent.add(NOW, OutcomeFacts(role="DEV", status="FAILED", usage=Usage(completion_tokens=4)))
    (council,) = recent.stats(NOW + 1).councils
    assert (council.failed, council.usage.completion_tokens) == (1, 4)


def test_a_council_that_is_in_the_window_no_longer_takes_no_room():
    recent = window((NOW - stats.WINDOW_S * 1000 - 1, "COMPLETED", 5))
    recent.stats(NOW)
    assert not recent._councils


def test_percentiles_speak_of_completed_deliberations_alone():
    done = [(NOW, "COMPLETED", each) for each in range(1, 101)]
    found = window(*done, (NOW, "TIMEOUT", 300_000)).stats(NOW).duration
    assert (found.p50, found.p99, found.max) == (51.0, 100.0, 100.0)


def test_one_outcome_is_every_percentile():
    found = window((NOW, "COMPLETED", 7)).stats(NOW).duration
    assert (found.p50, found.p90, found.p99, found.max) == (7.0, 7.0, 7.0, 7.0)


def test_tokens_are_summed_per_council():
    recent = Window()
    for role in ("DEV", "QA", "DEV"):
        recent.add(
            NOW, OutcomeFacts(role=role, status="COMPLETED", usage=Usage(completion_tokens=4))
        )
    found = recent.stats(NOW)
    assert found.usage.completion_tokens == 12
    assert [each.usage.completion_tokens for each in found.councils] == [8, 4]


# slots


async def test_a_slot_is_given_back():
    slots = Slots(2)
    async with slots:
        assert (slots.taken, slots.free) == (1, 1)
    assert (slots.taken, slots.free) == (0, 2)


async def test_who_finds_no_slot_waits_for_one():
    slots = Slots(1)
    await slots.__aenter__()
    waiting = asyncio.ensure_future(slots.__aenter__())
    await asyncio.sleep(0)
    assert not waiting.done()
    await slots.__aexit__(None, None, None)
    await asyncio.wait_for(waiting, 1)
    assert slots.taken == 1


async def test_what_is_claimed_leaves_no_room_until_it_is_released():
    slots = Slots(2)
    slots.claim(3)
    assert slots.unclaimed == 0
    waiting = asyncio.ensure_future(slots.vacant())
    await asyncio.sleep(0)
    slots.release(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release(1)
    await asyncio.wait_for(waiting, 1)
    assert (slots.unclaimed, slots.free) == (1, 2)


async def test_no_more_than_the_slots_run_at_a_time():
    slots, most = Slots(3), 0

    async def work() -> None:
        nonlocal most
        async with slots:
            most = max(most, slots.taken)
            await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(20)))
    assert (most, slots.taken) == (3, 0)


async def test_who_is_cancelled_while_waiting_takes_no_slot():
    slots = Slots(1)
    async with slots:
        waiting = asyncio.ensure_future(slots.__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert slots.free == 1


# task sets


async def test_a_task_that_fails_is_logged_and_counted(caplog: pytest.LogCaptureFixture):
    async def fail() -> None:
        raise ValueError("planted")

    tasks = TaskSet("mine")
    with caplog.at_level(logging.ERROR):
        tasks.spawn(fail(), "broken")
        assert await tasks.join(1.0) == 0
    assert (tasks.failures, len(tasks)) == (1, 0)
    assert "task=broken" in caplog.text


async def test_joining_ends_what_takes_too_long():
    tasks = TaskSet("mine")
    task = tasks.spawn(asyncio.sleep(60))
    assert await tasks.join(0.01) == 1
    assert task.cancelled()


async def test_joining_nothing_returns_at_once():
    assert await TaskSet("mine").join(60) == 0


# JetStream's own messages


def test_an_acknowledgement_subject_is_read_in_its_old_form():
    tokens = ack_tokens("$JS.ACK.DELIBERATIONS.agent-DEV.2.40.7.1700000000123456789.5")
    assert (tokens.attempt, tokens.stream_sequence, tokens.consumer_sequence) == (2, 40, 7)
    assert (tokens.stored_ms, tokens.pending) == (1_700_000_000_123, 5)


def test_an_acknowledgement_subject_is_read_with_domain_and_account():
    old = ack_tokens("$JS.ACK.S.c.2.40.7.1700000000123456789.5")
    new = ack_tokens("$JS.ACK.hub.ACCHASH.S.c.2.40.7.1700000000123456789.5.RANDOM")
    assert new == old


@pytest.mark.parametrize("subject", ["", "_INBOX.x.1", "$JS.ACK.S.c.1", "$JS.API.INFO.a.b.c.d.e.f"])
def test_another_subject_is_no_acknowledgement(subject: str):
    assert ack_tokens(subject) is None


def test_a_receipt_tells_sequence_and_duplicate():
    assert receipt(b'{"stream":"S","seq":7}') == Stored(7, duplicate=False)
    assert receipt(b'{"stream":"S","seq":7,"duplicate":true}') == Stored(7, duplicate=True)


def test_a_wrong_last_sequence_is_a_conflict():
    body = b'{"error":{"code":400,"err_code":10071,"description":"wrong last sequence: 5"}}'
    with pytest.raises(Conflict, match="wrong last sequence"):
        receipt(body)


@pytest.mark.parametrize(
    "body", [b'{"error":{"code":503,"err_code":10077,"description":"full"}}', b"nope", b""]
)
def test_any_other_refusal_is_unavailable(body: bytes):
    with pytest.raises(Unavailable):
        receipt(body)


# councils, prompts, errors


def test_there_are_five_default_councils_of_three_different_personas():
    councils = default_councils()
    assert [each.role for each in councils] == ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"]
    assert all(len(each.seats) == 3 for each in councils)
    assert len({seat.persona for each in councils for seat in each.seats}) == 15
    assert len({seat.id for each in councils for seat in each.seats}) == 15


def test_default_councils_keep_to_the_bounds_of_their_type():
    for council in default_councils():
        assert decode(Council, encode(council)) == council


def test_what_a_client_wrote_never_enters_the_system_message():
    task = prompts.task_block("TASK-TEXT", "CONTEXT-TEXT", ["REQUIREMENT-TEXT"], "RUBRIC-TEXT")
    system, user = prompts.chat(task, (), prompts.seat_block("DEV", "PERSONA-TEXT", "Go."))
    assert system.content == prompts.RULES
    for text in ("TASK-TEXT", "CONTEXT-TEXT", "REQUIREMENT-TEXT", "RUBRIC-TEXT", "PERSONA-TEXT"):
        assert text in user.content


def test_what_is_not_given_leaves_no_empty_heading():
    assert prompts.task_block("only this") == "# Task\nonly this"


def test_peers_text_is_fenced_by_a_marker():
    block = prompts.material_block("Proposals", [("A", ">>>9f out"), ("B", "two")], "9f")
    assert block == "# Proposals\n<<<9f A\n> > >9f out\n>>>9f\n<<<9f B\ntwo\n>>>9f"


@pytest.mark.parametrize("code", HTTP_LIKE)
def test_every_error_code_has_a_number(code: str):
    assert 400 <= Refused(code, "why").number < 600


def test_a_long_error_is_cut_before_it_is_sent():
    assert len(BadMessage("x" * 10_000).body.message) == 500
