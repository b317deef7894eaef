"""Lists, imports and audiences by hand: from an empty workspace to a counted audience."""

import csv
import io
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from saas.audiences.jobs import import_handler
from saas.audiences.types import IMPORT_FILE
from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Kinds, Queue
from saas.platform.agenda.work import Doer, work
from tests.web.conftest import DESK, PHONE, email_of, visit

pytestmark = pytest.mark.web

PEOPLE = (
    "E-mail;First name;City;Orders;Newsletter;Shop no\n"
    + "".join(f"kari{no}@example.org;Kari {no};{'Oslo' if no % 2 else 'Bodø'};{no};{'yes' if no % 4 else 'no'};7\n" for no in range(60))
    + "kari1@EXAMPLE.org;Kari;Oslo;99;yes;7\nnobody@@example;Nobody;;;;\nkari2@example.org;Kari 2;Bodø;many;yes;7\n"
).encode("cp1252")  # fmt: skip


@pytest.fixture
def worker(app, engine, empty_agenda):
    """Do the imports that are due."""
    vault = app.extensions["countersign"].vault
    kinds = Kinds({IMPORT_FILE: import_handler(engine, vault, SystemClock(), at_once=8)})
    doer = Doer(engine, kinds, SystemClock(), lambda _queue: None, lambda: False)
    return lambda: work(doer, Queue.MAINTENANCE, visit_s=20)


@pytest.fixture
def manager(world):
    return world.client(world.a, Role.MANAGER)


def made_list(client, place, name="Northwind club"):
    return client.post("/lists", {"name": name, "project_id": place.prj}).get_json()["list_id"]


def people_on(client, list_id, number=3):
    contacts = [
        {"email": f"tuva{no}@example.org", "attributes": {"city": "Oslo"}, "consents": {"newsletter": True}}
        for no in range(number)
    ]
    answer = client.post("/contacts:batch", {"contacts": contacts, "list_ids": [list_id]}).get_json()
    return [result["contact_id"] for result in answer["results"]]


def cells(page, caption):
    """The rows of a table of two columns or more: its first cell and its last."""
    rows = page.locator(f"table:has(caption:text-is('{caption}')) tbody tr")
    texts = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    return {row[0].strip(): row[-1].strip() for row in texts}


def begin_import(visitor, world):
    """Make a list and upload a file into it."""
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/lists")
    page.get_by_role("link", name="New list").click()
    page.get_by_label("Name").fill("Northwind club")
    visitor.press("Make list")
    assert "is made" in visitor.said()
    page.get_by_role("link", name="Import people").click()
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "october.csv", "mimeType": "text/csv", "buffer": PEOPLE}
    )
    visitor.press("Upload and import")
    page.wait_for_url("**/imports/imp_*")
    page.get_by_text("Queued").wait_for()


def test_a_file_becomes_a_list_and_the_list_an_audience(world, any_visitor, worker, request):
    page, scripted = any_visitor.page, "no script" not in request.node.name
    begin_import(any_visitor, world)
    assert worker() == 1
    if not scripted:
        page.get_by_role("link", name="Look again").click()
    page.get_by_text("All 2.").wait_for()
    assert cells(page, "What became of the rows") == {
        "New people": "60", "Updated": "0", "Unchanged": "0", "Duplicates": "2", "Refused": "1", "Rows in the file": "63",
    }  # fmt: skip
    columns = cells(page, "What became of the columns")
    assert (
        columns["City"] == "City"
        and columns["Newsletter"] == "Consent: newsletter"
        and columns["Shop no"] == "Left out"
    )
    facts = page.get_by_label("About the file").inner_text()
    assert "cp1252" in facts and "Semicolon" in facts
    with page.expect_download() as download:
        page.get_by_role("link", name="Error file").click()
    lines = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [(line["value"], line["level"]) for line in lines] == [("nobody@@example", "error"), ("many", "warning")]
    page.get_by_role("link", name="Open the list").click()
    expect(page.locator(".cs-head .sub")).to_contain_text("60 people")
    build_audience(any_visitor, world, scripted=scripted)
    assert [fault for fault in any_visitor.faults if "422" not in fault] == []


