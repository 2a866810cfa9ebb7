"""What the codes mean: of error replies, and of seats that gave no answer."""

from collections.abc import Mapping

ERRORS: Mapping[str, str] = {
    "already_over": "the deliberation has its outcome; it cannot be cancelled",
    "bad_message": "not a message of this kind: `path` names the field that is wrong, missing or"
    " unknown",
    "bad_request": "each field is well-formed, but they do not go together, or pass a limit of this"
    " system",
    "conflict": "the id or role belongs to something else, or it was changed at the same moment",
    "internal": "a defect in the system; the request may be sent again",
    "overloaded": "too much under way, here or in this council; send it again after"
    " `retry_after_ms`",
    "too_large": "over the server's `max_payload` or the limit for one request",
    "too_many_agents": "the council has fewer seats than `num_agents`",
    "unavailable": "the store does not answer or is full; send it again, with your own `task_id`"
    " nothing happens twice",
    "unknown_letter": "no such dead letter",
    "unknown_role": "no such council",
    "unknown_seat": "nobody holds that seat, or not under that lease",
    "unknown_task": "no such deliberation, or it is older than what is kept",
    "unsupported_version": "the header `Conclave-Schema` states a major version that is not spoken",
}

SEAT_FAILURES: Mapping[str, str] = {
    "abstained": "it was silent when its round was settled: by `seat_timeout_seconds`, or because"
    " the `quorum` was there and `grace_ms` had passed",
    "agent_error": "the outside agent behind the seat replied with an error",
    "agent_gone": "nobody answers for the outside agent behind the seat",
    "agent_silent": "the outside agent behind the seat began, and was not heard of again",
    "answer_too_large": "the answer is over `max_payload`, or over what a seat may say",
    "bad_answer": "the answer is no AgentResponse, or its numbers cannot be",
    "bad_chunk": "the outside agent behind the seat sent what its protocol does not know",
    "bad_sampling": "the engine does not take the `sampling`",
    "bad_schema": "the `response_schema` is no JSON Schema, or the engine cannot write by it",
    "cancelled": "the deliberation was cancelled before the seat had answered",
    "command_failed": "the command behind the seat could not be run, or ended with an error",
    "empty_answer": "the seat ended without a text",
    "endpoint_error": "the HTTP endpoint behind the seat sent what could not be read",
    "endpoint_silent": "the HTTP endpoint behind the seat did not answer in time",
    "endpoint_unreachable": "no connection to the HTTP endpoint behind the seat",
    "http_<status>": "the HTTP endpoint behind the seat replied with this status",
    "internal": "a defect in the agent, or the engine ended without a result",
    "not_json": "the seat was asked for JSON and wrote none",
    "not_needed": "cut short, for the result no longer depended on its answer; nothing is wrong",
    "planted_failure": "`scripted_failure_rate` of the scripted engine hit the seat: a rehearsal",
    "poison": "every attempt to serve the request ended without an acknowledgement; it is a dead"
    " letter",
    "prompt_too_large": "task, context and the others' texts together are over `max_payload`",
    "prompt_too_long": "the prompt leaves the model no room to answer, or is more than the outside"
    " agent behind the seat takes",
    "seat_left": "its program left the council",
    "seat_lost": "its program missed its heartbeats",
    "seat_silent": "its program had let three deliberations wait for it in vain",
    "terminated": "whoever had the request in hand ended it for good (`+TERM`)",
    "timeout": "it had not answered when the deliberation reached its deadline",
}
"""In `SeatFailure` and `Failure`. A program that joined may state any other of its own."""
