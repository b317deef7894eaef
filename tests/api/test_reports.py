"""Reports over the API: who may ask, what they see."""

import pytest
import sqlalchemy as sa

from saas.audit import service as audit
from saas.campaigns.models import Revision
from saas.campaigns.rules.document import hash_of
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.ledger.models import Entry
from saas.permissions.types import SYSTEM, Actor, ActorKind, Role
from tests import scenes
from tests.integration.intake.sent import (
    LINKS,
    add_chunk,
    add_delivery,
    add_people,
    document_of,
    make_campaign,
    new_run,
    send_to,
)
from tests.worlds import Client

pytestmark = pytest.mark.integration

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
PATHS = ("report", "people", "activity")
EMAILS = [f"person{number}@example.org" for number in range(6)]


@pytest.fixture
def vault(app):
    return app.extensions["countersign"].vault


@pytest.fixture
def made(world, engine, vault):
    """Two accepted, one each: skipped, rejected, uncertain, open."""
    found = make_campaign(engine, world.a, vault)
    ids = add_people(found, EMAILS)
    with found.session() as session:
        closed, pending = add_chunk(session, found, ids[:5], "closed"), add_chunk(session, found, ids[5:], "pending")
        assert closed < pending
        for entry_id in ids[:2]:
            add_delivery(session, found, entry_id, closed)
        add_delivery(session, found, ids[2], closed, exc="skipped", reason="unsubscribed")
        add_delivery(session, found, ids[3], closed, exc="rejected", reason="refused_by_recipient")
        add_delivery(session, found, ids[4], closed, exc="uncertain", reason="sender_died")
        session.commit()
    return found


def people(client, made, **query):
    answer = client.get(f"/campaigns/{made.cam}/people", query_string=query)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


def test_numbers(world, made):
    found = world.client(world.a, Role.VIEWER).get(f"/campaigns/{made.cam}/report").get_json()
    counted = {"planned": 6, "accepted": 2, "skipped": 1, "failed": 1, "cancelled": 0, "uncertain": 1, "open": 1}
    for whole in (found, found["steps"][0]):
        assert {key: whole[key] for key in counted} == counted
        assert whole["balanced"] is True
        assert whole["failed_by"] == {"rejected": 1}
        assert whole["skipped_by_reason"] == {"unsubscribed": 1}
        assert whole["uncertain_by"] == {"sender_died": 1}
    step = found["steps"][0]
    assert (step["step_no"], step["name"], step["state"]) == (1, "Winter boots", "running")
    assert step["started_at"].endswith("Z") and step["finished_at"] is None
    assert [(link["url"], link["clicks"]) for link in found["links"]] == [(url, 0) for url in LINKS]


