"""Rules of product.md about who starts what, when dates count, and what may change, each shown by a campaign."""

import os

import pytest
import sqlalchemy as sa

from saas.kernel.ids import show, uuid7
from saas.ledger.models import Consent, Contact
from saas.ledger.types import FLOW_STEP
from saas.permissions.types import Role
from saas.platform.agenda.models import Agenda
from tests import command, scenes
from tests.conftest import KEY
from tests.integration.journeys.conftest import FlowScene
from tests.integration.journeys.test_called_flows import start as start_calls
from tests.integration.journeys.test_flowing import entries
from tests.integration.journeys.test_flowing import start as start_flowing
from tests.integration.journeys.test_live_edit import publish, revise

pytestmark = pytest.mark.integration


@pytest.fixture
def saas(app_settings):
    environ = {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "DATABASE_URL": app_settings.database_url,
        "REDIS_URL": app_settings.redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY,
    }  # fmt: skip

    def run(*words):
        return command.saas(environ, *words)

    return run


def decided(flow, **more):
    """A message, and who does not click within an hour gets another one than who does."""
    decision = flow.step(2, "decision", after={"yes": 3, "no": 4}, on="clicked", message=1, within_minutes=60)
    return start_flowing(flow, flow.message(1, after=2), decision, flow.message(3), flow.message(4), **more)


def test_m17_m18_m22_m23_people_are_added_acted_upon_and_those_who_did_nothing_are_led_on(flow):
    """M22's three stages by the agenda alone; M23, M28: at an interval, or in answer to what somebody did."""
    flow.people(2, city="Oslo")
    decided(flow)
    a, b = flow.addresses
    assert flow.sent(1) == sorted([a, b]), "added, and the first action was done, without anybody's hand"
    flow.reacts(a, "clicked", 1, minutes=-40)
    flow.run(4)
    assert flow.sent() == sorted([a, b])
    flow.run(6)
    assert (flow.sent(3), flow.sent(4)) == ([a], [b])
    assert entries(flow) == {"finished": 2}


def test_m20_each_campaign_is_looked_at_in_its_own_interval(flow, world, room, sink):
    flow.people(2)
    often = start_flowing(flow, flow.message(1), entry={"every_minutes": 5})
    rarely = FlowScene(world, room, sink)
    rarely.start, rarely.list_id, rarely.channel_id = flow.start, flow.list_id, flow.channel_id
    same = flow.world.client(flow.place, Role.MANAGER).get(f"/campaigns/{flow.campaign_id}/revisions/1").get_json()
    audience = same["draft"]["audience"]
    rarely.publish(rarely.message(2), kind="flowing", audience=audience, entry={"every_minutes": 60}).run(-55)
    flow.set(flow.addresses[0], city="Oslo")
    flow.run(-49)
    assert (often.sent(1), rarely.sent(2)) == ([flow.addresses[0]], [])
    flow.run(4)
    assert rarely.sent(2) == []
    flow.run(6)
    assert rarely.sent(2) == [flow.addresses[0]]


def test_m20_m21_people_are_compared_by_a_command_for_one_campaign(flow, saas):
    """M21: in a batch of its own; M20: for the campaign that is named, and for no other."""
    flow.people(1)
    start_flowing(flow, flow.message(1), entry={"every_minutes": 10_000})
    flow.set(flow.addresses[0], city="Oslo")
    flow.run(-40)
    assert flow.sent(1) == []
    words = ("campaigns", "update", "--workspace", flow.place.wsp, "--campaign")
    assert saas(*words, show("cam", uuid7())).returncode == 4, "there is no such campaign here"
    flow.run(-39)
    assert flow.sent(1) == []
    told = saas(*words, flow.campaign_id)
    assert (told.returncode, told.stdout) == (0, "1 flowing campaign is being updated.\n")
    flow.run(-38)
    assert flow.sent(1) == flow.addresses


def test_m19_steps_are_looked_at_by_a_command(flow, saas):
    """Even if the work that was due is lost, the command finds who waits (M19)."""
    flow.people(1, city="Oslo")
    decided(flow)
    with flow.session() as session:
        session.execute(sa.delete(Agenda).where(Agenda.tenant_id == flow.tenant_id, Agenda.kind == FLOW_STEP.name))
        session.commit()
    flow.run(30)
    assert flow.sent(4) == []
    told = saas("campaigns", "trigger", "--workspace", flow.place.wsp, "--campaign", flow.campaign_id)
    assert (told.returncode, told.stdout) == (0, "1 campaign is being looked at.\n")
    flow.run(31)
    assert flow.sent(4) == flow.addresses


def test_s24_dates_count_only_once_it_is_active(flow):
    flow.people(2)
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place)
    scenes.save(flow.world, flow.place, flow.campaign_id, flow.draft(flow.message(1, 0, after=2), flow.message(2, 60)))
    flow.run(0).run(60)
    assert (flow.sent(), flow.state) == ([], "draft")
    manager = flow.world.client(flow.place, Role.MANAGER)
    with flow.clocked(61):
        late = manager.post(f"/campaigns/{flow.campaign_id}/revisions/1/submit")
    assert (late.status_code, [error["pointer"] for error in late.get_json()["errors"]]) == (
        422,
        ["/steps/0/at", "/steps/1/at"],
    )


