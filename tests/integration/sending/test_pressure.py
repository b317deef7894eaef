"""Rates, quotas and the breaker in the database: many senders, one limit (reliability.md 2, I11)."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from saas.audit import queries as audit
from saas.kernel.errors import NotFound
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import LacksRight, Role
from saas.sending.queries import health
from saas.sending.rules.pressure import BreakerReason, Observed
from saas.sending.service.pressure import Admission, admit, give_back_quota, report, reserve, try_now
from saas.sending.types import CHUNK_PEOPLE, BreakerState
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 31, 23, 59, 30, tzinfo=UTC)
DOWN = Observed(connect_failures=5)


def later(seconds):
    return NOW + timedelta(seconds=seconds)


class Line:
    """A channel, and what senders do with it, a transaction each."""

    def __init__(self, world, place, **channel):
        self.world, self.place = world, place
        self.channel_id = parse("chn", scenes.add_channel(world, place, 25, **channel))

    def session(self):
        return bound(self.world.engine, self.place)

    def limit(self, **columns):
        with self.session() as session:
            for name, value in columns.items():
                session.execute(sa.text(f"UPDATE workspace SET {name} = :value"), {"value": value})
            session.commit()
        return self

    def admit(self, seconds=0.0):
        with self.session() as session:
            found = admit(session, channel_id=self.channel_id, now=later(seconds))
            session.commit()
            return found

    def claim(self, seconds=0.0, *, people=None):
        """Admit and reserve as a claim does."""
        with self.session() as session:
            found = admit(session, channel_id=self.channel_id, now=later(seconds))
            if found.again_at is None:
                count = found.most if people is None else min(people, found.most)
                reserve(session, channel_id=self.channel_id, people=count, admission=found, now=later(seconds))
            session.commit()
            return found

    def report(self, seen, *, seconds=0.0, admission=None):
        with self.session() as session:
            found = report(
                session, channel_id=self.channel_id, admission=admission or Admission(tracked=True), seen=seen,
                now=later(seconds),
            )  # fmt: skip
            session.commit()
            return found

    def rows(self, table):
        with self.session() as session:
            return session.execute(sa.text(f"SELECT * FROM {table}")).mappings().all()

    def health(self, seconds=0.0):
        with self.session() as session:
            return health(session, [self.channel_id], now=later(seconds))[self.channel_id]

    def history(self):
        with self.session() as session:
            return [entry.action for entry in audit.entries_about(session, show("chn", self.channel_id))][::-1]


@pytest.fixture
def line(world):
    return Line(world, world.a)


@pytest.fixture
def statements(world):
    """What is sent to the database meanwhile, without the binding to the tenant."""
    found = []

    def note(_connection, _cursor, statement, *_):
        if not statement.startswith("SET LOCAL"):
            found.append(statement)

    sa.event.listen(world.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(world.engine, "before_cursor_execute", note)


def test_a_sound_channel_without_limits_costs_one_read(line, statements):
    with line.session() as session:
        found = admit(session, channel_id=line.channel_id, now=NOW)
        assert reserve(session, channel_id=line.channel_id, people=500, admission=found, now=NOW) is None
        sound = Observed(answers="a" * 490 + "d" * 8 + "r" * 2, per_minute=90_000)
        assert report(session, channel_id=line.channel_id, admission=found, seen=sound, now=NOW) is False
        give_back_quota(session, people=8, month=found.month)
    assert len(statements) == 1
    assert (found.again_at, found.most, found.rate_per_minute, found.quota_left, found.tracked) == (
        None, CHUNK_PEOPLE, None, None, False,
    )  # fmt: skip


def test_a_channel_that_is_gone_is_left_to_the_claim(world):
    with bound(world.engine, world.a) as session:
        assert admit(session, channel_id=uuid7(), now=NOW) == Admission()


def test_a_channel_fills_its_rate_and_says_when_it_is_free(world):
    line = Line(world, world.a, rate_per_minute=600)
    first = line.claim()
    assert (first.most, first.rate_per_minute) == (10, 600)
    assert line.claim(0.9).again_at == later(1)
    assert line.claim(7).again_at is None
    assert line.claim(7.9).again_at == later(8)  # what was idle is not made up for: no burst
    assert line.claim(8).again_at is None
    assert not line.health(8).recent
    assert line.rows("workspace_pace") == []


def test_nothing_is_filled_by_an_admission_that_claimed_nobody(world):
    line = Line(world, world.a, rate_per_minute=600)
    assert line.admit().again_at is None
    assert line.claim(people=0).again_at is None
    assert line.admit().again_at is None


def test_the_workspace_shares_its_rate_among_channels_and_the_tighter_holds(world):
    marketing = Line(world, world.a, rate_per_minute=6000).limit(rate_per_minute=1200)
    reset = Line(world, world.a, purpose="transactional")
    other = Line(world, world.b)
    assert (marketing.claim().most, marketing.admit().again_at) == (20, later(1))
    assert other.claim().again_at is None
    # Transactional does not wait behind bulk; what it takes, bulk waits for.
    assert [reset.claim().again_at for _ in range(10)] == [None] * 10
    assert reset.claim().again_at == later(1)
    assert marketing.claim(5).again_at == later(11)


@pytest.mark.parametrize("limits", [{"channel": 3000}, {"workspace": 3000}, {"channel": 3000, "workspace": 9000}])
def test_senders_that_come_at_once_never_exceed_the_rate(world, limits):
    """I11: whoever comes in between, fifty a second leave."""
    line = Line(world, world.a, rate_per_minute=limits.get("channel"))
    line.limit(rate_per_minute=limits.get("workspace"))
    claimed, lock = [], threading.Lock()
    together = threading.Barrier(4)

    def sender():
        for second in range(12):
            together.wait()
            found = line.claim(second)
            with lock:
                claimed.append((second, 0 if found.again_at else found.most))

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(at, people) for at, people in sorted(claimed) if people] == [(second, 50) for second in range(12)]


def test_a_claim_never_waits_for_who_holds_the_channel(world):
    """Settling holds the health and then asks for the agenda's row, which a claim holds: waiting would be for ever."""
    line = Line(world, world.a, rate_per_minute=600)
    line.claim()
    with line.session() as settling, line.session() as claiming:
        report(settling, channel_id=line.channel_id, admission=Admission(tracked=True), seen=DOWN, now=later(6))
        claiming.execute(sa.text("SET LOCAL lock_timeout = '1s'"))
        assert admit(claiming, channel_id=line.channel_id, now=later(6)).again_at == later(6)
        settling.commit()
    assert line.admit(6).again_at == later(36)


