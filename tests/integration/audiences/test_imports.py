"""Imports with a real database: exact counts, and what happens when they are disturbed (reliability.md, fault 36)."""

import csv
import io
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from saas.accounts.service.keys import revoke_key
from saas.audiences.models import Import
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.segment import count
from saas.audiences.rules.segment import parse
from saas.audiences.service import importing, imports
from saas.audiences.types import IMPORT_FILE
from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.service import arm
from saas.tenants.service import members
from tests.integration.audiences.conftest import BUNDLED, ROOT, expected_of, known_files
from tests.integration.workers.rig import wait_until
from tests.worlds import bound

pytestmark = pytest.mark.integration

HEAD = b"E-mail,First name,Orders,Newsletter\n"
QUESTIONS = {
    "newsletter_yes_contacts": {"consent": "newsletter", "is": "given"},
    "newsletter_yes_and_orders_ge_10": {
        "all": [{"consent": "newsletter", "is": "given"}, {"attribute": "orders", "op": "gte", "value": 10}]
    },
    "language_fr_contacts": {"attribute": "language", "op": "eq", "value": "fr"},
    "plan_pro_contacts_trimmed_casefold": {"attribute": "plan", "op": "eq", "value": " Pro"},
    "contacts": {"all": []},
}


def ask(office, rule, list_id=None) -> int:
    with office.session() as session:
        found = parse(rule, kinds=attribute_kinds(session))
        return count(session, list_id=list_id or office.list_id, rule=found)


def notes(office, row):
    return list(csv.DictReader(io.StringIO(office.errors(row))))


@pytest.mark.parametrize("path", known_files(), ids=lambda path: path.stem)
def test_counts_are_exact(office, path):
    expected = expected_of(path)
    row = office.run(path.read_bytes())
    assert (row.state, row.failure) == ("done", None)
    assert row.counts["rows"] == expected["rows"]
    assert row.counts["invalid"] == expected["invalid_email_rows"]
    assert row.counts["duplicates"] == expected["duplicate_rows"]
    assert row.counts["contacts"] == row.counts["created"] == expected["contacts"]
    assert (row.mapping["encoding"], row.mapping["delimiter"]) == (expected["encoding"], expected["delimiter"])
    assert {name: ask(office, rule) for name, rule in QUESTIONS.items()} == {name: expected[name] for name in QUESTIONS}
    assert row.done_bytes == row.size_bytes == path.stat().st_size
    errors = notes(office, row)
    assert sum(note["level"] == "error" for note in errors) == expected["invalid_email_rows"]
    assert sum(note["level"] == "warning" for note in errors) == row.counts["warnings"]
    # The same file again changes nothing, row for row.
    before = office.rows("SELECT * FROM contact WHERE tenant_id = :tenant ORDER BY contact_id")
    again = office.run(path.read_bytes())
    assert (again.counts["unchanged"], again.counts["updated"], again.counts["created"]) == (expected["contacts"], 0, 0)
    assert office.rows("SELECT * FROM contact WHERE tenant_id = :tenant ORDER BY contact_id") == before


def test_progress_counts_balance_and_both_ends_are_audited(office):
    row = office.run(HEAD + b"ann@example.com,Ann,1,yes\nnobody,B,2,no\nann@example.com,Ann Lee,n/a,\n")
    assert row.counts == {
        "rows": 3, "invalid": 1, "duplicates": 1, "contacts": 1, "created": 1, "updated": 0, "unchanged": 0,
        "kept_withdrawn": 0, "warnings": 1,
    }  # fmt: skip
    assert row.started_at and row.finished_at and row.file_id is None
    assert [(note["row"], note["level"]) for note in notes(office, row)] == [("3", "error"), ("4", "warning")]
    actions = office.rows("SELECT action FROM audit_entry WHERE tenant_id = :tenant ORDER BY no DESC LIMIT 3")
    assert [action for (action,) in actions] == ["import.finished", "import.attributes_made", "import.started"]
    assert office.rows("SELECT count(*) FROM agenda WHERE tenant_id = :tenant") == [(0,)]
    # The uploaded file is gone, the error file goes by itself.
    kept = office.rows("SELECT name, expires_at IS NOT NULL FROM stored_file WHERE tenant_id = :tenant")
    assert kept == [(f"{kept[0][0]}", True)] and kept[0][0].startswith("errors-")


