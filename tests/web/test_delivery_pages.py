"""How fast, in which parts, through what: pages of channels, limits and delivery, with a real browser."""

from dataclasses import replace
from datetime import UTC, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from playwright.sync_api import expect

from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.sending.models import ChannelHealth, QuotaUse
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit
from tests.worlds import bound

pytestmark = pytest.mark.web


def as_role(visitor, world, role):
    return visitor.enter(email_of(world, world.a, role)).page


def down(world, channel_id, *, minutes=5, **more):
    """Let a channel be one that the mail server refused the sign-in of."""
    now = SystemClock().now()
    with bound(world.engine, world.a) as session:
        values = {"breaker": "open", "reason": "sign_in", "opened_at": now, "openings": 1,
                  "open_until": now + timedelta(minutes=minutes), **more}  # fmt: skip
        key = {"tenant_id": world.a.tenant_id, "channel_id": parse("chn", channel_id), "updated_at": now}
        session.add(ChannelHealth(**key, **values))
        session.commit()


def limits(world, **changes):
    admin = world.client(world.a, Role.ADMIN)
    place = f"/workspaces/{world.a.wsp}"
    assert admin.patch(place, changes, etag=admin.get(place).headers["ETag"]).status_code == 200


def drafted(world, *, people=20, port=1, at=None):
    list_id, _ = scenes.add_people(world, world.a, people)
    channel_id = scenes.add_channel(world, world.a, port)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, at or scenes.soon(30)))
    return campaign_id


def test_a_key_that_signs_mails_is_made_published_and_removed(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    channel_id = scenes.add_channel(world, world.a, 587, host="smtp.relay.example", security="starttls")
    visitor.open(f"/w/{world.a.wsp}/settings/channels/{channel_id}")
    page.get_by_label("Domain").fill("example.org")
    visitor.press("Make key")
    expect(page.locator("#f-domain-error")).to_contain_text("news.northwind.example")
    expect(page.get_by_label("Domain")).to_have_value("example.org")
    page.get_by_label("Domain").fill("northwind.example")
    visitor.press("Make key")
    expect(page.locator("#dkim-name")).to_have_text("csn1._domainkey.northwind.example")
    expect(page.locator("#dkim-text")).to_contain_text("v=DKIM1; k=rsa; p=")
    assert "PRIVATE" not in page.content()
    page.get_by_label("From name").fill("Northwind")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    visitor.press("Remove key…")
    visitor.press("Remove key")
    expect(page.locator("#dkim")).to_contain_text("Mails are not signed by us.")


def test_connection_settings_are_checked_and_kept(world, any_visitor, monkeypatch):
    running = world.app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, source_addresses=("192.0.2.10",)))
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    channel_id = scenes.add_channel(world, world.a, 587, host="smtp.relay.example", security="starttls")
    visitor.open(f"/w/{world.a.wsp}/settings/channels/{channel_id}")
    page.get_by_label("Connections").fill("80")
    page.get_by_label("Name in the greeting").fill("192.0.2.10")
    page.get_by_label("Connect from").select_option("192.0.2.10")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator("#f-connections-error")).to_be_visible()
    expect(page.get_by_label("Name in the greeting")).to_have_value("192.0.2.10")
    page.get_by_label("Connections").fill("8")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator("#f-ehlo_name-error")).to_contain_text("brackets")
    page.get_by_label("Name in the greeting").fill("mail.northwind.example")
    page.locator("form#channel").get_by_role("button", name="Save").click()
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    kept = world.client(world.a, Role.ADMIN).get(f"/channels/{channel_id}").get_json()
    found = (kept["connections"], kept["ehlo_name"], kept["source_address"])
    assert found == (8, "mail.northwind.example", "192.0.2.10")


