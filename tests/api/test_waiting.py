"""The number beside Approvals counts what waits for this person, as the inbox's first tab does (R13)."""

import re

import pytest
from sqlalchemy import event

from saas.kernel.ids import show
from saas.permissions.types import Role
from tests import scenes
from tests.api.test_approval_links import policy

pytestmark = pytest.mark.integration


@pytest.fixture
def ground(world):
    list_id, _ = scenes.add_people(world, world.a, 1)
    return list_id, scenes.add_channel(world, world.a, 1)


def submitted(world, ground, by=Role.MANAGER):
    """One more campaign in review, written and asked for by a person of a role."""
    client = world.client(world.a, by)
    body = {"name": "Black week", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    campaign_id = client.post("/campaigns", body).get_json()["campaign_id"]
    url = f"/campaigns/{campaign_id}/revisions/1"
    etag = client.get(url).headers["ETag"]
    assert client.put(url, {"draft": scenes.dated_draft(*ground, scenes.soon(30))}, etag=etag).status_code == 200
    sent = client.post(f"{url}/submit")
    assert sent.status_code == 200, sent.text
    return campaign_id, sent.get_json()["content_hash"]


def badge(world, role, page="audiences"):
    """The number in the navigation, on a page that has nothing to do with approvals."""
    text = world.client(world.a, role).http.get(f"/w/{world.a.wsp}/{page}").text
    entry = re.findall(r'<a href="[^"]*/approvals"[^>]*>.*?</a>', text, re.DOTALL)[0]
    found = re.search(r'<span class="count">(\d+)<', entry)
    return int(found[1]) if found else 0


def for_me(world, role):
    """What the inbox says of the same person."""
    text = world.client(world.a, role).http.get(f"/w/{world.a.wsp}/approvals?tab=for-me").text
    return int(re.search(r'For me <span class="c num">(\d+)<', text)[1])


def counted(world, *roles):
    found = [(badge(world, role), for_me(world, role)) for role in roles]
    assert all(one == other for one, other in found), found
    return [one for one, _ in found]


def test_r13_the_number_leaves_out_what_one_edited_or_signed(world, ground):
    submitted(world, ground)
    submitted(world, ground, by=Role.ADMIN)
    assert counted(world, Role.ADMIN, Role.APPROVER) == [1, 2]
    policy(world, {"needed": 2})
    campaign_id, content_hash = submitted(world, ground)
    assert counted(world, Role.ADMIN, Role.APPROVER) == [2, 3]
    scenes.approve(world, world.a, campaign_id, content_hash)
    assert counted(world, Role.ADMIN, Role.APPROVER) == [2, 2]
    home = world.client(world.a, Role.APPROVER).http.get(f"/w/{world.a.wsp}/").text
    assert "2 campaigns wait for your decision." in home
    assert badge(world, Role.MANAGER) == 0


def test_r13_the_number_knows_whose_turn_it_is(world, ground):
    admin = show("acc", world.a.accounts[Role.ADMIN])
    stages = [{"needed": 1, "accounts": [admin]}, {"needed": 1, "role": "approver"}]
    policy(world, *stages, order="sequence")
    campaign_id, content_hash = submitted(world, ground)
    assert counted(world, Role.ADMIN, Role.APPROVER) == [1, 0]
    signed = world.client(world.a, Role.ADMIN).post(
        f"/campaigns/{campaign_id}/revisions/1/approve", {"content_hash": content_hash}
    )
    assert signed.status_code == 200, signed.text
    assert counted(world, Role.ADMIN, Role.APPROVER) == [0, 1]


def test_r13_the_number_stays_in_its_workspace_and_in_its_project(world, ground):
    submitted(world, ground)
    text = world.client(world.b, Role.APPROVER).http.get(f"/w/{world.b.wsp}/audiences").text
    assert '<span class="count">' not in text
    admin = world.client(world.a, Role.ADMIN)
    made = admin.post("/projects", {"name": "Spring season"}).get_json()["project_id"]
    approver = admin.http.get(f"/w/{world.a.wsp}/approvals?tab=for-me&project_id={made}").text
    assert "Nothing waits for you" in approver
    assert counted(world, Role.APPROVER) == [1]


def test_however_much_is_in_review_is_found_by_the_same_statements(world, ground):
    client = world.client(world.a, Role.APPROVER)

    def statements():
        seen = []

        def note(_connection, _cursor, statement, *_rest):
            seen.append(statement)

        with world.app.app_context():
            event.listen(world.app.extensions["sqlalchemy"].engine, "before_cursor_execute", note)
            try:
                assert client.http.get(f"/w/{world.a.wsp}/audiences").status_code == 200
            finally:
                event.remove(world.app.extensions["sqlalchemy"].engine, "before_cursor_execute", note)
        return len(seen)

    submitted(world, ground)
    one = statements()
    assert one > 5
    for _ in range(4):
        submitted(world, ground)
    assert statements() == one
    assert counted(world, Role.APPROVER) == [5]
