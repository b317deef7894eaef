"""Bad input of flows over the API (issue 5): problem+json with pointers to the step, never a 500, in two workspaces."""

import json
from copy import deepcopy

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from saas.campaigns.rules.flow.shape import MAX_STEPS
from saas.campaigns.steps.kind import MAX_BRANCHES
from saas.permissions.types import Role
from tests import drafts, scenes
from tests.drafts import every_kind, message
from tests.tally import size
from tests.worlds import make_world

pytestmark = pytest.mark.integration

PROBLEM = "application/problem+json"


class Desk:
    """A manager of a workspace, real things to refer to, and a campaign of each kind whose draft is overwritten."""

    def __init__(self, world, place):
        self.manager, self.wsp = world.client(place, Role.MANAGER), place.wsp
        list_id, _ = scenes.add_people(world, place, 2)
        body = {"name": "All", "project_id": place.prj, "list_id": list_id, "visibility": "public", "rule": {"all": []}}
        audience = self.manager.post("/audiences", body).get_json()
        hook = {"name": "Shop", "purpose": "marketing", "url": "https://hooks.northwind.example/in"}
        made = world.client(place, Role.ADMIN).post("/webhook-channels", hook)
        assert made.status_code == 201, made.text
        self.refs = {
            "chn": scenes.add_channel(world, place, 25), "hook": made.get_json()["channel_id"], "lst": list_id,
            "aud": audience["audience_id"], "cam": scenes.make_campaign(world, place, kind="api"),
        }  # fmt: skip
        self.campaigns = {kind: scenes.make_campaign(world, place, kind=kind) for kind in ("dated", "api", "flowing")}

    def whole(self, kind="dated"):
        return every_kind(kind, self.refs)

    def saves(self, draft, kind="dated"):
        url = f"/campaigns/{self.campaigns[kind]}/revisions/1"
        etag = self.manager.get(url).headers["ETag"]
        headers = {"If-Match": etag, "Content-Type": "application/json"}
        return self.manager.call("PUT", url, data=json.dumps({"draft": draft}), headers=headers)

    def submits(self, kind="dated"):
        return self.manager.post(f"/campaigns/{self.campaigns[kind]}/revisions/1/submit")

    def page(self, kind, tail="/edit"):
        return self.manager.http.get(f"/w/{self.wsp}/campaigns/{self.campaigns[kind]}{tail}")


@pytest.fixture(scope="module")
def desks(app, engine):
    world = make_world(app, engine)
    return [Desk(world, place) for place in (world.a, world.b)]


@pytest.fixture(params=[0, 1], ids=["north", "south"])
def desk(desks, request):
    return desks[request.param]


def refused(answer, code):
    assert (answer.status_code, answer.mimetype) == (422, PROBLEM), answer.text
    found = answer.get_json()
    assert (found["code"], found["status"]) == (code, 422)
    assert (
        found["title"]
        and found["type"] == f"/docs/errors#{code}"
        and all(error["message"] for error in found["errors"])
    )
    return sorted(error["pointer"] for error in found["errors"])


@pytest.mark.parametrize("kind", ["dated", "api", "flowing"])
def test_a_draft_with_every_kind_of_step_can_be_saved(desk, kind):
    saved = desk.saves(desk.whole(kind), kind)
    assert (saved.status_code, saved.get_json()["checks"]) == (200, []), saved.text


def changed(draft, no, **fields):
    draft["steps"][no - 1] |= fields


def circle(draft):
    changed(draft, 15, next={"sent": [1]})


def in_itself(draft):
    changed(draft, 4, next={"done": [4]})


def orphan(draft):
    draft["steps"].append(draft["steps"][3] | {"step_no": 18})


def behind_an_end(draft):
    changed(draft, 17, next={"done": [18]})
    draft["steps"].append(draft["steps"][3] | {"step_no": 18, "next": {}})


def behind_a_holdout(draft):
    draft["steps"][1]["branches"][1]["holdout"] = True


def weights(draft):
    draft["steps"][1]["branches"][0]["weight"] = 49.99


def out_of_order(draft):
    changed(draft, 7, at="2040-12-01T09:00")


def unknown_kind(draft):
    changed(draft, 4, kind="carrier_pigeon")


def waiting(draft):
    draft["steps"][4] = {"step_no": 5, "kind": "wait", "name": "Wait", "at": "2040-12-05T09:00", "for": "delay",
                         "minutes": 60, "next": {"done": [7]}}  # fmt: skip


def two_of_a_number(draft):
    changed(draft, 4, step_no=5)


