"""The approval inbox, the review of a change, and the page behind a mailed link, with a real browser."""

import re

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.api.post_office import opened
from tests.changed import proposed
from tests.web.conftest import LOOKS, PHONE, email_of, visit

pytestmark = pytest.mark.web


@pytest.fixture
def change(world):
    return proposed(world, world.a)


@pytest.fixture
def link(world, engine, app_settings, empty_agenda, change):
    """The path of a link that was mailed to an outside approver for a second campaign."""
    with opened(engine, app_settings) as office:
        admin, email = world.client(world.a, Role.ADMIN), f"greta.{world.a.wsp}@example.org"
        made = admin.post("/outside-approvers", {"email": email, "name": "Greta Holm"}).get_json()
        office.deliver()
        world.app.test_client().post(f"/approve/{office.tokens(email)[-1]}")
        rule = {
            "name": "The client signs",
            "when": {},
            "then": {"stages": [{"needed": 1, "outside": [made["outside_id"]]}]},
        }
        etag = admin.get("/approval-policy").headers["ETag"]
        assert admin.put("/approval-policy", {"rules": [rule]}, etag=etag).status_code == 200
        manager = world.client(world.a, Role.MANAGER)
        manager.post(f"/campaigns/{change.campaign_id}/revisions/2/withdraw")
        scenes.submit(world, world.a, change.campaign_id, no=2)
        office.deliver()
        yield f"/approve/{office.tokens(email)[-1]}"


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_inbox_review_and_link_are_clean(world, browser, server, change, link, size, scheme):
    """WCAG 2.2 AA by axe, no sideways scrolling, a quiet console."""
    inbox = f"/w/{world.a.wsp}/approvals"
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.open(link)
        assert not visitor.overflows()
        found["link"] = visitor.axe()
        visitor.enter(email_of(world, world.a, Role.APPROVER))
        for path in (
            inbox,
            f"{inbox}?tab=mine",
            f"{inbox}?tab=decided",
            f"{change.path}/review",
            f"{change.path}/review?no=1",
        ):
            assert visitor.open(path).status == 200, path
            assert not visitor.overflows(), path
            found[path] = visitor.axe()
        visitor.open(f"{change.path}/review")
        visitor.page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true })")
        assert not visitor.overflows()
        found["unfolded"] = visitor.axe()
        assert visitor.faults == []
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_two_clicks_from_the_inbox(world, change, any_visitor):
    """R13: one click opens the request, one signs exactly what it shows; it stands under what was decided then."""
    page = any_visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    any_visitor.open(f"/w/{world.a.wsp}/approvals")
    expect(page.locator(".cs-tabs a[aria-current]")).to_have_text(re.compile(r"For me\s*1"))
    page.get_by_role("link", name=re.compile("Black week")).click()
    expect(page.locator("#changed")).to_contain_text("What changed since revision 1")
    any_visitor.press("Approve")
    assert "Signed. The campaign is published." in any_visitor.said()
    any_visitor.open(f"/w/{world.a.wsp}/approvals?tab=decided")
    expect(page.locator(".cs-rows").get_by_text("You approved").first).to_be_visible()
    any_visitor.open(f"/w/{world.a.wsp}/approvals")
    expect(page.locator("main")).to_contain_text("Nothing waits for you")


def test_u7_the_review_shows_what_changed_and_folds_the_rest(world, change, visitor):
    page = visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    visitor.open(f"{change.path}/review")
    changes = page.locator("#changed")
    expect(changes).to_contain_text("5 changes")
    expect(changes.locator("del", has_text="as fast as the channel allows")).to_be_visible()
    expect(changes.locator("ins", has_text="at most 5,000 an hour")).to_be_visible()
    people = page.locator("#people")
    expect(people).to_contain_text("+9")
    expect(people).to_contain_text("−2")
    expect(people).to_contain_text("Some who enter")
    old, new = (page.frame_locator(f".msg-{name} iframe") for name in ("old", "new"))
    expect(new.get_by_text(re.compile("gold price|Members save"))).to_be_visible()
    expect(old.get_by_text("See the sale", exact=True)).to_be_visible()
    page.locator(".cs-pack a").nth(1).click()
    expect(page.locator(".cs-pack a[aria-current]")).to_have_count(1)


