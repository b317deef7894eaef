"""The main path by hand: a manager writes, an approver signs exactly what they saw, and the numbers balance."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import PHONE, email_of, visit

pytestmark = pytest.mark.web

EVIL_HTML = (
    "<html><head><script>top.document.title = 'taken'; alert(1)</script></head>"
    '<body onload="alert(2)"><img src="https://tracker.example/x.gif" onerror="alert(3)"><p>Hello</p>'
    '<p><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>'
)


def campaign_path(world, campaign_id, tail=""):
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}{tail}"


def in_review(world, *, hours=30.0, people=5, **content):
    list_id, _ = scenes.add_people(world, world.a, people)
    channel_id = scenes.add_channel(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(hours), **content))
    scenes.submit(world, world.a, campaign_id)
    return campaign_id


def write(manager, world, *, list_id, at):
    """Create a campaign, fill its draft in with a mistake first, and ask for approval. Returns its path."""
    page = manager.page
    manager.open(f"/w/{world.a.wsp}/campaigns")
    page.get_by_role("link", name="Create campaign").first.click()
    page.get_by_label("Name", exact=True).fill("Black week: member prices")
    manager.press("Create campaign")
    page.wait_for_url("**/edit")
    assert "Audience: Choose an audience or a list." in page.locator("#checks").inner_text()
    page.get_by_label("Audience", exact=True).select_option(list_id)
    page.get_by_label("Date and time").fill(scenes.wall(at)[:16])
    page.get_by_label("Channel configuration").select_option(index=1)
    page.get_by_label("Subject").fill("Hi {{ contact.first_name }}")
    page.get_by_label("HTML", exact=True).fill("<p>Hello {{ contact.first_name }</p>")
    manager.press("Save and request approval")
    page.wait_for_url("**/edit")
    assert "missing before you can ask for approval" in manager.said()
    assert page.get_by_label("HTML", exact=True).input_value() == "<p>Hello {{ contact.first_name }</p>"
    page.get_by_label("HTML", exact=True).fill(scenes.HTML)
    page.get_by_label("Text optional", exact=True).fill(scenes.TEXT)
    manager.press("Save and request approval")
    page.wait_for_url(re.compile(r"/campaigns/cam_\w+$"))
    assert "Approval requested." in manager.said()
    return page.url.removeprefix(manager.server)


def sign(approver, path):
    """From the home page to the review, look at what would be sent, and approve it."""
    page = approver.page
    approver.open("/")
    assert "One campaign waits for your decision." in page.locator("main").inner_text()
    page.get_by_role("link", name=re.compile("Black week: member prices.*Waits for you", re.DOTALL)).click()
    page.wait_for_url(f"**{path}/review")
    facts = page.locator(".rv-facts").inner_text()
    assert "12 people" in facts
    assert "As Northwind Club" in facts
    expect(page.frame_locator("iframe.cs-mail").get_by_text(re.compile(r"Hello Name p\d+,"))).to_be_visible()
    assert page.locator("iframe.cs-mail").bounding_box()["height"] == pytest.approx(256, abs=1), "three lines"
    assert "https://shop.northwind.example/sale" in page.locator("main").inner_text()
    approver.press("Approve")
    page.wait_for_url(f"**{path}")
    assert "Signed. The campaign is published." in approver.said()
    assert "Confirmed: it starts" in page.locator("main").inner_text()


def test_from_the_draft_to_the_numbers(world, room, sink, browser, server, any_visitor):
    """With and without script: create, fill in, ask, sign, send, and look at the people behind a number."""
    list_id, addresses = scenes.add_people(world, world.a, 12)
    scenes.add_channel(world, world.a, sink.port)
    at = scenes.soon(2).replace(second=0)
    manager, page = any_visitor.enter(email_of(world, world.a, Role.MANAGER)), any_visitor.page
    path = write(manager, world, list_id=list_id, at=at)
    assert "It can be signed now by: Admin North, Approver North." in page.locator("main").inner_text()
    manager.open(f"{path}/review")
    assert page.get_by_role("button", name="Approve").count() == 0
    with visit(browser, server, java_script_enabled=any_visitor.script) as approver:
        sign(approver.enter(email_of(world, world.a, Role.APPROVER)), path)
        assert approver.faults == []
    room.at(at).run()
    room.later(2).run()
    assert len(sink.messages) == 12
    manager.open(path)
    assert page.locator(".cs-head .cs-badge").inner_text() == "Completed"
    numbers = page.locator("#numbers").inner_text()
    assert "Balances" in numbers
    assert re.search(r"Accepted\s+12\b", numbers)
    assert re.search(r"Planned\s+12\b", numbers)
    page.get_by_role("link", name="Accepted, 12").click()
    page.wait_for_url("**/people?state=accepted")
    assert sorted(page.locator("td .fw-6").all_inner_texts()) == sorted(addresses)
    assert manager.faults == []


def test_publishing_is_refused_to_a_manager_whatever_the_browser_sends(world, visitor):
    """A10: the page has no such button, and a forged form hears which right it needs and who has it."""
    campaign_id = in_review(world)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(campaign_path(world, campaign_id))
    token = visitor.page.locator("input[name=csrf_token]").first.input_value()
    shown = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    for move in ("approve", "publish"):
        answer = visitor.page.request.post(
            f"{visitor.server}{campaign_path(world, campaign_id, f'/revisions/1/{move}')}",
            form={"csrf_token": token, "content_hash": shown["content_hash"]},
        )
        assert answer.status == 403
        assert f"You may not {move} campaigns here" in answer.text()
        assert "comes with the role Administrator or Approver. It can be given by Admin North." in answer.text()
    after = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}").get_json()
    assert (after["state"], after["revision"]["state"]) == ("draft", "in_review")


def test_what_changed_under_the_approvers_eyes_is_not_signed(world, visitor):
    campaign_id = in_review(world)
    visitor.enter(email_of(world, world.a, Role.APPROVER))
    visitor.open(campaign_path(world, campaign_id, "/review"))
    manager = world.client(world.a, Role.MANAGER)
    manager.post(f"/campaigns/{campaign_id}/revisions/1/withdraw")
    found = manager.get(f"/campaigns/{campaign_id}/revisions/1")
    draft = found.get_json()["draft"]
    draft["steps"][0]["content"]["subject"] = "Another subject"
    manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag=found.headers["ETag"])
    scenes.submit(world, world.a, campaign_id)
    visitor.press("Approve")
    text = visitor.page.locator("main").inner_text()
    assert "Nothing was decided. This changed since you looked." in text
    assert "Another subject" in text
    assert manager.get(f"/campaigns/{campaign_id}").get_json()["state"] == "draft"


def test_an_approver_sends_back_with_a_comment_that_the_editor_reads(world, browser, server, any_visitor):
    campaign_id = in_review(world)
    any_visitor.enter(email_of(world, world.a, Role.APPROVER))
    any_visitor.open(campaign_path(world, campaign_id, "/review"))
    any_visitor.press("Request changes…")
    any_visitor.page.get_by_label("What should change, and why?").fill("The price is last year's.")
    any_visitor.press("Send back")
    assert "Sent back with your comment." in any_visitor.said()
    with visit(browser, server) as manager:
        manager.enter(email_of(world, world.a, Role.MANAGER))
        manager.open(campaign_path(world, campaign_id, "/edit"))
        assert "Approver North wrote: The price is last year's." in manager.page.locator("main").inner_text()


def test_who_edited_cannot_sign(world, visitor):
    """R14: administrators are no exception."""
    campaign_id = in_review(world)
    admin = world.client(world.a, Role.ADMIN)
    admin.post(f"/campaigns/{campaign_id}/revisions/1/withdraw")
    found = admin.get(f"/campaigns/{campaign_id}/revisions/1")
    admin.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": found.get_json()["draft"]}, etag=found.headers["ETag"])
    scenes.submit(world, world.a, campaign_id)
    visitor.enter(email_of(world, world.a, Role.ADMIN))
    visitor.open(campaign_path(world, campaign_id, "/review"))
    assert visitor.page.get_by_role("button", name="Approve", exact=True).count() == 0
    assert "Somebody else must approve it." in visitor.page.locator(".cs-decide").inner_text()


def test_two_editors_lose_nothing(world, visitor):
    """Who saves second is told who was first, keeps what they typed, and decides."""
    campaign_id = scenes.make_campaign(world, world.a)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(campaign_path(world, campaign_id, "/edit"))
    visitor.page.get_by_label("Subject").fill("Mine")
    admin = world.client(world.a, Role.ADMIN)
    found = admin.get(f"/campaigns/{campaign_id}/revisions/1")
    theirs = {**found.get_json()["draft"], "steps": [{"step_no": 1, "content": {"subject": "Theirs"}}]}
    assert admin.put(
        f"/campaigns/{campaign_id}/revisions/1", {"draft": theirs}, etag=found.headers["ETag"]
    ).status_code == 200  # fmt: skip
    visitor.press("Save draft")
    assert "Admin North saved this while you were writing." in visitor.page.locator("main").inner_text()
    assert visitor.page.get_by_label("Subject").input_value() == "Mine"
    visitor.press("Save draft")
    visitor.page.wait_for_url("**/edit")
    assert visitor.said() == "Saved."
    draft = admin.get(f"/campaigns/{campaign_id}/revisions/1").get_json()["draft"]
    assert draft["steps"][0]["content"]["subject"] == "Mine"


def test_a_message_can_do_nothing_in_its_frame(world, visitor):
    """Scripts, handlers and pictures from elsewhere stay dead, in the frame and when it is opened by itself."""
    campaign_id = in_review(world, html=EVIL_HTML)
    said, asked = [], []
    visitor.page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
    visitor.page.on("request", lambda request: asked.append(request.url))
    visitor.enter(email_of(world, world.a, Role.APPROVER))
    visitor.open(campaign_path(world, campaign_id, "/review"))
    expect(visitor.page.frame_locator("iframe.cs-mail").get_by_text("Hello")).to_be_visible()
    answer = visitor.open(campaign_path(world, campaign_id, "/preview/1/1"))
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:")
    assert said == []
    assert [url for url in asked if "tracker.example" in url and visitor.page.url in url] == []
    assert "taken" not in visitor.page.title()


def test_stopping_asks_first_and_says_how_many(world, room, sink, visitor):
    at = scenes.soon(1)
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(campaign_path(world, campaign_id))
    visitor.press("Stop…")
    assert "It cannot be started again." in visitor.page.locator("#stop").inner_text()
    visitor.page.get_by_role("button", name="Stop the campaign", exact=True).click()
    visitor.page.locator(".cs-head .cs-badge", has_text="Stopping").wait_for()
    room.at(at).run()
    visitor.open(campaign_path(world, campaign_id))
    assert visitor.page.locator(".cs-head .cs-badge").inner_text() == "Stopped"
    assert visitor.page.get_by_role("button", name="Stop…").count() == 0
    assert sink.messages == []


def test_numbers_follow_while_it_runs(world, room, sink, visitor):
    """The page asks by itself; a campaign that has ended takes badge and buttons along."""
    at = scenes.soon(1)
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    from saas.platform.agenda.types import Queue

    room.at(at).run(Queue.MAINTENANCE)
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    visitor.open(campaign_path(world, campaign_id))
    assert visitor.page.locator(".cs-head .cs-badge").first.inner_text() == "Active"
    room.run()
    room.later(2).run()
    visitor.page.locator(".cs-head .cs-badge", has_text="Completed").wait_for()
    assert "Balances" in visitor.page.locator("#numbers").inner_text()


def test_a_viewer_reads_numbers_and_masked_addresses(world, room, sink, visitor):
    at = scenes.soon(1)
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at).run()
    room.at(at + timedelta(seconds=2)).run()
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    for tail in ("", "/people", "/review", "/preview/1/1"):
        visitor.open(campaign_path(world, campaign_id, tail))
        assert not any(address in visitor.page.content() for address in addresses)
    contact = world.client(world.a, Role.MANAGER).get("/contacts").get_json()["data"][0]["contact_id"]
    answer = visitor.open(campaign_path(world, campaign_id, f"/preview/1/1?contact={contact}"))
    assert answer.status == 403


def test_a_campaign_on_call_declares_its_fields(world, visitor):
    channel_id = scenes.add_channel(world, world.a, 1, purpose="transactional")
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    page = visitor.page
    visitor.open(f"/w/{world.a.wsp}/campaigns/new")
    page.get_by_label("Name", exact=True).fill("Password reset")
    page.get_by_label("On call, for single people").check()
    page.get_by_label("Transactional").check()
    visitor.press("Create campaign")
    page.wait_for_url("**/edit")
    page.get_by_label("Name of field 1").fill("Reset URL")
    page.get_by_label("Channel configuration").select_option(channel_id)
    page.get_by_label("Subject").fill("Your new password")
    page.get_by_label("HTML", exact=True).fill('<p><a href="{{ context.reset_url }}">Reset</a></p>')
    page.get_by_label("Text optional", exact=True).fill("{{ context.reset_url }}")
    visitor.press("Save draft")
    assert "Use small letters" in page.locator("main").inner_text()
    assert page.get_by_label("Name of field 1").input_value() == "Reset URL"
    page.get_by_label("Name of field 1").fill("reset_url")
    visitor.press("Save and request approval")
    page.wait_for_url(re.compile(r"/campaigns/cam_\w+$"))
    assert "Approval requested." in visitor.said()


def test_search_states_and_empty_lists(world, browser, server):
    with visit(browser, server, viewport=PHONE) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        visitor.open(f"/w/{world.a.wsp}/campaigns")
        assert "Nothing planned here yet" in visitor.page.locator("main").inner_text()
        made = scenes.make_campaign(world, world.a)
        visitor.open(f"/w/{world.a.wsp}/campaigns?q=black&state=draft")
        assert visitor.page.locator("a.title").all_inner_texts() == ["Black week"]
        visitor.open(f"/w/{world.a.wsp}/campaigns?q=%25&state=nonsense")
        assert "No campaign fits" in visitor.page.locator("main").inner_text()
        assert not visitor.overflows()
        visitor.open(campaign_path(world, made))
        visitor.press("Archive…")
        visitor.press("Archive the campaign")
        assert "Archived." in visitor.said()
