"""Settings by hand: channels with a real SMTP server, members, invitations, keys, projects, the workspace."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from saas.kernel.ids import show
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS
from saas.permissions.types import Action, Role
from tests.web.conftest import DESK, PHONE, email_of, visit
from tests.worlds import Client

pytestmark = pytest.mark.web


@pytest.fixture
def way_out(app, sink, monkeypatch):
    """Let the application reach the test's SMTP server."""
    running = app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, egress_allow=(sink.address,)))
    return sink


def channel(sink, **changes):
    return {
        "name": "Email: Northwind Club", "purpose": "marketing", "from_name": "Northwind Club",
        "from_address": "club@news.northwind.example", "host": "127.0.0.1", "port": sink.port, "security": "none",
        "username": None, **changes,
    }  # fmt: skip


def as_role(visitor, world, role):
    return visitor.enter(email_of(world, world.a, role)).page


def test_a_channel_is_made_tested_and_changed_and_its_password_is_never_shown(world, any_visitor, way_out):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/channels")
    page.get_by_role("link", name="New channel configuration").click()
    page.get_by_label("Name", exact=True).fill("Email: Northwind Club")
    page.get_by_label("From name").fill("Northwind Club")
    page.get_by_label("From address").fill("club at northwind")
    page.get_by_label("Host").fill("127.0.0.1")
    page.get_by_label("Port").fill("many")
    page.get_by_label("Protection").select_option("none")
    page.get_by_label("User name").fill("club")
    page.get_by_label("Password").fill("open-sesame-7")
    page.locator("form#channel").get_by_role("button", name="Make channel configuration").click()
    expect(page.locator("#f-port-error")).to_have_text("Write a whole number.")
    expect(page.get_by_label("From name")).to_have_value("Northwind Club")
    expect(page.get_by_label("Port")).to_have_value("many")
    page.get_by_label("Port").fill(str(way_out.port))
    page.get_by_label("Password").fill("open-sesame-7")
    page.locator("form#channel").get_by_role("button", name="Make channel configuration").click()
    expect(page.locator("#f-from_address-error")).to_be_visible()
    page.get_by_label("From address").fill("club@news.northwind.example")
    page.get_by_label("Password").fill("open-sesame-7")
    page.locator("form#channel").get_by_role("button", name="Make channel configuration").click()
    page.wait_for_url("**/settings/channels/chn_*")
    assert "is made" in visitor.said()
    assert "open-sesame-7" not in page.content() and "A password is set" in page.content()
    page.get_by_label("From name").fill("Northwind")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator(".cs-flash")).to_contain_text("held until they are signed again")
    page.get_by_label("Host").fill("smtp.relay.example")
    page.get_by_label("Port").fill("587")
    page.get_by_label("Protection").select_option("starttls")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator("#f-password-error")).to_have_text("Enter the password again.")
    expect(page.get_by_label("Host")).to_have_value("smtp.relay.example")
    assert [fault for fault in visitor.faults if "422" not in fault] == []


def test_a_test_message_arrives_or_says_why_not(world, visitor, way_out):
    admin = world.client(world.a, Role.ADMIN)
    channel_id = admin.post("/channels", channel(way_out)).get_json()["channel_id"]
    email = email_of(world, world.a, Role.MANAGER)
    page = as_role(visitor, world, Role.MANAGER)
    visitor.open(f"/w/{world.a.wsp}/settings/channels/{channel_id}")
    assert page.locator("main input:not([type=hidden])").count() == 0
    visitor.press("Send a test to me")
    page.get_by_text(f"The test message to {email} was accepted.").wait_for()
    assert [mail.rcpt for mail in way_out.wait_for(1)] == [email]
    way_out.script[email] = "550 5.1.1 no such user"
    visitor.press("Send a test to me")
    page.locator(".cs-flash .st-failed").wait_for()
    expect(page.get_by_label("Test and history")).to_contain_text("Failed")


