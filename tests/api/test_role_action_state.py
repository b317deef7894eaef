"""Role x action x state, whole (security.md D): what the real routes answer, against tables written by hand.

Columns of PEOPLE: administrator, approver, manager, viewer; agency owner, agency administrator and agency member who
were given the workspace; somebody without any role in it; a manager whose account is suspended.
x: may. 3: refused, the right is missing (403). 4: the workspace does not exist for them (404). 1: not signed in (401).
"""

from dataclasses import dataclass
from itertools import product

import pytest
import sqlalchemy as sa

from saas.campaigns.models import ApprovalRequest, Campaign, Revision
from saas.campaigns.rules.lifecycle import ASKED_OF_CAMPAIGN, ASKED_OF_REVISION
from saas.campaigns.types import CampaignState, RequestState, RevisionState
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.rules import ROLE_ACTIONS
from saas.permissions.types import Action, Role
from tests import scenes
from tests.api.test_agency import agn, give, hire
from tests.worlds import Client, World, bound, make_world

pytestmark = pytest.mark.integration

PEOPLE = (
    "admin",
    "approver",
    "manager",
    "viewer",
    "agency_owner",
    "agency_admin",
    "agency_member",
    "none",
    "suspended",
)
ACTIONS = """
workspace:create    3 3 3 3 x x 3 3 1
workspace:read      x x x x x x x 4 1
workspace:write     x 3 3 3 x x 3 4 1
workspace:state     3 3 3 3 x x 3 4 1
project:read        x x x x x x x 4 1
project:write       x 3 3 3 x x 3 4 1
member:read         x x x 3 x x 3 4 1
member:write        x 3 3 3 x x 3 4 1
key:read            x 3 x 3 x x 3 4 1
key:write           x 3 3 3 x x 3 4 1
channel:read        x x x x 3 3 3 4 1
channel:write       x 3 3 3 3 3 3 4 1
channel:test        x 3 x 3 3 3 3 4 1
contact:read        x x x 3 3 3 3 4 1
contact:write       x 3 x 3 3 3 3 4 1
list:read           x x x x 3 3 3 4 1
list:write          x 3 x 3 3 3 3 4 1
audience:read       x x x x 3 3 3 4 1
audience:write      x 3 x 3 3 3 3 4 1
campaign:read       x x x x 3 3 3 4 1
campaign:write      x x x 3 3 3 3 4 1
campaign:submit     x 3 x 3 3 3 3 4 1
campaign:approve    x x 3 3 3 3 3 4 1
campaign:publish    x x 3 3 3 3 3 4 1
campaign:control    x x x 3 3 3 3 4 1
campaign:trigger    x 3 x 3 3 3 3 4 1
report:read         x x x x 3 3 3 4 1
audit:read          x x 3 3 x x 3 4 1
policy:write        x 3 3 3 3 3 3 4 1
campaign:comment    x x x 3 3 3 3 4 1
agency:read         3 3 3 3 x x x 3 1
agency:write        3 3 3 3 x x 3 3 1
event:write         x 3 x 3 3 3 3 4 1
"""
# Move, the action that it needs, and the states from which it is lawful, written by hand from architecture.md 6.
CAMPAIGN_MOVES = """
pause    campaign:control  active
resume   campaign:control  paused held
stop     campaign:control  scheduled active paused held
archive  campaign:write    draft stopped completed
restore  campaign:write    archived
"""
REVISION_MOVES = """
submit           campaign:submit   editing
withdraw         campaign:submit   in_review
approve          campaign:approve  in_review
request-changes  campaign:approve  in_review
reject           campaign:approve  in_review
publish          campaign:publish  approved
revoke           campaign:approve  approved published
edit             campaign:write    editing changes_requested approved
"""
LAWFUL = "not_allowed_in_this_state"
# A campaign's state in which a revision can stand where it stands.
REQUEST_OF = {
    RevisionState.IN_REVIEW: RequestState.OPEN,
    RevisionState.APPROVED: RequestState.APPROVED,
    RevisionState.PUBLISHED: RequestState.APPROVED,
}
AROUND = {RevisionState.PUBLISHED: CampaignState.SCHEDULED, RevisionState.SUPERSEDED: CampaignState.SCHEDULED}