def test_a_quota_is_shared_by_senders_and_ends_with_the_month(line):
    line.limit(messages_per_month=700)
    left, lock = [], threading.Lock()

    def sender():
        with line.session() as session:
            found = admit(session, channel_id=line.channel_id, now=NOW)
            people = min(300, found.quota_left)
            reserve(session, channel_id=line.channel_id, people=people, admission=found, now=NOW)
            session.commit()
            with lock:
                left.append(found.quota_left)

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(left, reverse=True) == [700, 400, 100, 0]
    assert line.admit(29).quota_left == 0
    assert line.admit(30).quota_left == 700  # April, in UTC
    assert {row["month"].month: row["used"] for row in line.rows("quota_use")} == {3: 700, 4: 0}
    assert line.limit(messages_per_month=None).admit().quota_left is None


def test_whoever_waits_again_gives_their_part_of_the_quota_back(line):
    line.limit(messages_per_month=100)
    found = line.claim(people=60)
    with line.session() as session:
        give_back_quota(session, people=25, month=found.month)
        session.commit()
    assert line.admit().quota_left == 65
    assert line.limit(messages_per_month=10).admit().quota_left == 0


def test_the_breaker_opens_is_probed_by_one_and_closes(line):
    assert line.report(Observed(connect_failures=4), admission=Admission()) is False
    assert line.admit().tracked is True
    assert line.report(Observed(connect_failures=1)) is True
    assert line.admit(29).again_at == later(30)
    probe = line.claim(30)
    assert (probe.probe, probe.most, probe.again_at) == (True, 1, None)
    assert line.admit(30).again_at == later(31)
    assert line.health(31).breaker is BreakerState.HALF_OPEN
    assert line.report(Observed(connect_failures=1), seconds=31, admission=probe) is True
    assert line.admit(32).again_at == later(91)
    probe = line.claim(91)
    assert line.report(Observed(answers="a"), seconds=92, admission=probe) is False
    found = line.claim(92)
    assert (found.again_at, found.probe, found.most, found.tracked) == (None, False, CHUNK_PEOPLE, True)
    assert line.history() == ["channel.breaker_opened", "channel.breaker_closed"]
    alerts = line.rows("alert")
    assert [(row["kind"], row["subject"], row["cleared_at"]) for row in alerts] == [
        ("channel_down", show("chn", line.channel_id), later(92))
    ]
    assert line.report(Observed(answers="a" * 50), seconds=93) is False
    assert line.admit(94).tracked is False, "a full sound window: forgotten"


