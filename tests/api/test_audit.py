"""The audit log over API, page and command line (U2, M7): read, export, verify, mail the head."""

import json
import os
import re
import subprocess
import sys
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from saas.accounts.service import keys, people
from saas.app.kinds import kinds_for
from saas.audit import queries
from saas.audit import service as audit
from saas.audit.rules import check_file, is_signed, public_key, signing_key
from saas.audit.types import SEND_HEAD, Break, Flaw
from saas.cli.main import main
from saas.http.shell import Shell
from saas.kernel.clock import FixedClock, SystemClock
from saas.kernel.ids import show
from saas.permissions.types import SYSTEM, Action, Role
from saas.platform.agenda.types import Queue
from saas.platform.agenda.work import Doer, work_once
from saas.tenants.service import members
from tests import scenes
from tests.api.post_office import opened
from tests.command import saas
from tests.worlds import Client, bound

pytestmark = pytest.mark.integration

ZONE = ZoneInfo("Europe/Oslo")


def published(world):
    return public_key(signing_key(world.app.extensions["countersign"].vault.audit_seed))


def lines_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    return answer.text.splitlines(keepends=True)


def write(world, place, number, *, action="test.done"):
    with bound(world.engine, place) as session:
        for no in range(number):
            audit.append(
                session, actor=place.actor(Role.ADMIN), action=action, subject=f"cam_{no}", now=SystemClock().now()
            )
        session.commit()


# ---------- reading


def test_u2_entries_are_listed_newest_first_with_the_names_of_today(world):
    campaign_id = scenes.make_campaign(world, world.a)
    answer = world.client(world.a, Role.APPROVER).get("/audit")
    assert answer.status_code == 200, answer.text
    rows = answer.get_json()["data"]
    assert [row["no"] for row in rows] == sorted((row["no"] for row in rows), reverse=True)
    made = next(row for row in rows if row["action"] == "campaign.created")
    assert made["subject"] == campaign_id
    assert made["actor_id"] == show("acc", world.a.accounts[Role.MANAGER])
    assert made["actor_name"] == "Manager North"
    assert re.fullmatch("[0-9a-f]{64}", made["hash"])


def test_u2_filters_and_pages(world):
    write(world, world.a, 5)
    client, me = world.client(world.a, Role.ADMIN), show("acc", world.a.accounts[Role.ADMIN])

    def found(**query):
        answer = client.get("/audit", query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.get_json()["data"]

    assert [row["subject"] for row in found(action="test.done")] == ["cam_4", "cam_3", "cam_2", "cam_1", "cam_0"]
    assert [row["action"] for row in found(subject="cam_3")] == ["test.done"]
    assert {row["actor_id"] for row in found(actor=me)} == {me}
    assert found(actor=show("key", world.a.key_id)) == []
    now = SystemClock().now()
    assert found(**{"from": (now + timedelta(hours=1)).isoformat()}) == []
    assert found(to=(now - timedelta(hours=1)).isoformat()) == []
    seen, cursor = [], None
    while True:
        answer = client.get("/audit", query_string={"limit": 3, **({"after": cursor} if cursor else {})}).get_json()
        seen += [row["no"] for row in answer["data"]]
        cursor = answer["next_cursor"]
        if not answer["has_more"]:
            break
    assert seen == list(range(max(seen), 0, -1))


@pytest.mark.parametrize("query", [
    {"actor": "acc_x"}, {"actor": "cam_01h00000000000000000000000"}, {"from": "yesterday"}, {"to": "2026-11-30"},
    {"after": "x"}, {"limit": "0"}, {"subject": ""}, {"action": "a\nb"},
])  # fmt: skip
def test_a_filter_that_is_none_is_refused(world, query):
    assert world.client(world.a, Role.ADMIN).get("/audit", query_string=query).status_code == 422


@pytest.mark.parametrize("role", [Role.MANAGER, Role.VIEWER])
@pytest.mark.parametrize("path", ["/audit", "/audit/export"])
def test_u2_the_log_needs_its_right(world, role, path):
    answer = world.client(world.a, role).get(path)
    assert answer.status_code == 403
    assert answer.get_json()["action"] == "audit:read"


def test_u2_who_has_the_right_in_a_project_sees_what_is_about_it_only(world):
    now = SystemClock().now()
    inside = scenes.make_campaign(world, world.a)
    boss = world.client(world.a, Role.ADMIN)
    other = boss.post("/projects", {"name": "Other season"}).get_json()["project_id"]
    outside = boss.post("/campaigns", {"name": "x", "project_id": other, "kind": "dated", "purpose": "marketing"})
    outside_id = outside.get_json()["campaign_id"]
    with bound(world.engine, world.a) as session:
        person = people.ensure_account(session, email=f"only.{outside_id}@northwind.example", name="Only", now=now)
        people.set_password(session, person, "correct-horse-7", cost=1)
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=person.account_id, role=Role.APPROVER,
            project_id=world.a.project_id, now=now,
        )  # fmt: skip
        session.commit()
        email = person.email
    client = Client(world.app, workspace=world.a.wsp).sign_in(email)
    subjects = {row["subject"] for row in client.get("/audit").get_json()["data"]}
    assert inside in subjects
    assert outside_id not in subjects and other not in subjects
    assert {subject.partition("_")[0] for subject in subjects} <= {"cam", "lst", "aud", "prj"}
    assert client.get("/audit", query_string={"subject": outside_id}).get_json()["data"] == []
    assert client.get("/audit/export").status_code == 403  # the chain is handed out as a whole
    page = client.http.get(f"/w/{world.a.wsp}/settings/audit")
    assert page.status_code == 200 and "Other season" not in page.text and "Daily head" not in page.text


