"""Files of calls over the API (R5.8): upload, progress, what was not accepted, cancel."""

import csv
import gzip
import io
import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.journeys.service import calling
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.platform.files.service import remove_expired
from tests import scenes
from tests.api.audience_parts import refused
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration
URL = "https://id.northwind.example/r/1"


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


@pytest.fixture
def key(world):
    return world.key(world.a)


def work(room, *queues, seconds=1):
    room.at(SystemClock().now() + timedelta(seconds=seconds)).run(*queues)


def started(world, room, sink, place, *, purpose="transactional", **more):
    channel = scenes.add_channel(world, place, sink.port, purpose=purpose, name=f"ch {uuid7().hex}")
    campaign_id = scenes.make_campaign(world, place, kind="api", purpose=purpose)
    draft = scenes.api_draft(channel)
    if purpose == "marketing":
        draft = {"topic": "newsletter", "time_zone": scenes.ZONE, "steps": draft["steps"]}
        draft["steps"][0]["content"] = {"subject": "Welcome", "html": scenes.HTML, "text": scenes.TEXT}
    scenes.save(world, place, campaign_id, draft | more)
    scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
    work(room)
    return campaign_id


@pytest.fixture
def reset(world, room, sink):
    """An active transactional campaign that starts on call."""
    return started(world, room, sink, world.a)


def line(email, **more):
    return {"email": email, "context": {"reset_url": URL}} | more


def jsonl(rows):
    return b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)


def upload(client, campaign_id, rows, *, query="", kind="application/x-ndjson", **headers):
    content = rows if isinstance(rows, bytes) else jsonl(rows)
    path = f"/campaigns/{campaign_id}/trigger-file{query}"
    return client.call("POST", path, data=content, headers={"Content-Type": kind, **headers})


def made(answer):
    assert answer.status_code == 202, answer.text
    found = answer.get_json()
    assert answer.headers["Location"] == f"/api/v1/call-files/{found['call_file_id']}"
    return found["call_file_id"]


def job(client, call_file_id):
    """The job; its counts balance at every look."""
    found = client.get(f"/call-files/{call_file_id}").get_json()
    assert found["counts"]["lines"] == sum(number for word, number in found["counts"].items() if word != "lines")
    return found


def answer_some(room, client, call_file_id, lines):
    """Work until so many lines are answered; with small pieces that is somewhere in the middle of the file."""
    for _ in range(50):
        if job(client, call_file_id)["counts"]["lines"] >= lines:
            return
        room.run(Queue.MAINTENANCE, pieces=1)
    raise AssertionError(job(client, call_file_id))


def counted(found):
    return {word: number for word, number in found["counts"].items() if number}


def errors(client, call_file_id):
    answer = client.get(f"/call-files/{call_file_id}/errors")
    assert answer.status_code == 200, answer.text
    return [json.loads(row) for row in answer.get_data(as_text=True).splitlines()]


def codes(answer):
    return answer.status_code, answer.get_json()["code"]


def count(world, table):
    with bound(world.engine, world.a) as session:
        return session.scalar(sa.text(f"SELECT count(*) FROM {table}"))


def test_who_may(world, reset, people, room, key):
    call_file = made(upload(key, reset, [line(people[0]), line("nobody@example.org")]))
    work(room, Queue.MAINTENANCE)
    path = f"/call-files/{call_file}"
    may = (Role.ADMIN, Role.MANAGER)
    refused(world, "POST", f"/campaigns/{reset}/trigger-file", allowed=may)
    for method, of in (("GET", path), ("GET", f"{path}/errors"), ("POST", f"{path}/cancel")):
        refused(world, method, of, allowed=may)
    refused(world, "GET", f"/campaigns/{reset}/call-files", allowed=may)
    other = world.key(world.b)
    assert codes(upload(other, reset, [line(people[0])])) == (404, "not_found")
    for method, of in (("GET", path), ("GET", f"{path}/errors"), ("POST", f"{path}/cancel")):
        unknown = other.call(method, of.replace(call_file, show("clf", uuid7())))
        assert other.call(method, of).get_json()["detail"] == unknown.get_json()["detail"]
        assert other.call(method, of).status_code == 404
    assert codes(other.get(f"/campaigns/{reset}/call-files")) == (404, "not_found")
    assert count(world, "entry") == 1


