"""The trigger over the API (R5, S36, S37, A5, U13): what each recipient hears, and what happened once."""

import threading
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import Client, bound

pytestmark = pytest.mark.integration


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def people(world):
    return scenes.add_people(world, world.a, 6, tag="t")[1]


def work(room):
    """Do what is due by now: the API that armed it looks at the real clock."""
    room.at(SystemClock().now() + timedelta(seconds=1)).run()


def started(world, room, sink, *, purpose="transactional", draft=None):
    channel = scenes.add_channel(world, world.a, sink.port, purpose=purpose, name=f"ch {uuid7().hex}")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose=purpose)
    scenes.save(world, world.a, campaign_id, draft or scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    work(room)
    return campaign_id


@pytest.fixture
def reset(world, room, sink):
    """An active transactional campaign that starts on call."""
    return started(world, room, sink)


@pytest.fixture
def welcome(world, room, sink):
    """An active marketing campaign that starts on call."""
    channel = scenes.add_channel(world, world.a, sink.port, name="Welcome mail")
    content = {"subject": "Welcome", "html": scenes.HTML, "text": scenes.TEXT}
    step = {"step_no": 1, "kind": "email", "name": "Welcome", "channel_id": channel, "content": content}
    return started(
        world, room, sink, purpose="marketing", draft={"topic": "newsletter", "time_zone": scenes.ZONE, "steps": [step]}
    )


@pytest.fixture
def key(world):
    return world.key(world.a)


URL = "https://id.northwind.example/r/1"


def who(email, **more):
    return {"email": email, "context": {"reset_url": URL}} | more


def call(client, campaign_id, recipients, *, idempotency=None, headers=None, **more):
    found = dict(headers or {})
    if idempotency:
        found["Idempotency-Key"] = idempotency
    return client.post(f"/campaigns/{campaign_id}/trigger", {"recipients": recipients, **more}, headers=found)


def statuses(answer):
    assert answer.status_code == 202, answer.text
    found = answer.get_json()["results"]
    assert [r["index"] for r in found] == list(range(len(found)))
    return [r["status"] for r in found]


def count(world, table):
    with bound(world.engine, world.a) as session:
        return session.scalar(sa.text(f"SELECT count(*) FROM {table}"))


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def test_personas(world, reset, people, key, engine):
    from saas.accounts.service import keys

    def send(client):
        return call(client, reset, [who(people[0])])

    assert codes(send(world.nobody(world.a))) == (401, "unauthenticated")
    unknown = call(world.client(world.b, Role.MANAGER), show("cam", uuid7()), [who(people[0])])
    for client in (world.client(world.b, Role.MANAGER), world.key(world.b)):
        assert codes(send(client)) == (404, "not_found")
        assert send(client).get_json()["detail"] == unknown.get_json()["detail"]
    for role in (Role.VIEWER, Role.APPROVER):
        refused = send(world.client(world.a, role))
        assert codes(refused) == (403, "lacks_right")
        assert refused.get_json()["action"] == "campaign:trigger"
    with bound(engine, world.a) as session:
        _, text = keys.make_key(
            session, actor=world.a.actor(Role.ADMIN), name="Reader", role=Role.MANAGER, scopes=["campaign:read"],
            project_id=None, expires_at=None, now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
    assert codes(send(Client(world.app, key=text))) == (403, "lacks_right")
    assert count(world, "entry") == 0
    for client in (key, world.client(world.a, Role.MANAGER), world.client(world.a, Role.ADMIN)):
        assert statuses(send(client)) == ["accepted"]


def test_r5_2_each_recipient_hears_what_became_of_them(world, reset, people, key, room, sink):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(
            "INSERT INTO suppression SELECT tenant_id, address_hash, 'complaint', now() FROM contact WHERE email = :e"
        ), {"e": people[1]})  # fmt: skip
        session.execute(sa.text("UPDATE contact SET erased_at = now() WHERE email = :e"), {"e": people[2]})
        session.execute(sa.text("UPDATE contact SET external_id = 'crm-3' WHERE email = :e"), {"e": people[3]})
        contact = session.scalar(sa.text("SELECT contact_id FROM contact WHERE email = :e"), {"e": people[4]})
        session.commit()
    answer = call(key, reset, [
        who(f"  {people[0].upper()} "), who(people[1]), who(people[2]), who("nobody@example.org"),
        {"external_id": "crm-3", "context": {"reset_url": URL}}, {"contact_id": show("ctc", contact), "context": {"reset_url": URL}},
        {"email": people[5]}, {"email": people[5], "context": {"reset_url": 7}},
        {"email": people[5], "context": {"reset_url": URL, "extra": 1}},
    ])  # fmt: skip
    assert statuses(answer) == [
        "accepted", "suppressed", "unknown_contact", "unknown_contact", "accepted", "accepted",
        "invalid_context", "invalid_context", "invalid_context",
    ]  # fmt: skip
    details = [r["detail"] for r in answer.get_json()["results"]]
    assert details[6] == "context.reset_url is required." and "reset_url" in details[7] and "extra" in details[8]
    work(room)
    assert sorted(m.rcpt for m in sink.messages) == sorted([people[0], people[3], people[4]])


def test_a_contact_of_another_workspace_is_unknown(world, reset, key):
    _, theirs = scenes.add_people(world, world.b, 1, tag="theirs")
    with bound(world.engine, world.b) as session:
        contact = session.scalar(sa.text("SELECT contact_id FROM contact WHERE email = :e"), {"e": theirs[0]})
    found = [who(theirs[0]), {"contact_id": show("ctc", contact), "context": {"reset_url": URL}},
             {"contact_id": show("ctc", uuid7()), "context": {"reset_url": URL}}]  # fmt: skip
    assert statuses(call(key, reset, found)) == ["unknown_contact"] * 3


UNREADABLE = (
    ([], "/recipients"),
    ([{"context": {}}], "/recipients/0"),
    ([{"email": "a@example.org", "external_id": "x"}], "/recipients/0"),
    ([{"email": "a@example.org"}, {"email": ""}], "/recipients/1/email"),
    ([{"email": "a\0@example.org"}], "/recipients/0/email"),
    ([{"contact_id": "x"}], "/recipients/0/contact_id"),
    ([{"email": "a@example.org", "entry_key": "a\nb"}], "/recipients/0/entry_key"),
    ([{"email": "a@example.org", "entry_key": "x" * 201}], "/recipients/0/entry_key"),
    ([{"email": "a@example.org", "context": "x"}], "/recipients/0/context"),
    ([{"email": "a@example.org", "state": "x"}], "/recipients/0/state"),
    ([{"email": "a@example.org"}] * 1001, "/recipients"),
)


def test_r5_8_what_cannot_be_read_is_refused_with_its_place(world, reset, key):
    for recipients, pointer in UNREADABLE:
        refused = call(key, reset, recipients)
        assert refused.status_code == 422, (recipients[:2], refused.text)
        assert pointer in {error["pointer"] for error in refused.get_json()["errors"]}, recipients[:2]
        assert count(world, "entry") == 0, recipients[:2]


def test_r5_8_a_thousand_in_one_call(world, reset, key):
    _, addresses = scenes.add_people(world, world.a, 1000, tag="many")
    assert statuses(call(key, reset, [who(a) for a in addresses])) == ["accepted"] * 1000
    assert count(world, "entry") == 1000


def test_r5_6_numbers_that_nobody_can_store_are_told(world, room, sink, key, people):
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    draft = scenes.api_draft(channel) | {
        "payload": {"fields": [{"key": "reset_url", "kind": "number", "required": True}]}
    }
    campaign_id = started(world, room, sink, draft=draft)
    for number in ("NaN", "Infinity", "-Infinity", "1e999", "1" + "0" * 400):
        body = f'{{"recipients": [{{"email": "{people[0]}", "context": {{"reset_url": {number}}}}}]}}'
        answer = key.call(
            "POST", f"/campaigns/{campaign_id}/trigger", data=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code in {202, 400, 422}, (number, answer.text)
        if answer.status_code == 202:
            assert statuses(answer) == ["invalid_context"], number


def test_r5_6_texts_that_nobody_can_store_are_told(reset, key, people):
    for text in ("\ud800", "a\0b", "x" * 2001):
        told = statuses(call(key, reset, [who(people[0], context={"reset_url": text})]))
        assert told == ["invalid_context"], text


def test_u13_a_rehearsal_answers_the_same_and_does_nothing(world, reset, key, people, room, sink):
    recipients = [who(people[0], entry_key="order-1"), who("nobody@example.org"), {"email": people[1]}]
    rehearsed = call(key, reset, recipients, dry_run=True)
    assert rehearsed.get_json()["dry_run"] is True
    before = statuses(rehearsed)
    assert (count(world, "entry"), count(world, "chunk")) == (0, 0)
    assert before == statuses(call(key, reset, recipients)) == ["accepted", "unknown_contact", "invalid_context"]
    assert statuses(call(key, reset, recipients, dry_run=True))[0] == "duplicate"
    assert (count(world, "entry"), count(world, "chunk")) == (1, 1)
    work(room)
    assert len(sink.messages) == 1


def test_r5_7_an_entry_key_is_used_once_a_person(world, reset, key, people, room, sink):
    assert statuses(call(key, reset, [who(people[0], entry_key="order-1")])) == ["accepted"]
    again = call(
        key,
        reset,
        [who(people[0], entry_key="order-1"), who(people[1], entry_key="order-1"), who(people[0], entry_key="order-2")],
    )
    assert statuses(again) == ["duplicate", "accepted", "accepted"]
    assert [r["entry_key"] for r in again.get_json()["results"]] == ["order-1", "order-1", "order-2"]
    work(room)
    assert len(sink.messages) == 3


def test_r5_7_named_twice_with_one_key_in_one_call_is_entered_once(world, reset, key, people, room, sink):
    answer = call(key, reset, [who(people[0], entry_key="k"), who(people[0].upper(), entry_key="k")])
    assert statuses(answer) == ["accepted", "duplicate"]
    work(room)
    assert len(sink.messages) == count(world, "entry") == 1


def test_r5_7_transactional_without_a_key_is_always_new(world, reset, key, people, room, sink):
    """Also when the caller sends the same X-Request-Id each time: that id is the caller's to choose."""
    for _ in range(2):
        assert (
            statuses(call(key, reset, [who(people[0]), who(people[0])], headers={"X-Request-Id": "mine"}))
            == ["accepted"] * 2
        )
    work(room)
    assert len(sink.messages) == 4


def test_r5_7_the_same_idempotency_key_gives_the_same_answer(world, reset, key, people):
    first = call(key, reset, [who(people[0])], idempotency="k1")
    again = call(key, reset, [who(people[0])], idempotency="k1")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.get_data() == first.get_data()
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    assert codes(call(key, reset, [who(people[1])], idempotency="k1")) == (422, "idempotency_key_reused")
    assert codes(call(key, reset, [who(people[0])], idempotency="k1", dry_run=True)) == (422, "idempotency_key_reused")
    assert call(key, reset, [who(people[0])], idempotency="k" * 256).status_code == 422
    assert count(world, "entry") == 1
    # A key belongs to its caller: somebody else's is another one.
    assert statuses(call(world.client(world.a, Role.MANAGER), reset, [who(people[0])], idempotency="k1")) == [
        "accepted"
    ]
    assert count(world, "entry") == 2


def test_r5_7_a_refused_call_leaves_its_key_free(world, reset, key, people):
    manager = world.client(world.a, Role.MANAGER)
    manager.post(f"/campaigns/{reset}/pause")
    assert codes(call(key, reset, [who(people[0])], idempotency="k2")) == (409, "campaign_not_active")
    manager.post(f"/campaigns/{reset}/resume")
    assert statuses(call(key, reset, [who(people[0])], idempotency="k2")) == ["accepted"]


def together(*calls):
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def run(index, act):
        gate.wait(timeout=60)
        answers[index] = act()

    threads = [threading.Thread(target=run, args=item) for item in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return answers


def test_r5_7_the_same_key_at_the_same_time_has_one_effect(world, reset, people, room, sink):
    clients = [world.key(world.a) for _ in range(4)]
    answers = together(*(lambda c=c: call(c, reset, [who(people[0])], idempotency="race") for c in clients))
    assert {a.status_code for a in answers} <= {202, 409}
    assert len({a.get_data() for a in answers if a.status_code == 202}) == 1
    assert count(world, "entry") == 1
    work(room)
    assert len(sink.messages) == 1


def test_r5_7_two_calls_that_name_people_in_the_opposite_order(world, welcome, people):
    recipients = [{"email": a} for a in people]
    answers = together(
        lambda: call(world.key(world.a), welcome, recipients),
        lambda: call(world.key(world.a), welcome, recipients[::-1]),
    )
    words = [status for a in answers for status in statuses(a)]
    assert sorted(words) == ["accepted"] * 6 + ["duplicate"] * 6
    assert count(world, "entry") == 6


def test_r5_2_calls_are_taken_while_active_only(world, reset, people, key, room, sink):
    manager = world.client(world.a, Role.MANAGER)
    draft = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    assert codes(call(key, draft, [who(people[0])])) == (409, "campaign_not_active")
    dated, _ = scenes.approved_campaign(world, world.a, people=1, port=sink.port, at=scenes.soon())
    assert codes(call(key, dated, [who(people[0])])) == (409, "campaign_not_active")
    for move in ("pause", "stop"):
        manager.post(f"/campaigns/{reset}/{move}")
        for dry_run in (False, True):
            assert codes(call(key, reset, [who(people[0])], dry_run=dry_run)) == (409, "campaign_not_active")
    assert count(world, "entry") == 0


def test_r5_9_transactional_ignores_the_opt_out_marketing_does_not(world, reset, welcome, people, key, room, sink):
    with bound(world.engine, world.a) as session:
        session.execute(
            sa.text(
                "UPDATE consent SET status = 'withdrawn' FROM contact c WHERE c.contact_id = consent.contact_id AND c.email = :e"
            ),
            {"e": people[0]},
        )
        session.commit()
    assert statuses(call(key, reset, [who(people[0])])) == ["accepted"]
    assert statuses(call(key, welcome, [{"email": people[0]}])) == ["accepted"]
    work(room)
    assert [m.rcpt for m in sink.messages] == [people[0]]
    assert b"Your new password" in sink.messages[0].data
    with bound(world.engine, world.a) as session:
        found = session.execute(sa.text("SELECT exc, reason FROM delivery WHERE exc IS NOT NULL")).all()
    assert [tuple(row) for row in found] == [("skipped", "unsubscribed")]


def test_r5_7_marketing_without_a_key_has_one_open_entry_a_person(world, welcome, people, key, room, sink):
    assert statuses(call(key, welcome, [{"email": people[0]}, {"email": people[0]}])) == ["accepted", "duplicate"]
    assert statuses(call(key, welcome, [{"email": people[0]}])) == ["duplicate"]
    assert statuses(call(key, welcome, [{"email": people[0]}], dry_run=True)) == ["duplicate"]
    work(room)
    assert len(sink.messages) == 1
    # Who was served is through: the entry is no longer open, and another call is another message.
    assert statuses(call(key, welcome, [{"email": people[0]}], dry_run=True)) == ["accepted"]
    assert statuses(call(key, welcome, [{"email": people[0]}])) == ["accepted"]
    assert statuses(call(key, welcome, [{"email": people[0]}])) == ["duplicate"]
    work(room)
    assert len(sink.messages) == count(world, "entry") == 2
    with bound(world.engine, world.a) as session:
        ended = session.execute(sa.text("SELECT ended_at, end_reason FROM entry ORDER BY entry_id")).all()
    assert isinstance(ended[0].ended_at, datetime) and ended[0].end_reason == "finished"
    assert ended[1].ended_at is None


def test_r5_7_who_is_tried_again_later_still_has_an_open_entry(world, welcome, people, key, room, sink):
    sink.script[people[0]] = "450 4.2.0 greylisted"
    call(key, welcome, [{"email": people[0]}])
    work(room)
    assert statuses(call(key, welcome, [{"email": people[0]}])) == ["duplicate"]


def test_r5_7_marketing_with_keys_enters_once_a_key(world, welcome, people, key):
    found = [{"email": people[0], "entry_key": k} for k in ("a", "b", "a")]
    assert statuses(call(key, welcome, found)) == ["accepted", "accepted", "duplicate"]


def test_a_new_revision_on_call_takes_effect_for_later_calls(world, reset, people, key, room, sink):
    """architecture.md 6, live edit: a publication opens a new run; the campaign stays active."""
    manager, approver = world.client(world.a, Role.MANAGER), world.client(world.a, Role.APPROVER)
    call(key, reset, [who(people[0])])
    made = manager.post(f"/campaigns/{reset}/revisions").get_json()
    draft = made["draft"]
    draft["steps"][0]["content"]["subject"] = "Second wording"
    url = f"/campaigns/{reset}/revisions/2"
    assert manager.put(url, {"draft": draft}, etag='"1"').status_code == 200
    found = manager.get(f"/campaigns/{reset}").get_json()
    assert (found["state"], found["revision"]["state"]) == ("active", "editing")
    second = scenes.submit(world, world.a, reset, no=2)
    assert approver.post(f"{url}/approve", {"content_hash": second}).status_code == 200
    work(room)
    assert statuses(call(key, reset, [who(people[1])])) == ["accepted"]
    work(room)
    subjects = {
        m.rcpt: next(line for line in m.data.splitlines() if line.startswith(b"Subject:")) for m in sink.messages
    }
    assert subjects == {people[0]: b"Subject: Your new password", people[1]: b"Subject: Second wording"}
    assert manager.get(f"/campaigns/{reset}").get_json()["state"] == "active"


def test_nothing_of_a_call_stays_in_the_audit(world, reset, people, key):
    call(key, reset, [who(people[0])])
    with bound(world.engine, world.a) as session:
        entries = session.execute(sa.text("SELECT CAST(t AS text) FROM audit_entry t")).scalars().all()
    assert not any("@" in entry or URL in entry for entry in entries)
