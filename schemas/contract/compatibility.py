"""What breaks a program that was written by an older contract of the same major version.

What a program sends must still be accepted; what it receives must still be what it was promised.
So requests may only be widened, replies and events only be narrowed, with exceptions that readers
are told to bear: new fields, new values of an enumeration, new kinds of events.
"""

from collections.abc import Iterator

from schemas.contract.schema_changes import Json, Pair, missing


def breaks(old: Json, new: Json) -> list[str]:
    """Every breaking difference between two AsyncAPI documents of ours, each in one line."""
    return [*_channels(old, new), *_operations(old, new), *_errors(old, new), *_streams(old, new)]


def _channels(old: Json, new: Json) -> Iterator[str]:
    for name, channel in old["channels"].items():
        found = new["channels"].get(name)
        if found is None:
            yield f"channel {name}: removed"
        elif found["address"] != channel["address"]:
            yield f"channel {name}: its address was {channel['address']}"


def _operations(old: Json, new: Json) -> Iterator[str]:
    for name, operation in old["operations"].items():
        found = new["operations"].get(name)
        if found is None:
            yield f"operation {name}: removed"
        elif found["action"] != operation["action"]:
            yield f"operation {name}: its action was {operation['action']}"
        else:
            yield from _Exchange(old, new).operation(name, operation, found)


class _Exchange:
    """The messages of one operation in two documents."""

    def __init__(self, old: Json, new: Json) -> None:
        self._old, self._new = old, new

    def operation(self, name: str, old: Json, new: Json) -> Iterator[str]:
        received = old["action"] == "receive"
        yield from self._messages(name, old, new, received=received)
        if "reply" in old:
            before, after = old["reply"], new.get("reply", {})
            yield from self._messages(f"{name} reply", before, after, received=False)
            for message in missing(_names(after), _names(before)):
                yield f"{name} reply: message {message} was not to be expected"

    def _messages(self, where: str, old: Json, new: Json, *, received: bool) -> Iterator[str]:
        after = _names(new)
        for name in _names(old):
            if name not in after:
                yield f"{where}: message {name} removed"
                continue
            old_message = self._old["components"]["messages"][name]
            new_message = self._new["components"]["messages"][name]
            whole = Pair(old_message, new_message, self._old, self._new)
            for part in ("headers", "payload"):
                yield from whole.of(part).differences(f"{where} {name}", received=received)


def _names(side: Json) -> list[str]:
    return [reference["$ref"].rpartition("/")[2] for reference in side.get("messages", ())]


def _errors(old: Json, new: Json) -> Iterator[str]:
    for code, error in old["x-errors"].items():
        found = new["x-errors"].get(code)
        if found is None:
            yield f"error {code}: removed"
        elif found["number"] != error["number"]:
            yield f"error {code}: its number was {error['number']}"


def _streams(old: Json, new: Json) -> Iterator[str]:
    for name, stream in old["x-streams"].items():
        found = new["x-streams"].get(name)
        if found is None:
            yield f"stream {name}: removed"
            continue
        for subject in missing(stream["subjects"], found["subjects"]):
            yield f"stream {name}: no longer stores {subject}"
        if found.get("republish") != stream.get("republish"):
            yield f"stream {name}: its republish was {stream.get('republish')}"
