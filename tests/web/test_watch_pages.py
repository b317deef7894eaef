"""Watching campaigns without a common time: called, flowing and recurring ones; live numbers, empty states (U4, R15)."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from saas.kernel.clock import SystemClock
from saas.ledger.models import Contact
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import DESK, PHONE, email_of
from tests.web.flows import FlowDraft
from tests.worlds import bound

pytestmark = pytest.mark.web
HOUR = {"for": "delay", "minutes": 60}


def path_of(world, campaign_id, tail=""):
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}{tail}"


def now_and(room, **after):
    return room.at(SystemClock().now() + timedelta(seconds=2, **after))


def approved(world, scene, draft, kind):
    campaign_id = scene.saved(draft, kind=kind)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    return campaign_id


def clean(visitor):
    """From the top, where nothing lies below the bar that stays there."""
    for size in (PHONE, DESK):
        visitor.page.set_viewport_size(size)
        visitor.page.evaluate("scrollTo(0, 0)")
        assert visitor.axe() == []
        assert not visitor.overflows()


def test_a_called_flow_is_watched(world, room, sink, visitor):
    """R5: before any call it says so; then who came, who waits, what was sent; the next look follows by itself."""
    scene = FlowDraft(world, world.a, sink.port).people(3)
    draft = scene.draft(scene.message(1, "Hello", after=[2]), scene.step(2, "wait", "An hour", after={"done": 3}, **HOUR),
                        scene.message(3, "Again"), kind="api")  # fmt: skip
    campaign_id = approved(world, scene, draft, "api")
    now_and(room).run()
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    flow = visitor.page.locator("#flow")
    expect(flow).to_contain_text("People came in 0 times, 0 are under way.")
    expect(visitor.page.locator("#numbers")).to_contain_text("Nobody was called for yet.")
    clean(visitor)
    answer = world.key(world.a).post(
        f"/campaigns/{campaign_id}/trigger", {"recipients": [{"email": each} for each in scene.addresses]}
    )
    assert answer.status_code == 202, answer.text
    now_and(room).run()
    expect(flow).to_contain_text("People came in 3 times, 3 are under way.", timeout=20_000)
    expect(flow.locator("#step-1")).to_contain_text("3 accepted")
    expect(flow.locator("#step-2")).to_contain_text("3 are here now")
    expect(visitor.page.locator("#numbers")).to_contain_text("Balances")
    now_and(room, minutes=61).run()
    visitor.open(path_of(world, campaign_id))
    expect(flow).to_contain_text("Ended: went to the end 3.")
    expect(flow).to_contain_text("0 are under way")
    expect(flow.locator("#step-3")).to_contain_text("3 accepted")
    clean(visitor)
    assert visitor.faults == []


def test_a_flowing_campaign_is_watched(world, room, sink, visitor):
    """R15, M21: who matches comes in; who matches no more leaves, and the page says how ways have ended."""
    scene = FlowDraft(world, world.a, sink.port).people(3, city="Oslo")
    steps = (scene.message(1, "Hello", after=[2]), scene.step(2, "wait", "An hour", after={"done": 3}, **HOUR),
             scene.message(3, "Again"))  # fmt: skip
    draft = scene.draft(
        *steps, audience={"audience_id": scene.audience("From Oslo", "Oslo")}, entry={"leaving": "leave"}
    )
    campaign_id = approved(world, scene, draft, "flowing")
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    flow = visitor.page.locator("#flow")
    expect(flow).to_contain_text("People who come to match: those on Club p")
    expect(visitor.page.locator("#numbers")).to_contain_text("Nothing was sent yet.")
    clean(visitor)
    now_and(room, minutes=6).run()
    visitor.open(path_of(world, campaign_id))
    expect(flow).to_contain_text("People came in 3 times, 3 are under way.")
    expect(flow.locator("#step-2")).to_contain_text("3 are here now")
    with bound(world.engine, world.a) as session:
        who = Contact.email == scene.addresses[0]
        session.execute(sa.update(Contact).where(who).values(attributes={"city": "Bergen"}))
        session.commit()
    now_and(room, minutes=12).run()
    visitor.open(path_of(world, campaign_id))
    expect(flow).to_contain_text("Ended: matched no more 1.")
    expect(flow).to_contain_text("2 are under way")
    clean(visitor)
    assert visitor.faults == []


def test_a_campaign_that_was_over_before_it_began_says_so(world, room, sink, visitor):
    """M12: its page does not wait for a start that never comes, and does not call it finished."""
    scene = FlowDraft(world, world.a, sink.port).people(2)
    draft = scene.draft(scene.message(1, "Late", 0), publish_until=scene.wall(10))
    campaign_id = approved(world, scene, draft, "dated")
    room.at(scene.start + timedelta(minutes=11)).run()
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    visitor.open(path_of(world, campaign_id))
    expect(visitor.page.locator("#numbers")).to_contain_text("the time of this campaign was over before it began")
    clean(visitor)


def test_a_recurring_campaign_is_watched_round_by_round(world, room, sink, visitor):
    """R17: each round has its own times and numbers; the newest is shown, an earlier one by a link."""
    scene = FlowDraft(world, world.a, sink.port).people(2)
    recurrence = {"rule": "FREQ=DAILY", "until": None, "count": 3}
    draft = scene.draft(scene.message(1, "Daily", 0, after=[2]), scene.message(2, "Later", 60), recurrence=recurrence)
    campaign_id = approved(world, scene, draft, "dated")
    for day in (0, 1):
        room.at(scene.start + timedelta(days=day)).run()
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    visitor.open(path_of(world, campaign_id))
    page = visitor.page
    rounds = page.get_by_role("navigation", name="Rounds").get_by_role("link")
    expect(rounds).to_have_count(2)
    expect(rounds.first).to_have_attribute("aria-current", "page")
    expect(page.locator("#flow")).to_contain_text("2 people came in.")
    expect(page.locator("#step-1")).to_contain_text("2 accepted")
    rounds.last.click()
    page.wait_for_url(re.compile(r"round="))
    expect(rounds.last).to_have_attribute("aria-current", "page")
    expect(page.locator("#step-1")).to_contain_text("2 accepted")
    clean(visitor)
    assert visitor.faults == []