# ---------- exporting


def test_u2_an_export_verifies_and_is_audited(world):
    write(world, world.a, 3)
    client = world.client(world.a, Role.APPROVER)
    lines = lines_of(client.get("/audit/export"))
    head, broken = check_file(lines, by=published(world))
    assert broken is None
    assert head["workspace"] == world.a.wsp
    assert head["last_no"] == len(lines) - 1
    assert client.get("/audit").get_json()["data"][0] | {"no": 0, "at": "", "hash": ""} == {
        "no": 0, "at": "", "hash": "", "actor_kind": "person", "actor_id": show("acc", world.a.accounts[Role.APPROVER]),
        "actor_name": "Approver North", "action": "audit.exported", "subject": world.a.wsp,
        "facts": {"first_no": 1, "last_no": head["last_no"]},
    }  # fmt: skip
    again, broken = check_file(
        lines_of(client.get("/audit/export")), anchor=(head["last_no"], bytes.fromhex(head["head"]))
    )
    assert broken is None and again["last_no"] == head["last_no"] + 1


def test_u2_a_range_of_time_is_exported_without_a_gap(world):
    write(world, world.a, 2)
    middle = SystemClock().now()
    write(world, world.a, 3, action="test.late")
    client = world.client(world.a, Role.ADMIN)
    late = lines_of(client.get("/audit/export", query_string={"from": middle.isoformat()}))
    assert [json.loads(line)["action"] for line in late[1:]] == ["test.late"] * 3
    early = lines_of(client.get("/audit/export", query_string={"to": middle.isoformat()}))
    assert json.loads(early[-1])["action"] == "test.done"
    none = lines_of(client.get("/audit/export", query_string={"from": (middle + timedelta(hours=1)).isoformat()}))
    nothing = lines_of(client.get("/audit/export", query_string={"to": (middle - timedelta(days=9)).isoformat()}))
    assert len(none) == len(nothing) == 1
    for lines in (late, early, none, nothing):
        assert check_file(lines, by=published(world))[1] is None
    assert json.loads(late[0])["before"] == json.loads(early[-1])["hash"]


def test_u2_an_export_breaks_off_when_its_reader_loses_the_right(world, monkeypatch):
    monkeypatch.setattr(queries, "_BATCH", 2)
    write(world, world.a, 9)
    answer = world.client(world.a, Role.APPROVER).call("GET", "/audit/export", buffered=False)
    stream = iter(answer.response)
    got = [next(stream), next(stream)]
    with bound(world.engine, world.a) as session:
        members.remove_member(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.APPROVER], project_id=None,
            now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
    with pytest.raises(RuntimeError):
        got += list(stream)
    answer.close()
    text = b"".join(part if isinstance(part, bytes) else part.encode() for part in got).decode()
    assert check_file(text.splitlines(keepends=True))[1] == Break(3, Flaw.TRUNCATED)


