"""What dead senders left is settled from their journals, only when they are proven dead (ledger.md, ownership)."""

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
import sqlalchemy as sa

from saas.kernel.clock import monotonic
from saas.ledger.queries.numbers import numbers, planned
from saas.platform.agenda.types import Kinds, Queue
from saas.platform.agenda.work import work_once
from saas.platform.roles import APP, psycopg_url
from saas.sending.service import deliver, journal
from saas.sending.service.owner import lock_key
from saas.sending.service.recovery import recover_dead_senders
from saas.sending.service.settle import NotOurs, settle
from saas.sending.types import SEND_BULK, Mark
from tests import scenes
from tests.engine_room import engine_room
from tests.worlds import bound

pytestmark = pytest.mark.integration
PEOPLE = 8


def wait_for_its_backends(engine, owner):
    """PostgreSQL ends a closed connection's backend, and with it its lock, a moment later."""
    key, until = {"k": lock_key(owner.id)}, monotonic() + 60
    with engine.connect() as connection:
        while not connection.execute(sa.text("SELECT pg_try_advisory_lock(:k)"), key).scalar():
            assert monotonic() < until
        connection.execute(sa.text("SELECT pg_advisory_unlock(:k)"), key)


def copies(sink):
    return Counter(message.rcpt for message in sink.messages)


class Undertaker:
    """Lets senders die with a chunk in hand, and sees what recovery makes of it."""

    def __init__(self, app, settings, sink, world, campaign_id, at):
        self.app, self.settings, self.sink, self.world = app, settings, sink, world
        self.campaign_id, self.at = campaign_id, at

    def die(self, marks=None):
        """Claim a chunk and die with it; marks: what the journal says of its people, None when it was never begun."""
        with engine_room(self.app, self.settings, egress=(f"127.0.0.1:{self.sink.port}",)) as room:
            room.at(self.at).run(Queue.MAINTENANCE)
            kinds = Kinds({SEND_BULK: lambda picked: self._hold(room, picked, marks)})
            assert work_once(replace(room.doers[Queue.BULK], kinds=kinds), Queue.BULK)
            owner = room.sender.owner
            owner.end = owner.stop_beating
        wait_for_its_backends(self.world.engine, owner)
        self.at += timedelta(seconds=5)
        return owner

    def _hold(self, room, picked, marks):
        piece = room.sender.visit(picked)
        if marks is not None:
            (hand,) = piece.then.args
            self.held = hand.claimed
            slot = room.sender.owner.journal.take_slot()
            slot.begin(hand.claimed.token, [person.entry_id for person in hand.claimed.people])
            for index, mark in enumerate(marks[: len(hand.claimed.people)]):
                slot.mark(index, mark)
        return replace(piece, then=None)

    def recover(self, *, seconds=-1, home=None):
        home = home or self.settings.home
        return recover_dead_senders(self.world.engine, self.at + timedelta(seconds=seconds), home=home)

    def counts(self):
        with bound(self.world.engine, self.world.a) as session:
            run = session.scalar(sa.text("SELECT run_id FROM run"))
            found = numbers(session, [run])[run]
            assert found.planned == planned(session, [run])[run] == PEOPLE
            return found

    def used(self):
        with bound(self.world.engine, self.world.a) as session:
            return session.scalar(sa.text("SELECT used FROM quota_use"))

    def chunks(self):
        with bound(self.world.engine, self.world.a) as session:
            rows = session.execute(sa.text("SELECT entry_ids, deaths FROM chunk WHERE state = 'pending' ORDER BY no"))
            return [(list(row.entry_ids), row.deaths) for row in rows]

    def send_the_rest(self, *, later=60):
        with engine_room(self.app, self.settings, egress=(f"127.0.0.1:{self.sink.port}",)) as room:
            room.at(self.at + timedelta(seconds=later)).run()


@pytest.fixture
def undertaker(app, app_settings, tmp_path, sink, world, empty_agenda):
    with world.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sender")  # processes that other tests killed
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=PEOPLE, port=sink.port, at=at)
    return Undertaker(app, replace(app_settings, home=tmp_path / "host"), sink, world, campaign_id, at)


def test_who_was_never_begun_is_given_back_at_once(undertaker, sink):
    owner = undertaker.die()
    assert undertaker.recover() == 1
    assert (undertaker.counts().open, [deaths for _, deaths in undertaker.chunks()]) == (8, [0])
    undertaker.send_the_rest()
    assert undertaker.counts().accepted == 8
    assert set(copies(sink).values()) == {1}
    assert not journal.path_of(undertaker.settings.home, owner.id).exists()


def test_the_journal_tells_what_became_of_each(undertaker, sink):
    """Only the message in flight is uncertain, and it is not sent again."""
    undertaker.die([Mark.ACCEPTED, Mark.ACCEPTED, Mark.OFFERED, Mark.REFUSED, Mark.DEFERRED, Mark.SKIPPED])
    assert undertaker.recover() == 1
    found = undertaker.counts()
    assert (found.accepted, found.uncertain, found.failed, found.skipped, found.open) == (2, 1, 1, 1, 3)
    assert found.why == {
        "uncertain": {"sender_died": 1}, "failed": {"rejected": 1}, "skipped": {"unsubscribed": 1},
    }  # fmt: skip
    ids = [person.entry_id for person in undertaker.held.people]
    assert undertaker.chunks() == [(ids[6:], 1), ([ids[4]], 0)]
    undertaker.send_the_rest()
    assert undertaker.counts().accepted == 5
    assert sum(copies(sink).values()) == 3


