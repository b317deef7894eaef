"""Categories, the list, copies, the archive and templates of campaigns as pages (M8, M9, M11, M12, S1)."""

import json

import pytest
from playwright.sync_api import expect

from saas.kernel.ids import uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.web.conftest import LOOKS, PHONE, email_of, visit

pytestmark = pytest.mark.web


def as_role(visitor, world, role):
    return visitor.enter(email_of(world, world.a, role)).page


def category(world, name, tone="teal"):
    answer = world.client(world.a, Role.MANAGER).post("/categories", {"name": name, "tone": tone})
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["category_id"])


def campaign(world, name, **more):
    body = {"name": name, "project_id": world.a.prj, "kind": "dated", "purpose": "marketing", **more}
    answer = world.client(world.a, Role.MANAGER).post("/campaigns", body)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["campaign_id"])


def drafted(world):
    list_id, _ = scenes.add_people(world, world.a, 2, tag=uuid7().hex)
    channel_id = scenes.add_channel(world, world.a, 25, name=f"Mail {uuid7().hex}")
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(30)))
    return campaign_id


def state_of(world, campaign_id):
    return world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}").get_json()["state"]


def test_m11_a_category_is_made_changed_given_and_archived(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    settings, name = f"/w/{world.a.wsp}/settings/categories", f"Season {uuid7().hex[:6]}"
    visitor.open(settings)
    visitor.press("Make category")
    expect(page.locator("#f-name-error")).to_contain_text("Fill this in.")
    page.get_by_label("Name", exact=True).last.fill(name)
    page.get_by_label("Colour").last.select_option("plum")
    visitor.press("Make category")
    assert f"“{name}” is made" in visitor.said()
    page.get_by_label("Name", exact=True).last.fill(name)
    visitor.press("Make category")
    expect(page.locator("#f-name-error")).to_contain_text("already")
    campaign_id = campaign(world, "Winter jackets")
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    page.get_by_text("Change name, description, tags or category").click()
    page.get_by_label("Category").select_option(label=name)
    visitor.press("Save")
    expect(page.get_by_label("Times and activity")).to_contain_text(name)
    visitor.open(settings)
    row = page.get_by_role("row").filter(has_text=name)
    row.get_by_role("button", name=f"Change {name}").click()
    row.get_by_label("Name").fill(f"{name} old")
    row.get_by_role("button", name="Save category").click()
    assert "Saved." in visitor.said()
    page.get_by_role("button", name=f"Archive {name} old").click()
    assert "stays on them" in visitor.said()
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    expect(page.get_by_label("Times and activity")).to_contain_text(f"{name} old")
    visitor.open(settings)
    page.get_by_role("button", name=f"Bring back {name} old").click()
    assert "Saved." in visitor.said()


def test_m12_the_list_is_narrowed_by_its_address(world, any_visitor):
    tag, name = uuid7().hex[:8], uuid7().hex[:8]
    category_id = category(world, f"Club {name}")
    first = campaign(world, f"{name} first", tags=[tag], category_id=category_id)
    campaign(world, f"{name} second", tags=[tag])
    visitor, page = any_visitor, as_role(any_visitor, world, Role.VIEWER)
    visitor.open(f"/w/{world.a.wsp}/campaigns?q={name}&sort=name")
    titles = page.locator("tbody .title")
    expect(titles).to_have_text([f"{name} first", f"{name} second"])
    page.get_by_label("Category").select_option(label=f"Club {name}")
    if not visitor.script:
        page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_url(f"**category_id={category_id}*")
    expect(titles).to_have_text([f"{name} first"])
    expect(page.locator("tbody")).to_contain_text(f"Club {name}")
    page.get_by_role("link", name="Clear").click()
    visitor.open(f"/w/{world.a.wsp}/campaigns?tag={tag}&state=archived")
    expect(page.locator("main")).to_contain_text("No campaign fits")
    assert page.get_by_role("button", name="Archive").count() == 0, "a viewer changes nothing"
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{first}/archive")
    page.reload()
    expect(titles).to_have_text([f"{name} first"])


def test_m11_m12_several_campaigns_at_once_with_a_result_for_each(world, any_visitor):
    name, tag = uuid7().hex[:8], uuid7().hex[:8]
    category_id = category(world, f"Club {name}")
    fine = campaign(world, f"{name} fine")
    at = scenes.soon(2)
    scheduled, _ = scenes.approved_campaign(world, world.a, people=1, port=25, at=at)
    manager = world.client(world.a, Role.MANAGER)
    path = f"/campaigns/{scheduled}"
    manager.patch(path, {"name": f"{name} live"}, etag=manager.get(path).headers["ETag"])
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    address = f"/w/{world.a.wsp}/campaigns?q={name}"

    def tick_all():
        visitor.open(address)
        if visitor.script:
            page.get_by_label("Tick all on this page").check()
        else:
            page.get_by_label(f"Tick {name} fine").check()
            page.get_by_label(f"Tick {name} live").check()

    tick_all()
    page.get_by_label("Tag that they get").fill(tag.upper())
    page.get_by_role("button", name="Add tag").click()
    expect(page.locator("main")).to_contain_text("2 of 2 done")
    tick_all()
    page.get_by_label("Category that they get").select_option(label=f"Club {name}")
    page.get_by_role("button", name="Categorise").click()
    expect(page.locator("main")).to_contain_text("2 of 2 done")
    for one in (fine, scheduled):
        found = manager.get(f"/campaigns/{one}").get_json()
        assert (found["tags"], found["category_id"]) == ([tag], category_id)
    tick_all()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("main")).to_contain_text("1 of 2 done")
    expect(page.get_by_role("row").filter(has_text=f"{name} live")).to_contain_text("archive is not possible")
    assert (state_of(world, fine), state_of(world, scheduled)) == ("archived", "scheduled")
    visitor.open(address)
    page.get_by_label(f"Tick {name} live").check()
    page.get_by_role("button", name="Duplicate", exact=True).click()
    page.get_by_role("link", name="The copy").click()
    expect(page.locator("h1")).to_contain_text(f"Copy of {name} live")
    visitor.open(address)
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("main")).to_contain_text("Tick the campaigns first.")