def test_r5_8_each_line_is_answered_and_the_counts_balance(world, reset, people, room, key, sink):
    """S36 to S38: a file, and what became of each of its lines."""
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(
            "INSERT INTO suppression SELECT tenant_id, address_hash, 'complaint', now() FROM contact WHERE email = :e"
        ), {"e": people[1]})  # fmt: skip
        contact = session.scalar(sa.text("SELECT contact_id FROM contact WHERE email = :e"), {"e": people[4]})
        session.commit()
    rows = [
        b"\xef\xbb\xbf" + jsonl([line(f"  {people[0].upper()}")]), line(people[1]), line("=nobody@example.org"), b"\n", b"{broken\n",
        line(people[2], context={}), line(people[2], entry_key="k"), line(people[2], entry_key="k"),
        {"contact_id": show("ctc", contact), "context": {"reset_url": URL}}, b'{"email": "a\xff"}\n', b"[]\n",
        line(people[3], state="x"), b'{"email": "' + b"x" * 2_000_000 + b'"}\n', line("a\0b@example.org"),
        line(people[5], context={"reset_url": "a\0b"}), jsonl([line(people[5])]).rstrip(),
    ]  # fmt: skip
    call_file = made(upload(key, reset, rows, query="?file_name=october.jsonl"))
    before = job(key, call_file)
    assert (before["state"], before["file_name"], before["counts"]["lines"]) == ("queued", "october.jsonl", 0)
    assert codes(key.get(f"/call-files/{call_file}/errors")) == (404, "not_found")
    work(room)
    found = job(key, call_file)
    assert (found["state"], found["detail"], found["has_errors"]) == ("done", None, True)
    assert found["size_bytes"] == found["done_bytes"] == len(jsonl(rows))
    assert counted(found) == {
        "lines": 15, "accepted": 4, "duplicate": 1, "unknown_contact": 1, "suppressed": 1, "invalid_context": 2, "invalid": 6,
    }  # fmt: skip
    assert [(row["line"], row["status"]) for row in errors(key, call_file)] == [
        (2, "suppressed"), (3, "unknown_contact"), (5, "invalid"), (6, "invalid_context"), (8, "duplicate"), (10, "invalid"),
        (11, "invalid"), (12, "invalid"), (13, "invalid"), (14, "invalid"), (15, "invalid_context"),
    ]  # fmt: skip
    told = {row["line"]: row for row in errors(key, call_file)}
    assert told[2]["recipient"] == people[1] and told[8]["entry_key"] == "k"
    assert "longer than 256 KB" in told[13]["detail"] and "state" in told[12]["detail"] and "NUL" in told[15]["detail"]
    table = key.get(f"/call-files/{call_file}/errors?format=csv")
    assert table.mimetype == "text/csv"
    assert table.headers["Content-Disposition"] == f'attachment; filename="errors-{call_file}.csv"'
    cells = list(csv.DictReader(io.StringIO(table.get_data(as_text=True))))
    assert len(cells) == 11 and cells[1]["recipient"] == "'=nobody@example.org"
    assert sorted(message.rcpt for message in sink.messages) == sorted([people[0], people[2], people[4], people[5]])
    with bound(world.engine, world.a) as session:
        keys = session.scalars(sa.text("SELECT entry_key FROM entry ORDER BY entry_key")).all()
        actions = session.scalars(
            sa.text("SELECT action FROM audit_entry WHERE action LIKE 'call_file%' ORDER BY no")
        ).all()
    assert keys == sorted([f"{call_file}:1", f"{call_file}:9", f"{call_file}:16", "k"])
    assert actions == ["call_file.started", "call_file.finished", *["call_file.errors_downloaded"] * 3]
    assert key.get(f"/campaigns/{reset}/call-files").get_json()["data"] == [found]
    assert codes(key.post(f"/call-files/{call_file}/cancel")) == (409, "call_file_is_over")


@pytest.mark.parametrize("way", ["gzip", "form", "gzip in a form", "pieces of gzip"])
def test_as_a_form_and_packed(world, reset, people, room, key, way):
    content = jsonl([line(person) for person in people])
    packed = gzip.compress(content[:100]) + gzip.compress(content[100:]) if "pieces" in way else gzip.compress(content)
    sent = packed if "gzip" in way else content
    if "form" in way:
        client = world.client(world.a, Role.MANAGER)
        data = {"file": (io.BytesIO(sent), "..\\C:\\etc/calls.jsonl")}
        answer = client.call("POST", f"/campaigns/{reset}/trigger-file", data=data, content_type="multipart/form-data")
        assert answer.get_json()["file_name"] == "calls.jsonl"
    else:
        answer = upload(key, reset, sent, kind="application/gzip")
    call_file = made(answer)
    assert answer.get_json()["size_bytes"] == len(content)
    work(room, Queue.MAINTENANCE)
    assert counted(job(key, call_file)) == {"lines": 6, "accepted": 6}
    assert not job(key, call_file)["has_errors"]


