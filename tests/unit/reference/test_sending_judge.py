"""What the reference of sending says of senders that died (ledger.md, journal and recovery)."""

from datetime import UTC, datetime

import pytest

from tests.reference.interpreter import Interpreter
from tests.reference.words import (
    Answered,
    Became,
    Began,
    Called,
    Died,
    Kept,
    Published,
    Sending,
    Somebody,
    Visited,
    Wanted,
)

NOW = datetime(2026, 12, 1, tzinfo=UTC)
DIED, ACCEPTED = Became("cancelled", "sender_died", 1), Became("accepted", None, 1)


FIRST = (Wanted(0, 0, "one"), Began(0, 0, NOW, "one"), Wanted(0, 1, "one"), Died("one"), Visited(NOW))
SECOND = (Wanted(0, 1, "two"), Died("two"))


def lived(*facts, marketing=False):
    """Three people are called for, and senders die; the first with one message begun and the next one wanted."""
    people = [Somebody(no, 0, "given", listed=True) for no in range(3)]
    judge = Interpreter(people, [Sending(0, 0, marketing=marketing, zone="UTC", wall=None)], {})
    called = Called(0, NOW, tuple((no, "", f"c{no}", "accepted") for no in range(3)))
    for fact in (Published(0, NOW, None), Visited(NOW), called, Visited(NOW), *facts):
        judge.tell(fact)
    return judge


def unsure(judge, *numbers):
    """Return what is wrong when these are in doubt, and nobody else."""
    judge.compare({(0, no, f"c{no}"): DIED if no in numbers else ACCEPTED for no in range(3)})
    return [finding for finding in judge.findings if "in flight" in finding]


@pytest.mark.parametrize("numbers", [(), (0,), (1,), (0, 1)])
def test_each_death_may_leave_one_in_doubt(numbers):
    """Also the one over whom the first sender died without having offered them anything."""
    assert unsure(lived(*FIRST, *SECOND), *numbers) == []


def test_one_death_does_not_leave_two_in_doubt():
    assert len(unsure(lived(*FIRST), 0, 1)) == 1


@pytest.mark.parametrize("numbers", [(2,), (0, 2), (0, 1, 2)])
def test_whoever_was_in_no_hand_is_not_in_doubt(numbers):
    (finding,) = unsure(lived(*FIRST, *SECOND), *numbers)
    assert finding.endswith("not [(0, 2, 'c2')]")


def test_the_provider_may_have_left_others_in_doubt_before():
    silent = (Began(0, 2, NOW, "one"), Answered(0, 2, "c2", NOW, "silent", "one"))
    assert unsure(lived(*silent, *FIRST), 0, 2) == []


def test_where_a_machine_was_lost_anybody_may_be_in_doubt():
    assert unsure(lived(*FIRST, Died("three", away=True)), 0, 1, 2) == []


TAKEN = (
    Wanted(0, 0, "one"), Began(0, 0, NOW, "one"), Kept(0, 0, "c0", NOW, "one"), Answered(0, 0, "c0", NOW, "accepted", "one")
)  # fmt: skip


@pytest.mark.parametrize(
    ("refused", "right"),
    [((), {"accepted", "uncertain"}), ((1,), {"accepted", "uncertain"}), ((1, 2), {"accepted"})],
)
def test_the_word_about_a_message_may_be_unread_when_the_next_one_is_refused(refused, right):
    """The next envelope leaves with the end of a message, the one after it when the word was read."""
    no = [Answered(0, number, f"c{number}", NOW, "no", "one") for number in refused]
    judge = lived(*TAKEN, *no, Died("one"), marketing=True)
    assert judge.expected()[0, 0, "c0"].states == right
