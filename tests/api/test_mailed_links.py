"""Mailed links as the people of a request see them (U8): where they stand, sent again, why they end, whose they are."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from saas.audit.queries import verify
from saas.campaigns.models import ApprovalLink
from saas.kernel.ids import parse, show, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.api.post_office import opened
from tests.api.test_approval_links import asked, browser, listed, policy, said, state_of
from tests.api.test_workspace_words import png
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def greta(world, post_office):
    return listed(world, post_office, "greta")


def links_of(world, campaign_id, role=Role.MANAGER):
    return world.client(world.a, role).get(f"/campaigns/{campaign_id}/revisions/1/links")


def resend(world, campaign_id, outside_id, role=Role.MANAGER):
    return world.client(world.a, role).post(f"/campaigns/{campaign_id}/revisions/1/links/{outside_id}/resend")


def codes(answer):
    return answer.status_code, answer.get_json().get("code")


def expire(world):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE approval_link SET expires_at = now() - interval '1 second'"))
        session.commit()


def entries(world, like):
    with bound(world.engine, world.a) as session:
        assert verify(session) is None
        found = sa.text("SELECT action, facts FROM audit_entry WHERE action LIKE :like ORDER BY no")
        return [tuple(row) for row in session.execute(found, {"like": like})]


def test_u8_a_lost_link_is_sent_again_and_the_old_one_dies(world, post_office, greta):
    campaign_id, content_hash, old, _ = asked(world, post_office, greta)
    (before,) = links_of(world, campaign_id).get_json()
    assert (before["state"], before["may_send"], before["email"]) == ("open", True, greta[1])
    sent = resend(world, campaign_id, greta[0])
    assert sent.status_code == 200, sent.text
    assert (sent.get_json()["state"], sent.get_json()["sent_at"]) == ("pending", None)
    page = browser(world)
    for answer in (page.get(f"/approve/{old}"), page.post(f"/approve/{old}", data=said(content_hash))):
        assert answer.status_code == 410
        assert "This link was replaced by a newer one" in answer.text
        assert "Black week" not in answer.text and campaign_id not in answer.text
    assert page.get(f"/approve/{old}/preview/1/1").status_code == 404
    post_office.deliver()
    new = post_office.tokens(greta[1])[-1]
    assert new != old
    assert [row["state"] for row in links_of(world, campaign_id).get_json()] == ["open"]
    assert content_hash in page.get(f"/approve/{new}").text
    assert state_of(world, campaign_id) == ("draft", "in_review")
    assert page.post(f"/approve/{new}", data=said(content_hash)).status_code == 200
    assert state_of(world, campaign_id) == ("scheduled", "published")
    assert [row["state"] for row in links_of(world, campaign_id).get_json()] == ["used"]
    assert "replaced by a newer one" in page.get(f"/approve/{old}").text
    assert entries(world, "approval_link.resent") == [
        ("approval_link.resent", {"outside": greta[0], "revision": 1, "content_hash": content_hash})
    ]
    with bound(world.engine, world.a) as session:
        rows = session.scalars(sa.select(ApprovalLink).where(ApprovalLink.request_id.is_not(None))).all()
        assert {(row.content_hash, row.outside_id) for row in rows} == {(content_hash, parse("out", greta[0]))}
        assert sorted(row.replaced_at is None for row in rows) == [False, True]


def test_u8_an_expired_link_says_that_a_new_one_can_be_sent(world, post_office, greta):
    campaign_id, content_hash, old, _ = asked(world, post_office, greta)
    expire(world)
    page = browser(world)
    gone = page.get(f"/approve/{old}")
    assert gone.status_code == 410
    assert "This link has expired" in gone.text and "can send you a new link" in gone.text
    assert "Black week" not in gone.text and campaign_id not in gone.text
    (row,) = links_of(world, campaign_id).get_json()
    assert (row["state"], row["may_send"]) == ("expired", True)
    assert resend(world, campaign_id, greta[0], Role.ADMIN).status_code == 200
    post_office.deliver()
    new = post_office.tokens(greta[1])[-1]
    assert page.post(f"/approve/{new}", data=said(content_hash)).status_code == 200


def test_u8_who_may_ask_for_approval_sees_and_sends_links(world, post_office, greta):
    campaign_id, _, old, _ = asked(world, post_office, greta)
    for role in (Role.APPROVER, Role.VIEWER):
        assert codes(links_of(world, campaign_id, role)) == (403, "lacks_right")
        assert codes(resend(world, campaign_id, greta[0], role)) == (403, "lacks_right")
    foreign = world.client(world.b, Role.ADMIN)
    url = f"/campaigns/{campaign_id}/revisions/1/links"
    assert foreign.get(url).status_code == foreign.post(f"{url}/{greta[0]}/resend").status_code == 404
    assert world.nobody(world.a).get(url).status_code == 401
    assert browser(world).get(f"/approve/{old}").status_code == 200
    (row,) = world.key(world.a).get(url).get_json()
    assert (row["name"], row["email"]) == ("Greta Holm", None)  # a key that may not read members


def test_u8_nothing_is_sent_to_who_is_not_asked(world, post_office, greta):
    campaign_id, _, _, _ = asked(world, post_office, greta)
    manager = world.client(world.a, Role.MANAGER)
    for nobody in (show("out", uuid7()), "out_x"):
        assert resend(world, campaign_id, nobody).status_code == 404
    other = listed(world, post_office, "otto")
    assert resend(world, campaign_id, other[0]).status_code == 404
    mails = len(post_office.taken)
    manager.post(f"/campaigns/{campaign_id}/revisions/1/withdraw")
    assert codes(resend(world, campaign_id, greta[0])) == (409, "approval_lapsed")
    assert [(row["state"], row["may_send"]) for row in links_of(world, campaign_id).get_json()] == [("changed", False)]
    post_office.deliver()
    assert len([to for to, _ in post_office.taken[mails:] if greta[1] in to]) == 0
    assert manager.get(f"/campaigns/{campaign_id}/revisions/9/links").status_code == 404


def test_u8_who_signed_already_or_was_taken_off_the_list_gets_no_other_link(world, post_office, greta):
    policy(world, {"needed": 1, "outside": [greta[0]]}, {"needed": 1, "role": "approver"})
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(30))
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    token = post_office.tokens(greta[1])[-1]
    done = browser(world).post(f"/approve/{token}", data=said(content_hash))
    assert "It waits for the signatures of others." in done.text
    assert codes(resend(world, campaign_id, greta[0])) == (409, "already_signed")
    world.client(world.a, Role.ADMIN).delete(f"/outside-approvers/{greta[0]}")
    assert resend(world, campaign_id, greta[0]).status_code == 409
    assert "This link was used already" in browser(world).get(f"/approve/{token}").text


def test_u8_who_confirmed_after_the_request_gets_their_first_link_by_hand(world, post_office, greta):
    admin, email = world.client(world.a, Role.ADMIN), f"otto.{uuid7().hex}@example.org"
    made = admin.post("/outside-approvers", {"email": email, "name": "Otto Berg"}).get_json()
    post_office.deliver()
    policy(world, {"needed": 1, "outside": [greta[0], made["outside_id"]]})
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(30))
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    assert [row["name"] for row in links_of(world, campaign_id).get_json()] == ["Greta Holm"]
    browser(world).post(f"/approve/{post_office.tokens(email)[-1]}")
    found = {row["name"]: row["state"] for row in links_of(world, campaign_id).get_json()}
    assert found == {"Greta Holm": "pending", "Otto Berg": "none"}
    assert resend(world, campaign_id, made["outside_id"]).get_json()["state"] == "pending"
    post_office.deliver()
    token = post_office.tokens(email)[-1]
    assert browser(world).post(f"/approve/{token}", data=said(content_hash)).status_code == 200


def test_u8_a_link_to_confirm_an_address_is_sent_again(world, post_office):
    admin, email = world.client(world.a, Role.ADMIN), f"otto.{uuid7().hex}@example.org"
    made = admin.post("/outside-approvers", {"email": email, "name": "Otto Berg"}).get_json()
    url = f"/outside-approvers/{made['outside_id']}/resend"
    post_office.deliver()
    (old,) = post_office.tokens(email)
    assert codes(world.client(world.a, Role.MANAGER).post(url)) == (403, "lacks_right")
    assert world.client(world.b, Role.ADMIN).post(url).status_code == 404
    assert admin.post(url).status_code == 200
    page = browser(world)
    assert "replaced by a newer one" in page.post(f"/approve/{old}").text
    post_office.deliver()
    new = post_office.tokens(email)[-1]
    assert "Your address is confirmed" in page.post(f"/approve/{new}").text
    assert "This link was used already" in page.get(f"/approve/{new}").text
    assert codes(admin.post(url)) == (409, "address_confirmed")
    assert [action for action, _ in entries(world, "outside_approver.%")] == [
        "outside_approver.listed", "outside_approver.asked_again", "outside_approver.confirmed",
    ]  # fmt: skip


def test_u8_of_a_decision_and_a_new_link_at_once_only_one_holds(world, post_office, greta):
    """Whoever comes second finds what the other did: a spent link is not replaced, a replaced one decides nothing."""
    policy(world, {"needed": 1, "outside": [greta[0]]})
    list_id, _ = scenes.add_people(world, world.a, 1)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(30))
    for _ in range(4):
        campaign_id = scenes.make_campaign(world, world.a)
        scenes.save(world, world.a, campaign_id, draft)
        content_hash = scenes.submit(world, world.a, campaign_id)
        post_office.deliver()
        token = post_office.tokens(greta[1])[-1]
        together, manager = Barrier(2), world.client(world.a, Role.MANAGER)
        url = f"/campaigns/{campaign_id}/revisions/1/links/{greta[0]}/resend"

        def decide(token=token, content_hash=content_hash, together=together):
            together.wait()
            return browser(world).post(f"/approve/{token}", data=said(content_hash)).status_code

        def send(manager=manager, url=url, together=together):
            together.wait()
            return manager.post(url).status_code

        with ThreadPoolExecutor(2) as hands:
            decided, sent = hands.submit(decide), hands.submit(send)
            found = (decided.result(30), sent.result(30))
        assert found in {(200, 409), (410, 200)}, found
        assert (state_of(world, campaign_id)[1] == "published") is (found[0] == 200)
        post_office.deliver()


def test_u8_the_page_of_the_request_shows_links_and_sends_them(world, post_office, greta):
    campaign_id, _, old, _ = asked(world, post_office, greta)
    manager = world.client(world.a, Role.MANAGER)
    review = f"/w/{world.a.wsp}/campaigns/{campaign_id}/review"
    shown = manager.http.get(review).text
    assert "Mailed links" in shown and greta[1] in shown and "Not answered yet" in shown
    assert "Mailed links" not in world.client(world.a, Role.APPROVER).http.get(review).text
    action = f"/w/{world.a.wsp}/campaigns/{campaign_id}/revisions/1/links/{greta[0]}/resend"
    assert f'action="{action}"' in shown
    done = manager.http.post(action, data={"csrf_token": manager.csrf}, follow_redirects=True)
    assert "A new link goes to Greta Holm." in done.text and "Mail on its way" in done.text
    assert browser(world).get(f"/approve/{old}").status_code == 410
    manager.post(f"/campaigns/{campaign_id}/revisions/1/withdraw")
    refused = manager.http.post(action, data={"csrf_token": manager.csrf}, follow_redirects=True)
    assert "There is no open request for this revision" in refused.text


# White label.


@pytest.fixture
def dressed(world):
    """A workspace with colours and a logo of its own."""
    admin = world.client(world.a, Role.ADMIN)
    path = f"/workspaces/{world.a.wsp}"
    etag = admin.get(path).headers["ETag"]
    looks = {"brand_colour": "#7a1f4a", "brand_colour_dark": "#ffb3d1"}
    assert admin.patch(path, looks, etag=etag).status_code == 200
    assert admin.call("PUT", f"{path}/logo", data=png()).status_code == 200


def test_u8_pages_and_mails_wear_the_workspaces_looks(world, dressed, post_office, greta):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page, name = browser(world), world.client(world.a, Role.ADMIN).get(f"/workspaces/{world.a.wsp}").get_json()["name"]
    shown = [page.get(f"/approve/{token}"), page.post(f"/approve/{token}", data=said(content_hash))]
    shown.append(page.get(f"/approve/{token}"))
    admin, email = world.client(world.a, Role.ADMIN), f"otto.{uuid7().hex}@example.org"
    admin.post("/outside-approvers", {"email": email, "name": "Otto Berg"})
    post_office.deliver()
    shown.append(page.get(f"/approve/{post_office.tokens(email)[-1]}"))
    assert [answer.status_code for answer in shown] == [200, 200, 410, 200]
    for answer in shown:
        assert f'src="/brand/{world.a.wsp}/logo?' in answer.text
        assert f'href="/brand/{world.a.wsp}/style.css?' in answer.text
        assert f'alt="{name}"' in answer.text and f"Sent by {name}" in answer.text
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', answer.text)
    assert "#7a1f4a" in page.get(f"/brand/{world.a.wsp}/style.css").text
    assert page.get(f"/brand/{world.a.wsp}/logo").data == png()
    for to in (greta[1], email):
        raw = [content for rcpt, content in post_office.taken if rcpt == [to]][-1].decode()
        assert "Content-ID: <logo@countersign>" in raw and "multipart/related" in raw
        html = raw.replace("=\r\n", "")
        assert 'src=3D"cid:logo@countersign"' in html and f'alt=3D"{name}"' in html
        assert "#7a1f4a" in html
        assert not re.findall(r"<img[^>]+src=3D.(?:https?:)?//", html)
    assert campaign_id not in shown[2].text


def test_u8_who_holds_no_link_of_ours_learns_not_even_whose_it_would_be(world, dressed, post_office, greta):
    _, _, token, _ = asked(world, post_office, greta)
    wrong = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    answer = browser(world).get(f"/approve/{wrong}")
    assert answer.status_code == 404
    assert "/brand/" not in answer.text and world.a.wsp not in answer.text


# After the planned time (R13).


@pytest.fixture
def later(later):
    """The same installation under a clock that the test sets, and a browser of nobody."""
    clock, app = later
    return clock, app.test_client()


def revision(world, campaign_id):
    return world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()


def test_r13_after_the_planned_time_the_page_says_so_and_approving_starts_nothing(world, post_office, greta, later):
    clock, page = later
    campaign_id, content_hash, token, _ = asked(world, post_office, greta, at=scenes.soon(1))
    assert "The planned time has passed." not in page.get(f"/approve/{token}").text
    early = page.post(f"/approve/{token}", data=said(content_hash, start="now"))
    assert early.status_code == 422 and "only when the planned one has passed" in early.text
    clock.at += timedelta(hours=2)
    shown = page.get(f"/approve/{token}").text
    assert "The planned time has passed." in shown and "Nothing starts by itself." in shown
    assert 'value="approve"' in shown and 'name="start"' in shown
    done = page.post(f"/approve/{token}", data=said(content_hash, start=""))
    assert done.status_code == 200, done.text
    assert "nothing is sent until a new start is chosen" in done.text
    found = revision(world, campaign_id)
    assert (found["state"], found["effective_at"]) == ("approved", None)
    assert state_of(world, campaign_id) == ("draft", "approved")
    assert [action for action, _ in entries(world, "revision.%")][-2:] == ["revision.approved", "revision.late"]


def test_r13_an_outside_approver_chooses_now_as_one_who_is_signed_in(world, post_office, greta, later):
    clock, page = later
    campaign_id, content_hash, token, _ = asked(world, post_office, greta, at=scenes.soon(1))
    clock.at += timedelta(hours=2)
    done = page.post(f"/approve/{token}", data=said(content_hash, start="now"))
    assert done.status_code == 200 and "It is published with your signature." in done.text
    found = revision(world, campaign_id)
    assert found["state"] == "published"
    assert found["effective_at"] == (clock.at + timedelta(minutes=5)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize("decision", ["request_changes", "reject"])
def test_r13_after_the_planned_time_a_link_still_refuses(world, post_office, greta, later, decision):
    clock, page = later
    campaign_id, content_hash, token, _ = asked(world, post_office, greta, at=scenes.soon(1))
    clock.at += timedelta(hours=2)
    said_so = said(content_hash, decision, comment="Too late.", start="now")
    assert page.post(f"/approve/{token}", data=said_so).status_code == 200
    assert revision(world, campaign_id)["decisions"][0]["comment"] == "Too late."


def test_r13_where_a_manager_publishes_a_late_link_offers_no_start(world, post_office, greta, later):
    clock, page = later
    policy(world, {"needed": 1, "outside": [greta[0]]}, publisher="manager")
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(1))
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    token = post_office.tokens(greta[1])[-1]
    clock.at += timedelta(hours=2)
    assert 'name="start"' not in page.get(f"/approve/{token}").text
    assert page.post(f"/approve/{token}", data=said(content_hash, start="now")).status_code == 422
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 200
    assert state_of(world, campaign_id) == ("draft", "approved")
