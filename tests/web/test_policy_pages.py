"""Pages of approval policies (U3, U8): rules by a form without script, replay, outside approvers; at a desk and a phone."""

import pytest

from saas.kernel.ids import show
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import DESK, PHONE, visit

pytestmark = pytest.mark.web


def path(world, rest=""):
    return f"/w/{world.a.wsp}/settings/policies{rest}"


def asked(world, people):
    list_id, _ = scenes.add_people(world, world.a, people, tag=f"p{people}")
    campaign_id = scenes.make_campaign(world, world.a)
    channel = scenes.add_channel(world, world.a, 25, name=f"Mail {people}")
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel, scenes.soon()))
    scenes.submit(world, world.a, campaign_id)


def test_u3_an_administrator_writes_a_rule_and_replays_it(world, any_visitor):
    asked(world, 1)
    asked(world, 6)
    page = any_visitor.enter(world.a.emails[Role.ADMIN])
    page.open(path(world))
    assert "One person who may approve" in page.page.locator("main").inner_text()
    page.page.get_by_role("link", name="Edit rules Whole workspace").click()
    page.press("Rule")
    page.page.get_by_label("Name", exact=True).fill("Big ones")
    page.page.get_by_label("The audience has at least").fill("5")
    page.page.get_by_label("How many").fill("2")
    page.press("Replay over what was submitted")
    replay = page.page.locator("#replay").inner_text()
    assert "1 of the last 2 submissions would have needed a second approver" in replay
    assert page.page.get_by_label("Name", exact=True).input_value() == "Big ones"
    page.page.get_by_role("button", name="Save").last.click()
    assert "Saved." in page.said()
    shown = page.page.locator("main").inner_text()
    assert "Big ones" in shown and "5 people or more" in shown and "2 signatures of anybody who may approve" in shown
    found = world.client(world.a, Role.VIEWER).get("/approval-policy").get_json()
    assert found["version"] == 1
    assert found["rules"][0]["when"]["people_from"] == 5
    assert page.faults == []


def test_u3_stages_named_people_and_what_is_wrong(world, visitor):
    page = visitor.enter(world.a.emails[Role.ADMIN])
    page.open(path(world, "/rules"))
    page.press("Rule")
    page.page.get_by_role("button", name="Stage rule 1").click()
    page.page.get_by_label("How many").first.fill("x")
    page.page.get_by_role("button", name="Save").last.click()
    assert "Write a whole number." in page.page.locator("main").inner_text()
    assert "Fill this in." in page.page.locator("main").inner_text()
    page.page.get_by_label("Name", exact=True).fill("Law first")
    page.page.get_by_label("How many").first.fill("1")
    page.page.get_by_label("Approver North").first.check()
    page.page.get_by_label("Of", exact=True).nth(1).select_option("admin")
    page.page.get_by_label("The stages").select_option("sequence")
    page.page.get_by_label("Once approved").select_option("manager")
    page.page.get_by_role("button", name="Save").last.click()
    (rule,) = world.client(world.a, Role.VIEWER).get("/approval-policy").get_json()["rules"]
    assert rule["then"]["stages"][0]["accounts"] == [show("acc", world.a.accounts[Role.APPROVER])]
    assert (rule["then"]["stages"][1]["role"], rule["then"]["order"]) == ("admin", "sequence")
    text = page.page.locator("main").inner_text()
    assert "1 signature of Approver North, then 1 signature of administrators; then a manager publishes" in text
    assert page.axe() == []


def test_u8_outside_approvers_are_listed_and_taken_off(world, visitor):
    page = visitor.enter(world.a.emails[Role.ADMIN])
    page.open(path(world))
    page.press("List them")
    assert "Fill this in." in page.page.locator("main").inner_text()
    page.page.get_by_label("Name", exact=True).fill("Ola Client")
    page.page.get_by_label("Email", exact=True).fill("ola@client.example")
    page.press("List them")
    assert "Not confirmed" in page.page.locator("main").inner_text()
    page.press("Remove…")
    page.press("Take off the list")
    assert "Ola Client" not in page.page.locator("main").inner_text()


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
def test_r14_others_read_the_rules_and_learn_who_writes_them(world, visitor, role):
    page = visitor.enter(world.a.emails[role])
    page.open(path(world))
    text = page.page.locator("main").inner_text()
    assert "Whole workspace" in text and "Edit rules" not in text and "Outside approvers" not in text
    assert page.open(path(world, "/rules")).status == 403


@pytest.mark.parametrize("size", [DESK, PHONE])
def test_the_pages_fit_a_desk_and_a_phone(world, browser, server, size):
    rule = {
        "name": "Whatever is large, legal or leaves through the club’s mail",
        "when": {"people_from": 100_000, "tags": ["legal", "press"], "kinds": ["dated", "api_marketing"]},
        "then": {"stages": [{"needed": 2, "role": "approver"}, {"needed": 1, "role": "admin"}], "order": "sequence"},
    }
    world.client(world.a, Role.ADMIN).put("/approval-policy", {"rules": [rule, rule]}, etag='"0"')
    with visit(browser, server, viewport=size) as page:
        page.enter(world.a.emails[Role.ADMIN])
        for rest in ("", "/rules"):
            page.open(path(world, rest))
            assert not page.overflows(), rest
            assert page.axe() == []
        assert page.faults == []