def test_a_prober_that_dies_is_followed_by_another_after_a_minute(line):
    line.report(DOWN)
    assert line.claim(30).probe
    assert line.claim(89.5).again_at == later(90)
    assert line.claim(90).probe


def test_a_probe_that_found_nobody_to_send_to_leaves_the_turn_to_the_next(line):
    line.report(DOWN)
    assert line.admit(30).probe
    assert line.claim(30, people=0).probe
    assert line.claim(30).probe
    assert not line.claim(30).probe


def test_only_one_of_many_senders_is_the_probe(line):
    line.report(DOWN)
    together, found = threading.Barrier(4), []

    def sender():
        together.wait()
        found.append(line.claim(40).again_at is None)

    threads = [threading.Thread(target=sender) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(True) == 1


def test_a_late_word_of_an_older_chunk_neither_closes_nor_opens_it_twice(line):
    line.report(DOWN)
    assert line.report(Observed(answers="a" * 50), seconds=1) is True
    assert line.report(DOWN, seconds=2) is True
    assert line.health(3).openings == 1
    assert line.history() == ["channel.breaker_opened"]


def test_health_names_the_reason(line, world):
    assert line.health().breaker is BreakerState.CLOSED
    line.report(Observed(sign_in_failures=3))
    found = line.health()
    assert (found.reason, found.opened_at, found.open_until) == (BreakerReason.SIGN_IN, NOW, later(30))
    assert found.sign_in_failures == 3
    with bound(world.engine, world.b) as session:
        assert health(session, [line.channel_id], now=NOW) == {}


def test_a_pressed_channel_slows_down_and_recovers_by_itself(world):
    line = Line(world, world.a, rate_per_minute=1200)
    pressed = line.claim()
    assert line.report(Observed(answers="a" * 90 + "s" * 10, per_minute=1200.0), admission=pressed) is False
    assert line.health().present_rate == 600
    found = line.claim(5)
    assert (found.most, found.rate_per_minute, found.tracked) == (10, pytest.approx(650), True)
    assert line.health(30).present_rate == 900
    found = line.claim(60)
    assert (found.rate_per_minute, found.tracked) == (1200, False)


def test_a_press_without_a_configured_rate_limits_for_a_while(line):
    assert line.report(Observed(answers="s" * 3, per_minute=6000.0), admission=Admission()) is False
    assert line.claim().most == 50
    assert line.claim(0.9).again_at == later(1)
    found = line.claim(180)
    assert (found.rate_per_minute, found.most) == (None, CHUNK_PEOPLE)


def test_a_person_with_the_right_has_it_tried_at_once(line, world):
    admin, viewer = (world.a.actor(role) for role in (Role.ADMIN, Role.VIEWER))
    with line.session() as session:
        assert try_now(session, actor=admin, channel_id=line.channel_id, now=NOW) is False
    line.report(DOWN)
    with line.session() as session:
        with pytest.raises(LacksRight):
            try_now(session, actor=viewer, channel_id=line.channel_id, now=later(1))
        with pytest.raises(NotFound):
            try_now(session, actor=admin, channel_id=uuid7(), now=later(1))
        assert try_now(session, actor=admin, channel_id=line.channel_id, now=later(1)) is True
        session.commit()
    assert line.claim(1).probe
    assert line.history() == ["channel.breaker_opened", "channel.tried_now"]
    with bound(world.engine, world.b) as session, pytest.raises(NotFound):
        try_now(session, actor=world.b.actor(Role.ADMIN), channel_id=line.channel_id, now=NOW)
