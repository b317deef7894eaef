"""Approval (R13, R14, U1, security.md D): who, in which state, of exactly which hash; and what races leave behind."""

import threading
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from tests import scenes
from tests.worlds import Client, World, bound

pytestmark = pytest.mark.integration

OTHER = "v1:" + "0" * 64


@pytest.fixture
def manager(world) -> Client:
    return world.client(world.a, Role.MANAGER)


@pytest.fixture
def approver(world) -> Client:
    return world.client(world.a, Role.APPROVER)


@pytest.fixture
def admin(world) -> Client:
    return world.client(world.a, Role.ADMIN)


class InReview:
    """A campaign in review, with its URL, its hash and its draft."""

    def __init__(self, world: World, *, hours: float = 1, campaign_id: str | None = None, draft=None) -> None:
        self.campaign_id = campaign_id or scenes.make_campaign(world, world.a)
        if draft is None:
            list_id, _ = scenes.add_people(world, world.a, 2)
            draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, 25), scenes.soon(hours))
        self.draft = draft
        scenes.save(world, world.a, self.campaign_id, self.draft)
        self.hash = scenes.submit(world, world.a, self.campaign_id)
        self.url = f"/campaigns/{self.campaign_id}/revisions/1"
        self.world = world

    def decide(self, client: Client, move: str, comment: str = "", *, content_hash: str | None = None, no: int = 1):
        body = {"content_hash": content_hash or self.hash, "comment": comment}
        return client.post(f"/campaigns/{self.campaign_id}/revisions/{no}/{move}", body)

    def start(self, client: Client, move: str, start: str):
        body = {"content_hash": self.hash, "comment": "", "start": start}
        return client.post(f"{self.url}/{move}", body)

    def state(self) -> tuple[str, str]:
        found = self.world.client(self.world.a, Role.VIEWER).get(f"/campaigns/{self.campaign_id}").get_json()
        return found["state"], found["revision"]["state"]

    def save(self, client: Client, *, no: int = 1, **changes):
        url = f"/campaigns/{self.campaign_id}/revisions/{no}"
        return client.put(url, {"draft": self.draft | changes}, etag=client.get(url).headers["ETag"])


@pytest.fixture
def review(world) -> InReview:
    return InReview(world)


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def rows(world, table, campaign_id=None):
    with bound(world.engine, world.a) as session:
        return session.execute(sa.text(f"SELECT * FROM {table}")).mappings().all()


def actions(world):
    with bound(world.engine, world.a) as session:
        found = session.execute(sa.text(
            "SELECT action FROM audit_entry WHERE action LIKE 'revision.%' OR action LIKE 'campaign.%' ORDER BY no"
        ))  # fmt: skip
        return [row.action for row in found]


def test_r13_s17_approving_publishes_and_schedules(world, review, approver):
    answer = review.decide(approver, "approve", "Looks right.")
    assert answer.status_code == 200
    found = answer.get_json()
    assert (found["state"], found["content_hash"]) == ("published", review.hash)
    assert found["effective_at"] == found["planned_at"]
    (decision,) = found["decisions"]
    assert (decision["decision"], decision["content_hash"], decision["comment"]) == (
        "approve",
        review.hash,
        "Looks right.",
    )
    assert decision["name"] == "Approver North"
    assert review.state() == ("scheduled", "published")
    assert found["allowed_moves"] == ["revoke"]
    assert actions(world) == [
        "campaign.created", "revision.edited", "revision.submitted", "revision.approved", "revision.published",
    ]  # fmt: skip


def test_r1_the_lead_counts_from_the_approval(world, approver):
    """Approved a minute before its time, it starts five minutes after the approval."""
    review = InReview(world, hours=1 / 60)
    found = review.decide(approver, "approve").get_json()
    lead = world.app.extensions["countersign"].settings.publish_lead_s
    assert lead == 300
    published, effective = _moment(found["published_at"]), _moment(found["effective_at"])
    assert effective == published + timedelta(seconds=300)
    assert effective > _moment(found["planned_at"])


def _moment(text):
    from datetime import datetime

    return datetime.fromisoformat(text)


