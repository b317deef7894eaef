"""Campaigns and drafts over the API: who may what, what a draft may hold, what stops a submission."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.worlds import Client, World, bound

pytestmark = pytest.mark.integration

HASH = "v1:" + "0" * 64
DECISION = {"content_hash": HASH, "comment": "x"}
ROLES = (Role.VIEWER, Role.MANAGER, Role.APPROVER, Role.ADMIN)
# Method, path below /campaigns, body, who may (V viewer, M manager, A approver, D admin, K key).
ROUTES = [
    ("GET", "", None, "VMADK"),
    ("POST", "", "new", "MADK"),
    ("GET", "/{id}", None, "VMADK"),
    ("PATCH", "/{id}", {"name": "x"}, "MADK"),
    ("GET", "/{id}/revisions", None, "VMADK"),
    ("POST", "/{id}/revisions", {}, "MADK"),
    ("GET", "/{id}/revisions/1", None, "VMADK"),
    ("PUT", "/{id}/revisions/1", {"draft": {}}, "MADK"),
    ("POST", "/{id}/revisions/1/submit", {}, "MDK"),
    ("POST", "/{id}/revisions/1/withdraw", {}, "MDK"),
    ("POST", "/{id}/revisions/1/approve", DECISION, "AD"),
    ("POST", "/{id}/revisions/1/publish", DECISION, "ADr"),  # r: keys get as far as looking for it
    ("POST", "/{id}/revisions/1/request-changes", DECISION, "AD"),
    ("POST", "/{id}/revisions/1/reject", DECISION, "AD"),
    ("POST", "/{id}/revisions/1/revoke", DECISION, "AD"),
    ("GET", "/{id}/revisions/1/review", None, "VMADK"),
    ("POST", "/{id}/pause", {}, "MADK"),
    ("POST", "/{id}/resume", {}, "MADK"),
    ("POST", "/{id}/stop", {}, "MADK"),
    ("POST", "/{id}/archive", {}, "MADK"),
    ("POST", "/{id}/restore", {}, "MADK"),
    ("POST", "/{id}/duplicate", {}, "MADK"),
    ("POST", "/{id}/switch-start", {"kind": "dated"}, "MADK"),
    ("POST", "/{id}/save-as-template", {"name": "x"}, "MADK"),
]  # fmt: skip
IDS = [f"{method} {path}" for method, path, *_ in ROUTES]


def send(client: Client, world: World, route, campaign_id: str):
    method, path, body, _ = route
    if body == "new":
        body = {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    headers = {"If-Match": '"1"'} if method in {"PUT", "PATCH"} else {}
    more = {"json": body} if body is not None else {}
    return client.call(method, "/campaigns" + path.format(id=campaign_id), headers=headers, **more)


@pytest.fixture
def campaign_id(world) -> str:
    return scenes.make_campaign(world, world.a)


@pytest.fixture
def manager(world) -> Client:
    return world.client(world.a, Role.MANAGER)


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def pointers(answer):
    assert answer.status_code == 422, answer.text
    return {error["pointer"] for error in answer.get_json()["errors"]}


@pytest.fixture(scope="module")
def shared(app, engine):
    from tests.worlds import make_world

    world = make_world(app, engine)
    clients = {role: world.client(world.a, role) for role in ROLES}
    return world, clients, world.key(world.a), world.client(world.b, Role.ADMIN), world.key(world.b)


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
def test_d_personas(shared, route):
    """Nobody 401, stranger 404, the wrong role 403 before any 409, the right one gets an answer."""
    world, clients, key, stranger, strangers_key = shared
    campaign_id = scenes.make_campaign(world, world.a)
    nobody = world.nobody(world.a)
    assert codes(send(nobody, world, route, campaign_id)) == (401, "unauthenticated")
    assert send(Client(world.app, key="csn_live_" + "0" * 36), world, route, campaign_id).status_code == 401
    if "{id}" in route[1]:
        unknown = send(stranger, world, route, show("cam", uuid7()))
        for client in (stranger, strangers_key):
            answer = send(client, world, route, campaign_id)
            if {"K", "r"} & set(route[3]) or client is stranger:
                assert codes(answer) == (404, "not_found")
                assert answer.get_json()["detail"] == unknown.get_json()["detail"]
            else:
                assert codes(answer) == (403, "lacks_right")
    elif route[0] == "POST":
        assert codes(send(stranger, world, route, "")) == (404, "not_found")
        assert codes(send(strangers_key, world, route, "")) == (404, "not_found")
    for letter, client in zip("VMADK", [*(clients[role] for role in ROLES), key], strict=True):
        answer = send(client, world, route, campaign_id)
        if letter in route[3]:
            assert answer.status_code in {200, 201, 202, 404, 409, 412, 422}, answer.text
        else:
            assert codes(answer) == (403, "lacks_right"), letter
            assert answer.get_json()["action"].startswith("campaign:")


def test_s30_make_read_rename_list(world, manager):
    body = {
        "name": " Black week ",
        "project_id": world.a.prj,
        "kind": "dated",
        "purpose": "marketing",
        "description": "d",
    }
    made = manager.post("/campaigns", body)
    assert made.status_code == 201
    found = made.get_json()
    assert made.headers["Location"] == f"/api/v1/campaigns/{found['campaign_id']}"
    assert (found["name"], found["state"], found["revision"]["no"], found["revision"]["state"]) == (
        "Black week",
        "draft",
        1,
        "editing",
    )
    assert found["allowed_moves"] == ["archive"]
    url = f"/campaigns/{found['campaign_id']}"
    read = manager.get(url)
    assert read.headers["ETag"] == '"1"' and read.get_json() == found
    renamed = manager.patch(url, {"name": "White week"}, etag='"1"').get_json()
    assert (renamed["name"], renamed["description"], renamed["version"]) == ("White week", "d", 2)
    assert manager.patch(url, {"name": "x"}).status_code == 428
    assert codes(manager.patch(url, {"name": "x"}, etag='"1"')) == (412, "stale")
    listed = manager.get("/campaigns?q=WHITE").get_json()["data"]
    assert [row["campaign_id"] for row in listed] == [found["campaign_id"]]
    assert manager.get("/campaigns?q=%25").get_json()["data"] == []


def test_m7_the_activity_says_which_words_about_a_campaign_changed(world, manager):
    campaign_id = scenes.make_campaign(world, world.a)

    def told(**words):
        url = f"/campaigns/{campaign_id}"
        before = len(entries())
        assert manager.patch(url, words, etag=manager.get(url).headers["ETag"]).status_code == 200
        return entries()[: len(entries()) - before]

    def entries():
        answer = world.client(world.a, Role.ADMIN).get(f"/audit?subject={campaign_id}")
        return [(row["action"], row["facts"].get("changed")) for row in answer.get_json()["data"]]

    assert told(tags=["Winter"]) == [("campaign.described", ["tags"])]
    page = manager.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}").text
    assert "changed its tags" in page and "renamed it" not in page
    assert told(tags=[" winter "]) == []
    assert told(name="White week") == [("campaign.renamed", None)]
    assert told(name="Black week", description="d", tags=[]) == [
        ("campaign.described", ["description", "tags"]), ("campaign.renamed", None),
    ]  # fmt: skip


def test_the_list_is_paged_narrowed_and_leaves_archived_ones_out(world, manager):
    ids = [scenes.make_campaign(world, world.a) for _ in range(3)]
    first = manager.get("/campaigns?limit=2").get_json()
    assert [row["campaign_id"] for row in first["data"]] == [ids[2], ids[1]] and first["has_more"]
    rest = manager.get(f"/campaigns?limit=2&after={first['next_cursor']}").get_json()
    assert [row["campaign_id"] for row in rest["data"]] == [ids[0]] and not rest["has_more"]
    assert manager.post(f"/campaigns/{ids[0]}/archive").get_json()["state"] == "archived"
    assert len(manager.get("/campaigns").get_json()["data"]) == 2
    assert [row["campaign_id"] for row in manager.get("/campaigns?state=archived").get_json()["data"]] == [ids[0]]
    assert len(manager.get(f"/campaigns?project_id={world.a.prj}&state=draft").get_json()["data"]) == 2
    assert manager.get(f"/campaigns?project_id={world.b.prj}").get_json()["data"] == []
    assert manager.get("/campaigns?state=lost").status_code == 422
    assert manager.get("/campaigns?q=%00").status_code == 422
    assert manager.get("/campaigns?limit=0").status_code == 422
    assert codes(manager.get("/campaigns?after=x")) == (422, "invalid")


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"name": ""}, "/name"), ({"name": "  "}, "/name"), ({"name": "a\nb"}, "/name"), ({"name": "x" * 201}, "/name"),
     ({"name": None}, "/name"), ({"description": "a\0b"}, "/description"), ({"kind": "flow"}, "/kind"),
     ({"purpose": "spam"}, "/purpose"), ({"project_id": "x"}, "/project_id"), ({"state": "active"}, "/state"),
     ({"tenant_id": "x"}, "/tenant_id"), ({"version": 9}, "/version"), ({"created_at": "x"}, "/created_at"),
     ({"kind": "dated", "purpose": "transactional"}, "/purpose")],
)  # fmt: skip
def test_i_what_cannot_be_used_is_refused_with_its_place(world, manager, change, pointer):
    body = {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing", **change}
    assert pointers(manager.post("/campaigns", body)) == {pointer}


def test_a_project_of_another_workspace_is_as_missing_as_an_unknown_one(world, manager):
    def made(project_id):
        body = {"name": "x", "project_id": project_id, "kind": "dated", "purpose": "marketing"}
        answer = manager.post("/campaigns", body)
        return answer.status_code, answer.get_json()["code"], answer.get_json()["detail"]

    assert (
        made(world.b.prj)
        == made(show("prj", uuid7()))
        == (404, "not_found", "There is no such project in this workspace.")
    )


@pytest.fixture
def elsewhere(world, engine):
    """A manager of another project of the same workspace."""
    from saas.tenants.service import members, workspaces

    now = SystemClock().now()
    with bound(engine, world.a) as session:
        project = workspaces.create_project(session, actor=world.a.actor(Role.ADMIN), name="Summer season", now=now)
        members.change_role(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.VIEWER], role=Role.MANAGER,
            project_id=project.project_id, now=now,
        )  # fmt: skip
        session.execute(
            sa.text("DELETE FROM role_grant WHERE account_id = :who AND project_id IS NULL"),
            {"who": world.a.accounts[Role.VIEWER]},
        )
        session.commit()
    return world.client(world.a, Role.VIEWER)


def test_r14_campaigns_of_other_projects_do_not_exist(world, campaign_id, elsewhere):
    for route in ROUTES:
        if "{id}" in route[1] and "M" in route[3]:
            assert codes(send(elsewhere, world, route, campaign_id)) == (404, "not_found"), route[1]
    assert elsewhere.get("/campaigns").get_json()["data"] == []
    body = {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    assert codes(elsewhere.post("/campaigns", body)) == (404, "not_found")


@pytest.mark.parametrize("no", ["0", "2", "2147483647", "2147483648", "99999999999999999999999"])
def test_a_revision_that_does_not_exist(world, manager, campaign_id, no):
    url = f"/campaigns/{campaign_id}/revisions/{no}"
    approver = world.client(world.a, Role.APPROVER)
    assert codes(manager.get(url)) == codes(manager.get(f"{url}/review")) == (404, "not_found")
    assert codes(manager.put(url, {"draft": {}}, etag='"1"')) == (404, "not_found")
    assert (
        codes(manager.post(f"{url}/submit")) == codes(approver.post(f"{url}/approve", DECISION)) == (404, "not_found")
    )


# Drafts


@pytest.fixture
def whole(world):
    """A draft that can be submitted."""
    list_id, _ = scenes.add_people(world, world.a, 2)
    return scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon())


def saved(manager, campaign_id, draft):
    url = f"/campaigns/{campaign_id}/revisions/1"
    answer = manager.put(url, {"draft": draft}, etag=manager.get(url).headers["ETag"])
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def checks(manager, campaign_id, draft):
    return {check["pointer"]: check["message"] for check in saved(manager, campaign_id, draft)["checks"]}


def test_s43_an_incomplete_draft_is_saved_and_says_what_is_missing(manager, campaign_id):
    found = saved(manager, campaign_id, {})
    assert [c["pointer"] for c in found["checks"]] == ["/audience", "/topic", "/steps"]
    assert (found["state"], found["document"], found["content_hash"]) == ("editing", None, None)
    assert found["draft"]["steps"] == []
    again = manager.get(f"/campaigns/{campaign_id}/revisions/1")
    assert again.get_json()["checks"] == found["checks"] and again.headers["ETag"] == '"2"'


def test_a_submission_with_faults_is_refused_with_all_of_them(manager, campaign_id, whole):
    step = whole["steps"][0] | {
        "at": None,
        "channel_id": None,
        "content": {"subject": "", "html": "<p>{{ contact.x", "text": ""},
    }
    saved(manager, campaign_id, whole | {"steps": [step], "audience": None})
    answer = manager.post(f"/campaigns/{campaign_id}/revisions/1/submit")
    assert codes(answer) == (422, "draft_not_ready")
    assert pointers(answer) == {
        "/audience", "/steps/0/channel_id", "/steps/0/at", "/steps/0/content/subject",
    }  # fmt: skip
    assert manager.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["state"] == "editing"


def test_a_syntax_error_names_line_and_column(manager, campaign_id, whole):
    whole["steps"][0]["content"]["html"] = "<p>one</p>\n<p>{% if contact.city %}two</p>\n{{ unsubscribe_url }}"
    found = checks(manager, campaign_id, whole)
    assert set(found) == {"/steps/0/content/html"}
    assert found["/steps/0/content/html"].startswith("line ")
    assert "column" in found["/steps/0/content/html"]


def test_an_unknown_variable_is_named(manager, campaign_id, whole):
    whole["steps"][0]["content"]["subject"] = "Hi {{ contact.shoe_size }}"
    assert "shoe_size" in checks(manager, campaign_id, whole)["/steps/0/content/subject"]
    whole["steps"][0]["content"]["subject"] = "Hi {{ context.order_no }}"
    assert "order_no" in checks(manager, campaign_id, whole)["/steps/0/content/subject"]


def test_marketing_needs_its_unsubscribe_link(manager, campaign_id, whole):
    whole["steps"][0]["content"] |= {"html": "<p>Hello</p>", "text": "Hello"}
    assert set(checks(manager, campaign_id, whole)) == {"/steps/0/content/html", "/steps/0/content/text"}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [({"time_zone": "Mars/Olympus"}, "/time_zone"), ({"topic": None}, "/topic"),
     ({"audience": None}, "/audience"), ({"steps": []}, "/steps")],
)  # fmt: skip
def test_each_lack_has_its_place(manager, campaign_id, whole, change, pointer):
    """M14: without a flow there is no campaign; S34: nor without a target group and a time zone."""
    assert set(checks(manager, campaign_id, whole | change)) == {pointer}


def test_s32_a_second_step_has_to_be_led_to(manager, campaign_id, whole):
    whole["steps"].append(whole["steps"][0] | {"step_no": 2})
    assert set(checks(manager, campaign_id, whole)) == {"/steps/1"}
    whole["steps"][0] = whole["steps"][0] | {"next": {"sent": [2]}}
    assert checks(manager, campaign_id, whole) == {}


@pytest.mark.parametrize(
    "at", ["2020-01-01T09:00", "2026-11-30", "tomorrow", "2030-02-30T09:00", "2030-01-01T09:00Z", "9999-12-31T23:59:59"]
)
def test_s42_a_time_that_is_past_or_none_is_refused(manager, campaign_id, whole, at):
    whole["steps"][0]["at"] = at
    whole["time_zone"] = "America/Lima"
    assert set(checks(manager, campaign_id, whole)) == {"/steps/0/at"}


def test_other_workspaces_ids_are_as_missing_as_unknown_ones(world, manager, campaign_id, whole, owner_engine):
    their_list, _ = scenes.add_people(world, world.b, 1)
    theirs = {"list_id": their_list, "audience_id": audience(world, world.b, their_list, "public"),
              "channel_id": scenes.add_channel(world, world.b, 25)}  # fmt: skip
    for key, prefix in (("list_id", "lst"), ("audience_id", "aud"), ("channel_id", "chn")):
        found = []
        for value in (theirs[key], show(prefix, uuid7()), "x", world.a.wsp):
            draft = whole | ({"audience": {key: value}} if key != "channel_id" else {})
            if key == "channel_id":
                draft["steps"] = [whole["steps"][0] | {key: value}]
            found.append(checks(manager, campaign_id, draft))
            refused = manager.post(f"/campaigns/{campaign_id}/revisions/1/submit")
            assert codes(refused) == (422, "draft_not_ready")
        assert found[0] and all(other == found[0] for other in found)


def audience(world, place, list_id, visibility, *, role=Role.MANAGER, rule=None):
    body = {"name": f"A {uuid7().hex}", "project_id": place.prj, "list_id": list_id, "visibility": visibility,
            "rule": rule or {"all": []}}  # fmt: skip
    answer = world.client(place, role).post("/audiences", body)
    assert answer.status_code == 201, answer.text
    return answer.get_json()["audience_id"]


def test_r16_m13_a_private_audience_is_refused_by_the_api(world, manager, campaign_id, whole):
    list_id = whole["audience"]["list_id"]
    own = audience(world, world.a, list_id, "private")
    found = checks(manager, campaign_id, whole | {"audience": {"audience_id": own}})
    assert "private" in found["/audience"]
    assert pointers(manager.post(f"/campaigns/{campaign_id}/revisions/1/submit")) == {"/audience"}
    # Somebody else's private one does not even exist for the manager.
    others = audience(world, world.a, list_id, "private", role=Role.ADMIN)
    found = checks(manager, campaign_id, whole | {"audience": {"audience_id": others}})
    assert found == {"/audience": "There is no such audience or list any more."}
    public = audience(world, world.a, list_id, "public")
    assert checks(manager, campaign_id, whole | {"audience": {"audience_id": public}}) == {}


def test_a_channel_of_another_purpose_or_archived_is_refused(world, manager, whole):
    on_call = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    marketing = whole["steps"][0]["channel_id"]
    found = checks(manager, on_call, scenes.api_draft(marketing))
    assert set(found) == {"/steps/0/channel_id"} and "marketing" in found["/steps/0/channel_id"]
    transactional = scenes.add_channel(world, world.a, 25, purpose="transactional")
    assert checks(manager, on_call, scenes.api_draft(transactional)) == {}
    gone = scenes.add_channel(world, world.a, 25, purpose="transactional", name="old", archived_at=SystemClock().now())
    assert set(checks(manager, on_call, scenes.api_draft(gone))) == {"/steps/0/channel_id"}


def test_a_campaign_on_call_takes_no_audience_and_s50_its_first_step_may_have_a_date(world, manager, whole):
    on_call = scenes.make_campaign(world, world.a, kind="api")
    found = checks(manager, on_call, whole)
    assert set(found) == {"/audience"}


@pytest.mark.parametrize(
    ("draft", "pointer"),
    [({"steps": [{"step_no": 0}]}, "/draft/steps/0/step_no"), ({"steps": [{"step_no": "1"}]}, "/draft/steps/0/step_no"),
     ({"steps": [{"step_no": 1.5}]}, "/draft/steps/0/step_no"), ({"steps": [{}]}, "/draft/steps/0/step_no"),
     ({"steps": [{"step_no": 1, "state": "x"}]}, "/draft/steps/0/state"), ({"extra": 1}, "/draft/extra"),
     ({"steps": [{"step_no": 1, "channel_id": "a\0"}]}, "/draft/steps/0/channel_id"),
     ({"steps": [{"step_no": 1, "kind": "\ud800"}]}, "/draft/steps/0/kind"),
     ({"steps": [{"step_no": 1, "at": "\0"}]}, "/draft/steps/0/at"),
     ({"steps": [{"step_no": 1, "name": "a\r\nb"}]}, "/draft/steps/0/name"),
     ({"steps": [{"step_no": 1, "content": {"html": "\0"}}]}, "/draft/steps/0/content/html"),
     ({"audience": {"list_id": "\0"}}, "/draft/audience/list_id"),
     ({"audience": {"audience_id": "\udfff"}}, "/draft/audience/audience_id"),
     ({"audience": "x"}, "/draft/audience"), ({"time_zone": "\0"}, "/draft/time_zone"),
     ({"topic": "News Letter"}, "/draft/topic"),
     ({"payload": {"fields": [{"key": "A", "kind": "text"}]}}, "/draft/payload/fields/0/key"),
     ({"payload": {"fields": [{"key": "a", "kind": "object"}]}}, "/draft/payload/fields/0/kind"),
     ({"steps": [{"step_no": 1, "content": {"subject": "x" * 2001}}]}, "/draft/steps/0/content/subject")],
)  # fmt: skip
def test_i_a_draft_of_another_shape_is_refused_with_its_place(manager, campaign_id, draft, pointer):
    assert pointers(manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag='"1"')) == {pointer}


def test_work_is_never_lost_to_somebody_elses_save(world, manager, campaign_id):
    url = f"/campaigns/{campaign_id}/revisions/1"
    assert manager.put(url, {"draft": {}}).status_code == 428
    assert codes(manager.put(url, {"draft": {}}, etag='"7"')) == (412, "stale")
    assert codes(manager.put(url, {"draft": {}}, etag="*")) == (412, "stale")
    assert manager.put(url, {"draft": {}}, etag='"1"').headers["ETag"] == '"2"'
    other = world.client(world.a, Role.ADMIN).put(url, {"draft": {"topic": "sales"}}, etag='"1"')
    assert codes(other) == (412, "stale")
    assert manager.get(url).get_json()["draft"]["topic"] is None


def test_an_answer_is_never_an_old_one(manager, campaign_id, world):
    """A campaign's answer holds its newest revision, which has a version of its own: no 304 for it."""
    url = f"/campaigns/{campaign_id}"
    etag = manager.get(url).headers["ETag"]
    assert manager.post(f"{url}/revisions/1/submit").status_code == 422
    whole = scenes.dated_draft(
        scenes.add_people(world, world.a, 1)[0], scenes.add_channel(world, world.a, 25), scenes.soon()
    )
    saved(manager, campaign_id, whole)
    assert manager.post(f"{url}/revisions/1/submit").status_code == 200
    again = manager.call("GET", url, headers={"If-None-Match": etag})
    assert again.status_code == 200
    assert again.get_json()["revision"]["state"] == "in_review"