def test_s25_s26_steps_are_changed_added_and_taken_out_while_it_runs(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60, after=3), flow.message(3, 90)).run(0)
    changed = flow.message(2, 60, after=4)
    changed["content"]["text"] = "Mended\n{{ unsubscribe_url }}"
    assert revise(flow, flow.message(1, 0, after=2), changed, flow.message(4, 95), minutes=10) == []
    assert publish(flow, 20).status_code == 200
    flow.run(60).run(90).run(95)
    assert (flow.sent(3), flow.sent(4)) == ([], sorted(flow.addresses))
    mended = [message.rcpt for message in flow.sink.messages if b"Mended" in message.data]
    assert sorted(mended) == sorted(flow.addresses)
    assert flow.state == "completed"


def test_s27_r9_while_it_is_paused_the_structure_changes_and_no_step_begins(flow):
    flow.people(4)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 60)).run(0)
    with flow.clocked(10):
        flow.control("pause")
    split = flow.step(
        2, "random_split", 60, after={"a": 3, "b": 4},
        branches=[{"key": "a", "weight": 50}, {"key": "b", "weight": 50}],
    )  # fmt: skip
    steps = flow.message(1, 0, after=2), split, flow.message(3, 60), flow.message(4, 60)
    assert revise(flow, *steps, minutes=20) == []
    assert publish(flow, 30).status_code == 200
    flow.run(60).run(70)
    assert (flow.sent(3), flow.sent(4), flow.state) == ([], [], "paused")
    with flow.clocked(75):
        flow.control("resume")
    flow.run(80)
    assert sorted(flow.sent(3) + flow.sent(4)) == sorted(flow.addresses)
    assert (len(flow.sent(3)), flow.sent(2), flow.state) == (2, [], "completed")


def test_s28_s63_s64_what_has_ended_gets_a_follow_up_below_its_last_steps_only(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0, after=2), flow.message(2, 10)).run(0).run(10)
    assert flow.state == "completed"
    between = flow.message(1, 0, after=3), flow.message(3, 60, after=2), flow.message(2, 70)
    assert "/steps/0/next/sent" in {check["pointer"] for check in revise(flow, *between, minutes=20)}
    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{flow.campaign_id}/revisions/2"
    below = flow.draft(flow.message(1, 0, after=2), flow.message(2, 10, after=3), flow.message(3, 60))
    with flow.clocked(20):
        saved = manager.put(url, {"draft": below}, etag=manager.get(url).headers["ETag"])
    assert saved.get_json()["checks"] == []
    assert publish(flow, 30).status_code == 200
    assert (flow.state, flow.sent(3)) == ("active", [])
    flow.run(60)
    assert (flow.sent(3), len(flow.sent()), flow.state) == (sorted(flow.addresses), 6, "completed")


def test_s51_a_step_whose_date_is_cleared_runs_when_it_is_called(flow):
    flow.people(2)
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind="api")
    dated = flow.draft(flow.message(1, 0, after=2), flow.message(2, 60), kind="api")
    scenes.save(flow.world, flow.place, flow.campaign_id, dated)
    url = f"/campaigns/{flow.campaign_id}/revisions/1"
    kept = flow.world.client(flow.place, Role.MANAGER).get(url).get_json()["draft"]
    assert kept["steps"][0]["at"] == flow.wall(0), "S50: the first step of a campaign on call may have a date"
    kept["steps"][0]["at"] = None
    scenes.save(flow.world, flow.place, flow.campaign_id, kept)
    scenes.approve(flow.world, flow.place, flow.campaign_id, scenes.submit(flow.world, flow.place, flow.campaign_id))
    flow.run(-55)
    assert flow.call(flow.addresses[0]) == ["accepted"]
    flow.run(-54)
    assert flow.sent(1) == [flow.addresses[0]]
    flow.run(60)
    assert flow.sent(2) == [flow.addresses[0]]


def test_a3_a4_a_legal_notice_goes_by_its_own_consent_and_a_call_to_whom_it_names(flow):
    """A3: on a schedule or by call; A4: a notice has a consent topic of its own, whatever somebody says to offers."""
    flow.people(3)
    with flow.session() as session:
        ids = session.scalars(sa.select(Contact.contact_id).where(Contact.email.in_(flow.addresses[:2]))).all()
        session.execute(sa.update(Consent).where(Consent.contact_id.in_(ids)).values(status="withdrawn"))
        rows = session.scalars(sa.select(Consent).where(Consent.contact_id.in_(ids))).all()
        for row in rows:
            session.add(
                Consent(
                    tenant_id=row.tenant_id, contact_id=row.contact_id, topic="policy_updates", status="given",
                    source="test", at=row.at,
                )
            )  # fmt: skip
        session.commit()
    flow.publish(flow.message(1, 0), topic="policy_updates").run(0)
    assert flow.sent(1) == sorted(flow.addresses[:2])
    assert flow.numbers(1).skipped == 1
    called = start_calls(flow, flow.message(2))
    assert called.call(flow.addresses[2]) == ["accepted"]
    called.run(1)
    assert flow.sent(2) == [flow.addresses[2]]