def test_a_channel_goes_out_of_use_after_a_question(world, visitor, way_out):
    admin = world.client(world.a, Role.ADMIN)
    channel_id = admin.post("/channels", channel(way_out)).get_json()["channel_id"]
    page = as_role(visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/channels/{channel_id}")
    visitor.press("Take out of use…")
    visitor.press("Take out of use")
    page.get_by_text("“Email: Northwind Club” is out of use.").wait_for()
    assert admin.get(f"/channels/{channel_id}").status_code == 404


def test_a13_each_line_has_its_outcome_and_an_invitation_can_be_withdrawn(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/members")
    page.get_by_role("link", name="Invite people").click()
    page.get_by_text("“Astrid Vik <astrid@northwind.example>” works too").wait_for()
    typed = "Astrid Vik <astrid@northwind.example>, jonas@lantern.example\ngreta at northwind"
    page.get_by_label("Addresses").fill(typed)
    page.get_by_label("Manager:").check()
    page.get_by_label("Where").select_option(label="Winter season")
    visitor.press("Send invitations")
    outcomes = page.locator("#outcomes li")
    expect(outcomes).to_have_count(3)
    expect(outcomes.nth(0)).to_contain_text("Invited")
    expect(outcomes.nth(2)).to_contain_text("Nobody of this name is known here")
    expect(page.get_by_label("Addresses")).to_have_value("greta at northwind")
    assert page.get_by_label("Manager:").is_checked()
    admin = world.client(world.a, Role.ADMIN)
    assert len(admin.get("/invitations").get_json()["data"]) == 2
    page.get_by_label("Addresses").fill("greta@northwind.example")
    page.get_by_label("Olive Owner").check()
    visitor.press("Send invitations")
    page.get_by_text("2 invitations are on their way.").wait_for()
    found = {
        line["email"]: (line["name"], line["role"], line["project_id"])
        for line in admin.get("/invitations").get_json()["data"]
    }
    assert found["astrid@northwind.example"] == ("Astrid Vik", "manager", world.a.prj)
    assert len(found) == 4 and world.owner_email in found
    page.get_by_role("button", name="Send again: invitation to jonas@lantern.example").click()
    page.get_by_text("A new invitation to jonas@lantern.example is on its way").wait_for()
    row = page.get_by_role("row", name="astrid@northwind.example")
    row.get_by_role("button", name="Withdraw…").click()
    row.get_by_role("button", name="Withdraw invitation").click()
    page.get_by_text("The invitation is withdrawn").wait_for()
    expect(page.get_by_role("row", name="astrid@northwind.example")).to_have_count(0)


def test_a_role_is_changed_and_a_member_removed_with_a_word_about_their_keys(world, visitor):
    page = as_role(visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/members")
    page.get_by_role("link", name="Change or remove Manager North").click()
    page.get_by_label("Administrator:").check()
    visitor.press("Change role")
    page.get_by_text("Manager North has the new role.").wait_for()
    expect(page.get_by_role("row", name="Manager North")).to_contain_text("Administrator")
    promoted = world.client(world.a, Role.MANAGER)
    body = {"name": "Nightly", "role": "viewer", "scopes": ["campaign:read"]}
    assert promoted.post("/api-keys", body).status_code == 201
    page.get_by_role("link", name="Change or remove Manager North").click()
    visitor.press("Remove member…")
    visitor.press("Remove member")
    page.get_by_role("heading", name="What becomes of the API keys of Manager North?").wait_for()
    page.get_by_label("Revoke it now").check()
    visitor.press("Remove Manager North")
    page.wait_for_url("**/settings/members")
    assert "Manager North is removed." in visitor.said()
    assert promoted.get("/lists").status_code == 404


def test_the_last_administrator_stays(world, visitor):
    page = as_role(visitor, world, Role.ADMIN)
    me = show("acc", world.a.accounts[Role.ADMIN])
    visitor.open(f"/w/{world.a.wsp}/settings/members/{me}")
    page.get_by_label("Viewer:").check()
    visitor.press("Change role")
    expect(page.locator("#f-role-error")).to_contain_text("This is the workspace's last administrator.")
    assert page.get_by_label("Viewer:").is_checked()
    visitor.press("Remove member…")
    visitor.press("Remove member")
    expect(page.get_by_role("alert")).to_contain_text("last administrator")
    assert world.client(world.a, Role.ADMIN).get("/members").status_code == 200


def test_a_key_is_shown_once_works_and_is_revoked(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/keys")
    page.get_by_role("link", name="Make API key").click()
    page.get_by_label("Name", exact=True).fill("Shop two")
    page.get_by_label("Only these").check()
    visitor.press("Make API key")
    expect(page.locator("#f-scopes")).to_contain_text("Choose at least one right.")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Shop two")
    page.get_by_label("see lists", exact=True).check()
    visitor.press("Make API key")
    page.wait_for_url("**/settings/keys")
    key = page.locator("#made-key").inner_text()
    client = Client(world.app, key=key)
    assert client.get("/lists").status_code == 200
    assert client.get("/campaigns").status_code == 403
    page.reload()
    expect(page.get_by_role("row", name="Shop two")).to_contain_text("Works")
    assert key not in page.content() and page.locator("#made-key").count() == 0
    row = page.get_by_role("row", name="Shop two")
    row.get_by_role("button", name="Revoke…").click()
    row.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_role("row", name="Shop two")).to_contain_text("Revoked")
    assert client.get("/lists").status_code == 401


def test_a_new_key_has_all_that_its_role_may_and_ends_with_its_last_day(world, visitor):
    page = as_role(visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/keys/new")
    page.get_by_label("Name", exact=True).fill("CRM")
    page.get_by_label("Last day").fill("2000-01-01")
    visitor.press("Make API key")
    expect(page.locator("#f-expires_on-error")).to_contain_text("in the future")
    page.get_by_label("Last day").fill("2090-06-30")
    visitor.press("Make API key")
    page.locator("#made-key").wait_for()
    made = world.client(world.a, Role.ADMIN).get("/api-keys").get_json()["data"][0]
    assert made["expires_at"] == "2090-06-30T22:00:00Z"  # the end of that day in Oslo
    assert set(made["scopes"]) == {action.value for action in ROLE_ACTIONS[Role.MANAGER] - NEVER_BY_KEY}


def test_projects_and_the_workspace_are_named_and_set_to_a_zone(world, visitor):
    page = as_role(visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/projects")
    page.get_by_label("Name", exact=True).fill("Winter season")
    visitor.press("Make project")
    expect(page.locator("#f-name-error")).to_contain_text("There is a project named “Winter season” already.")
    page.get_by_label("Name", exact=True).fill("Club")
    visitor.press("Make project")
    page.get_by_role("link", name="Rename Club").click()
    page.get_by_label("Name", exact=True).fill("Members’ club")
    visitor.press("Save project")
    page.get_by_role("row", name="Members’ club").wait_for()
    page.get_by_role("link", name="Workspace", exact=True).click()
    page.get_by_label("Time zone").fill("Mars/Olympus")
    page.get_by_label("Name", exact=True).fill("Northwind Outdoor")
    visitor.press("Save")
    expect(page.locator("#f-time_zone-error")).to_contain_text("Mars/Olympus")
    expect(page.get_by_label("Name", exact=True)).to_have_value("Northwind Outdoor")
    page.get_by_label("Time zone").fill("Asia/Tokyo")
    visitor.press("Save")
    page.get_by_text("Saved.").wait_for()
    assert "Tokyo" in page.get_by_label("Main", exact=True).inner_text()


def test_the_matrix_is_the_one_that_decides(world, visitor):
    page = as_role(visitor, world, Role.VIEWER)
    visitor.open(f"/w/{world.a.wsp}/settings/roles")
    rows = page.locator("tbody tr:has(td)").all()
    drawn = [[text.strip() for text in row.locator("td").all_inner_texts()] for row in rows]
    assert len(drawn) == len(Action)
    wanted = sum(len(actions) for actions in ROLE_ACTIONS.values())
    assert sum(row[:-1].count("Yes") for row in drawn) == wanted
    assert sum(row[-1] == "Never" for row in drawn) == len(NEVER_BY_KEY)


def test_a_viewer_sees_no_forms_and_reads_who_could_help(world, visitor, way_out):
    admin = world.client(world.a, Role.ADMIN)
    channel_id = admin.post("/channels", channel(way_out)).get_json()["channel_id"]
    page = as_role(visitor, world, Role.VIEWER)
    for path in ("channels", f"channels/{channel_id}", "projects", "workspace"):
        assert visitor.open(f"/w/{world.a.wsp}/settings/{path}").status == 200
        assert page.locator("main form, main button").count() == 0, path
        assert "Administrator" in page.locator("main").inner_text(), path
    for path in ("channels/new", "members", "invitations/new", "keys", "keys/new"):
        assert visitor.open(f"/w/{world.a.wsp}/settings/{path}").status == 403, path
        assert "Administrator" in page.locator("main").inner_text(), path


def test_another_workspaces_ids_are_missing_here(world, way_out):
    theirs = world.client(world.b, Role.ADMIN)
    channel_id = theirs.post("/channels", channel(way_out)).get_json()["channel_id"]
    invited = theirs.post("/invitations", {"invitations": [{"email": "a@northwind.example", "role": "viewer"}]})
    invitation = invited.get_json()["data"][0]["invitation_id"]
    account, key = show("acc", world.b.accounts[Role.VIEWER]), show("key", world.b.key_id)
    admin = world.client(world.a, Role.ADMIN)
    for path in (f"channels/{channel_id}", f"members/{account}", f"projects/{world.b.prj}", "channels/nonsense"):
        assert admin.http.get(f"/w/{world.a.wsp}/settings/{path}").status_code == 404, path
        assert admin.http.get(f"/w/{world.b.wsp}/settings/{path}").status_code == 404, path
    form = {"csrf_token": admin.csrf, "version": "1", "role": "viewer", "project_id": "", "name": "x", "from_name": "x",
            "from_address": "a@b.example", "host": "h.example", "port": "587", "security": "tls"}  # fmt: skip
    for path in (f"channels/{channel_id}", f"channels/{channel_id}/archive", f"members/{account}", f"members/{account}/remove",
                 f"invitations/{invitation}/resend", f"invitations/{invitation}/revoke", f"keys/{key}/revoke",
                 f"projects/{world.b.prj}"):  # fmt: skip
        assert admin.http.post(f"/w/{world.a.wsp}/settings/{path}", data=form).status_code == 404, path
    tested = admin.http.post(f"/w/{world.a.wsp}/settings/channels/{channel_id}/test", data=form)
    assert tested.status_code == 404 and way_out.messages == []
    assert theirs.get(f"/channels/{channel_id}").get_json()["version"] == 1


@pytest.mark.parametrize(
    "options", [{"viewport": DESK}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"]
)
def test_pages_are_accessible_and_fit(world, browser, server, way_out, options):
    admin = world.client(world.a, Role.ADMIN)
    channel_id = admin.post("/channels", channel(way_out)).get_json()["channel_id"]
    admin.post("/invitations", {"invitations": [{"email": "astrid@northwind.example", "role": "viewer"}]})
    world.client(world.a, Role.VIEWER).post("/access-requests", {"role": "manager", "note": "For the autumn."})
    member = show("acc", world.a.accounts[Role.MANAGER])
    faults = {}
    with visit(browser, server, **options) as visitor:
        visitor.enter(email_of(world, world.a, Role.ADMIN))
        for path in ("channels", "channels/new", f"channels/{channel_id}", "members", f"members/{member}", "invitations/new",
                     "roles", "keys", "keys/new", "projects", f"projects/{world.a.prj}", "workspace", "access"):  # fmt: skip
            assert visitor.open(f"/w/{world.a.wsp}/settings/{path}").status == 200
            faults[path] = visitor.axe() + ["wider than the window"] * visitor.overflows()
        visitor.open(f"/w/{world.a.wsp}/settings/members/{member}")
        visitor.press("Remove member…")
        faults["a question"] = visitor.axe()
        assert visitor.faults == []
    assert {path: found for path, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    "options", [{"viewport": DESK}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"]
)
def test_a10_who_lacks_a_right_asks_and_is_given_it_with_one_click(world, browser, server, options):
    """The page says which right and who gives it; asking and answering is done by hand; both pages are accessible."""
    with visit(browser, server, **options) as visitor:
        page = as_role(visitor, world, Role.VIEWER)
        assert visitor.open(f"/w/{world.a.wsp}/imports/new").status == 403
        assert "Admin North" in page.locator("main").inner_text()
        assert visitor.axe() == [] and not visitor.overflows()
        page.get_by_label("Role").select_option(label="Manager")
        page.get_by_label("What you need it for").fill("I import the shop's customers.")
        visitor.press("Ask for access")
        page.get_by_text("Asked for. Admin North can give it").wait_for()
    with visit(browser, server, **options) as visitor:
        page = as_role(visitor, world, Role.ADMIN)
        visitor.open(f"/w/{world.a.wsp}/settings/members")
        page.get_by_text("One person asks for access.").wait_for()
        page.get_by_role("link", name="Answer").click()
        page.get_by_role("button", name="Give Manager to Viewer North").click()
        page.get_by_text("Viewer North has the role Manager now.").wait_for()
    assert world.client(world.a, Role.VIEWER).http.get(f"/w/{world.a.wsp}/imports/new").status_code == 200


@pytest.mark.parametrize(
    "options", [{"viewport": DESK}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"]
)
def test_the_agencys_page_is_accessible_and_fits(world, browser, server, options):
    with visit(browser, server, **options) as visitor:
        page = as_role(visitor, world, Role.AGENCY_OWNER)
        assert visitor.open(f"/agencies/{show('agn', world.agency_id)}").status == 200
        assert "Olive Owner" in page.locator("main").inner_text()
        assert visitor.axe() == [] and not visitor.overflows()
        assert visitor.faults == []