def test_idempotency_a_campaign_is_made_once(world, manager):
    body = {"name": "Once", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    first, second = (manager.post("/campaigns", body, headers={"Idempotency-Key": "c-1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.get_json() == second.get_json() and second.headers["Idempotency-Replayed"] == "true"
    assert second.headers["Location"] == first.headers["Location"]
    assert len(manager.get("/campaigns?q=Once").get_json()["data"]) == 1
    assert codes(manager.post("/campaigns", body | {"name": "Twice"}, headers={"Idempotency-Key": "c-1"})) == (
        422,
        "idempotency_key_reused",
    )


def test_archived_and_final_campaigns_are_left_alone(world, manager, campaign_id, whole):
    saved(manager, campaign_id, whole)
    content_hash = scenes.submit(world, world.a, campaign_id)
    assert manager.post(f"/campaigns/{campaign_id}/archive").status_code == 200
    approver = world.client(world.a, Role.APPROVER)
    url = f"/campaigns/{campaign_id}/revisions/1"
    refused = approver.post(f"{url}/approve", {"content_hash": content_hash})
    assert codes(refused) == (409, "not_allowed_in_this_state")
    assert refused.get_json()["allowed_transitions"] == ["restore"]
    assert manager.get(url).get_json()["state"] == "in_review"
    assert manager.post(f"{url}/withdraw").status_code == 200
    etag = manager.get(url).headers["ETag"]
    assert codes(manager.put(url, {"draft": whole}, etag=etag)) == (409, "not_allowed_in_this_state")
    assert codes(manager.post(f"{url}/submit")) == (409, "not_allowed_in_this_state")
    assert codes(manager.post(f"/campaigns/{campaign_id}/archive")) == (409, "not_allowed_in_this_state")


def test_s42_moves_that_are_not_possible_say_what_is(world, manager, campaign_id):
    for move in ("pause", "resume", "stop"):
        refused = manager.post(f"/campaigns/{campaign_id}/{move}")
        assert codes(refused) == (409, "not_allowed_in_this_state")
        assert refused.get_json()["allowed_transitions"] == ["archive"]
        assert refused.get_json()["state"] == "draft"


def test_s66_stopping_a_scheduled_campaign(world, manager):
    at = SystemClock().now() + timedelta(hours=2)
    found, _ = scenes.approved_campaign(world, world.a, people=1, port=25, at=at)
    assert manager.get(f"/campaigns/{found}").get_json()["allowed_moves"] == ["stop"]
    answer = manager.post(f"/campaigns/{found}/stop")
    assert (answer.status_code, answer.get_json()["state"]) == (202, "stopping")
    assert codes(manager.post(f"/campaigns/{found}/stop")) == (409, "not_allowed_in_this_state")
