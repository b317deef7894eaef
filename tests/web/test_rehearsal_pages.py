"""Looking ahead and back by hand: dry run, start test, simulation, why, gates, one call (S46, R6, U5, U6, U10-U14)."""

import json
import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit
from tests.web.flows import FlowDraft

pytestmark = pytest.mark.web


def path_of(world, campaign_id, tail=""):
    return f"/w/{world.a.wsp}/campaigns/{campaign_id}{tail}"


@pytest.fixture
def plain(browser, server):
    """Somebody whose browser runs no script; with script these pages are opened by the tests of how clean they are."""
    with visit(browser, server, java_script_enabled=False) as found:
        yield found


def unexpected(visitor):
    """What the console says, without the answers to forms that were filled in wrongly on purpose."""
    return [fault for fault in visitor.faults if "422" not in fault]


def soon(room):
    return room.at(SystemClock().now() + timedelta(seconds=1))


def split_draft(scene):
    """A message, a condition on the city, two messages; the second follows the first within ten minutes."""
    rule = {"all": [{"attribute": "city", "op": "eq", "value": "Oslo"}]}
    return scene.draft(
        scene.message(1, "Invitation", 0, after=[2]),
        scene.step(2, "condition", "From Oslo?", 10, after={"yes": 3, "no": 4}, rule=rule),
        scene.message(3, "For Oslo", 10),
        scene.message(4, "For others", 10),
    )


@pytest.fixture
def scene(world):
    return FlowDraft(world, world.a).people(12, city="Oslo")


def test_u6_u10_a_draft_is_tried_out_with_its_audience(world, scene, plain):
    """S46, U6, U10: counts of each step and branch, and whether the plan leaves time enough."""
    campaign_id = scene.saved(split_draft(scene))
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/edit"))
    page.get_by_role("link", name="Try it out").click()
    page.wait_for_url("**/rehearse")
    visitor.press("Dry run")
    dry = page.locator("#dry-run")
    expect(dry).to_contain_text("12 people of the audience of now")
    expect(dry.get_by_role("row", name=re.compile("From Oslo"))).to_contain_text(re.compile(r"Yes\s+12"))
    expect(dry.get_by_role("row", name=re.compile("3. For Oslo"))).to_contain_text(re.compile(r"Sent\s+12"))
    visitor.press("Start test")
    test = page.locator("#start-test")
    expect(test).to_contain_text("Time enough")
    expect(test).to_contain_text("Step 1 to step 2")
    assert scene.read(campaign_id)["steps"][0]["name"] == "Invitation", "nothing of it is kept"
    assert visitor.faults == []


def test_u14_test_people_are_played_by_a_virtual_clock(world, scene, any_visitor):
    """U14: people and what they do by rows; their ways step by step; what cannot be stands beside its field."""
    split = scene.step(2, "engagement_split", "Who clicked", 60, after={"clicked": 3, "remaining": 4}, message=1,
                       interactions=["clicked"])  # fmt: skip
    draft = scene.draft(scene.message(1, "Invitation", 0, after=[2]), split, scene.message(3, "Thanks", 60),
                        scene.message(4, "Once more", 60))  # fmt: skip
    campaign_id = scene.saved(draft)
    visitor, page = any_visitor, any_visitor.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/rehearse"))
    for no, name in enumerate(("Kari", "Ola"), 1):
        visitor.press("Add a person")
        person = page.get_by_role("group", name=f"Person {no}")
        person.get_by_label("Name").fill(name)
    page.get_by_role("group", name="Person 2").get_by_label("Consent").select_option("never")
    page.get_by_role("group", name="Person 1").get_by_label("Values").fill("city: Oslo")
    visitor.press("Add something that happens")
    event = page.get_by_role("group", name="Happening 1")
    event.get_by_label("Who").fill("Karl")
    event.get_by_label("What").select_option("clicked")
    event.get_by_label("Step").select_option("1")
    event.get_by_label("Minutes after").fill("20")
    visitor.press("Simulate")
    expect(page.locator("#f-person_1_attributes-error")).to_contain_text("One value a line, as in city = Oslo.")
    page.get_by_role("group", name="Person 1").get_by_label("Values").fill("city = Oslo")
    visitor.press("Simulate")
    expect(page.locator("#f-event_1_person-error")).to_contain_text("Nobody of the people is called so.")
    page.get_by_role("group", name="Happening 1").get_by_label("Who").fill("Kari")
    visitor.press("Simulate")
    played = page.locator("#played")
    kari, ola = played.locator("details", has_text="Kari").first, played.locator("details", has_text="Ola").first
    expect(kari).to_contain_text("Thanks")
    expect(kari).not_to_contain_text("Once more")
    expect(ola).to_contain_text("Never agreed to this topic")
    expect(ola).to_contain_text("Once more")
    expect(page.locator("#simulated").get_by_role("row", name=re.compile("Who clicked"))).to_contain_text("Clicked 1")
    page.get_by_role("button", name="Take out person 2").click()
    expect(page.get_by_role("group", name="Person 2")).to_have_count(0)
    expect(page.get_by_role("group", name="Person 1").get_by_label("Name")).to_have_value("Kari")
    assert unexpected(visitor) == []


