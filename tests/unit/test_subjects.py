"""Where things are said: no client's text ever chooses a subject, and nothing is stored twice."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subjects import names
from subjects.errors import InvalidSubject
from subjects.streams import (
    MAX_DELIVERIES,
    advisory_consumer,
    agent_consumer,
    backoff_s,
    dispatch_consumer,
    is_ours,
    reader_of,
    streams,
    submission_consumer,
)

BUILDERS = (
    names.submission,
    names.opened,
    names.agent_request,
    names.agent_response,
    names.any_outcome_of,
    names.progress,
    names.council_stored,
    lambda value: names.outcome("completed", value),
    lambda value: names.outcome(value, "task"),
    lambda value: names.synadia_agent("prompt", value, "dev"),
    lambda value: names.synadia_agent("prompt", "local", value),
)
STREAMS = {stream.name: stream for stream in streams(max_age_s=0, max_bytes=-1, replicas=1)}


def matches(pattern: str, subject: str) -> bool:
    """Whether a NATS subject, or a narrower pattern, falls under a pattern of tokens and `*`."""
    wanted, found = pattern.split("."), subject.split(".")
    return len(wanted) == len(found) and all(
        one in ("*", other) for one, other in zip(wanted, found, strict=True)
    )


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize(
    "value", ["", "*", ">", "a.b", ".", "a b", "a\r\nPUB x 1", "a\n", "ü", "a\0", "$JS", "x" * 65]
)
def test_a_subject_cannot_be_built_from(build, value: str):
    with pytest.raises(InvalidSubject):
        build(value)


@pytest.mark.parametrize("build", BUILDERS)
@given(value=st.text(max_size=70))
def test_whatever_is_built_has_a_fixed_number_of_tokens(build, value: str):
    try:
        subject = build(value)
    except InvalidSubject:
        return
    assert subject.count(".") == build("x").count(".")
    assert not set(subject) & set(" \t\r\n>")


def test_the_task_is_read_back_from_every_subject_of_a_task():
    per_task = (names.submission, names.opened, names.agent_response, names.progress)
    assert {names.task_of(build("t-1")) for build in per_task} == {"t-1"}
    assert names.task_of(names.outcome("timeout", "t-1")) == "t-1"


@pytest.mark.parametrize(
    "subject", ["agent.request.DEV", "deliberation.request", "deliberation.completed", "x", ""]
)
def test_other_subjects_have_no_task(subject: str):
    assert names.task_of(subject) is None


def test_no_two_streams_store_the_same_subject():
    patterns = [pattern for stream in STREAMS.values() for pattern in stream.subjects]
    assert not [
        pair for pair in combinations(patterns, 2) if matches(*pair) or matches(*pair[::-1])
    ]


@pytest.mark.parametrize(
    ("subject", "stream"),
    [
        (names.submission("t"), "DELIBERATIONS"),
        (names.opened("t"), "DELIBERATIONS"),
        (names.agent_request("DEV"), "DELIBERATIONS"),
        (names.agent_response("t"), "DELIBERATIONS"),
        (names.outcome("completed", "t"), "DELIBERATIONS"),
        (names.council_stored("DEV"), "COUNCILS"),
        (names.dead_letter(7), "DEAD_LETTERS"),
        (names.CHECKPOINT, "CHECKPOINTS"),
    ],
)
def test_what_must_last_is_stored(subject: str, stream: str):
    assert [
        each.name
        for each in STREAMS.values()
        if any(matches(pattern, subject) for pattern in each.subjects)
    ] == [stream]


@pytest.mark.parametrize(
    "subject",
    [names.REQUEST, names.CANCEL, names.GET, names.COUNCIL_CREATE, names.progress("t")],
)
def test_what_passes_by_is_not_stored(subject: str):
    patterns = [pattern for stream in STREAMS.values() for pattern in stream.subjects]
    assert not any(matches(pattern, subject) for pattern in patterns)


def test_a_stored_outcome_becomes_one_of_the_four_public_events():
    republish = STREAMS["DELIBERATIONS"].republish
    assert matches(republish.source, names.outcome("completed", "t"))
    published = {
        republish.destination.replace("{{wildcard(1)}}", status)
        for status in ("completed", "failed", "timeout", "cancelled")
    }
    assert published == set(names.PUBLIC_OUTCOMES)


def test_a_stored_council_becomes_a_change_that_is_not_stored_again():
    republish = STREAMS["COUNCILS"].republish
    changed = republish.destination.replace("{{wildcard(1)}}", "DEV")
    assert matches(names.ANY_COUNCIL_CHANGE, changed)
    assert not any(matches(each, changed) for each in STREAMS["COUNCILS"].subjects)


CONSUMERS = (
    submission_consumer(),
    dispatch_consumer(),
    agent_consumer("DEV"),
    advisory_consumer(),
)


def test_consumers_read_what_their_stream_stores():
    for consumer in CONSUMERS:
        stored = STREAMS[consumer.stream].subjects
        assert all(any(matches(each, read) for each in stored) for read in consumer.filters)


def test_every_queue_has_a_consumer_of_its_own():
    assert agent_consumer("DEV").durable != agent_consumer("QA").durable
    with pytest.raises(InvalidSubject):
        agent_consumer("*")


def test_every_attempt_has_its_patience_and_they_are_bounded():
    """But the reader of what was given up never gives up itself."""
    *bounded, advisories = CONSUMERS
    for consumer in bounded:
        assert len(consumer.backoff_s) == consumer.max_deliver == MAX_DELIVERIES
        assert consumer.backoff_s[0] == consumer.ack_wait_s
    assert advisories.max_deliver == -1


def test_the_consumer_that_acts_upon_a_message_is_known_by_its_subject():
    for consumer in (submission_consumer(), dispatch_consumer(), agent_consumer("DEV")):
        for pattern in consumer.filters:
            assert reader_of(pattern.replace("*", "x")) == consumer.durable
        assert is_ours(consumer.durable)
    assert reader_of(names.outcome("completed", "x")) == ""
    assert not is_ours("analytics")


def test_what_is_given_back_waits_longer_each_time():
    waits = [backoff_s(attempt) for attempt in range(1, 10)]
    assert waits == sorted(waits)
    assert waits[0] <= 1.0


def test_given_up_messages_of_every_consumer_are_captured():
    captured = STREAMS["ADVISORIES"].subjects
    for consumer in (submission_consumer(), dispatch_consumer(), agent_consumer("DEV")):
        for kind in ("MAX_DELIVERIES", "MSG_TERMINATED"):
            told = f"$JS.EVENT.ADVISORY.CONSUMER.{kind}.{consumer.stream}.{consumer.durable}"
            assert any(matches(pattern, told) for pattern in captured)
