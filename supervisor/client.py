"""A thin client of Conclave: typed calls over a Bus, and the live events of deliberations.

It knows nothing that any other program could not know from the subjects and messages.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from actors.asking import ask
from actors.bus import Bus, Message, Record, Unavailable
from actors.deliberations import history
from schemas import codec
from schemas.council import Council, CouncilCreate, CouncilList, CouncilListQuery, CouncilQuery
from schemas.dead_letter import (
    DeadLetter,
    DeadLetterListQuery,
    DeadLetterPage,
    DeadLetterQuery,
)
from schemas.deliberation import (
    FINAL_STATUSES,
    Accepted,
    Cancelled,
    CancelRequest,
    CountingRule,
    DeliberationRequest,
    GetQuery,
    ListQuery,
    RecountQuery,
    StatsQuery,
    WaitQuery,
)
from schemas.errors import BadMessage, Refused
from schemas.progress import Progress
from schemas.result import Deliberation, Page, Ranked, Stats
from schemas.service import InfoReply, PingReply
from subjects import names

T = TypeVar("T")
Event = Progress | Deliberation

SILENCE_S = 5.0
"""After so long without an event the stored state is asked: a live event may have been lost."""

GRACE_S = 5.0
"""How much longer than the responder's own limit a reply to `wait` may take."""


class _Which(Struct, frozen=True):
    task_id: str


