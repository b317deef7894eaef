"""Approval by mail for people without an account (U8): looking changes nothing, deciding works once, for one hash."""

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier

import pytest
import sqlalchemy as sa

from saas.audit.queries import verify
from saas.campaigns.models import ApprovalLink
from saas.campaigns.rules.links import new_token
from saas.kernel.ids import parse, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.api.post_office import opened
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def greta(world, post_office):
    """An outside approver with a confirmed address, and the policy that asks her."""
    return listed(world, post_office, "greta")


def listed(world, post_office, name):
    admin, email = world.client(world.a, Role.ADMIN), f"{name}.{uuid7().hex}@example.org"
    made = admin.post("/outside-approvers", {"email": email, "name": f"{name.capitalize()} Holm"})
    assert made.status_code in {200, 201}, made.text
    post_office.deliver()
    (token,) = post_office.tokens(email)
    page = browser(world)
    assert "Is this address yours?" in page.get(f"/approve/{token}").text
    assert "Your address is confirmed" in page.post(f"/approve/{token}").text
    assert page.get(f"/approve/{token}").status_code == 410
    return made.get_json()["outside_id"], email


def browser(world):
    """Somebody with no account and no cookies."""
    return world.app.test_client()


def policy(world, *stages, **more):
    admin = world.client(world.a, Role.ADMIN)
    path = "/approval-policy"
    shown = admin.get(path)
    rule = {"name": "The client signs", "when": {}, "then": {"stages": list(stages), **more}}
    answer = admin.put(path, {"rules": [rule]}, etag=shown.headers.get("ETag", '"0"'))
    assert answer.status_code == 200, answer.text


def asked(world, post_office, outside, *, people=3, at=None, **content):
    """Ask for approval; returns campaign, hash and the token that was mailed to the outside approver."""
    outside_id, email = outside
    policy(world, {"needed": 1, "outside": [outside_id]})
    list_id, who = scenes.add_people(world, world.a, people, tag="secretperson")
    channel_id = scenes.add_channel(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel_id, at or scenes.soon(30), **content)
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    return campaign_id, content_hash, post_office.tokens(email)[-1], who


def state_of(world, campaign_id):
    found = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}").get_json()
    return found["state"], found["revision"]["state"]


def said(content_hash, decision="approve", **more):
    return {"decision": decision, "content_hash": content_hash, "name": "Greta Holm", "comment": "", **more}


def test_u8_a_link_approves_and_is_spent(world, post_office, greta):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page = browser(world)
    answer = page.get(f"/approve/{token}")
    assert answer.status_code == 200
    assert "Black week" in answer.text
    assert content_hash in answer.text
    done = page.post(f"/approve/{token}", data=said(content_hash))
    assert done.status_code == 200 and "Approved" in done.text, done.text
    assert state_of(world, campaign_id) == ("scheduled", "published")
    shown = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    (decision,) = shown["decisions"]
    assert (decision["account_id"], decision["name"], decision["content_hash"]) == (None, "Greta Holm", content_hash)
    assert page.get(f"/approve/{token}").status_code == 410
    assert "was used already" in page.get(f"/approve/{token}").text
    again = page.post(f"/approve/{token}", data=said(content_hash, "reject", comment="x"))
    assert again.status_code == 410
    assert state_of(world, campaign_id) == ("scheduled", "published")
    with bound(world.engine, world.a) as session:
        row = session.scalars(sa.select(ApprovalLink).where(ApprovalLink.used_for == "approve")).one()
        assert (row.signed_as, row.content_hash) == ("Greta Holm", content_hash)
        assert verify(session) is None


@pytest.mark.parametrize("decision", ["request_changes", "reject"])
def test_u8_a_link_refuses_with_a_comment(world, post_office, greta, decision):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page = browser(world)
    empty = page.post(f"/approve/{token}", data=said(content_hash, decision))
    assert empty.status_code == 422
    assert "Say what should change" in empty.text
    done = page.post(f"/approve/{token}", data=said(content_hash, decision, comment="The price is wrong."))
    assert done.status_code == 200
    expected = {"request_changes": "changes_requested", "reject": "rejected"}[decision]
    assert state_of(world, campaign_id) == ("draft", expected)
    shown = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    assert shown["decisions"][0]["comment"] == "The price is wrong."