def test_ids_ascend_in_the_order_of_the_rows(office, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 50)
    office.run(HEAD + b"".join(b"user%d@example.com,,%d,\n" % (no * 7919 % 500, no) for no in range(500)))
    rows = office.rows("SELECT attributes->'orders' FROM contact WHERE tenant_id = :tenant ORDER BY contact_id")
    assert [value for (value,) in rows] == list(range(500))


def test_the_last_row_wins_also_between_chunks_and_nobody_sees_the_first(office, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 2)
    content = HEAD + b"a@example.com,Old,50,yes\nb@example.com,B,1,no\nA@Example.com,New,,no\n a@EXAMPLE.com ,Last,7,\n"
    row = office.run(content)
    assert (row.counts["duplicates"], row.counts["contacts"], row.counts["created"]) == (2, 2, 2)
    (last,) = office.rows("SELECT attributes, version FROM contact WHERE tenant_id = :tenant AND email_key LIKE 'a@%'")
    assert last == ({"first_name": "Last", "orders": 7}, 1)
    assert office.rows("SELECT count(*) FROM consent WHERE tenant_id = :tenant") == [(0,)]


def test_mapped_columns_are_the_truth_others_stay(office):
    office.run(b"E-mail,City,Plan,Newsletter\nann@example.com,Oslo,pro,yes\n")
    row = office.run(b"E-mail,Plan,Newsletter\nann@example.com,,no\n")
    assert row.counts["updated"] == 1
    assert office.rows("SELECT attributes FROM contact WHERE tenant_id = :tenant") == [({"city": "Oslo"},)]
    # Consent that a file gave, a newer file takes; a file without that column leaves it alone.
    assert office.rows("SELECT count(*) FROM consent WHERE tenant_id = :tenant") == [(0,)]
    office.run(b"E-mail,Newsletter\nann@example.com,y\n")
    office.run(b"E-mail,Plan\nann@example.com,pro\n")
    assert office.rows("SELECT status FROM consent WHERE tenant_id = :tenant") == [("given",)]
    # What a person said elsewhere is theirs.
    with office.session() as session:
        session.execute(sa.text("UPDATE consent SET source = 'api'"))
        session.commit()
    office.run(b"E-mail,Newsletter\nann@example.com,no\n")
    assert office.rows("SELECT status, source FROM consent WHERE tenant_id = :tenant") == [("given", "api")]


def test_an_unsubscribe_is_never_lifted(office):
    office.run(HEAD + b"ann@example.com,Ann,1,yes\nbob@example.com,Bob,1,yes\n")
    with office.session() as session:
        session.execute(
            sa.text(
                "UPDATE consent SET status = 'withdrawn', source = 'unsubscribe' WHERE tenant_id = :t AND contact_id ="
                " (SELECT contact_id FROM contact WHERE tenant_id = :t AND email_key = 'ann@example.com')"
            ),
            {"t": office.place.tenant_id},
        )
        session.commit()
    for word in (b"yes", b"", b"no"):
        row = office.run(HEAD + b"ann@example.com,Ann,1,%b\nbob@example.com,Bob,1,yes\n" % word)
        assert row.counts["kept_withdrawn"] == (word == b"yes")
        found = office.rows("SELECT status, source FROM consent WHERE tenant_id = :tenant ORDER BY status")
        assert found == [("given", "import"), ("withdrawn", "unsubscribe")]
        assert [note["message"][:24] for note in notes(office, row)] == ["This person unsubscribed"] * (word == b"yes")


def test_two_files_at_once_into_one_list(office):
    first = HEAD + b"".join(b"user%d@example.com,First,%d,yes\n" % (no, no) for no in range(600))
    second = HEAD + b"".join(b"user%d@example.com,Second,%d,yes\n" % (no, no) for no in reversed(range(300, 900)))
    ids = [office.upload(first), office.upload(second)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: office.work(), range(2)))
    rows = [office.found(import_id) for import_id in ids]
    assert [row.state for row in rows] == ["done", "done"]
    assert sum(row.counts["created"] for row in rows) == 900
    assert ask(office, {"consent": "newsletter", "is": "given"}) == 900
    assert office.rows("SELECT count(*), count(DISTINCT email_key) FROM contact WHERE tenant_id = :tenant") == [
        (900, 900)
    ]


