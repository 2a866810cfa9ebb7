"""What campaign and soak tell: a fault that is there is seen, and what is missing is said."""

import asyncio
import contextlib

import pytest

from actors.bus import BusError
from supervisor.config import Config
from tests.faults import report
from tests.faults.ledger import Ledger
from tests.faults.proxy import proxied
from tests.faults.rows import ROWS
from tests.faults.rows.row import Row
from tests.faults.run import chosen, flag
from tests.faults.sampling import Sample, slope, trends
from tests.faults.scene import Load, Scene
from tests.faults.soak import moments
from tests.faults.soak_report import flat
from tests.faults.table import run_rows
from tests.harness.events import until


class Silent:
    """A bus on which nothing is heard."""

    async def serve(self, _subject, _handler, _queue=""):
        return self

    async def close(self):
        pass

    async def request(self, *_, **__):
        raise BusError("nobody there")

    async def scan(self, *_):
        return []


@contextlib.asynccontextmanager
async def empty_stage(load, _tag):
    scene = Scene(load, Config())
    async with Ledger(Silent(), seats=1, timeout_s=0.0) as scene.ledger:
        yield scene


async def nothing(_):
    pass


async def findings_of(*rows, monkeypatch):
    for pause in ("CALM_S", "BETWEEN_S", "GRACE_S"):
        monkeypatch.setattr(f"tests.faults.table.{pause}", 0.01)
    load = Load(per_second=100.0, timeout_s=0.0)
    return await run_rows(rows, load, lambda _: 1, lambda _: None)


async def test_a_row_that_breaks_is_no_clean_one(monkeypatch):
    async def breaks(_):
        raise LookupError("no such victim")

    (found,) = await findings_of(
        Row(id="Z1", fault="breaks", inject=breaks, stage=empty_stage), monkeypatch=monkeypatch
    )
    assert not found.clean
    assert "no such victim" in report.table([found])
    assert "wrong: Z1" in report.last_line([found])


async def test_a_row_that_cannot_be_run_here_says_why(monkeypatch):
    row = Row(id="Z2", fault="needs more", inject=nothing, missing=lambda: "no such machine")
    (found,) = await findings_of(row, monkeypatch=monkeypatch)
    assert found.clean
    assert "not run: no such machine" in report.table([found])


async def test_who_is_not_back_is_told(monkeypatch):
    async def never(scene):
        async with scene.recovering(0.01):
            await asyncio.Event().wait()

    (found,) = await findings_of(
        Row(id="Z3", fault="never", inject=never, stage=empty_stage), monkeypatch=monkeypatch
    )
    assert (found.clean, list(found.recoveries)) == (False, [None])
    assert "not back within 0.01 s" in report.line(found)


def test_rows_are_chosen_by_name_and_unknown_ones_refused():
    assert [row.id for row in chosen(["M1", "P1"])] == ["P1", "M1"]
    with pytest.raises(SystemExit, match="no row P99"):
        chosen(["P1", "P99"])
    assert len(ROWS) > 40


def test_words_of_recipes_are_flags():
    assert [flag(word) for word in ("kills=3", "per_second=2", "P1", "--times=4")] == [
        *("--kills=3", "--per-second=2", "P1", "--times=4")
    ]


# ------------------------------------------------------------------------------------- the soak


def samples(rss, pid=lambda _: 1):
    return [
        Sample(at_s=5.0 * n, name="actor", pid=pid(n), held={"rss_mib": rss(n), "tasks": 7})
        for n in range(360)
    ]


def trend_of(quantity, rss, pid=lambda _: 1):
    found = trends(samples(rss, pid), warm_up_s=300, settling_s=20)
    return next(each for each in found if each.quantity == quantity)


def test_what_stays_is_flat():
    assert flat(trend_of("rss_mib", lambda n: 50 + n % 2 / 100))
    assert flat(trend_of("tasks", lambda _: 50))


def test_a_slow_leak_is_seen():
    leak = trend_of("rss_mib", lambda n: 50 + n * 0.002)  # 1.44 MiB in an hour, 2.9 %
    assert leak.percent_per_hour == pytest.approx(2.86, abs=0.1)
    assert not flat(leak)


def test_what_nats_server_holds_is_told_in_per_cent_of_what_is_resident():
    def of_server(own, count=1_080):
        held = [
            Sample(at_s=5.0 * n, name="nats-server", pid=1, held={"rss_mib": 80, "own_mib": own(n)})
            for n in range(count)
        ]
        found = trends(held, warm_up_s=300, settling_s=20)
        return next(each for each in found if each.quantity == "own_mib")

    grows = of_server(lambda n: 4 + n * 0.002)  # 1.44 MiB in an hour
    assert grows.percent_per_hour == pytest.approx(1.8, abs=0.1)
    assert not flat(grows)
    assert flat(of_server(lambda n: 4 + n * 0.001))
    assert flat(of_server(lambda n: 4 + n * 0.002, count=360))  # half an hour is too short to tell


def test_what_grows_before_the_warm_up_is_over_does_not_count():
    assert flat(trend_of("rss_mib", lambda n: min(n, 55)))


def test_a_process_that_starts_anew_settles_first():
    def rss(n):
        return 30 if n % 60 < 4 else 50

    trend = trend_of("rss_mib", rss, pid=lambda n: n // 60)
    assert (trend.restarts, trend.least) == (5, 50)
    assert flat(trend)


def test_faults_come_every_minute_and_more_often_while_it_warms_up():
    assert [*moments(10)] == [*range(10, 120, 20), *range(150, 600, 60)]


def test_the_slope_is_that_of_most_pairs():
    assert slope([(0, 1), (1, 3), (2, 5), (3, 7), (4, 100)]) == 2
    assert slope([(0, 1)]) == 0


# ------------------------------------------------------------------------------------ the proxy


async def test_a_link_through_the_proxy_carries_swallows_and_is_cut():
    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with (
        await asyncio.start_server(echo, "127.0.0.1", 0) as server,
        proxied(server.sockets[0].getsockname()[1]) as proxy,
    ):
        port = int(proxy.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b'CONNECT {"lang":"x","name": "collector 1"}\n')
        assert await reader.readline() == b'CONNECT {"lang":"x","name": "collector 1"}\n'
        (link,) = proxy.of("collector ")
        assert proxy.of("agent ") == []
        link.swallows = True
        writer.write(b"into the void\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readline(), 0.1)
        link.cut()
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        await until(lambda: not proxy.links)
        writer.close()
