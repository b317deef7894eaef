"""Webhooks by hand: made, their secret shown once, pinged, given a new secret, taken out of use."""

from dataclasses import replace

import pytest
from playwright.sync_api import expect

from saas.permissions.types import Role
from tests.hook_sink import HookSink, Reply
from tests.web.conftest import DESK, PHONE, email_of, visit

pytestmark = pytest.mark.web


@pytest.fixture
def receiver(app, monkeypatch):
    """A receiver that the application may reach."""
    running = app.extensions["countersign"]
    with HookSink() as sink:
        monkeypatch.setattr(running, "settings", replace(running.settings, egress_allow=(sink.address,)))
        yield sink


def made(world, sink, **changes):
    body = {"name": "Orders", "purpose": "transactional", "url": sink.url, **changes}
    return world.client(world.a, Role.ADMIN).post("/webhook-channels", body).get_json()


def test_a_webhook_is_made_and_its_secret_is_shown_once(world, any_visitor, receiver):
    visitor = any_visitor
    page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
    visitor.open(f"/w/{world.a.wsp}/settings/channels")
    page.get_by_role("link", name="New webhook").click()
    page.get_by_label("Name", exact=True).fill("Orders")
    page.get_by_label("Address").fill("http://hooks.northwind.example/in")
    page.get_by_label("Most per minute").fill("many")
    page.locator("form#channel").get_by_role("button", name="Make webhook").click()
    expect(page.locator("#f-rate_per_minute-error")).to_have_text("Write a whole number.")
    expect(page.get_by_label("Address")).to_have_value("http://hooks.northwind.example/in")
    page.get_by_label("Most per minute").fill("")
    page.locator("form#channel").get_by_role("button", name="Make webhook").click()
    expect(page.locator("#f-url-error")).to_contain_text("Use https")
    page.get_by_label("Address").fill(receiver.url)
    page.locator("form#channel").get_by_role("button", name="Make webhook").click()
    page.wait_for_url("**/settings/channels/chn_*")
    secret = page.locator("#made-secret").inner_text()
    assert secret.startswith("whsec_")
    visitor.press("Send a ping")
    page.get_by_text("The receiver answered 200.").wait_for()
    assert receiver.posts[0].verify(secret)
    assert secret not in page.content()
    receiver.answer = Reply(500)
    visitor.press("Send a ping")
    page.locator(".cs-flash .st-failed").wait_for()
    page.get_by_label("Address").fill(receiver.url + "&more=1")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator(".cs-flash")).to_contain_text("held until they are signed again")
    assert [fault for fault in visitor.faults if "422" not in fault] == []


def test_a_new_secret_after_a_question_and_the_end(world, visitor, receiver):
    found = made(world, receiver)
    page = visitor.enter(email_of(world, world.a, Role.ADMIN)).page
    visitor.open(f"/w/{world.a.wsp}/settings/channels/{found['channel_id']}")
    visitor.press("New secret…")
    visitor.press("Make new secret")
    secret = page.locator("#made-secret").inner_text()
    assert secret != found["secret"]
    expect(page.get_by_label("Test and history")).to_contain_text("signed with the former secret, too")
    visitor.press("Send a ping")
    page.get_by_text("The receiver answered 200.").wait_for()
    assert receiver.posts[0].verify(secret) and receiver.posts[0].verify(found["secret"])
    visitor.press("Take out of use…")
    visitor.press("Take out of use")
    page.get_by_text("“Orders” is out of use.").wait_for()


def test_who_may_not_change_it_sees_no_form_and_strangers_nothing(world, visitor, receiver):
    found = made(world, receiver)
    page = visitor.enter(email_of(world, world.a, Role.VIEWER)).page
    path = f"/w/{world.a.wsp}/settings"
    assert visitor.open(f"{path}/channels/{found['channel_id']}").status == 200
    assert page.locator("main form, main button").count() == 0
    assert receiver.url in page.locator("main").inner_text()
    assert visitor.open(f"{path}/webhooks/new").status == 403
    admin = world.client(world.b, Role.ADMIN)
    form = {"csrf_token": admin.csrf, "version": "1", "name": "x", "url": "https://x.example", "overlap_hours": "1",
            "rate_per_minute": ""}  # fmt: skip
    for tail in ("", "/ping", "/secret"):
        for place in (world.a, world.b):
            answer = admin.http.post(f"/w/{place.wsp}/settings/webhooks/{found['channel_id']}{tail}", data=form)
            assert answer.status_code == 404
    assert receiver.posts == []


@pytest.mark.parametrize(
    "options", [{"viewport": DESK}, {"viewport": PHONE, "color_scheme": "dark"}], ids=["desk", "phone"]
)
def test_pages_are_accessible_and_fit(world, browser, server, receiver, options):
    found, faults = made(world, receiver), {}
    with visit(browser, server, **options) as visitor:
        visitor.enter(email_of(world, world.a, Role.ADMIN))
        for path in ("channels", "webhooks/new", f"channels/{found['channel_id']}"):
            assert visitor.open(f"/w/{world.a.wsp}/settings/{path}").status == 200
            faults[path] = visitor.axe() + ["wider than the window"] * visitor.overflows()
        visitor.press("New secret…")
        faults["a question"] = visitor.axe()
        visitor.press("Make new secret")
        faults["a secret"] = visitor.axe() + ["wider than the window"] * visitor.overflows()
        assert visitor.faults == []
    assert {path: found for path, found in faults.items() if found} == {}