def test_on_a_phone_messages_stand_one_at_a_time(world, change, browser, server):
    with visit(browser, server, viewport=PHONE) as visitor:
        page = visitor.enter(email_of(world, world.a, Role.APPROVER)).page
        visitor.open(f"{change.path}/review")
        expect(page.locator(".msg-old")).to_be_hidden()
        page.get_by_text("Before", exact=True).click()
        expect(page.locator(".msg-old")).to_be_visible()
        expect(page.locator(".msg-new")).to_be_hidden()
        approve = page.get_by_role("button", name="Approve", exact=True).bounding_box()
        assert approve["height"] >= 44
        assert approve["x"] + approve["width"] <= PHONE["width"]


def test_who_asked_finds_it_and_reads_the_comments(world, change, visitor):
    """A manager sees where their request stands; an approver's words reach them on the page."""
    approver = world.client(world.a, Role.APPROVER)
    said = approver.post(f"/campaigns/{change.campaign_id}/comments", {"text": "Is 20 % right?"})
    assert said.status_code == 201, said.text
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/approvals")
    expect(page.locator(".cs-tabs a[aria-current]")).to_have_text(re.compile(r"Asked by me\s*1"))
    page.get_by_role("link", name=re.compile("Black week.*In review", re.DOTALL)).click()
    expect(page.locator("#comments")).to_contain_text("Is 20 % right?")
    page.get_by_label("Add a comment").fill("Yes, until Sunday.")
    visitor.press("Comment")
    expect(page.locator("#comments")).to_contain_text("Yes, until Sunday.")


def test_the_inbox_is_narrowed_to_a_project(world, change, visitor):
    made = world.client(world.a, Role.ADMIN).post("/projects", {"name": "Spring season"})
    assert made.status_code == 201, made.text
    page = visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    visitor.open(f"/w/{world.a.wsp}/approvals")
    page.get_by_label("Project").select_option(label="Spring season")
    visitor.press("Show")
    expect(page.locator("main")).to_contain_text("Nothing waits for you")
    visitor.open(f"/w/{world.a.wsp}/approvals?tab=nonsense&project_id=nonsense")
    expect(page.get_by_role("link", name=re.compile("Black week"))).to_be_visible()


def test_u8_greta_decides_on_her_phone(world, link, browser, server):
    """With and without script: look, choose somebody else, forget the name, sign; the link is spent."""
    for script in (True, False):
        with visit(browser, server, viewport=PHONE, java_script_enabled=script) as visitor:
            page = visitor.page
            visitor.open(link)
            if not script:
                expect(page.locator("h1")).to_have_text("This link was used already")
                continue
            expect(page.locator("#changed")).to_contain_text("What changed since revision 1")
            expect(page.frame_locator(".msg-new iframe").get_by_text("•••").first).to_be_visible()
            page.locator(".cs-pack a").nth(1).click()
            visitor.press("Approve")
            expect(page.get_by_label("Your name")).to_be_focused()
            page.get_by_label("Your name").fill("Greta Holm")
            visitor.press("Request changes")
            expect(page.locator("main")).to_contain_text("Say what should change")
            expect(page.get_by_label("Your name")).to_have_value("Greta Holm")
            visitor.press("Approve")
            expect(page.locator("h1")).to_have_text("Approved")
            assert page.context.cookies() == []


def test_two_workspaces_do_not_meet_in_an_inbox(world, change, visitor):
    page = visitor.enter(world.owner_email).page
    visitor.open(f"/w/{world.b.wsp}/approvals")
    assert "Black week" not in page.locator("main").inner_text()
