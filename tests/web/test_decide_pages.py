"""On a campaign's page (R13, U16): whom it waits for, a new start for what is late, sending anyway what is held."""

import pytest
import sqlalchemy as sa

from saas.accounts.service import people
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Role
from saas.tenants.service import members
from tests import scenes
from tests.web.conftest import DESK, PHONE, visit
from tests.worlds import bound

pytestmark = pytest.mark.web


def change(world, statement):
    with bound(world.engine, world.a) as session:
        assert session.execute(sa.text(statement)).rowcount == 1
        session.commit()


def asked(world, *, rule=None):
    if rule is not None:
        world.client(world.a, Role.ADMIN).put("/approval-policy", {"rules": [rule]}, etag='"0"')
    list_id, _ = scenes.add_people(world, world.a, 2)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon(5))
    scenes.save(world, world.a, campaign_id, draft)
    return campaign_id, scenes.submit(world, world.a, campaign_id)


def held(world, part="audience"):
    campaign_id, content_hash = asked(world)
    scenes.approve(world, world.a, campaign_id, content_hash)
    change(
        world,
        f"UPDATE campaign SET state = 'held', held_part = '{part}', held_reason = 'the audience has 7 people now, 2 when it was signed',"
        ' held_facts = \'{"people": 7, "signed": 2}\'',
    )
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}", campaign_id


def test_r13_the_page_says_who_can_sign_and_what_was_asked(world, visitor):
    campaign_id, _ = asked(world)
    page = visitor.enter(world.a.emails[Role.MANAGER])
    page.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    assert "It can be signed now by: Admin North, Approver North." in page.page.locator("main").inner_text()


def colleague(world, role, name, project_id=None):
    """One more person of a role in world.a, or in one project of it; their account's id."""
    now = SystemClock().now()
    with bound(world.engine, world.a) as session:
        row = people.ensure_account(session, email=f"{uuid7().hex}@northwind.example", name=name, now=now)
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=row.account_id, role=role, project_id=project_id,
            now=now,
        )  # fmt: skip
        session.commit()
        return show("acc", row.account_id)


def shown(world, role, campaign_id, rest=""):
    answer = world.client(world.a, role).http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}{rest}")
    assert answer.status_code == 200
    return answer.text


def test_r13_the_pages_name_those_whom_the_policy_asks_now_and_nobody_else(world):
    """Nobody of another project, nobody whom the rule does not ask, nobody who has signed already (A10)."""
    other = world.client(world.a, Role.ADMIN).post("/projects", {"name": "Spring"}).get_json()["project_id"]
    colleague(world, Role.APPROVER, "Elsa Elsewhere", parse("prj", other))
    lena = colleague(world, Role.APPROVER, "Lena Lawyer")
    signed = show("acc", world.a.accounts[Role.APPROVER])
    rule = {"name": "law", "then": {"stages": [{"needed": 2, "accounts": [lena, signed]}]}}
    campaign_id, content_hash = asked(world, rule=rule)
    for rest in ("", "/review"):
        text = shown(world, Role.MANAGER, campaign_id, rest)
        assert "It can be signed now by: Approver North, Lena Lawyer." in text
        assert "Elsa" not in text and "Admin North" not in text
    scenes.approve(world, world.a, campaign_id, content_hash)
    for rest in ("", "/review"):
        assert "It can be signed now by: Lena Lawyer." in shown(world, Role.MANAGER, campaign_id, rest)
        assert "It can be approved by: Administrator or Approver." in shown(world, Role.VIEWER, campaign_id, rest)


def test_a10_other_rights_are_named_with_their_project(world):
    other = world.client(world.a, Role.ADMIN).post("/projects", {"name": "Spring"}).get_json()["project_id"]
    colleague(world, Role.MANAGER, "Elsa Elsewhere", parse("prj", other))
    colleague(world, Role.MANAGER, "Hanna Here", world.a.project_id)
    campaign_id = scenes.make_campaign(world, world.a)
    text = shown(world, Role.APPROVER, campaign_id)
    assert "That can be done by: Admin North, Manager North or Hanna Here." in text and "Elsa" not in text


