"""What lies in deploy/contract is what the code says, complete and readable."""

import json
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from schemas.contract.asyncapi import as_json, document
from schemas.contract.channels import CHANNELS
from schemas.contract.codes import ERRORS
from schemas.contract.endpoints import ENDPOINTS
from schemas.contract.examples import EXAMPLES
from schemas.contract.json_schema import components, messages
from schemas.contract.markdown import page
from schemas.contract.meanings import FIELDS, meaning
from schemas.errors import HTTP_LIKE

FOLDER = Path(__file__).parents[2] / "deploy/contract"
MAX_PAYLOAD = 1_048_576
CONSTANT = {"event", "type", ("Cancelled", "status")}
"""Fields that only ever hold one value."""


def described() -> dict[str, set[str]]:
    return {
        name: set(schema["properties"])
        for name, schema in components(messages(), "#/{name}").items()
    }


def test_the_committed_contract_follows_from_the_code():
    done = subprocess.run(
        [sys.executable, str(FOLDER / "write.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_field_and_every_error_has_a_meaning_and_no_meaning_is_left_over():
    spoken = {(name, field) for name, found in described().items() for field in found}
    assert not {each for each in spoken if not meaning(*each)}
    used = {f"{name}.{field}" for name, field in spoken} | {field for _, field in spoken}
    assert not FIELDS.keys() - used
    assert ERRORS.keys() == HTTP_LIKE.keys()


def test_every_message_has_an_example():
    assert {type(each.message) for each in EXAMPLES} == set(messages())
    names = [each.name for each in EXAMPLES]
    assert len(set(names)) == len(names)


def test_the_examples_together_set_every_field():
    told: defaultdict[str, set[str]] = defaultdict(set)
    for example in EXAMPLES:
        for part in structs(example.message):
            told[type(part).__name__] |= set_in(part)
    spoken = {(name, field) for name, found in described().items() for field in found}
    unset = {(name, field) for name, field in spoken if field not in told[name]}
    assert not {each for each in unset if each[1] not in CONSTANT and each not in CONSTANT}


def structs(value: Any) -> Iterator[Struct]:
    if isinstance(value, Struct):
        yield value
        value = [getattr(value, each.name) for each in fields(value)]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for each in value:
            yield from structs(each)


def set_in(part: Struct) -> set[str]:
    """The fields that say something else than their default."""
    return {each.name for each in fields(part) if getattr(part, each.name) != each.default}


def test_every_link_of_the_page_leads_somewhere():
    headings = re.findall(r"^#{1,3} (.+)$", page(), re.MULTILINE)
    anchors = [re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings]
    assert len(set(anchors)) == len(anchors)
    links = set(re.findall(r"\]\(#([^)]+)\)", page()))
    assert len(links) > 50
    assert not links - set(anchors)


def test_every_link_of_the_html_page_leads_somewhere():
    html = (FOLDER / "contract.html").read_text()
    links = set(re.findall(r'href="#([^"]+)"', html))
    assert len(links) > 50
    assert not links - set(re.findall(r'id="([^"]+)"', html))


def test_the_page_tells_of_every_subject_and_every_field():
    text = page()
    assert not [each.address for each in ENDPOINTS if each.address not in text]
    assert not [each.address for each in CHANNELS if each.address not in text]
    assert not [field for found in described().values() for field in found if field not in text]


def test_the_document_leaves_room_in_a_message_of_the_default_size():
    assert len(as_json()) < MAX_PAYLOAD / 4
    assert json.loads(as_json()) == json.loads(json.dumps(document()))