def test_a_channel_that_waits_says_why_and_is_tried_at_once(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    channel_id = scenes.add_channel(world, world.a, 587)
    path = f"/w/{world.a.wsp}/settings/channels/{channel_id}"
    visitor.open(path)
    expect(page.locator("#state")).to_contain_text("Messages leave")
    down(world, channel_id)
    visitor.open(path)
    expect(page.locator("#state")).to_contain_text("refused the sign-in")
    expect(page.locator("#state")).to_contain_text("in 5 minutes")
    visitor.press("Try now")
    expect(page.locator(".cs-flash")).to_contain_text("being tried now")
    expect(page.locator("#state")).to_contain_text("Trying one message")
    assert page.get_by_role("button", name="Try now").count() == 0
    answer = world.client(world.a, Role.VIEWER).get(f"/channels/{channel_id}/health").get_json()
    assert answer["breaker"] == "half_open"


def test_limits_are_set_and_taken_away_and_say_what_is_used(world, any_visitor):
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/workspace")
    page.get_by_label("Most per minute").fill("often")
    page.get_by_label("Messages a month").fill("50 000")
    page.get_by_label("Marketing messages a person").fill("3")
    visitor.press("Save")
    expect(page.locator("#f-rate_per_minute-error")).to_have_text("Write a whole number.")
    expect(page.get_by_label("Messages a month")).to_have_value("50 000")
    page.get_by_label("Most per minute").fill("")
    visitor.press("Save")
    expect(page.locator("#f-cap_days-error")).to_contain_text("how many days")
    page.get_by_label("In days").fill("7")
    visitor.press("Save")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    expect(page.locator("#quota")).to_have_text("This month 0 of 50,000 messages are used.")
    with bound(world.engine, world.a) as session:
        month = SystemClock().now().astimezone(UTC).date().replace(day=1)
        session.add(QuotaUse(tenant_id=world.a.tenant_id, month=month, used=50_000))
        session.commit()
    page.reload()
    expect(page.locator("#quota")).to_contain_text("Nothing more is sent this month.")
    for label in ("Messages a month", "Marketing messages a person", "In days"):
        page.get_by_label(label).fill("")
    visitor.press("Save")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    kept = world.client(world.a, Role.ADMIN).get(f"/workspaces/{world.a.wsp}").get_json()
    assert (kept["messages_per_month"], kept["cap_messages"], kept["cap_days"]) == (None, None, None)


def test_delivery_is_drafted_checked_and_read_by_the_approver(world, any_visitor, browser, server):
    limits(world, cap_messages=3, cap_days=7)
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    campaign_id = drafted(world)
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}"
    visitor.open(f"{path}/edit")
    expect(page.get_by_label("Messages to a person")).to_contain_text("at most 3 marketing messages")
    page.get_by_label("Most an hour").fill("18")
    page.get_by_label("Share of wave 1 in percent").fill("ten")
    page.get_by_label("Time of wave 1 after the start").fill("0")
    visitor.press("Save draft")
    expect(page.locator("#delivery")).to_contain_text("Wave 1, share: Write a whole number.")
    expect(page.get_by_label("Share of wave 1 in percent")).to_have_value("ten")
    page.get_by_label("Share of wave 1 in percent").fill("10")
    page.get_by_label("Share of wave 2 in percent").fill("80")
    page.get_by_label("Time of wave 2 after the start").fill("2")
    page.get_by_label("Unit of the time of wave 2").select_option("hours")
    visitor.press("Save draft")
    expect(page.locator("#checks")).to_contain_text("The waves make 90 %")
    expect(page.get_by_label("Unit of the time of wave 2")).to_have_value("hours")
    page.get_by_label("Share of wave 2 in percent").fill("90")
    visitor.press("Save and request approval")
    page.wait_for_url(f"**{path}")
    with visit(browser, server) as second:
        other = as_role(second, world, Role.APPROVER)
        second.open(f"{path}/review")
        told = other.locator("#delivery").inner_text()
    for words in ("At most 18 an hour", "10 % at the start, 90 % after 2 h", "About 3 h for 20 people",
                  "At most 3 marketing messages to a person in 7 days"):  # fmt: skip
        assert words in told, told