def build_audience(visitor, world, *, scripted):
    page = visitor.page
    visitor.open(f"/w/{world.a.wsp}/audiences")
    page.get_by_role("link", name="New audience").click()
    page.get_by_label("Name").fill("Busy in Oslo")
    for no, subject in ((1, "Consent"), (2, "Orders"), (3, "City")):
        if no > 1:
            visitor.press("Condition")
        page.get_by_label(f"Condition {no}: what").select_option(label=subject)
        if not scripted:
            visitor.press("Show what fits the chosen attributes")
        page.get_by_label(f"Condition {no}: how").wait_for()
    page.get_by_label("Condition 2: how").select_option(label="is at least")
    page.get_by_label("Condition 2: value").fill("ten")
    page.get_by_label("Condition 3: value").fill("oslo")
    visitor.press("Count people")
    page.get_by_text("Write a number.").wait_for()
    assert page.get_by_label("Condition 2: value").input_value() == "ten"
    page.get_by_label("Condition 2: value").fill("10")
    visitor.press("Count people")
    # Odd numbers from 11 to 59 and kari1's 99; of those, every one consents.
    page.locator("#count").get_by_text("26", exact=True).wait_for()
    visitor.press("Remove condition 3")
    page.get_by_label("Condition 3: what").wait_for(state="detached")
    visitor.press("Make audience")
    page.wait_for_url("**/audiences/aud_*")
    assert "is made" in visitor.said()
    words = page.locator(".cs-card:has(h2:text-is('In words'))").inner_text()
    assert "for whom: Consent to newsletter is given and Orders is at least 10." in words


def test_a_person_is_found_by_address_and_shown(world, visitor, manager):
    list_id = made_list(manager, world.a)
    people_on(manager, list_id, 60)
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/lists/{list_id}")
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("tbody tr")).to_have_count(10)
    page.get_by_role("link", name="Previous").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_label("Find a person by address").fill("tuva")
    visitor.press("Find")
    page.get_by_text("Nobody here has the address “tuva”").wait_for()
    page.get_by_label("Find a person by address").fill("Tuva7@Example.org")
    visitor.press("Find")
    page.get_by_role("link", name="tuva7@example.org").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("tuva7@example.org")
    main = page.locator("main").inner_text()
    assert "Oslo" in main and "newsletter" in main and "Given" in main and "Northwind club" in main


def test_nothing_typed_is_lost_and_what_is_wrong_stands_beside_its_field(world, visitor, manager):
    made_list(manager, world.a)
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/lists/new")
    page.get_by_label("Description").fill("From the shop")
    visitor.press("Make list")
    expect(page.locator("#f-name-error")).to_have_text("Fill this in.")
    assert page.get_by_label("Description").input_value() == "From the shop"
    page.get_by_label("Name").fill("Northwind club")
    visitor.press("Make list")
    expect(page.locator("#f-name-error")).to_contain_text("There is a list named “Northwind club”")
    visitor.open(f"/w/{world.a.wsp}/imports/new")
    visitor.press("Upload and import")
    expect(page.locator("#f-file-error")).to_have_text("Choose a file.")
    page.get_by_label("File", exact=True).set_input_files({"name": "empty.csv", "mimeType": "text/csv", "buffer": b""})
    visitor.press("Upload and import")
    expect(page.locator("#f-file-error")).to_have_text("The file is empty.")


def test_two_who_change_a_list_at_once_do_not_overwrite_each_other(world, visitor, manager):
    list_id = made_list(manager, world.a)
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/lists/{list_id}")
    changed = manager.patch(f"/lists/{list_id}", {"name": "By another"}, etag='"1"')
    assert changed.status_code == 200
    page.get_by_label("Name").fill("By me")
    visitor.press("Save")
    assert "Somebody changed this" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Name").input_value() == "By me"
    assert page.get_by_role("heading", level=1).inner_text() == "By another"