def test_an_unfinished_draft_says_what_it_lacks_before_it_is_tried(world, scene, visitor):
    campaign_id = scene.saved(scene.draft(scene.message(1, "Invitation", None)))
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/rehearse"))
    visitor.press("Dry run")
    expect(visitor.page.locator("main")).to_contain_text("missing before it can be tried out")
    visitor.open(path_of(world, campaign_id, "/rehearse?no=7"))
    expect(visitor.page.locator("h1")).to_contain_text("no such")


def gated(world, port):
    """A published flow whose people stand at a gate from the start on."""
    scene = FlowDraft(world, world.a, port).people(3)
    address = {"name": "Call centre", "purpose": "marketing", "url": "https://calls.northwind.example/hook"}
    hook = world.client(world.a, Role.ADMIN).post("/webhook-channels", address).get_json()["channel_id"]
    gate = {"channel_id": hook, "delivers": True, "wait": True, "timeout_minutes": 60, "open_fields": ["offer"]}
    letter = scene.message(2, "Offer", 0)
    letter["content"]["text"] = "{{ context.offer }}\n{{ unsubscribe_url }}"
    draft = scene.draft(scene.step(1, "gate", "Call centre looks", 0, after={"accepted": 2, "rejected": 3}, **gate),
                        letter, scene.message(3, "Sorry", 0))  # fmt: skip
    campaign_id = scene.saved(draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    return campaign_id, scene


def test_r6_people_at_a_gate_are_let_through_by_hand(world, room, sink, plain):
    """R6, S10: the list of who is held, accept and reject, fill in what is open, release, the file."""
    campaign_id, scene = gated(world, sink.port)
    room.at(scene.start).run()
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    page.get_by_role("link", name="Gates").click()
    page.get_by_role("link", name="Step 1, Call centre looks").click()
    page.wait_for_url("**/gates/gat_*")
    expect(page.locator(".cs-head")).to_contain_text("3 people wait")
    first, second, third = scene.addresses
    page.get_by_label(f"offer of {first}").fill("Ten off")
    page.get_by_label(f"Decision about {first}").select_option("accepted")
    page.get_by_label(f"Decision about {second}").select_option("rejected")
    visitor.press("Save decisions")
    expect(page.locator(".cs-flash")).to_contain_text("2 decisions are taken.")
    expect(page.get_by_label(f"Decision about {second}")).to_have_value("rejected")
    told = page.request.get(
        visitor.server + page.get_by_role("link", name="Download as JSON Lines").get_attribute("href")
    )
    rows = {row["email"]: row["decision"] for row in map(json.loads, told.text().splitlines())}
    assert rows == {first: "accepted", second: "rejected", third: None}
    visitor.press("Release everybody…")
    visitor.press("Release them")
    expect(page.locator(".cs-flash")).to_contain_text("Released.")
    room.later(5).run()
    room.later(5).run()
    visitor.open(path_of(world, campaign_id))
    expect(page.locator("#step-2")).to_contain_text("2 accepted")
    expect(page.locator("#step-3")).to_contain_text("1 accepted")
    assert [message.rcpt for message in sink.messages if b"Ten off" in message.data] == [first]
    assert visitor.faults == []


def test_u5_why_somebody_did_or_did_not_get_it(world, room, sink, plain):
    """U5: from the list of people, and by an address; each decision with the facts of that time."""
    scene = FlowDraft(world, world.a, sink.port).people(2, city="Oslo")
    campaign_id = scene.saved(split_draft(scene))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    scenes.add_people(world, world.a, 1, tag="late")
    for minutes in (0, 10):
        room.at(scene.start + timedelta(minutes=minutes)).run()
        room.later(20).run()
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id, "/people?step=3"))
    page.get_by_role("link", name=f"Why: {scene.addresses[0]}").first.click()
    page.wait_for_url("**/why")
    main = page.locator("main")
    expect(main).to_contain_text("got 2 messages")
    question = main.locator("li", has_text="From Oslo?")
    expect(question).to_contain_text("→ Yes")
    question.get_by_text("Facts of that time").click()
    expect(question.locator("dd", has_text="Oslo")).to_be_visible()
    visitor.open(path_of(world, campaign_id, "/people"))
    page.get_by_label("Why did or didn’t somebody get this?").fill("late0@example.org")
    visitor.press("Find out")
    page.wait_for_url("**/why")
    expect(page.locator(".cs-head")).to_contain_text("Is not in this campaign")
    visitor.open(path_of(world, campaign_id, "/people"))
    page.get_by_label("Why did or didn’t somebody get this?").fill("nobody@example.org")
    visitor.press("Find out")
    expect(page.locator(".cs-flash")).to_contain_text("Nobody here has the address nobody@example.org.")
    assert visitor.faults == []