def test_r14_quiet_hours_of_a_project_are_followed_overridden_and_read_by_the_approver(
    world, any_visitor, browser, server
):
    campaign_id = drafted(world, at=evening())
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}"
    visitor, page = any_visitor, as_role(any_visitor, world, Role.ADMIN)
    visitor.open(f"/w/{world.a.wsp}/settings/projects/{world.a.prj}")
    page.get_by_label("Quiet from").fill("21:00")
    visitor.press("Save project")
    expect(page.locator("#f-quiet_until-error")).to_contain_text("say when they end")
    expect(page.get_by_label("Quiet from")).to_have_value("21:00")
    page.get_by_label("Quiet until").fill("08:00")
    visitor.press("Save project")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    visitor.open(f"{path}/edit")
    uses = page.locator("#f-quiet_use")
    expect(uses.locator("option:checked")).to_have_text("Follows project: 21:00 to 08:00")
    uses.select_option("own")
    page.get_by_label("Quiet from").fill("20:00")
    visitor.press("Save draft")
    expect(page.locator("#checks")).to_contain_text("Say when they end")
    page.get_by_label("Quiet until").fill("09:30")
    visitor.press("Save and request approval")
    page.wait_for_url(f"**{path}")
    with visit(browser, server) as second:
        other = as_role(second, world, Role.APPROVER)
        second.open(f"{path}/review")
        expect(other.locator("#delivery")).to_contain_text("20:00 to 09:30 Oslo")
        expect(other.locator("#checks")).to_contain_text("22:00, in quiet hours: the first messages leave")
        expect(other.locator("#checks")).to_contain_text("09:30 (Oslo)")
        assert not second.overflows()


def test_r14_a_send_window_is_drafted_checked_and_read_by_the_approver(world, any_visitor, browser, server):
    noon = scenes.soon(48).astimezone(ZoneInfo(scenes.ZONE)).replace(hour=12, minute=0, second=0)
    campaign_id = drafted(world, at=noon + timedelta(days=-noon.weekday() % 7))
    path = f"/w/{world.a.wsp}/campaigns/{campaign_id}"
    visitor, page = any_visitor, as_role(any_visitor, world, Role.MANAGER)
    visitor.open(f"{path}/edit")
    window = page.get_by_role("group", name="Send window")
    page.get_by_label("Leaves from").fill("09:00")
    page.get_by_label("When nothing may leave").select_option("discard")
    visitor.press("Save draft")
    expect(page.locator("#f-window_days-error")).to_contain_text("Choose one day to seven.")
    expect(page.locator("#f-window_until-error")).to_contain_text("Fill this in.")
    expect(page.get_by_label("Leaves from")).to_have_value("09:00")
    expect(page.locator("#f-in_silence")).to_have_value("discard")
    for day in ("Mon", "Sat"):
        window.get_by_label(day).check()
    page.get_by_label("Leaves until").fill("17:00")
    assert not visitor.overflows()
    visitor.press("Save draft")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    expect(window.get_by_label("Sat")).to_be_checked()
    expect(window.get_by_label("Sun")).not_to_be_checked()
    visitor.press("Save and request approval")
    page.wait_for_url(f"**{path}")
    with visit(browser, server) as second:
        other = as_role(second, world, Role.APPROVER)
        second.open(f"{path}/review")
        expect(other.locator("#delivery")).to_contain_text("Mon, Sat, 09:00 to 17:00 Oslo")
        expect(other.locator("#delivery")).to_contain_text("What would have left then is not sent at all.")
        assert not second.overflows()


