"""Every endpoint of the contract, asked by a program of every language."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec import Struct

from subjects import names
from tests.clients.beside import Beside
from tests.clients.contract import endpoints
from tests.clients.programs import Client, asked, unique

SEAT = {"id": "one", "persona": "plain"}
GUEST = {"seat": "guest", "create": True, "persona": "plain"}


class Example(Struct, frozen=True):
    """What is sent to an endpoint, and a field that tells its reply from others."""

    field: str
    message: Callable[[Beside], Any] = lambda _: {}


EXAMPLES = {
    names.REQUEST: Example("accepted_at_ms", lambda _: asked()),
    names.CANCEL: Example("cancelled_at_ms", lambda beside: {"task_id": beside.running()}),
    names.GET: Example("winner_reason", lambda beside: {"task_id": beside.over()}),
    names.WAIT: Example("winner_reason", lambda beside: {"task_id": beside.opened()}),
    names.RECOUNT: Example(
        "ballots", lambda beside: {"task_id": beside.over(), "rule": "copeland"}
    ),
    names.LIST: Example("deliberations", lambda _: {"limit": 2}),
    names.STATS: Example("window_seconds"),
    names.CONTRACT: Example("asyncapi"),
    names.COUNCIL_CREATE: Example(
        "created_at_ms", lambda _: {"role": unique("role"), "seats": [SEAT]}
    ),
    names.COUNCIL_GET: Example("seats", lambda beside: {"role": beside.council()}),
    names.COUNCIL_LIST: Example("councils"),
    names.COUNCIL_DELETE: Example("deleted", lambda beside: {"role": beside.council()}),
    names.COUNCIL_JOIN: Example("pull_subject", lambda _: GUEST | {"role": unique("role")}),
    names.COUNCIL_LEAVE: Example("left_at_ms", lambda beside: beside.seat()),
    names.ANY_HEARTBEAT: Example("within_seconds", lambda beside: beside.seat()),
    names.DEAD_LIST: Example("letters"),
    names.DEAD_GET: Example("reason", lambda beside: {"id": beside.dead_letter()}),
    names.DEAD_RETRY: Example("retried_as", lambda beside: {"id": beside.dead_letter()}),
    names.DEAD_DROP: Example("state", lambda beside: {"id": beside.dead_letter()}),
    "$SRV.PING": Example("id"),
    "$SRV.INFO": Example("endpoints"),
    "$SRV.STATS": Example("endpoints"),
}


@pytest.mark.parametrize("endpoint", [each.subject for each in endpoints()])
def test_a_client_in_any_language_asks(client: Client, beside: Beside, endpoint: str):
    example = EXAMPLES[endpoint]
    message = example.message(beside)
    subject = endpoint
    if endpoint == names.ANY_HEARTBEAT:
        subject = names.heartbeat(names.seat_queue(message["role"], message["seat"]))
    said = client.call(subject, message)
    assert said.code == 0, said.errors
    (reply,) = said.on(subject)
    assert example.field in reply


def test_every_endpoint_of_the_contract_has_its_example_and_no_other():
    assert set(EXAMPLES) == {each.subject for each in endpoints()}
