"""Categories, copies, the archive, the list and templates of campaigns over the API (M8, M9, M11, M12, M13, R16, S1)."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.campaigns.models import Approval, RevisionEditor
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Action, Role
from tests import scenes
from tests.engine_room import engine_room
from tests.worlds import Client, World, bound, make_world

pytestmark = pytest.mark.integration

FILE = {"format": 1, "name": "Season", "kind": "dated", "purpose": "marketing", "draft": {}}
# Method, path, body; who may: V viewer, M manager, A approver, D administrator. Everybody else hears 403.
ROUTES = [
    ("GET", "/categories", None, "VMAD"),
    ("POST", "/categories", {"name": "new"}, "MAD"),
    ("GET", "/categories/{category}", None, "VMAD"),
    ("PATCH", "/categories/{category}", {"tone": "teal"}, "MAD"),
    ("DELETE", "/categories/{category}", None, "MAD"),
    ("GET", "/campaign-templates", None, "VMAD"),
    ("GET", "/campaign-templates/{template}", None, "VMAD"),
    ("GET", "/campaign-templates/{template}/export", None, "VMAD"),
    ("PATCH", "/campaign-templates/{template}", {"name": "x"}, "MAD"),
    ("DELETE", "/campaign-templates/{template}", None, "MAD"),
    ("POST", "/campaign-templates/import", FILE, "MAD"),
    ("POST", "/campaigns/{campaign}/save-as-template", {"name": "x"}, "MAD"),
    ("POST", "/campaigns/{campaign}/duplicate", {}, "MAD"),
    ("POST", "/campaigns/{campaign}/archive", {}, "MAD"),
    ("POST", "/campaigns/{campaign}/restore", {}, "MAD"),
]  # fmt: skip
LETTERS = {"V": Role.VIEWER, "M": Role.MANAGER, "A": Role.APPROVER, "D": Role.ADMIN}


@pytest.fixture
def room(app, app_settings, empty_agenda):
    with engine_room(app, app_settings, egress=()) as found:
        yield found


@pytest.fixture
def manager(world) -> Client:
    return world.client(world.a, Role.MANAGER)


def made(client: Client, path: str, body, key: str) -> str:
    answer = client.post(path, body)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()[key])


def category(client: Client, name: str = "", tone: str = "ink") -> str:
    return made(client, "/categories", {"name": name or uuid7().hex, "tone": tone}, "category_id")


def template(client: Client, campaign_id: str, name: str = "Season") -> str:
    return made(client, f"/campaigns/{campaign_id}/save-as-template", {"name": name}, "template_id")


def change(client: Client, path: str, body):
    return client.patch(path, body, etag=client.get(path).headers["ETag"])


def delete(client: Client, path: str):
    return client.delete(path, etag=client.get(path).headers["ETag"])


def whole(world: World, *, hours: float = 48) -> tuple[str, dict]:
    """A campaign with a whole draft, and the draft."""
    list_id, _ = scenes.add_people(world, world.a, 2, tag=uuid7().hex)
    channel_id = scenes.add_channel(world, world.a, 2525, name=f"Mail {uuid7().hex}")
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(hours)))
    return campaign_id, draft_of(world, campaign_id)


def draft_of(world: World, campaign_id: str, no: int = 1) -> dict:
    manager = world.client(world.a, Role.MANAGER)
    found: dict = manager.get(f"/campaigns/{campaign_id}/revisions/{no}").get_json()["draft"]
    return found


def listed(client: Client, query: str = "") -> list[str]:
    return [row["campaign_id"] for row in client.get(f"/campaigns{query}").get_json()["data"]]


def sent(client: Client, route, ids) -> int:
    method, path, body, _ = route
    more = {"json": body} if body is not None else {}
    return client.call(method, path.format(**ids), headers={"If-Match": '"1"'}, **more).status_code


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route[0]} {route[1]}")
def test_r14_nobody_strangers_and_viewers_first(world, manager, route):
    campaign_id = scenes.make_campaign(world, world.a)
    ids = {"campaign": campaign_id, "category": category(manager), "template": template(manager, campaign_id)}
    assert sent(Client(world.app, workspace=world.a.wsp), route, ids) == 401
    in_their_own = sent(world.client(world.b, Role.ADMIN), route, ids)
    assert in_their_own == 404 if "{" in route[1] else in_their_own in {200, 201}
    for letter, role in LETTERS.items():
        if letter not in route[3]:
            assert sent(world.client(world.a, role), route, ids) == 403, role
    # One role after the other may: what the first did changes the answer, never to 403.
    for letter in route[3]:
        assert sent(world.client(world.a, LETTERS[letter]), route, ids) not in {401, 403, 500}, letter


def test_r14_who_works_in_one_project_chooses_among_categories_and_templates_and_makes_none(world, manager):
    campaign_id = scenes.make_campaign(world, world.a)
    category_id, template_id = category(manager), template(manager, campaign_id)
    scopes = [Action.CAMPAIGN_READ.value, Action.CAMPAIGN_WRITE.value, Action.CHANNEL_READ.value]
    body = {"name": "one project", "role": "manager", "scopes": scopes, "project_id": world.a.prj}
    key = Client(world.app, key=made(world.client(world.a, Role.ADMIN), "/api-keys", body, "key"))
    for path, sending in (("/categories", {"name": "x"}), ("/campaign-templates/import", FILE),
                          (f"/campaigns/{campaign_id}/save-as-template", {"name": "x"})):  # fmt: skip
        assert key.post(path, sending).status_code == 403, path
    body = {"name": "x", "project_id": world.a.prj, "template_id": template_id, "category_id": category_id}
    answer = key.post("/campaigns", body)
    assert (answer.status_code, answer.get_json()["category_id"]) == (201, category_id)


# ---------- categories


def test_m11_a_category_is_given_filtered_by_archived_when_used_and_deleted_when_not(world, manager):
    name = uuid7().hex
    category_id = category(manager, name, "teal")
    campaign_id = scenes.make_campaign(world, world.a)
    path = f"/campaigns/{campaign_id}"
    assert change(manager, path, {"category_id": category_id}).get_json()["category_id"] == category_id
    assert listed(manager, f"?category_id={category_id}") == [campaign_id]
    taken = manager.post("/categories", {"name": name})
    assert (taken.status_code, taken.get_json()["code"]) == (409, "name_taken")
    archived = delete(manager, f"/categories/{category_id}")
    assert (archived.status_code, archived.get_json()["archived_at"] is None) == (200, False)
    assert manager.get(path).get_json()["category_id"] == category_id, "it stays where it is"
    other = scenes.make_campaign(world, world.a)
    refused = change(manager, f"/campaigns/{other}", {"category_id": category_id})
    assert refused.get_json()["errors"][0]["pointer"] == "/category_id"
    assert change(manager, f"/categories/{category_id}", {"archived": False}).get_json()["archived_at"] is None
    assert change(manager, path, {"category_id": None}).get_json()["category_id"] is None
    assert delete(manager, f"/categories/{category_id}").status_code == 204
    assert manager.get(f"/categories/{category_id}").status_code == 404


def test_m11_a_change_of_something_else_leaves_the_category(world, manager):
    category_id, campaign_id = category(manager), scenes.make_campaign(world, world.a)
    path = f"/campaigns/{campaign_id}"
    change(manager, path, {"category_id": category_id})
    found = change(manager, path, {"name": "Renamed", "description": "Why", "tags": ["x"]}).get_json()
    assert (found["category_id"], found["name"], found["description"]) == (category_id, "Renamed", "Why")


def test_m11_tones_are_those_of_the_design(manager):
    refused = manager.post("/categories", {"name": "x", "tone": "pink"})
    assert (refused.status_code, refused.get_json()["errors"][0]["pointer"]) == (422, "/tone")
    assert manager.post("/categories", {"name": " "}).status_code == 422
    stale = manager.patch(f"/categories/{category(manager)}", {"tone": "teal"}, etag='"9"')
    assert (stale.status_code, stale.get_json()["code"]) == (412, "stale")


def test_m11_a_category_of_another_workspace_is_none(world, manager):
    theirs = category(world.client(world.b, Role.ADMIN))
    campaign_id = scenes.make_campaign(world, world.a)
    answers = [
        change(manager, f"/campaigns/{campaign_id}", {"category_id": one}) for one in (theirs, show("cat", uuid7()))
    ]
    assert [answer.status_code for answer in answers] == [422, 422]
    assert answers[0].get_json()["errors"] == answers[1].get_json()["errors"]


# ---------- the list


def test_m12_the_list_is_narrowed_ordered_and_paged(world, manager):
    tag, category_id = uuid7().hex, category(manager)
    ids = {}
    for name, kind in (("beta", "dated"), ("Alpha", "api"), ("gamma", "dated")):
        body = {"name": name, "project_id": world.a.prj, "kind": kind, "purpose": "marketing", "tags": [tag]}
        ids[name] = made(manager, "/campaigns", body, "campaign_id")
    change(manager, f"/campaigns/{ids['beta']}", {"category_id": category_id})
    assert listed(manager, f"?tag={tag}") == [ids["gamma"], ids["Alpha"], ids["beta"]]
    assert listed(manager, f"?tag={tag.upper()}&sort=oldest") == [ids["beta"], ids["Alpha"], ids["gamma"]]
    assert listed(manager, f"?tag={tag}&sort=name") == [ids["Alpha"], ids["beta"], ids["gamma"]]
    assert listed(manager, f"?tag={tag}&sort=changed") == [ids["beta"], ids["gamma"], ids["Alpha"]]
    assert listed(manager, f"?tag={tag}&kind=api") == [ids["Alpha"]]
    assert listed(manager, f"?tag={tag}&category_id={category_id}&q=BET") == [ids["beta"]]
    assert listed(manager, f"?tag={tag[:-1]}") == []


@pytest.mark.parametrize("sort", ["newest", "oldest", "name", "changed"])
def test_m12_pages_of_every_order_hold_each_campaign_once(world, manager, sort):
    tag = uuid7().hex
    names = ["same", "same", "Same", "x", "y"]
    body = {"project_id": world.a.prj, "kind": "dated", "purpose": "marketing", "tags": [tag]}
    made_ids = [made(manager, "/campaigns", {**body, "name": name}, "campaign_id") for name in names]
    at_once, found, after = listed(manager, f"?tag={tag}&sort={sort}"), [], ""
    while True:
        answer = manager.get(f"/campaigns?tag={tag}&sort={sort}&limit=2{after}").get_json()
        found += [row["campaign_id"] for row in answer["data"]]
        if not answer["has_more"]:
            break
        after = f"&after={answer['next_cursor']}"
    assert found == at_once
    assert sorted(found) == sorted(made_ids)
    for other in {"newest", "oldest", "name", "changed"} - {sort}:
        wrong = manager.get(f"/campaigns?tag={tag}&sort={other}{after}")
        assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/after"), other


def test_m12_active_and_inactive(world, manager):
    draft = scenes.make_campaign(world, world.a)
    assert manager.get(f"/campaigns/{draft}").get_json()["is_active"] is False
    at = SystemClock().now() + timedelta(hours=2)
    scheduled, _ = scenes.approved_campaign(world, world.a, people=1, port=25, at=at)
    assert manager.get(f"/campaigns/{scheduled}").get_json()["is_active"] is True
    manager.post(f"/campaigns/{scheduled}/stop")
    assert manager.get(f"/campaigns/{scheduled}").get_json()["is_active"] is False


# ---------- copies and the archive


def test_s66_a_copy_is_a_new_draft_of_who_makes_it(world, manager):
    """R12 says that what was stopped is duplicated instead of extended."""
    campaign_id, draft = whole(world)
    content_hash = scenes.submit(world, world.a, campaign_id)
    scenes.approve(world, world.a, campaign_id, content_hash)
    category_id = category(manager)
    change(manager, f"/campaigns/{campaign_id}", {"category_id": category_id, "tags": ["winter"], "description": "Why"})
    approver = world.client(world.a, Role.APPROVER)
    answer = approver.post(f"/campaigns/{campaign_id}/duplicate")
    found = answer.get_json()
    assert answer.status_code == 201, answer.text
    assert (found["name"], found["state"], found["description"]) == ("Copy of Black week", "draft", "Why")
    assert (found["tags"], found["category_id"], found["started_at"]) == (["winter"], category_id, None)
    assert (found["revision"]["no"], found["revision"]["state"], found["revision"]["content_hash"]) == (
        1,
        "editing",
        None,
    )
    assert draft_of(world, found["campaign_id"]) == draft
    with bound(world.engine, world.a) as session:
        copy = parse("cam", found["campaign_id"])
        editors = session.scalars(sa.select(RevisionEditor.account_id).where(RevisionEditor.campaign_id == copy)).all()
        assert editors == [world.a.accounts[Role.APPROVER]]
        assert session.scalars(sa.select(Approval).where(Approval.campaign_id == copy)).all() == []
    hashed = scenes.submit(world, world.a, found["campaign_id"])
    own = approver.post(f"/campaigns/{found['campaign_id']}/revisions/1/approve", {"content_hash": hashed})
    assert own.get_json()["code"] == "approver_edited", "R13: who made the copy wrote it"


def test_a_copy_leaves_out_times_that_have_passed_and_takes_the_newest_draft(world, manager):
    campaign_id, draft = whole(world)
    etag = manager.get(f"/campaigns/{campaign_id}/revisions/1").headers["ETag"]
    draft["steps"][0] |= {"at": "2020-01-01T09:00", "step_no": 7}
    assert manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag=etag).status_code == 200
    copy = made(manager, f"/campaigns/{campaign_id}/duplicate", {"name": "Again"}, "campaign_id")
    found = draft_of(world, copy)
    assert (found["steps"][0]["at"], found["steps"][0]["step_no"]) == (None, 7)
    assert found["steps"][0]["content"] == draft["steps"][0]["content"]
    assert manager.get(f"/campaigns/{copy}").get_json()["name"] == "Again"


def test_a_copy_is_of_the_newest_revision(world, manager):
    campaign_id, draft = whole(world)
    content_hash = scenes.submit(world, world.a, campaign_id)
    rejected = {"content_hash": content_hash, "comment": "Not this one."}
    approver = world.client(world.a, Role.APPROVER)
    assert approver.post(f"/campaigns/{campaign_id}/revisions/1/reject", rejected).status_code == 200
    assert manager.post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    url = f"/campaigns/{campaign_id}/revisions/2"
    draft["steps"][0]["content"]["subject"] = "A better one"
    assert manager.put(url, {"draft": draft}, etag=manager.get(url).headers["ETag"]).status_code == 200
    copy = made(manager, f"/campaigns/{campaign_id}/duplicate", {}, "campaign_id")
    assert draft_of(world, copy) == draft
    kept = manager.get(f"/campaign-templates/{template(manager, campaign_id)}").get_json()
    assert kept["draft"] == draft


def test_a_copy_goes_where_its_maker_may_write(world, manager):
    admin = world.client(world.a, Role.ADMIN)
    campaign_id = scenes.make_campaign(world, world.a)
    project_id = made(admin, "/projects", {"name": uuid7().hex}, "project_id")
    copy = made(admin, f"/campaigns/{campaign_id}/duplicate", {"project_id": project_id}, "campaign_id")
    assert admin.get(f"/campaigns/{copy}").get_json()["project_id"] == project_id
    theirs = manager.post(f"/campaigns/{campaign_id}/duplicate", {"project_id": world.b.prj})
    assert theirs.status_code == 404
    gone = manager.post(f"/campaigns/{campaign_id}/duplicate", {"project_id": show("prj", uuid7())})
    assert theirs.get_json()["detail"] == gone.get_json()["detail"]


@pytest.mark.parametrize("state", ["draft", "stopped"])
def test_what_is_archived_leaves_the_list_and_comes_back_as_it_was(world, manager, room, state):
    if state == "draft":
        campaign_id = scenes.make_campaign(world, world.a)
    else:
        at = SystemClock().now() + timedelta(hours=2)
        campaign_id, _ = scenes.approved_campaign(world, world.a, people=1, port=25, at=at)
        manager.post(f"/campaigns/{campaign_id}/stop")
        room.later(1).run()
    path = f"/campaigns/{campaign_id}"
    before = manager.get(path).get_json()
    assert before["state"] == state
    assert manager.post(f"{path}/archive").get_json()["allowed_moves"] == ["restore"]
    assert campaign_id not in listed(manager)
    assert campaign_id in listed(manager, "?state=archived")
    after = manager.post(f"{path}/restore").get_json()
    kept = set(before) - {"version", "updated_at"}
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    again = manager.post(f"{path}/restore")
    assert (again.status_code, again.get_json()["code"]) == (409, "not_allowed_in_this_state")


# ---------- templates


def test_m8_m9_a_template_is_saved_renamed_used_and_deleted(world, manager):
    campaign_id, draft = whole(world)
    template_id = template(manager, campaign_id, "Winter")
    path = f"/campaign-templates/{template_id}"
    changed = change(manager, path, {"name": "Season", "description": "Each winter"}).get_json()
    assert (changed["name"], changed["description"], changed["kind"]) == ("Season", "Each winter", "dated")
    assert (changed["draft"], changed["left_empty"]) == (draft, [])
    body = {"name": "This year", "project_id": world.a.prj, "template_id": template_id}
    answer = manager.post("/campaigns", body)
    found = answer.get_json()
    assert (found["name"], found["kind"], found["purpose"], found["left_empty"]) == (
        "This year",
        "dated",
        "marketing",
        [],
    )
    assert draft_of(world, found["campaign_id"]) == draft
    assert template_id in [row["template_id"] for row in manager.get("/campaign-templates").get_json()["data"]]
    assert delete(manager, path).status_code == 204
    assert manager.get(path).status_code == 404
    assert manager.post("/campaigns", body).status_code == 404
    assert manager.get(f"/campaigns/{found['campaign_id']}").status_code == 200


def test_without_a_template_start_and_purpose_are_needed_and_with_one_they_are_its_own(world, manager):
    body = {"name": "x", "project_id": world.a.prj}
    missing = manager.post("/campaigns", body).get_json()["errors"]
    assert {fault["pointer"] for fault in missing} == {"/kind", "/purpose"}
    template_id = template(manager, scenes.make_campaign(world, world.a))
    wrong = manager.post("/campaigns", {**body, "template_id": template_id, "kind": "api"})
    assert (wrong.status_code, wrong.get_json()["errors"][0]["pointer"]) == (422, "/kind")
    assert manager.post("/campaigns", {**body, "template_id": template_id, "kind": "dated"}).status_code == 201


def test_what_a_template_names_and_is_gone_is_left_empty_and_told(world, manager):
    campaign_id, draft = whole(world)
    template_id = template(manager, campaign_id)
    list_id, channel_id = draft["audience"]["list_id"], draft["steps"][0]["channel_id"]
    admin = world.client(world.a, Role.ADMIN)
    assert delete(admin, f"/lists/{list_id}").status_code == 204
    assert delete(admin, f"/channels/{channel_id}").status_code in {200, 204}
    body = {"name": "x", "project_id": world.a.prj, "template_id": template_id}
    found = manager.post("/campaigns", body).get_json()
    assert found["left_empty"] == [
        {"pointer": "/audience/list_id", "id": list_id, "name": None},
        {"pointer": "/steps/0/channel_id", "id": channel_id, "name": None},
    ]
    draft = draft_of(world, found["campaign_id"])
    assert (draft["audience"], draft["steps"][0]["channel_id"]) == (None, None)


def test_m13_r16_a_private_audience_is_no_part_of_a_template(world, manager):
    _, draft = whole(world)
    list_id = draft["audience"]["list_id"]
    body = {"name": uuid7().hex, "project_id": world.a.prj, "list_id": list_id, "rule": {"all": []}}
    audience_id = made(manager, "/audiences", {**body, "visibility": "private"}, "audience_id")
    file = {**FILE, "draft": {"audience": {"audience_id": audience_id}}}
    answer = manager.post("/campaign-templates/import", file).get_json()
    assert (answer["draft"]["audience"], answer["left_empty"][0]["id"]) == (None, audience_id)


def exported(client: Client, template_id: str) -> dict:
    answer = client.get(f"/campaign-templates/{template_id}/export")
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert answer.headers["Content-Disposition"].endswith(".json")
    found: dict = answer.get_json()
    return found


def test_s1_a_file_brings_a_template_to_another_workspace_by_names(world, manager):
    """References are found by what they are called; what is not there, or there twice, is left empty and told."""
    campaign_id, draft = whole(world)
    file = exported(manager, template(manager, campaign_id))
    called = {one["id"]: one["name"] for one in file["references"]}
    list_id, channel_id = draft["audience"]["list_id"], draft["steps"][0]["channel_id"]
    assert set(called) == {list_id, channel_id}
    there = world.client(world.b, Role.ADMIN)
    first = there.post("/campaign-templates/import", file).get_json()
    assert [(one["pointer"], one["name"]) for one in first["left_empty"]] == [
        ("/audience/list_id", called[list_id]), ("/steps/0/channel_id", called[channel_id]),
    ]  # fmt: skip
    theirs = made(there, "/lists", {"name": called[list_id], "project_id": world.b.prj}, "list_id")
    own = scenes.add_channel(world, world.b, 25, name=called[channel_id])
    second = there.post("/campaign-templates/import", file).get_json()
    assert second["left_empty"] == []
    assert (second["draft"]["audience"], second["draft"]["steps"][0]["channel_id"]) == ({"list_id": theirs}, own)
    other = made(there, "/projects", {"name": uuid7().hex}, "project_id")
    made(there, "/lists", {"name": called[list_id], "project_id": other}, "list_id")
    third = there.post("/campaign-templates/import", file).get_json()
    assert [one["pointer"] for one in third["left_empty"]] == ["/audience/list_id"]
    again = exported(there, second["template_id"])
    assert {one["name"] for one in again["references"]} == set(called.values())


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"format": 2}, "/format"),
        ({"format": "1"}, "/format"),
        ({"format": None}, "/format"),
        ({"name": " "}, "/name"),
        ({"kind": "weekly"}, "/kind"),
        ({"purpose": "transactional"}, "/purpose"),
        ({"draft": None}, "/draft"),
        ({"draft": {"what": 1}}, "/draft/what"),
        ({"draft": {"steps": [{"step_no": 1}, {"step_no": "x"}]}}, "/draft/steps/1/step_no"),
        ({"draft": {"steps": [{"step_no": 1, "content": {"html": 5}}]}}, "/draft/steps/0/content/html"),
        ({"references": [{"id": "lst_x", "name": "y"}]}, "/references/0/id"),
        ({"references": [{"id": show("lst", uuid7())}]}, "/references/0/name"),
        ({"references": [{"id": show("lst", parse("lst", "lst_" + "0" * 26)), "name": "y"}] * 2}, "/references/1/id"),
        ({"more": 1}, "/more"),
    ],
)
def test_s1_a_file_that_is_not_right_is_refused_with_its_places(world, manager, change, pointer):
    before = manager.get("/campaign-templates").get_json()
    refused = manager.post("/campaign-templates/import", {**FILE, **change})
    assert refused.status_code == 422, refused.text
    assert [fault["pointer"] for fault in refused.get_json()["errors"]] == [pointer]
    assert manager.get("/campaign-templates").get_json() == before


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
CONTENTS = st.fixed_dictionaries({}, optional=dict.fromkeys(("subject", "preheader", "html", "text"), TEXTS))


@pytest.fixture(scope="module")
def two(app, engine):
    return make_world(app, engine)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_s1_what_is_carried_out_and_in_again_is_the_same(two, data):
    """Export, import and export again in the same workspace: the same file, whatever the draft."""
    client = two.client(two.a, Role.MANAGER)
    if not hasattr(two, "named"):
        vars(two)["named"] = (scenes.add_people(two, two.a, 1)[0], scenes.add_channel(two, two.a, 25))
    list_id, channel_id = vars(two)["named"]
    steps = [
        {
            "step_no": no,
            "name": data.draw(st.sampled_from(["Message", "Søk & finn", "二"])),
            "channel_id": data.draw(st.sampled_from([None, channel_id])),
            "at": data.draw(st.sampled_from([None, "2031-03-30T02:30", "2020-01-01T00:00"])),
            "content": data.draw(CONTENTS),
        }
        for no in data.draw(st.lists(st.integers(1, 999), unique=True, max_size=4))
    ]
    draft = {
        "audience": data.draw(st.sampled_from([None, {"list_id": list_id}])),
        "time_zone": data.draw(st.sampled_from([None, "Europe/Oslo"])),
        "steps": steps,
    }
    file = {**FILE, "description": data.draw(TEXTS).strip(), "draft": draft}
    first = client.post("/campaign-templates/import", file)
    assert first.status_code == 201, first.text
    assert first.get_json()["left_empty"] == []
    out = exported(client, first.get_json()["template_id"])
    back = client.post("/campaign-templates/import", out)
    assert back.status_code == 201, back.text
    assert exported(client, back.get_json()["template_id"]) == out
    assert back.get_json()["draft"] == first.get_json()["draft"]
    for name in ("audience", "time_zone"):
        assert out["draft"][name] == draft[name]
    assert [step["step_no"] for step in out["draft"]["steps"]] == [step["step_no"] for step in steps]


def test_s1_a_flow_is_carried_whole_and_what_its_steps_name_is_found_or_left_empty(world, manager):
    """Every kind of step that names something: each place by itself, and a draft that can be saved again (S8, M27)."""
    _, draft = whole(world)
    list_id, channel_id = draft["audience"]["list_id"], draft["steps"][0]["channel_id"]
    body = {"name": uuid7().hex, "project_id": world.a.prj, "list_id": list_id, "rule": {"all": []}}
    audience_id = made(manager, "/audiences", {**body, "visibility": "public"}, "audience_id")
    other = scenes.make_campaign(world, world.a)
    flow = {
        "start": [1],
        "steps": [
            {"step_no": 1, "kind": "segment_split", "next": {"a": [2], "remaining": [3]},
             "branches": [{"key": "a", "name": "A", "audience_id": audience_id}]},
            {"step_no": 2, "kind": "change_list", "list_id": list_id, "action": "add", "next": {"done": [4]}},
            {"step_no": 3, "kind": "other_campaign", "campaign_id": other, "action": "stop", "next": {}},
            {"step_no": 4, "kind": "gate", "channel_id": channel_id, "wait": True, "timeout_minutes": 5, "next": {}},
        ],
    }  # fmt: skip
    here = manager.post("/campaign-templates/import", {**FILE, "draft": flow})
    assert (here.status_code, here.get_json()["left_empty"]) == (201, []), here.text
    file = exported(manager, here.get_json()["template_id"])
    assert {one["id"] for one in file["references"]} == {audience_id, list_id, other, channel_id}
    there = world.client(world.b, Role.ADMIN)
    found = there.post("/campaign-templates/import", {**file, "references": []}).get_json()
    assert [one["pointer"] for one in found["left_empty"]] == [
        "/steps/0/branches/0/audience_id", "/steps/1/list_id", "/steps/2/campaign_id", "/steps/3/channel_id",
    ]  # fmt: skip
    again = exported(there, found["template_id"])
    assert there.post("/campaign-templates/import", again).status_code == 201
    body = {"name": "x", "project_id": world.b.prj, "template_id": found["template_id"]}
    campaign_id = made(there, "/campaigns", body, "campaign_id")
    url = f"/campaigns/{campaign_id}/revisions/1"
    read = there.get(url)
    saved = there.put(url, {"draft": read.get_json()["draft"]}, etag=read.headers["ETag"])
    assert saved.status_code == 200, saved.text
    assert [step["next"] for step in saved.get_json()["draft"]["steps"]] == [step["next"] for step in flow["steps"]]


def test_m7_what_is_done_stands_in_the_activity_and_names_nobody(world, manager):
    campaign_id, _ = whole(world)
    copy = made(manager, f"/campaigns/{campaign_id}/duplicate", {"name": "Secret words"}, "campaign_id")
    manager.post(f"/campaigns/{copy}/archive")
    manager.post(f"/campaigns/{copy}/restore")
    template_id = template(manager, copy, "Secret words")
    with bound(world.engine, world.a) as session:
        rows = session.execute(
            sa.text("SELECT action, CAST(facts AS text) AS facts FROM audit_entry WHERE subject IN (:copy, :template)"
                    " ORDER BY no"), {"copy": copy, "template": template_id}
        ).all()  # fmt: skip
    assert [row.action for row in rows] == [
        "campaign.duplicated", "campaign.archived", "campaign.restored", "template.saved",
    ]  # fmt: skip
    assert campaign_id in rows[0].facts
    assert not any("Secret" in row.facts for row in rows)