def test_a_campaign_that_never_ran_has_numbers_too(world):
    client = world.client(world.a, Role.MANAGER)
    created = client.post(
        "/campaigns", {"name": "New", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    )
    url = f"/campaigns/{created.get_json()['campaign_id']}"
    found = client.get(f"{url}/report").get_json()
    assert (found["planned"], found["balanced"], found["steps"], found["links"]) == (0, True, [], [])
    assert client.get(f"{url}/people").get_json() == {"data": [], "has_more": False, "next_cursor": None}


def test_clicks_and_unsubscribes_show_up(app, world, made):
    http, (anna, bea) = app.test_client(), EMAILS[:2]
    http.get(made.click(anna, 0), headers=FIREFOX)
    http.get(made.click(anna, 1), headers=FIREFOX)
    http.get(made.click(bea, 0), headers={"User-Agent": "proofpoint"})
    http.post(made.way_out(bea))
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{made.cam}/report").get_json()
    expected = {"clicks": 3, "machine_clicks": 1, "clickers": 1, "unsubscribes": 1, "opens": 0, "openers": 0}
    for whole in (found, found["steps"][0]):
        assert {key: whole[key] for key in expected} == expected
    assert [(x["link_no"], x["clicks"], x["machine_clicks"], x["clickers"]) for x in found["links"]] == [
        (0, 2, 1, 1),
        (1, 1, 0, 1),
    ]


def test_another_revision_has_links_of_its_own(app, world, made, engine):
    stored, run_id, now = document_of(links=["https://north.example/new"]), uuid7(), SystemClock().now()
    ids = add_people(made, ["late@example.org"])
    with made.session() as session:
        session.add(
            Revision(
                tenant_id=world.a.tenant_id, campaign_id=made.campaign_id, no=2, state="superseded", draft={}, document=stored,
                content_hash=hash_of(stored), created_at=now, updated_at=now, version=1,
            )
        )  # fmt: skip
        run = new_run(made, run_id, stored, revision_no=2)
        run.dated = False
        session.add(run)
        session.flush()
        add_delivery(session, made, ids[0], add_chunk(session, made, ids, "closed", run_id=run_id), run_id=run_id)
        session.commit()
    http = app.test_client()
    assert http.get(made.click("late@example.org"), headers=FIREFOX).headers["Location"] == "https://north.example/new"
    assert http.get(made.click("late@example.org", 1)).status_code == 404
    http.get(made.click(EMAILS[0]), headers=FIREFOX)
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{made.cam}/report").get_json()
    assert [(x["revision_no"], x["url"], x["clicks"]) for x in found["links"]] == [
        (1, LINKS[0], 1), (1, LINKS[1], 0), (2, "https://north.example/new", 1)
    ]  # fmt: skip
    assert [(s["revision_no"], s["planned"], s["clicks"]) for s in found["steps"]] == [(1, 6, 1), (2, 1, 1)]


def test_people_behind_each_number(world, made):
    client = world.client(world.a, Role.MANAGER)
    whole = people(client, made)
    assert [row["email"] for row in whole["data"]] == EMAILS
    assert [row["state"] for row in whole["data"]] == ["accepted", "accepted", "skipped", "failed", "uncertain", "open"]
    assert {row["email"] for row in people(client, made, state="accepted")["data"]} == set(EMAILS[:2])
    assert [row["email"] for row in people(client, made, reason="unsubscribed")["data"]] == [EMAILS[2]]
    assert [row["email"] for row in people(client, made, state="failed", reason="rejected")["data"]] == [EMAILS[3]]
    assert people(client, made, state="cancelled")["data"] == []
    row = whole["data"][2]
    assert row["reason"] == "unsubscribed" and row["step_no"] == 1 and row["contact_id"].startswith("ctc_")


def test_people_are_paged_without_loss(world, made):
    client, found, after = world.client(world.a, Role.MANAGER), [], None
    while True:
        page = people(client, made, limit=4, **({"after": after} if after else {}))
        found += [row["email"] for row in page["data"]]
        after = page["next_cursor"]
        if not page["has_more"]:
            break
    assert found == EMAILS


def test_one_person_can_be_asked_for(world, made):
    client = world.client(world.a, Role.MANAGER)
    assert [row["email"] for row in people(client, made, email=" Person3@Example.org ")["data"]] == [EMAILS[3]]
    assert people(client, made, email="nobody@example.org")["data"] == []
    refused = client.get(f"/campaigns/{made.cam}/people?email=nonsense")
    assert refused.status_code == 422 and refused.get_json()["errors"][0]["pointer"] == "/email"


def test_viewers_see_masked_addresses_and_cannot_search(world, made):
    client = world.client(world.a, Role.VIEWER)
    assert {row["email"] for row in people(client, made)["data"]} == {f"p…{n}@example.org" for n in range(6)}
    refused = client.get(f"/campaigns/{made.cam}/people?email={EMAILS[0]}")
    assert refused.status_code == 403 and refused.get_json()["code"] == "lacks_right"


@pytest.mark.parametrize("path", PATHS)
def test_strangers_find_nothing(world, made, path):
    url = f"/campaigns/{made.cam}/{path}"
    assert world.nobody(world.a).get(url).status_code == 401
    assert world.client(world.b, Role.ADMIN).get(url).status_code == 404
    assert world.key(world.b).get(url).status_code == 404
    outsider = Client(world.app, workspace=world.a.wsp).sign_in(world.b.emails[Role.ADMIN])
    assert outsider.get(url).status_code == 404
    assert world.client(world.a, Role.AGENCY_OWNER).get(url).status_code == 403
    missing = world.client(world.a, Role.ADMIN).get(f"/campaigns/{show('cam', uuid7())}/{path}")
    assert missing.status_code == 404
    assert world.client(world.a, Role.ADMIN).get(f"/campaigns/nonsense/{path}").status_code == 404
    for role in (Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER):
        assert world.client(world.a, role).get(url).status_code == 200
    assert world.key(world.a).get(url).status_code == 200


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=201", "after=abc", "reason="])
def test_bad_questions(world, made, query):
    assert world.client(world.a, Role.MANAGER).get(f"/campaigns/{made.cam}/people?{query}").status_code == 422


def test_activity_names_who_acted(world, made):
    place, now = world.a, SystemClock().now()
    key = Actor(ActorKind.KEY, place.accounts[Role.ADMIN], "Shop", tenant_id=place.tenant_id, key_id=place.key_id)
    with made.session() as session:
        for number, actor in enumerate((place.actor(Role.MANAGER), key, SYSTEM)):
            audit.append(
                session, actor=actor, action=f"campaign.a{number}", subject=made.cam, now=now, facts={"no": number}
            )
        audit.append(session, actor=SYSTEM, action="campaign.other", subject=show("cam", uuid7()), now=now)
        session.commit()
    client = world.client(place, Role.VIEWER)
    url = f"/campaigns/{made.cam}/activity"
    rows = client.get(url).get_json()["data"]
    assert [(r["action"], r["actor_kind"], r["actor_name"], r["facts"]) for r in rows] == [
        ("campaign.a2", "system", "Countersign", {"no": 2}),
        ("campaign.a1", "key", "Shop", {"no": 1}),
        ("campaign.a0", "person", "Manager North", {"no": 0}),
    ]
    first = client.get(f"{url}?limit=2").get_json()
    assert first["has_more"]
    rest = client.get(url, query_string={"limit": 2, "after": first["next_cursor"]}).get_json()
    assert [row["action"] for row in rest["data"]] == ["campaign.a0"] and not rest["has_more"]


def test_sent_to_twice_is_listed_twice(world, made):
    """Two steps: a person has a row for each, and no page loses one."""
    run_id, document = uuid7(), document_of()
    ids = [made.entries[email] for email in EMAILS]
    with made.session() as session:
        session.add(new_run(made, run_id, document, step_no=2))
        session.flush()
        add_chunk(session, made, ids, "pending", run_id=run_id)
        session.commit()
        assert session.scalar(sa.select(sa.func.count()).select_from(Entry)) == 6
    client, found, after = world.client(world.a, Role.MANAGER), [], None
    while True:
        page = people(client, made, limit=5, **({"after": after} if after else {}))
        found += [(row["email"], row["step_no"]) for row in page["data"]]
        after = page["next_cursor"]
        if not page["has_more"]:
            break
    assert sorted(found) == sorted((email, step) for email in EMAILS for step in (1, 2))
    assert client.get(f"/campaigns/{made.cam}/report").get_json()["planned"] == 12


def test_send_to_makes_accepted_people(world, made):
    send_to(made, ["more@example.org"])
    assert world.client(world.a, Role.VIEWER).get(f"/campaigns/{made.cam}/report").get_json()["accepted"] == 3


def test_a_reason_that_is_none_is_refused_with_those_there_are(world):
    campaign_id = scenes.make_campaign(world, world.a)
    answer = world.client(world.a, Role.VIEWER).get(f"/campaigns/{campaign_id}/people?reason=zzz")
    assert answer.status_code == 422
    assert "capped" in answer.text and "render_failed" in answer.text
