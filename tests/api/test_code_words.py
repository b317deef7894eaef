"""The code word of approvers without an account (U8): asked before anything is shown, where the policy says so."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.audit.queries import verify
from saas.campaigns.models import ApprovalLink, OutsideApprover
from saas.permissions.types import Role
from tests import scenes
from tests.api.post_office import opened
from tests.api.test_approval_links import browser, listed, policy, said, state_of
from tests.worlds import bound

pytestmark = pytest.mark.integration

WORD = "blue kettle 9"


@pytest.fixture
def post_office(engine, app_settings, empty_agenda):
    with opened(engine, app_settings) as office:
        yield office


@pytest.fixture
def greta(world, post_office):
    found = listed(world, post_office, "greta")
    assert set_word(world, found[0]).status_code == 200
    return found


def set_word(world, outside_id, word=WORD, *, role=Role.ADMIN, place=None):
    client = world.client(place or world.a, role)
    return client.put(f"/outside-approvers/{outside_id}/code-word", {"code_word": word})


def asked(world, post_office, outside, **then):
    """Ask for approval by a policy that wants code words; returns campaign, hash and the mailed token."""
    policy(world, {"needed": 1, "outside": [outside[0]]}, code_word=True, **then)
    list_id, _ = scenes.add_people(world, world.a, 2)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(30))
    scenes.save(world, world.a, campaign_id, draft)
    content_hash = scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    return campaign_id, content_hash, post_office.tokens(outside[1])[-1]


def enter(page, token, word=WORD):
    return page.post(f"/approve/{token}/code", data={"code_word": word})


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def entries(world):
    with bound(world.engine, world.a) as session:
        assert verify(session) is None
        found = sa.text(
            "SELECT action FROM audit_entry WHERE action LIKE 'approval_link.%' OR action LIKE '%.code_set' ORDER BY no"
        )
        return list(session.scalars(found))


def test_u8_nothing_is_shown_nor_decided_before_the_code_word(world, post_office, greta):
    campaign_id, content_hash, token = asked(world, post_office, greta)
    page = browser(world)
    mail = [content for to, content in post_office.taken if to == [greta[1]]][-1].decode()
    assert "code word" in mail and WORD not in mail
    closed = page.get(f"/approve/{token}")
    assert closed.status_code == 200
    for told in ("Black week", content_hash, campaign_id, "Invitation", 'name="decision"'):
        assert told not in closed.text, told
    assert 'name="code_word"' in closed.text
    assert "Set-Cookie" not in closed.headers
    assert page.get(f"/approve/{token}/preview/1/1").status_code == 404
    for decision in ("approve", "reject", "request_changes"):
        refused = page.post(f"/approve/{token}", data=said(content_hash, decision, comment="x", code_word=WORD))
        assert refused.status_code == 409
        assert "Nothing was decided" in refused.text and "Black week" not in refused.text
    assert state_of(world, campaign_id) == ("draft", "in_review")
    done = enter(page, token)
    assert (done.status_code, done.headers["Location"]) == (303, f"/approve/{token}")
    assert done.headers["Referrer-Policy"] == "no-referrer"
    cookie = done.headers["Set-Cookie"]
    assert f"Path=/approve/{token}" in cookie and "HttpOnly" in cookie and "SameSite=Lax" in cookie
    shown = page.get(f"/approve/{token}")
    assert "Black week" in shown.text and content_hash in shown.text
    assert page.get(f"/approve/{token}/preview/1/1").status_code == 200
    assert 'name="code_word"' in browser(world).get(f"/approve/{token}").text  # another browser has to know it too
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 200
    assert state_of(world, campaign_id) == ("scheduled", "published")
    assert entries(world) == ["outside_approver.code_set", "approval_link.code_right", "approval_link.used"]


def test_u8_looking_and_asking_for_heads_opens_nothing(world, post_office, greta):
    campaign_id, _, token = asked(world, post_office, greta)
    page = browser(world)
    for method in (page.get, page.head):
        assert method(f"/approve/{token}/code").status_code in {404, 405}
    for _ in range(3):
        assert page.get(f"/approve/{token}?code_word={WORD}").status_code == 200
        assert page.head(f"/approve/{token}").status_code == 200
    assert "Black week" not in page.get(f"/approve/{token}").text
    assert state_of(world, campaign_id) == ("draft", "in_review")


def test_u8_wrong_tries_pause_the_link_and_not_for_ever(world, post_office, greta, later):
    campaign_id, content_hash, token = asked(world, post_office, greta)
    clock, app = later
    page = app.test_client()
    for _ in range(5):
        wrong = enter(page, token, "red kettle 9")
        assert wrong.status_code == 422
        assert "This is not the code word." in wrong.text and "Black week" not in wrong.text
    paused = enter(page, token)
    assert paused.status_code == 429
    assert 0 < int(paused.headers["Retry-After"]) <= 31
    assert "Too many wrong tries" in paused.text and "Black week" not in paused.text
    clock.at += timedelta(seconds=31)
    assert enter(page, token, "red kettle 9").status_code == 422
    clock.at += timedelta(seconds=31)
    assert enter(page, token).status_code == 429  # each pause is longer than the one before
    clock.at += timedelta(minutes=15)
    assert enter(page, token).status_code == 303
    assert content_hash in page.get(f"/approve/{token}").text
    assert state_of(world, campaign_id) == ("draft", "in_review")
    assert entries(world).count("approval_link.code_wrong") == 6


def test_u8_a_pause_is_of_one_approver_whatever_the_link(world, post_office, greta):
    first, _, token = asked(world, post_office, greta)
    otto = listed(world, post_office, "otto")
    set_word(world, otto[0], "green kettle 7")
    policy(world, {"needed": 1, "outside": [otto[0]]}, code_word=True)
    list_id, _ = scenes.add_people(world, world.a, 1, tag="q")
    channel = scenes.add_channel(world, world.a, 1, name="Another channel")
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel, scenes.soon(30)))
    scenes.submit(world, world.a, campaign_id)
    post_office.deliver()
    page = browser(world)
    for _ in range(6):
        enter(page, token, "red kettle 9")
    assert enter(page, token).status_code == 429
    sent = world.client(world.a, Role.MANAGER).post(f"/campaigns/{first}/revisions/1/links/{greta[0]}/resend")
    assert sent.status_code == 200
    post_office.deliver()
    again = post_office.tokens(greta[1])[-1]
    assert again != token and enter(page, again).status_code == 429
    other = post_office.tokens(otto[1])[-1]
    assert enter(page, other).status_code == 422  # the word of another approver
    assert enter(page, other, " green kettle 7 ").status_code == 303
    assert 'name="code_word"' in page.get(f"/approve/{again}").text  # a pass opens its own link only


def test_u8_a_pass_ends_by_itself_and_with_another_code_word(world, post_office, greta, later):
    _, content_hash, token = asked(world, post_office, greta)
    clock, app = later
    page = app.test_client()
    assert enter(page, token).status_code == 303
    assert content_hash in page.get(f"/approve/{token}").text
    assert set_word(world, greta[0], "another kettle 9").status_code == 200
    assert content_hash not in page.get(f"/approve/{token}").text
    assert page.post(f"/approve/{token}", data=said(content_hash)).status_code == 409
    assert enter(page, token).status_code == 422
    assert enter(page, token, "another kettle 9").status_code == 303
    clock.at += timedelta(hours=2)
    assert content_hash not in page.get(f"/approve/{token}").text
    with bound(world.engine, world.a) as session:
        row = session.scalars(sa.select(ApprovalLink).where(ApprovalLink.request_id.is_not(None))).one()
        assert row.used_at is None


def test_u8_links_without_a_demand_take_no_code_word(world, post_office, greta):
    _, _, token = asked(world, post_office, greta)
    page = browser(world)
    assert page.post("/approve/x/code", data={"code_word": WORD}).status_code == 404
    wrong = token[:-3] + "AAA"
    assert enter(page, wrong).status_code == 404
    assert world.client(world.a, Role.ADMIN).delete(f"/outside-approvers/{greta[0]}").status_code == 204
    assert enter(page, token).status_code == 410
    otto_email = "otto.code@example.org"
    made = world.client(world.a, Role.ADMIN).post("/outside-approvers", {"email": otto_email, "name": "Otto"})
    assert made.status_code == 201
    post_office.deliver()
    assert enter(page, post_office.tokens(otto_email)[-1]).status_code == 404


def test_u8_a_code_word_is_kept_as_a_hash_and_never_said(world, post_office):
    admin = world.client(world.a, Role.ADMIN)
    made = admin.post("/outside-approvers", {"email": "g.word@example.org", "name": "Greta", "code_word": WORD})
    assert made.status_code == 201, made.text
    assert made.get_json()["code_set_at"] is not None
    for answer in (made, admin.get("/outside-approvers"), set_word(world, made.get_json()["outside_id"])):
        assert WORD not in answer.text and "code_hash" not in answer.text and "argon2" not in answer.text
    with bound(world.engine, world.a) as session:
        (row,) = session.scalars(sa.select(OutsideApprover)).all()
        assert row.code_hash.startswith("$argon2id$") and WORD not in row.code_hash
    page = admin.http.get(f"/w/{world.a.wsp}/settings/policies").text
    assert WORD not in page and "Code word set" in page


def test_u8_only_administrators_set_code_words_of_their_own_workspace(world, post_office, greta):
    for role in (Role.APPROVER, Role.MANAGER, Role.VIEWER):
        assert codes(set_word(world, greta[0], role=role)) == (403, "lacks_right")
    assert set_word(world, greta[0], place=world.b).status_code == 404
    assert world.nobody(world.a).put(f"/outside-approvers/{greta[0]}/code-word", {"code_word": WORD}).status_code == 401
    for word in ("short 7", "aaaaaaaaa", greta[1], "Greta Holm"):
        refused = set_word(world, greta[0], word)
        assert refused.status_code == 422
        assert refused.get_json()["errors"][0]["pointer"] == "/code_word"


def test_u8_a_policy_asks_for_no_code_word_that_was_not_set(world, post_office):
    otto = listed(world, post_office, "otto")
    admin, path = world.client(world.a, Role.ADMIN), "/approval-policy"
    stages = [{"needed": 1, "role": "approver"}, {"needed": 1, "outside": [otto[0]]}]
    rule = {"name": "The client signs", "when": {}, "then": {"stages": stages, "code_word": True}}
    refused = admin.put(path, {"rules": [rule]}, etag='"0"')
    assert codes(refused) == (422, "code_word_missing")
    assert [each["pointer"] for each in refused.get_json()["errors"]] == ["/rules/0/then/stages/1/outside"]
    assert "Otto Holm" in refused.get_json()["errors"][0]["message"]
    assert set_word(world, otto[0]).status_code == 200
    saved = admin.put(path, {"rules": [rule]}, etag='"0"')
    assert saved.status_code == 200 and saved.get_json()["rules"][0]["then"]["code_word"] is True


def test_u8_nothing_is_asked_of_somebody_whose_code_word_is_missing(world, post_office, greta):
    """A policy of before, or one that was changed behind our back: the submission says what is missing, and where."""
    policy(world, {"needed": 1, "outside": [greta[0]]}, code_word=True)
    with bound(world.engine, world.a) as session:
        session.execute(sa.text("UPDATE outside_approver SET code_hash = NULL"))
        session.commit()
    list_id, _ = scenes.add_people(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 1), scenes.soon(30))
    scenes.save(world, world.a, campaign_id, draft)
    manager = world.client(world.a, Role.MANAGER)
    refused = manager.post(f"/campaigns/{campaign_id}/revisions/1/submit")
    assert codes(refused) == (422, "code_word_missing")
    assert refused.get_json()["errors"][0]["pointer"] == "/approval/stages/0/outside"
    assert state_of(world, campaign_id) == ("draft", "editing")
    form = {"csrf_token": manager.csrf}
    page = manager.http.post(f"/w/{world.a.wsp}/campaigns/{campaign_id}/submit", data=form, follow_redirects=True)
    assert page.status_code == 200 and "Greta Holm has no code word yet" in page.text
    assert set_word(world, greta[0]).status_code == 200
    assert manager.post(f"/campaigns/{campaign_id}/revisions/1/submit").status_code == 200


def test_u8_the_settings_page_sets_code_words_and_the_rules_ask_for_them(world, post_office):
    otto = listed(world, post_office, "otto")
    admin = world.client(world.a, Role.ADMIN)
    base = f"/w/{world.a.wsp}/settings/policies"
    form = {
        "csrf_token": admin.csrf, "version": "0", "project": "", "do": "save", "rule-0-name": "The client signs",
        "rule-0-stage-0-needed": "1", "rule-0-stage-0-role": "", "rule-0-stage-0-named": otto[0],
        "rule-0-order": "at_once", "rule-0-publisher": "approval", "rule-0-deadline_of": "before_start",
        "rule-0-drift_percent": "20", "rule-0-drift_people": "100", "rule-0-before_min": "120", "rule-0-after_min": "60",
        "rule-0-code_word": "1",
    }  # fmt: skip
    refused = admin.http.post(f"{base}/rules", data=form)
    assert refused.status_code == 422 and "Otto Holm has no code word yet" in refused.text
    word = {"csrf_token": admin.csrf, "code_word": "short"}
    told = admin.http.post(f"{base}/outside/{otto[0]}/code-word", data=word, follow_redirects=True)
    assert "Code word set" not in told.text
    told = admin.http.post(
        f"{base}/outside/{otto[0]}/code-word", data={**word, "code_word": WORD}, follow_redirects=True
    )
    assert "The code word of Otto Holm is set." in told.text and WORD not in told.text
    assert admin.http.post(f"{base}/rules", data=form).status_code == 303
    assert "links ask for a code word" in admin.http.get(base).text
    edit = admin.http.get(f"{base}/rules").text
    assert 'name="rule-0-code_word" value="1" checked' in edit
