"""A person's own area, the pages behind mailed links and the second step of the sign-in, with and without script."""

import base64
import re
from urllib.parse import urlsplit

import pytest

from saas.accounts.rules import code_at, step_of
from saas.kernel.clock import SystemClock
from saas.kernel.ids import uuid7
from saas.permissions.types import Role
from tests.api.post_office import opened
from tests.web.conftest import DESK, PHONE, email_of, visit
from tests.worlds import PASSWORD

pytestmark = pytest.mark.web

FRESH = "a-new-password-9"
LINK = re.compile(r"http://127\.0\.0\.1:8000(/(?:password-reset|email-change)/[A-Za-z0-9_-]{43})\b")


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


def path_of(visitor):
    return urlsplit(visitor.page.url).path


def code(secret, *, away=0):
    return code_at(base64.b32decode(secret.replace(" ", "")), step_of(SystemClock().now()) + away)


def mailed(office, to):
    office.deliver()
    return [
        LINK.search(office.text(raw))[1] for rcpt, raw in office.taken if rcpt == [to] and LINK.search(office.text(raw))
    ]


def test_a_forgotten_password_is_set_anew(world, post_office, any_visitor):
    bea, page = email_of(world, world.a, Role.MANAGER), any_visitor.page
    any_visitor.open("/sign-in")
    page.get_by_role("link", name="Forgot your password?").click()
    page.wait_for_url("**/password-reset")
    page.get_by_label("Email").fill("not an address")
    any_visitor.press("Send the link")
    assert page.get_by_label("Email").get_attribute("aria-invalid") == "true"
    assert page.get_by_label("Email").input_value() == "not an address"
    page.get_by_label("Email").fill(bea)
    any_visitor.press("Send the link")
    assert f"If there is an account for {bea}, a link is on its way there." in page.locator("main").inner_text()
    [path] = mailed(post_office, bea)
    any_visitor.open(path)
    page.get_by_label("New password").fill("short")
    any_visitor.press("Set the password")
    assert page.locator("#f-password-error").inner_text() == "Use at least 10 characters."
    page.get_by_label("New password").fill(FRESH)
    any_visitor.press("Set the password")
    page.wait_for_url("**/sign-in")
    assert any_visitor.said() == "Your new password is set. Sign in with it."
    page.get_by_label("Email").fill(bea)
    page.get_by_label("Password").fill(FRESH)
    any_visitor.press("Sign in")
    page.wait_for_url("**/w/**")
    assert any_visitor.open(path).status == 404
    assert "This link is no longer valid" in page.locator("main").inner_text()


def test_the_second_step_from_setting_up_to_turning_off(world, any_visitor):
    bea, page = email_of(world, world.a, Role.MANAGER), any_visitor.page
    any_visitor.sign_in(bea)
    any_visitor.open("/account/second-step")
    page.get_by_label("Your password").fill("wrong-password")
    any_visitor.press("Set up the second step")
    assert page.locator("#f-present-error").inner_text() == "This is not your present password."
    page.get_by_label("Your password").fill(PASSWORD)
    any_visitor.press("Set up the second step")
    assert page.get_by_role("img", name="QR code for your authenticator app").is_visible()
    secret = page.locator("#secret").inner_text()
    page.locator("#f-code").fill("000000")
    any_visitor.press("Turn on the second step")
    assert "This code is wrong" in page.locator("#f-code-error").inner_text()
    assert page.locator("#secret").inner_text() == secret
    page.locator("#f-code").fill(code(secret))
    any_visitor.press("Turn on the second step")
    codes = page.locator("#codes li").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="I have kept them").click()
    page.wait_for_url("**/account/second-step")
    assert "10 recovery codes are left." in page.locator("main").inner_text()
    page.get_by_role("button", name="your account").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    any_visitor.open(f"/sign-in?next=/w/{world.a.wsp}/campaigns")
    page.get_by_label("Email").fill(bea)
    page.get_by_label("Password").fill(PASSWORD)
    any_visitor.press("Sign in")
    page.wait_for_url("**/sign-in/code")
    page.locator("#f-code").fill("000000")
    any_visitor.press("Sign in")
    assert page.locator("#f-code").get_attribute("aria-invalid") == "true"
    page.locator("#f-code").fill(codes[0])
    any_visitor.press("Sign in")
    page.wait_for_url(f"**/w/{world.a.wsp}/campaigns")
    any_visitor.open("/account/second-step")
    off = page.locator("form", has=page.get_by_role("button", name="Turn off the second step"))
    off.get_by_label("Your password").fill(PASSWORD)
    off.get_by_label("Code of your app").fill(code(secret, away=1))
    any_visitor.press("Turn off the second step")
    assert any_visitor.said() == "The second step is off."