@pytest.mark.parametrize("move", ["approve", "publish", "request-changes", "reject", "revoke"])
def test_r14_the_right_is_looked_at_before_the_state(world, review, manager, move):
    """A manager and a key hear 403, whatever the state, the hash and their having edited."""
    for content_hash in (None, OTHER):
        for client in (manager, world.key(world.a), world.client(world.a, Role.VIEWER)):
            refused = review.decide(client, move, "x", content_hash=content_hash)
            assert codes(refused) == (403, "lacks_right")
            assert set(refused.get_json()["roles"]) == {"admin", "approver"}
    assert review.state() == ("draft", "in_review")
    assert rows(world, "approval") == []


def test_d_no_scope_lets_a_key_approve(world, review, admin, engine):
    from saas.accounts.service import keys

    body = {"name": "Robot", "role": "admin", "scopes": ["campaign:approve"]}
    made = admin.post("/api-keys", body)
    if made.status_code == 201:
        key = Client(world.app, key=made.get_json()["key"])
        assert codes(review.decide(key, "approve")) == (403, "lacks_right")
    with bound(engine, world.a) as session:  # one that came past the checks, too
        _, text = keys.make_key(
            session, actor=world.a.actor(Role.ADMIN), name="Old", role=Role.ADMIN, scopes=["campaign:read"],
            project_id=None, expires_at=None, now=SystemClock().now(),
        )  # fmt: skip
        session.execute(sa.text("UPDATE api_key SET scopes = '{campaign:read,campaign:approve}' WHERE name = 'Old'"))
        session.commit()
    assert codes(review.decide(Client(world.app, key=text), "approve")) == (403, "lacks_right")
    assert review.state() == ("draft", "in_review")


def test_r13_who_edited_cannot_approve_administrators_included(world, review, admin, approver):
    for client in (admin, approver):
        campaign_id = scenes.make_campaign(world, world.a)
        url = f"/campaigns/{campaign_id}/revisions/1"
        assert client.put(url, {"draft": review.draft}, etag='"1"').status_code == 200
        other = InReview(world, campaign_id=campaign_id, draft=review.draft)
        assert codes(other.decide(client, "approve")) == (409, "approver_edited")
        assert other.state() == ("draft", "in_review")
        assert other.decide(admin if client is approver else approver, "approve").status_code == 200


def test_r13_who_only_made_the_campaign_counts_as_its_editor(world, admin, manager, approver, review):
    body = {"name": "x", "project_id": world.a.prj, "kind": "dated", "purpose": "marketing"}
    campaign_id = admin.post("/campaigns", body).get_json()["campaign_id"]
    made = InReview(world, campaign_id=campaign_id, draft=review.draft)
    assert codes(made.decide(admin, "approve")) == (409, "approver_edited")
    assert made.decide(approver, "approve").status_code == 200


def test_r13_a_key_is_no_way_around_four_eyes(world, review, admin):
    """The world's key was made by the administrator: what it edits, the administrator edited."""
    key = world.key(world.a)
    campaign_id = scenes.make_campaign(world, world.a)
    assert key.put(f"/campaigns/{campaign_id}/revisions/1", {"draft": review.draft}, etag='"1"').status_code == 200
    other = InReview(world, campaign_id=campaign_id, draft=review.draft)
    assert codes(other.decide(admin, "approve")) == (409, "approver_edited")
    assert other.decide(world.client(world.a, Role.APPROVER), "approve").status_code == 200