def test_u8_looking_never_decides_nor_spends(world, post_office, greta):
    """Mail gateways follow links, ask for heads, and follow them again."""
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page = browser(world)
    for _ in range(3):
        assert page.head(f"/approve/{token}").status_code == 200
        assert page.get(f"/approve/{token}").status_code == 200
        assert page.options(f"/approve/{token}").status_code == 200
        assert page.get(f"/approve/{token}/preview/1/1").status_code == 200
    for method in ("put", "patch", "delete"):
        assert getattr(page, method)(f"/approve/{token}", data=said(content_hash)).status_code == 405
    for body in ({}, {"decision": "approve"}, said(content_hash, name=" "), said(content_hash, "revoke")):
        assert page.post(f"/approve/{token}", data=body).status_code == 422
    assert state_of(world, campaign_id) == ("draft", "in_review")
    with bound(world.engine, world.a) as session:
        assert session.scalars(sa.select(ApprovalLink.used_at).where(ApprovalLink.campaign_id.is_not(None))).all() == [
            None
        ]
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 200


def test_u8_the_page_tells_nothing_to_others(world, post_office, greta):
    """No cookie, no referrer, no cache, no remote picture; people are masked."""
    _, content_hash, token, who = asked(
        world, post_office, greta, html='<p>Hi {{ contact.first_name }}</p><img src="https://tracker.example/x.gif"><a href="{{ unsubscribe_url }}">Out</a>'
    )  # fmt: skip
    page = browser(world)
    answer = page.get(f"/approve/{token}")
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert '<meta name="referrer" content="no-referrer">' in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert "Set-Cookie" not in answer.headers
    assert "tracker.example" not in answer.text
    assert not any(address in answer.text for address in who)
    (frame,) = re.findall(r'<iframe class="cs-mail[^"]*" src="([^"]+)"', answer.text)
    message = page.get(frame.replace("&amp;", "&"))
    assert message.status_code == 200
    assert "img-src data:" in message.headers["Content-Security-Policy"]
    assert message.headers["Referrer-Policy"] == "no-referrer"
    assert "secretperson" not in message.text
    assert "Hi •••" in message.text
    done = page.post(f"/approve/{token}", data=said(content_hash))
    assert "Set-Cookie" not in done.headers


def test_u8_a_link_is_for_exactly_what_was_asked(world, post_office, greta):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page, manager = browser(world), world.client(world.a, Role.MANAGER)
    wrong = page.post(f"/approve/{token}", data=said("v1:" + "0" * 64))
    assert wrong.status_code == 409
    assert manager.post(f"/campaigns/{campaign_id}/revisions/1/withdraw").status_code == 200
    gone = page.get(f"/approve/{token}")
    assert gone.status_code == 410
    assert "changed since the mail was sent" in gone.text
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 410
    shown = manager.get(f"/campaigns/{campaign_id}/revisions/1")
    draft = shown.get_json()["draft"]
    draft["steps"][0]["content"]["subject"] = "Another subject"
    manager.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": draft}, etag=shown.headers["ETag"])
    second = scenes.submit(world, world.a, campaign_id)
    assert second != content_hash
    post_office.deliver()
    newest = post_office.tokens(greta[1])[-1]
    assert newest != token
    assert page.post(f"/approve/{token}", data=said(second)).status_code == 410
    assert page.post(f"/approve/{newest}", data=said(content_hash)).status_code == 409
    assert state_of(world, campaign_id) == ("draft", "in_review")
    assert page.post(f"/approve/{newest}", data=said(second)).status_code == 200


def test_u8_links_that_were_never_ours(world, post_office, greta):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    page = browser(world)
    raw = parse("cam", campaign_id)
    for wrong in ("x", token[:-1] + ("A" if token[-1] != "A" else "B"), token[:-2], new_token(world.a.tenant_id, raw),
                  new_token(world.b.tenant_id, raw), new_token(uuid7(), uuid7())):  # fmt: skip
        for answer in (page.get(f"/approve/{wrong}"), page.post(f"/approve/{wrong}", data=said(content_hash))):
            assert answer.status_code == 404
            assert "Black week" not in answer.text
        assert page.get(f"/approve/{wrong}/preview/1/1").status_code == 404