def test_u13_one_person_is_called_by_hand(world, room, sink, plain):
    """U13: rehearsed first, then called; the call as a system would make it stands beside."""
    scenes.add_people(world, world.a, 2, tag="t")
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    soon(room).run()
    visitor, page = plain, plain.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    visitor.open(path_of(world, campaign_id))
    page.get_by_role("link", name="Call", exact=True).click()
    page.wait_for_url("**/call")
    expect(page.locator("#example")).to_contain_text("curl --fail-with-body -X POST")
    visitor.press("Rehearse")
    expect(page.locator("#f-person-error")).to_be_visible()
    page.get_by_label("Person").fill("t0@example.org")
    visitor.press("Rehearse")
    expect(page.locator("#answer")).to_contain_text("The data does not fit the campaign’s")
    page.get_by_label("reset_url").fill("https://id.northwind.example/r/1")
    visitor.press("Rehearse")
    expect(page.locator("#answer")).to_contain_text("Your new password")
    expect(page.locator("#answer")).to_contain_text("https://id.northwind.example/r/1")
    soon(room).run()
    assert sink.messages == [], "a rehearsal enters nobody"
    visitor.press("Call now")
    expect(page.locator("#answer")).to_contain_text("They have entered")
    soon(room).run()
    assert [message.rcpt for message in sink.messages] == ["t0@example.org"]
    assert unexpected(visitor) == []


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_these_pages_are_clean(world, room, sink, browser, server, size, scheme):
    campaign_id, scene = gated(world, sink.port)
    room.at(scene.start).run()
    contact = world.client(world.a, Role.MANAGER).get("/contacts?limit=1").get_json()["data"][0]["contact_id"]
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        for tail in ("/gates", "/rehearse", "/call", f"/people/{contact}/why", ""):
            assert visitor.open(path_of(world, campaign_id, tail)).status == 200, tail
            found[tail] = visitor.axe()
            assert not visitor.overflows(), tail
        visitor.open(path_of(world, campaign_id, "/gates"))
        visitor.page.get_by_role("link", name="Step 1, Call centre looks").click()
        visitor.page.wait_for_url("**/gates/gat_*")
        found["gate"] = visitor.axe()
        assert not visitor.overflows()
        visitor.open(path_of(world, campaign_id, "/rehearse"))
        visitor.press("Add a person")
        visitor.press("Add something that happens")
        visitor.page.get_by_role("group", name="Happening 1").get_by_label("Who").wait_for()
        found["rows"] = visitor.axe()
        visitor.press("Take out happening 1")
        visitor.press("Take out person 1")
        visitor.press("Simulate")
        visitor.page.locator("#played").wait_for()
        found["played"] = visitor.axe()
        assert not visitor.overflows()
        assert visitor.faults == []
    assert {tail: faults for tail, faults in found.items() if faults} == {}


def test_nobody_of_another_workspace_sees_any_of_it(world, scene, visitor):
    campaign_id = scene.saved(split_draft(scene))
    visitor.enter(email_of(world, world.b, Role.MANAGER))
    for tail in ("/rehearse", "/gates", "/call", "/resume", "/why?email=p0@example.org"):
        assert visitor.open(path_of(world, campaign_id, tail)).status == 404
        assert visitor.open(f"/w/{world.b.wsp}/campaigns/{campaign_id}{tail}").status == 404
