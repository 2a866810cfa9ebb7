"""When a collector lets another decide first."""

from actors.deliberations.standby import LOST_IN_A_ROW, PATIENCE_MS, Standby

NOW = 1_000


def beaten(times: int = LOST_IN_A_ROW) -> Standby:
    standby = Standby()
    for _ in range(times):
        standby.lost()
    return standby


def test_who_is_alone_decides_at_once():
    assert Standby().until("t", NOW) is None


def test_a_race_or_two_lost_change_nothing():
    assert beaten(LOST_IN_A_ROW - 1).until("t", NOW) is None


def test_who_loses_every_time_waits_and_then_decides():
    standby = beaten()
    assert standby.until("t", NOW) == NOW + PATIENCE_MS
    assert standby.until("t", NOW + PATIENCE_MS - 1) == NOW + PATIENCE_MS
    assert standby.until("t", NOW + PATIENCE_MS) is None


def test_looking_again_does_not_prolong_the_wait():
    standby = beaten()
    assert standby.until("t", NOW) == standby.until("t", NOW + 100)


def test_every_task_has_a_wait_of_its_own():
    standby = beaten()
    standby.until("t", NOW)
    assert standby.until("u", NOW + 100) == NOW + 100 + PATIENCE_MS


def test_the_next_decision_of_a_task_has_a_new_wait():
    standby = beaten()
    standby.until("t", NOW)
    standby.forget("t")
    assert standby.until("t", NOW + PATIENCE_MS) == NOW + 2 * PATIENCE_MS


def test_who_was_first_once_stands_by_no_longer():
    standby = beaten()
    standby.won()
    assert standby.until("t", NOW) is None


def test_after_reading_anew_nothing_is_known():
    standby = beaten()
    standby.clear()
    assert standby.until("t", NOW) is None