def test_a_list_is_deleted_after_a_question_and_not_while_an_audience_needs_it(world, visitor, manager):
    list_id = made_list(manager, world.a)
    body = {"name": "All", "project_id": world.a.prj, "list_id": list_id, "rule": {"all": []}}
    audience = manager.post("/audiences", body).get_json()["audience_id"]
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/lists/{list_id}")
    visitor.press("Delete list…")
    visitor.press("Delete list")
    assert "An audience uses this list" in page.get_by_role("alert").inner_text()
    visitor.open(f"/w/{world.a.wsp}/audiences/{audience}")
    visitor.press("Delete audience…")
    visitor.press("Delete audience")
    assert "is deleted" in visitor.said()
    visitor.open(f"/w/{world.a.wsp}/lists/{list_id}")
    visitor.press("Delete list…")
    visitor.press("Delete list")
    assert "is deleted" in visitor.said()
    assert manager.get(f"/lists/{list_id}").status_code == 404


def test_an_import_can_be_cancelled(world, visitor, worker):
    page = visitor.page
    begin_import(visitor, world)
    visitor.press("Cancel import…")
    visitor.press("Cancel import")
    assert visitor.said() == "The import is cancelled."
    page.get_by_text("Cancelled. What was saved before stays.").wait_for()
    assert worker() == 0


def test_a_file_that_cannot_be_read_says_why(world, visitor, worker, manager):
    list_id = made_list(manager, world.a)
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/imports/new?list_id={list_id}")
    page.get_by_label("File", exact=True).set_input_files(
        {"name": "a.csv", "mimeType": "text/csv", "buffer": b"Name,City\nKari,Oslo\n"}
    )
    visitor.press("Upload and import")
    page.wait_for_url("**/imports/imp_*")
    worker()
    page.reload()
    assert "No column holds the address." in page.locator("main").inner_text()


def test_a_rule_made_by_the_api_with_groups_is_kept_and_counted_as_it_is(world, visitor, manager):
    list_id = made_list(manager, world.a)
    people_on(manager, list_id)
    rule = {"all": [{"any": [{"attribute": "city", "op": "eq", "value": "Oslo"}, {"consent": "news", "is": "given"}]},
                    {"not": {"consent": "newsletter", "is": "given"}}]}  # fmt: skip
    body = {"name": "Groups", "project_id": world.a.prj, "list_id": list_id, "rule": rule}
    audience = manager.post("/audiences", body).get_json()["audience_id"]
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/audiences/{audience}")
    visitor.press("Count people")
    page.locator("#count").get_by_text("0", exact=True).wait_for()
    page.get_by_label("Name").fill("Groups in groups")
    visitor.press("Save")
    assert visitor.said() == "Saved."
    found = manager.get(f"/audiences/{audience}").get_json()
    assert (found["name"], found["rule"]) == ("Groups in groups", rule)


def test_a_private_audience_is_its_makers_and_the_administrators(world, browser, server, manager):
    list_id = made_list(manager, world.a)
    body = {"name": "Mine", "project_id": world.a.prj, "list_id": list_id, "visibility": "private", "rule": {"all": []}}
    path = f"/w/{world.a.wsp}/audiences/{manager.post('/audiences', body).get_json()['audience_id']}"
    for role, status in ((Role.MANAGER, 200), (Role.ADMIN, 200), (Role.APPROVER, 404), (Role.VIEWER, 404)):
        client = world.client(world.a, role).http
        assert client.get(path).status_code == status, role
        assert ("Mine" in client.get(f"/w/{world.a.wsp}/audiences").text) == (status == 200), role


def test_a_viewer_sees_counts_but_no_people_and_no_forms(world, visitor, manager, worker):
    list_id = made_list(manager, world.a)
    people_on(manager, list_id)
    upload = manager.call("POST", f"/imports?list_id={list_id}", data=PEOPLE, content_type="text/csv").get_json()
    worker()
    body = {"name": "All", "project_id": world.a.prj, "list_id": list_id, "rule": {"all": []}}
    audience = manager.post("/audiences", body).get_json()["audience_id"]
    page = visitor.enter(email_of(world, world.a, Role.VIEWER)).page
    paths = (
        "lists",
        f"lists/{list_id}",
        "audiences",
        f"audiences/{audience}",
        "imports",
        f"imports/{upload['import_id']}",
    )
    for path in paths:
        assert visitor.open(f"/w/{world.a.wsp}/{path}").status == 200
        assert page.locator("main form, main button").count() == 0, path
        assert "@" not in page.locator("main").inner_text(), path
        assert "You do not have the right to" in page.locator("main").inner_text(), path
    assert "63 people" in visitor.open(f"/w/{world.a.wsp}/lists/{list_id}").text()
    for path in ("lists/new", "imports/new", "audiences/new", f"imports/{upload['import_id']}/errors"):
        assert visitor.open(f"/w/{world.a.wsp}/{path}").status == 403


