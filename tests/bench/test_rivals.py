"""The ledger of the comparison: what it is there to count, it counts."""

from tests.bench.rivals.ledger import Block, Task, latencies, losses, throughput

DONE = Task(due=0.0, accepted=0.002, ended=[0.010])
TWICE = Task(due=1.0, accepted=1.002, ended=[1.020, 1.030])
LATE = Task(due=2.0, accepted=2.002, ended=[33.0])
LOST = Task(due=3.0, accepted=3.002, ended=[], why="no outcome")
REFUSED = Task(due=4.0, accepted=None, ended=[], why="overloaded")


def test_every_fate_is_counted_by_its_name():
    assert losses([DONE, TWICE, LATE, LOST, REFUSED]) == {
        "accepted": 4,
        "refused": 1,
        "completed": 3,
        "lost": 1,
        "doubled": 1,
        "stuck > 30 s": 2,
    }


def test_latencies_count_from_the_intended_time_to_the_first_outcome():
    found = latencies([DONE, TWICE], durable=True)
    assert found["ack p50"] == 2.0
    assert round(found["p50"], 6) == 10.0
    assert round(found["p99"], 6) == 20.0


def test_what_stores_nothing_has_no_durable_acknowledgement():
    found = latencies([DONE], durable=False)
    assert found["ack p50"] == found["ack p99"] == "none"


def test_throughput_counts_what_was_in_flight_at_the_end_and_the_time_it_took():
    assert throughput(Block(seconds=2.0, tasks=[DONE, TWICE, LOST])) == 1.0
    assert throughput(Block(seconds=2.0, tasks=[DONE, TWICE, LATE, LOST])) == 3 / 33.0
