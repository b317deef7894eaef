"""A campaign whose time is over before it begins says so, before and afterwards (M12, U5, U6, U14)."""

import pytest
import sqlalchemy as sa

from saas.audit.models import AuditEntry
from saas.ledger.models import Contact, Entry
from saas.permissions.types import Role
from saas.reports.service.why import why

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("what", ["dry-run", "start-test", "simulate"])
def test_m12_u6_u14_rehearsals_say_that_the_lead_ends_behind_the_publication_window(flow, what):
    flow.people(2)
    flow.publish(flow.message(1, 0), publish_until=flow.wall(2))
    manager = flow.world.client(flow.place, Role.MANAGER)
    url = f"/campaigns/{flow.campaign_id}/revisions/1/{what}"
    found = manager.post(url, {"at": f"{flow.wall(-1)}:00Z"}).get_json()
    assert "publish_until" in found["cut_off"]
    assert found.get("fine", False) is False
    assert manager.post(url).get_json()["cut_off"] is None


def test_m12_u5_the_log_and_the_question_why_say_that_its_time_was_over(flow):
    flow.people(2)
    flow.publish(flow.message(1, 0), publish_until=flow.wall(10)).run(11)
    assert (flow.rows(Entry), flow.state) == ([], "completed")
    (done,) = flow.rows(AuditEntry, AuditEntry.action == "campaign.completed")
    assert done.facts["began"] is False
    with flow.session() as session:
        contact_id = session.scalar(sa.select(Contact.contact_id).where(Contact.email == flow.addresses[0]))
        told = why(session, actor=flow.place.actor(Role.MANAGER), campaign_id=flow.id, contact_id=contact_id)
    assert told.text == "Is not in this campaign: its time was over before it began."


def test_m12_what_did_begin_is_finished_as_ever(flow):
    flow.people(1)
    flow.publish(flow.message(1, 0), publish_until=flow.wall(10)).run(0).run(1)
    (done,) = flow.rows(AuditEntry, AuditEntry.action == "campaign.completed")
    assert (flow.state, "began" in done.facts) == ("completed", False)