def nowhere(draft):
    changed(draft, 1, next={"sent": [99]})


def no_such_exit(draft):
    changed(draft, 1, next={"opened": [2]})


def many_ways(draft):
    ways = [{"key": f"k{no}", "name": "", "weight": 1.5625} for no in range(64)]
    draft["steps"][1] |= {"branches": ways, "next": {"k0": [3], "k1": [4]}}


FAULTS = [
    (circle, {"/steps/14/next"}),
    (in_itself, {"/steps/3/next"}),
    (orphan, {"/steps/17"}),
    (behind_an_end, {"/steps/16/next/done"}),
    (behind_a_holdout, {"/steps/1/branches/1/holdout"}),
    (weights, {"/steps/1/branches"}),
    (out_of_order, {"/steps/6/at"}),
    (unknown_kind, {"/steps/3/kind"}),
    (waiting, {"/steps/4/kind"}),
    (two_of_a_number, {"/steps/4/step_no"}),
    (nowhere, {"/steps/0/next/sent/0"}),
    (no_such_exit, {"/steps/0/next/opened"}),
    (many_ways, {"/steps/1/branches"}),
]


@pytest.mark.parametrize(("spoil", "pointers"), FAULTS, ids=[spoil.__name__ for spoil, _ in FAULTS])
def test_what_is_wrong_with_a_flow_is_kept_marked_and_refused_at_its_step(desk, spoil, pointers):
    """S43: the draft is saved and its steps are marked; it is not submitted."""
    draft = desk.whole()
    spoil(draft)
    saved = desk.saves(draft)
    assert saved.status_code == 200, saved.text
    told = {check["pointer"] for check in saved.get_json()["checks"]}
    assert pointers <= told
    assert set(refused(desk.submits(), "draft_not_ready")) == told
    assert desk.page("dated").status_code == 200


def test_what_belongs_to_another_workspace_is_as_missing_as_what_is_not_there(desks):
    places = {
        "/steps/0/channel_id", "/steps/6/branches/0/audience_id", "/steps/7/channel_id", "/steps/8/list_id",
        "/steps/10/channel_id", "/steps/11/channel_id", "/steps/13/campaign_id", "/steps/14/channel_id",
        "/steps/15/channel_id", "/audience",
    }  # fmt: skip
    for own, other in (desks, reversed(desks)):
        answers = [own.saves(every_kind("dated", refs)) for refs in (other.refs, drafts.NOWHERE)]
        theirs, gone = ({c["pointer"]: c["message"] for c in answer.get_json()["checks"]} for answer in answers)
        assert set(theirs) == places
        assert theirs == gone
        assert other.manager.get(f"/campaigns/{own.campaigns['dated']}/revisions/1").status_code == 404


def deep(levels):
    found = {"all": []}
    for _ in range(levels):
        found = {"not": found}
    return found


UNREADABLE = [
    ({"rule": deep(400)}, 10, "/rule"),
    ({"rule": {"attribute": "city\0"}}, 10, "/rule"),
    ({"rule": {"any": ["\ud800"]}}, 10, "/rule"),
    ({"rule": {"any": [1e400]}}, 10, "/rule"),
    ({"changes": [{"attribute": "city", "value": "\0"}]}, 6, "/changes/0/value"),
    ({"changes": [{"attribute": "city", "value": 10**400}]}, 6, "/changes/0/value"),
    ({"changes": [{"attribute": "city", "value": ["x"]}]}, 6, "/changes/0/value"),
    ({"changes": [{"attribute": "city", "add": 1e300}]}, 6, "/changes/0/add"),
    ({"next": {"sent": [10**400]}}, 1, "/next/sent/0"),
    ({"next": {"sent": 2}}, 1, "/next/sent"),
    ({"next": [2]}, 1, "/next"),
    ({"next": {"sent": [10_000]}}, 1, "/next/sent/0"),
    ({"step_no": 10**400}, 1, "/step_no"),
    ({"step_no": True}, 1, "/step_no"),
    ({"branches": "a"}, 2, "/branches"),
    ({"branches": [{"key": "a", "weight": float("nan")}]}, 2, "/branches/0/weight"),
    ({"points": 2**63}, 4, "/points"),
    ({"points": 1}, 1, "/points"),
    ({"content": {"subject": "\udfff"}}, 1, "/content/subject"),
    ({"latest": 5}, 1, "/latest"),
]