def test_a_password_is_changed_and_other_sessions_end(world, browser, any_visitor):
    bea, page = email_of(world, world.a, Role.MANAGER), any_visitor.page
    any_visitor.sign_in(bea)
    with visit(browser, any_visitor.server) as other:
        other.sign_in(bea)
        any_visitor.open("/account/sessions")
        assert page.locator(".cs-rows > div").count() == 2
        assert page.get_by_text("This one").count() == 1
        any_visitor.open("/account/password")
        page.get_by_label("Present password").fill(PASSWORD)
        page.get_by_label("New password").fill(FRESH)
        any_visitor.press("Change password")
        assert any_visitor.said() == "Your password is changed. All other sessions were ended."
        other.open("/account/profile")
        assert path_of(other) == "/sign-in"
    any_visitor.open("/account/sessions")
    assert page.locator(".cs-rows > div").count() == 1
    assert any_visitor.faults == []


def test_sessions_are_ended_one_or_all(world, browser, visitor):
    bea = email_of(world, world.a, Role.MANAGER)
    visitor.sign_in(bea)
    for button, said in (("End ?: ", "The session is ended."), ("End all others", "One session is ended.")):
        with visit(browser, visitor.server) as other:
            other.sign_in(bea)
            visitor.open("/account/sessions")
            visitor.page.get_by_role("button", name=re.compile(f"^{button}")).first.click()
            assert visitor.said() == said
            other.open("/account/profile")
            assert path_of(other) == "/sign-in"


def test_a_new_address_is_confirmed_there(world, post_office, any_visitor):
    bea, new, page = email_of(world, world.a, Role.MANAGER), f"bea.{uuid7().hex}@northwind.example", any_visitor.page
    any_visitor.sign_in(bea)
    any_visitor.open("/account/profile")
    page.get_by_label("New address").fill(new)
    page.get_by_label("Your password").fill(PASSWORD)
    any_visitor.press("Change address")
    assert any_visitor.said() == f"Open the link that we sent to {new}."
    [path] = mailed(post_office, new)
    any_visitor.open(path)
    any_visitor.press("Confirm this address")
    page.wait_for_url("**/account/profile")
    assert f"Your address is now {new}." in any_visitor.said()


def test_name_and_zone_are_kept_and_faults_stand_beside_their_fields(world, any_visitor):
    page = any_visitor.sign_in(email_of(world, world.a, Role.MANAGER)).page
    any_visitor.open("/account/profile")
    page.get_by_label("Name").fill("Bea <b>Buyer</b>")
    page.get_by_label("Time zone").fill("Mars/Olympus")
    any_visitor.press("Save profile")
    assert "Mars/Olympus" in page.locator("#f-time_zone-error").inner_text()
    assert page.get_by_label("Name").input_value() == "Bea <b>Buyer</b>"
    page.get_by_label("Time zone").fill("Asia/Kathmandu")
    any_visitor.press("Save profile")
    assert any_visitor.said() == "Your profile is saved."
    assert page.get_by_label("Time zone").input_value() == "Asia/Kathmandu"


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pages_are_clean(world, browser, server, post_office, size):
    """WCAG 2.2 AA, nothing to scroll sideways, a quiet console; at each stage of the second step."""
    bea, found = email_of(world, world.a, Role.MANAGER), {}
    with visit(browser, server, viewport=size) as visitor:

        def look(name):
            assert not visitor.overflows(), name
            found[name] = visitor.axe()

        visitor.open("/password-reset")
        look("ask")
        visitor.page.get_by_label("Email").fill(bea)
        visitor.press("Send the link")
        look("asked")
        [path] = mailed(post_office, bea)
        visitor.open(path)
        look("reset")
        visitor.sign_in(bea)
        for name in ("profile", "password", "second-step", "sessions", "notices"):
            assert visitor.open(f"/account/{name}").status == 200
            look(name)
        visitor.open("/account/second-step")
        visitor.page.get_by_label("Your password").fill(PASSWORD)
        visitor.press("Set up the second step")
        visitor.page.get_by_role("img", name="QR code for your authenticator app").wait_for()
        look("setting up")
        visitor.page.locator("#f-code").fill(code(visitor.page.locator("#secret").inner_text()))
        visitor.press("Turn on the second step")
        visitor.page.locator("#codes").wait_for()
        look("codes")
        visitor.open("/account/second-step")
        look("on")
        assert visitor.faults == []
        with visit(browser, server, viewport=size) as second:
            second.open("/sign-in")
            second.page.get_by_label("Email").fill(bea)
            second.page.get_by_label("Password").fill(PASSWORD)
            second.press("Sign in")
            second.page.wait_for_url("**/sign-in/code")
            assert not second.overflows()
            found["code"] = second.axe()
    assert {name: faults for name, faults in found.items() if faults} == {}
