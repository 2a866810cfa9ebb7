"""A program built with the SDK `synadia-ai-agents` prompts a council as it prompts any agent."""

import json
from pathlib import Path
from typing import Any

import pytest

from actors.synadia.facade import Facade
from tests.harness.engines import Refusing, Talking
from tests.harness.system import System
from tests.synadia.conftest import OWNER, PROMPT, Offer
from tests.synadia.programs import called

pytestmark = pytest.mark.clients


def told(lines: list[dict[str, Any]], kind: str) -> list[Any]:
    return [line[kind] for line in lines if kind in line]


async def test_it_finds_a_live_council_and_gets_progress_and_the_answer(
    council: System, facade: Facade, sdk: str
):
    envelope = json.dumps({"prompt": PROMPT, "conclave": {"task_id": "mine-1"}})
    found, *lines = await called(sdk, council.settings, "dev", envelope)
    assert found == {
        "found": f"agents.prompt.conclave.{OWNER}.dev",
        "agent": "conclave",
        "owner": OWNER,
        "protocol": "0.3",
        "max_payload": 1_048_576,
        "attachments_ok": True,
        "pinged": True,
        "same_instance": True,
    }
    ended = await council.client.get("mine-1")
    assert "".join(told(lines, "response")) == ended.results[0].proposal.content
    statuses = told(lines, "status")
    assert statuses[:2] == ["ack", "task:mine-1"]
    assert {f"seat_answered:agent-dev-00{number}" for number in (1, 2, 3)} <= set(statuses)
    assert not told(lines, "error")
    assert told(lines, "alive") == [True], "its tracker heard our heartbeat"


async def test_its_attachment_reaches_the_seats(
    system: System, offer: Offer, sdk: str, tmp_path: Path
):
    await system.core()
    await system.agent(engine := Talking())
    await offer()
    file = tmp_path / "notes.md"
    file.write_text("Zürich pays late")
    lines = await called(sdk, system.settings, "dev", json.dumps({"prompt": PROMPT}), str(file))
    assert "## notes.md\nZürich pays late" in engine.begun[0].messages[-1].content
    assert told(lines, "response")


@pytest.mark.parametrize(
    ("prompt", "error"),
    [
        ({"prompt": "x", "conclave": {"rounds": 0}}, "400"),
        ({"prompt": PROMPT, "conclave": {"seed": 1}}, "400"),
        ({"prompt": PROMPT}, "500"),
    ],
    ids=["a wrong value", "an unknown field", "a deliberation that fails"],
)
async def test_it_understands_our_errors(
    system: System, offer: Offer, sdk: str, prompt: dict[str, Any], error: str
):
    await system.core()
    await system.agent(Refusing("prompt_too_long"))
    await offer()
    lines = await called(sdk, system.settings, "dev", json.dumps(prompt))
    (found,) = told(lines, "error")
    assert found.startswith(f"ProtocolError: service error {error}: ")
