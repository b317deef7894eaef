"""The banner on every page while something is wrong, and the page of all alerts."""

import pytest
from playwright.sync_api import expect

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.notices.service.alerts import clear_alert, raise_alert
from saas.notices.types import AlertKind
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit
from tests.worlds import bound

pytestmark = pytest.mark.web


def tell(world, kind, subject, text):
    with bound(world.engine, world.a) as session:
        raise_alert(session, kind=kind, subject=subject, text=text, now=SystemClock().now())
        session.commit()


def test_the_banner_leads_to_what_is_wrong_and_goes_with_it(world, any_visitor):
    campaign = scenes.make_campaign(world, world.a)
    page = any_visitor.enter(email_of(world, world.a, Role.VIEWER)).page
    here = f"/w/{world.a.wsp}"
    any_visitor.open(f"{here}/campaigns")
    expect(page.get_by_text("Sending stands still")).to_have_count(0)
    tell(world, AlertKind.SEALED, world.a.wsp, "This database is a restored or copied one.")
    tell(world, AlertKind.NO_PROGRESS, campaign, "Nobody was sent to for two minutes; 12 people are due.")
    any_visitor.open(f"{here}/campaigns")
    expect(page.get_by_text("12 people are due")).to_be_visible()
    page.get_by_role("link", name="Look at it").click()
    page.wait_for_url(f"**/campaigns/{campaign}")
    page.get_by_role("link", name="2 alerts are open").click()
    page.wait_for_url("**/alerts")
    expect(page.get_by_role("heading", name="Alerts")).to_be_visible()
    expect(page.get_by_text("This database is a restored or copied one.")).to_be_visible()
    with bound(world.engine, world.a) as session:
        clear_alert(session, kind=AlertKind.NO_PROGRESS, subject=campaign, now=SystemClock().now())
        session.commit()
    any_visitor.open(f"{here}/alerts")
    expect(page.get_by_label("Cleared alerts").first).to_contain_text("Sending stands still")
    any_visitor.open(f"{here}/campaigns")
    expect(page.get_by_text("One alert is open")).to_be_visible()
    expect(page.get_by_role("link", name="Look at it")).to_have_count(0)
    assert any_visitor.faults == []


def test_another_workspace_hears_nothing(world, visitor):
    tell(world, AlertKind.SEALED, world.a.wsp, "This database is a restored or copied one.")
    visitor.enter(email_of(world, world.b, Role.ADMIN))
    visitor.open(f"/w/{world.b.wsp}/alerts")
    expect(visitor.page.get_by_text("Nothing here needs attention.")).to_be_visible()
    expect(visitor.page.get_by_text("restored or copied")).to_have_count(0)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_alerts_are_clean(world, browser, server, size, scheme):
    for kind in AlertKind:
        tell(world, kind, show("cam", uuid7()), "Something of a campaign has to be looked at by somebody.")
    with bound(world.engine, world.a) as session:
        raise_alert(session, kind=AlertKind.HELD, subject="cam_x", text="It was held.", now=SystemClock().now())
        clear_alert(session, kind=AlertKind.HELD, subject="cam_x", now=SystemClock().now())
        session.commit()
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.VIEWER))
        for path in ("alerts", "campaigns"):
            assert visitor.open(f"/w/{world.a.wsp}/{path}").status == 200
            assert not visitor.overflows()
            assert visitor.axe() == []
        assert visitor.faults == []