def table(text):
    return {line.split()[0]: line.split()[1:] for line in text.strip().splitlines()}


BY_ACTION = table(ACTIONS)


def sign(action, person):
    return BY_ACTION[action][PEOPLE.index(person)]


@dataclass
class Ground:
    """A campaign with a signed document whose state can be set, and a client of each person."""

    world: World
    clients: dict[str, Client]
    campaign_id: str
    content_hash: str
    kept: dict[str, object]

    def put(self, campaign_state, revision_state):
        """Set both states as the database would have them; returns the revision's version."""
        world, wanted = self.world, parse("cam", self.campaign_id)
        with bound(world.engine, world.a) as session:
            here = (Campaign.tenant_id == world.a.tenant_id, Campaign.campaign_id == wanted)
            session.execute(
                sa.update(Campaign)
                .where(*here)
                .values(
                    state=campaign_state.value,
                    held_reason=None,
                    started_at=None,
                    archived_from="stopped" if campaign_state is CampaignState.ARCHIVED else None,
                )
            )
            mine = (Revision.tenant_id == world.a.tenant_id, Revision.campaign_id == wanted, Revision.no == 1)
            version = session.scalar(
                sa.update(Revision)
                .where(*mine)
                .values(state=revision_state.value, **self.kept)
                .returning(Revision.version)
            )
            self._put_request(session, wanted, REQUEST_OF.get(revision_state))
            session.commit()
        return version

    def _put_request(self, session, campaign_id, state):
        """Leave the first request for approval in the state that goes with the revision's, all others withdrawn."""
        mine = (ApprovalRequest.tenant_id == self.world.a.tenant_id, ApprovalRequest.campaign_id == campaign_id)
        session.execute(sa.update(ApprovalRequest).where(*mine).values(state=RequestState.WITHDRAWN.value))
        if state is not None:
            first = session.scalar(sa.select(sa.func.min(ApprovalRequest.asked_at)).where(*mine))
            session.execute(
                sa.update(ApprovalRequest).where(*mine, ApprovalRequest.asked_at == first).values(state=state.value)
            )

    def ask(self, person, move, version):
        client, base = self.clients[person], f"/campaigns/{self.campaign_id}"
        if move in {m.value for m in ASKED_OF_CAMPAIGN}:
            return client.post(f"{base}/{move}")
        if move == "edit":
            return client.put(f"{base}/revisions/1", {"draft": {}}, etag=f'"{version}"')
        signed = {"content_hash": self.content_hash, "comment": "Because."}
        return client.post(f"{base}/revisions/1/{move}", {} if move in {"submit", "withdraw"} else signed)


@pytest.fixture(scope="module")
def ground(app, engine):
    world = make_world(app, engine)
    list_id, _ = scenes.add_people(world, world.a, 2)
    channel_id = scenes.add_channel(world, world.a, 2525)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(48)))
    content_hash = scenes.submit(world, world.a, campaign_id)
    clients = {
        role.value: world.client(world.a, role) for role in (Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER)
    }
    clients["agency_owner"] = world.client(world.a, Role.AGENCY_OWNER)
    for role in (Role.AGENCY_ADMIN, Role.AGENCY_MEMBER):
        account, clients[role.value] = hire(world, role)
        give(world, account, world.a)
    clients["none"] = Client(app, workspace=world.a.wsp).sign_in(world.b.emails[Role.ADMIN])
    clients["suspended"] = suspended(world)
    with bound(engine, world.a) as session:
        row = session.get_one(Revision, (world.a.tenant_id, parse("cam", campaign_id), 1))
        kept = {
            name: getattr(row, name) for name in ("document", "content_hash", "audience_count", "planned_at", "draft")
        }
    return Ground(world, clients, campaign_id, content_hash, kept)


