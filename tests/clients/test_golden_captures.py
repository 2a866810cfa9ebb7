"""The captured messages of the contract hold the same values in every language and format."""

import json
from pathlib import Path

from tests.clients.contract import CONTRACT
from tests.clients.programs import Client

GOLDEN = CONTRACT / "golden"
CAPTURES = json.loads((GOLDEN / "index.json").read_text())["captures"]


def test_every_capture_is_read_alike_from_json_and_messagepack(client: Client):
    formats = ("json",) if client.language == "shell" else ("json", "msgpack")
    files = [GOLDEN / capture[form] for capture in CAPTURES for form in formats]
    said = client.run("decode", *map(str, files))
    assert said.code == 0, said.errors
    assert len(said.lines) == len(files) > 0
    for file, message in said.lines:
        assert message == json.loads(Path(file).with_suffix(".json").read_text()), file