@pytest.mark.parametrize(
    ("fields", "no", "place"), UNREADABLE, ids=[f"{place}-{n}" for n, (*_, place) in enumerate(UNREADABLE)]
)
def test_what_cannot_be_a_draft_is_refused_at_its_step_and_changes_nothing(desk, fields, no, place):
    before = desk.saves(desk.whole()).get_json()["draft"]
    draft = desk.whole()
    changed(draft, no, **fields)
    assert refused(desk.saves(draft), "invalid") == [f"/draft/steps/{no - 1}{place}"]
    url = f"/campaigns/{desk.campaigns['dated']}/revisions/1"
    assert desk.manager.get(url).get_json()["draft"] == before


def chain(count, refs, at=None):
    return [
        {"step_no": no, "kind": "change_points", "name": f"P{no}", "points": 1, "at": at,
         "next": {"done": [no + 1]} if no < count else {}}
        for no in range(1, count + 1)
    ]  # fmt: skip


def test_a_flow_of_as_many_steps_as_there_may_be_is_saved_and_asked_for_and_longer_ones_are_refused(desks):
    """A thousand steps, a split of 64 ways: neither is a campaign that anybody could read before signing it."""
    desk = desks[0]
    assert (MAX_STEPS, MAX_BRANCHES) == (500, 20)
    saved = desk.saves(desk.whole() | {"steps": chain(MAX_STEPS, desk.refs, "2040-12-01T09:00")})
    assert (saved.status_code, saved.get_json()["checks"]) == (200, [])
    assert desk.page("dated").status_code == 200
    for count in (MAX_STEPS + 1, 1000):
        longer = desk.saves(desk.whole() | {"steps": chain(count, desk.refs, "2040-12-01T09:00")})
        assert refused(longer, "invalid") == ["/draft/steps"]
    ways = [{"key": f"k{no}", "name": "", "weight": 5} for no in range(MAX_BRANCHES)]
    split = {"step_no": 1, "kind": "random_split", "name": "S", "at": "2040-12-01T09:00", "next": {}, "branches": ways}
    assert desk.saves(desk.whole() | {"steps": [split]}).get_json()["checks"] == []
    more = split | {"branches": [*ways, {"key": "k20", "name": "", "weight": 0}]}
    assert [c["pointer"] for c in desk.saves(desk.whole() | {"steps": [more]}).get_json()["checks"]] == [
        "/steps/0/branches"
    ]


def test_four_hundred_levels_deep_are_saved_shown_and_judged(desks):
    desk = desks[0]
    steps = [
        {"step_no": no, "kind": "condition", "name": f"C{no}", "rule": {"all": []}, "next": {"yes": [no + 1]}}
        for no in range(1, 400)
    ]
    draft = desk.whole("flowing") | {"steps": [*steps, message(400, desk.refs)]}
    saved = desk.saves(draft, "flowing")
    assert (saved.status_code, saved.get_json()["checks"]) == (200, [])
    assert desk.page("flowing").status_code == desk.page("flowing", "/steps/400").status_code == 200
    body = '{"draft":' + '{"a":' * 100_000 + "1" + "}" * 100_001
    url = f"/campaigns/{desk.campaigns['flowing']}/revisions/1"
    headers = {"If-Match": saved.headers["ETag"], "Content-Type": "application/json"}
    unreadable = desk.manager.call("PUT", url, data=body, headers=headers)
    assert (unreadable.status_code, unreadable.mimetype) == (400, PROBLEM)


@pytest.mark.parametrize("kind", ["dated", "api", "flowing"])
def test_nothing_that_is_sent_breaks_anything(desks, kind):
    """Drafts that were spoiled anywhere: saved, shown and judged, or refused; never a 500."""
    desk = desks[0]
    whole = desk.whole(kind)

    @settings(
        max_examples=size("spoiled_drafts"), deadline=None, database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )  # fmt: skip
    @given(drafts.spoiled(deepcopy(whole)), st.integers(1, 17))
    def spoil(draft, no):
        saved = desk.saves(draft, kind)
        assert saved.status_code in {200, 400, 422}, saved.text
        if saved.status_code != 200:
            assert saved.mimetype == PROBLEM
            return
        asked = desk.submits(kind)
        assert asked.status_code == 200 or refused(asked, "draft_not_ready")
        pages = [desk.page(kind), desk.page(kind, f"/steps/{no}"), desk.page(kind, "")]
        assert {page.status_code for page in pages} <= {200, 302, 303, 404}
        if asked.status_code == 200:
            url = f"/campaigns/{desk.campaigns[kind]}/revisions/1/withdraw"
            assert desk.manager.post(url).status_code == 200

    spoil()