def on_call(world, draft=None):
    channel = scenes.add_channel(world, world.a, 25, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    return InReview(world, campaign_id=campaign_id, draft=draft or scenes.api_draft(channel))


def test_r13_editors_since_the_last_approved_revision_count(world, approver, admin, manager):
    """Revision 1 approved; 2 edited by the approver and rejected; 3 edited by the manager: the approver still edited."""
    review = on_call(world)
    assert review.decide(approver, "approve").status_code == 200
    assert manager.post(f"/campaigns/{review.campaign_id}/revisions").get_json()["no"] == 2
    assert review.save(approver, no=2).status_code == 200
    second = scenes.submit(world, world.a, review.campaign_id, no=2)
    assert codes(review.decide(approver, "approve", no=2, content_hash=second)) == (409, "approver_edited")
    assert review.decide(admin, "reject", "No.", no=2, content_hash=second).status_code == 200
    assert manager.post(f"/campaigns/{review.campaign_id}/revisions").get_json()["no"] == 3
    third = scenes.submit(world, world.a, review.campaign_id, no=3)
    assert codes(review.decide(approver, "approve", no=3, content_hash=third)) == (409, "approver_edited")
    shown = manager.get(f"/campaigns/{review.campaign_id}/revisions/3").get_json()
    assert len(shown["editors"]) == 2
    assert review.decide(admin, "approve", no=3, content_hash=third).status_code == 200
    # From here on the count begins anew: the approver did not touch revision 4.
    assert manager.post(f"/campaigns/{review.campaign_id}/revisions").get_json()["no"] == 4
    fourth = scenes.submit(world, world.a, review.campaign_id, no=4)
    assert review.decide(approver, "approve", no=4, content_hash=fourth).status_code == 200


def test_s56_a_second_publication_supersedes_the_first(world, approver, manager):
    review = on_call(world)
    review.decide(approver, "approve")
    manager.post(f"/campaigns/{review.campaign_id}/revisions")
    second = scenes.submit(world, world.a, review.campaign_id, no=2)
    assert review.decide(approver, "approve", no=2, content_hash=second).status_code == 200
    states = [row["state"] for row in manager.get(f"/campaigns/{review.campaign_id}/revisions").get_json()]
    assert states == ["published", "superseded"]
    assert codes(review.decide(approver, "revoke", "x")) == (409, "not_allowed_in_this_state")


def test_a_scheduled_campaign_takes_a_new_revision_with_a_new_time(world, review, approver, manager):
    review.decide(approver, "approve")
    manager.post(f"/campaigns/{review.campaign_id}/revisions")
    later = review.draft["steps"][0] | {"at": scenes.wall(scenes.soon(3))}
    assert review.save(manager, no=2, steps=[later]).status_code == 200
    assert review.state() == ("scheduled", "editing")
    second = scenes.submit(world, world.a, review.campaign_id, no=2)
    done = review.decide(approver, "approve", no=2, content_hash=second).get_json()
    assert review.state() == ("scheduled", "published")
    assert _moment(done["effective_at"]) > SystemClock().now() + timedelta(hours=2)


def test_u1_another_hash_is_refused(world, review, approver):
    for move in ("approve", "request-changes", "reject"):
        for wrong in (OTHER, review.hash.upper(), review.hash[:-1], "x"):
            refused = review.decide(approver, move, "x", content_hash=wrong)
            assert codes(refused) == (409, "changed_since_you_looked")
            assert refused.get_json()["content_hash"] == review.hash
    assert approver.post(f"{review.url}/approve", {}).status_code == 422
    assert approver.post(f"{review.url}/approve", {"content_hash": None}).status_code == 422
    assert review.state() == ("draft", "in_review")


def test_u1_a_document_changed_behind_our_back_is_not_signed(world, review, approver, owner_engine):
    with owner_engine.begin() as connection:
        connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{world.a.tenant_id}'")
        connection.exec_driver_sql("UPDATE revision SET document = overlay(document placing '\\x41'::bytea from 30)")
    assert codes(review.decide(approver, "approve")) == (409, "changed_since_you_looked")
    assert codes(approver.get(f"{review.url}/review")) == (409, "document_altered")
    assert review.state() == ("draft", "in_review")


def test_a_revision_that_changed_meanwhile_has_another_hash(world, review, approver, manager):
    seen = review.hash
    assert manager.post(f"{review.url}/withdraw").status_code == 200
    review.save(manager, topic="sales")
    new = scenes.submit(world, world.a, review.campaign_id)
    assert new != seen
    assert codes(review.decide(approver, "approve", content_hash=seen)) == (409, "changed_since_you_looked")
    assert review.decide(approver, "approve", content_hash=new).status_code == 200


def test_approving_twice(world, review, approver, admin):
    assert review.decide(approver, "approve").status_code == 200
    for client in (approver, admin):
        again = review.decide(client, "approve")
        assert codes(again) == (409, "not_allowed_in_this_state")
        assert again.get_json()["allowed_transitions"] == ["revoke"]
    assert len(rows(world, "approval")) == 1


def test_approving_after_a_withdrawal(world, review, approver, manager):
    withdrawn = manager.post(f"{review.url}/withdraw").get_json()
    assert (withdrawn["state"], withdrawn["content_hash"], withdrawn["document"], withdrawn["planned_at"]) == (
        "editing",
        None,
        None,
        None,
    )
    refused = review.decide(approver, "approve")
    assert codes(refused) == (409, "not_allowed_in_this_state")
    assert refused.get_json()["allowed_transitions"] == ["submit"]
    assert codes(manager.post(f"{review.url}/withdraw")) == (409, "not_allowed_in_this_state")
    assert codes(approver.get(f"{review.url}/review")) == (404, "not_found")


@pytest.mark.parametrize("move", ["request-changes", "reject"])
def test_r13_a_refusal_needs_a_comment(review, approver, move):
    for comment in ("", "   "):
        refused = review.decide(approver, move, comment)
        assert codes(refused) == (422, "invalid")
        assert refused.get_json()["errors"][0]["pointer"] == "/comment"
    assert approver.post(f"{review.url}/{move}", {"content_hash": review.hash, "comment": "a\0b"}).status_code == 422
    assert review.state() == ("draft", "in_review")


def test_r13_requested_changes_open_it_again(world, review, approver, manager):
    back = review.decide(approver, "request-changes", " The price is wrong. ").get_json()
    assert (back["state"], back["allowed_moves"]) == ("changes_requested", [])
    assert back["decisions"][0]["comment"] == "The price is wrong."
    assert codes(manager.post(f"{review.url}/submit")) == (409, "not_allowed_in_this_state")
    saved = review.save(manager).get_json()
    assert (saved["state"], saved["content_hash"], saved["allowed_moves"]) == ("editing", None, ["submit"])
    assert scenes.submit(world, world.a, review.campaign_id) == review.hash  # the same text has the same hash
    assert review.decide(approver, "approve").status_code == 200


def test_r13_rejected_is_final_and_can_be_copied(world, review, approver, manager):
    assert review.decide(approver, "reject", "Never.").get_json()["state"] == "rejected"
    for move in ("approve", "request-changes", "reject", "publish", "revoke"):
        refused = review.decide(approver, move, "x")
        assert codes(refused) == (409, "not_allowed_in_this_state")
        assert refused.get_json()["allowed_transitions"] == []
    assert codes(review.save(manager)) == (409, "not_allowed_in_this_state")
    copied = manager.post(f"/campaigns/{review.campaign_id}/revisions").get_json()
    assert (copied["no"], copied["state"]) == (2, "editing")
    assert copied["draft"] == manager.get(review.url).get_json()["draft"]
    assert review.state() == ("draft", "editing")


def test_a_revision_in_review_is_locked(world, review, manager):
    refused = review.save(manager)
    assert codes(refused) == (409, "not_allowed_in_this_state")
    assert set(refused.get_json()["allowed_transitions"]) == {"withdraw", "approve", "request_changes", "reject"}
    opened = manager.post(f"/campaigns/{review.campaign_id}/revisions")
    assert codes(opened) == (409, "revision_open")
    assert opened.get_json()["revision"] == 1
    assert codes(manager.post(f"{review.url}/submit")) == (409, "not_allowed_in_this_state")


def test_a_published_revision_is_not_edited_its_successor_is(world, review, approver, manager):
    review.decide(approver, "approve")
    refused = review.save(manager)
    assert codes(refused) == (409, "not_allowed_in_this_state")
    assert manager.post(f"/campaigns/{review.campaign_id}/revisions").get_json()["no"] == 2
    assert review.save(manager, no=2).status_code == 200
    assert review.state() == ("scheduled", "editing")
    assert manager.get(review.url).get_json()["state"] == "published"


def test_r12_revoking_stops_what_is_scheduled(world, review, approver):
    review.decide(approver, "approve")
    assert review.decide(approver, "revoke", "").status_code == 422
    assert codes(review.decide(approver, "revoke", "x", content_hash=OTHER)) == (409, "changed_since_you_looked")
    assert review.decide(approver, "revoke", "The price is wrong.").get_json()["state"] == "revoked"
    assert review.state() == ("stopping", "revoked")
    assert actions(world)[-2:] == ["revision.revoked", "campaign.stopping"]


def test_r13_approval_after_the_slot_never_starts_silently(world, later):
    clock, app = later
    review = InReview(world, hours=1)
    client = Client(app, workspace=world.a.wsp).sign_in(world.a.emails[Role.APPROVER])
    planned = _moment(client.get(review.url).get_json()["planned_at"])
    clock.at = planned + timedelta(seconds=1)
    assert client.get(f"{review.url}/review").get_json()["effective_if_approved_now"] is None
    late = review.decide(client, "approve").get_json()
    assert (late["state"], late["effective_at"], late["approval"]["waits_for"]) == ("approved", None, "start")
    assert review.state() == ("draft", "approved")
    refused = review.decide(client, "publish")
    assert codes(refused) == (409, "start_has_passed")
    assert "revision.published" not in actions(world)
    manager = Client(app, workspace=world.a.wsp).sign_in(world.a.emails[Role.MANAGER])
    assert codes(review.start(manager, "publish", "now")) == (403, "lacks_right")
    for nonsense in ("soon", scenes.wall(planned), "2026-13-01T00:00"):
        assert codes(review.start(client, "publish", nonsense)) == (422, "invalid")
    found = review.start(client, "publish", "now").get_json()
    assert (found["state"], _moment(found["effective_at"])) == ("published", clock.at + timedelta(minutes=5))
    assert review.state() == ("scheduled", "published")


def test_r13_a_late_approval_names_its_new_start(world, later):
    clock, app = later
    review = InReview(world, hours=1)
    client = Client(app, workspace=world.a.wsp).sign_in(world.a.emails[Role.APPROVER])
    planned = _moment(client.get(review.url).get_json()["planned_at"])
    assert codes(review.start(client, "approve", "now")) == (422, "invalid")  # its time lies ahead: nothing to choose
    clock.at = planned + timedelta(minutes=1)
    again = (clock.at + timedelta(hours=3)).replace(second=0)
    found = review.start(client, "approve", scenes.wall(again)).get_json()
    assert (found["state"], _moment(found["effective_at"])) == ("published", again)
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT facts ->> 'start' FROM approval")) == scenes.wall(again)


def test_r1_at_its_very_time_it_still_starts_as_planned(world, later):
    clock, app = later
    review = InReview(world, hours=1)
    client = Client(app, workspace=world.a.wsp).sign_in(world.a.emails[Role.APPROVER])
    clock.at = planned = _moment(client.get(review.url).get_json()["planned_at"])
    shown = client.get(f"{review.url}/review").get_json()["effective_if_approved_now"]
    found = review.decide(client, "approve").get_json()
    assert found["effective_at"] == shown
    assert _moment(shown) == planned + timedelta(minutes=5)


def test_s42_a_time_that_passes_between_saving_and_submitting(world, later):
    clock, app = later
    review = InReview(world, hours=1)
    client = Client(app, workspace=world.a.wsp).sign_in(world.a.emails[Role.MANAGER])
    client.post(f"{review.url}/withdraw")
    clock.at += timedelta(hours=2)
    refused = client.post(f"{review.url}/submit")
    assert codes(refused) == (422, "draft_not_ready")
    assert [e["pointer"] for e in refused.get_json()["errors"]] == ["/steps/0/at"]


def test_d_a_role_taken_away_is_gone_with_the_next_request(world, review, approver, admin):
    from saas.kernel.ids import show

    assert approver.get(review.url).status_code == 200
    account = show("acc", world.a.accounts[Role.APPROVER])
    assert admin.patch(f"/members/{account}", {"role": "viewer", "project_id": None}).status_code == 200
    assert codes(review.decide(approver, "approve")) == (403, "lacks_right")
    assert admin.call("DELETE", f"/members/{account}").status_code in {200, 204}
    assert codes(review.decide(approver, "approve")) == (404, "not_found")
    assert approver.get(review.url).status_code == 404
    assert review.state() == ("draft", "in_review")


# Races: each thread has a client of its own; a barrier lets them go at once.


def together(*calls):
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index, call):
        gate.wait(timeout=60)
        answers[index] = call()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