def suspended(world):
    """A manager who was signed in when their account was suspended."""
    account, client = hire(world, Role.AGENCY_MEMBER)
    admin = world.client(world.a, Role.ADMIN)
    give(world, account, world.a)
    assert admin.patch(f"/members/{account}", {"role": "manager"}).status_code == 200
    assert client.get("/campaigns").status_code == 200
    with world.engine.begin() as connection:
        connection.execute(
            sa.text("UPDATE account SET suspended_at = created_at WHERE account_id = :a"), {"a": parse("acc", account)}
        )
    return client


def requests(ground):
    """One request for each action, right in everything but who may send it."""
    world, place = ground.world, ground.world.a
    nothing, cam = uuid7(), f"/campaigns/{ground.campaign_id}"
    signed = {"content_hash": "v1:" + "0" * 64, "comment": "x"}
    return {
        "workspace:create": ("POST", "/workspaces", {"name": "Another", "time_zone": "UTC", "agency_id": agn(world)}),
        "workspace:read": ("GET", f"/workspaces/{place.wsp}", None),
        "workspace:write": ("PATCH", f"/workspaces/{place.wsp}", {"colour": 3}),
        "workspace:state": ("POST", f"/workspaces/{place.wsp}/state", {"move": "restore"}),
        "project:read": ("GET", "/projects", None),
        "project:write": ("POST", "/projects", {"name": f"P {uuid7().hex}"}),
        "member:read": ("GET", "/members", None),
        "member:write": ("DELETE", f"/invitations/{show('inv', nothing)}", None),
        "key:read": ("GET", "/api-keys", None),
        "key:write": ("DELETE", f"/api-keys/{show('key', nothing)}", None),
        "channel:read": ("GET", "/channels", None),
        "channel:write": ("DELETE", f"/channels/{show('chn', nothing)}", None),
        "channel:test": ("POST", f"/channels/{show('chn', nothing)}/test", {"to": "a@northwind.example"}),
        "contact:read": ("GET", f"/contacts/{show('ctc', nothing)}", None),
        "contact:write": ("POST", "/contacts:batch", {"contacts": [{"email": "a@example.org"}]}),
        "list:read": ("GET", "/lists", None),
        "list:write": ("POST", "/lists", {"name": f"L {uuid7().hex}", "project_id": place.prj}),
        "audience:read": ("GET", "/audiences", None),
        "audience:write": ("DELETE", f"/audiences/{show('aud', nothing)}", None),
        "campaign:read": ("GET", cam, None),
        "campaign:write": ("PUT", f"{cam}/revisions/1", {"draft": {}}),
        "campaign:submit": ("POST", f"{cam}/revisions/1/submit", {}),
        "campaign:approve": ("POST", f"{cam}/revisions/1/reject", signed),
        "campaign:publish": ("POST", f"{cam}/revisions/1/publish", signed),
        "campaign:control": ("POST", f"{cam}/pause", {}),
        "campaign:trigger": ("POST", f"{cam}/trigger", {"recipients": [{"email": "a@example.org"}]}),
        "report:read": ("GET", f"{cam}/report", None),
        "audit:read": ("GET", "/audit", None),
        "policy:write": ("POST", "/approval-policy/replay", {"rules": []}),
        "campaign:comment": ("POST", f"{cam}/comments", {"text": "x"}),
        "agency:read": ("GET", f"/agencies/{agn(world)}/staff", None),
        "agency:write": ("DELETE", f"/agencies/{agn(world)}/staff-invitations/{show('inv', nothing)}", None),
        "event:write": ("POST", "/events", {"events": [{"name": "x", "email": "a@example.org"}]}),
    }