def test_u2_an_export_by_a_key_ends_with_the_key(world, monkeypatch):
    monkeypatch.setattr(queries, "_BATCH", 2)
    write(world, world.a, 9)
    now, boss = SystemClock().now(), world.a.actor(Role.ADMIN)
    with bound(world.engine, world.a) as session:
        row, text = keys.make_key(
            session, actor=boss, name="Auditor", role=Role.APPROVER, scopes=[Action.AUDIT_READ.value], project_id=None,
            expires_at=None, now=now,
        )  # fmt: skip
        session.commit()
    client = Client(world.app, key=text)
    assert check_file(lines_of(client.get("/audit/export")))[1] is None
    stream = iter(client.call("GET", "/audit/export", buffered=False).response)
    next(stream)
    with bound(world.engine, world.a) as session:
        keys.revoke_key(session, actor=boss, key_id=row.key_id, now=now)
        session.commit()
    with pytest.raises(RuntimeError):
        list(stream)
    assert client.get("/audit").status_code == 401


def test_u2_the_public_key_is_published(world):
    answer = world.nobody().get("/audit/key")
    assert answer.status_code == 200
    assert answer.get_json()["public_key"] == published(world)
    page = world.client(world.a, Role.ADMIN).http.get(f"/w/{world.a.wsp}/settings/audit")
    assert published(world) in page.text and answer.get_json()["fingerprint"] in page.text


# ---------- the command line


def online(app_settings, *words):
    environ = {
        "PATH": os.environ["PATH"], "DATABASE_URL": app_settings.database_url, "REDIS_URL": app_settings.redis_url,
        "SECRET_KEY": "A" * 43 + "=", "MASTER_KEY": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
    }  # fmt: skip
    return saas(environ, *words)


def offline(*words):
    """Without any setting: nothing could be connected to."""
    return saas({"PATH": os.environ["PATH"], "CSN_HOME": "/nonexistent/home"}, "audit", "verify", *words)


