"""Requests that came back twice are tried one at a time, and those not tried lose no attempt."""

import asyncio
from types import SimpleNamespace
from typing import Any

from actors.agents.suspects import SUSPECT_FROM, Suspects


def delivery(attempt: int) -> Any:
    return SimpleNamespace(attempt=attempt)


def test_fresh_requests_are_taken_whatever_is_in_hand():
    suspects = Suspects()
    assert suspects.take(delivery(SUSPECT_FROM))
    assert all(suspects.take(delivery(attempt)) for attempt in range(1, SUSPECT_FROM))


def test_a_second_suspect_is_not_taken_until_the_first_is_done():
    suspects = Suspects()
    first = delivery(SUSPECT_FROM)
    assert suspects.take(first)
    assert not suspects.take(delivery(SUSPECT_FROM + 1))
    suspects.done(delivery(1))
    assert suspects.any
    suspects.done(first)
    assert not suspects.any
    assert suspects.take(delivery(SUSPECT_FROM))


async def test_nothing_is_pulled_while_one_is_in_hand():
    suspects, suspect = Suspects(), delivery(SUSPECT_FROM)
    suspects.take(suspect)
    pulling = asyncio.ensure_future(suspects.none())
    await asyncio.sleep(0)
    assert not pulling.done()
    suspects.done(suspect)
    await asyncio.wait_for(pulling, 20)
