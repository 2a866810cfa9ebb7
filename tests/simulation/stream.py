"""A JetStream stream in memory: what is stored, under which conditions, and how it is read."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from actors.bus.jetstream import EXPECTED_LAST, EXPECTED_LAST_FILTER, MESSAGE_ID

encode = msgspec.json.Encoder().encode


class Kept(NamedTuple):
    """A stored message."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    sequence: int
    stored_ns: int


class Refused(Exception):
    """What JetStream answers instead: its error code and its words."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@lru_cache(maxsize=65_536)
def matches(pattern: str, subject: str) -> bool:
    """Whether a subject falls under a pattern with `*` for a token and `>` for the rest."""
    wanted, found = pattern.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        found = found[: len(wanted)] if len(found) > len(wanted) else []
    return len(wanted) == len(found) and all(
        one in ("*", other) for one, other in zip(wanted, found, strict=True)
    )


class Stream:
    """See the module. Time comes with each call, in epoch nanoseconds."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.name = str(config["name"])
        self.config = dict(config)
        self.records: dict[int, Kept] = {}
        self.last_sequence = 0
        self.window_ns = int(config["duplicate_window"])
        self._newest: dict[str, Kept] = {}
        self._ids: dict[str, tuple[int, int]] = {}

    def takes(self, subject: str) -> bool:
        """Whether this stream stores what is published there."""
        return any(matches(pattern, subject) for pattern in self.config["subjects"])

    def store(
        self, subject: str, body: bytes, headers: Mapping[str, str], now_ns: int
    ) -> tuple[Kept | None, int]:
        """Store a message; None and the earlier sequence for a double. Raises Refused."""
        message_id = headers.get(MESSAGE_ID)
        if message_id is not None:
            sequence, stored_ns = self._ids.get(message_id, (0, 0))
            if sequence and now_ns - stored_ns < self.window_ns:
                return None, sequence
        if EXPECTED_LAST in headers:
            pattern = headers.get(EXPECTED_LAST_FILTER, subject)
            last = max((each.sequence for each in self.newest([pattern])), default=0)
            if last != int(headers[EXPECTED_LAST]):
                raise Refused(10071, f"wrong last sequence: {last}")
        self.last_sequence += 1
        kept = Kept(subject, body, headers, self.last_sequence, now_ns)
        if self.config.get("max_msgs_per_subject") == 1 and subject in self._newest:
            del self.records[self._newest[subject].sequence]
        self.records[kept.sequence] = self._newest[subject] = kept
        if message_id is not None:
            self._ids[message_id] = (kept.sequence, now_ns)
        return kept, kept.sequence

    def empty(self) -> None:
        """Lose all that is stored; sequences go on."""
        self.records.clear()
        self._newest.clear()

    def newest(self, patterns: Sequence[str]) -> list[Kept]:
        """The last message of each subject under any of the patterns, in stream order."""
        if all("*" not in each and ">" not in each for each in patterns):
            found = [self._newest[each] for each in dict.fromkeys(patterns) if each in self._newest]
        else:
            found = [
                kept
                for subject, kept in self._newest.items()
                if any(matches(pattern, subject) for pattern in patterns)
            ]
        return sorted(found, key=lambda kept: kept.sequence)

    def forward(self, pattern: str, start: int) -> Iterator[Kept]:
        """Messages under a pattern from a sequence on."""
        for sequence in range(max(start, 1), self.last_sequence + 1):
            kept = self.records.get(sequence)
            if kept is not None and matches(pattern, kept.subject):
                yield kept

    def republished(self, kept: Kept) -> str | None:
        """The subject on which a stored message goes out live as well."""
        rule = self.config.get("republish")
        if rule is None or not matches(rule["src"], kept.subject):
            return None
        pairs = zip(rule["src"].split("."), kept.subject.split("."), strict=True)
        destination: str = rule["dest"]
        stars = [token for wanted, token in pairs if wanted == "*"]
        for number, token in enumerate(stars, 1):
            destination = destination.replace(f"{{{{wildcard({number})}}}}", token)
        return destination

    def labels(self, kept: Kept) -> dict[str, str]:
        """The headers that say where a message lies."""
        whole, milliseconds = divmod(kept.stored_ns // 1_000_000, 1_000)
        stamp = datetime.fromtimestamp(whole, UTC).isoformat()[:19]
        return {
            **kept.headers,
            "Nats-Stream": self.name,
            "Nats-Subject": kept.subject,
            "Nats-Sequence": str(kept.sequence),
            "Nats-Time-Stamp": f"{stamp}.{milliseconds:03d}Z",
        }
