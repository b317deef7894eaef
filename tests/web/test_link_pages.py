"""The code word of a mailed link, and links on the page of their request, with a real browser (U8)."""

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.api.post_office import opened
from tests.web.conftest import DESK, PHONE, email_of, visit

pytestmark = pytest.mark.web

WORD = "blue kettle 9"


@pytest.fixture
def link(world, engine, app_settings, empty_agenda):
    """Campaign and path of a mailed link that asks for a code word."""
    with opened(engine, app_settings) as office:
        admin, email = world.client(world.a, Role.ADMIN), f"greta.{world.a.wsp}@example.org"
        body = {"email": email, "name": "Greta Holm", "code_word": WORD}
        made = admin.post("/outside-approvers", body).get_json()
        office.deliver()
        world.app.test_client().post(f"/approve/{office.tokens(email)[-1]}")
        then = {"stages": [{"needed": 1, "outside": [made["outside_id"]]}], "code_word": True}
        rule = {"name": "The client signs", "when": {}, "then": then}
        assert admin.put("/approval-policy", {"rules": [rule]}, etag='"0"').status_code == 200
        list_id, _ = scenes.add_people(world, world.a, 2)
        campaign_id = scenes.make_campaign(world, world.a)
        draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon(30))
        scenes.save(world, world.a, campaign_id, draft)
        scenes.submit(world, world.a, campaign_id)
        office.deliver()
        yield campaign_id, f"/approve/{office.tokens(email)[-1]}"


@pytest.mark.parametrize("script", [True, False])
def test_u8_the_code_word_comes_first_then_the_review_with_its_messages(world, link, browser, server, script):
    """The message in its frame is shown too: the browser's pass reaches it although the frame is sandboxed."""
    with visit(browser, server, viewport=PHONE, java_script_enabled=script) as visitor:
        page = visitor.page
        visitor.open(link[1])
        expect(page.locator("h1")).to_have_text("Your code word")
        assert "Black week" not in page.content()
        assert not visitor.overflows()
        if script:
            assert visitor.axe() == []
        page.get_by_label("Code word").fill("red kettle 9")
        page.get_by_role("button", name="Show what is asked").click()
        expect(page.locator("main")).to_contain_text("This is not the code word.")
        page.get_by_label("Code word").fill(WORD)
        page.get_by_role("button", name="Show what is asked").click()
        expect(page.locator("h1")).to_have_text("Black week")
        expect(page.frame_locator("iframe.cs-mail").get_by_text("Hello")).to_be_visible()
        (cookie,) = page.context.cookies()
        assert (cookie["path"], cookie["httpOnly"], cookie["sameSite"]) == (link[1], True, "Lax")
        page.get_by_label("Your name").fill("Greta Holm")
        page.get_by_label("Comment").fill("The price is wrong.")
        visitor.press("Request changes")
        expect(page.locator("h1")).to_have_text("Sent back with your comment")


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_u8_who_asked_sends_the_link_again(world, link, browser, server, size):
    with visit(browser, server, viewport=size) as visitor:
        page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
        visitor.open(f"/w/{world.a.wsp}/campaigns/{link[0]}/review")
        assert not visitor.overflows()
        assert visitor.axe() == []
        expect(page.locator("#mailed")).to_contain_text("Not answered yet")
        page.get_by_role("button", name="Send again: link to Greta Holm").click()
        assert "A new link goes to Greta Holm." in visitor.said()
        expect(page.locator("#mailed")).to_contain_text("Mail on its way")
        page.goto(f"{server}{link[1]}")
        expect(page.locator("h1")).to_have_text("This link was replaced by a newer one")
        assert visitor.axe() == []


def test_u8_an_administrator_sets_a_code_word(world, link, browser, server):
    with visit(browser, server, viewport=DESK) as visitor:
        page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
        visitor.open(f"/w/{world.a.wsp}/settings/policies")
        assert visitor.axe() == []
        visitor.press("Code word…")
        page.locator("#code-word-1").fill("another kettle 7")
        visitor.press("Set code word")
        assert "The code word of Greta Holm is set." in visitor.said()
        visitor.open(f"/w/{world.a.wsp}/settings/policies/rules")
        expect(page.get_by_label("Mailed links ask for the code word of the outside approver")).to_be_checked()
        assert visitor.axe() == []
