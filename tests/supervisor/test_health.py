"""Asking children through NATS: alive, missing, or not to be known."""

import asyncio
import contextlib

import pytest

from actors.bus import nats_bus
from actors.settings import BusSettings
from schemas.codec import encode
from schemas.service import PingReply
from supervisor import nats_server
from supervisor.config import EmbeddedServer
from supervisor.health import Answer, Prober, misses
from supervisor.spec import PoolAnswers, ServiceAnswers
from tests.supervisor.children import eventually, supervising

SOON = 1.0


def test_three_misses_in_a_row_are_three_and_anything_else_starts_anew():
    missed = 0
    for answer in (Answer.MISSING, Answer.MISSING, Answer.MISSING):
        missed = misses(missed, answer)
    assert missed == 3
    assert misses(2, Answer.ALIVE) == misses(2, Answer.UNKNOWN) == 0


@contextlib.asynccontextmanager
async def nats(store):
    server = nats_server.settled(EmbeddedServer(port=0))
    login = BusSettings(url=nats_server.url(server))
    child = nats_server.child(server, login, store)
    async with supervising([child], Prober(login).ask) as supervisor:
        async with asyncio.timeout(10):
            await supervisor.ready.wait()
        yield login, supervisor


@pytest.fixture
async def login(tmp_path):
    async with nats(tmp_path) as (login, _):
        yield login


@pytest.fixture
async def prober(login):
    prober = Prober(login)
    yield prober
    await prober.close()


@contextlib.asynccontextmanager
async def agents(login, *pools):
    """One agent for each pool named, answering service discovery."""
    bus = await nats_bus.connect(login, "agents")

    def answering(pool, number):
        reply = PingReply(
            name="conclave-agent", id=f"{number}", version="0", metadata={"pool": pool}
        )

        async def answer(message):
            await bus.publish(message.reply, encode(reply))

        return answer

    for number, pool in enumerate(pools):
        await bus.serve("$SRV.PING.conclave-agent", answering(pool, number))
        await bus.serve(f"$SRV.PING.conclave-agent.{number}", answering(pool, number))
    yield
    await bus.close()


async def test_an_actor_that_answers_is_alive(login, prober):
    async with agents(login, "small"):
        assert await prober.ask(ServiceAnswers("conclave-agent", "0"), SOON) is Answer.ALIVE


async def test_an_actor_that_is_not_there_is_missing_at_once(prober):
    async with asyncio.timeout(SOON):
        assert await prober.ask(ServiceAnswers("conclave-agent", "0"), 60.0) is Answer.MISSING


async def test_an_actor_that_is_deaf_is_missing_after_the_timeout(login, prober):
    bus = await nats_bus.connect(login, "deaf")

    async def hear_nothing(message):
        del message

    await bus.serve("$SRV.PING.conclave-agent.0", hear_nothing)
    assert await prober.ask(ServiceAnswers("conclave-agent", "0"), 0.1) is Answer.MISSING
    await bus.close()


async def test_a_pool_is_there_when_all_its_replicas_are(login, prober):
    async with agents(login, "small", "small", "big"):
        assert await prober.ask(PoolAnswers("conclave-agent", "small", 2), SOON) is Answer.ALIVE
        assert await prober.ask(PoolAnswers("conclave-agent", "big", 2), SOON) is Answer.MISSING


async def test_garbage_in_answers_counts_for_nothing(login, prober):
    bus = await nats_bus.connect(login, "garbage")

    async def answer(message):
        await bus.publish(message.reply, b"\xff")

    await bus.serve("$SRV.PING.conclave-agent", answer)
    assert await prober.ask(PoolAnswers("conclave-agent", "small", 1), 0.5) is Answer.MISSING
    await bus.close()


async def test_without_nats_nothing_is_known_of_anybody():
    server = nats_server.settled(EmbeddedServer(port=0))
    prober = Prober(BusSettings(url=nats_server.url(server)))
    assert await prober.ask(ServiceAnswers("conclave-agent", "0"), 0.2) is Answer.UNKNOWN
    await prober.close()


async def test_when_nats_goes_away_what_was_alive_is_unknown(tmp_path):
    async with nats(tmp_path) as (login, supervisor):
        prober = Prober(login)
        async with agents(login, "small"):
            assert await prober.ask(ServiceAnswers("conclave-agent", "0"), SOON) is Answer.ALIVE
            supervisor.stop()
            await eventually(lambda: supervisor.outcome is not None)
            assert await prober.ask(ServiceAnswers("conclave-agent", "0"), 0.2) is Answer.UNKNOWN
        await prober.close()


async def test_a_deaf_connection_is_nobody_elses_fault_and_is_made_anew(login, prober):
    async with agents(login, "small"):
        probe = ServiceAnswers("conclave-agent", "0")
        assert await prober.ask(probe, SOON) is Answer.ALIVE
        deaf = prober._bus
        deaf._nc._reading_task.cancel()
        for _ in range(3):
            assert await prober.ask(probe, 0.1) is Answer.UNKNOWN
        assert await prober.ask(probe, SOON) is Answer.ALIVE
        assert prober._bus is not deaf