def test_a_campaign_is_copied_archived_and_brought_back(world, any_visitor):
    campaign_id = drafted(world)
    visitor, page = any_visitor, as_role(any_visitor, world, Role.APPROVER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    visitor.press("Duplicate…")
    page.locator("#copy-name").fill("Black week again")
    visitor.press("Make the copy")
    expect(page.locator("h1")).to_contain_text("Black week again")
    assert "Times that have passed were left out" in visitor.said()
    visitor.press("Archive…")
    visitor.press("Archive the campaign")
    expect(page.locator("h1")).to_contain_text("Archived")
    expect(page.locator("main")).to_contain_text("bring it back to go on")
    assert page.get_by_role("link", name="Edit draft").count() == 0
    visitor.press("Bring back")
    assert page.get_by_role("link", name="Edit draft").count() == 1
    expect(page.locator("h1")).to_contain_text("Draft")
    expect(page.get_by_label("Times and activity")).to_contain_text("brought it back from the archive")
    expect(page.get_by_label("Times and activity")).to_contain_text("Inactive")


def test_s1_a_template_is_kept_used_carried_out_and_in_and_deleted(world, any_visitor, tmp_path):
    campaign_id, name = drafted(world), f"Winter {uuid7().hex[:6]}"
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    page.get_by_text("Keep its draft as a template").click()
    page.get_by_label("Name of the template").fill(name)
    visitor.press("Keep as template")
    assert f"“{name}” is kept as a template" in visitor.said()
    with page.expect_download() as waiting:
        page.get_by_role("link", name=f"Download {name} as a file").click()
    path = tmp_path / "template.json"
    waiting.value.save_as(path)
    file = json.loads(path.read_text())
    assert (file["format"], file["name"]) == (1, name)
    page.get_by_role("link", name=f"Use {name}").click()
    expect(page.get_by_label("Begin with").locator("option:checked")).to_have_text(name)
    visitor.press("Create campaign")
    expect(page.locator("#f-name-error")).to_be_visible()
    expect(page.get_by_label("Begin with").locator("option:checked")).to_have_text(name)
    page.get_by_label("Name", exact=True).fill("This year")
    visitor.press("Create campaign")
    page.wait_for_url("**/edit")
    expect(page.get_by_label("Subject")).to_have_value("Hi {{ contact.first_name }}")
    templates = f"/w/{world.a.wsp}/campaigns/templates"
    for text, said in (
        ("{", "no JSON object"),
        ('{"format": NaN}', "no JSON object"),
        (json.dumps({**file, "format": 9}), "/format"),
        ("", "Choose a file"),
    ):
        visitor.open(templates)
        if text:
            page.get_by_label("File of a template").set_input_files(
                {"name": "x.json", "mimeType": "application/json", "buffer": text.encode()}
            )
        visitor.press("Bring it in")
        expect(page.get_by_role("alert")).to_contain_text(said)
    known = file["references"][0]
    changed = json.dumps({**file, "name": f"{name} in"}).replace(known["id"], known["id"][:4] + "0" * 26)
    visitor.open(templates)
    page.get_by_label("File of a template").set_input_files(
        {"name": "x.json", "mimeType": "application/json", "buffer": changed.replace(known["name"], "Nowhere").encode()}
    )
    visitor.press("Bring it in")
    assert "not here and was left empty" in visitor.said()
    assert "Nowhere" in visitor.said()
    page.get_by_role("button", name=f"Rename {name} in").click()
    page.get_by_role("dialog").get_by_label("Name").fill(f"{name} out")
    visitor.press("Save template")
    assert "Saved." in visitor.said()
    page.get_by_role("button", name=f"Delete {name} out…").click()
    visitor.press("Delete template")
    assert f"“{name} out” is deleted." in visitor.said()


def test_on_a_phone_what_can_be_done_with_a_template_stands_below_its_words(world, browser, server):
    name = f"A season with quite a long name {uuid7().hex[:6]}"
    path = f"/campaigns/{drafted(world)}/save-as-template"
    world.client(world.a, Role.MANAGER).post(path, {"name": name, "description": "To everybody in the club, each year"})
    category(world, f"Newsletter with a long name {uuid7().hex[:6]}")
    with visit(browser, server, viewport=PHONE) as visitor:
        page = as_role(visitor, world, Role.MANAGER)
        for address in ("campaigns/templates", "settings/categories"):
            visitor.open(f"/w/{world.a.wsp}/{address}")
            cells = page.locator("tbody tr").first.get_by_role("cell")
            boxes = [cells.nth(at).bounding_box() for at in range(cells.count())]
            assert all(box is not None for box in boxes)
            words, buttons = boxes[0], boxes[-1]
            assert buttons["y"] >= words["y"] + words["height"] - 1, address


def test_a_new_campaign_begins_as_a_copy(world, any_visitor):
    source = campaign(world, f"Source {uuid7().hex[:6]}", tags=["x"])
    category_id = category(world, f"Half {uuid7().hex[:6]}")
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/new?begin={source}")
    visitor.press("Create campaign")
    expect(page.locator("#f-name-error")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("Its copy")
    page.get_by_label("What is it for?").fill("The other half")
    page.get_by_label("Category").select_option(category_id)
    visitor.press("Create campaign")
    page.wait_for_url("**/edit")
    assert "Copied." in visitor.said()
    found = world.client(world.a, Role.VIEWER).get("/campaigns").get_json()["data"][0]
    assert (found["name"], found["tags"]) == ("Its copy", ["x"])
    assert (found["description"], found["category_id"]) == ("The other half", category_id)


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_are_clean(world, browser, server, size, scheme):
    name = uuid7().hex[:6]
    category_id = category(world, f"Newsletter {name}")
    category(world, f"Unused {name}", "rust")
    campaign_id = drafted(world)
    manager = world.client(world.a, Role.MANAGER)
    for number in range(3):
        campaign(world, f"Autumn catalogue {number}", tags=["outdoor", "autumn"], category_id=category_id)
    manager.post(f"/campaigns/{campaign_id}/save-as-template", {"name": f"Season {name}", "description": "Each winter"})
    archived = campaign(world, "Put away")
    manager.post(f"/campaigns/{archived}/archive")
    here = f"/w/{world.a.wsp}"
    paths = [
        f"{here}/campaigns", f"{here}/campaigns?category_id={category_id}&sort=name", f"{here}/campaigns?tag=nothing",
        f"{here}/campaigns/new", f"{here}/campaigns/templates", f"{here}/campaigns/{campaign_id}",
        f"{here}/campaigns/{archived}", f"{here}/settings/categories",
    ]  # fmt: skip
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        page = as_role(visitor, world, Role.MANAGER)
        for path in paths:
            assert visitor.open(path).status == 200, path
            assert not visitor.overflows(), path
            found[path] = visitor.axe()
        visitor.open(paths[5])
        visitor.press("Duplicate…")
        found["copy"] = visitor.axe()
        visitor.open(paths[7])
        page.get_by_role("button", name=f"Change Newsletter {name}").click()
        found["category"] = visitor.axe()
        visitor.open(paths[4])
        page.get_by_role("button", name=f"Delete Season {name}…").click()
        found["template"] = visitor.axe()
        assert visitor.faults == []
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        as_role(visitor, world, Role.VIEWER)
        for path in (paths[0], paths[4], paths[7]):
            assert visitor.open(path).status == 200, path
            found[f"viewer {path}"] = visitor.axe()
    assert {path: faults for path, faults in found.items() if faults} == {}
