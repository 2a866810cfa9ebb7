"""Every event of the contract, heard by a program of every language."""

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from subjects import names
from tests.clients.beside import Beside
from tests.clients.contract import events
from tests.clients.programs import Client, asked, unique

QUIET_S = 3.0
TRIES = 5
"""Progress passes by at most once: what was not heard may be heard of another deliberation."""

SUBJECTS = tuple(each.subject for each in events())


@pytest.fixture
def heard(client: Client) -> Iterator[queue.Queue[str]]:
    """The lines that a watching client prints, from when it hears everything."""
    lines: queue.Queue[str] = queue.Queue()
    with client.start("watch", *SUBJECTS) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stderr.readline() == "watching\n"

        def read() -> None:
            for line in process.stdout:
                lines.put(line)

        reader = threading.Thread(target=read)
        reader.start()
        yield lines
        process.kill()
        reader.join()


def test_a_client_in_any_language_hears_every_event(beside: Beside, heard: queue.Queue[str]):
    missing = {(each.subject, kind) for each in events() for kind in each.messages}
    for _ in range(TRIES):
        make_everything_happen(beside)
        with suppress(queue.Empty):
            while missing:
                subject, _, message = heard.get(timeout=QUIET_S).partition(" ")
                missing -= {each for each in missing if matches(each, subject, message)}
            return
    pytest.fail(f"not heard: {missing}")


def make_everything_happen(beside: Beside) -> None:
    beside.over()
    beside.opened(role=beside.council("broken"))
    beside.opened(role=beside.council("slow"), constraints={"timeout_seconds": 0.3})
    beside.send(names.CANCEL, {"task_id": beside.running()})
    beside.send(names.submission(unique()), asked())


TAGS = {
    "SeatStarted": '"seat_started"',
    "TextDelta": '"delta"',
    "SeatAnswered": '"seat_answered"',
    "SeatFailed": '"seat_failed"',
}


def matches(expected: tuple[str, str], subject: str, message: str) -> bool:
    pattern, kind = expected
    alike = zip(pattern.split("."), subject.split("."), strict=False)
    return all(a in ("*", b) for a, b in alike) and TAGS.get(kind, "") in message