KILLED = """
import sys, time
from saas.app.factory import create_app
from saas.audiences.service import importing
from saas.kernel.clock import SystemClock
from saas.platform.agenda.types import Kinds
from saas.platform.agenda.work import Doer, work_once
from saas.audiences.jobs import import_handler
from saas.audiences.types import IMPORT_FILE
from saas.platform.secrets.service import Vault
import sqlalchemy as sa
importing.CHUNK_ROWS = 20
engine = sa.create_engine(sys.argv[1])
clock = SystemClock()
doer = Doer(engine, Kinds({IMPORT_FILE: import_handler(engine, Vault(b"k" * 32), clock, at_once=8)}), clock, lambda q: None, lambda: False)
save, saved = importing._save_chunk, []
def save_some(*args, **facts):
    save(*args, **facts)
    saved.append(1)
    if len(saved) > 15:
        time.sleep(600)
importing._save_chunk = save_some
work_once(doer, IMPORT_FILE.queue)
"""
KILLED_LEFT = "SELECT FROM pg_stat_activity WHERE application_name = 'killed'"


def test_killed_in_the_middle_it_goes_on_and_ends_the_same(office, app_settings, monkeypatch):
    content = BUNDLED.joinpath("contacts-2k.csv").read_bytes()
    expected = expected_of(BUNDLED / "contacts-2k.csv")
    monkeypatch.setattr(importing, "CHUNK_ROWS", 20)
    import_id = office.upload(content)
    url = app_settings.database_url
    environ = {**os.environ, "PGAPPNAME": "killed"}
    worker = subprocess.Popen([sys.executable, "-c", KILLED, url], cwd=ROOT, env=environ)
    try:
        wait_until(lambda: office.found(import_id).position >= 300, what="it is in the middle")
    finally:
        worker.kill()
        worker.wait()
    wait_until(lambda: not office.rows(KILLED_LEFT), what="PostgreSQL noticed its end")
    halfway = office.found(import_id)
    assert halfway.state == "running" and 300 <= halfway.position < 2000
    assert 0 < halfway.done_bytes <= halfway.size_bytes
    assert 0 < ask(office, {"all": []}) < expected["contacts"]
    assert office.work() == 0, "the killed worker's hold is not over yet"
    row = office.work_later(import_id)
    assert row.state == "done"
    names = {"rows": "rows", "invalid": "invalid_email_rows", "duplicates": "duplicate_rows", "contacts": "contacts"}
    assert {ours: row.counts[ours] for ours in names} == {ours: expected[theirs] for ours, theirs in names.items()}
    assert row.counts["created"] == expected["contacts"]
    assert {name: ask(office, rule) for name, rule in QUESTIONS.items()} == {name: expected[name] for name in QUESTIONS}
    undisturbed = office.run(content, list_id=office.new_list("Again"))
    assert notes(office, row) == notes(office, undisturbed)
    assert undisturbed.counts["unchanged"] == expected["contacts"]