def test_u16_a_held_campaign_names_those_who_can_decide(world):
    other = world.client(world.a, Role.ADMIN).post("/projects", {"name": "Spring"}).get_json()["project_id"]
    colleague(world, Role.APPROVER, "Elsa Elsewhere", parse("prj", other))
    _, campaign_id = held(world)
    text = shown(world, Role.MANAGER, campaign_id)
    assert "until somebody who may approve decides: Admin North, Approver North." in text


def test_r13_another_rule_is_let_pass_on_the_page(world, any_visitor):
    path, _ = held(world, "rule")
    page = any_visitor.enter(world.a.emails[Role.APPROVER])
    page.open(path)
    assert "send it by the rule that was signed" in page.page.locator("main").inner_text()
    page.press("Send anyway…")
    assert "Send it by the rule that was signed?" in page.page.locator("main").inner_text()
    page.press("Send anyway")
    assert "Decided. The campaign goes on." in page.said()
    assert page.faults == []


def test_u16_an_approver_sends_it_anyway(world, any_visitor):
    path, campaign_id = held(world)
    page = any_visitor.enter(world.a.emails[Role.APPROVER])
    page.open(path)
    assert "7 people now, 2 when it was signed" in page.page.locator("main").inner_text()
    page.press("Send anyway…")
    page.page.locator("#anyway-why").fill("A new shop opened.")
    page.press("Send anyway")
    assert "Decided. The campaign goes on." in page.said()
    found = world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    assert [(each["decision"], each["comment"]) for each in found["decisions"]] == [
        ("approve", ""), ("confirm", "A new shop opened."),
    ]  # fmt: skip


def test_u16_a_manager_learns_who_decides(world, visitor):
    path, _ = held(world)
    page = visitor.enter(world.a.emails[Role.MANAGER])
    page.open(path)
    text = page.page.locator("main").inner_text()
    assert "Nothing is sent until somebody who may approve decides" in text
    assert page.page.get_by_role("button", name="Send anyway…").count() == 0


def test_r13_what_is_late_gets_a_new_start(world, any_visitor):
    rule = {"name": "handed back", "then": {"stages": [{}], "publisher": "manager"}}
    campaign_id, content_hash = asked(world, rule=rule)
    scenes.approve(world, world.a, campaign_id, content_hash)
    change(world, "UPDATE revision SET planned_at = now() - interval '1 hour'")
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}"
    page = any_visitor.enter(world.a.emails[Role.APPROVER])
    page.open(path)
    assert "its time has passed" in page.page.locator("main").inner_text()
    page.press("Choose a new start…")
    page.press("Publish with this start")
    assert "Published." in page.said()


def test_r13_a_manager_publishes_where_the_policy_says_so(world, visitor):
    rule = {"name": "handed back", "then": {"stages": [{}], "publisher": "manager"}}
    campaign_id, content_hash = asked(world, rule=rule)
    scenes.approve(world, world.a, campaign_id, content_hash)
    page = visitor.enter(world.a.emails[Role.MANAGER])
    page.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    page.press("Publish")
    assert "Published." in page.said()


def test_u3_the_page_says_when_nobody_could_sign(world, visitor):
    rule = {"name": "crowd", "then": {"stages": [{"needed": 9}]}}
    world.client(world.a, Role.ADMIN).put("/approval-policy", {"rules": [rule]}, etag='"0"')
    list_id, _ = scenes.add_people(world, world.a, 2)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon(5))
    scenes.save(world, world.a, campaign_id, draft)
    page = visitor.enter(world.a.emails[Role.MANAGER])
    page.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit")
    page.press("Save and request approval")
    assert "It needs 9 of those who may approve, and 2 could sign." in page.said()
    found = world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()
    assert found["revision"]["state"] == "editing"


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_a_held_campaign_fits_a_desk_and_a_phone(world, browser, server, size):
    path, _ = held(world)
    with visit(browser, server, viewport=size) as page:
        page.enter(world.a.emails[Role.APPROVER])
        page.open(path)
        assert not page.overflows()
        assert page.axe() == []
