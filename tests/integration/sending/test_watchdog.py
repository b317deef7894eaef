"""The watchdog compares plan and clock; the safety sweep gives everything open its row (parcelvoy #627, #533)."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.campaigns.models import Campaign
from saas.campaigns.service import control
from saas.kernel.ids import parse, show, uuid7
from saas.ledger.queries.numbers import runs_of
from saas.notices.models import Alert
from saas.permissions.types import Role
from saas.platform.agenda.models import Agenda
from saas.platform.agenda.types import Queue
from saas.sending.models import ChannelHealth, WorkspacePace
from saas.sending.service import upkeep, watchdog
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def late(world, room, sink):
    """A campaign that begins in an hour, and how it stands some seconds after that."""

    class Late:
        def __init__(self):
            self.at = scenes.soon()
            self.campaign, _ = scenes.approved_campaign(world, world.a, people=12, port=sink.port, at=self.at)

        def after(self, seconds):
            return self.at + timedelta(seconds=seconds)

        def look(self, seconds):
            """The watchdog looks, so many seconds after the start should have been. Returns what is open then."""
            watchdog.look(world.engine, now=self.after(seconds))
            return opened(world, world.a)

        def check(self, seconds):
            with bound(world.engine, world.a) as session:
                watchdog.check(session, now=self.after(seconds))
                session.commit()
            return opened(world, world.a)

        def start(self):
            room.at(self.at).run(Queue.MAINTENANCE)

        def change(self, statement, **values):
            with bound(world.engine, world.a) as session:
                session.execute(sa.text(statement), values)
                session.commit()

    return Late()


def opened(world, place):
    with bound(world.engine, place) as session:
        rows = session.scalars(sa.select(Alert).where(Alert.cleared_at.is_(None))).all()
        return {(row.kind, row.subject) for row in rows}


def alerts(world, place):
    with bound(world.engine, place) as session:
        return session.scalars(sa.select(Alert)).all()


def test_a_campaign_that_did_not_start_is_told_once_and_cleared_when_it_did(world, room, late):
    assert late.look(59) == set()
    assert late.look(61) == {("not_started", late.campaign)}
    assert late.look(75) == {("not_started", late.campaign)}
    late.start()
    upkeep.go_round(world.engine, now=late.after(77))
    assert opened(world, world.a) == set()
    (row,) = alerts(world, world.a)
    assert (row.raised_at, row.cleared_at) == (late.after(61), late.after(77))
    assert row.facts["project_id"] == world.a.prj
    assert alerts(world, world.b) == []


def test_many_dispatchers_raise_one_alert(world, late):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: watchdog.look(world.engine, now=late.after(90)), range(8)))
    assert len(alerts(world, world.a)) == 1


def test_a_run_that_nobody_serves_is_told(world, room, sink, late):
    late.start()
    assert late.check(119) == set()
    assert late.look(121) == {("no_progress", late.campaign)}
    (row,) = alerts(world, world.a)
    assert row.facts["people"] == 12 and "12 people are due" in row.text
    room.at(late.after(122)).run()
    assert len(sink.messages) == 12
    assert late.check(300) == set()


def test_a_run_that_goes_on_is_not_told(world, room, late):
    """What counts is the newest claim, however long the others have been due."""
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE channel_configuration SET rate_per_minute = 24"))
        session.commit()
    late.start()
    room.at(late.after(110)).run(Queue.BULK, pieces=1)
    assert late.check(200) == set()
    assert late.check(231) == {("no_progress", late.campaign)}


def test_a_call_long_after_the_last_one_has_its_own_two_minutes(world, room, late):
    late.start()
    room.run()
    late.change("UPDATE run SET state = 'running'")
    late.change("UPDATE campaign SET state = 'active'")
    late.change(
        "INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state) SELECT tenant_id, run_id, no + 1,"
        " entry_ids, :at, 'pending' FROM chunk LIMIT 1",
        at=late.after(3600),
    )
    assert late.check(3600 + 119) == set()
    assert late.check(3600 + 121) == {("no_progress", late.campaign)}


@pytest.mark.parametrize("why", ["breaker", "channel", "workspace", "paused", "just resumed"])
def test_standing_still_on_purpose_is_not_told(world, room, late, why):
    late.start()
    now, tenant = late.after(500), world.a.tenant_id
    with bound(world.engine, world.a) as session:
        (run,) = runs_of(session, parse("cam", late.campaign))
        health = ChannelHealth(tenant_id=tenant, channel_id=run.channel_id, updated_at=now)
        campaign = session.get_one(Campaign, (tenant, run.campaign_id))
        if why == "breaker":
            health.breaker = "open"
            session.add(health)
        elif why == "channel":
            health.paced_until = now + timedelta(seconds=1)
            session.add(health)
        elif why == "workspace":
            session.add(WorkspacePace(tenant_id=tenant, paced_until=now + timedelta(seconds=1)))
        elif why == "paused":
            campaign.state = "paused"
        else:
            campaign.updated_at = now - timedelta(seconds=5)
        session.commit()
    assert late.check(500) == set()


def test_a_held_campaign_is_told_until_somebody_decides(world, late):
    with bound(world.engine, world.a) as session:
        row = session.get_one(Campaign, (world.a.tenant_id, parse("cam", late.campaign)))
        control.hold(session, campaign=row, reason="its start was missed", now=late.after(1), facts={})
        session.commit()
    assert late.check(2) == {("held", late.campaign)}
    assert "its start was missed" in alerts(world, world.a)[0].text
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{late.campaign}/stop")
    assert late.check(3) == set()


def test_work_that_fails_again_and_again_is_told(world, late):
    late.change("UPDATE agenda SET failures = 2 WHERE kind = 'campaign.start'")
    assert late.look(-100) == set()
    late.change("UPDATE agenda SET failures = 3 WHERE kind = 'campaign.start'")
    assert late.look(-99) == {("work_failing", late.campaign)}
    late.change("UPDATE agenda SET failures = 0")
    assert late.check(-98) == set()


def test_a_failing_run_is_told_as_its_campaign(world, late):
    late.start()
    late.change("UPDATE agenda SET failures = 5 WHERE kind = 'run.send'")
    assert late.look(1) == {("work_failing", late.campaign)}
    assert alerts(world, world.a)[0].facts["project_id"] == world.a.prj


@pytest.mark.parametrize(
    ("kind", "subject", "told"),
    [("flow.step", "{campaign}:2", "cam"), ("flow.call", "{campaign}:2", "cam"), ("flow.update", "{campaign}", "cam"),
     ("call.file", "{other}", "clf"), ("gate.tell", "{other}", "gat"), ("notice.mail", "{other}", "wsp")],
)  # fmt: skip
def test_failing_work_of_flows_is_told_by_what_it_is_about(world, late, kind, subject, told):
    other = uuid7()
    late.change(
        "INSERT INTO agenda (tenant_id, kind, queue, subject, due_at, failures)"
        " VALUES (:tenant, :kind, 'maintenance', :subject, :at, 3)",
        tenant=world.a.tenant_id, kind=kind, at=late.after(-100),
        subject=subject.format(campaign=parse("cam", late.campaign), other=other),
    )  # fmt: skip
    wanted = {"cam": late.campaign, "wsp": show("wsp", world.a.tenant_id)}.get(told) or show(told, other)
    assert late.look(-99) == {("work_failing", wanted)}
    assert late.look(-98) == {("work_failing", wanted)}


def stand(late, world, *, due, step=2, stage="waiting"):
    """Somebody who waits at a step of the campaign, which has begun."""
    late.change("UPDATE campaign SET state = 'active', started_at = :at, updated_at = :at", at=late.at)
    late.change("DELETE FROM agenda WHERE subject = :campaign", campaign=str(parse("cam", late.campaign)))
    late.change(
        "INSERT INTO wait (tenant_id, entry_id, step_no, campaign_id, contact_id, due_at, stage)"
        " VALUES (:tenant, 1, :step, :campaign, :campaign, :due, :stage)",
        tenant=world.a.tenant_id, campaign=parse("cam", late.campaign), due=late.after(due), stage=stage, step=step,
    )  # fmt: skip


def arm_step(late, world, *, due):
    late.change(
        "INSERT INTO agenda (tenant_id, kind, queue, subject, due_at)"
        " VALUES (:tenant, 'flow.step', 'maintenance', :subject, :due)",
        tenant=world.a.tenant_id, subject=f"{parse('cam', late.campaign)}:2", due=late.after(due),
    )  # fmt: skip


def test_a_flow_whose_due_work_lies_is_told(world, late):
    stand(late, world, due=200)
    arm_step(late, world, due=200)
    assert late.check(319) == set()
    assert late.look(321) == {("no_progress", late.campaign)}
    (row,) = alerts(world, world.a)
    assert (row.facts["works"], row.facts["project_id"]) == (1, world.a.prj)
    assert late.check(322) == {("no_progress", late.campaign)}
    late.change("UPDATE agenda SET due_at = :due", due=late.after(900))
    assert late.check(323) == set(), "a step that is to be looked at later waits for its own time"


@pytest.mark.parametrize(("stage", "told"), [("waiting", True), ("arrived", True), ("sending", False)])
def test_somebody_whose_moment_is_long_past_is_told(world, late, stage, told):
    """Their step's row on the agenda was lost; whose message is on its way is not due by a time."""
    stand(late, world, due=-500, step=1, stage="sending")
    stand(late, world, due=200, stage=stage) if stage != "sending" else None
    assert late.check(319) == set()
    assert late.check(321) == ({("no_progress", late.campaign)} if told else set())
    if told:
        assert alerts(world, world.a)[0].facts["step"] == 2
    late.change("UPDATE campaign SET state = 'paused'")
    assert late.check(322) == set()


