"""Every subject that is answered: request, reply, and who answers."""

from schemas.contract.table import Endpoint
from schemas.council import (
    Alive,
    Council,
    CouncilCreate,
    CouncilJoin,
    CouncilLeave,
    CouncilList,
    CouncilListQuery,
    CouncilQuery,
    Heartbeat,
    Joined,
    Left,
)
from schemas.dead_letter import (
    DeadLetter,
    DeadLetterListQuery,
    DeadLetterPage,
    DeadLetterQuery,
)
from schemas.deliberation import (
    Accepted,
    Cancelled,
    CancelRequest,
    DeliberationRequest,
    GetQuery,
    ListQuery,
    RecountQuery,
    StatsQuery,
    WaitQuery,
)
from schemas.result import Deliberation, Page, Stats
from schemas.service import ContractQuery, Document, InfoReply, PingReply, StatsReply
from subjects import names

DISPATCHER = "conclave-dispatcher"
RESPONDER = "conclave-responder"
REGISTRY = "conclave-registry"
DEAD_LETTERS = "conclave-dead-letters"

ALWAYS = (
    "bad_message",
    "internal",
    "overloaded",
    "too_large",
    "unavailable",
    "unsupported_version",
)
"""Errors that every endpoint may reply with."""


ENDPOINTS = (
    Endpoint(
        names.REQUEST,
        DeliberationRequest,
        Accepted,
        DISPATCHER,
        "Ask a council. The reply is the durable acknowledgement: the request is stored.",
        ("bad_request", "conflict", "too_many_agents", "unknown_role"),
    ),
    Endpoint(
        names.CANCEL,
        CancelRequest,
        Cancelled,
        DISPATCHER,
        "End a deliberation now; what is being generated for it is aborted.",
        ("already_over", "unknown_task"),
    ),
    Endpoint(
        names.GET,
        GetQuery,
        Deliberation,
        RESPONDER,
        "What is known of a deliberation now: partial while it runs, whole when it is over.",
        ("unknown_task",),
    ),
    Endpoint(
        names.WAIT,
        WaitQuery,
        Deliberation,
        RESPONDER,
        "As get, answered when the deliberation is over or `timeout_seconds` have passed. Knows a"
        " submission from its receipt on."
        " Give your client's request a longer time-out than that.",
        ("unknown_task",),
    ),
    Endpoint(
        names.RECOUNT,
        RecountQuery,
        Deliberation,
        RESPONDER,
        "Count the ballots of a finished deliberation again, by another rule or without seats."
        " Only `ranked`, `revised` and `synthesized` hold any; without them: `bad_request`.",
        ("bad_request", "conflict", "unknown_task"),
    ),
    Endpoint(
        names.LIST,
        ListQuery,
        Page,
        RESPONDER,
        "A page of summaries, newest first. Ask again with the page's `cursor` for older ones.",
    ),
    Endpoint(
        names.STATS,
        StatsQuery,
        Stats,
        RESPONDER,
        "Counts, latencies and tokens of the last hour, and the agents alive now.",
    ),
    Endpoint(
        names.CONTRACT,
        ContractQuery,
        Document,
        RESPONDER,
        "The AsyncAPI document of the version that answers.",
    ),
    Endpoint(
        names.COUNCIL_CREATE,
        CouncilCreate,
        Council,
        REGISTRY,
        "Make a council. It can be asked as soon as the reply is there.",
        ("bad_request", "conflict"),
    ),
    Endpoint(names.COUNCIL_GET, CouncilQuery, Council, REGISTRY, "One council.", ("unknown_role",)),
    Endpoint(names.COUNCIL_LIST, CouncilListQuery, CouncilList, REGISTRY, "Every council."),
    Endpoint(
        names.COUNCIL_DELETE,
        CouncilQuery,
        Council,
        REGISTRY,
        "Remove a council; deliberations under way go on. The reply is the council as it was, now"
        " `deleted`. Its role is free again.",
        ("conflict", "unknown_role"),
    ),
    Endpoint(
        names.COUNCIL_JOIN,
        CouncilJoin,
        Joined,
        REGISTRY,
        "Take a seat in a council with a program of your own. The reply has all that it must know.",
        ("bad_request", "conflict", "too_many_agents", "unknown_role"),
    ),
    Endpoint(
        names.COUNCIL_LEAVE,
        CouncilLeave,
        Left,
        REGISTRY,
        "Give the seat up; what it still has to answer counts as failed.",
        ("conflict", "unknown_seat"),
    ),
    Endpoint(
        names.ANY_HEARTBEAT,
        Heartbeat,
        Alive,
        REGISTRY,
        "Say that the program of a seat is still there. Every registry replies; the first will do.",
        ("unknown_seat",),
        parameters=("queue",),
        shared=False,
    ),
    Endpoint(
        names.DEAD_LIST,
        DeadLetterListQuery,
        DeadLetterPage,
        DEAD_LETTERS,
        "Messages that could not be processed, oldest first, with the reason why.",
    ),
    Endpoint(
        names.DEAD_GET,
        DeadLetterQuery,
        DeadLetter,
        DEAD_LETTERS,
        "One of them, with the message as it was.",
        ("unknown_letter",),
    ),
    Endpoint(
        names.DEAD_RETRY,
        DeadLetterQuery,
        DeadLetter,
        DEAD_LETTERS,
        "Send the message again, to where it came from; once, however often this is asked.",
        ("bad_request", "conflict", "unknown_letter"),
    ),
    Endpoint(
        names.DEAD_DROP,
        DeadLetterQuery,
        DeadLetter,
        DEAD_LETTERS,
        "Let it be: nobody will look at the message again.",
        ("conflict", "unknown_letter"),
    ),
)

DISCOVERY = (
    ("$SRV.PING", PingReply, "Which services are there."),
    ("$SRV.INFO", InfoReply, "What each service offers."),
    ("$SRV.STATS", StatsReply, "What each service did."),
)
"""NATS ADR-32: an empty message; every instance replies. `.<name>` and `.<name>.<id>` narrow it."""
