"""Flows by hand: a person makes one, mends what is marked, watches it and reviews it, with and without script."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import DESK, LOOKS, PHONE, email_of, visit
from tests.web.flows import FlowDraft

pytestmark = pytest.mark.web


def path_of(world, campaign_id, tail=""):
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}{tail}"


def card(page, no):
    return page.locator(f"#step-{no}")


def in_page(locator):
    return re.sub(r"\s+", " ", locator.inner_text())


@pytest.fixture
def scene(world):
    return FlowDraft(world, world.a).people(6, city="Oslo")


@pytest.fixture
def manager(world, any_visitor):
    return any_visitor.enter(email_of(world, world.a, Role.MANAGER))


def fill_in(page, scene, *, subject, name):
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Subject").fill(subject)
    page.get_by_label("HTML", exact=True).fill(scenes.HTML)
    page.get_by_label("Text optional", exact=True).fill(scenes.TEXT)
    page.get_by_label("Channel configuration").select_option(scene.channel_id)


def one_message(page, scene):
    page.get_by_label("Audience", exact=True).select_option(scene.list_id)
    page.get_by_label("Date and time").fill(scene.wall(0))
    page.get_by_label("Name of the message").fill("Invitation")
    page.get_by_label("Subject").fill("Early access")
    page.get_by_label("HTML", exact=True).fill(scenes.HTML)
    page.get_by_label("Channel configuration").select_option(scene.channel_id)


def choose(page, kind):
    page.get_by_role("link", name=kind, exact=True).click()


def test_s29_s33_a_flow_is_made_from_one_message(world, scene, manager):
    """M14, M15, S29-S33, S40-S43: the basics, one message on one page, then more steps, each edited by clicking it."""
    page = manager.page
    manager.open(f"/w/{world.a.wsp}/campaigns/new")
    page.get_by_label("Name", exact=True).fill("Winter jackets")
    manager.press("Create campaign")
    page.wait_for_url("**/edit")
    one_message(page, scene)
    manager.press("Make it a flow")
    page.wait_for_url("**/steps/new?**")
    assert "It comes after step 1, “Invitation”." in page.locator("main").inner_text()
    choose(page, "Random split")
    assert page.get_by_label("Date and time").input_value() == scene.wall(0), "S41: the time before, to begin with"
    page.get_by_label("Name", exact=True).fill("Two groups")
    page.get_by_label("Percent of share 1").fill("60")
    page.get_by_label("Date and time").fill(scene.wall(60))
    manager.press("Add step")
    page.wait_for_url("**/steps/2")
    assert "The branches make 110 %; together they are 100 %." in page.locator("#f-branches").inner_text()
    page.get_by_label("Percent of share 1").fill("50")
    manager.press("Save step")
    page.wait_for_url("**/edit#step-2")
    assert "Random split" in in_page(card(page, 2))
    page.get_by_role("link", name=re.compile("Add step here after step 2, A")).click()
    choose(page, "Email")
    fill_in(page, scene, subject="Three picks", name="Three favourites")
    page.get_by_label("Date and time").fill(scene.wall(30))
    manager.press("Add step")
    page.wait_for_url("**/steps/3")
    beside = page.locator("#f-at-error")
    assert "This is before step 2, which leads to it." in beside.inner_text(), "S42, S43: beside its field"
    manager.open(page.url.removeprefix(manager.server).replace("/steps/3", "/edit"))
    alert = page.locator(".cs-note", has_text="This is before step 2")
    assert alert.count() == 1, "S43: the step is marked in the flow"
    assert "Step 3, Three favourites" in page.locator("#checks").inner_text()
    card(page, 3).get_by_role("link", name="Three favourites").click()
    page.get_by_label("Date and time").fill(scene.wall(60))
    manager.press("Save step")
    page.wait_for_url("**/edit#step-3")
    assert page.locator(".cs-note", has_text="This is before").count() == 0
    assert "Nothing is missing." in page.locator("#checks").inner_text()
    campaign_id = re.search(r"cam_\w+", page.url)[0]
    draft = scene.read(campaign_id)
    assert draft["start"] == [1]
    assert [step["next"] for step in draft["steps"]] == [{"sent": [2]}, {"a": [3]}, {}]
    manager.press("Save and request approval")
    page.wait_for_url(re.compile(r"/campaigns/cam_\w+$"))
    assert "Approval requested." in manager.said()
    assert manager.faults == []


def test_steps_go_between_at_once_together_and_out(world, scene, manager):
    """S33, S59, A2: insert, send at once, let ways meet, take out with what follows or without."""
    page = manager.page
    campaign_id = scene.saved(
        scene.draft(
            scene.step(1, "random_split", "Half", 0, after={"a": 2, "b": 3},
                       branches=[{"key": "a", "name": "A", "weight": 50}, {"key": "b", "name": "B", "weight": 50}]),
            scene.message(2, "Long", 0, after=[4]),
            scene.message(3, "Short", 0),
            scene.message(4, "Last", 60),
        )
    )  # fmt: skip
    edit = path_of(world, campaign_id, "/edit")
    manager.open(edit)
    page.get_by_role("link", name="Insert step before step 4").click()
    choose(page, "Set attributes")
    page.get_by_label("Name", exact=True).fill("Mark")
    page.get_by_label("Attribute 1", exact=True).select_option(index=1)
    page.get_by_label("Value of attribute 1").fill("Oslo")
    manager.press("Add step")
    page.wait_for_url("**/edit#step-5")
    draft = scene.read(campaign_id)
    assert [step["next"] for step in draft["steps"]][1] == {"sent": [5]}
    assert draft["steps"][4]["next"] == {"done": [4]}
    manager.open(path_of(world, campaign_id, "/steps/new?beside=3"))
    assert page.get_by_role("link", name="Random split", exact=True).count() == 0, "only messages at once"
    choose(page, "Email")
    fill_in(page, scene, subject="Also", name="Also")
    manager.press("Add step")
    page.wait_for_url("**/edit#step-6")
    assert "At once" in page.locator(".ol-group").inner_text()
    manager.open(path_of(world, campaign_id, "/steps/new?place=3.sent"))
    page.get_by_label("Step", exact=True).select_option("4")
    manager.press("Go on with it")
    page.wait_for_url("**/edit#flow")
    draft = scene.read(campaign_id)
    assert [step["next"] for step in draft["steps"] if step["step_no"] == 3] == [{"sent": [4]}]
    manager.open(path_of(world, campaign_id, "/steps/1/remove"))
    body = in_page(page.locator("main"))
    assert "Attach what follows “A · 50 %” to the way before It goes on with 2. Long." in body
    page.get_by_label(re.compile("Attach what follows “A")).check()
    manager.press("Take out step 1")
    page.wait_for_url("**/edit#flow")
    assert [step["step_no"] for step in scene.read(campaign_id)["steps"]] == [2, 4, 5]
    assert "Step 1, “Half”, is taken out." in manager.said()
    manager.open(path_of(world, campaign_id, "/steps/new?place=4.sent&kind=email"))
    fill_in(page, scene, subject="New", name="New")
    manager.press("Add step")
    page.wait_for_url("**/edit#step-6")
    assert manager.faults == []


KINDS = {
    "webhook_message": "Webhook message", "ab_test": "A/B test", "segment_split": "Audience split",
    "engagement_split": "Engagement split", "condition": "Condition", "gate": "Gate", "decision": "Decision",
    "wait": "Wait", "set_attribute": "Set attributes", "change_list": "Change list", "change_points": "Change points",
    "call_webhook": "Call webhook", "other_campaign": "Other campaign", "notify_staff": "Tell colleagues", "end": "End",
    "random_split": "Random split", "email": "Email",
}  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_every_kind_has_a_clean_form(world, scene, browser, server, size, scheme):
    """S33: each kind by hand, blank and saved with what is missing beside its fields."""
    campaign_id = scene.saved(
        {"topic": "newsletter", "time_zone": scenes.ZONE, "steps": [scene.message(1, "Hello")]}, kind="flowing"
    )
    found: dict[str, list[str]] = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        visitor.open(path_of(world, campaign_id, "/steps/new?place=1.sent"))
        found["choose"] = visitor.axe()
        for kind, word in KINDS.items():
            visitor.open(path_of(world, campaign_id, f"/steps/new?place=1.sent&kind={kind}"))
            assert word in visitor.page.locator("h1").inner_text()
            assert not visitor.overflows(), kind
            visitor.press("Add step")
            visitor.page.wait_for_url(re.compile(r"/(edit#step|steps)[-/]\d+$"))
            no = re.search(r"\d+$", visitor.page.url)[0]
            visitor.open(path_of(world, campaign_id, f"/steps/{no}"))
            found[f"saved {kind}"] = visitor.axe()
            assert not visitor.overflows(), kind
            visitor.open(path_of(world, campaign_id, f"/steps/{no}/remove"))
            found["remove"] = visitor.axe() if kind == "end" else found.get("remove", [])
            visitor.press(f"Take out step {no}")
            visitor.page.wait_for_url("**/edit**")
        assert visitor.faults == []
    assert {page: faults for page, faults in found.items() if faults} == {}
    assert [step["name"] for step in scene.read(campaign_id)["steps"]] == ["Hello"]


def test_a_condition_is_asked_with_the_rows_of_audiences(world, scene, manager):
    """S8: rows are added and chosen without losing anything, with and without script."""
    page = manager.page
    campaign_id = scene.saved(scene.draft(scene.message(1, "Hello", 0), scene.message(2, "Loose", 0)))
    manager.open(path_of(world, campaign_id, "/steps/new?place=1.sent&kind=condition"))
    manager.press("Add step")
    page.wait_for_url("**/steps/3")
    lacking = page.locator("main").get_by_role("alert").get_by_role("listitem")
    expect(lacking).to_have_text(["Question: Say what is asked about people."])
    page.get_by_label("Name", exact=True).fill("From Oslo?")
    page.get_by_label("Condition 1: what").select_option("attribute:city")
    if not manager.script:
        manager.press("Show what fits the chosen attributes")
        page.wait_for_load_state()
    page.get_by_label("Condition 1: value").fill("Oslo")
    manager.press("Condition")
    page.get_by_label("Condition 2: what").wait_for()
    expect(page.get_by_label("Condition 1: value")).to_have_value("Oslo")
    expect(page.get_by_label("Name", exact=True)).to_have_value("From Oslo?")
    manager.press("Save step")
    page.wait_for_url("**/edit#step-3")
    assert "City is “Oslo”?" in in_page(card(page, 3))
    assert scene.read(campaign_id)["steps"][2]["rule"] == {"all": [{"attribute": "city", "op": "eq", "value": "Oslo"}]}
    assert "Not connected" in page.locator("#flow").inner_text()
    assert "No way leads to step 2." in page.locator("#flow").inner_text()
    assert manager.faults == []


def test_two_editors_of_steps_lose_nothing(world, scene, visitor):
    """Who saves second is told, keeps what they typed, and changes nothing of other steps."""
    campaign_id = scene.saved(scene.draft(scene.message(1, "First", 0, after=[2]), scene.message(2, "Second", 0)))
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/steps/2"))
    visitor.page.get_by_label("Subject").fill("Mine")
    theirs = scene.read(campaign_id)
    theirs["steps"][0]["content"]["subject"] = "Theirs"
    scene.saved(theirs, campaign_id=campaign_id)
    visitor.press("Save step")
    expect(visitor.page.locator("main")).to_contain_text("saved this while you were writing.")
    expect(visitor.page.get_by_label("Subject")).to_have_value("Mine")
    visitor.press("Save step")
    visitor.page.wait_for_url("**/edit#step-2")
    subjects = [step["content"]["subject"] for step in scene.read(campaign_id)["steps"]]
    assert subjects == ["Theirs", "Mine"]


def test_m21_flowing_campaigns_are_offered_and_say_who_comes_in(world, scene, manager):
    """M16, M21, S37, R15: the third way to start, in a sentence; entry and re-entry are fields of the draft."""
    page = manager.page
    manager.open(f"/w/{world.a.wsp}/campaigns/new")
    body = page.locator("main").inner_text()
    assert "for each person a call names, at once" in body and "as people come to match" in body
    page.get_by_label("Name", exact=True).fill("Welcome")
    page.get_by_label("As people come").check()
    manager.press("Create campaign")
    page.wait_for_url("**/edit")
    page.get_by_label("Audience", exact=True).select_option(scene.list_id)
    page.get_by_label("Event", exact=False).first.fill("Order Placed")
    page.get_by_label("Coming again").select_option("after_finishing")
    manager.press("Save draft")
    expect(page.locator("#checks")).to_contain_text("Name the event: small letters")
    page.get_by_label("Event", exact=False).first.fill("order.placed")
    page.get_by_label("Subject").fill("Hello")
    manager.press("Make it a flow")
    page.wait_for_url("**/steps/new?**")
    choose(page, "Wait")
    page.get_by_label("How long", exact=True).fill("2")
    manager.press("Add step")
    page.wait_for_url("**/edit#step-2")
    start = in_page(page.locator("#start"))
    assert "Whose event “order.placed” is told, of: everybody on Club p; nobody else" in start
    assert "Waits 2 days" in in_page(card(page, 2))
    campaign_id = re.search(r"cam_\w+", page.url)[0]
    assert scene.read(campaign_id)["entry"] == {
        "event": "order.placed", "leaving": "stay", "re_entry": "after_finishing", "every_minutes": 5
    }  # fmt: skip
    assert manager.faults == []


def approved(world, port):
    """A flow of steps at three times, approved; its campaign and the scene."""
    scene = FlowDraft(world, world.a, port).people(20, city="Oslo")
    branches = [{"key": "a", "name": "A", "weight": 60}, {"key": "b", "name": "B", "weight": 40}]
    changes = [{"attribute": "city", "value": "Bergen"}]
    draft = scene.draft(
        scene.message(1, "Invitation", 0, after=[2]),
        scene.step(2, "random_split", "Groups", 60, after={"a": 3, "b": 4}, branches=branches),
        scene.step(3, "set_attribute", "Mark", 60, after={"done": 5}, changes=changes),
        scene.message(4, "Reminder", 60, after=[5]),
        scene.message(5, "Last day", 2 * 1440, after=[6]),
        scene.message(6, "Thanks", 4 * 1440),
    )
    campaign_id = scene.saved(draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    return campaign_id, scene


def running(world, room, sink):
    """The same, with its first four steps done."""
    campaign_id, scene = approved(world, sink.port)
    for minutes in (0, 60):
        room.at(scene.start + timedelta(minutes=minutes)).run()
        room.later(30).run()
    return campaign_id, scene


def test_s53_a_running_flow_shows_plan_and_truth_of_each_step(world, room, sink, manager):
    """R2, S53, S54: planned, effective, began and ended; people on each way; each number leads to its people."""
    campaign_id, scene = running(world, room, sink)
    page = manager.page
    manager.open(path_of(world, campaign_id))
    assert page.locator(".cs-head .cs-badge").first.inner_text() == "Active"
    assert "times in Oslo" in page.locator("#flow header").inner_text()
    first, last = in_page(card(page, 1)), in_page(card(page, 5))
    at = f"{scene.wall(0)[11:]}"
    for label in ("Planned", "Effective", "Began", "Ended"):
        assert re.search(rf"{label} \w+ \d+ \w+ (\d+ )?{at}", first) or label == "Ended", first
    assert "20 people came here" in first and "20 accepted" in first
    assert "Planned" in last and "Began" not in last
    flow = in_page(page.locator("#flow"))
    assert "A · 60 % · 12 people" in flow and "B · 40 % · 8 people" in flow
    assert "20 people came in." in flow
    assert "12 people came here" in in_page(card(page, 3))
    card(page, 4).get_by_role("link", name="Accepted, 8, Step 4, Reminder").click()
    page.wait_for_url("**/people?state=accepted&step=4")
    assert page.locator("td .fw-6").count() == 8
    assert "at step 4, Reminder" in in_page(page.locator(".cs-head"))
    assert manager.faults == []


def test_s57_s61_editing_live_leaves_what_has_begun(world, room, sink, visitor):
    """S57, S59-S61: begun steps stay, the next one keeps its place and may change, all else is free."""
    campaign_id, scene = running(world, room, sink)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    page = visitor.page
    visitor.open(path_of(world, campaign_id))
    visitor.press("Change it")
    page.wait_for_url("**/edit")
    assert "has begun, stays as it is" in in_page(card(page, 1))
    assert card(page, 1).get_by_role("link").count() == 0
    assert "comes next, stays where it is" in in_page(card(page, 5))
    assert page.get_by_role("link", name=re.compile(r"Insert step before step [1-5]")).count() == 0
    assert visitor.axe() == []
    for tail, said in (
        ("/steps/1", "Step 1 has begun; it stays as it is."),
        ("/steps/2/remove", "Step 2 has begun; it stays as it is."),
        ("/steps/new?beside=1", "Step 1 has begun; it stays as it is."),
        ("/steps/5/remove", "People come to step 5 next; it stays where it is, and can be changed."),
        ("/steps/new?place=1.sent", "People stand there now: what comes next keeps its place."),
        ("/steps/new?place=start", "People stand there now: what comes next keeps its place."),
    ):
        visitor.open(path_of(world, campaign_id, tail))
        assert said in visitor.said(), tail
    card(page, 5).get_by_role("link", name="Last day").click()
    page.get_by_label("Subject").fill("Very last day")
    visitor.press("Save step")
    page.wait_for_url("**/edit#step-5")
    page.get_by_role("link", name="Insert step before step 6").click()
    choose(page, "Change points")
    page.get_by_label("Points", exact=True).fill("10")
    visitor.press("Add step")
    page.wait_for_url("**/edit#step-7")
    assert "Nothing is missing." in page.locator("#checks").inner_text()
    draft = scene.read(campaign_id, 2)
    assert [step["next"] for step in draft["steps"]][4:] == [{"sent": [7]}, {}, {"done": [6]}]
    assert visitor.faults == []


def test_s58_a_draft_that_came_too_late_is_carried_over(world, room, sink, manager):
    """S58, R9: a step begins before its change is published; what is still possible is kept."""
    campaign_id, scene = running(world, room, sink)
    page = manager.page
    manager.open(path_of(world, campaign_id))
    manager.press("Change it")
    page.wait_for_url("**/edit")
    for no, subject in ((5, "Very last day"), (6, "Many thanks")):
        manager.open(path_of(world, campaign_id, f"/steps/{no}"))
        page.get_by_label("Subject").fill(subject)
        manager.press("Save step")
        page.wait_for_url(f"**/edit#step-{no}")
    assert page.get_by_text("has begun meanwhile").count() == 0
    room.at(scene.start + timedelta(days=2)).run()
    manager.open(path_of(world, campaign_id, "/edit"))
    assert "A step that this draft changes has begun meanwhile." in page.locator("#flow").inner_text()
    manager.press("Carry over what is still possible")
    expect(page.locator(".cs-flash")).to_contain_text("all else of your draft is kept")
    subjects = {step["step_no"]: step.get("content", {}).get("subject") for step in scene.read(campaign_id, 2)["steps"]}
    assert (subjects[5], subjects[6]) == ("Last day", "Many thanks")
    assert manager.faults == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_s55_approvers_see_the_whole_flow_and_what_changed(world, browser, server, size, scheme):
    """S55, U7: every step in words, each message rendered; steps added, taken out, moved and changed are named."""
    campaign_id, scene = approved(world, 1)
    manager = world.client(world.a, Role.MANAGER)
    assert manager.post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    draft = scene.read(campaign_id, 2)
    steps = {step["step_no"]: step for step in draft["steps"]}
    steps[3]["next"], steps[4]["next"] = {"done": [7]}, {"sent": [7]}
    steps[5]["content"]["subject"] = "Very last day"
    draft["steps"].append(scene.step(7, "change_points", "Reward", 1440, after={"done": 5}, points=10))
    scene.saved(draft, campaign_id=campaign_id, no=2)
    scenes.submit(world, world.a, campaign_id, no=2)
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.APPROVER))
        for tail in ("", "/review", "/review?no=1"):
            assert visitor.open(path_of(world, campaign_id, tail)).status == 200
            found[tail] = visitor.axe()
            assert not visitor.overflows(), tail
        visitor.open(path_of(world, campaign_id, "/review"))
        page = visitor.page
        changed, flow = in_page(page.locator("#changed")), in_page(page.locator("#flow"))
        assert "New step 7 “Reward”, Change points: Gives 10 points; after step 3; after step 4" in changed
        assert "Step 5, Last day, is moved after step 3; after step 4 after step 7" in changed
        assert "Step 5, Last day: subject" in changed
        assert "Sets City to Bergen" in flow and "A · 60 %, B · 40 %" in flow
        assert "Goes on with step 7, Reward" in flow
        assert page.locator("iframe.cs-mail").count() == 4, "each message as it looks"
        card(page, 4).get_by_role("link", name="Reminder").click()
        assert page.url.endswith("#message-4")
        assert visitor.faults == []
    assert {tail: faults for tail, faults in found.items() if faults} == {}


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_flow_of_a_draft_is_clean(world, scene, browser, server, size):
    """S33, S43: the outline with alerts, messages at once, ways that meet; its menus too."""
    campaign_id = scene.saved(scene.big())
    with visit(browser, server, viewport=size) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        visitor.open(path_of(world, campaign_id, "/edit"))
        assert visitor.axe() == []
        assert not visitor.overflows()
        visitor.page.get_by_role("button", name="Actions for step 3, Three favourites").click()
        assert visitor.axe() == []
        visitor.page.get_by_role("link", name="Another message at once").click()
        visitor.page.wait_for_url("**/steps/new?beside=3")
        assert visitor.faults == []


def test_who_waits_at_a_step_that_goes_is_led_on(world, scene, visitor):
    """R9: of a flowing campaign that runs, the draft says where those go who wait at what is taken out."""
    wait = {"for": "delay", "minutes": 60}
    draft = scene.draft(scene.message(1, "Hello", after=[2]), scene.step(2, "wait", "An hour", after={"done": 3}, **wait),
                        scene.message(3, "Again"), kind="flowing")  # fmt: skip
    campaign_id = scene.saved(draft, kind="flowing")
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    assert world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/revisions").status_code == 201
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/steps/2/remove"))
    visitor.press("Take out step 2")
    visitor.page.wait_for_url("**/edit#flow")
    assert scene.read(campaign_id, 2)["moves"] == {"2": 3}


def test_webhook_messages_are_reviewed_as_their_body(world, scene, visitor):
    """S14: the body as it is posted for a sample person, and the address that it goes to."""
    address = {"name": "Shop", "purpose": "marketing", "url": "https://shop.northwind.example/hook"}
    hook = world.client(world.a, Role.ADMIN).post("/webhook-channels", address).get_json()["channel_id"]
    body = '{"email": {{ contact.email | json }}}'
    draft = scene.draft(scene.message(1, "Hello", 0, after=[2]),
                        scene.step(2, "webhook_message", "Tell the shop", 0, channel_id=hook, body=body))  # fmt: skip
    campaign_id = scene.saved(draft)
    scenes.submit(world, world.a, campaign_id)
    visitor.enter(email_of(world, world.a, Role.APPROVER))
    visitor.open(path_of(world, campaign_id, "/review"))
    shown = in_page(visitor.page.locator("#message-2"))
    assert "webhook message “Tell the shop”" in shown
    assert '"email": "p' in shown
    assert "To Shop" in in_page(card(visitor.page, 2))
    assert visitor.axe() == []


def test_a_step_of_an_unknown_kind_is_shown_and_can_be_taken_out(world, scene, visitor):
    """The API keeps kinds that there are not; the page says so and loses nothing."""
    draft = scene.draft(scene.message(1, "Hello", 0, after=[2]), scene.step(2, "sms", "Text message", 0))
    campaign_id = scene.saved(draft)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/steps/2"))
    assert "There is no such kind of step." in visitor.said()
    assert "Unknown kind" in in_page(card(visitor.page, 2))
    visitor.open(path_of(world, campaign_id, "/steps/2/remove"))
    visitor.press("Take out step 2")
    visitor.page.wait_for_url("**/edit#flow")
    assert [step["step_no"] for step in scene.read(campaign_id)["steps"]] == [1]


def test_the_flow_follows_while_it_runs(world, room, sink, visitor):
    """U4: the part that is asked for again says the same as the page."""
    campaign_id, _ = running(world, room, sink)
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    visitor.open(path_of(world, campaign_id))
    asked = visitor.page.locator("#flow").get_attribute("hx-get")
    shown = in_page(visitor.page.locator("#flow"))
    assert visitor.open(asked).status == 200
    assert in_page(visitor.page.locator("#flow")) == shown


def test_nobody_edits_the_flow_of_another_workspace(world, scene, visitor):
    campaign_id = scene.saved(scene.big())
    visitor.enter(email_of(world, world.b, Role.MANAGER))
    for tail in ("/steps/1", "/steps/new", "/steps/1/remove", "/steps/watch"):
        assert visitor.open(path_of(world, campaign_id, tail)).status == 404
        assert visitor.open(f"/w/{world.b.wsp}/campaigns/{campaign_id}{tail}").status == 404
    visitor.page.context.clear_cookies()
    visitor.enter(email_of(world, world.a, Role.VIEWER))
    assert visitor.open(path_of(world, campaign_id, "/steps/1")).status == 403


def test_m26_s16_forms_say_who_does_not_wait_and_who_wins_a_tie(world, scene):
    born = scene.step(
        2, "wait", "Birthday", attribute="birthday", days=0, time="09:00", yearly=True, **{"for": "attribute"}
    )
    steps = [scene.message(1, "Hello", after=2), born, scene.step(3, "ab_test", "Subjects")]
    campaign_id = scene.saved(scene.draft(*steps, kind="flowing"), kind="flowing")
    client = world.client(world.a, Role.MANAGER)
    waits = client.http.get(path_of(world, campaign_id, "/steps/2")).text
    assert "Who has no such date goes on at once" in waits
    assert "29 February has 1 March" in waits
    assert "Of variants that do equally well" in client.http.get(path_of(world, campaign_id, "/steps/3")).text