def test_u8_an_expired_link_says_so(world, post_office, greta):
    _, content_hash, token, _ = asked(world, post_office, greta)
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE approval_link SET expires_at = now() - interval '1 second'"))
        session.commit()
    page = browser(world)
    for answer in (page.get(f"/approve/{token}"), page.post(f"/approve/{token}", data=said(content_hash))):
        assert answer.status_code == 410
        assert "has expired" in answer.text


def test_u8_who_is_no_longer_listed_decides_nothing(world, post_office, greta):
    _, content_hash, token, _ = asked(world, post_office, greta)
    gone = world.client(world.a, Role.ADMIN).delete(f"/outside-approvers/{greta[0]}")
    assert gone.status_code in {200, 204}, gone.text
    page = browser(world)
    for answer in (page.get(f"/approve/{token}"), page.post(f"/approve/{token}", data=said(content_hash))):
        assert answer.status_code == 410
        assert "may not decide here any more" in answer.text


def test_u8_one_link_two_hands(world, post_office, greta):
    """Of two that press at once one decides; the other hears that it is done."""
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    together = Barrier(2)

    def press(_):
        together.wait()
        return browser(world).post(f"/approve/{token}", data=said(content_hash)).status_code

    with ThreadPoolExecutor(2) as hands:
        answers = sorted(hands.map(press, range(2)))
    assert answers[0] == 200
    assert answers[1] in {409, 410}
    shown = world.client(world.a, Role.MANAGER).get(f"/campaigns/{campaign_id}/revisions/1").get_json()
    assert len(shown["decisions"]) == 1


def test_u3_an_outside_signature_is_one_of_several(world, post_office, greta):
    """In sequence: the outside approver is asked when it is her turn, and hers is the signature that publishes."""
    policy(world, {"needed": 1, "role": "approver"}, {"needed": 1, "outside": [greta[0]]}, order="sequence")
    list_id, _ = scenes.add_people(world, world.a, 2)
    channel_id = scenes.add_channel(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(30)))
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    before = post_office.tokens(greta[1])
    scenes.approve(world, world.a, campaign_id, content_hash)
    assert state_of(world, campaign_id) == ("draft", "in_review")
    post_office.deliver()
    (token,) = post_office.tokens(greta[1])[len(before) :]
    page = browser(world)
    assert "1 of 2 signed" in page.get(f"/approve/{token}").text
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 200
    assert state_of(world, campaign_id) == ("scheduled", "published")


def test_a_mail_that_cannot_be_sent_is_tried_again_and_only_the_newest_link_works(world, post_office, greta):
    post_office.refuses = True
    outside_id, email = greta
    policy(world, {"needed": 1, "outside": [outside_id]})
    list_id, _ = scenes.add_people(world, world.a, 1)
    channel_id = scenes.add_channel(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, scenes.soon(30)))
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    before = len(post_office.tokens(email))
    post_office.refuses = False
    post_office.deliver(later=timedelta(hours=2))
    tokens = post_office.tokens(email)[before:]
    assert len(tokens) == 1
    assert browser(world).post(f"/approve/{tokens[0]}", data=said(content_hash)).status_code == 200


def test_decisions_by_link_are_limited(world, post_office, greta, monkeypatch):
    running = world.app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, sign_in_limit_per_minute=10))
    _, _, token, _ = asked(world, post_office, greta)
    page = browser(world)
    answers = [page.post(f"/approve/{token}", data={}, environ_base={"REMOTE_ADDR": "192.0.2.77"}).status_code
               for _ in range(12)]  # fmt: skip
    assert answers[:10] == [422] * 10
    assert answers[10:] == [429, 429]


def test_a9_in_a_workspace_at_rest_a_link_decides_nothing_and_is_kept(world, post_office, greta):
    campaign_id, content_hash, token, _ = asked(world, post_office, greta)
    owner, page = world.client(world.a, Role.AGENCY_OWNER), browser(world)
    assert owner.post(f"/workspaces/{world.a.wsp}/state", {"move": "suspend"}).status_code == 200
    refused = page.post(f"/approve/{token}", data=said(content_hash))
    assert refused.status_code == 409 and "at rest" in refused.text
    assert state_of(world, campaign_id) == ("draft", "in_review")
    assert owner.post(f"/workspaces/{world.a.wsp}/state", {"move": "activate"}).status_code == 200
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 200
    assert state_of(world, campaign_id) == ("scheduled", "published")
