"""Every main page, at both widths, in light and dark: WCAG 2.2 AA by axe, no sideways scrolling, a quiet console."""

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit

pytestmark = pytest.mark.web


@pytest.fixture
def paths(world, room, sink):
    """One address for each page, with something on it."""
    at = scenes.soon()
    sent, _ = scenes.approved_campaign(world, world.a, people=6, port=sink.port, at=at)
    room.at(at).run()
    room.later(2).run()
    list_id, _ = scenes.add_people(world, world.a, 3, tag="q")
    channel_id = scenes.add_channel(world, world.a, sink.port, name="Second")
    asked = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, asked, scenes.dated_draft(list_id, channel_id, scenes.soon(30)))
    scenes.submit(world, world.a, asked)
    draft = scenes.make_campaign(world, world.a)
    here = f"/w/{world.a.wsp}"
    return [
        f"{here}/", f"{here}/campaigns", f"{here}/campaigns?q=nothing", f"{here}/campaigns/new", f"{here}/approvals",
        f"{here}/campaigns/{sent}", f"{here}/campaigns/{sent}/people", f"{here}/campaigns/{asked}",
        f"{here}/campaigns/{asked}/review", f"{here}/campaigns/{draft}/edit", "/workspaces",
    ]  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_are_clean(world, browser, server, paths, size, scheme):
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.open("/sign-in")
        found["/sign-in"] = visitor.axe()
        visitor.enter(email_of(world, world.a, Role.APPROVER))
        for path in paths:
            assert visitor.open(path).status == 200, path
            assert not visitor.overflows(), path
            found[path] = visitor.axe()
        assert visitor.faults == []
        visitor.open(f"/w/{world.a.wsp}/nothing-here")
        found["404"] = visitor.axe()
    assert {path: faults for path, faults in found.items() if faults} == {}


def test_open_menus_and_dialogs_are_clean(world, browser, server, paths):
    with visit(browser, server) as visitor:
        visitor.enter(email_of(world, world.a, Role.APPROVER))
        visitor.open(paths[8])
        visitor.press("Request changes…")
        assert visitor.axe() == []
        visitor.page.keyboard.press("Escape")
        visitor.page.get_by_role("button", name="switch workspace").click()
        assert visitor.axe() == []
        visitor.page.keyboard.press("Escape")
        visitor.page.keyboard.press("Control+k")
        assert visitor.axe() == []


def test_the_main_pages_are_reached_by_keyboard(world, browser, server):
    """Tab, Enter and the skip link; the focus can be seen."""
    with visit(browser, server) as visitor:
        visitor.sign_in(email_of(world, world.a, Role.APPROVER))
        visitor.page.keyboard.press("Tab")
        expect(visitor.page.get_by_text("Skip to content", exact=True)).to_be_focused()
        visitor.page.keyboard.press("Enter")
        expect(visitor.page.locator("#main")).to_be_focused()
        visitor.page.get_by_role("link", name="Campaigns").first.focus()
        assert visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        visitor.page.keyboard.press("Enter")
        visitor.page.wait_for_url("**/campaigns")
