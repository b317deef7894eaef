"""A workspace's looks, sender, short name and quotas; white label on what its recipients see."""

import pytest
import sqlalchemy as sa

from saas.kernel.ids import show
from saas.permissions.types import Role
from tests.integration.intake.sent import make_campaign, send_to
from tests.unit.tenants.test_workspace_rules import jpeg, png
from tests.worlds import Client, bound

pytestmark = pytest.mark.integration


def path(world):
    return f"/workspaces/{world.a.wsp}"


def change(world, by=Role.ADMIN, **words):
    client = world.client(world.a, by)
    return client.patch(path(world), words, etag=client.get(path(world)).headers["ETag"])


def test_words_are_changed_and_shown(world):
    words = {
        "slug": "north", "languages": ["nb", "en"], "brand_colour": "#1f5f4a", "brand_colour_dark": "#7fc7ad",
        "sender_name": "Northwind Club", "sender_address": "club@northwind.example", "retention_days": 60,
    }  # fmt: skip
    answer = change(world, **words)
    assert answer.status_code == 200, answer.text
    assert {name: answer.get_json()[name] for name in words} == words
    listed = world.client(world.a, Role.ADMIN).get("/workspaces").get_json()["data"]
    assert [row["slug"] for row in listed] == ["north"]


@pytest.mark.parametrize(
    ("words", "pointer"),
    [({"brand_colour": "#ffee00"}, "/brand_colour"), ({"brand_colour_dark": "#101010"}, "/brand_colour_dark"),
     ({"brand_colour": "red;}"}, "/brand_colour"), ({"slug": "No Way"}, "/slug"), ({"languages": []}, "/languages"),
     ({"sender_address": "nobody"}, "/sender_address"), ({"retention_days": 0}, "/retention_days"), ({"state": "active"}, "/state"),
     ({"has_logo": True}, "/has_logo")],
)  # fmt: skip
def test_wrong_words_have_their_place(world, words, pointer):
    answer = change(world, **words)
    assert answer.status_code == 422, answer.text
    assert pointer in {fault["pointer"] for fault in answer.get_json()["errors"]}


def test_a_short_name_is_taken_once_in_an_agency(world):
    assert change(world, slug="club").status_code == 200
    other = world.client(world.b, Role.ADMIN)
    where = f"/workspaces/{world.b.wsp}"
    taken = other.patch(where, {"slug": "club"}, etag=other.get(where).headers["ETag"])
    assert (taken.status_code, taken.get_json()["code"]) == (409, "name_taken")


def test_quotas_are_the_agencys_to_set(world):
    for name in ("contacts_most", "api_calls_per_day", "api_calls_per_month"):
        refused = change(world, **{name: 5})
        assert (refused.status_code, refused.get_json()["action"]) == (403, "workspace:state")
        allowed = change(world, by=Role.AGENCY_OWNER, **{name: 5_000})
        assert (allowed.status_code, allowed.get_json()[name]) == (200, 5_000)


def test_a_logo_is_known_by_its_content_and_public(world):
    admin, anybody = world.client(world.a, Role.ADMIN), Client(world.app)
    where = f"/brand/{world.a.wsp}/logo"
    assert anybody.http.get(where).status_code == 404
    for content, kind in ((png(), "image/png"), (jpeg(), "image/jpeg")):
        put = admin.call("PUT", f"{path(world)}/logo", data=content, headers={"Content-Type": "text/html"})
        assert (put.status_code, put.get_json()["has_logo"]) == (200, True), put.text
        found = anybody.http.get(where)
        assert (found.status_code, found.headers["Content-Type"], found.data) == (200, kind, content)
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in found.headers["Content-Security-Policy"]
    for bad in (b"", b"<svg/>", b"GIF89a", png() + b"x" * 300_000):
        assert admin.call("PUT", f"{path(world)}/logo", data=bad).status_code == 422
    viewer = world.client(world.a, Role.VIEWER)
    assert viewer.call("PUT", f"{path(world)}/logo", data=png()).status_code == 403
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM stored_file")) == 1  # earlier ones are gone
    assert admin.delete(f"{path(world)}/logo").get_json()["has_logo"] is False
    assert anybody.http.get(where).status_code == 404
    for nothing in ("wsp_nonsense", show("wsp", world.agency_id)):
        assert anybody.http.get(f"/brand/{nothing}/style.css").status_code == 404


