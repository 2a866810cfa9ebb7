"""Agent: gives the seats of its queues a voice, many at a time, through one engine.

Pulls `agent.request.<queue>` as it has free slots, streams `deliberation.progress.<task>`, stores
`agent.response.<task>` and only then acknowledges. An agent that dies loses nothing: what it
had not acknowledged goes to another. What nobody waits for any more, because its round or
deliberation is past, is aborted in the engine.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from functools import partial

from actors.actor import keep_running
from actors.agents import queues
from actors.agents.floor import Floor
from actors.agents.rounds import Rounds, stored_round
from actors.agents.slots import Slots
from actors.agents.suspects import Suspects, put_back
from actors.agents.turn import Turn
from actors.bus import Bus, BusError, Delivery, Message, Puller, Subscription
from actors.clock import now_ms
from actors.councils import CouncilDirectory, is_past
from actors.dead_letters import give_up
from actors.deliberations import history
from actors.engines.engine import Engine, EngineDead
from actors.service import Service
from actors.settings import PoolSettings
from actors.tasks import TaskSet
from schemas.agent import AgentRequest
from schemas.codec import read
from schemas.deliberation import RoundOpened
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import ACK_WAIT_S, agent_consumer, backoff_s

log = logging.getLogger(__name__)

CHECK_S = 1.0
LOOK_S = 30.0
DRAIN_S = 5.0


class Agent:
    """See the module. `named_queues` are those that other pools serve by name."""

    def __init__(
        self,
        bus: Bus,
        engine: Engine,
        *,
        pool: str,
        settings: PoolSettings,
        instance: str,
        named_queues: AbstractSet[str] = frozenset(),
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self.failed = asyncio.Event()
        self._bus = bus
        self._engine = engine
        self._pool = pool
        self._settings = settings
        self._instance = instance
        self._named_queues = named_queues
        self._clock = clock
        self._slots = Slots(settings.max_concurrency)
        self._councils = CouncilDirectory(bus, self._join_queues)
        self._queues: dict[str, asyncio.Task[None]] = {}
        self._wanted_ms: dict[str, int] = {}
        """When each of them was last a queue of a council that may be asked."""
        self._held: dict[Delivery, None] = {}
        self._suspects = Suspects()
        self._floor = Floor()
        self._rounds = Rounds(self._floor, self._stored_round)
        self._news: list[Subscription] = []
        self._loops = TaskSet("agent loops")
        self._signs = TaskSet("signs of life")
        self._work = TaskSet("agent work")
        self._answered = self._refused = self._rejected = self._dropped = 0
        self.service = Service(
            bus,
            "conclave-agent",
            instance,
            f"gives seats a voice through {engine.name}",
            metadata=self._metadata,
            data=self._counters,
        )

    def _metadata(self) -> dict[str, str]:
        return {
            "pool": self._pool,
            "queues": ",".join(sorted(self._queues)),
            "engine": self._engine.name,
            "model": self._engine.model,
            "slots": str(self._slots.total),
            "free_slots": str(self._slots.free),
            "seats": ",".join(sorted(self._seats())),
        }

    def _seats(self) -> set[str]:
        return {
            seat.id
            for council in self._councils.all()
            for seat in council.seats
            if seat.queue_in(council.role) in self._queues
        }

    def _counters(self) -> dict[str, int]:
        return {
            "slots": self._slots.total,
            "running": self._slots.taken,
            "answered": self._answered,
            "failed": self._refused,
            "aborted": self._engine.aborted(),
            "rejected": self._rejected,
            "dropped": self._dropped,
        }

    async def start(self) -> None:
        """See `Actor`."""
        self._news.append(await self._bus.listen(names.ANY_ROUND, self._on_round))
        for subject in names.PUBLIC_OUTCOMES:
            self._news.append(await self._bus.listen(subject, self._on_outcome))
        await self._take_queues()
        keep_running(self._signs, self.failed, "in progress", self._report_progress)
        keep_running(self._loops, self.failed, "engine", self._watch_engine)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What does not end in time is given back at once, to be done by another."""
        await self.service.drain()
        await self._leave_queues()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)
        await self._signs.cancel()
        for subscription in self._news:
            await subscription.close()

    async def _take_queues(self) -> None:
        await self._councils.start()
        self._join_queues()
        keep_running(self._loops, self.failed, "queues", self._watch_queues)

    async def _leave_queues(self) -> None:
        await self._councils.drain()

    def _join_queues(self) -> None:
        now_ms = self._clock()
        asked = self._councils.asked(now_ms)
        for queue in sorted(queues.wanted(self._settings.queues, self._named_queues, asked)):
            self._wanted_ms[queue] = now_ms
            if queue not in self._queues:
                self._take(queue)

    def _take(self, queue: str) -> None:
        serving = partial(self._serve, queue)
        self._queues[queue] = keep_running(self._loops, self.failed, f"queue {queue}", serving)

    async def _watch_queues(self) -> None:
        """Join what was missed while the link was down, and leave what nobody can ask any more."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self._councils.refresh()
            self._join_queues()
            now_ms = self._clock()
            for queue, wanted_ms in tuple(self._wanted_ms.items()):
                if is_past(wanted_ms, now_ms):
                    del self._wanted_ms[queue]
                    self._queues.pop(queue).cancel()

    async def _puller(self, queue: str) -> Puller:
        return await self._bus.pull(agent_consumer(queue))

    async def _serve(self, queue: str) -> None:
        puller = await self._puller(queue)
        try:
            while True:
                await self._slots.vacant()
                await self._suspects.none()
                first = await puller.fetch(1, wait=True)
                self._begin(first, queue)
                if first and not self._suspects.any:
                    await self._fill(puller, queue)
                await asyncio.sleep(0)
        finally:
            await puller.close()

    async def _fill(self, puller: Puller, queue: str) -> None:
        """Pull for the slots that no request holds and no other queue is pulling for."""
        more = self._slots.unclaimed
        if not more:
            return
        self._slots.claim(more)
        try:
            found = await puller.fetch(more, wait=False)
        finally:
            self._slots.release(more)
        self._begin(found, queue)

    def _begin(self, deliveries: Sequence[Delivery], queue: str) -> None:
        for delivery in deliveries:
            if self._suspects.take(delivery):
                self._held[delivery] = None
                self._slots.claim(1)
                self._work.spawn(self._handle(delivery, queue), f"seat of {queue}")
            else:
                self._work.spawn(self._put_back(delivery), "put back")

    async def _put_back(self, delivery: Delivery) -> None:
        try:
            await put_back(self._bus, delivery)
        except BusError as error:
            log.warning("put back later error=%s", error)
            await delivery.nak(backoff_s(delivery.attempt))

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            for delivery in tuple(self._held):
                await delivery.in_progress()

    async def _watch_engine(self) -> None:
        """Nobody else notices that an engine's own process died while no seat speaks."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self._engine.check()

    def _on_outcome(self, message: Message) -> None:
        self._floor.close(message.headers.get("Nats-Subject", "").rpartition(".")[2])

    def _on_round(self, message: Message) -> None:
        try:
            opened = read(RoundOpened, message.body, message.headers)
        except BadMessage:
            return  # garbage on the subject; the collector sets it aside
        if self._floor.announce(opened.task_id, opened.round):
            self._work.spawn(self._rounds.close(opened.task_id, opened.round), "close rounds")

    async def _handle(self, delivery: Delivery, queue: str) -> None:
        try:
            request = read(AgentRequest, delivery.record.body, delivery.record.headers)
            await self._speak(delivery, request, queue)
            await delivery.ack()
        except BadMessage as error:
            self._rejected += 1
            await give_up(self._bus, delivery, error)
        except asyncio.CancelledError:
            await delivery.nak()  # draining: another agent takes it at once
            raise
        except EngineDead as error:
            log.error("engine is dead agent=%s error=%s", self._instance, error)  # noqa: TRY400
            self.failed.set()
            # Given back first, it would come to us again, and with the last attempt be poison.
            await self._loops.cancel()
            await delivery.nak(backoff_s(delivery.attempt))
        except BusError as error:
            log.warning("seat again later queue=%s error=%s", queue, error)
            await delivery.nak(backoff_s(delivery.attempt))
        finally:
            self._held.pop(delivery, None)
            self._slots.release(1)
            self._suspects.done(delivery)

    async def _speak(self, delivery: Delivery, request: AgentRequest, queue: str) -> None:
        async with self._slots:
            if await self._is_over(delivery, request):
                return
            turn = Turn(self._bus, self._engine, self._instance, request, self._settings)
            speaking = turn.answer(queue)
            answer = await self._floor.give(request.task_id, request.round, speaking)
            # What was said to the end is stored and told, also when the outcome comes meanwhile.
            if answer is None:
                self._dropped += 1
            elif (await turn.store(answer)).failure is None:
                self._answered += 1
            else:
                self._refused += 1

    async def _is_over(self, delivery: Delivery, request: AgentRequest) -> bool:
        over = await self._rounds.is_past(request.task_id, request.round)
        over = over or request.deadline_ms <= self._clock()
        if not over and delivery.attempt > 1:
            over = await self._is_ended(request.task_id)
        self._dropped += over
        return over

    async def _stored_round(self, task_id: str) -> int:
        return await stored_round(self._bus, task_id)

    async def _is_ended(self, task_id: str) -> bool:
        _, ended = await history.ends(self._bus, task_id)
        return ended is not None
