"""The contract as others see it: the official parser, and a person with Node and the page."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import conclave
from schemas.contract.channels import CHANNELS
from schemas.contract.endpoints import DISCOVERY, ENDPOINTS
from schemas.contract.markdown import page

pytestmark = [pytest.mark.clients, pytest.mark.timeout(360)]

HERE = Path(__file__).parent
FOLDER = HERE.parents[1] / "deploy/contract"
CHECK = (HERE / "check.mjs").read_text()


def blocks(kind: str) -> list[str]:
    """The programs that the page shows, in order."""
    return re.findall(rf"^```{kind}\n(.*?)^```", page(), re.MULTILINE | re.DOTALL)


def checked(node, folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(node(CHECK, str(folder)))
    return found


def test_the_asyncapi_parser_and_every_schema_accept_document_examples_and_captures(node):
    found = checked(node, FOLDER)
    assert found["problems"] == []
    assert found["operations"] == len(ENDPOINTS) + len(CHANNELS) + len(DISCOVERY)
    captures = json.loads((FOLDER / "golden/index.json").read_text())["captures"]
    assert found["checked"] == 3 * len(captures)


def test_the_check_notices_what_is_wrong(node, tmp_path: Path):
    shutil.copytree(FOLDER, tmp_path / "contract")
    asyncapi = tmp_path / "contract/asyncapi.json"
    document = json.loads(asyncapi.read_text())
    document["operations"]["get"]["action"] = "shout"
    asyncapi.write_text(json.dumps(document))
    (tmp_path / "contract/golden/GetQuery.json").write_text('{"task_id": 7}')
    problems = checked(node, tmp_path / "contract")["problems"]
    assert any(
        each.startswith("asyncapi ") and "operations/get/action" in each for each in problems
    )
    assert any(each.startswith("golden GetQuery: ") for each in problems)
    assert "GetQuery: the formats differ" in problems


def test_the_program_that_the_page_teaches_works_as_it_stands(node, url: str):
    said = node("\n".join(blocks("js")), NATS_URL=url)
    assert re.search(
        r"^accepted retries-\d+, asked agent-dev-001 agent-dev-002", said, re.MULTILINE
    )
    assert re.search(r"^agent-dev-00\d \+0 \S", said, re.MULTILINE)
    assert re.search(r"^COMPLETED: .+\n1\. ", said, re.MULTILINE)
    assert re.search(r"^COMPLETED; \d in the list", said, re.MULTILINE)
    assert re.search(r"^refused: already_over at \$\.task_id: ", said, re.MULTILINE)
    assert "MessagePack: COMPLETED\n" in said
    assert re.search(r"^stored: deliberation\.outcome\.completed\.\S+ \S", said, re.MULTILINE)
    assert re.search(r"^submitted as DELIBERATIONS #\d+", said, re.MULTILINE)
    assert re.search(r"^handed in: COMPLETED, [1-9]\d* results$", said, re.MULTILINE)


INSISTING = """
const busy = headers();
busy.set("Nats-Service-Error-Code", "429");
let asked = 0;
nc.subscribe("busy", {
  callback: (_, message) => {
    asked += 1;
    const error = { code: "overloaded", message: "come again", retry_after_ms: 20 };
    if (asked < 3) message.respond(JSON.stringify({ error }), { headers: busy });
    else message.respond("{}");
  },
});
await insist("busy", {});
console.log(`asked ${asked} times`);
nc.subscribe("silent", { callback: () => {} });
const bad = { task_id: "x y" };
for (const [subject, request] of [["nobody", {}], ["silent", {}], ["deliberation.get", bad]]) {
  await call(subject, request, 1_000).catch((error) => {
    console.log(`${subject}: ${error.code ?? error.constructor.name} ${passing(error)}`);
  });
}
await nc.drain();
"""


def test_the_page_teaches_what_to_send_again_and_what_not(node, url: str):
    said = node("\n".join([*blocks("js")[:3], INSISTING]), NATS_URL=url)
    assert said.splitlines() == [
        "asked 3 times",
        "nobody: RequestError true",
        "silent: TimeoutError true",
        "deliberation.get: bad_message false",
    ]


def test_the_seat_that_the_page_teaches_is_heard_in_its_council(packages, url: str):
    program = "\n".join([*blocks("js")[:2], *blocks("js seat")])
    with (
        running(program, NATS_URL=url) as guest,
        conclave.connect(url, timeout_s=10) as client,
    ):
        assert guest.stdout.readline() == "joined PAYMENTS as node-guest\n"
        outcome = client.ask("How do we retry?", "PAYMENTS", protocol="independent")
        assert outcome.status == "COMPLETED", outcome
        assert outcome.results[0].proposal.author_id == "node-guest"
        assert outcome.results[0].proposal.content.endswith("keep a ledger.")
        assert guest.stdout.readline() == f"answered {outcome.task_id} round 0\n"
        client.delete_council("PAYMENTS")


@contextmanager
def running(program: str, **env: str) -> Iterator[subprocess.Popen[str]]:
    """A Node program that does not end by itself."""
    with subprocess.Popen(
        ["node", "--input-type=module", "-"],
        cwd=HERE,
        env=os.environ | env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write(program)
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()
