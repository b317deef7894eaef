"""The audit chain in the database (U2, security.md L): every transition leaves an entry, and tampering is found."""

import threading
from collections import Counter

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from saas.audit import service as audit
from saas.audit.queries import verify
from saas.audit.types import Break
from saas.kernel.clock import SystemClock
from saas.permissions.types import SYSTEM, Role
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def chain(world):
    """A workspace whose chain has at least twelve entries. Returns its length."""
    with bound(world.engine, world.a) as session:
        for no in range(12):
            audit.append(session, actor=world.a.actor(Role.ADMIN), action="test.done", subject=f"cam_{no}", now=SystemClock().now(), facts={"no": no})  # fmt: skip
        session.commit()
        assert verify(session) is None
        return session.scalar(sa.text("SELECT no FROM audit_head"))


def found(world, place=None):
    with bound(world.engine, place or world.a) as session:
        return verify(session)


def tamper(owner_engine, place, *statements):
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{place.tenant_id}'")
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement


@pytest.mark.parametrize("change", [
    "action = 'test.undone'", "subject = 'cam_x'", "facts = '{}'", "at = at + interval '1 microsecond'",
    "actor_id = NULL", "actor_kind = 'system'", "previous = '\\x00'", "hash = '\\x00'",
])  # fmt: skip
def test_u2_an_edit_by_the_owner_is_found_at_its_number(world, owner_engine, chain, change):
    no = chain - 5
    tamper(owner_engine, world.a, f"UPDATE audit_entry SET {change} WHERE no = {no}")
    assert found(world) == Break(no, "the entry was changed")
    assert found(world, world.b) is None


def test_u2_a_deletion_is_found_at_its_number(world, owner_engine, chain):
    tamper(owner_engine, world.a, f"DELETE FROM audit_entry WHERE no = {chain - 5}")
    assert found(world) == Break(chain - 5, "an entry is missing")


def test_u2_a_deletion_with_renumbering_is_found(world, owner_engine, chain):
    no = chain - 5
    moves = [f"UPDATE audit_entry SET no = {n - 1} WHERE no = {n}" for n in range(no + 1, chain + 1)]
    tamper(
        owner_engine,
        world.a,
        f"DELETE FROM audit_entry WHERE no = {no}",
        *moves,
        f"UPDATE audit_head SET no = {chain - 1}",
    )
    assert found(world) == Break(no, "the entry was changed")


def test_u2_another_order_is_found_at_the_first(world, owner_engine, chain):
    no = chain - 5
    tamper(
        owner_engine, world.a, f"UPDATE audit_entry SET no = -1 WHERE no = {no}",
        f"UPDATE audit_entry SET no = {no} WHERE no = {no + 1}", f"UPDATE audit_entry SET no = {no + 1} WHERE no = -1",
    )  # fmt: skip
    assert found(world) == Break(no, "the entry was changed")


def test_u2_a_cut_tail_is_found_at_the_first_missing_number(world, owner_engine, chain):
    tamper(owner_engine, world.a, f"DELETE FROM audit_entry WHERE no > {chain - 3}")
    assert found(world) == Break(chain - 2, "the end was cut off")


def test_u2_a_moved_head_is_found(world, owner_engine, chain):
    tamper(owner_engine, world.a, f"UPDATE audit_head SET no = {chain + 1}")
    assert found(world) == Break(chain + 1, "the end was cut off")


def test_u2_an_entry_slipped_in_is_found(world, owner_engine, chain):
    tamper(owner_engine, world.a,
           f"INSERT INTO audit_entry SELECT tenant_id, no + 1, at, actor_kind, actor_id, action, subject, facts, previous, hash FROM audit_entry WHERE no = {chain}")  # fmt: skip
    assert found(world) == Break(chain + 1, "the entry was changed")


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET action = 'x'", "DELETE FROM audit_entry", "TRUNCATE audit_entry",
                                       "UPDATE approval SET comment = 'x'", "DELETE FROM approval"])  # fmt: skip
def test_l_the_application_cannot_change_what_was_written(world, chain, statement):
    with bound(world.engine, world.a) as session, pytest.raises(ProgrammingError, match="permission denied"):
        session.execute(sa.text(statement))


