"""How a prompt ends that is not answered as usual: what its caller and the council see."""

import asyncio
import json

import pytest

from actors.bus.nats_bus import NatsBus, connect
from actors.settings import SynadiaSettings
from actors.synadia import conversation
from actors.synadia.facade import Facade
from subjects import names
from tests.harness.engines import Gated, Refusing
from tests.harness.events import until
from tests.harness.nats_server import Server
from tests.harness.system import System
from tests.synadia.conftest import OWNER, PROMPT, Offer, prompted, subject


async def test_a_deliberation_that_fails_ends_the_stream_with_an_error(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(Refusing("prompt_too_long"))
    await offer()
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "failed")
    assert stream.text == ""
    assert stream.statuses[0] == "ack"


async def test_what_is_there_at_the_deadline_is_told_before_the_error(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(Gated(frozenset({"agent-dev-003"})))
    await offer()
    asked = {"protocol": "independent", "constraints": {"timeout_seconds": 1.0}}
    stream = await prompted(caller, {"prompt": PROMPT, "conclave": asked})
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "timeout")
    assert stream.text in ("by agent-dev-001", "by agent-dev-002")


async def test_a_deliberation_that_somebody_cancels_is_a_conflict(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(engine := Gated())
    await offer()
    envelope = {"prompt": PROMPT, "conclave": {"task_id": "mine-1"}}
    prompting = asyncio.ensure_future(prompted(caller, envelope))
    await until(lambda: engine.begun)
    await system.client.call(names.CANCEL, {"task_id": "mine-1"})
    stream = await prompting
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("409", "cancelled")


async def test_while_nothing_happens_the_caller_is_told_that_work_goes_on(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "ALIVE_S", 0.05)
    monkeypatch.setattr(conversation, "PROBE_S", 0.02)
    await system.core()
    await system.agent(engine := Gated())
    await offer()
    async with asyncio.timeout(30), caller.converse(subject("prompt"), b"Wait.") as replies:
        while (await replies.get()).body != b'{"type":"status","data":"working"}':
            pass
        engine.gate.set()
        while (await replies.get()).body:
            pass


@pytest.mark.parametrize("own", [None, "mine-1"], ids=["ours", "the caller's own"])
async def test_when_its_caller_is_gone_a_deliberation_ends_unless_its_id_is(
    system: System, offer: Offer, monkeypatch: pytest.MonkeyPatch, own: str | None
):
    monkeypatch.setattr(conversation, "ALIVE_S", 0.05)
    monkeypatch.setattr(conversation, "PROBE_S", 0.5)
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    caller = await connect(system.settings, "caller")
    envelope = json.dumps({"prompt": PROMPT, "conclave": {"task_id": own}}).encode()
    async with caller.converse(subject("prompt"), envelope):
        await until(lambda: engine.begun)
        (task_id,) = {each.request_id.partition(".")[0] for each in engine.begun}
        await caller.close()
    await until(lambda: facade._abandoned)
    if own is None:
        assert (await system.client.outcome(task_id)).status == "CANCELLED"
        await until(engine.aborted)
    else:
        assert (await system.client.get(task_id)).status == "IN_PROGRESS"
        engine.gate.set()
        assert (await system.client.outcome(task_id)).status == "COMPLETED"


async def test_a_facade_that_stops_tells_its_callers_and_the_deliberation_goes_on(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("actors.synadia.facade.DRAIN_S", 0.05)
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    envelope = {"prompt": PROMPT, "conclave": {"task_id": "mine-1"}}
    prompting = asyncio.ensure_future(prompted(caller, envelope))
    await until(lambda: len(engine.begun) == 3)
    await system.stop(facade)
    stream = await prompting
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "unavailable")
    engine.gate.set()
    assert (await system.client.outcome("mine-1")).status == "COMPLETED"


async def test_a_restart_of_nats_costs_neither_the_caller_nor_the_council_anything(
    own_server: Server,
):
    settings = own_server.account()
    assert settings is not None
    system = await System.connected(settings)
    try:
        await system.core()
        await system.agent(engine := Gated())
        bus = await connect(settings, "facade-1")
        await system._start(Facade(bus, "facade-1", SynadiaSettings(owner=OWNER)), bus)
        prompting = asyncio.ensure_future(prompted(system.client.bus, PROMPT))
        await until(lambda: len(engine.begun) == 3)
        own_server.kill()
        engine.gate.set()
        own_server.start()
        stream = await prompting
        assert stream.error is None
        assert stream.text
    finally:
        await system.close()


async def test_prompts_over_the_limit_in_flight_are_refused(
    system: System, offer: Offer, caller: NatsBus
):
    await system.core()
    await system.agent(engine := Gated())
    facade = await offer()
    facade._agents["dev"].service.limits = facade._limits.__class__(max_in_flight=1)
    first = asyncio.ensure_future(prompted(caller, PROMPT))
    await until(lambda: engine.begun)
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    number, context = stream.error
    assert (number, context["error"], context["retry_after_s"]) == ("429", "overloaded", 0.25)
    engine.gate.set()
    assert (await first).text


async def test_what_the_protocol_has_no_number_for_becomes_one_of_its_own(
    system: System, offer: Offer, caller: NatsBus, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(conversation, "SUBMIT_S", 0.0)
    await system.add("registry")
    await offer()
    stream = await prompted(caller, PROMPT)
    assert stream.error is not None
    assert (stream.error[0], stream.error[1]["error"]) == ("500", "unavailable")