def test_another_workspaces_ids_are_missing_here(world, manager, worker):
    theirs = world.client(world.b, Role.MANAGER)
    list_id = made_list(theirs, world.b)
    person = people_on(theirs, list_id)[0]
    upload = theirs.call("POST", f"/imports?list_id={list_id}", data=PEOPLE, content_type="text/csv").get_json()
    worker()
    body = {"name": "All", "project_id": world.b.prj, "list_id": list_id, "rule": {"all": []}}
    audience = theirs.post("/audiences", body).get_json()["audience_id"]
    admin = world.client(world.a, Role.ADMIN)
    for path in (f"lists/{list_id}", f"contacts/{person}", f"imports/{upload['import_id']}", f"audiences/{audience}",
                 f"imports/{upload['import_id']}/errors", f"imports/{upload['import_id']}/progress", "lists/nonsense"):  # fmt: skip
        assert admin.http.get(f"/w/{world.a.wsp}/{path}").status_code == 404, path
        assert admin.http.get(f"/w/{world.b.wsp}/{path}").status_code == 404, path
    form = {
        "csrf_token": admin.csrf,
        "version": "1",
        "name": "x",
        "list_id": list_id,
        "visibility": "public",
        "join": "all",
    }
    for path in (f"lists/{list_id}", f"lists/{list_id}/delete", f"audiences/{audience}", f"audiences/{audience}/delete",
                 f"audiences/{audience}/count", f"imports/{upload['import_id']}/cancel", "audiences/new"):  # fmt: skip
        assert admin.http.post(f"/w/{world.a.wsp}/{path}", data=form).status_code == 404, path
    upload_form = {**form, "file": (io.BytesIO(PEOPLE), "a.csv")}
    assert admin.http.post(f"/w/{world.a.wsp}/imports/new", data=upload_form).status_code == 404


def test_a_form_without_its_token_does_nothing(world, manager):
    answer = manager.http.post(f"/w/{world.a.wsp}/lists/new", data={"name": "Forged", "project_id": world.a.prj})
    assert answer.status_code == 400
    assert manager.get("/lists").get_json()["data"] == []


@pytest.mark.parametrize(
    "options", [{"viewport": DESK}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"]
)
def test_pages_are_accessible_and_fit(world, browser, server, manager, worker, options):
    list_id = made_list(manager, world.a)
    upload = manager.call("POST", f"/imports?list_id={list_id}", data=PEOPLE, content_type="text/csv").get_json()[
        "import_id"
    ]
    worker()
    waiting = manager.call("POST", f"/imports?list_id={list_id}", data=PEOPLE, content_type="text/csv").get_json()[
        "import_id"
    ]
    rule = {
        "all": [{"consent": "newsletter", "is": "given"}, {"attribute": "orders", "op": "between", "value": [1, 9]}]
    }
    body = {"name": "Busy", "project_id": world.a.prj, "list_id": list_id, "rule": rule}
    audience = manager.post("/audiences", body).get_json()["audience_id"]
    person = manager.get(f"/lists/{list_id}/contacts").get_json()["data"][0]["contact_id"]
    faults = {}
    with visit(browser, server, **options) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        for path in ("lists", "lists/new", f"lists/{list_id}", f"contacts/{person}", "imports", "imports/new", f"imports/{upload}",
                     f"imports/{waiting}", "audiences", "audiences/new", f"audiences/{audience}"):  # fmt: skip
            assert visitor.open(f"/w/{world.a.wsp}/{path}").status == 200
            faults[path] = visitor.axe() + ["wider than the window"] * visitor.overflows()
        assert urlsplit(visitor.page.url).path.endswith(audience)
        assert visitor.faults == []
    assert {path: found for path, found in faults.items() if found} == {}
