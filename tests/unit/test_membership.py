"""Who holds a seat: joining, leaving and falling silent, without a bus."""

import pytest
from msgspec.structs import replace

from actors.councils import membership
from actors.councils.silence import PATIENCE, Silences, Waited, _Code
from schemas.council import Council, CouncilJoin, Departed, Seat
from schemas.errors import Refused

LEASE = "0123456789abcdef"
COUNCIL = Council(role="DEV", seats=(Seat(id="s1", persona="plain"),))


def joining(seat: str = "guest", **fields) -> CouncilJoin:
    return CouncilJoin(role="DEV", seat=seat, **fields)


def departed(seat: str, after: int = 1) -> Departed:
    queue = membership.queue_for(joining(seat))
    return Departed(seat=seat, queue=queue, after=after, left_at_ms=1, code="seat_left")


class TestMembership:
    def test_who_joins_sits_last_on_a_queue_of_its_own(self):
        council = membership.seated(COUNCIL, joining(), LEASE, 5)
        assert [seat.id for seat in council.seats] == ["s1", "guest"]
        assert council.seats[-1].queue == "seat-3-DEV-guest"
        assert council.members[0].joined_at_ms == 5

    def test_its_persona_is_told_by_what_it_knows_unless_it_says_one(self):
        knows = joining(capabilities=("sql", "dbt"), languages=("de",))
        council = membership.seated(COUNCIL, knows, LEASE, 5)
        assert council.seats[-1].persona == "guest who knows sql, dbt; works in de"
        council = membership.seated(COUNCIL, joining(persona="a dba"), LEASE, 5)
        assert council.seats[-1].persona == "a dba"

    def test_joining_again_under_its_lease_changes_nothing(self):
        council = membership.seated(COUNCIL, joining(), LEASE, 5)
        assert membership.seated(council, joining(persona="new"), LEASE, 9) is council
        with pytest.raises(Refused, match="is taken"):
            membership.seated(council, joining(), LEASE[::-1], 9)

    def test_the_lease_itself_is_not_stored(self):
        council = membership.seated(COUNCIL, joining(), LEASE, 5)
        assert LEASE not in repr(council)
        assert membership.shown(council).members[0].lease_sha256 == ""

    def test_who_leaves_is_remembered_until_it_comes_back(self):
        council = membership.seated(COUNCIL, joining(), LEASE, 5)
        council = membership.unseated(council, departed("guest"))
        assert (council.seats, council.members) == (COUNCIL.seats, ())
        assert [each.seat for each in council.departed] == ["guest"]
        assert membership.seated(council, joining(), LEASE, 5).departed == ()

    def test_not_everybody_who_ever_left_is_remembered(self):
        council = COUNCIL
        for number in range(membership.KEPT_DEPARTED + 5):
            council = membership.unseated(council, departed(f"g{number}", number))
        assert len(council.departed) == membership.KEPT_DEPARTED
        assert council.departed[0].seat == "g5"

    def test_nobody_holds_a_seat_of_a_deleted_council(self):
        council = membership.seated(COUNCIL, joining(), LEASE, 5)
        assert membership.member(council, "guest", LEASE).seat == "guest"
        with pytest.raises(Refused):
            membership.member(replace(council, deleted=True), "guest", LEASE)


class TestSilence:
    @staticmethod
    def outcome(*silent: str, seats: tuple[str, ...] = ("a", "b")) -> Waited:
        failures = tuple(_Code(seat, "timeout") for seat in silent)
        return Waited(role="DEV", status="TIMEOUT", seats=seats, failures=failures)

    def test_patience_is_used_up_by_silence_in_a_row(self):
        silences = Silences()
        heard = [silences.heard(self.outcome("a")) for _ in range(PATIENCE)]
        assert heard == [(), (), ("a",)]

    def test_an_answer_in_between_makes_good_for_it(self):
        silences = Silences()
        silences.heard(self.outcome("a"))
        silences.heard(self.outcome("a"))
        silences.heard(self.outcome("b"))
        assert silences.heard(self.outcome("a")) == ()

    def test_a_deliberation_without_the_seat_says_nothing_of_it(self):
        silences = Silences()
        for _ in range(PATIENCE - 1):
            silences.heard(self.outcome("a"))
        silences.heard(self.outcome(seats=("b",)))
        assert silences.heard(self.outcome("a")) == ("a",)

    def test_who_abstained_or_was_not_needed_was_not_waited_for(self):
        silences = Silences()
        spared = Waited(
            role="DEV", status="COMPLETED", seats=("a",), failures=(_Code("a", "abstained"),)
        )
        assert [silences.heard(spared) for _ in range(PATIENCE)] == [()] * PATIENCE

    def test_a_seat_that_is_taken_anew_begins_with_all_patience(self):
        silences = Silences()
        for _ in range(PATIENCE - 1):
            silences.heard(self.outcome("a"))
        silences.forget("DEV", "a")
        assert silences.heard(self.outcome("a")) == ()