@pytest.mark.parametrize("attempt", range(3))
def test_race_approve_against_withdraw(world, review, approver, manager, attempt):
    approved, withdrawn = together(
        lambda: review.decide(approver, "approve"), lambda: manager.post(f"{review.url}/withdraw")
    )
    assert sorted((approved.status_code, withdrawn.status_code)) == [200, 409]
    won = approved.status_code == 200
    assert review.state() == (("scheduled", "published") if won else ("draft", "editing"))
    assert len(rows(world, "approval")) == won


@pytest.mark.parametrize("attempt", range(3))
def test_race_two_approvals(world, review, approver, admin, attempt):
    answers = together(lambda: review.decide(approver, "approve"), lambda: review.decide(admin, "approve"))
    assert sorted(a.status_code for a in answers) == [200, 409]
    assert len(rows(world, "approval")) == 1
    assert actions(world).count("revision.published") == 1


def test_race_approve_against_reject(world, review, approver, admin):
    answers = together(lambda: review.decide(approver, "approve"), lambda: review.decide(admin, "reject", "No."))
    assert sorted(a.status_code for a in answers) == [200, 409]
    assert len(rows(world, "approval")) == 1


def test_race_two_saves(world, manager, admin):
    campaign_id = scenes.make_campaign(world, world.a)
    url = f"/campaigns/{campaign_id}/revisions/1"
    answers = together(
        lambda: manager.put(url, {"draft": {"topic": "one"}}, etag='"1"'),
        lambda: admin.put(url, {"draft": {"topic": "two"}}, etag='"1"'),
    )
    assert sorted(a.status_code for a in answers) == [200, 412]
    won = next(a for a in answers if a.status_code == 200).get_json()
    assert manager.get(url).get_json()["draft"] == won["draft"]


