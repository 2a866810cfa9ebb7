"""Every council is found as an agent, beats, and is counted as the protocol demands."""

import asyncio
import json

from actors.bus import Message
from actors.bus.nats_bus import NatsBus
from actors.settings import SynadiaSettings
from actors.synadia.facade import Facade, offered
from schemas.council import Council, Seat
from subjects import names
from supervisor.config import Config
from supervisor.up import children
from tests.harness.events import until, until_async
from tests.harness.system import System
from tests.synadia.conftest import OWNER, PROMPT, Offer, prompted, subject


async def test_every_council_is_found_with_what_the_protocol_demands(
    council: System, facade: Facade
):
    found = await council.client.discovered("INFO", "agents")
    by_role = {each["metadata"]["role"]: each for each in found}
    assert set(by_role) == {"ARCHITECT", "DATA", "DEV", "DEVOPS", "QA"}
    dev = by_role["DEV"]
    assert (
        dev["metadata"] | {"agent": "conclave", "owner": OWNER, "session": "dev"}
        == (dev["metadata"])
    )
    assert dev["metadata"]["protocol_version"] == "0.3"
    assert dev["description"]
    endpoints = {each["name"]: each for each in dev["endpoints"]}
    assert {name: each["subject"] for name, each in endpoints.items()} == {
        "prompt": subject("prompt"),
        "status": subject("status"),
    }
    assert {each["queue_group"] for each in endpoints.values()} == {"agents"}
    assert endpoints["prompt"]["metadata"] == {"max_payload": "1048576B", "attachments_ok": "true"}


async def test_agents_come_and_go_with_the_councils(
    council: System, facade: Facade, caller: NatsBus
):
    seats = [{"id": "lawyer", "persona": "contract lawyer"}]
    await council.client.call(names.COUNCIL_CREATE, {"role": "Legal", "seats": seats})
    await until(lambda: "legal" in facade._agents)
    assert (await prompted(caller, PROMPT, "legal")).text
    await council.client.call(names.COUNCIL_DELETE, {"role": "Legal"})
    await until_async(lambda: is_gone(council, "Legal"))


async def is_gone(system: System, role: str) -> bool:
    found = await system.client.discovered("PING", "agents")
    return role not in {each["metadata"]["role"] for each in found}


def test_of_two_roles_that_differ_in_capitals_the_first_has_the_name():
    seats = (Seat(id="a", persona="p"),)
    older = Council(role="dev", seats=seats, created_at_ms=1)
    newer = Council(role="DEV", seats=seats, created_at_ms=2)
    other = Council(role="QA", seats=seats, created_at_ms=3)
    assert offered([newer, other, older]) == {"dev": older, "qa": other}


async def test_two_facades_share_the_prompts(
    council: System, facade: Facade, offer: Offer, caller: NatsBus
):
    await offer("facade-2")
    streams = await asyncio.gather(*(prompted(caller, PROMPT) for _ in range(8)))
    assert all(each.text for each in streams)
    served = await council.client.discovered("STATS", "agents")
    counts = [
        endpoint["num_requests"]
        for each in served
        for endpoint in each["endpoints"]
        if endpoint["subject"] == subject("prompt")
    ]
    assert len(counts) == 2
    assert sum(counts) == 8


async def test_every_agent_beats_and_tells_the_same_when_asked(
    council: System, offer: Offer, caller: NatsBus
):
    heard: asyncio.Queue[Message] = asyncio.Queue()
    await caller.listen("agents.hb.*.*.*", heard.put_nowait)
    await offer()
    beats = [await heard.get() for _ in range(10)]
    assert len({each.subject for each in beats}) == 5
    of_dev = [json.loads(each.body) for each in beats if each.subject == subject("hb")]
    assert len(of_dev) == 2
    asked = json.loads((await caller.request(subject("status"), b"whatever")).body)
    assert {**asked, "ts": ""} == {**of_dev[1], "ts": ""}
    assert asked == {
        "agent": "conclave",
        "owner": OWNER,
        "session": "dev",
        "instance_id": "facade-1-dev",
        "ts": asked["ts"],
        "interval_s": 1,
    }


async def test_errors_are_counted_where_they_were_made(
    council: System, facade: Facade, caller: NatsBus
):
    await prompted(caller, b"{")
    (stats,) = await council.client.discovered("STATS", "agents.facade-1-dev")
    prompt = next(each for each in stats["endpoints"] if each["name"] == "prompt")
    assert (prompt["num_requests"], prompt["num_errors"]) == (1, 1)
    assert prompt["last_error"].startswith("bad_message")


def test_conclave_up_starts_the_facade_where_it_is_enabled():
    assert "synadia" not in {each.id for each in children(Config())}
    enabled = Config(synadia=SynadiaSettings(enabled=True))
    (spec,) = [each for each in children(enabled) if each.id == "synadia"]
    assert spec.argv[3:5] == ("run", "synadia")