@pytest.fixture
def verify_here(capsys, monkeypatch):
    """The same command without a process of its own: starting one takes seconds."""

    monkeypatch.setattr("saas.cli.shell._log_to_stderr", lambda _: None)  # logs of other tests stay where they go

    def verified(*words):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["saas", "audit", "verify", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return subprocess.CompletedProcess(words, ended.value.code, told.out, told.err)

    return verified


def test_u2_export_and_verify_on_the_command_line(world, app_settings, tmp_path, verify_here):
    write(world, world.a, 3)
    key = online(app_settings, "audit", "key")
    assert key.stdout.splitlines()[0] == published(world), key.stderr
    found = online(app_settings, "audit", "export", world.a.wsp)
    assert found.returncode == 0, found.stderr
    file = tmp_path / "audit.jsonl"
    file.write_text(found.stdout)
    held = offline(str(file), "--key", published(world))
    assert (held.returncode, held.stderr) == (0, ""), held.stderr
    head = json.loads(found.stdout.splitlines()[0])
    assert held.stdout.startswith(f"It holds: entries 1 to {head['last_no']} of {world.a.wsp}.")
    assert verify_here(str(file), "--anchor", f"{head['last_no']}:{head['head']}").returncode == 0
    far = verify_here(str(file), "--anchor", f"{head['last_no'] + 1}:{head['head']}")
    assert far.returncode == 2 and "does not reach" in far.stderr
    lines = found.stdout.splitlines(keepends=True)
    for name, changed, expected in (
        ("edited", [*lines[:3], lines[3].replace('"at":"2', '"at":"1'), *lines[4:]], "3: the entry was changed"),
        ("reordered", [*lines[:2], lines[3], lines[2], *lines[4:]], "2: the entries stand in another order"),
        ("missing", [*lines[:2], *lines[3:]], "2: an entry is missing"),
        ("truncated", lines[:-1], f"{head['last_no']}: the end was cut off"),
        ("half a line", [*lines[:-1], lines[-1][:-1]], f"{head['last_no']}: the line is no entry"),
        ("forged", [lines[0].replace(head["head"], "00" * 32), *lines[1:]], "the head is forged"),
    ):
        file.write_text("".join(changed))
        told = verify_here(str(file))
        assert told.returncode == 1, name
        assert expected in told.stdout, (name, told.stdout)
    file.write_text("a,b\n")
    assert verify_here(str(file)).returncode == 2
    missing = online(app_settings, "audit", "export", "wsp_01h00000000000000000000000")
    assert (missing.returncode, missing.stdout) == (4, "")
    with bound(world.engine, world.a) as session:
        last = queries.entries_about(session, world.a.wsp, limit=1)[0]
        assert (last.action, last.actor_kind) == ("audit.exported", "system")


# ---------- the daily head


@contextmanager
def morning(world, settings):
    with opened(world.engine, settings) as office:
        shell = world.app.extensions["countersign"]
        local = Shell(settings=office.settings, clock=shell.clock, gate=shell.gate, bell=shell.bell, vault=shell.vault)
        kinds = kinds_for(Queue.MAINTENANCE, shell=local, engine=world.engine, sender=None)

        def at(moment):
            doer = Doer(world.engine, kinds, FixedClock(moment), lambda _: None, lambda: False)
            before = len(office.taken)
            for _ in range(20):
                if not work_once(doer, Queue.MAINTENANCE):
                    break
            return office.taken[before:]

        yield office, at


@pytest.fixture
def seven():
    """Seven o'clock so many days after the one on which the test began."""
    today = SystemClock().now().astimezone(ZONE).date()

    def at(days):
        day = today + timedelta(days=days)
        return datetime(day.year, day.month, day.day, 7, 0, 1, tzinfo=ZONE)

    return at


def post(world, role, path, **form):
    client = world.client(world.a, role)
    return client.http.post(
        f"/w/{world.a.wsp}/settings/audit/{path}", data={"csrf_token": client.csrf, **form}, follow_redirects=False
    )


def test_u2_the_head_is_mailed_each_morning_once_to_each_subscriber(world, app_settings, empty_agenda, seven):
    assert post(world, Role.APPROVER, "subscribe").status_code == 303
    assert post(world, Role.ADMIN, "addresses", email="Auditor@Client.example").status_code == 303
    assert post(world, Role.ADMIN, "addresses", email="auditor@client.example").status_code == 422  # once is enough
    with morning(world, app_settings) as (office, at):
        assert at(SystemClock().now()) == []
        mails = at(seven(1))
        assert sorted(rcpt[0] for rcpt, _ in mails) == sorted([world.a.emails[Role.APPROVER], "auditor@client.example"])
        texts = [office.text(raw).replace("\r", "") for _, raw in mails]
        with bound(world.engine, world.a) as session:
            no, own = queries.head(session)
        for text in texts:
            assert (seven(1)).date().isoformat() in text
            assert f"Number of entries: {no}\n" in text
            assert f"Hash of the last one: {own.hex()}\n" in text
            words = {
                "format": "countersign-audit-head/1", "workspace": world.a.wsp, "day": seven(1).date().isoformat(),
                "entries": no, "head": own.hex(), "public_key": published(world),
                "signature": re.search(r"Signature \(Ed25519\): (\S+)", text)[1],
            }  # fmt: skip
            assert is_signed(words, by=published(world))
        assert at(seven(1) + timedelta(hours=3)) == []  # once a day
        with bound(world.engine, world.a) as session:  # however often it is asked for
            session.execute(sa.text("UPDATE agenda SET due_at = now() WHERE kind = :kind"), {"kind": SEND_HEAD.name})
            session.commit()
        assert at(seven(1) + timedelta(hours=4)) == []
        assert len(at(seven(2))) == 2
    lines = lines_of(world.client(world.a, Role.ADMIN).get("/audit/export"))
    assert check_file(lines, anchor=(no, own))[1] is None


def test_u2_a_mail_that_failed_is_tried_again_with_the_same_head(world, app_settings, empty_agenda, seven):
    post(world, Role.APPROVER, "subscribe")
    with morning(world, app_settings) as (office, at):
        office.refuses = True
        assert at(seven(1)) == []
        office.refuses = False
        (first,) = at(seven(1) + timedelta(minutes=5))
        write(world, world.a, 2)
        post(world, Role.ADMIN, "addresses", email="auditor@client.example")
        with bound(world.engine, world.a) as session:
            session.execute(sa.text("UPDATE agenda SET due_at = :at WHERE kind = :kind"), {"at": seven(1), "kind": SEND_HEAD.name})  # fmt: skip
            session.commit()
        (second,) = at(seven(1) + timedelta(hours=2))
        assert first[0] != second[0]
        heads = [re.search("Hash of the last one: (.*)", office.text(raw))[1] for _, raw in (first, second)]
        assert heads[0] == heads[1]  # everybody is told the same of a day


def test_u2_who_lost_the_right_is_mailed_nothing(world, app_settings, empty_agenda, seven):
    post(world, Role.APPROVER, "subscribe")
    with bound(world.engine, world.a) as session:
        members.grant(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.APPROVER], role=Role.VIEWER,
            project_id=None, now=SystemClock().now(),
        )  # fmt: skip
        session.commit()
    with morning(world, app_settings) as (_, at):
        assert at(seven(1)) == []
        with bound(world.engine, world.a) as session:
            members.grant(
                session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.APPROVER],
                role=Role.APPROVER, project_id=None, now=SystemClock().now(),
            )  # fmt: skip
            session.commit()
        assert len(at(seven(2))) == 1


