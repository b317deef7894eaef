"""Ask for access (A10): the page says which right and who gives it; those are told once, and answer with one click."""

import pytest
import sqlalchemy as sa

from saas.audit.queries import verify
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests.api.test_policies import somebody
from tests.worlds import bound, make_world

pytestmark = pytest.mark.integration

WANTED = {"role": "manager", "note": "I build the autumn campaigns.", "action": "campaign:write"}


@pytest.fixture
def strangers(app, engine):
    return make_world(app, engine)


def notices(world, place, role):
    with bound(world.engine, place) as session:
        rows = session.execute(
            sa.text("SELECT kind, title, text, path FROM notice WHERE account_id = :a ORDER BY notice_id"),
            {"a": place.accounts[role]},
        )
        return [tuple(row) for row in rows]


def ask(world, **change):
    return world.client(world.a, Role.VIEWER).post("/access-requests", {**WANTED, **change})


def test_nobody_and_strangers(world, strangers):
    found = ask(world).get_json()["request_id"]
    paths = [("POST", "/access-requests"), ("GET", "/access-requests"), ("POST", f"/access-requests/{found}/grant"),
             ("POST", f"/access-requests/{found}/decline")]  # fmt: skip
    for method, path in paths:
        body = WANTED if path == "/access-requests" else {}
        assert world.nobody(world.a).call(method, path, json=body).status_code == 401
    for client in (strangers.client(strangers.a, Role.ADMIN), world.client(world.b, Role.ADMIN)):
        foreign = client.post(f"/access-requests/{found}/grant")
        missing = client.post(f"/access-requests/{show('arq', uuid7())}/grant")
        assert foreign.status_code == missing.status_code == 404
        assert foreign.get_json()["detail"] == missing.get_json()["detail"]
        assert found not in client.get("/access-requests").text
        here = {"X-Workspace": world.a.wsp}
        assert client.post("/access-requests", WANTED, headers=here).status_code == 404
    assert world.key(world.a).post("/access-requests", WANTED).status_code == 403


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER, Role.APPROVER])
def test_others_answer_nothing(world, role):
    found = ask(world).get_json()["request_id"]
    client = world.client(world.a, role)
    for answer in (client.get("/access-requests"), client.post(f"/access-requests/{found}/grant")):
        assert (answer.status_code, answer.get_json()["action"]) == (403, "member:write")


def test_a_role_is_asked_for_given_and_holds_at_once(world):
    viewer, admin = world.client(world.a, Role.VIEWER), world.client(world.a, Role.ADMIN)
    made = ask(world)
    assert (made.status_code, made.get_json()["state"]) == (201, "open")
    assert [(kind, title) for kind, title, *_ in notices(world, world.a, Role.ADMIN)] == [
        ("access_asked", "Viewer North asks for the role manager")
    ]
    assert notices(world, world.a, Role.APPROVER) == []
    assert viewer.get("/contacts").status_code == 403
    done = admin.post(f"/access-requests/{made.get_json()['request_id']}/grant")
    assert (done.status_code, done.get_json()["granted_role"]) == (200, "manager"), done.text
    assert viewer.get("/contacts").status_code == 200
    assert [title for _, title, *_ in notices(world, world.a, Role.VIEWER)] == ["You have the role manager now"]
    again = admin.post(f"/access-requests/{made.get_json()['request_id']}/decline")
    assert (again.status_code, again.get_json()["code"]) == (409, "already_answered")
    with bound(world.engine, world.a) as session:
        assert verify(session) is None


def test_another_role_can_be_given_instead(world):
    found = ask(world).get_json()["request_id"]
    done = world.client(world.a, Role.ADMIN).post(f"/access-requests/{found}/grant", {"role": "approver"})
    assert (done.get_json()["role"], done.get_json()["granted_role"]) == ("manager", "approver")
    rows = world.client(world.a, Role.ADMIN).get("/members").get_json()["data"]
    mine = [row["role"] for row in rows if row["account_id"] == show("acc", world.a.accounts[Role.VIEWER])]
    assert mine == ["approver"]


def test_asking_again_tells_nobody_a_second_time(world):
    first = ask(world).get_json()
    for note in ("please", "please!"):
        assert ask(world, note=note).get_json()["request_id"] == first["request_id"]
    assert ask(world, role="approver").get_json()["role"] == "approver"
    assert len(notices(world, world.a, Role.ADMIN)) == 1
    admin = world.client(world.a, Role.ADMIN)
    assert len(admin.get("/access-requests").get_json()["data"]) == 1
    said = admin.post(f"/access-requests/{first['request_id']}/decline", {"answer": "Ask Olive first."})
    assert said.get_json()["state"] == "declined"
    assert [text for _, _, text, _ in notices(world, world.a, Role.VIEWER)] == ["Ask Olive first."]
    soon = ask(world, role="approver")
    assert (soon.status_code, soon.get_json()["code"]) == (409, "asked_already")
    assert len(notices(world, world.a, Role.ADMIN)) == 1