def test_of_two_workers_at_one_import_only_one_writes(office, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    import_id = office.upload(HEAD + b"a@example.com,A,1,\nb@example.com,B,2,\nc@example.com,C,3,\n")
    save, late = importing._save, []

    def after_another(desk, plan):
        # While this worker was only looking, another one took the import over and saved the first row.
        if not late:
            late.append(desk)
            next(save(desk, plan))
        return save(desk, plan)

    monkeypatch.setattr(importing, "_save", after_another)
    assert office.work() == 1
    row = office.found(import_id)
    assert (row.state, row.counts["rows"], row.position) == ("running", 1, 1)
    # Whoever woke up too late let go; what it left behind goes on where the other one stood.
    monkeypatch.setattr(importing, "_save", save)
    with office.session() as session:
        arm(session, work=IMPORT_FILE, subject=import_id, due_at=SystemClock().now())
        session.commit()
    row = office.work_later(import_id)
    assert (row.state, row.counts["rows"], row.counts["created"], row.position) == ("done", 3, 3, 3)


def test_cancel_stops_before_the_next_chunk(office, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 1)
    import_id = office.upload(HEAD + b"a@example.com,A,1,\nb@example.com,B,2,\nc@example.com,C,3,\n")
    finished = importing._save_chunk

    def then_cancel(*args, **kwargs):
        finished(*args, **kwargs)
        args[0].commit()
        with office.session() as session:
            actor = office.place.actor(Role.MANAGER)
            imports.cancel_import(session, actor=actor, import_id=import_id, now=SystemClock().now())
            session.commit()

    monkeypatch.setattr(importing, "_save_chunk", then_cancel)
    assert office.work() == 1
    row = office.found(import_id)
    assert (row.state, row.counts["rows"], row.position) == ("cancelled", 1, 1)
    assert row.file_id is None
    assert ask(office, {"all": []}) == 1
    assert office.rows("SELECT count(*) FROM agenda WHERE tenant_id = :tenant") == [(0,)]


def test_an_import_that_always_breaks_is_given_up_and_says_so(office, monkeypatch):
    def broken(*_args):
        raise RuntimeError("out of luck")

    monkeypatch.setattr(importing, "_save", broken)
    import_id = office.upload(HEAD + b"a@example.com,A,1,\n")
    for no in range(importing.GIVE_UP_AFTER):
        assert office.work_later(import_id, hours=2 * no + 1).state == "running"
    row = office.work_later(import_id, hours=24)
    assert row.state == "failed" and "on our side" in row.failure
    assert office.rows("SELECT count(*) FROM agenda WHERE tenant_id = :tenant") == [(0,)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ann@example.com,Ann\nbob@example.com,Bob\n", "must name the columns"),
        (b"Name,City\nAnn,Oslo\n", "No column holds the address"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04", "spreadsheet"),
        (b"E-mail\n" + bytes(range(128, 256)) * 9, "encoded"),
        (b",".join(b"c%d" % no for no in range(1_000_000)), "first line is longer"),
        (b",".join(b"c" for _ in range(10_000)) + b"\n", "more than 500 columns"),
        (b'E-mail,"Name\nx,y\n', "never closed"),
        (b"E-mail,E-mail\nx,y\n", "mean the same"),
    ],
)
def test_files_that_cannot_be_imported_say_what_to_change(office, content, words):
    row = office.run(content)
    assert row.state == "failed"
    assert words in row.failure
    assert row.finished_at and row.file_id is None and row.counts["rows"] == 0


def test_bad_rows_cost_only_themselves(office):
    content = b"\n".join(
        [
            b"\xef\xbb\xbfE-mail,First name",
            b"ann@example.com,Ann",
            b"two@example.com," + b"x" * 2_000_000,
            b"nul@example.com,\0",
            b"broken@example.com,\xff\xfe",
            "пётр@example.com,Пётр Безухов, герцог".encode(),
            'юлия@example.com,"Юлия\nАнна"'.encode(),
            b'open@example.com,"open',
            b"=1+1,Formula",
            b"last@example.com,Last",
        ]
    )
    row = office.run(content)
    assert (row.state, row.mapping["encoding"]) == ("done", "utf-8")
    assert (row.counts["rows"], row.counts["invalid"], row.counts["contacts"]) == (9, 6, 3)
    assert [(note["row"], note["value"]) for note in notes(office, row)] == [
        ("3", ""), ("4", ""), ("5", ""), ("6", ""), ("8", ""), ("9", "'=1+1"),
    ]  # fmt: skip
    keys = office.rows("SELECT email_key FROM contact WHERE tenant_id = :tenant ORDER BY contact_id")
    assert [key for (key,) in keys] == ["ann@example.com", "юлия@example.com", "last@example.com"]


def test_utf16_and_dates_by_evidence(office):
    text = "E-mail\tBirthday\tSigned up\na@example.com\t06/01/1993\t2024-01-01T10:00:00+02:00\nb@example.com\t26/01/1993\tx\n"
    row = office.run(text.encode("utf-16"))
    assert (row.mapping["encoding"], row.mapping["delimiter"]) == ("utf-16-le", "\t")
    found = office.rows("SELECT attributes FROM contact WHERE tenant_id = :tenant ORDER BY contact_id")
    assert found == [
        ({"birthday": "1993-01-06", "signed_up": "2024-01-01T08:00:00Z"},),
        ({"birthday": "1993-01-26"},),
    ]
    doubt = office.run(b"E-mail,Birthday\na@example.com,06/01/1993\n")
    assert doubt.counts["warnings"] == 1 and "Day or month" in office.errors(doubt)


def test_external_ids_belong_to_one_person(office):
    office.run(b"E-mail,External ID\na@example.com,A1\nb@example.com,B1\n")
    row = office.run(b"E-mail,External ID\nb@example.com,A1\nc@example.com,C1\nd@example.com,C1\n")
    assert row.counts["warnings"] == 2
    found = office.rows("SELECT email_key, external_id FROM contact WHERE tenant_id = :tenant ORDER BY email_key")
    assert found == [
        ("a@example.com", "A1"), ("b@example.com", "B1"), ("c@example.com", "C1"), ("d@example.com", None),
    ]  # fmt: skip


def test_too_much_for_one_contact_keeps_what_was_known(office):
    office.run(b"E-mail,City,Plan\na@example.com," + b"c" * 450 + b"," + b"p" * 450 + b"\n")
    office.run(b"E-mail,Phone,Country\na@example.com," + b"h" * 450 + b",NO\n")
    row = office.run(b"E-mail,First name,Last name\na@example.com," + b"f" * 450 + b"," + b"l" * 450 + b"\n")
    assert (row.counts["unchanged"], row.counts["warnings"]) == (1, 1)
    ((size,),) = office.rows("SELECT octet_length(attributes::text) FROM contact WHERE tenant_id = :tenant")
    assert size <= 1900


def test_rows_of_another_workspace_are_out_of_reach(office, world, engine):
    office.run(HEAD + b"a@example.com,A,1,yes\n")
    other = type(office)(engine, world.b, None)
    assert other.rows("SELECT count(*) FROM contact") == [(0,)]
    other.list_id = other.new_list("South")
    other.run(HEAD + b"a@example.com,South,2,no\n")
    assert office.rows("SELECT attributes->>'first_name' FROM contact") == [("A",)]


def _csv(number):
    return b"email\n" + b"".join(b"p%d@example.org\n" % no for no in range(number))


def _lose(office, world, **change):
    with bound(office.engine, office.place) as session:
        members.remove_member(
            session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.MANAGER], project_id=None,
            now=SystemClock().now(), **change,
        )  # fmt: skip
        session.commit()