def test_race_submit_against_save(world, review, manager, admin):
    manager.post(f"{review.url}/withdraw")
    etag = manager.get(review.url).headers["ETag"]
    submitted, saved = together(
        lambda: manager.post(f"{review.url}/submit"),
        lambda: admin.put(review.url, {"draft": review.draft | {"topic": "sales"}}, etag=etag),
    )
    assert submitted.status_code == 200
    assert saved.status_code in {200, 409}
    found = manager.get(review.url).get_json()
    assert (
        found["document"]["topic"] == found["draft"]["topic"] == ("sales" if saved.status_code == 200 else "newsletter")
    )


def test_race_two_new_revisions(world, review, approver, manager, admin):
    review.decide(approver, "approve")
    answers = together(*(lambda c=c: c.post(f"/campaigns/{review.campaign_id}/revisions") for c in (manager, admin)))
    assert sorted(a.status_code for a in answers) == [201, 409]


def test_race_stop_against_revoke(world, review, approver, manager):
    review.decide(approver, "approve")
    answers = together(
        lambda: manager.post(f"/campaigns/{review.campaign_id}/stop"), lambda: review.decide(approver, "revoke", "x")
    )
    assert all(a.status_code in {200, 202, 409} for a in answers)
    assert review.state()[0] == "stopping"


