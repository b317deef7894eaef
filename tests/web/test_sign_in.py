"""Getting in, through the door that the invitation's mail opens, and out again."""

from urllib.parse import urlsplit

import pytest

from saas.kernel.ids import uuid7
from saas.permissions.types import Role
from tests.api.post_office import opened
from tests.web.conftest import email_of, visit
from tests.worlds import PASSWORD

pytestmark = pytest.mark.web


def path_of(visitor):
    return urlsplit(visitor.page.url).path


def test_a_page_asks_for_sign_in_and_goes_on_to_where_one_wanted(world, any_visitor):
    wanted = f"/w/{world.a.wsp}/campaigns?state=draft"
    any_visitor.open(wanted)
    assert path_of(any_visitor) == "/sign-in"
    any_visitor.page.get_by_label("Email").fill(email_of(world, world.a, Role.MANAGER))
    any_visitor.page.get_by_label("Password").fill(PASSWORD)
    any_visitor.press("Sign in")
    any_visitor.page.wait_for_url(f"**{wanted}")
    assert any_visitor.page.get_by_role("heading", level=1).inner_text() == "Campaigns"
    assert any_visitor.faults == []


def test_a_wrong_password_stands_beside_the_field_and_the_address_is_kept(world, visitor):
    email = email_of(world, world.a, Role.MANAGER)
    visitor.open("/sign-in")
    visitor.page.get_by_label("Email").fill(email)
    visitor.page.get_by_label("Password").fill("wrong-horse-7")
    visitor.press("Sign in")
    field = visitor.page.get_by_label("Password")
    assert field.get_attribute("aria-invalid") == "true"
    assert visitor.page.locator("#f-password-error").inner_text() == "Email and password do not match."
    assert field.input_value() == ""
    assert visitor.page.get_by_label("Email").input_value() == email


@pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_the_way_on_never_leads_elsewhere(world, visitor, evil):
    visitor.page.goto(f"{visitor.server}/sign-in?next={evil}")
    visitor.page.get_by_label("Email").fill(email_of(world, world.a, Role.MANAGER))
    visitor.page.get_by_label("Password").fill(PASSWORD)
    visitor.press("Sign in")
    visitor.page.wait_for_url(f"{visitor.server}/w/**")


def test_signing_out_ends_the_session_for_a_copied_cookie_too(world, browser, visitor):
    visitor.sign_in(email_of(world, world.a, Role.MANAGER))
    cookies = visitor.page.context.cookies()
    visitor.page.get_by_role("button", name="your account").click()
    visitor.page.get_by_role("button", name="Sign out").click()
    visitor.page.wait_for_url("**/sign-in")
    assert visitor.said() == "You are signed out."
    with visit(browser, visitor.server) as thief:
        thief.page.context.add_cookies(cookies)
        thief.open(f"/w/{world.a.wsp}/campaigns")
        assert path_of(thief) == "/sign-in"


def test_another_workspace_does_not_exist(world, visitor):
    """The same page for a workspace of others and for one of nobody."""
    visitor.sign_in(email_of(world, world.a, Role.ADMIN))
    answer = visitor.open(f"/w/{world.b.wsp}/campaigns")
    assert answer.status == 404
    assert "Northwind south" not in visitor.page.content()
    answer = visitor.open("/w/wsp_00000000000000000000000000/campaigns")
    assert answer.status == 404


def test_a_form_without_its_token_changes_nothing(world, visitor):
    visitor.sign_in(email_of(world, world.a, Role.MANAGER))
    answer = visitor.page.request.post(f"{visitor.server}/w/{world.a.wsp}/campaigns/new", form={"name": "Forged"})
    assert answer.status == 400
    assert "We could not read this form" in answer.text()
    assert "Forged" not in visitor.page.request.get(f"{visitor.server}/w/{world.a.wsp}/campaigns").text()


def test_the_theme_stays_and_works_without_script(world, any_visitor):
    any_visitor.sign_in(email_of(world, world.a, Role.VIEWER))
    any_visitor.page.get_by_role("button", name="your account").click()
    any_visitor.page.get_by_role("button", name="Switch light or dark").click()
    any_visitor.page.locator("html[data-bs-theme=dark]").wait_for()
    any_visitor.open(f"/w/{world.a.wsp}/campaigns")
    assert any_visitor.page.locator("html").get_attribute("data-bs-theme") == "dark"


def test_the_owner_makes_a_workspace_and_sees_only_their_own(world, visitor):
    visitor.sign_in(world.owner_email)
    visitor.open("/workspaces")
    visitor.page.get_by_label("Name of the client").fill("Fjell & Fjord <b>AS</b>")
    visitor.page.get_by_label("Time zone").select_option("Asia/Kathmandu")
    visitor.press("Create workspace")
    visitor.page.wait_for_url("**/w/wsp_*/")
    assert "Fjell & Fjord <b>AS</b> is ready." in visitor.said()
    assert "Kathmandu" in visitor.page.locator(".cs-nav .foot").inner_text()
    visitor.open("/workspaces")
    listed = visitor.page.get_by_role("region", name="Your workspaces")
    names = listed.locator(".cs-rows .fw-6").all_inner_texts()
    assert names == ["Northwind north", "Northwind south", "Fjell & Fjord <b>AS</b>"]


def test_who_may_make_no_workspace_gets_no_form(world, visitor):
    visitor.sign_in(email_of(world, world.a, Role.ADMIN))
    visitor.open("/workspaces")
    assert visitor.page.get_by_role("button", name="Create workspace").count() == 0


def test_an_invitation_works_once(world, engine, app_settings, empty_agenda, any_visitor):
    """Its page says where to and as what; a password that is too short is refused beside the field."""
    bea = f"bea.{uuid7().hex}@northwind.example"
    line = {"email": bea, "role": "approver"}
    with opened(engine, app_settings) as office:
        invited = world.client(world.a, Role.ADMIN).post("/invitations", {"invitations": [line]})
        assert invited.status_code == 201, invited.text
        office.deliver()
        [token] = office.tokens(bea)
    page = any_visitor.page
    any_visitor.open(f"/invitations/{token}")
    assert page.get_by_role("heading", level=1).inner_text() == "Join Northwind north"
    assert f"You are invited as Approver, with the address {bea}." in page.locator("main").inner_text()
    page.get_by_label("Your name").fill("Bea Buyer")
    page.get_by_label("Choose a password").fill("short")
    any_visitor.press("Accept the invitation")
    assert page.locator("#f-password-error").inner_text() == "Use at least 10 characters."
    assert page.get_by_label("Your name").input_value() == "Bea Buyer"
    page.get_by_label("Choose a password").fill("a-new-password-9")
    any_visitor.press("Accept the invitation")
    page.wait_for_url(f"**/w/{world.a.wsp}/")
    assert "Hello Bea" in page.locator("h1").inner_text()
    assert any_visitor.open(f"/invitations/{token}").status == 404