def test_what_is_held_already_is_not_asked_for(world):
    answer = ask(world, role="viewer")
    assert (answer.status_code, answer.get_json()["errors"][0]["pointer"]) == (422, "/role")
    foreign = ask(world, project_id=world.b.prj)
    missing = ask(world, project_id=show("prj", uuid7()))
    assert foreign.status_code == missing.status_code == 422
    assert foreign.get_json()["errors"] == missing.get_json()["errors"]


def test_a10_a_project_that_the_asker_may_not_see_is_as_missing_as_one_that_never_was(world):
    """Who works in one project learns nothing of another: same status, same words, nobody is told, nothing is kept."""
    admin = world.client(world.a, Role.ADMIN)
    other = admin.post("/projects", {"name": "Spring season"}).get_json()["project_id"]
    local, _ = somebody(world, Role.VIEWER, "pia", project_id=world.a.project_id)
    assert [row["project_id"] for row in local.get("/projects").get_json()["data"]] == [world.a.prj]
    told = len(notices(world, world.a, Role.ADMIN))
    answers = [
        local.post("/access-requests", {**WANTED, "project_id": project})
        for project in (other, world.b.prj, show("prj", uuid7()))
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    unseen, foreign, missing = (answer.get_json() for answer in answers)
    for name in ("code", "detail", "errors", "title", "type"):
        assert unseen.get(name) == foreign.get(name) == missing.get(name), name
    assert len(notices(world, world.a, Role.ADMIN)) == told
    assert admin.get("/access-requests").get_json()["data"] == []
    said = [
        local.http.post(
            f"/w/{world.a.wsp}/settings/access",
            data={"csrf_token": local.csrf, "role": "manager", "project_id": project, "action": "", "note": "x"},
            follow_redirects=True,
        )
        for project in (other, show("prj", uuid7()))
    ]
    assert all("There is no such project in this workspace." in answer.text for answer in said)
    assert local.post("/access-requests", {**WANTED, "project_id": world.a.prj}).status_code == 201
    assert local.post("/access-requests", WANTED).status_code == 201  # the whole workspace can be asked for


def test_a_projects_administrator_answers_for_that_project_only(world):
    admin = world.client(world.a, Role.ADMIN)
    manager = show("acc", world.a.accounts[Role.MANAGER])
    assert admin.patch(f"/members/{manager}", {"role": "admin", "project_id": world.a.prj}).status_code == 200
    local = world.client(world.a, Role.MANAGER)
    whole, own = ask(world).get_json()["request_id"], ask(world, project_id=world.a.prj).get_json()["request_id"]
    assert [row["request_id"] for row in local.get("/access-requests").get_json()["data"]] == [own]
    assert local.post(f"/access-requests/{whole}/grant").status_code == 403
    assert local.post(f"/access-requests/{own}/grant").status_code == 200


def test_who_left_meanwhile_is_given_nothing(world):
    found = ask(world).get_json()["request_id"]
    admin = world.client(world.a, Role.ADMIN)
    assert admin.delete(f"/members/{show('acc', world.a.accounts[Role.VIEWER])}").status_code == 200
    answer = admin.post(f"/access-requests/{found}/grant")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "already_answered")
    assert world.client(world.a, Role.VIEWER).post("/access-requests", WANTED).status_code == 404


def test_the_page_says_who_and_asks_with_one_form(world):
    viewer, admin = world.client(world.a, Role.VIEWER), world.client(world.a, Role.ADMIN)
    refused = viewer.http.get(f"/w/{world.a.wsp}/imports/new")
    assert refused.status_code == 403
    for words in ("import and change people", "Admin North", "Ask for access", 'name="role"', "Manager"):
        assert words in refused.text, words
    form = {"csrf_token": viewer.csrf, "role": "manager", "project_id": "", "action": "contact:write", "note": "Lists"}
    asked = viewer.http.post(f"/w/{world.a.wsp}/settings/access", data=form)
    assert asked.status_code == 303
    assert "nobody has answered yet" in viewer.http.get(f"/w/{world.a.wsp}/imports/new").text
    inbox = admin.http.get(f"/w/{world.a.wsp}/settings/access")
    assert "Viewer North" in inbox.text and "Lists" in inbox.text
    assert "One person asks for access." in admin.http.get(f"/w/{world.a.wsp}/settings/members").text
    key = admin.get("/access-requests").get_json()["data"][0]["request_id"]
    given = admin.http.post(f"/w/{world.a.wsp}/settings/access/{key}/grant", data={"csrf_token": admin.csrf})
    assert given.status_code == 303
    assert viewer.http.get(f"/w/{world.a.wsp}/imports/new").status_code == 200
    stranger = world.client(world.b, Role.ADMIN)
    assert stranger.http.get(f"/w/{world.a.wsp}/imports/new").status_code == 404


def test_an_owner_who_gives_themselves_a_role_is_seen_by_the_administrators(world):
    owner = world.client(world.a, Role.AGENCY_OWNER)
    me = owner.get("/sessions/current").get_json()["account_id"]
    assert owner.patch(f"/members/{me}", {"role": "manager"}).status_code == 200
    assert [title for _, title, *_ in notices(world, world.a, Role.ADMIN)] == [
        "Olive Owner gave themselves the role manager"
    ]
