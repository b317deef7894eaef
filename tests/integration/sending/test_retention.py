"""What was kept long enough goes, in batches, workspace by workspace (ledger.md, retention)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.accounts.models import AccountSession
from saas.accounts.service.sessions import forget_sessions
from saas.app import sweep as sweeping
from saas.http.models import IdempotentAnswer
from saas.kernel.clock import SystemClock
from saas.kernel.ids import uuid7
from saas.ledger.models import Delivery, Entry
from saas.platform.agenda.types import Picked, Queue
from saas.platform.files import service as files
from saas.platform.files.models import FilePart, StoredFile
from saas.sending.service import upkeep
from tests.worlds import bound

pytestmark = pytest.mark.integration
NOW = SystemClock().now()


def ago(**time):
    return NOW - timedelta(**time)


def fill(world, place):
    """In each table one thing that is old enough, and one that is not quite."""
    tenant = place.tenant_id
    with bound(world.engine, place) as session:
        for name, expires_at in (("old", ago(seconds=1)), ("young", NOW + timedelta(days=1)), ("kept", None)):
            files.put(
                session,
                [name.encode()],
                name=name,
                content_type="text/csv",
                now=NOW,
                max_bytes=99,
                expires_at=expires_at,
            )
        for key, age in (("old", 49), ("young", 47)):
            session.add(IdempotentAnswer(
                tenant_id=tenant, caller="c", key=key, request="POST /", body_hash=b"x", created_at=ago(hours=age),
            ))  # fmt: skip
        for entry_id, days in ((1, 91), (2, 89), (3, 31), (4, 29)):
            contact, at = uuid7(), ago(days=days)
            session.add(Entry(
                tenant_id=tenant, entry_id=entry_id, campaign_id=tenant, occurrence="", contact_id=contact,
                entry_key=str(entry_id), single=False, context={"order": "1"}, entered_at=at,
            ))  # fmt: skip
            session.add(Delivery(
                tenant_id=tenant, entry_id=entry_id, step_no=1, run_id=tenant, chunk_no=1, contact_id=contact, token=1,
                attempt=1, merge={"first_name": "Nora"}, claimed_at=at,
            ))  # fmt: skip
        session.commit()


def left(world, place):
    with bound(world.engine, place) as session:
        session.expire_all()
        return {
            "files": set(session.scalars(sa.select(StoredFile.name))),
            "parts": session.scalar(sa.select(sa.func.count()).select_from(FilePart)),
            "answers": set(session.scalars(sa.select(IdempotentAnswer.key))),
            "contexts": set(session.scalars(sa.select(Entry.entry_id).where(Entry.context.is_not(None)))),
            "merges": set(session.scalars(sa.select(Delivery.entry_id).where(Delivery.merge.is_not(None)))),
            "rows": session.scalar(sa.select(sa.func.count()).select_from(Delivery)),
        }


def swept(world, place):
    with bound(world.engine, place) as session:
        piece = sweeping.sweep(Picked(session, place.tenant_id, upkeep.SWEEP.name, str(place.tenant_id), NOW))
        session.commit()
    return piece


WHOLE = {
    "files": {"old", "young", "kept"}, "parts": 3, "answers": {"old", "young"}, "contexts": {1, 2, 3, 4},
    "merges": {1, 2, 3, 4}, "rows": 4,
}  # fmt: skip
REST = {
    "files": {"young", "kept"}, "parts": 2, "answers": {"young"}, "contexts": {2, 3, 4}, "merges": {4}, "rows": 4,
}  # fmt: skip


def test_each_workspace_is_swept_by_itself(world):
    fill(world, world.a)
    fill(world, world.b)
    assert left(world, world.a) == WHOLE
    assert swept(world, world.a).again_at == NOW + sweeping.EVERY
    assert left(world, world.a) == REST
    assert left(world, world.b) == WHOLE
    swept(world, world.a)
    assert left(world, world.a) == REST


def test_a_full_batch_comes_again_at_once(world, monkeypatch):
    fill(world, world.a)
    monkeypatch.setattr(sweeping, "BATCH", 1)
    pieces = [swept(world, world.a).again_at for _ in range(4)]
    assert pieces == [NOW, NOW, NOW, NOW + sweeping.EVERY]
    assert left(world, world.a) == REST


def test_the_round_arms_it_and_maintenance_does_it(world, room):
    fill(world, world.a)
    upkeep.go_round(world.engine, now=NOW)
    with world.engine.begin() as connection:  # it visits the workspaces of all tests
        mine = {"a": world.a.tenant_id, "b": world.b.tenant_id}
        connection.execute(sa.text("DELETE FROM agenda WHERE tenant_id NOT IN (:a, :b)"), mine)
    room.at(NOW).run(Queue.MAINTENANCE)
    assert left(world, world.a) == REST
    with bound(world.engine, world.b) as session:
        kind, due = session.execute(
            sa.text("SELECT kind, due_at FROM agenda WHERE tenant_id = :t AND kind <> 'zones.refresh'"),
            {"t": world.b.tenant_id},
        ).one()
    assert (kind, due) == ("retention.sweep", NOW + sweeping.EVERY)


def test_sessions_go_30_days_after_their_last_use(world, engine):
    with bound(engine, world.a) as session:
        account = next(iter(world.a.accounts.values()))
        for token, seen, expires in ((b"old", 31, 17), (b"young", 29, 15), (b"long", 31, -300)):
            session.add(AccountSession(
                token_hash=token + uuid7().bytes, session_id=uuid7(), account_id=account, epoch=0, user_agent=token.decode(),
                created_at=ago(days=seen), seen_at=ago(days=seen), expires_at=ago(days=expires),
            ))  # fmt: skip
        session.flush()
        assert forget_sessions(session, now=NOW, limit=10) == 1
        found = sa.select(AccountSession.user_agent).where(
            AccountSession.account_id == account, AccountSession.user_agent.in_(["old", "young", "long"])
        )
        assert set(session.scalars(found)) == {"young", "long"}
        session.rollback()