def test_public_pages_wear_the_colours(world, app, engine):
    """White label: the unsubscribe page of a workspace is its own, of another one not."""
    vault = app.extensions["countersign"].vault
    made = make_campaign(engine, world.a, vault)
    send_to(made, ["anna@example.org"])
    assert change(world, brand_colour="#7a1f4a", brand_colour_dark="#ffb3d1").status_code == 200
    assert world.client(world.a, Role.ADMIN).call("PUT", f"{path(world)}/logo", data=png()).status_code == 200
    http = app.test_client()
    page = http.get(made.way_out("anna@example.org"))
    style = http.get(f"/brand/{world.a.wsp}/style.css")
    assert ".wl-bar { background: #7a1f4a; }" in style.text and "#ffb3d1" in style.text
    assert style.headers["Content-Type"].startswith("text/css")
    assert http.get(f"/brand/{world.b.wsp}/style.css").text.strip() == ""
    assert f"/brand/{world.a.wsp}/style.css" in page.text and f"/brand/{world.a.wsp}/logo" in page.text


def test_the_quota_of_people_holds_for_calls(world):
    assert change(world, by=Role.AGENCY_OWNER, contacts_most=2).status_code == 200
    key = world.key(world.a)
    two = [{"email": f"p{no}@example.org"} for no in range(2)]
    assert key.post("/contacts:batch", {"contacts": two}).status_code == 200
    assert key.post("/contacts:batch", {"contacts": two}).status_code == 200  # the same two
    third = key.post("/contacts:batch", {"contacts": [{"email": "p3@example.org"}]})
    assert (third.status_code, third.get_json()["code"]) == (409, "quota_reached")
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM contact")) == 2


def test_calls_of_keys_end_with_the_quota(world):
    """Exactly as many as allowed pass (security.md K); people are not counted, nor refused requests."""
    assert change(world, by=Role.AGENCY_OWNER, api_calls_per_day=3).status_code == 200
    key, admin = world.key(world.a), world.client(world.a, Role.ADMIN)
    assert key.get("/lists/nonsense").status_code == 404
    assert [key.get("/lists").status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    over = key.get("/lists")
    assert over.get_json()["code"] == "api_quota_reached"
    assert 0 < int(over.headers["Retry-After"]) <= 24 * 3600
    assert admin.get("/lists").status_code == 200
    assert world.key(world.b).get("/lists").status_code == 200
    assert change(world, by=Role.AGENCY_OWNER, api_calls_per_day=None, api_calls_per_month=4).status_code == 200
    assert [key.get("/lists").status_code for _ in range(2)] == [200, 429]


def test_the_settings_page_shows_and_saves_them(world):
    admin = world.client(world.a, Role.ADMIN)
    where = f"/w/{world.a.wsp}/settings/workspace"
    shown = admin.http.get(where)
    assert shown.status_code == 200 and 'name="brand_colour"' in shown.text and 'name="contacts_most"' not in shown.text
    form = {
        "csrf_token": admin.csrf, "version": "1", "name": "Northwind", "time_zone": "Europe/Oslo", "slug": "nw",
        "languages": "nb, en", "brand_colour": "#1f5f4a", "brand_colour_dark": "", "sender_name": "Club",
        "sender_address": "", "sender_reply_to": "", "rate_per_minute": "", "messages_per_month": "",
        "cap_messages": "", "cap_days": "", "retention_days": "45",
    }  # fmt: skip
    assert admin.http.post(where, data=form).status_code == 303
    found = admin.get(path(world)).get_json()
    assert (found["slug"], set(found["languages"]), found["retention_days"]) == ("nw", {"en", "nb"}, 45)
    owner = world.client(world.a, Role.AGENCY_OWNER)
    assert 'name="contacts_most"' in owner.http.get(where).text
    moved = owner.http.post(f"{where}/state", data={"csrf_token": owner.csrf, "move": "suspend"})
    assert moved.status_code == 303
    assert "The workspace is suspended" in admin.http.get(where).text
