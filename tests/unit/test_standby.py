"""When a collector lets another decide first."""

from actors.deliberations.standby import LOST_IN_A_ROW, PATIENCE_MS, Standby

NOW = 1_000
DEADLINE = 60_000


def beaten(times: int = LOST_IN_A_ROW) -> Standby:
    standby = Standby()
    for _ in range(times):
        standby.lost()
    return standby


def test_who_is_alone_decides_at_once():
    assert Standby().until("t", NOW, DEADLINE) is None


def test_a_race_or_two_lost_change_nothing():
    assert beaten(LOST_IN_A_ROW - 1).until("t", NOW, DEADLINE) is None


def test_who_loses_every_time_waits_and_then_decides():
    standby = beaten()
    assert standby.until("t", NOW, DEADLINE) == NOW + PATIENCE_MS
    assert standby.until("t", NOW + PATIENCE_MS - 1, DEADLINE) == NOW + PATIENCE_MS
    assert standby.until("t", NOW + PATIENCE_MS, DEADLINE) is None


def test_looking_again_does_not_prolong_the_wait():
    standby = beaten()
    assert standby.until("t", NOW, DEADLINE) == standby.until("t", NOW + 100, DEADLINE)


def test_who_would_be_too_late_by_waiting_decides_at_once():
    soon = NOW + PATIENCE_MS
    assert beaten().until("t", NOW, soon) is None
    assert beaten().until("t", NOW, soon + 1) == soon


def test_after_the_deadline_it_waits_as_before():
    assert beaten().until("t", NOW, NOW) == NOW + PATIENCE_MS


def test_every_task_has_a_wait_of_its_own():
    standby = beaten()
    standby.until("t", NOW, DEADLINE)
    assert standby.until("u", NOW + 100, DEADLINE) == NOW + 100 + PATIENCE_MS


def test_the_next_decision_of_a_task_has_a_new_wait():
    standby = beaten()
    standby.until("t", NOW, DEADLINE)
    standby.forget("t")
    assert standby.until("t", NOW + PATIENCE_MS, DEADLINE) == NOW + 2 * PATIENCE_MS


def test_who_was_first_once_stands_by_no_longer():
    standby = beaten()
    standby.won()
    assert standby.until("t", NOW, DEADLINE) is None


def test_after_reading_anew_nothing_is_known():
    standby = beaten()
    standby.clear()
    assert standby.until("t", NOW, DEADLINE) is None
