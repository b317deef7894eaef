"""Recent activity beside every overview, and the audit log's page (M7, U2): by hand, at both widths, with axe."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import expect

from saas.audit.rules import check_file
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import DESK, LOOKS, PHONE, email_of, visit

pytestmark = pytest.mark.web
SHOTS = os.environ.get("SHOTS", "")


@pytest.fixture
def things(world, sink):
    """One of each thing that has an overview. Returns their addresses."""
    campaign = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=scenes.soon())[0]
    boss = world.client(world.a, Role.ADMIN)

    def made(path, key, body):
        answer = boss.post(path, body)
        assert answer.status_code == 201, answer.text
        return answer.get_json()[key]

    list_id = made("/lists", "list_id", {"name": "Winter club", "project_id": world.a.prj})
    rule = {
        "name": "Norwegians",
        "project_id": world.a.prj,
        "list_id": list_id,
        "visibility": "public",
        "rule": {"all": []},
    }
    channel = {
        "name": "Club mail", "purpose": "marketing", "from_name": "Northwind Club", "security": "starttls", "port": 587,
        "from_address": "club@news.northwind.example", "host": "smtp.example.com",
    }  # fmt: skip
    here = f"/w/{world.a.wsp}"
    return {
        "campaign": f"{here}/campaigns/{campaign}",
        "list": f"{here}/lists/{list_id}",
        "audience": f"{here}/audiences/{made('/audiences', 'audience_id', rule)}",
        "channel": f"{here}/settings/channels/{made('/channels', 'channel_id', channel)}",
        "project": f"{here}/settings/projects/{world.a.prj}",
        "workspace": f"{here}/settings/workspace",
        "home": f"{here}/",
    }


def activity(page):
    return page.locator("section", has=page.get_by_role("heading", name="Recent activity"))


def shot(visitor, name):
    if SHOTS:
        visitor.page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


SAID = {
    "campaign": "Approver North approved revision 1", "list": "Admin North made the list", "audience": "Admin North made the audience",
    "channel": "Admin North made the channel configuration", "project": "made the audience · Norwegians",
    "workspace": "made the audience · Norwegians", "home": "approved revision 1 · Black week",
}  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_m7_every_overview_says_what_happened_last(world, browser, server, things, size, scheme):
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.ADMIN))
        for name, path in things.items():
            assert visitor.open(path).status == 200, path
            text = " ".join(activity(visitor.page).inner_text().split())
            assert SAID[name] in text, (name, text)
            assert not visitor.overflows(), path
            found[name] = visitor.axe()
            shot(visitor, f"activity-{name}-{size['width']}-{scheme}")
        assert visitor.faults == []
    assert {name: faults for name, faults in found.items() if faults} == {}


def test_m7_all_activity_leads_to_the_log_of_that_thing(world, visitor, things):
    page = visitor.enter(email_of(world, world.a, Role.APPROVER)).page
    visitor.open(things["campaign"])
    activity(page).get_by_role("link", name="All activity").click()
    page.wait_for_url("**/settings/audit?subject=cam_*")
    rows = page.locator("tbody tr")
    assert {row.split("·")[-1].split("\n")[0].strip().split("\t")[0] for row in rows.all_inner_texts()} == {
        "Black week"
    }
    page.get_by_role("link", name="Show everything").click()
    expect(page.get_by_role("link", name="Show everything")).to_have_count(0)
    assert rows.count() > 5
    page.get_by_label("What").select_option(label="Approved revision …")
    page.get_by_role("button", name="Show").click()
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="Black week").click()
    page.wait_for_url(f"**{things['campaign']}")


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MANAGER, Role.AGENCY_OWNER])
def test_m7_each_sees_what_they_may_see(world, visitor, things, role):
    page = visitor.enter(email_of(world, world.a, role)).page
    visitor.open(things["home"])
    text = activity(page).inner_text()
    if role is Role.AGENCY_OWNER:  # reads the log, and of campaigns not even the name
        assert "approved revision 1" in text and "Black week" not in text
        assert page.get_by_role("link", name="All activity").count() == 1
    else:
        assert "Black week" in text and page.get_by_role("link", name="All activity").count() == 0
        assert "gave a role" not in text or role is Role.MANAGER


def test_m7_nothing_happened_yet(world, visitor, owner_engine):
    page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
    list_id, _ = scenes.add_people(world, world.a, 1)  # made behind the log's back
    visitor.open(f"/w/{world.a.wsp}/lists/{list_id}")
    assert "Nothing has happened yet." in activity(page).inner_text()
    assert visitor.axe() == []


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_u2_the_log_is_read_filtered_exported_and_subscribed_to(world, browser, server, things, size, tmp_path):
    with visit(browser, server, viewport=size, accept_downloads=True) as visitor:
        page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
        visitor.open(f"/w/{world.a.wsp}/settings/audit")
        assert not visitor.overflows() and visitor.axe() == []
        shot(visitor, f"audit-{size['width']}")
        with page.expect_download() as waiting:
            page.get_by_role("link", name="Download").click()
        file = tmp_path / "audit.jsonl"
        waiting.value.save_as(file)
        head, broken = check_file(file.read_text().splitlines(keepends=True))
        assert broken is None and head["workspace"] == world.a.wsp
        visitor.press("Mail it to me")
        assert "07:00" in visitor.said()
        assert page.get_by_text("Mailed to you", exact=True).is_visible()
        page.get_by_label("Address outside").fill("auditor")
        visitor.press("Add address")
        assert page.locator("#f-email-error").is_visible()
        assert page.get_by_label("Address outside").input_value() == "auditor"
        page.get_by_label("Address outside").fill("auditor@client.example")
        visitor.press("Add address")
        assert page.get_by_text("auditor@client.example").is_visible()
        assert not visitor.overflows() and visitor.axe() == []
        shot(visitor, f"audit-subscribed-{size['width']}")
        visitor.press("Mail it to auditor@client.example no longer")
        assert page.get_by_text("Nobody else.").is_visible()
        visitor.press("Mail it to me no longer")
        assert page.get_by_role("button", name="Mail it to me", exact=True).is_visible()
        page.get_by_label("Who").select_option(label="Approver North")
        page.get_by_role("button", name="Show").click()
        page.wait_for_url("**actor=acc_*")
        assert set(page.locator("tbody tr td:nth-child(2)").all_inner_texts()) == {"Approver North"}
        page.get_by_label("About").fill("cam_nothing")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("No entry fits")).to_be_visible()
        assert not visitor.overflows() and visitor.axe() == []
        shot(visitor, f"audit-none-{size['width']}")
        assert [fault for fault in visitor.faults if "422" not in fault] == []


def test_u2_the_log_has_pages_and_its_filters_stay(world, visitor):
    boss = world.client(world.a, Role.ADMIN)
    for no in range(55):
        assert boss.post("/lists", {"name": f"Club {no}", "project_id": world.a.prj}).status_code == 201
    page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
    visitor.open(f"/w/{world.a.wsp}/settings/audit?action=list.created")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    assert "Club 54" in rows.first.inner_text()
    page.get_by_role("link", name="Next").click()
    expect(rows).to_have_count(5)
    assert "Club 0" in rows.last.inner_text()
    assert page.get_by_label("What").input_value() == "list.created"
    page.get_by_role("link", name="Previous").click()
    expect(rows).to_have_count(50)
    visitor.open(f"/w/{world.a.wsp}/settings/audit?from=yesterday")
    assert "Write a day" in page.locator("#f-from-error").inner_text()
