"""What operators and tools ask: discovery, the contract, dead letters."""

from typing import Any

from schemas.contract.examples.example import NOW, TASK, reply, said
from schemas.dead_letter import (
    DeadLetter,
    DeadLetterListQuery,
    DeadLetterPage,
    DeadLetterQuery,
)
from schemas.service import (
    ContractQuery,
    Document,
    Endpoint,
    EndpointStats,
    InfoReply,
    PingReply,
    StatsReply,
)
from schemas.version import VERSION
from subjects import names

_SERVICE: dict[str, Any] = {
    "name": "conclave-dispatcher",
    "id": "dispatcher-1",
    "version": "0.1.0",
    "metadata": {},
}
_ENDPOINT: dict[str, Any] = {
    "name": "deliberation-request",
    "subject": names.REQUEST,
    "queue_group": "conclave-dispatcher",
}
_LETTER: dict[str, Any] = {
    "id": 42,
    "subject": names.agent_response(TASK),
    "reason": "Object missing required field `seat`",
    "task_id": TASK,
    "attempts": 1,
    "stored_at_ms": NOW + 351,
    "died_at_ms": NOW + 360,
    "size": 33,
    "headers": {"Nats-Msg-Id": "response.billing-1"},
}
_OTHER: dict[str, Any] = _LETTER | {"id": 43, "size": 900_000, "code": "poison", "attempts": 5}

EXAMPLES = (
    said(names.CONTRACT, ContractQuery()),
    reply(
        names.CONTRACT,
        Document(
            asyncapi="3.0.0",
            info={"title": "Conclave", "version": VERSION},
            channels={"request": {"address": names.REQUEST}},
            operations={},
            components={"schemas": {}},
        ),
    ),
    said(names.DEAD_LIST, DeadLetterListQuery(state="retried", task_id=TASK, limit=5)),
    said(names.DEAD_LIST, DeadLetterListQuery(limit=5, cursor=42), "newer"),
    reply(
        names.DEAD_LIST, DeadLetterPage(letters=(DeadLetter(**_LETTER, state="dead"),), cursor=42)
    ),
    said(names.DEAD_GET, DeadLetterQuery(id=42)),
    reply(
        names.DEAD_GET,
        DeadLetter(**_LETTER, state="dead", body='{"task_id":"billing-1","round":0}'),
    ),
    reply(
        names.DEAD_GET,
        DeadLetter(**_OTHER, state="dead", body_base64="/wD/AP8A/wA=", truncated=True),
        "bytes",
    ),
    reply(names.DEAD_RETRY, DeadLetter(**_OTHER, state="retried", retried_as=4_712), "retried"),
    reply("$SRV.PING", PingReply(**_SERVICE)),
    reply(
        "$SRV.INFO",
        InfoReply(
            **_SERVICE,
            description="takes deliberations in and asks the seats",
            endpoints=(Endpoint(**_ENDPOINT, metadata={"request": "DeliberationRequest"}),),
        ),
    ),
    reply(
        "$SRV.STATS",
        StatsReply(
            **_SERVICE,
            started="2026-11-23T12:00:00+00:00",
            endpoints=(
                EndpointStats(
                    **_ENDPOINT,
                    num_requests=12,
                    num_errors=1,
                    last_error="unknown_role: no council 'SALES'",
                    processing_time=9_000_000,
                    average_processing_time=750_000,
                ),
            ),
            data={"asked": 36, "rejected": 0},
        ),
    ),
)
