"""Every subject that is not answered: what is published live, and what is stored."""

from schemas.agent import AgentRequest, AgentResponse
from schemas.contract.table import Channel
from schemas.council import (
    Council,
)
from schemas.deliberation import (
    DeliberationRequest,
    Opened,
    RoundOpened,
)
from schemas.progress import SeatAnswered, SeatFailed, SeatStarted, TextDelta
from schemas.result import Deliberation
from subjects import names
from subjects.streams import COUNCILS, DELIBERATIONS

OUTCOMES = tuple(
    Channel(
        name=subject.rpartition(".")[2],
        subject=subject,
        messages=(Deliberation,),
        said_by="system",
        summary=f"{how} Published once, after it is stored.",
    )
    for subject, how in (
        (names.COMPLETED, "A deliberation ended with a ranked result."),
        (names.FAILED, "A deliberation ended without a result; `reason` says why."),
        (names.TIMEOUT, "A deliberation reached its deadline; `results` holds what was there."),
        (names.CANCELLED, "A deliberation was ended by a client."),
    )
)

CHANNELS = (
    *OUTCOMES,
    Channel(
        name="progress",
        subject=names.ANY_PROGRESS,
        parameters=("task_id",),
        messages=(SeatStarted, TextDelta, SeatAnswered, SeatFailed),
        said_by="system",
        summary="What the seats of a deliberation do as they do it, told apart by `event`. Live, at"
        " most once: not stored. Subscribe before you ask; ignore an `event` you do not know.",
    ),
    Channel(
        name="submission",
        subject=names.ANY_SUBMISSION,
        parameters=("task_id",),
        messages=(DeliberationRequest,),
        said_by="client",
        stream=DELIBERATIONS,
        summary="A request handed in whether or not anybody is there. Published as a request: the"
        ' reply is the stream\'s PubAck, `{"stream", "seq"}`, and the promise of one outcome.'
        " A reply with `error` is none: nothing is stored.",
    ),
    Channel(
        name="outcome",
        subject=names.ANY_OUTCOME,
        parameters=("status", "task_id"),
        messages=(Deliberation,),
        said_by="system",
        stream=DELIBERATIONS,
        summary="The one outcome of a deliberation as it is stored; `status` is completed, failed,"
        " timeout or cancelled. For durable consumers.",
    ),
    Channel(
        name="opened",
        subject=names.ANY_OPENED,
        parameters=("task_id",),
        messages=(Opened,),
        said_by="system",
        stream=DELIBERATIONS,
        summary="A deliberation exists: the first of its events.",
    ),
    Channel(
        name="round",
        subject=names.ANY_ROUND,
        parameters=("task_id",),
        messages=(RoundOpened,),
        said_by="system",
        stream=DELIBERATIONS,
        summary="A further round of a deliberation began.",
    ),
    Channel(
        name="seat_request",
        subject=names.ANY_AGENT_REQUEST,
        parameters=("queue",),
        messages=(AgentRequest,),
        said_by="system",
        stream=DELIBERATIONS,
        summary="A seat is asked. Pulled through the durable consumer `agent-<queue>`, acknowledged"
        " after the answer is stored.",
    ),
    Channel(
        name="seat_response",
        subject=names.ANY_AGENT_RESPONSE,
        parameters=("task_id",),
        messages=(AgentResponse,),
        said_by="seat",
        stream=DELIBERATIONS,
        summary="A seat answers. Published as a request: the reply is the stream's PubAck."
        " The first answer for a seat and round counts.",
    ),
    Channel(
        name="council_stored",
        subject=names.ANY_COUNCIL,
        parameters=("role",),
        messages=(Council,),
        said_by="system",
        stream=COUNCILS,
        summary="The present state of a council; `deleted` marks one that is gone.",
    ),
    Channel(
        name="council_changed",
        subject=names.ANY_COUNCIL_CHANGE,
        parameters=("role",),
        messages=(Council,),
        said_by="system",
        summary="A council was made or deleted. Published after it is stored.",
    ),
)
