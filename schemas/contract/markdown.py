"""The contract as one page for people: how to write a client, then every subject and message."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from shlex import quote
from typing import Any

from schemas.contract import wording
from schemas.contract.asyncapi import document
from schemas.contract.examples import EXAMPLES
from schemas.version import VERSION

Json = dict[str, Any]

GUIDE = Path(__file__).with_name("guide.md")

SHORT = 600
"""Characters of an example that is shown where it is used; longer ones are linked."""


def page() -> str:
    """The whole page. It says nothing that the AsyncAPI document does not, but for the guide."""
    contract = json.loads(json.dumps(document()))
    parts = (
        GUIDE.read_text(encoding="utf-8").replace("VERSION", VERSION).rstrip(),
        *_endpoints(contract),
        *_channels(contract),
        *_errors(contract),
        *_seat_failures(contract),
        *_streams(contract),
        *_messages(contract),
    )
    return "\n\n".join(parts) + "\n"


def _endpoints(contract: Json) -> Iterator[str]:
    yield (
        "## Endpoints\n\nRequest and reply over core NATS; every error is an"
        " [ErrorReply](#errorreply)."
    )
    everywhere = _everywhere(contract)
    for operation in _answered(contract):
        channel = _at(contract, operation["channel"])
        request, reply = _only(operation), _only(operation["reply"])
        subject, own = channel["address"], sorted(set(operation["x-errors"]) - everywhere)
        yield f"### Endpoint {subject}"
        yield (
            f"{operation['summary']}{_by(operation)}\n\n"
            f"- request: {wording.link(request)}\n- reply: {wording.link(reply)}\n"
            f"- errors of its own: {', '.join(f'`{code}`' for code in own) or 'none'}"
        )
        asked, told = (_example(contract, name) for name in (request, reply))
        yield f"```sh\nnats req {_as_used(subject, request)} {quote(_line(asked))} --raw\n```"
        yield _block(told) if len(_line(told)) < SHORT else f"Example: {wording.link(reply)}."


def _channels(contract: Json) -> Iterator[str]:
    yield "## Events and stored messages"
    rows = []
    for operation in contract["operations"].values():
        channel = _at(contract, operation["channel"])
        if "reply" in operation:
            continue
        kinds = ", ".join(wording.link(_last(each)) for each in operation["messages"])
        direction = "you receive" if operation["action"] == "send" else "you send"
        kept = f"stored in `{channel['x-stream']}`" if "x-stream" in channel else "live"
        rows.append((f"`{channel['address']}`", kinds, direction, kept, operation["summary"]))
    yield _table(("subject", "message", "", "", "what it says"), rows)


def _errors(contract: Json) -> Iterator[str]:
    yield "## Errors"
    everywhere = _everywhere(contract)
    yield _table(
        ("code", "`Nats-Service-Error-Code`", "", "meaning"),
        (
            (
                f"`{code}`",
                str(error["number"]),
                "every endpoint" if code in everywhere else "",
                error["meaning"],
            )
            for code, error in contract["x-errors"].items()
        ),
    )


def _seat_failures(contract: Json) -> Iterator[str]:
    yield "## Why a seat fails"
    yield (
        "The `code` of a [Failure](#failure) in an outcome and of a [SeatFailure](#seatfailure) in"
        " `seat_failed`. One seat's failure ends no deliberation: it goes on with the others. A"
        " program that joined may state codes of its own."
    )
    rows = ((f"`{code}`", meaning) for code, meaning in contract["x-seat-failures"].items())
    yield _table(("code", "meaning"), rows)


def _streams(contract: Json) -> Iterator[str]:
    yield "## Streams"
    yield _table(
        ("stream", "subjects", "keeps", "republishes", "what it holds"),
        (
            (
                f"`{name}`",
                "<br>".join(f"`{each}`" for each in stream["subjects"]),
                "the last a subject" if stream["messages_per_subject"] == 1 else "all",
                "`{source}` as `{destination}`".format(**stream["republish"])
                if "republish" in stream
                else "",
                stream["description"],
            )
            for name, stream in contract["x-streams"].items()
        ),
    )


def _messages(contract: Json) -> Iterator[str]:
    schemas, messages = contract["components"]["schemas"], contract["components"]["messages"]
    yield "## Messages"
    named = [name for name in messages if name in schemas]
    for name in named:
        yield from _message(name, schemas[name])
        for example in messages[name]["examples"]:
            yield f"Example `{example['name']}`:"
            yield _block(example["payload"])
    yield "## Parts of messages"
    for name in sorted(schemas.keys() - set(named)):
        yield from _message(name, schemas[name])


def _message(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}"
    unknown = " Unknown fields are refused." if schema.get("additionalProperties") is False else ""
    yield schema.get("description", "Headers, all of them strings.") + unknown
    required = schema.get("required", ())
    rows = (
        (
            f"`{field}`",
            wording.kind(each),
            wording.default(each, required=field in required),
            each["description"],
        )
        for field, each in schema["properties"].items()
    )
    yield _table(("field", "type", "default", "meaning"), rows)


def _answered(contract: Json) -> list[Json]:
    return [each for each in contract["operations"].values() if "x-errors" in each]


def _by(operation: Json) -> str:
    bindings = operation.get("bindings")
    return f" Answered by `{bindings['nats']['queue']}`." if bindings else ""


def _everywhere(contract: Json) -> set[str]:
    return set.intersection(*(set(each["x-errors"]) for each in _answered(contract)))


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _block(payload: Any) -> str:
    return f"```json\n{json.dumps(payload, indent=2, ensure_ascii=False)}\n```"


def _line(payload: Any) -> str:
    return json.dumps(payload, ensure_ascii=False)


def _example(contract: Json, name: str) -> Any:
    return contract["components"]["messages"][name]["examples"][0]["payload"]


def _as_used(subject: str, request: str) -> str:
    """The subject, with values from the request's example for its parameters."""
    if "{" not in subject:
        return subject
    return next(each.subject for each in EXAMPLES if type(each.message).__name__ == request)


def _only(side: Json) -> str:
    return _last(side["messages"][0])


def _last(reference: Json) -> str:
    return str(reference["$ref"].rpartition("/")[2])


def _at(contract: Json, reference: Json) -> Json:
    channel: Json = contract["channels"][_last(reference)]
    return channel