def test_the_tables_are_whole():
    assert set(BY_ACTION) == {action.value for action in Action}
    assert all(len(row) == len(PEOPLE) for row in BY_ACTION.values())
    assert set(PEOPLE) == {role.value for role in ROLE_ACTIONS} | {"none", "suspended"}
    asked = {move.value.replace("_", "-") for move in (*ASKED_OF_CAMPAIGN, *ASKED_OF_REVISION)}
    assert asked | {"edit"} == set(table(CAMPAIGN_MOVES)) | set(table(REVISION_MOVES))


@pytest.mark.parametrize("action", sorted(BY_ACTION))
def test_every_person_and_action(ground, action):
    ground.put(CampaignState.DRAFT, RevisionState.REJECTED)
    for person in PEOPLE:
        method, path, body = requests(ground)[action]
        headers = {"If-Match": '"1"'} if method in {"PATCH", "PUT", "DELETE"} else {}
        answer = ground.clients[person].call(method, path, json=body, headers=headers)
        assert seen(answer) == sign(action, person), (action, person, answer.status_code, answer.text)


def seen(answer):
    """The sign of an answer: only a missing right is a 3, only a missing workspace a 4."""
    body = answer.get_json(silent=True) or {}
    if answer.status_code == 401:
        return "1"
    if answer.status_code == 403:
        assert body["code"] == "lacks_right", answer.text
        return "3"
    if answer.status_code == 404 and "no such workspace" in body["detail"]:
        return "4"
    assert answer.status_code < 500, answer.text
    return "x"


@pytest.mark.parametrize("move", table(CAMPAIGN_MOVES))
def test_every_person_and_state_of_a_campaign(ground, move):
    action, *lawful = table(CAMPAIGN_MOVES)[move]
    for state in CampaignState:
        check_state(ground, move, action, lawful, state.value, (state, RevisionState.PUBLISHED))


@pytest.mark.parametrize("move", table(REVISION_MOVES))
def test_every_person_and_state_of_a_revision(ground, move):
    action, *lawful = table(REVISION_MOVES)[move]
    for state in RevisionState:
        around = AROUND.get(state, CampaignState.DRAFT)
        check_state(ground, move, action, lawful, state.value, (around, state))


def check_state(ground, move, action, lawful, state, states):
    """The right is looked at before the state (403 before 409), and the state before everything else."""
    version = ground.put(*states)
    for person in PEOPLE:
        answer = ground.ask(person, move, version)
        found, told = seen(answer), (move, state, person, answer.status_code, answer.text)
        assert found == sign(action, person), told
        if found != "x":
            continue
        code = (answer.get_json() or {}).get("code")
        assert (code == LAWFUL) is (state not in lawful), told
        if code == LAWFUL:
            assert answer.status_code == 409 and "allowed_transitions" in answer.get_json(), told
        if answer.status_code < 400:
            version = ground.put(*states)


def test_nothing_is_approved_by_whoever_edited(ground):
    """Four eyes hold for administrators too: the right and the state do not suffice (R13)."""
    ground.put(CampaignState.DRAFT, RevisionState.IN_REVIEW)
    own = ground.clients["admin"]
    with bound(ground.world.engine, ground.world.a) as session:
        session.execute(
            sa.text("INSERT INTO revision_editor (tenant_id, campaign_id, no, account_id, at)"
                    " VALUES (:t, :c, 1, :a, now()) ON CONFLICT DO NOTHING"),
            {"t": ground.world.a.tenant_id, "c": parse("cam", ground.campaign_id),
             "a": ground.world.a.accounts[Role.ADMIN]},
        )  # fmt: skip
        session.commit()
    refused = own.post(f"/campaigns/{ground.campaign_id}/revisions/1/approve", {"content_hash": ground.content_hash})
    assert refused.status_code == 409, refused.text
    assert refused.get_json()["code"] != LAWFUL


def test_the_product_is_counted():
    cells = len(list(product(PEOPLE, BY_ACTION)))
    cells += len(PEOPLE) * (4 * len(CampaignState) + 8 * len(RevisionState))
    assert cells == 9 * 33 + 9 * (4 * 9 + 8 * 8)