def test_a_deadlock_is_tried_again_and_never_told(world, review, approver, engine):
    """A worker holds the campaign's agenda row and wants the campaign; the approval holds the campaign and wants the
    agenda row. PostgreSQL takes one of them back: the request is repeated."""
    tenant, campaign = world.a.tenant_id, rows(world, "campaign")[0]["campaign_id"]
    with engine.connect() as worker:
        worker.exec_driver_sql(f"SET LOCAL app.tenant_id = '{tenant}'")
        # Its own wait is not looked at for long, so the request is the one that finds the circle.
        worker.execute(sa.text(
            "INSERT INTO agenda (tenant_id, kind, queue, subject, due_at) VALUES (:t, 'campaign.start', 'maintenance', :s, now())"
        ), {"t": tenant, "s": str(campaign)})  # fmt: skip
        waits = threading.Thread(target=lambda: _lock_later(worker, tenant, campaign))
        waits.start()
        answer = review.decide(approver, "approve")
        waits.join(timeout=30)
        worker.rollback()
    assert answer.status_code == 200, answer.text
    assert review.state() == ("scheduled", "published")
    assert len(rows(world, "approval")) == 1


def _lock_later(worker, tenant, campaign):
    import time

    time.sleep(0.5)
    try:
        worker.execute(
            sa.text("SELECT 1 FROM campaign WHERE tenant_id = :t AND campaign_id = :c FOR UPDATE"),
            {"t": tenant, "c": campaign},
        )
        time.sleep(0.2)
    except sa.exc.OperationalError:
        pass
    worker.rollback()
