"""Dates at the calendar's ends: refused where they are given, shown where they are stored (security.md I)."""

import pytest
import sqlalchemy as sa

from saas.accounts.models import ApiKey
from saas.campaigns.rules import schedule
from saas.kernel.moments import OUT_OF_YEARS
from saas.permissions.types import Role
from saas.tenants.models import Workspace
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration

FAR = [
    "9999-12-31T23:59:59-14:00", "9999-12-31T23:30:00Z", "2200-01-01T00:00:00Z", "1999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59",
]  # fmt: skip


@pytest.mark.parametrize("text", FAR)
def test_r14_a_key_expires_in_the_years_that_people_may_give(world, text):
    body = {"name": "Shop", "role": "viewer", "scopes": ["campaign:read"], "expires_at": text}
    answer = world.client(world.a, Role.ADMIN).post("/api-keys", body)
    assert answer.status_code == 422, answer.text
    assert answer.get_json()["errors"] == [{"pointer": "/expires_at", "message": OUT_OF_YEARS}]


@pytest.mark.parametrize("text", FAR)
@pytest.mark.parametrize("path", ["/audit", "/audit/export"])
@pytest.mark.parametrize("end", ["from", "to"])
def test_u2_the_log_is_asked_for_years_that_people_may_give(world, path, end, text):
    answer = world.client(world.a, Role.ADMIN).get(path, query_string={end: text})
    assert answer.status_code == 422, answer.text
    assert answer.get_json()["errors"] == [{"pointer": f"/{end}", "message": OUT_OF_YEARS}]


@pytest.mark.parametrize("day", ["9999-12-31", "2200-01-01", "0001-01-01"])
def test_pages_say_beside_the_field_which_years_can_be_given(world, day):
    client, here = world.client(world.a, Role.ADMIN), f"/w/{world.a.wsp}/settings"
    for end in ("from", "to"):
        page = client.http.get(f"{here}/audit", query_string={end: day})
        assert page.status_code == 422 and OUT_OF_YEARS in page.text
    form = {"csrf_token": client.csrf, "name": "Shop", "role": "viewer", "scopes": "campaign:read", "expires_on": day}
    page = client.http.post(f"{here}/keys/new", data=form)
    assert page.status_code == 422 and OUT_OF_YEARS in page.text


@pytest.mark.parametrize("moment", ["9999-12-31 23:30:00+00", "0001-01-01 00:00:00+00"])
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/New_York"])
def test_a_stored_moment_breaks_no_page(world, moment, zone):
    client = world.client(world.a, Role.ADMIN)
    with bound(world.engine, world.a) as session:
        session.execute(
            sa.update(ApiKey).where(ApiKey.key_id == world.a.key_id).values(expires_at=sa.text(f"'{moment}'"))
        )
        session.execute(sa.update(Workspace).where(Workspace.tenant_id == world.a.tenant_id).values(time_zone=zone))
        session.commit()
    assert client.http.get(f"/w/{world.a.wsp}/settings/keys").status_code == 200
    assert client.get("/api-keys").status_code == 200


def test_r1_a_stored_start_breaks_no_page(world, monkeypatch):
    list_id, _ = scenes.add_people(world, world.a, 2)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 2525), scenes.soon())
    draft["steps"][0]["at"] = "9999-12-31T23:59:59"
    draft["settings"] = {
        "waves": [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 60}],
        "quiet_hours": {"use": "own", "from": "21:00", "until": "08:00"},
    }
    campaign_id = scenes.make_campaign(world, world.a)
    with monkeypatch.context() as before:  # as it could be saved once
        before.setattr(schedule, "YEARS", range(1, 10_000))
        scenes.save(world, world.a, campaign_id, draft)
        content_hash = scenes.submit(world, world.a, campaign_id)
    here, client = f"/w/{world.a.wsp}", world.client(world.a, Role.APPROVER)
    pages = [
        "/",
        "/approvals",
        "/campaigns",
        f"/campaigns/{campaign_id}",
        f"/campaigns/{campaign_id}/review",
    ]
    waiting = {path: client.http.get(f"{here}{path}").status_code for path in pages}
    assert set(waiting.values()) == {200}, waiting
    assert client.get(f"/campaigns/{campaign_id}/revisions/1/review").status_code == 200
    scenes.approve(world, world.a, campaign_id, content_hash)
    published = {path: client.http.get(f"{here}{path}").status_code for path in pages}
    assert set(published.values()) == {200}, published
    assert client.get(f"/campaigns/{campaign_id}").status_code == 200