class Client:
    """Calls every endpoint of a Conclave system. Each call raises Refused or Unavailable."""

    def __init__(self, bus: Bus, timeout_s: float = 5.0) -> None:
        self.bus = bus
        self.timeout_s = timeout_s

    async def call(
        self, subject: str, message: Struct, kind: type[T], timeout_s: float | None = None
    ) -> T:
        """Send `message` and decode the reply as `kind`; an error reply is raised as Refused."""
        return await ask(self.bus, subject, message, kind, timeout_s or self.timeout_s)

    async def submit(self, request: DeliberationRequest) -> Accepted:
        """Ask a council; return its durable acknowledgement."""
        return await self.call(names.REQUEST, request, Accepted)

    async def get(self, task_id: str, author_id: str | None = None) -> Deliberation:
        """Return what is known of a deliberation now, every proposal's text included."""
        query = GetQuery(task_id=task_id, author_id=author_id)
        return await self.whole(await self.call(names.GET, query, Deliberation))

    async def wait(self, task_id: str, timeout_seconds: float = 300.0) -> Deliberation:
        """Return the deliberation when it is over, or as it is after `timeout_seconds`."""
        query = WaitQuery(task_id=task_id, timeout_seconds=timeout_seconds)
        found = await self.call(names.WAIT, query, Deliberation, timeout_seconds + GRACE_S)
        return await self.whole(found)

    async def recount(
        self, task_id: str, rule: CountingRule | None = None, without: Sequence[str] = ()
    ) -> Deliberation:
        """Return a finished deliberation counted again."""
        query = RecountQuery(task_id=task_id, rule=rule, without=tuple(without))
        return await self.call(names.RECOUNT, query, Deliberation)

    async def events(self, task_id: str) -> Sequence[Record]:
        """Return every stored event of a deliberation, in stream order."""
        return await history.events(self.bus, task_id)

    async def ended(self, task_id: str) -> Deliberation | None:
        """Return the stored outcome, or None while there is none or nobody can be asked."""
        try:
            known = await self.get(task_id)
        except (Refused, Unavailable):  # not submitted yet, or NATS is being restarted
            return None
        return known if known.status in FINAL_STATUSES else None

    async def list(self, query: ListQuery) -> Page:
        """Return a page of summaries, newest first."""
        return await self.call(names.LIST, query, Page)

    async def cancel(self, task_id: str, reason: str = "") -> Cancelled:
        """End a deliberation now."""
        return await self.call(
            names.CANCEL, CancelRequest(task_id=task_id, reason=reason), Cancelled
        )

    async def stats(self) -> Stats:
        """Return counts and latencies, and the agents alive."""
        return await self.call(names.STATS, StatsQuery(), Stats)

    async def councils(self) -> CouncilList:
        """Return every council."""
        return await self.call(names.COUNCIL_LIST, CouncilListQuery(), CouncilList)

    async def council(self, role: str) -> Council:
        """Return one council."""
        return await self.call(names.COUNCIL_GET, CouncilQuery(role=role), Council)

    async def create_council(self, council: CouncilCreate) -> Council:
        """Make a council; return it as stored."""
        return await self.call(names.COUNCIL_CREATE, council, Council)

    async def delete_council(self, role: str) -> Council:
        """Remove a council; return it as it was."""
        return await self.call(names.COUNCIL_DELETE, CouncilQuery(role=role), Council)

    async def hand_in(self, task_id: str, request: DeliberationRequest) -> int:
        """Submit for whenever somebody is there; return the sequence of the stream's receipt."""
        stored = await self.bus.store(names.submission(task_id), codec.encode(request))
        return stored.sequence

    async def dead_letters(self, query: DeadLetterListQuery) -> DeadLetterPage:
        """Return a page of dead letters without their bodies, oldest first."""
        return await self.call(names.DEAD_LIST, query, DeadLetterPage)

    async def dead_letter(self, letter_id: int) -> DeadLetter:
        """Return a dead letter with its body."""
        return await self.call(names.DEAD_GET, DeadLetterQuery(id=letter_id), DeadLetter)

    async def retry_letter(self, letter_id: int) -> DeadLetter:
        """Send a dead letter's message again, once; return the letter."""
        return await self.call(names.DEAD_RETRY, DeadLetterQuery(id=letter_id), DeadLetter)

    async def drop_letter(self, letter_id: int) -> DeadLetter:
        """Let a dead letter go; return it."""
        return await self.call(names.DEAD_DROP, DeadLetterQuery(id=letter_id), DeadLetter)

    async def services(self) -> Sequence[PingReply]:
        """Return every actor that answers service discovery within a second."""
        replies = await self.bus.gather("$SRV.PING", b"", stall_s=0.4, total_s=1.5)
        return [codec.decode(PingReply, reply.body) for reply in replies]

    async def service_infos(self) -> Sequence[InfoReply]:
        """Return what every actor says it offers."""
        replies = await self.bus.gather("$SRV.INFO", b"", stall_s=0.4, total_s=1.5)
        return [codec.decode(InfoReply, reply.body) for reply in replies]

    async def whole(self, known: Deliberation) -> Deliberation:
        """Fetch, one by one, the proposals whose text did not fit into one message."""
        if not known.truncated:
            return known
        results = [await self._with_text(known.task_id, ranked) for ranked in known.results]
        return replace(known, results=tuple(results), truncated=False)

    async def _with_text(self, task_id: str, ranked: Ranked) -> Ranked:
        author = ranked.proposal.author_id
        if ranked.proposal.content:
            return ranked
        query = GetQuery(task_id=task_id, author_id=author)
        alone = await self.call(names.GET, query, Deliberation)
        texts = [r.proposal for r in alone.results if r.proposal.author_id == author]
        return replace(ranked, proposal=texts[0]) if texts else ranked

    @asynccontextmanager
    async def watching(self, task_id: str) -> AsyncIterator[AsyncIterator[Event]]:
        """Subscribe to a deliberation's events; enter it before the request is sent.

        The iterator yields progress as it passes by and ends with the whole outcome. It also
        ends if the outcome's event was lost, since the stored state is asked in silence.
        """
        arrived: asyncio.Queue[Message] = asyncio.Queue()

        async def take(message: Message) -> None:
            arrived.put_nowait(message)

        wanted = (names.progress(task_id), *names.PUBLIC_OUTCOMES)
        subscriptions = [await self.bus.serve(subject, take) for subject in wanted]
        try:
            yield self._events(task_id, arrived)
        finally:
            for subscription in subscriptions:
                await subscription.close()

    async def _events(
        self, task_id: str, arrived: "asyncio.Queue[Message]"
    ) -> AsyncIterator[Event]:
        while True:
            event: Event | None
            try:
                message = await asyncio.wait_for(arrived.get(), SILENCE_S)
            except TimeoutError:
                event = await self.ended(task_id)
            else:
                event = event_in(message, task_id)
            if event is None:
                continue
            if isinstance(event, Deliberation):
                yield await self.whole(event)
                return
            yield event


def event_in(message: Message, task_id: str = "") -> Event | None:
    """Return the event in a message, or None for an unknown kind or another `task_id`."""
    try:
        if message.subject in names.PUBLIC_OUTCOMES:
            which = codec.read(_Which, message.body, message.headers).task_id
            if task_id and which != task_id:
                return None
            return codec.read(Deliberation, message.body, message.headers)
        return codec.read(Progress, message.body, message.headers)  # type: ignore[arg-type]
    except BadMessage:  # a newer system may say more than this client knows
        return None
