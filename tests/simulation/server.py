"""A nats-server in memory: subjects, queue groups, and the part of JetStream that is used here.

`tests/bus/test_contract_*.py` hold it to what a real server does.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, Protocol

from subjects.streams import CHECKPOINTS
from tests.simulation.consumer import Consumer
from tests.simulation.loop import VirtualLoop
from tests.simulation.stream import Kept, Refused, Stream, encode, matches

LOST_CHECKPOINTS = 0.5
"""The share of crashes after which there is none."""

NO_HEADERS: Mapping[str, str] = {}


class Wire(NamedTuple):
    """A message on its way to a subscriber."""

    subject: str
    data: bytes
    headers: Mapping[str, str] | None
    reply: str


class Peer(Protocol):
    """The server's end of a connection; a `sturdy` one outlives a crash."""

    sturdy: bool

    def deliver(self, subscriber: "Subscriber", messages: list[Wire]) -> None:
        """Send messages that belong together, in order."""


class Subscriber:
    """Interest in a subject, or a share in it when `queue` is given."""

    def __init__(self, peer: Peer, subject: str, queue: str, receive: Callable[..., Any]) -> None:
        self.peer = peer
        self.subject = subject
        self.queue = queue
        self.receive = receive


class Server:
    """See the module. What it does is done at once; links and their delays are the peers'."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.streams: dict[str, Stream] = {}
        self.consumers: dict[tuple[str, str], Consumer] = {}
        self.acknowledged: Callable[[Consumer, Kept], None] = lambda _, __: None
        self.stored: Callable[[Stream, Kept], None] = lambda _, __: None
        self.remembers_ids = True
        """Whether doubles by message id are dropped at all."""
        self._loop = loop
        self._exact: defaultdict[str, list[Subscriber]] = defaultdict(list)
        self._under: defaultdict[str, list[Subscriber]] = defaultdict(list)
        self._patterns: defaultdict[str, list[Subscriber]] = defaultdict(list)
        """By the first token."""
        self._holders: dict[str, Stream | None] = {}

    # ------------------------------------------------------------------------- subscriptions

    def _shelf(self, subject: str) -> list[Subscriber]:
        head, _, last = subject.rpartition(".")
        if "*" not in subject and ">" not in subject:
            return self._exact[subject]
        if last == "*" and "*" not in head:
            return self._under[head]
        return self._patterns[subject.partition(".")[0].replace(">", "*")]

    def subscribe(self, subscriber: Subscriber) -> None:
        """Take up an interest."""
        self._shelf(subscriber.subject).append(subscriber)

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Drop an interest, if it is still there."""
        shelf = self._shelf(subscriber.subject)
        if subscriber in shelf:
            shelf.remove(subscriber)

    def drop(self, peer: Peer) -> None:
        """A connection is gone, and its interest with it."""
        for subscriber in self.subscribers:
            if subscriber.peer is peer:
                self.unsubscribe(subscriber)

    @property
    def subscribers(self) -> list[Subscriber]:
        """Every interest there is."""
        shelves = (*self._exact.values(), *self._under.values(), *self._patterns.values())
        return [each for shelf in shelves for each in shelf]

    def _interested(self, subject: str) -> list[Subscriber]:
        """Everybody who gets a message: of each queue group, one."""
        found = [
            *self._exact.get(subject, ()),
            *self._under.get(subject.rpartition(".")[0], ()),
        ]
        for first in (subject.partition(".")[0], "*"):
            for each in self._patterns.get(first, ()):
                if matches(each.subject, subject):
                    found.append(each)  # noqa: PERF401 -- twice as fast where there is none
        groups: dict[str, list[Subscriber]] = {}
        for each in found:
            if each.queue:
                groups.setdefault(each.queue, []).append(each)
        if groups:
            found = [each for each in found if not each.queue]
            found += [self._loop.draw.choice(group) for group in groups.values()]
        return found

    # ------------------------------------------------------------------------------ messages

    def receive(self, subject: str, body: bytes, headers: Mapping[str, str], reply: str) -> None:
        """Take a message from a client."""
        if subject.startswith("$JS.ACK."):
            self._acknowledge(subject.split("."), body)
        elif subject.startswith("$JS.API."):
            self._call(subject[len("$JS.API.") :], body, reply)
        else:
            message = Wire(subject, body, headers or None, reply)
            heard = self._route(subject, message)
            if (stream := self._holder(subject)) is not None:
                self._store(stream, subject, body, headers, reply)
            elif not heard and reply:
                self._no_responders(reply)

    def _route(self, to: str, *messages: Wire) -> bool:
        interested = self._interested(to)
        for subscriber in interested:
            subscriber.peer.deliver(subscriber, list(messages))
        return bool(interested)

    def _no_responders(self, reply: str) -> None:
        self._route(reply, Wire(reply, b"", {"Status": "503"}, ""))

    def _reply(self, reply: str, body: Any) -> None:
        if reply:
            self._route(reply, Wire(reply, encode(body), None, ""))

    def _send(
        self, to: str, subject: str, body: bytes, headers: Mapping[str, str], reply: str
    ) -> bool:
        return self._route(to, Wire(subject, body, headers or None, reply))

    # ------------------------------------------------------------------------------ JetStream

    def _holder(self, subject: str) -> Stream | None:
        if subject.startswith("_INBOX."):
            return None  # a reply: no stream keeps it, and no other ever has its subject
        if subject not in self._holders:
            holders = (each for each in self.streams.values() if each.takes(subject))
            self._holders[subject] = next(holders, None)
        return self._holders[subject]

    def _store(
        self, stream: Stream, subject: str, body: bytes, headers: Mapping[str, str], reply: str
    ) -> None:
        try:
            kept, sequence = stream.store(subject, body, headers, self._loop.wall_ns())
        except Refused as refused:
            self._fail(reply, refused)
            return
        self._reply(reply, {"stream": stream.name, "seq": sequence, "duplicate": kept is None})
        if kept is None:
            return
        if (destination := stream.republished(kept)) is not None:
            self._route(destination, Wire(destination, body, stream.labels(kept), ""))
        self.stored(stream, kept)
        for (holder, _), consumer in tuple(self.consumers.items()):
            if holder == stream.name and not consumer.deleted:
                consumer.offer(kept)

    def _fail(self, reply: str, refused: Refused) -> None:
        code = 404 if refused.code in (10014, 10059) else 400
        error = {"code": code, "err_code": refused.code, "description": str(refused)}
        self._reply(reply, {"error": error})

    def _acknowledge(self, tokens: list[str], body: bytes) -> None:
        consumer = self._found(tokens[2], tokens[3])
        if consumer is not None:
            consumer.answer(int(tokens[5]), body)

    def _found(self, stream: str, name: str) -> Consumer | None:
        consumer = self.consumers.get((stream, name))
        if consumer is not None and consumer.deleted:
            del self.consumers[stream, name]
            return None
        return consumer

    def _call(self, path: str, body: bytes, reply: str) -> None:
        verb, names = _verb(path)
        stream = self.streams.get(names[0])
        if verb in _ONLY_OF_WHAT_IS_THERE:
            is_there = stream is not None and (len(names) == 1 or self._found(*names) is not None)
            if not is_there:
                self._no_responders(reply)
                return
        if verb not in _VERBS:
            raise LookupError(f"the product calls {path}, which this server does not play")
        if stream is None and verb != "STREAM.CREATE":
            self._fail(reply, Refused(10059, "stream not found"))
            return
        act = getattr(self, f"_{verb.lower().replace('.', '_')}")
        try:
            act(names, json.loads(body) if body else {}, reply)
        except Refused as refused:
            self._fail(reply, refused)

    def _stream_create(self, names: list[str], config: dict[str, Any], reply: str) -> None:
        present = self.streams.get(names[0])
        if present is not None and present.config != config:
            raise Refused(10058, "stream name already in use with a different configuration")
        if present is None:
            self._holders.clear()
            self.streams[names[0]] = Stream(config)
            if not self.remembers_ids:
                self.streams[names[0]].window_ns = 0
        self._reply(reply, {"config": config})

    def _stream_update(self, names: list[str], config: dict[str, Any], reply: str) -> None:
        self.streams[names[0]].config = config
        self._holders.clear()
        self._reply(reply, {"config": config})

    def _stream_info(self, names: list[str], _: Any, reply: str) -> None:
        stream = self.streams[names[0]]
        state = {"messages": len(stream.records), "last_seq": stream.last_sequence}
        self._reply(reply, {"config": stream.config, "state": state})

    def _consumer_create(self, names: list[str], request: dict[str, Any], reply: str) -> None:
        name, stream = names[1], self.streams[names[0]]
        consumer = self._found(*names)
        if consumer is None:
            consumer = Consumer(name, stream, request["config"], self._send)
            consumer.acknowledged = partial(self.acknowledged, consumer)
            consumer.exceeded = partial(self._advise, stream.name, name)
            self.consumers[stream.name, name] = consumer
        self._consumer_info([stream.name, name], None, reply)

    def _advise(self, stream: str, consumer: str, sequence: int, deliveries: int) -> None:
        """Tell that a message was delivered as often as it may be."""
        advisory = {
            "type": "io.nats.jetstream.advisory.v1.max_deliver",
            "stream": stream,
            "consumer": consumer,
            "stream_seq": sequence,
            "deliveries": deliveries,
        }
        subject = f"$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.{stream}.{consumer}"
        self.receive(subject, encode(advisory), NO_HEADERS, "")

    def _consumer_info(self, names: list[str], _: Any, reply: str) -> None:
        self._reply(reply, self._told(names[0], self._existing(names)))

    def _told(self, stream: str, consumer: Consumer) -> dict[str, Any]:
        return {
            "stream_name": stream,
            "name": consumer.name,
            "config": consumer.config,
            "num_pending": consumer.backlog,
            "delivered": {"consumer_seq": consumer.delivered, "stream_seq": consumer.reached},
            "num_ack_pending": len(consumer.pending),
            "num_redelivered": consumer.redelivered,
            "num_waiting": len(consumer.waiting),
        }

    def _of(self, stream: str) -> list[Consumer]:
        return [
            found
            for holder, name in tuple(self.consumers)
            if holder == stream and (found := self._found(holder, name)) is not None
        ]

    def _consumer_list(self, names: list[str], query: dict[str, Any], reply: str) -> None:
        told = [self._told(names[0], each) for each in self._of(names[0])]
        page = told[query.get("offset", 0) :]
        self._reply(reply, {"total": len(told), "consumers": page})

    def _consumer_names(self, names: list[str], _: Any, reply: str) -> None:
        here = [each.name for each in self._of(names[0])]
        self._reply(reply, {"total": len(here), "consumers": here})

    def _existing(self, names: list[str]) -> Consumer:
        consumer = self._found(names[0], names[1])
        if consumer is None:
            raise Refused(10014, "consumer not found")
        return consumer

    def _consumer_delete(self, names: list[str], _: Any, reply: str) -> None:
        self._existing(names).delete()
        self._reply(reply, {"success": True})

    def _consumer_msg_next(self, names: list[str], request: Any, reply: str) -> None:
        self._existing(names).ask(reply, request if isinstance(request, dict) else {})

    def _direct_get(self, names: list[str], query: dict[str, Any], reply: str) -> None:
        stream = self.streams[names[0]]
        if "multi_last" in query:
            found = stream.newest(query["multi_last"])
        else:
            onward = stream.forward(query["next_by_subj"], query.get("seq", 1))
            found = [kept for kept, _ in zip(onward, range(query["batch"]), strict=False)]
        if not found:
            self._route(reply, Wire(reply, b"", {"Status": "404"}, ""))
            return
        records = [Wire(reply, kept.body, stream.labels(kept), "") for kept in found]
        self._route(reply, *records, Wire(reply, b"", {"Status": "204"}, ""))

    # -------------------------------------------------------------------------------- faults

    def crash(self) -> None:
        """Be killed and started again: what is stored stays, what only memory held is gone.

        A checkpoint is published without a receipt, so nobody was told that it is stored.
        """
        if CHECKPOINTS in self.streams and self._loop.draw.random() < LOST_CHECKPOINTS:
            self.streams[CHECKPOINTS].empty()
        for subscriber in self.subscribers:
            if not subscriber.peer.sturdy:
                self.unsubscribe(subscriber)
        for key, consumer in tuple(self.consumers.items()):
            consumer.forget_requests()
            if consumer.is_ephemeral:
                consumer.delete()
                del self.consumers[key]


_VERBS = {
    "CONSUMER.MSG.NEXT": 3,
    "CONSUMER.DURABLE.CREATE": 3,
    "CONSUMER.CREATE": 2,
    "CONSUMER.DELETE": 2,
    "CONSUMER.INFO": 2,
    "CONSUMER.LIST": 2,
    "CONSUMER.NAMES": 2,
    "STREAM.CREATE": 2,
    "STREAM.UPDATE": 2,
    "STREAM.INFO": 2,
    "DIRECT.GET": 2,
}
"""How many tokens each verb has; the names follow."""

_ONLY_OF_WHAT_IS_THERE = frozenset({"CONSUMER.MSG.NEXT", "DIRECT.GET"})
"""Asked of what is not there, nobody answers; the others answer with an error."""


def _verb(path: str) -> tuple[str, list[str]]:
    tokens = path.split(".")
    for length in (3, 2):
        verb = ".".join(tokens[:length])
        if _VERBS.get(verb) == length:
            return verb.replace("DURABLE.CREATE", "CREATE"), tokens[length:]
    return path, ["", ""]