@pytest.mark.parametrize("tables", [1])
def test_u2_entries_of_many_at_once_make_one_chain(world, chain, tables):
    gate, errors = threading.Barrier(4), []

    def write(who):
        gate.wait(timeout=60)
        try:
            for no in range(10):
                with bound(world.engine, world.a) as session:
                    audit.append(session, actor=SYSTEM, action="test.raced", subject=f"cam_{who}", now=SystemClock().now(), facts={"no": no})  # fmt: skip
                    if no % 5 == 4:
                        session.rollback()  # who is taken back leaves no gap
                    else:
                        session.commit()
        except Exception as error:  # noqa: BLE001  told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=write, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert errors == []
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT no FROM audit_head")) == chain + 32
        assert verify(session) is None


def test_u2_the_very_first_entries_at_once_make_one_chain(world, owner_engine):
    tamper(owner_engine, world.b, "DELETE FROM audit_entry", "DELETE FROM audit_head")
    gate = threading.Barrier(4)

    def write():
        gate.wait(timeout=60)
        with bound(world.engine, world.b) as session:
            audit.append(session, actor=SYSTEM, action="test.first", subject="cam_x", now=SystemClock().now())
            session.commit()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with bound(world.engine, world.b) as session:
        assert session.scalar(sa.text("SELECT no FROM audit_head")) == 4
        assert verify(session) is None


def test_two_workspaces_have_two_chains(world, chain):
    with bound(world.engine, world.b) as session:
        others = session.scalar(sa.text("SELECT no FROM audit_head"))
        audit.append(session, actor=SYSTEM, action="test.done", subject="x", now=SystemClock().now())
        session.commit()
        assert session.scalar(sa.text("SELECT no FROM audit_head")) == others + 1
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT no FROM audit_head")) == chain


def actions(world):
    with bound(world.engine, world.a) as session:
        assert verify(session) is None
        return Counter(session.scalars(sa.text("SELECT action FROM audit_entry")).all())


def test_u2_every_transition_leaves_exactly_one_entry(world):
    manager, approver = world.client(world.a, Role.MANAGER), world.client(world.a, Role.APPROVER)
    list_id, _ = scenes.add_people(world, world.a, 1)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon())
    campaign_id = scenes.make_campaign(world, world.a)
    url = f"/campaigns/{campaign_id}"
    content_hash = ""

    def save():
        scenes.save(world, world.a, campaign_id, draft)

    def submit():
        nonlocal content_hash
        content_hash = scenes.submit(world, world.a, campaign_id)

    def decide(move):
        def act():
            answer = approver.post(f"{url}/revisions/1/{move}", {"content_hash": content_hash, "comment": "why"})
            assert answer.status_code == 200, answer.text

        return act

    def post(client, path):
        def act():
            answer = client.post(path)
            assert answer.status_code < 300, answer.text

        return act

    steps = [
        (save, ["revision.edited"]),
        (submit, ["revision.submitted"]),
        (post(manager, f"{url}/revisions/1/withdraw"), ["revision.withdrawn"]),
        (submit, ["revision.submitted"]),
        (decide("request-changes"), ["revision.changes_requested"]),
        (save, ["revision.edited"]),
        (submit, ["revision.submitted"]),
        (decide("approve"), ["revision.approved", "revision.published"]),
        (post(manager, f"{url}/revisions"), ["revision.created"]),
        (decide("revoke"), ["revision.revoked", "campaign.stopping"]),
    ]
    before = actions(world)
    for act, expected in steps:
        act()
        after = actions(world)
        assert after - before == Counter(expected)
        before = after


def test_u2_entries_hold_ids_and_words_only(world):
    scenes.approved_campaign(world, world.a, people=2, port=25, at=scenes.soon())
    with bound(world.engine, world.a) as session:
        rows = session.execute(
            sa.text(
                "SELECT subject, CAST(facts AS text) AS facts, actor_kind, actor_id FROM audit_entry WHERE action LIKE 'revision.%'"
            )
        ).all()
    assert rows
    for row in rows:
        assert row.subject.startswith("cam_")
        assert "@" not in row.facts and "Black week" not in row.facts and "Hello" not in row.facts
        assert row.actor_kind == "person" and row.actor_id is not None


def test_u2_what_a_key_does_is_written_to_the_key(world):
    made = world.key(world.a).post(
        "/campaigns", {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    )
    assert made.status_code == 201
    with bound(world.engine, world.a) as session:
        row = session.execute(
            sa.text("SELECT actor_kind, actor_id FROM audit_entry WHERE action = 'campaign.created'")
        ).one()
    assert tuple(row) == ("key", world.a.key_id)
