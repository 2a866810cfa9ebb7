"""A running system keeps to its contract, and tells it."""

import json

import msgspec
import pytest

from schemas.codec import CONTENT_TYPE, MSGPACK
from schemas.contract.asyncapi import as_json, document
from schemas.contract.endpoints import ENDPOINTS
from schemas.version import SCHEMA, VERSION
from subjects import names
from tests.harness.system import System


async def test_every_endpoint_that_is_answered_is_in_the_contract_and_the_other_way(
    council: System,
):
    answered = {
        (endpoint["subject"], endpoint["queue_group"], endpoint["metadata"]["request"])
        for service in await council.client.discovered("INFO")
        for endpoint in service["endpoints"]
    }
    promised = {
        (each.subject, each.service, each.request.__name__) for each in ENDPOINTS if each.shared
    }
    assert answered == promised


async def test_the_contract_is_sent_in_either_format(council: System):
    reply = await council.client.call(names.CONTRACT)
    assert reply.raw == as_json()
    assert reply.headers[SCHEMA] == VERSION
    packed = await council.client.bus.request(
        names.CONTRACT, msgspec.msgpack.encode({}), {CONTENT_TYPE: MSGPACK}
    )
    assert msgspec.msgpack.decode(packed.body) == json.loads(as_json())


@pytest.mark.parametrize("flags", [(), ("--format", "asyncapi"), ("--json",)])
def test_the_command_prints_the_document_without_a_server(conclave, flags):
    done = conclave("contract", *flags)
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(document()))


def test_the_command_prints_schemas_and_the_page(conclave):
    schemas = json.loads(conclave("contract", "-f", "schemas").stdout)
    assert schemas["GetQuery"]["required"] == ["task_id"]
    assert conclave("contract", "-f", "markdown").stdout.startswith("# Conclave, contract")
