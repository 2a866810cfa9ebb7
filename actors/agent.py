"""Agent: gives the seats of its queues a voice, many at a time, through one engine.

Pulls `agent.request.<queue>` as it has free slots, streams `deliberation.progress.<task>`, stores
`agent.response.<task>` and only then acknowledges. An agent that dies loses nothing: what it
had not acknowledged goes to another. The end of a deliberation, by whatever cause, aborts
its generations in the engine; so do its deadline and a cancel.
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from functools import partial

from actors import history
from actors.actor import RETRY_S, keep_running
from actors.bus import Bus, BusError, Delivery, Message, Subscription, TooLarge
from actors.clock import now_ms
from actors.councils import CouncilDirectory
from actors.dead_letters import set_aside
from actors.engine import Delta, Engine, EngineDead, Generation, GenerationRefused
from actors.service import Service
from actors.settings import PoolSettings
from actors.slots import Slots
from actors.speech import Speech
from actors.tasks import TaskSet
from schemas.agent import AgentRequest, AgentResponse
from schemas.codec import decode, encode
from schemas.errors import BadMessage
from subjects import names
from subjects.streams import ACK_WAIT_S, MAX_DELIVERIES, agent_consumer

log = logging.getLogger(__name__)

OVER_KEPT = 10_000
DRAIN_S = 5.0
ENDINGS = (names.FAILED, names.TIMEOUT, names.CANCELLED)
"""A completed deliberation has no seat left that speaks, so its event is not listened to."""


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
        self._queues: set[str] = set()
        self._held: set[Delivery] = set()
        self._speaking: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._over: OrderedDict[str, None] = OrderedDict()
        self._endings: list[Subscription] = []
        self._loops = TaskSet("agent loops")
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
            if (seat.queue or council.role) in self._queues
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
        for subject in ENDINGS:
            self._endings.append(await self._bus.serve(subject, self._on_ending))
        await self._councils.start()
        self._join_queues()
        keep_running(self._loops, self.failed, "in progress", self._report_progress)
        await self.service.start()

    async def drain(self) -> None:
        """See `Actor`. What does not end in time is given back at once, to be done by another."""
        await self.service.drain()
        await self._councils.drain()
        await self._loops.cancel()
        await self._work.join(DRAIN_S)
        for delivery in tuple(self._held):
            await delivery.nak()
        for subscription in self._endings:
            await subscription.close()

    def _join_queues(self) -> None:
        """Serve every queue that is ours by name, and with `*` those that are nobody's."""
        wanted = {queue for queue in self._settings.queues if queue != "*"}
        if "*" in self._settings.queues:
            for council in self._councils.all():
                wanted |= {seat.queue or council.role for seat in council.seats}
            wanted -= self._named_queues - set(self._settings.queues)
        for queue in sorted(wanted - self._queues):
            self._queues.add(queue)
            keep_running(self._loops, self.failed, f"queue {queue}", partial(self._serve, queue))

    async def _serve(self, queue: str) -> None:
        puller = await self._bus.pull(agent_consumer(queue))
        try:
            while True:
                await self._slots.vacant()
                deliveries = list(await puller.fetch(1, wait=True))
                more = self._slots.free - len(deliveries)
                if deliveries and more > 0:
                    deliveries += await puller.fetch(more, wait=False)
                for delivery in deliveries:
                    self._held.add(delivery)
                    self._work.spawn(self._handle(delivery, queue), f"seat of {queue}")
                await asyncio.sleep(0)
        finally:
            await puller.close()

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(ACK_WAIT_S / 3)
            for delivery in tuple(self._held):
                await delivery.in_progress()

    async def _on_ending(self, message: Message) -> None:
        task_id = message.headers.get("Nats-Subject", "").rpartition(".")[2]
        self._over[task_id] = None
        if len(self._over) > OVER_KEPT:
            self._over.popitem(last=False)
        for task in self._speaking.pop(task_id, ()):
            task.cancel()

    async def _handle(self, delivery: Delivery, queue: str) -> None:
        try:
            request = decode(AgentRequest, delivery.record.body)
        except BadMessage as error:
            self._rejected += 1
            await set_aside(self._bus, delivery.record, error.message)
            await delivery.term()
            self._held.discard(delivery)
            return
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a coroutine runs in a task
        self._speaking[request.task_id].add(task)
        try:
            await self._speak(delivery, request, queue)
        except asyncio.CancelledError:
            if request.task_id not in self._over:
                raise
            task.uncancel()
            await delivery.ack()
            self._held.discard(delivery)
        except EngineDead as error:
            log.error("engine is dead agent=%s error=%s", self._instance, error)  # noqa: TRY400
            await delivery.nak()
            self._held.discard(delivery)
            self.failed.set()
        except BusError as error:
            log.warning("seat again later task_id=%s error=%s", request.task_id, error)
            await delivery.nak(RETRY_S)
            self._held.discard(delivery)
        finally:
            speaking = self._speaking.get(request.task_id, set())
            speaking.discard(task)
            if not speaking:
                self._speaking.pop(request.task_id, None)

    async def _speak(self, delivery: Delivery, request: AgentRequest, queue: str) -> None:
        async with self._slots:
            if not await self._is_over(delivery, request):
                speech = Speech(self._bus, request, self._settings.delta_ms)
                if (
                    answer := await self._answer(delivery.attempt, request, queue, speech)
                ) is not None:
                    await self._store(request, speech, answer)
        await delivery.ack()
        self._held.discard(delivery)

    async def _is_over(self, delivery: Delivery, request: AgentRequest) -> bool:
        over = request.task_id in self._over or request.deadline_ms <= self._clock()
        if not over and delivery.attempt > 1:
            _, ended = await history.ends(self._bus, request.task_id)
            over = ended is not None
        self._dropped += over
        return over

    async def _answer(
        self, attempt: int, request: AgentRequest, queue: str, speech: Speech
    ) -> AgentResponse | None:
        """The seat's response, or None when the deadline came first."""
        if attempt > MAX_DELIVERIES:
            text = f"{MAX_DELIVERIES} attempts ended without an answer"
            return speech.failure(self._instance, self._engine, "poison", text)
        try:
            async with asyncio.timeout((request.deadline_ms - self._clock()) / 1000):
                return await self._generate(request, queue, speech)
        except TimeoutError:
            self._dropped += 1
            return None
        except GenerationRefused as refused:
            return speech.failure(self._instance, self._engine, refused.code, refused.message)
        except EngineDead:
            raise
        except Exception:
            log.exception("generation failed task_id=%s seat=%s", request.task_id, request.seat)
            text = "the generation failed inside the agent"
            return speech.failure(self._instance, self._engine, "internal", text)

    async def _generate(self, request: AgentRequest, queue: str, speech: Speech) -> AgentResponse:
        generation = Generation(
            request_id=f"{request.task_id}.{request.round}.{request.seat}",
            seat=request.seat,
            queue=queue,
            messages=request.messages,
            sampling=request.sampling,
            priority=request.priority,
            response_schema=request.response_schema,
            deadline_ms=request.deadline_ms,
        )
        await speech.begin(self._engine)
        async with aclosing(self._engine.generate(generation)) as stream:
            async for piece in stream:
                if isinstance(piece, Delta):
                    await speech.say(piece)
                else:
                    await speech.flush()
                    return speech.response(self._instance, self._engine, piece)
        raise GenerationRefused("internal", "the engine ended without a result")

    async def _store(self, request: AgentRequest, speech: Speech, answer: AgentResponse) -> None:
        subject = names.agent_response(request.task_id)
        message_id = f"response.{request.task_id}.{request.round}.{request.seat}"
        try:
            await self._bus.store(subject, encode(answer), message_id=message_id)
        except TooLarge as error:
            answer = speech.failure(self._instance, self._engine, "answer_too_large", str(error))
            await self._bus.store(subject, encode(answer), message_id=message_id)
        if answer.failure is None:
            self._answered += 1
        else:
            self._refused += 1
        await speech.end(answer)