def agenda_of(world, place):
    with bound(world.engine, place) as session:
        return {row.kind for row in session.scalars(sa.select(Agenda).where(Agenda.tenant_id == place.tenant_id))}


def lose_agenda(late):
    late.change("DELETE FROM agenda")


def test_a_lost_row_of_a_run_comes_back(world, room, sink, late):
    late.start()
    lose_agenda(late)
    assert upkeep.go_round(world.engine, now=late.after(5))
    assert agenda_of(world, world.a) == {"run.send", "campaign.start", "retention.sweep"}
    assert agenda_of(world, world.b) == {"retention.sweep"}
    room.at(late.after(6)).run()
    assert len(sink.messages) == 12


def test_a_finished_run_without_its_row_is_closed(world, room, late):
    late.start()
    room.run()
    late.change("UPDATE run SET state = 'running', finished_at = NULL")
    late.change("UPDATE campaign SET state = 'active', finished_at = NULL")
    lose_agenda(late)
    upkeep.go_round(world.engine, now=late.after(5))
    room.at(late.after(6)).run()
    assert world.client(world.a, Role.VIEWER).get(f"/campaigns/{late.campaign}").get_json()["state"] == "completed"


@pytest.mark.parametrize(
    ("state", "chunk", "wanted"),
    [
        ("active", "pending", {"run.send", "campaign.start"}), ("paused", "pending", set()), ("held", "pending", set()),
        ("paused", "claimed", {"run.send"}), ("stopping", "claimed", {"run.send", "campaign.stop"}),
        ("stopping", "pending", {"campaign.stop"}), ("stopped", "cancelled", set()),
    ],
)  # fmt: skip
def test_what_stands_open_has_its_row(world, late, state, chunk, wanted):
    late.start()
    late.change("UPDATE campaign SET state = :state", state=state)
    late.change("UPDATE chunk SET state = :state", state=chunk)
    lose_agenda(late)
    for _ in range(2):
        upkeep.go_round(world.engine, now=late.after(5))
        assert agenda_of(world, world.a) == {*wanted, "retention.sweep"}


def test_a_scheduled_campaign_without_its_row_gets_one_at_its_time(world, room, late):
    lose_agenda(late)
    upkeep.go_round(world.engine, now=late.after(-600))
    with bound(world.engine, world.a) as session:
        (row,) = session.scalars(sa.select(Agenda).where(Agenda.kind == "campaign.start")).all()
    assert row.due_at == late.at


def test_one_process_goes_round_at_a_time(world, engine):
    with engine.connect() as other:
        other.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('countersign.upkeep'))"))
        assert not upkeep.go_round(engine, now=scenes.soon())
        other.rollback()
    assert upkeep.go_round(engine, now=scenes.soon())