def test_an_import_whose_asker_lost_the_right_stops_before_it_begins(office, world):
    import_id = office.upload(_csv(5))
    _lose(office, world)
    office.work()
    row = office.found(import_id)
    assert (row.state, row.counts["created"]) == ("failed", 0)
    assert row.failure.startswith("Stopped: who asked for this import may no longer import people here")


def test_an_import_whose_asker_loses_the_right_stops_at_the_next_chunk(office, world, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 10)
    saved, real = [], importing.save_people

    def save_and_lose(*args, **kwargs):
        if len(saved) == 1:
            _lose(office, world)
        saved.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(importing, "save_people", save_and_lose)
    import_id = office.upload(_csv(40))
    office.work()
    row = office.found(import_id)
    assert row.state == "failed"
    assert row.counts["created"] == len(saved) * 10 == 20  # what was saved before stays


def test_what_a_key_asked_for_goes_on_without_its_maker(office, world):
    """R14: nothing stops by accident because somebody left; it does when the key is revoked."""
    for revoked, state in ((False, "done"), (True, "failed")):
        import_id = office.upload(_csv(3))
        with office.session() as session:
            session.get_one(Import, (office.place.tenant_id, import_id)).created_key = world.a.key_id
            session.commit()
        if revoked:
            with office.session() as session:
                revoke_key(session, actor=world.a.actor(Role.ADMIN), key_id=world.a.key_id, now=SystemClock().now())
                session.commit()
        else:
            _lose(office, world)
        office.work()
        assert office.found(import_id).state == state
        if not revoked:
            with office.session() as session:
                members.grant(
                    session, actor=world.a.actor(Role.ADMIN), account_id=world.a.accounts[Role.MANAGER],
                    role=Role.MANAGER, project_id=None, now=SystemClock().now(),
                )  # fmt: skip
                session.commit()


def test_an_import_stops_where_the_quota_of_people_ends(office, world, monkeypatch):
    monkeypatch.setattr(importing, "CHUNK_ROWS", 10)
    with office.session() as session:
        session.execute(sa.text("UPDATE workspace SET contacts_most = 25"))
        session.commit()
    row = office.run(_csv(40))
    assert (row.state, row.counts["created"]) == ("failed", 20)
    assert row.failure == "This workspace may hold 25 people; with these it would be 30."