def test_r14_a_send_window_is_taken_away_again(world, visitor):
    campaign_id = drafted(world)
    url, manager = f"/campaigns/{campaign_id}/revisions/1", world.client(world.a, Role.MANAGER)
    read = manager.get(url)
    rare = {"send_window": {"days": ["MO"], "from": "09:00", "until": "17:00"}, "in_silence": "discard"}
    draft = {**read.get_json()["draft"], "settings": rare}
    assert manager.put(url, {"draft": draft}, etag=read.headers["ETag"]).status_code == 200
    page = as_role(visitor, world, Role.MANAGER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit")
    page.get_by_role("group", name="Send window").get_by_label("Mon").uncheck()
    page.get_by_label("Leaves from").fill("")
    page.get_by_label("Leaves until").fill("")
    page.get_by_label("When nothing may leave").select_option("queue")
    visitor.press("Save draft")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    kept = manager.get(url).get_json()["draft"]["settings"]
    assert not {name for name in rare if kept.get(name)}


def evening():
    """22:00 in Oslo, the day after tomorrow."""
    return scenes.soon(48).astimezone(ZoneInfo(scenes.ZONE)).replace(hour=22, minute=0, second=0)


def test_what_is_drafted_by_the_api_stands_in_the_form_and_stays(world, visitor):
    campaign_id = drafted(world)
    manager = world.client(world.a, Role.MANAGER)
    url = f"/campaigns/{campaign_id}/revisions/1"
    settings = {
        "speed_per_hour": 500, "frequency_cap": {"use": "own", "messages": 0, "days": 2},
        "waves": [{"percent": 5, "after_minutes": no * 45} for no in range(20)],
        "quiet_hours": {"use": "own", "from": "23:00", "until": "06:15"},
        "send_window": {"days": ["MO", "SU"], "from": "22:00", "until": "06:00"}, "in_silence": "discard",
    }  # fmt: skip
    read = manager.get(url)
    draft = {**read.get_json()["draft"], "settings": settings}
    assert manager.put(url, {"draft": draft}, etag=read.headers["ETag"]).status_code == 200
    page = as_role(visitor, world, Role.MANAGER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}/edit")
    assert page.locator("input[name=wave_percent]").count() == 20
    visitor.press("Save draft")
    expect(page.locator(".cs-flash")).to_contain_text("Saved.")
    kept = manager.get(url).get_json()["draft"]["settings"]
    assert {name: kept[name] for name in settings} == settings


def test_a_campaign_that_runs_says_what_it_waits_for(world, room, sink, visitor):
    at = scenes.soon(1)
    campaign_id, _ = scenes.approved_campaign(world, world.a, people=3, port=sink.port, at=at)
    room.at(at).run(Queue.MAINTENANCE)
    later = SystemClock().now() + timedelta(minutes=185)
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE chunk SET not_before = :later"), {"later": later})
        channel_id = session.scalar(sa.text("SELECT channel_id FROM run"))
        session.commit()
    page = as_role(visitor, world, Role.VIEWER)
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    expect(page.locator("#pace")).to_contain_text("The next messages leave")
    expect(page.locator("#pace")).to_contain_text("in 3 hours")
    with bound(world.engine, world.a) as session:
        now = SystemClock().now()
        session.add(
            ChannelHealth(
                tenant_id=world.a.tenant_id,
                channel_id=channel_id,
                breaker="open",
                reason="connect",
                opened_at=now,
                open_until=now + timedelta(minutes=3),
                updated_at=now,
            )
        )
        session.commit()
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    expect(page.locator("#pace")).to_contain_text("It waits for its channel. The server could not be reached")


@pytest.fixture
def paths(world, monkeypatch):
    """The pages with everything on them."""
    running = world.app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, source_addresses=("192.0.2.10", "2001:db8::10")))
    limits(world, rate_per_minute=6000, messages_per_month=50_000, cap_messages=3, cap_days=7)
    plain = scenes.add_channel(world, world.a, 587, name="Plain")
    signing = scenes.add_channel(world, world.a, 587, name="Signing", rate_per_minute=600)
    key = {"domain": "northwind.example", "selector": "csn1"}
    assert world.client(world.a, Role.ADMIN).post(f"/channels/{signing}/dkim", key).status_code == 201
    down(world, signing, present_rate=120.0, pressed_at=SystemClock().now())
    list_id, _ = scenes.add_people(world, world.a, 20)
    campaign_id = scenes.make_campaign(world, world.a)
    settings = {
        "speed_per_hour": 20_000, "frequency_cap": {"use": "own", "messages": 2, "days": 7},
        "quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"},
        "waves": [{"percent": 10, "after_minutes": 0}, {"percent": 90, "after_minutes": 120}],
        "send_window": {"days": ["MO", "WE", "SU"], "from": "09:00", "until": "17:00"}, "in_silence": "discard",
    }  # fmt: skip
    draft = {**scenes.dated_draft(list_id, signing, scenes.soon(30)), "settings": settings}
    scenes.save(world, world.a, campaign_id, draft)
    asked = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, asked, draft)
    scenes.submit(world, world.a, asked)
    here = f"/w/{world.a.wsp}"
    return {
        "channel": f"{here}/settings/channels/{plain}", "signing": f"{here}/settings/channels/{signing}",
        "new": f"{here}/settings/channels/new", "project": f"{here}/settings/projects/{world.a.prj}", "workspace": f"{here}/settings/workspace",
        "edit": f"{here}/campaigns/{campaign_id}/edit", "review": f"{here}/campaigns/{asked}/review",
    }  # fmt: skip


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_pages_are_accessible_and_fit(world, browser, server, paths, size, scheme):
    found = {}
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        as_role(visitor, world, Role.ADMIN)
        for name, path in paths.items():
            assert visitor.open(path).status == 200, path
            assert not visitor.overflows(), path
            found[name] = visitor.axe()
        assert visitor.faults == []
    assert {name: faults for name, faults in found.items() if faults} == {}
