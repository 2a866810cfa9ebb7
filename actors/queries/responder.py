"""Query responder: answers from the stream, and keeps nothing that it could lose.

Listens on `deliberation.get`, `.wait`, `.list`, `.recount`, `.stats` and `.contract`. What is over
is answered with the stored outcome; what runs is folded from its events at the moment of asking.
The one soft memory are the outcomes of the last hour (for `stats`, folded anew after a restart).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from actors.actor import keep_running
from actors.bus import Bus
from actors.clock import now_ms
from actors.deliberations import history, outcome
from actors.protocols import election
from actors.queries import listing
from actors.queries.queues import Queues
from actors.queries.stats import MAX_ENTRIES, WINDOW_S, OutcomeFacts, Window
from actors.queries.submitted import submitted
from actors.queries.waiting import Waiters, woken
from actors.service import Service
from actors.settings import Limits
from actors.tasks import TaskSet
from schemas.codec import decode, read
from schemas.deliberation import GetQuery, ListQuery, RecountQuery, StatsQuery, Status, WaitQuery
from schemas.errors import BadMessage, Refused
from schemas.result import AgentStats, Deliberation, Page, Stats
from schemas.service import ContractQuery, StatsReply
from schemas.version import check
from subjects import names
from subjects.streams import DELIBERATIONS

log = logging.getLogger(__name__)

MAX_READ = 4 * MAX_ENTRIES
"""Messages looked at for the counts when it starts: a deliberation is four at least."""

AGENTS_STALL_S = 0.1
AGENTS_TOTAL_S = 0.5


class Responder:
    """See the module."""

    def __init__(
        self,
        bus: Bus,
        instance: str,
        limits: Limits | None = None,
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.failed = asyncio.Event()
        limits = limits or Limits()
        self._bus = bus
        self._clock = clock
        self._waiters = Waiters(limits.max_waiting)
        self._window = Window()
        self._loops = TaskSet("responder loops")
        waiting = limits.max_waiting + limits.max_in_flight
        self.service = Service(
            bus,
            "conclave-responder",
            instance,
            "answers queries from the stream",
            limits=replace(limits, max_in_flight=waiting),
            data=lambda: {"waiting": len(self._waiters)},
        )
        self.service.endpoint(names.GET, GetQuery, self.handle_get)
        self.service.endpoint(names.WAIT, WaitQuery, self.handle_wait)
        self.service.endpoint(names.LIST, ListQuery, self.handle_list)
        self.service.endpoint(names.RECOUNT, RecountQuery, self.handle_recount)
        self.service.endpoint(names.STATS, StatsQuery, self.handle_stats)
        self.service.endpoint(names.CONTRACT, ContractQuery, self.handle_contract)

    async def start(self) -> None:
        """See `Actor`."""
        keep_running(self._loops, self.failed, "outcomes", self._hear)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`."""
        await self.service.drain()
        self._waiters.dismiss()
        await self._loops.cancel()

    async def _hear(self) -> None:
        """Wake who waits, and count for `stats`."""
        since = self._clock() - WINDOW_S * 1000
        after = await self._counted_from(since)
        self._window = Window()
        outcomes = self._bus.follow(DELIBERATIONS, [names.ANY_OUTCOME], since_ms=since, after=after)
        async for record in outcomes:
            if record is None:
                continue
            self._waiters.wake(names.task_of(record.subject) or "")
            try:
                facts = read(OutcomeFacts, record.body, record.headers)
                self._window.add(record.stored_ms, facts)
            except BadMessage as error:
                log.warning("outcome not counted sequence=%d error=%s", record.sequence, error)

    async def _counted_from(self, since_ms: int) -> int:
        """The sequence of which nothing before is counted, if that is younger than `since_ms`."""
        start = await self._bus.last_sequence(DELIBERATIONS) - MAX_READ
        found = await self._bus.scan(DELIBERATIONS, names.ANYTHING, start, 1) if start > 0 else ()
        return start if found and found[0].stored_ms > since_ms else 0

    async def handle_get(self, query: GetQuery) -> Deliberation | bytes:
        """What is known of a deliberation now. Raises Refused, BusError."""
        found = await self._find(query.task_id)
        if query.author_id is None:
            return outcome.fitted(found, self._room()) if isinstance(found, Deliberation) else found
        whole = await self._whole(query.task_id)
        only = tuple(each for each in whole.results if each.proposal.author_id == query.author_id)
        if not only:
            text = f"no proposal by {query.author_id} in {query.task_id}"
            raise Refused("unknown_task", text, "$.author_id")
        return replace(whole, results=only)

    async def handle_wait(self, query: WaitQuery) -> Deliberation | bytes:
        """As `get`, once it is over or the caller's patience is. Raises Refused, BusError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + query.timeout_seconds
        event = self._waiters.join(query.task_id)
        try:
            while True:
                found = await self._find(query.task_id)
                left = deadline - loop.time()
                if isinstance(found, bytes):
                    return found
                if left <= 0:
                    return outcome.fitted(found, self._room())
                if self._waiters.leaving:
                    raise Refused("unavailable", "this responder is stopping; ask again")
                await woken(event, left)
        finally:
            self._waiters.leave(query.task_id, event)

    def _room(self) -> int:
        return self._bus.max_payload

    async def _find(self, task_id: str) -> Deliberation | bytes:
        """The stored outcome as it is, or what is known so far. Raises Refused, Unavailable."""
        opened, ended = await history.ends(self._bus, task_id)
        if ended is not None:
            check(ended.headers)
            return ended.body
        if opened is None:
            return await submitted(self._bus, task_id)
        state = await history.rebuild(self._bus, opened)
        begun = state.answers or await Queues(self._bus).begun(state.opened, opened.sequence)
        return outcome.result(state, "IN_PROGRESS" if begun else "PENDING", self._clock())

    async def _whole(self, task_id: str) -> Deliberation:
        """With every text, though the outcome was truncated. Raises Refused, Unavailable."""
        opened, ended = await history.ends(self._bus, task_id)
        if opened is None:
            raise Refused("unknown_task", f"no deliberation {task_id}", "$.task_id")
        state = await history.rebuild(self._bus, opened, ended)
        if ended is None:
            return outcome.result(state, "IN_PROGRESS", self._clock())
        stored = read(Deliberation, ended.body, ended.headers)
        status: Status = stored.status
        again = outcome.result(state, status, ended.stored_ms, stored.reason)
        return replace(again, duration_ms=stored.duration_ms)

    async def handle_recount(self, query: RecountQuery) -> Deliberation:
        """The ballots of a finished deliberation counted again. Raises Refused, BusError."""
        opened, ended = await history.ends(self._bus, query.task_id)
        if opened is None:
            raise Refused("unknown_task", f"no deliberation {query.task_id}", "$.task_id")
        if ended is None:
            raise Refused("conflict", f"deliberation {query.task_id} is not over", "$.task_id")
        state = await history.rebuild(self._bus, opened, ended)
        held = election.hold(state)
        if held is None:
            raise Refused("bad_request", f"{query.task_id} held no ballots", "$.task_id")
        strangers = set(query.without) - {seat.id for seat in state.opened.seats}
        if strangers:
            text = f"no seat {min(strangers)} in {query.task_id}"
            raise Refused("bad_request", text, "$.without")
        again = outcome.recounted(
            state, read(Deliberation, ended.body, ended.headers), query.rule, query.without
        )
        return decode(Deliberation, outcome.fitted(again, self._room()))

    async def handle_list(self, query: ListQuery) -> Page:
        """A page of summaries, newest first. Raises BusError."""
        return await listing.page(self._bus, query)

    async def handle_contract(self, _: ContractQuery) -> bytes:
        """The AsyncAPI document of the version that answers."""
        from schemas.contract.asyncapi import as_json  # noqa: PLC0415 - not before it is wanted

        return as_json()

    async def handle_stats(self, _: StatsQuery) -> Stats:
        """Counts and latencies of the last hour, and the agents that answer now."""
        agents, collectors = await asyncio.gather(
            self._told("conclave-agent"), self._told("conclave-collector")
        )
        known = sorted(map(_agent_stats, agents), key=_name)
        return self._window.stats(self._clock(), known, _refused(collectors))

    async def _told(self, service: str) -> list[StatsReply]:
        subject = f"$SRV.STATS.{service}"
        replies = await self._bus.gather(subject, b"", AGENTS_STALL_S, AGENTS_TOTAL_S)
        told = []
        for reply in replies:
            try:
                told.append(decode(StatsReply, reply.body))
            except BadMessage as error:  # whoever it was, the caller is not at fault
                log.warning("not counted in stats service=%s error=%s", service, error)
        return told


def _name(agent: AgentStats) -> str:
    return agent.agent


def _refused(collectors: Iterable[StatsReply]) -> dict[str, int]:
    """By reason; of several collectors, which all fold the same, the one that saw most."""
    most: Counter[str] = Counter()
    for collector in collectors:
        most |= Counter(collector.data.get("refused", {}))
    return dict(most)


def _agent_stats(reply: StatsReply) -> AgentStats:
    data: dict[str, Any] = reply.data
    return AgentStats(
        agent=reply.id,
        pool=reply.metadata.get("pool", ""),
        queues=tuple(filter(None, reply.metadata.get("queues", "").split(","))),
        engine=reply.metadata.get("engine", ""),
        model=reply.metadata.get("model", ""),
        slots=int(data.get("slots", 0)),
        running=int(data.get("running", 0)),
        answered=int(data.get("answered", 0)),
        failed=int(data.get("failed", 0)),
        aborted=int(data.get("aborted", 0)),
        rejected=int(data.get("rejected", 0)),
    )
