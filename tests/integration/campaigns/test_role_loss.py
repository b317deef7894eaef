"""Who loses the right to approve takes their signature with them: at the start, and at the next claim (R13)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.campaigns.service.eligible import resting_on
from saas.kernel.ids import show
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def admin(world):
    return world.client(world.a, Role.ADMIN)


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def seen(world, campaign_id):
    return world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()


def take_the_role(world, admin):
    account = show("acc", world.a.accounts[Role.APPROVER])
    assert admin.patch(f"/members/{account}", {"role": "viewer", "project_id": None}).status_code == 200


def approved(world, sink, *, people=3):
    at = scenes.soon()
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=people, port=sink.port, at=at)
    return campaign_id, at, world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()["revision"]


def test_a_role_that_is_lost_before_the_start_holds_it(world, room, sink, admin):
    campaign_id, at, _ = approved(world, sink)
    take_the_role(world, admin)
    room.at(at).run()
    found = seen(world, campaign_id)
    assert (found["state"], found["held_part"], sink.messages) == ("held", "signer", [])


def test_a_role_that_is_lost_while_it_sends_ends_it_at_the_next_claim(world, room, sink, admin):
    """Its people are frozen; a first claim has gone out, the next one, a second later, takes nobody."""
    campaign_id, at, _ = approved(world, sink, people=6)
    room.at(at).run(Queue.MAINTENANCE)
    with bound(world.engine, world.a) as session:  # two chunks of three
        session.execute(sa.text(
            "INSERT INTO chunk (tenant_id, run_id, no, entry_ids, not_before, state, deaths, retry) SELECT tenant_id, run_id,"
            " nextval('chunk_no_seq'), entry_ids[4:6], not_before + interval '1 second', 'pending', 0, false FROM chunk"
        ))  # fmt: skip
        session.execute(sa.text("UPDATE chunk SET entry_ids = entry_ids[1:3] WHERE cardinality(entry_ids) = 6"))
        session.commit()
    room.run()
    assert len(sink.messages) == 3
    take_the_role(world, admin)
    room.later(2).run()
    found = seen(world, campaign_id)
    assert (found["state"], found["held_part"]) == ("held", "signer")
    assert len(sink.messages) == 3
    with bound(world.engine, world.a) as session:
        told = set(session.scalars(sa.text("SELECT account_id FROM notice WHERE kind = 'campaign_held'")))
    assert told == {world.a.accounts[Role.ADMIN], world.a.accounts[Role.MANAGER]}


def test_what_rests_on_a_signature_is_known_before_the_role_is_taken(world, sink):
    campaign_id, _, _ = approved(world, sink)
    scenes.make_campaign(world, world.a)
    with bound(world.engine, world.a) as session:
        (found,) = resting_on(session, world.a.accounts[Role.APPROVER])
        assert show("cam", found.campaign_id) == campaign_id
        assert list(resting_on(session, world.a.accounts[Role.ADMIN])) == []
    member = f"/w/{world.a.wsp}/settings/members/{show('acc', world.a.accounts[Role.APPROVER])}"
    page = world.client(world.a, Role.ADMIN).http.get(member)
    assert page.status_code == 200
    assert "A campaign that has not ended rests on their signature" in page.text and found.name in page.text


def test_another_approver_signs_in_their_place(world, room, sink, admin):
    campaign_id, at, revision = approved(world, sink)
    take_the_role(world, admin)
    room.at(at).run()
    url, body = f"/campaigns/{campaign_id}/revisions/1", {"content_hash": revision["content_hash"], "comment": "Yes."}
    manager = world.client(world.a, Role.MANAGER)
    assert codes(manager.post(f"{url}/confirm", body)) == (403, "lacks_right")
    assert codes(manager.post(f"/campaigns/{campaign_id}/resume")) == (409, "approver_decides")
    assert codes(admin.post(f"{url}/confirm", body | {"content_hash": "v1:x"})) == (409, "changed_since_you_looked")
    done = admin.post(f"{url}/confirm", body)
    assert done.status_code == 200, done.text
    assert codes(admin.post(f"{url}/confirm", body)) == (409, "nothing_to_confirm")
    room.run()
    room.later(2).run()
    assert (seen(world, campaign_id)["state"], len(sink.messages)) == ("completed", 3)


def test_who_edited_cannot_sign_in_their_place(world, room, sink, admin):
    at = scenes.soon()
    list_id, _ = scenes.add_people(world, world.a, 2)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, sink.port), at)
    url = f"/campaigns/{campaign_id}/revisions/1"
    assert admin.put(url, {"draft": draft}, etag=admin.get(url).headers["ETag"]).status_code == 200
    content_hash = scenes.submit(world, world.a, campaign_id)
    scenes.approve(world, world.a, campaign_id, content_hash)
    take_the_role(world, admin)
    room.at(at).run()
    assert codes(admin.post(f"{url}/confirm", {"content_hash": content_hash})) == (409, "approver_edited")


def test_a_suspended_account_counts_no_more_and_a_role_given_back_does(world, room, sink, admin, owner_engine):
    campaign_id, at, revision = approved(world, sink)
    approver = world.a.accounts[Role.APPROVER]
    with owner_engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET suspended_at = now() WHERE account_id = :a"), {"a": approver})
    room.at(at).run()
    assert seen(world, campaign_id)["held_part"] == "signer"
    with owner_engine.begin() as connection:
        connection.execute(sa.text("UPDATE account SET suspended_at = NULL WHERE account_id = :a"), {"a": approver})
    body = {"content_hash": revision["content_hash"]}
    assert admin.post(f"/campaigns/{campaign_id}/revisions/1/confirm", body).status_code == 200
    room.run()
    room.later(2).run()
    assert len(sink.messages) == 3


def test_s66_revoking_while_it_sends_stops_it_and_tells_those_who_took_part(world, room, sink, admin):
    campaign_id, at, revision = approved(world, sink)
    room.at(at).run(Queue.MAINTENANCE)
    body = {"content_hash": revision["content_hash"], "comment": "The price is wrong."}
    assert admin.post(f"/campaigns/{campaign_id}/revisions/1/revoke", body).status_code == 200
    room.later(1).run()
    room.later(timedelta(minutes=1).total_seconds()).run()
    found = seen(world, campaign_id)
    assert (found["state"], sink.messages) == ("stopped", [])
    with bound(world.engine, world.a) as session:
        rows = session.execute(sa.text("SELECT account_id, text FROM notice WHERE text LIKE '%revoked%'")).all()
    assert {row.account_id for row in rows} == {world.a.accounts[Role.MANAGER], world.a.accounts[Role.APPROVER]}
    assert all("The price is wrong." in row.text and "Sending stops" in row.text for row in rows)