def test_who_waits_after_a_death_takes_their_part_of_the_quota_once(undertaker):
    """I11: it is reserved anew with the next claim; the one in flight may have their message, and keeps theirs."""
    with bound(undertaker.world.engine, undertaker.world.a) as session:
        session.execute(sa.text("UPDATE workspace SET messages_per_month = :most"), {"most": PEOPLE})
        session.commit()
    undertaker.die([Mark.ACCEPTED, Mark.OFFERED, Mark.DEFERRED])
    assert undertaker.used() == PEOPLE
    undertaker.recover()
    assert undertaker.used() == 2
    undertaker.send_the_rest()
    assert undertaker.used() == PEOPLE
    found = undertaker.counts()
    assert (found.accepted, found.uncertain, found.skipped) == (7, 1, 0)


def test_half_a_slot_is_no_slot(undertaker):
    """The token is written last: a chunk whose token is not there was not begun."""
    undertaker.die([Mark.OFFERED])
    path = next(journal.directory(undertaker.settings.home).iterdir())
    data = bytearray(path.read_bytes())
    for token in journal.read_slots(path):
        place = data.index(token.to_bytes(8, "little"))
        data[place : place + 8] = bytes(8)
    path.write_bytes(data)
    undertaker.recover()
    assert (undertaker.counts().open, undertaker.counts().uncertain) == (8, 0)


def test_poison_is_divided_until_it_is_alone(undertaker, sink):
    """Two deaths over one chunk: halves, again and again; nobody else is lost to it."""
    for _ in range(2):
        undertaker.die([])
        undertaker.recover()
    assert [(len(ids), deaths) for ids, deaths in undertaker.chunks()] == [(4, 2), (4, 2)]
    deaths = 2
    while not undertaker.counts().failed:
        undertaker.die([])
        undertaker.recover()
        deaths += 1
        assert deaths < 12
    undertaker.send_the_rest()
    assert (undertaker.counts().accepted, undertaker.counts().failed) == (7, 1)
    assert len(sink.messages) == 7
    with bound(undertaker.world.engine, undertaker.world.a) as session:
        assert session.scalars(sa.text("SELECT reason FROM delivery WHERE exc = 'failed'")).all() == ["poison"]
        assert session.scalars(sa.text("SELECT kind FROM alert")).all() == ["poison"]


def test_nobody_takes_over_while_a_session_of_it_may_commit(undertaker):
    """The journal's lock is free, a session still holds the owner's: not yet (proofs.md 1)."""
    owner = undertaker.die([Mark.OFFERED])
    with undertaker.world.engine.connect() as alive:
        alive.execute(sa.text("SELECT pg_advisory_lock_shared(:k)"), {"k": lock_key(owner.id)})
        assert undertaker.recover(seconds=86400) == 0
        assert undertaker.counts().open == 8
        alive.execute(sa.text("SELECT pg_advisory_unlock_shared(:k)"), {"k": lock_key(owner.id)})
        alive.rollback()
    assert undertaker.recover() == 1
    assert undertaker.counts().uncertain == 1


def test_without_its_journal_all_of_a_chunk_is_uncertain_after_thirty_seconds(undertaker, sink, tmp_path):
    """Another machine cannot read the journal: nothing is given back, nothing is sent again."""
    undertaker.die([Mark.ACCEPTED, Mark.OFFERED])
    elsewhere = tmp_path / "elsewhere"
    assert undertaker.recover(seconds=20, home=elsewhere) == 0
    assert undertaker.counts().open == 8
    assert undertaker.recover(seconds=40, home=elsewhere) == 1
    found = undertaker.counts()
    assert (found.uncertain, found.why["uncertain"]) == (8, {"sender_died": 8})
    undertaker.send_the_rest()
    assert sink.messages == []


def test_a_chunk_is_settled_once(undertaker):
    """The dead one's late word is void: its token and state no longer match."""
    undertaker.die([Mark.OFFERED] * PEOPLE)
    undertaker.recover()
    held = undertaker.held
    with bound(undertaker.world.engine, undertaker.world.a) as session, pytest.raises(NotOurs):
        settle(
            session, run_id=held.run_id, step_no=1, chunk_no=held.chunk_no, token=held.token, purpose="marketing",
            tries_for_s=60, endings=[], deaths=0, now=undertaker.at,
        )  # fmt: skip
    assert undertaker.counts().uncertain == 8


@pytest.fixture
def no_entry(servers, database):
    """Close the test's database to the application for a moment, as a server that is away would."""

    @contextmanager
    def close():
        with psycopg.connect(psycopg_url(servers.admin_url), autocommit=True) as admin:
            admin.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = %s",
                (database, APP),
            )
            yield
            admin.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT -1')

    return close


def test_what_could_not_be_settled_stays_in_the_journal(undertaker, sink, no_entry, monkeypatch):
    """A sender whose database is away for too long gives up; who has their message does not get it again."""
    monkeypatch.setattr(deliver, "_SETTLE_S", 0.5)
    closed = ExitStack()
    sink.after = lambda: closed.enter_context(no_entry()) if len(sink.messages) == PEOPLE else None
    with engine_room(undertaker.app, undertaker.settings, egress=(f"127.0.0.1:{sink.port}",)) as room:
        room.at(undertaker.at).run(Queue.MAINTENANCE)
        work_once(room.doers[Queue.BULK], Queue.BULK)
        owner = room.sender.owner
        assert not owner.alive()
        (marks,) = journal.read_slots(owner.journal.path).values()
        assert list(marks.values()) == [Mark.ACCEPTED] * PEOPLE
        owner.end = owner.stop_beating
        closed.close()
    wait_for_its_backends(undertaker.world.engine, owner)
    undertaker.at += timedelta(seconds=5)
    assert undertaker.recover() == 1
    undertaker.send_the_rest()
    assert undertaker.counts().accepted == PEOPLE
    assert set(copies(sink).values()) == {1}
