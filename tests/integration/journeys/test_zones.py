"""The rules of time zones change between plan and start: wall times stay, moments move, the owner is told (R17)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.app import sweep as sweeping
from saas.journeys.service import zones
from saas.ledger.models import Wait
from saas.permissions.types import Role
from saas.platform.agenda.types import Picked, Queue
from saas.sending.service import upkeep
from tests.integration.journeys.test_called_flows import start

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)


def change(flow, statement, **values):
    with flow.session() as session:
        session.execute(sa.text(statement), values)
        session.commit()


def swept(flow, minutes):
    """What is done each hour, and after that whatever it armed."""
    with flow.session() as session:
        picked = Picked(session, flow.tenant_id, upkeep.SWEEP.name, str(flow.tenant_id), flow.at(minutes))
        sweeping.sweep(picked)
        session.commit()
    flow.room.at(flow.at(minutes)).run(Queue.MAINTENANCE)


def versions(flow):
    with flow.session() as session:
        return set(session.scalars(sa.text("SELECT subject FROM agenda WHERE kind = 'zones.refresh'")))


@pytest.fixture
def other_rules(flow, monkeypatch):
    """The workspace is marked with the rules of now; from then on the process has others."""

    def changed(minutes):
        swept(flow, minutes)
        assert versions(flow) == {zones.rules_version()}
        monkeypatch.setattr(sweeping, "rules_version", lambda: "2099z")

    return changed


def start_of(flow):
    seen = flow.world.client(flow.place, Role.MANAGER).get(f"/campaigns/{flow.campaign_id}/revisions/1").get_json()
    return seen["planned_at"], seen["effective_at"]


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_r17_a_start_follows_its_wall_time_and_its_owner_is_told(flow, other_rules, by):
    flow.people(2)
    flow.start += 4 * HOUR
    flow.publish(flow.message(1, 0))
    planned = start_of(flow)
    other_rules(-100)
    # As the rules said it that held when it was planned.
    change(flow, "UPDATE revision SET planned_at = planned_at + :by, effective_at = effective_at + :by", by=by)
    change(flow, "UPDATE agenda SET due_at = due_at + :by WHERE kind = 'campaign.start'", by=by)
    swept(flow, -90)
    assert start_of(flow) == planned
    assert versions(flow) == {"2099z"}
    notices = flow.world.client(flow.place, Role.MANAGER).get("/notices").get_json()["data"]
    told = [each["text"] for each in notices if each["kind"] == "step_shifted"]
    assert len(told) == 1 and "time zone UTC" in told[0]
    flow.run(-1)
    assert flow.sent() == []
    flow.run(0)
    assert flow.sent() == sorted(flow.addresses)
    swept(flow, 1)
    assert len(flow.world.client(flow.place, Role.MANAGER).get("/notices").get_json()["data"]) == len(notices)


def test_r17_who_waits_by_a_clock_goes_on_when_it_shows_the_time(flow, other_rules):
    """Whose own date was changed while they waited keep the moment that they came with."""
    flow.people(2)
    hour = f"{flow.at(0):%H:%M}"
    start(flow, flow.step(1, "wait", after={"done": 2}, time=hour, **{"for": "local_hour"}), flow.message(2))
    flow.call(*flow.addresses)
    flow.run(-50)
    first, second = sorted(flow.waits(), key=lambda row: row.entry_id)
    assert (first.due_at, second.due_at) == (flow.at(0), flow.at(0))
    other_rules(-49)
    change(flow, "UPDATE wait SET due_at = due_at + :by WHERE entry_id = :id", by=HOUR, id=first.entry_id)
    change(flow, "UPDATE wait SET due_at = due_at + :by WHERE entry_id = :id", by=72 * HOUR, id=second.entry_id)
    swept(flow, -30)
    assert sorted(row.due_at for row in flow.rows(Wait)) == [flow.at(0), flow.at(72 * 60)]
    flow.run(0)
    assert len(flow.sent(2)) == 1


def test_r17_as_long_as_the_rules_are_the_same_nothing_is_planned_anew(flow):
    flow.people(1)
    flow.publish(flow.message(1, 0))
    swept(flow, -58)
    change(flow, "UPDATE revision SET planned_at = planned_at + :by, effective_at = effective_at + :by", by=HOUR)
    moved = start_of(flow)
    swept(flow, -30)
    assert start_of(flow) == moved
