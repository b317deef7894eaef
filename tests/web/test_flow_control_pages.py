"""Going on with flows by hand: move steps, resume, extend, send to the rest (S27, S62-S66, R3, R9, R11, U11)."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit
from tests.web.flows import FlowDraft, clocked

pytestmark = pytest.mark.web


def path_of(world, campaign_id, tail=""):
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}{tail}"


@pytest.fixture
def plain(browser, server):
    """Somebody whose browser runs no script; with script these pages are opened by the tests of how clean they are."""
    with visit(browser, server, java_script_enabled=False) as found:
        yield found


def published(world, port, *minutes):
    """A flow of so many messages, one after another, at these minutes; approved."""
    scene = FlowDraft(world, world.a, port).people(3)
    last = len(minutes)
    steps = [
        scene.message(no, f"Message {no}", when, after=[no + 1] if no < last else None)
        for no, when in enumerate(minutes, 1)
    ]
    campaign_id = scene.saved(scene.draft(*steps))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    return campaign_id, scene


def unexpected(visitor):
    """What the console says, without the answers to forms that were filled in wrongly on purpose."""
    return [fault for fault in visitor.faults if "422" not in fault]


def paused(world, campaign_id):
    assert world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/pause").status_code == 200


def test_steps_are_moved_by_buttons(world, any_visitor):
    """S33, R3: up and down, each with the time of its new place; no way over a split."""
    scene = FlowDraft(world, world.a).people(1)
    campaign_id = scene.saved(
        scene.draft(
            scene.message(1, "First", 0, after=[2]),
            scene.message(2, "Second", 60, after=[3]),
            scene.step(3, "random_split", "Half", 120, after={"a": 4},
                       branches=[{"key": "a", "name": "A", "weight": 50}, {"key": "b", "name": "B", "weight": 50}]),
            scene.message(4, "Third", 120),
        )
    )  # fmt: skip
    visitor, page = any_visitor, any_visitor.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/edit"))
    page.get_by_role("button", name="Actions for step 3, Half").click()
    expect(page.get_by_role("button", name=re.compile("^Move"))).to_have_count(0)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Actions for step 2, Second").click()
    page.get_by_role("button", name="Move up, before step 1").click()
    page.wait_for_url("**/edit#flow")
    expect(page.locator(".cs-flash")).to_contain_text("Step 2 comes before step 1 now; each has the other’s time.")
    draft = scene.read(campaign_id)
    assert draft["start"] == [2]
    assert {step["step_no"]: step["next"] for step in draft["steps"]} == {
        1: {"sent": [3]}, 2: {"sent": [1]}, 3: {"a": [4]}, 4: {},
    }  # fmt: skip
    assert [step["at"] for step in draft["steps"]][:2] == [scene.wall(60), scene.wall(0)]
    page.get_by_role("button", name="Actions for step 2, Second").click()
    page.get_by_role("button", name="Move down, after step 1").click()
    expect(page.locator(".cs-flash")).to_contain_text("Step 1 comes before step 2 now")
    assert scene.read(campaign_id)["start"] == [1]
    assert visitor.faults == []


@pytest.mark.parametrize(("choice", "said"), [("Skip them", "are passed over"), ("Start them now", "It goes on with")])
def test_r9_resuming_asks_about_steps_whose_time_has_passed(world, room, sink, plain, choice, said):
    """R9, S27: paused over the time of a step, the page asks: start now, skip, new time."""
    campaign_id, scene = published(world, sink.port, 0, 60, 2 * 1440)
    room.at(scene.start).run()
    paused(world, campaign_id)
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    with clocked(world, scene.start + timedelta(minutes=90)):
        resume(world, visitor, campaign_id, choice, said)
    room.at(scene.start + timedelta(minutes=100)).run()
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    expect(page.locator("#step-2")).to_contain_text("3 skipped" if choice == "Skip them" else "3 accepted")
    assert unexpected(visitor) == []


def resume(world, visitor, campaign_id, choice, said):
    page = visitor.page
    page.context.clear_cookies()
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    page.get_by_role("link", name="Resume…").click()
    page.wait_for_url("**/resume")
    main = page.locator("main")
    expect(main).to_contain_text("Step 2, Message 2")
    expect(main).not_to_contain_text("Message 3")
    page.get_by_label("Start them at a new time").check()
    page.get_by_label("New time", exact=True).fill("2020-01-01T10:00")
    visitor.press("Resume the campaign")
    expect(page.locator("#f-start-error")).to_contain_text("This time has passed as well")
    page.get_by_label(choice).check()
    visitor.press("Resume the campaign")
    page.wait_for_url(re.compile(r"/campaigns/cam_\w+$"))
    expect(page.locator(".cs-flash")).to_contain_text(said)
    page.context.clear_cookies()


def test_s62_s64_a_completed_campaign_is_extended_at_its_ends(world, room, sink, plain):
    """R11: extend, a new step below the last, approval, active again."""
    campaign_id, scene = published(world, sink.port, 0)
    room.at(scene.start).run()
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    expect(page.locator("h1")).to_contain_text("Completed")
    visitor.press("Extend…")
    visitor.press("Extend the campaign")
    page.wait_for_url("**/steps/new?place=1.sent")
    expect(page.locator(".cs-flash")).to_contain_text("Revision 2 is open.")
    page.get_by_role("link", name="Email", exact=True).click()
    page.get_by_label("Name", exact=True).fill("Reminder")
    page.get_by_label("Subject").fill("One more thing")
    page.get_by_label("HTML", exact=True).fill(scenes.HTML)
    page.get_by_label("Text optional", exact=True).fill(scenes.TEXT)
    page.get_by_label("Channel configuration").select_option(scene.channel_id)
    page.get_by_label("Date and time").fill(scene.wall(24 * 60))
    visitor.press("Add step")
    page.wait_for_url("**/edit#step-2")
    expect(page.locator("#step-1")).to_contain_text("has begun, stays as it is")
    visitor.press("Save and request approval")
    page.wait_for_url(re.compile(r"/campaigns/cam_\w+$"))
    expect(page.locator(".cs-flash")).to_contain_text("Approval requested.")
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/2").get_json()
    scenes.approve(world, world.a, campaign_id, found["content_hash"], no=2)
    visitor.open(path_of(world, campaign_id))
    expect(page.locator("h1")).to_contain_text("Active")
    room.at(scene.start + timedelta(days=1)).run()
    visitor.open(path_of(world, campaign_id))
    expect(page.locator("h1")).to_contain_text("Completed")
    expect(page.locator("#step-2")).to_contain_text("3 accepted")
    assert len(sink.messages) == 6
    assert visitor.faults == []


def test_an_extension_of_one_email_leaves_the_email_as_it_was(world, room, sink, visitor):
    """R11: before a step is added, the draft shows the message as done; saving it changes nothing of it."""
    campaign_id, scene = published(world, sink.port, 0)
    room.at(scene.start).run()
    before = scene.read(campaign_id)["steps"]
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    visitor.press("Extend…")
    visitor.press("Extend the campaign")
    visitor.page.wait_for_url("**/steps/new?**")
    visitor.open(path_of(world, campaign_id, "/edit"))
    expect(visitor.page.locator("#step-1")).to_contain_text("has begun, stays as it is")
    visitor.press("Save draft")
    expect(visitor.page.locator(".cs-flash")).to_contain_text("Saved.")
    assert scene.read(campaign_id, 2)["steps"] == before


def test_u11_a_stopped_campaign_is_corrected_and_sent_to_the_rest(world, room, sink, plain):
    """U11: a draft of its own for those not served, with its times left out."""
    campaign_id, scene = published(world, sink.port, 0, 60)
    room.at(scene.start).run()
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    expect(page.get_by_role("button", name="Correct and send to the rest…")).to_have_count(0)
    visitor.press("Stop…")
    visitor.press("Stop the campaign")
    expect(page.locator(".cs-flash")).to_contain_text("Stopping.")
    room.later(5).run()
    visitor.open(path_of(world, campaign_id))
    visitor.press("Correct and send to the rest…")
    visitor.press("Make the draft")
    page.wait_for_url("**/edit")
    assert campaign_id not in page.url
    chosen = page.get_by_label("Audience", exact=True).locator("option:checked")
    expect(chosen).to_have_text("Whom “Black week” has not served")
    rest = re.search(r"cam_\w+", page.url)[0]
    assert [step["at"] for step in scene.read(rest)["steps"]] == [None, None]
    expect(page.locator(".cs-flash")).to_contain_text("had some of the messages before the stop, but not all")
    visitor.open(path_of(world, campaign_id))
    expect(page.get_by_role("button", name="Correct and send to the rest…")).to_have_count(0)
    expect(page.get_by_role("link", name="The campaign for the rest")).to_be_visible()
    assert visitor.faults == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_asking_pages_are_clean(world, room, sink, browser, server, size, scheme):
    campaign_id, scene = published(world, sink.port, 0, 60)
    room.at(scene.start).run()
    paused(world, campaign_id)
    moment = scene.start + timedelta(minutes=90)
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor, clocked(world, moment):
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        visitor.open(path_of(world, campaign_id, "/resume"))
        expect(visitor.page.locator("main")).to_contain_text("Step 2, Message 2")
        assert visitor.axe() == []
        assert not visitor.overflows()
        assert visitor.faults == []
