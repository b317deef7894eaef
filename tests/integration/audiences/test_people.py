"""Saving people set by set: what COPY must not spoil, what has no foreign key, what goes on with other chunks."""

import json
from uuid import uuid4

import pytest
import sqlalchemy as sa

from saas.audiences.rules.rows import Person
from saas.audiences.service import importing
from saas.audiences.service.people import API, IMPORT, Source, outcomes, save_people, write_down
from saas.audiences.types import Outcome
from saas.kernel.clock import SystemClock
from tests.integration.audiences.conftest import VAULT

pytestmark = pytest.mark.integration

ODD = "a\tb\nc\rd\\e\\N\\.\"f{g},'h\u2028\U0001f600"
HEAD = b"E-mail,First name,Orders,Newsletter\n"


def person(no: int, **more) -> Person:
    key = f"p{no}@example.com"
    return Person(**{"row": no, "email": key, "key": key, "external_id": None, "attributes": "{}", **more})


FROM_API = Source(API)


def save(office, people, *, source=FROM_API, list_ids=()):
    sheet, now = write_down(people, address_hash=VAULT.address_hash), SystemClock().now()
    with office.session() as session:
        saved = save_people(session, sheet=sheet, source=source, list_ids=list_ids, now=now)
        became = outcomes(session, now=now)
        session.commit()
    return saved, became


def test_no_character_is_lost_on_the_way(office):
    attributes = json.dumps({"city": ODD, "plan": "\\n"}, ensure_ascii=False)
    save(office, [person(1, external_id=ODD, attributes=attributes), person(2, external_id="\\N")])
    found = office.rows(
        "SELECT external_id, attributes, address_hash FROM contact WHERE tenant_id = :tenant ORDER BY email_key"
    )
    assert found[0] == (ODD, {"city": ODD, "plan": "\\n"}, VAULT.address_hash("p1@example.com"))
    assert found[1].external_id == "\\N"


def test_each_says_for_itself_what_it_speaks_about(office):
    both = json.dumps({"city": "Oslo", "plan": "pro"})
    save(office, [person(no, attributes=both, touched=("city", "plan")) for no in range(1, 5)])
    saved, became = save(
        office,
        [
            person(1, attributes='{"plan": "basic"}', touched=("plan",)),
            person(2, touched=("city",)),
            person(3, attributes='{"city": "Oslo"}', touched=("city",)),
            person(4, touched=()),
            person(5, touched=()),
        ],
    )
    assert (saved.created, saved.updated) == (1, 2)
    assert [outcome for outcome, _ in became.values()] == [
        Outcome.UPDATED, Outcome.UPDATED, Outcome.UNCHANGED, Outcome.UNCHANGED, Outcome.CREATED,
    ]  # fmt: skip
    found = office.rows(
        "SELECT contact_id, attributes, version FROM contact WHERE tenant_id = :tenant ORDER BY email_key"
    )
    assert [row.contact_id for row in found] == [contact_id for _, contact_id in became.values()]
    assert [row.attributes for row in found] == [
        {"city": "Oslo", "plan": "basic"}, {"plan": "pro"}, json.loads(both), json.loads(both), {},
    ]  # fmt: skip
    assert [row.version for row in found] == [2, 2, 1, 1, 1]


def test_a_file_empties_what_it_names_and_nothing_else(office):
    save(office, [person(1, attributes='{"city": "Oslo", "plan": "pro"}', touched=("city", "plan"))])
    saved, _ = save(office, [person(1, attributes='{"phone": "1"}')], source=Source(IMPORT, ("phone", "plan")))
    assert (saved.created, saved.updated) == (0, 1)
    assert office.rows("SELECT attributes FROM contact WHERE tenant_id = :tenant") == [
        ({"city": "Oslo", "phone": "1"},)
    ]


def test_members_are_contacts_of_this_workspace_on_lists_of_it(office):
    """What foreign keys would say, said by the statements themselves."""
    save(office, [person(1)])
    nowhere = uuid4()
    save(office, [person(1), person(2)], list_ids=[office.list_id, nowhere])
    save(office, [person(2), person(1)], list_ids=[nowhere, office.list_id])
    assert office.rows("SELECT count(*) FROM list_member WHERE tenant_id = :tenant AND list_id = :l", l=nowhere) == [
        (0,)
    ]
    members = office.rows(
        "SELECT c.email_key FROM list_member m JOIN contact c USING (tenant_id, contact_id)"
        " WHERE tenant_id = :tenant ORDER BY 1"
    )
    assert members == [("p1@example.com",), ("p2@example.com",)]
    assert office.rows("SELECT count(*) FROM list_member WHERE tenant_id = :tenant") == [(2,)]


def test_who_broke_the_one_rule_is_refused_whole(office):
    """A contact that comes to be between the look-up and the insert has not taken the lock; nothing is guessed then."""
    with pytest.raises(sa.exc.IntegrityError):
        save(office, [person(1), person(2, key="p1@example.com")], list_ids=[office.list_id])
    assert office.rows("SELECT count(*) FROM contact WHERE tenant_id = :tenant") == [(0,)]


def test_many_external_ids_claimed_twice(office):
    people = [person(no, external_id=f"x{no % 3000}") for no in range(6000)]
    saved, _ = save(office, people)
    assert sorted(saved.lost_ids) == [(no, f"x{no - 3000}") for no in range(3000, 6000)]
    assert office.rows("SELECT count(external_id) FROM contact WHERE tenant_id = :tenant") == [(3000,)]


def test_an_import_goes_on_when_chunks_have_another_size_now(office, monkeypatch):
    content = HEAD + b"".join(b"p%d@example.com,P,%d,yes\n" % (no, no) for no in range(100))
    monkeypatch.setattr(importing, "CHUNK_ROWS", 30)
    import_id, finished = office.upload(content), importing._save_chunk

    def once(*args, **kwargs):
        if kwargs["start"]:
            raise RuntimeError("out of luck")
        finished(*args, **kwargs)

    monkeypatch.setattr(importing, "_save_chunk", once)
    assert office.work_later(import_id).position == 30
    monkeypatch.setattr(importing, "_save_chunk", finished)
    monkeypatch.setattr(importing, "CHUNK_ROWS", 70)
    row = office.work_later(import_id, hours=3)
    assert (row.state, row.position, row.counts["created"], row.counts["rows"]) == ("done", 100, 100, 100)
