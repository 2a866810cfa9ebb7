"""Defects planted on purpose, such as somebody could write: the simulation must see them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from actors.agents.agent import Agent
from actors.bus.nats_bus import NatsBus
from actors.deliberations import history, responses
from actors.deliberations.checkpoint import Folded
from actors.deliberations.collector import Collector
from schemas.checkpoint import Checkpoint

_objection = responses.objection
_speak = Agent._speak
_judge = Collector._judge
_store = NatsBus.store


def _never_known(opened: Any, rounds: Any, known: bool, response: Any) -> Any:
    return _objection(opened, rounds, False, response)


async def _without_once(self: NatsBus, subject: str, body: bytes, **options: Any) -> Any:
    if subject.startswith("deliberation.opened."):
        options.pop("once", None)
    return await _store(self, subject, body, **options)


async def _check_then_act(
    self: Collector, task_id: str, subject: str, body: bytes, once: str, after: int
) -> bool:
    del once, after
    _, ended = await history.ends(self._bus, task_id)
    if ended is None:
        await self._bus.store(subject, body)
    return ended is None


async def _ack_first(self: Agent, delivery: Any, *rest: Any) -> None:
    await delivery.ack()
    await _speak(self, delivery, *rest)


def _no_timer_after_restart(self: Collector, task_id: str) -> None:
    if sys._getframe(1).f_code.co_name in ("_apply", "_watch_time"):
        _judge(self, task_id)


def _claims_too_much(self: Folded) -> Checkpoint | None:
    """As if all that was read were over."""
    last = self.last
    return last and Checkpoint(sequence=last.sequence, stored_ms=last.stored_ms)


def _planted(target: str, value: Callable[..., Any]) -> Callable[[], Any]:
    @contextmanager
    def planted() -> Iterator[None]:
        with mock.patch(target, value):
            yield

    return planted


DEFECTS = {
    "an answer counts as often as it comes": _planted(
        "actors.deliberations.responses.objection", _never_known
    ),
    "a request opens as often as it is sent": _planted(
        "actors.bus.nats_bus.NatsBus.store", _without_once
    ),
    "the collector looks first and stores then": _planted(
        "actors.deliberations.collector.Collector._decided", _check_then_act
    ),
    "the agent acknowledges before it answers": _planted(
        "actors.agents.agent.Agent._speak", _ack_first
    ),
    "a checkpoint claims that what is open is over": _planted(
        "actors.deliberations.checkpoint.Folded.checkpoint", _claims_too_much
    ),
    "the collector sets no timers for what it finds after a restart": _planted(
        "actors.deliberations.collector.Collector._judge", _no_timer_after_restart
    ),
}
