"""The bell, the list behind it and what a person wants to be told, with and without script."""

import pytest

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.notices.service.inform import inform
from saas.notices.types import NoticeKind
from saas.permissions.types import Role
from tests.web.conftest import DESK, PHONE, email_of, visit
from tests.worlds import bound

pytestmark = pytest.mark.web


def tell(world, *, count=1, title="Bea asks you to approve “Autumn”", text="It starts on Friday."):
    with bound(world.engine, world.a) as session:
        for _ in range(count):
            inform(
                session, kind=NoticeKind.APPROVAL_REQUESTED, to=[world.a.accounts[Role.APPROVER]],
                subject=show("cam", uuid7()), title=title, text=text, path=f"/w/{world.a.wsp}/campaigns",
                now=SystemClock().now(),
            )  # fmt: skip
        session.commit()


def test_the_bell_counts_and_leads_to_what_happened(world, any_visitor):
    tell(world, count=2)
    page = any_visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    any_visitor.open("/")
    bell = page.get_by_role("link", name="2 unread notices")
    assert bell.inner_text().startswith("2")
    bell.click()
    page.wait_for_url("**/notices")
    assert page.locator("h1").inner_text() == "Notices"
    page.get_by_role("button", name="Open").first.click()
    page.wait_for_url("**/campaigns")
    assert page.get_by_role("link", name="One unread notice").is_visible()
    any_visitor.open(f"/w/{world.a.wsp}/notices?show=unread")
    page.get_by_role("button", name="Mark all as read").click()
    assert any_visitor.said() == "One notice is marked as read."
    assert page.get_by_role("link", name="Notices", exact=True).is_visible()
    assert any_visitor.faults == []


def test_what_comes_while_one_reads_stays_unread(world, visitor):
    tell(world)
    page = visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    visitor.open(f"/w/{world.a.wsp}/notices")
    tell(world, title="Later <b>one</b>")
    visitor.press("Mark all as read")
    assert visitor.said() == "One notice is marked as read."
    assert "Later <b>one</b>" in page.locator(".cs-rows .fw-6").inner_text()


def test_a_person_chooses_what_is_mailed(world, any_visitor):
    page = any_visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    any_visitor.open("/account/notices")
    page.get_by_label("By mail: Somebody mentions you").select_option("Daily digest")
    page.locator("#app-commented").uncheck()
    page.get_by_label("Time of the digest").select_option("17:00")
    any_visitor.press("Save")
    assert any_visitor.said() == "Your choice is saved."
    assert page.get_by_label("By mail: Somebody mentions you").input_value() == "daily"
    assert not page.locator("#app-commented").is_checked()
    assert page.get_by_label("Time of the digest").input_value() == "17"
    assert page.locator("#app-mentioned").is_checked()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_are_clean(world, browser, server, size):
    """WCAG 2.2 AA, nothing to scroll sideways; empty, full and with more than a page."""
    with visit(browser, server, viewport=size) as visitor:
        visitor.enter(email_of(world, world.a, Role.APPROVER))
        for count in (0, 51):
            tell(world, count=count, text="A-very-long-word" * 20)
            for path in (f"/w/{world.a.wsp}/notices", f"/w/{world.a.wsp}/notices?show=unread", "/account/notices"):
                assert visitor.open(path).status == 200
                assert not visitor.overflows(), path
                assert visitor.axe() == [], path
        visitor.open(f"/w/{world.a.wsp}/notices")
        visitor.page.get_by_role("link", name="Next").click()
        visitor.page.wait_for_url("**after=**")
        assert visitor.page.locator(".cs-rows > div").count() == 1
        assert visitor.faults == []