def test_u2_subscriptions_are_ended_by_their_owner_or_an_administrator(world, app_settings, empty_agenda, seven):
    post(world, Role.APPROVER, "subscribe")
    post(world, Role.ADMIN, "addresses", email="auditor@client.example")
    with bound(world.engine, world.a) as session:
        rows = {row.email or "": show("sub", row.subscriber_id) for row in queries.subscribers(session)}
    assert post(world, Role.APPROVER, f"subscribers/{rows['auditor@client.example']}/end").status_code == 403
    assert post(world, Role.APPROVER, "addresses", email="x@client.example").status_code == 403
    assert post(world, Role.APPROVER, f"subscribers/{rows['']}/end").status_code == 303
    assert post(world, Role.ADMIN, f"subscribers/{rows['auditor@client.example']}/end").status_code == 303
    assert post(world, Role.ADMIN, f"subscribers/{rows['']}/end").status_code == 404
    with morning(world, app_settings) as (_, at):
        assert at(seven(1)) == []
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM agenda WHERE kind = :k"), {"k": SEND_HEAD.name}) == 0
        assert queries.verify(session) is None


@pytest.mark.parametrize(
    "email", ["", "nobody", "a b@c.example", "x@y", "æ@client.example", "a@b.example\nBcc: c@d.example"]
)
def test_u2_what_is_no_address_is_refused(world, email):
    answer = post(world, Role.ADMIN, "addresses", email=email)
    assert answer.status_code == 422
    with bound(world.engine, world.a) as session:
        assert list(queries.subscribers(session)) == []


def test_u2_a_published_day_cannot_be_changed(world, seven):
    with bound(world.engine, world.a) as session:
        audit.publish_day(session, day=seven(0).date(), now=SystemClock().now())
        session.commit()
    for statement in ("UPDATE audit_day SET no = 1", "DELETE FROM audit_day"):
        with bound(world.engine, world.a) as session, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            session.execute(sa.text(statement))


def test_system_entries_have_no_actor(world):
    with bound(world.engine, world.a) as session:
        audit.append(session, actor=SYSTEM, action="campaign.started", subject="cam_x", now=SystemClock().now())
        session.commit()
    row = world.client(world.a, Role.ADMIN).get("/audit").get_json()["data"][0]
    assert (row["actor_id"], row["actor_name"], row["actor_kind"]) == (None, "Countersign", "system")