UNTAKEN = (
    (b"", "application/x-ndjson", 422, "The file is empty."),
    (gzip.compress(b""), "application/gzip", 422, "The file is empty."),
    (b"\x1f\x8bno", "application/gzip", 422, "cannot be unpacked"),
    (gzip.compress(b"x" * 99)[:-4], "application/gzip", 422, "ends too early"),
    (b"{}", "application/x-www-form-urlencoded", 415, "application/x-ndjson"),
    (b"{}", "application/json", 415, "application/x-ndjson"),
    (b"{}\n{}", "application/json", 400, "not JSON"),
    (b"{}", "", 415, "no content type"),
)


def test_files_that_cannot_be_taken_say_what_to_change(world, reset, key):
    for content, kind, status, words in UNTAKEN:
        answer = upload(key, reset, content, kind=kind)
        assert answer.status_code == status and words in answer.text, (content, kind, answer.text)
        assert count(world, "call_file") == count(world, "stored_file") == 0, (content, kind)
    none = key.call("POST", f"/campaigns/{reset}/trigger-file", data={"x": "y"}, content_type="multipart/form-data")
    assert none.get_json()["errors"][0]["pointer"] == "/file"
    assert count(world, "call_file") == count(world, "stored_file") == 0


def test_files_are_bounded_as_imports_are_also_unpacked(world, reset, key):
    settings = key.http.application.extensions["countersign"].settings
    too_much = {"CONTENT_LENGTH": str(settings.import_max_bytes + 2 * 1024 * 1024)}
    path, headers = f"/campaigns/{reset}/trigger-file", {"Content-Type": "application/x-ndjson"}
    assert key.call("POST", path, data=b"x", headers=headers, environ_overrides=too_much).status_code == 413
    large = upload(key, reset, b" " * 9_000_000)  # more than other bodies may be
    assert large.status_code == 202
    bomb = gzip.compress(b"\n" * (settings.import_max_bytes + 1), 1)
    answer = upload(key, reset, bomb, kind="application/gzip")
    assert (answer.status_code, count(world, "call_file")) == (422, 1)
    assert "larger than" in answer.text


def test_r5_7_the_same_idempotency_key_uploads_once(world, reset, people, key):
    rows = [line(people[0])]
    answers = [upload(key, reset, rows, **{"Idempotency-Key": "once"}) for _ in range(2)]
    assert made(answers[0]) == answers[1].get_json()["call_file_id"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert upload(key, reset, [line(people[1])], **{"Idempotency-Key": "once"}).status_code == 422
    assert count(world, "call_file") == 1


def test_r5_2_a_file_is_taken_while_calls_are(world, reset, people, key):
    manager = world.client(world.a, Role.MANAGER)
    draft = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    dated = scenes.make_campaign(world, world.a)
    for campaign_id in (draft, dated):
        assert codes(upload(key, campaign_id, [line(people[0])])) == (409, "campaign_not_active")
    manager.post(f"/campaigns/{reset}/pause")
    assert codes(upload(key, reset, [line(people[0])], **{"Idempotency-Key": "k"})) == (409, "campaign_not_active")
    manager.post(f"/campaigns/{reset}/resume")
    made(upload(key, reset, [line(people[0])], **{"Idempotency-Key": "k"}))
    unknown = show("cam", uuid7())
    assert codes(upload(key, unknown, [line(people[0])])) == (404, "not_found")


def test_r5_2_a_pause_holds_the_file_and_a_stop_answers_the_rest(world, reset, people, room, key, monkeypatch):
    monkeypatch.setattr(calling, "LINES", 2)
    manager = world.client(world.a, Role.MANAGER)
    call_file = made(upload(key, reset, [line(person) for person in people]))
    answer_some(room.at(SystemClock().now() + timedelta(seconds=1)), key, call_file, 2)
    assert counted(job(key, call_file)) == {"lines": 2, "accepted": 2}
    assert manager.post(f"/campaigns/{reset}/pause").status_code == 200
    room.run(Queue.MAINTENANCE)
    held = job(key, call_file)
    assert (held["state"], counted(held)) == ("running", {"lines": 2, "accepted": 2})
    assert "paused" in held["detail"] and "goes on by itself" in held["detail"]
    manager.post(f"/campaigns/{reset}/resume")
    answer_some(room.later(2), key, call_file, 4)  # the campaign that goes on wakes it
    assert counted(job(key, call_file)) == {"lines": 4, "accepted": 4} and job(key, call_file)["detail"] is None
    assert manager.post(f"/campaigns/{reset}/stop").status_code in {200, 202}
    room.later(360).run(Queue.MAINTENANCE)
    found = job(key, call_file)
    assert (found["state"], counted(found)) == ("done", {"lines": 6, "accepted": 4, "not_active": 2})
    assert [(row["line"], row["status"]) for row in errors(key, call_file)] == [(5, "not_active"), (6, "not_active")]
    assert count(world, "entry") == 4


def test_r5_2_who_comes_after_the_window_is_too_late(world, people, room, sink, key, monkeypatch):
    monkeypatch.setattr(calling, "LINES", 4)
    until = (SystemClock().now() + timedelta(hours=2)).replace(microsecond=0)
    window = {"settings": {"accepts_until": scenes.wall(until)}}
    campaign_id = started(world, room, sink, world.a, **window)
    call_file = made(upload(key, campaign_id, [line(person) for person in people]))
    answer_some(room.at(SystemClock().now() + timedelta(seconds=1)), key, call_file, 4)
    room.at(until).run(Queue.MAINTENANCE)
    found = job(key, call_file)
    assert (found["state"], counted(found)) == ("done", {"lines": 6, "accepted": 4, "too_late": 2})
    assert "took calls until" in errors(key, call_file)[0]["detail"]


def test_r5_7_marketing_without_keys_has_one_open_entry_a_person(world, people, room, sink, key):
    welcome = started(world, room, sink, world.a, purpose="marketing")
    rows = [
        {"email": people[0]},
        {"email": people[0]},
        {"email": people[1], "entry_key": "a"},
        {"email": people[1], "entry_key": "b"},
    ]
    call_file = made(upload(key, welcome, rows))
    work(room, Queue.MAINTENANCE)
    assert counted(job(key, call_file)) == {"lines": 4, "accepted": 3, "duplicate": 1}


def test_cancel_before_it_began(world, reset, people, room, key):
    call_file = made(upload(key, reset, [line(people[0])]))
    answer = key.post(f"/call-files/{call_file}/cancel")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "cancelled")
    work(room)
    assert count(world, "entry") == count(world, "stored_file") == 0
    assert job(key, call_file)["state"] == "cancelled"


def test_r14_who_lost_the_right_gets_no_further(world, reset, people, room, monkeypatch):
    monkeypatch.setattr(calling, "LINES", 4)
    manager = world.client(world.a, Role.MANAGER)
    call_file = made(upload(manager, reset, [line(person) for person in people]))
    answer_some(room.at(SystemClock().now() + timedelta(seconds=1)), world.key(world.a), call_file, 4)
    monkeypatch.setattr(calling, "still_may", lambda *_args, **_kwargs: False)
    room.run(Queue.MAINTENANCE)
    found = job(world.key(world.a), call_file)
    assert (found["state"], counted(found)) == ("failed", {"lines": 4, "accepted": 4})
    assert "may no longer call" in found["detail"]


def test_nothing_of_a_file_stays_in_the_audit(world, reset, people, room, key):
    call_file = made(upload(key, reset, [line(people[0]), line("nobody@example.org")], query="?file_name=x"))
    work(room)
    errors(key, call_file)
    with bound(world.engine, world.a) as session:
        entries = session.execute(sa.text("SELECT CAST(t AS text) FROM audit_entry t")).scalars().all()
    assert not any("@" in entry or URL in entry for entry in entries)


def test_retention_what_was_uploaded_goes_at_the_end_and_the_error_file_after_a_week(world, reset, people, room, key):
    """ledger.md, retention: a file of calls is kept as an import's is, and its rows hold no address."""

    def stored():
        with bound(world.engine, world.a) as session:
            return sorted(session.scalars(sa.text("SELECT name FROM stored_file")))

    def swept(moment):
        with bound(world.engine, world.a) as session:
            remove_expired(session, now=moment, limit=100)
            session.commit()

    call_file = made(upload(key, reset, [line(people[0]), line("nobody@example.org")], query="?file_name=shop.jsonl"))
    assert stored() == ["shop.jsonl"]
    work(room)
    assert stored() == [f"errors-{call_file}.jsonl"]
    assert errors(key, call_file)
    swept(SystemClock().now() + timedelta(days=6, hours=23))
    assert len(stored()) == 1
    swept(SystemClock().now() + timedelta(days=7, minutes=1))
    assert stored() == []
    assert codes(key.get(f"/call-files/{call_file}/errors")) == (404, "not_found")
    assert job(key, call_file)["state"] == "done"
    with bound(world.engine, world.a) as session:
        (row,) = session.scalars(sa.text("SELECT CAST(t AS text) FROM call_file t")).all()
    assert "@" not in row


def test_retention_a_file_that_waited_for_a_week_fails_and_says_why(world, reset, people, room, key):
    call_file = made(upload(key, reset, [line(people[0])]))
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{reset}/pause")
    later = SystemClock().now() + timedelta(days=8)
    with bound(world.engine, world.a) as session:
        remove_expired(session, now=later, limit=100)
        session.commit()
    room.at(later).run(Queue.MAINTENANCE)
    found = job(key, call_file)
    assert found["state"] == "failed" and "no longer kept" in found["detail"]
