"""The exported chain as a file (U2, security.md L): checked without a database, whatever is changed is found at its entry."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.audit.rules import (
    START,
    check_file,
    day_head,
    entry_hash,
    entry_line,
    head_line,
    is_signed,
    next_morning,
    public_key,
    signing_key,
)
from saas.audit.types import Break, Damaged, Entry, Flaw, Range
from saas.kernel.ids import show

AT = datetime(2026, 11, 30, 9, 0, 0, 123456, tzinfo=UTC)
TENANT, OTHER = UUID(int=7), UUID(int=8)
KEY, FORGER = signing_key(b"k" * 32), signing_key(b"f" * 32)
LENGTH = 8


def chain(length=LENGTH, *, tenant=TENANT, start=(0, START)):
    links, previous = [], start[1]
    for no in range(start[0] + 1, start[0] + length + 1):
        facts = {"revision": no, "content_hash": f"v1:{no:04}", "æ": ["ø", None, True]}
        entry = Entry(
            tenant, no, AT + timedelta(seconds=no), "person", UUID(int=9), "revision.approved", "cam_x", facts
        )
        links.append((entry, previous, entry_hash(previous, entry)))
        previous = links[-1][2]
    return links


def exported(links, *, tenant=TENANT, before=(0, START), key=KEY):
    last = (links[-1][0].no, links[-1][2]) if links else before
    return [head_line(Range(tenant, before, last), key=key, now=AT), *(entry_line(*link) for link in links)]


def checked(lines, **more):
    return check_file(lines, **more)[1]


def rewritten(line, **changes):
    return json.dumps({**json.loads(line), **changes}) + "\n"


@given(st.integers(0, 12), st.integers(0, 5))
def test_u2_an_untouched_export_holds_whole_or_in_part(length, first):
    whole = chain(first + length)
    before = (first, whole[first - 1][2] if first else START)
    lines = exported(whole[first:], before=before)
    assert checked(lines) is None
    assert checked(lines, by=public_key(KEY)) is None
    assert all(ord(char) < 128 for line in lines for char in line)


EDITS = st.sampled_from([
    {"at": "2026-11-30T09:00:01.000000+00:00"}, {"actor_kind": "key"}, {"actor": None}, {"action": "revision.rejected"},
    {"subject": "cam_y"}, {"facts": {}}, {"previous": "22" * 32}, {"hash": "11" * 32},
])  # fmt: skip


@given(st.integers(1, LENGTH), EDITS)
def test_u2_an_edited_entry_is_found_at_its_number(no, change):
    lines = exported(chain())
    lines[no] = rewritten(lines[no], **change)
    assert checked(lines) == Break(no, Flaw.EDITED)


@given(st.integers(1, LENGTH))
def test_u2_an_entry_edited_together_with_its_hash_is_found_at_its_number(no):
    links = chain()
    entry, previous, _ = links[no - 1]
    forged = Entry(TENANT, no, entry.at, "person", UUID(int=10), entry.action, entry.subject, entry.facts)
    lines = exported(links)
    lines[no] = entry_line(forged, previous, entry_hash(previous, forged))
    assert checked(lines) == Break(no, Flaw.EDITED)


@given(st.integers(1, LENGTH - 1))
def test_u2_a_chain_rewritten_to_its_end_does_not_fit_the_signed_head(no):
    links = chain()
    rest, previous = links[: no - 1], links[no - 1][1]
    for entry, _, _ in links[no - 1 :]:
        forged = Entry(TENANT, entry.no, entry.at, "key", UUID(int=10), entry.action, entry.subject, entry.facts)
        rest.append((forged, previous, entry_hash(previous, forged)))
        previous = rest[-1][2]
    lines = [exported(links)[0], *(entry_line(*link) for link in rest)]
    assert checked(lines) == Break(LENGTH, Flaw.EDITED)
    # Whoever signs it anew with a key of their own is told by the published key, and by a head that was mailed.
    forged = exported(rest, key=FORGER)
    assert checked(forged) is None
    assert checked(forged, by=public_key(KEY)) == Break(0, Flaw.FORGED_HEAD)
    # Even the operator, who has the key, is told by the head of an earlier day.
    resigned = exported(rest)
    assert checked(resigned, by=public_key(KEY)) is None
    assert checked(resigned, anchor=(no, links[no - 1][2])) == Break(no, Flaw.NOT_ANCHORED)
    assert checked(exported(links), anchor=(no, links[no - 1][2])) is None


@given(st.integers(1, LENGTH - 1))
def test_u2_a_deleted_entry_is_found_at_its_number(no):
    lines = exported(chain())
    del lines[no]
    assert checked(lines) == Break(no, Flaw.MISSING)


@given(st.integers(1, LENGTH - 1))
def test_u2_a_deleted_entry_is_found_also_after_renumbering(no):
    links = chain()
    moved = [
        (Entry(TENANT, e.no - 1, e.at, e.actor_kind, e.actor_id, e.action, e.subject, e.facts), p, h)
        for e, p, h in links[no:]
    ]
    lines = [exported(links)[0], *(entry_line(*link) for link in (*links[: no - 1], *moved))]
    assert checked(lines) == Break(no, Flaw.EDITED)


@given(st.permutations(range(1, LENGTH + 1)))
def test_u2_another_order_is_found_at_the_first_that_is_misplaced(order):
    lines = exported(chain())
    found = checked([lines[0], *(lines[no] for no in order)])
    first = next((at for at, no in enumerate(order, 1) if at != no), None)
    assert found == (None if first is None else Break(first, Flaw.REORDERED))


@given(st.integers(1, LENGTH), st.integers(1, LENGTH))
def test_u2_an_entry_that_stands_twice_is_found(no, at):
    lines = exported(chain())
    lines.insert(at + 1, lines[no])
    found = checked(lines)
    assert found is not None and found.reason in {Flaw.REORDERED, Flaw.BEYOND}
    if no <= at < LENGTH:
        assert found == Break(at + 1, Flaw.REORDERED)


@given(st.integers(0, LENGTH - 1))
def test_u2_a_cut_tail_is_found_at_the_first_missing_number(left):
    lines = exported(chain())
    assert checked(lines[: left + 1]) == Break(left + 1, Flaw.TRUNCATED)


@given(st.integers(1, LENGTH), st.integers(1, 60))
def test_u2_a_line_that_is_cut_is_no_entry(no, less):
    lines = exported(chain())
    lines[no] = lines[no][: -1 - less]
    assert checked(lines) == Break(no, Flaw.UNREADABLE)


@given(st.integers(1, LENGTH))
def test_u2_an_entry_of_another_workspace_is_found(no):
    lines = exported(chain())
    lines[no] = exported(chain(tenant=OTHER), tenant=OTHER)[no]
    assert checked(lines) == Break(no, Flaw.EDITED)


def test_u2_a_whole_chain_under_another_workspaces_head_is_found():
    mine, theirs = exported(chain()), exported(chain(tenant=OTHER), tenant=OTHER)
    assert checked([mine[0], *theirs[1:]]) == Break(1, Flaw.EDITED)


HEADS = st.sampled_from([
    {"workspace": show("wsp", OTHER)}, {"last_no": LENGTH - 1}, {"first_no": 2}, {"before": "01" * 32},
    {"head": "01" * 32}, {"exported_at": "2026-11-30T09:00:00.000000+00:00"}, {"signature": "AAAA"}, {"signature": None},
    {"public_key": public_key(FORGER)}, {"public_key": "x"}, {"public_key": None}, {"more": 1},
])  # fmt: skip


@given(HEADS)
def test_u2_a_forged_head_is_found(change):
    lines = exported(chain())
    lines[0] = rewritten(lines[0], **change)
    assert checked(lines) == Break(0, Flaw.FORGED_HEAD)


def test_u2_an_entry_behind_the_head_is_found():
    longer = chain(LENGTH + 1)
    lines = [*exported(longer[:-1]), entry_line(*longer[-1])]
    assert checked(lines) == Break(LENGTH + 1, Flaw.BEYOND)


def test_u2_another_spelling_of_the_same_moment_is_found():
    lines = exported(chain())
    lines[4] = re.sub(r"(\d{4}-\d\d-\d\d)T", r"\1 ", lines[4])
    assert checked(lines) == Break(4, Flaw.EDITED)


@given(st.integers(0, LENGTH), st.data())
def test_u2_any_change_of_any_byte_is_found(line, data):
    lines = exported(chain())
    at = data.draw(st.integers(0, len(lines[line]) - 2))
    char = data.draw(st.sampled_from('0123456789abcdef{}",: \\'))
    changed = lines[line][:at] + char + lines[line][at + 1 :]
    before = json.loads(lines[line])
    try:
        same = json.loads(changed) == before and list(json.loads(changed)) == list(before)
    except ValueError:
        same = False
    lines[line] = changed
    if same:
        return
    try:
        found = checked(lines)
    except Damaged:
        assert line == 0
        return
    assert found is not None
    assert found.no == line


@pytest.mark.parametrize(
    "lines", [[], [""], ["{}\n"], ["[]\n"], ["nothing\n"], ['{"format": "other/1"}\n'], ["[" * 100_000]]
)
def test_what_is_no_export_is_refused(lines):
    with pytest.raises(Damaged):
        check_file(lines)


@given(st.text(max_size=200))
def test_hostile_lines_never_break_the_check(text):
    lines = exported(chain(2))
    assert checked([*lines, text]) is not None
    assert checked([lines[0], text, lines[2]]) is not None


def test_u2_the_head_of_a_day_is_signed():
    words = day_head(tenant_id=TENANT, day=date(2026, 11, 30), head=(5, b"\1" * 32), key=KEY)
    assert (words["day"], words["entries"], words["head"]) == ("2026-11-30", 5, "01" * 32)
    assert is_signed(words, by=public_key(KEY))
    assert not is_signed(words, by=public_key(FORGER))
    for change in ({"entries": 4}, {"day": "2026-11-29"}, {"head": "02" * 32}, {"workspace": show("wsp", OTHER)}):
        assert not is_signed({**words, **change})


@pytest.mark.parametrize(("now", "zone", "expected"), [
    ("2026-11-30T05:59:59+00:00", "Europe/Oslo", "2026-11-30T06:00:00+00:00"),
    ("2026-11-30T06:00:00+00:00", "Europe/Oslo", "2026-12-01T06:00:00+00:00"),
    ("2026-03-28T12:00:00+00:00", "Europe/Oslo", "2026-03-29T05:00:00+00:00"),  # the night in which summer time begins
    ("2026-10-24T12:00:00+00:00", "Europe/Oslo", "2026-10-25T06:00:00+00:00"),  # and in which it ends
    ("2026-11-30T20:00:00+00:00", "Asia/Kolkata", "2026-12-01T01:30:00+00:00"),
    ("2026-11-30T19:30:00+00:00", "Pacific/Kiritimati", "2026-12-01T17:00:00+00:00"),
])  # fmt: skip
def test_u2_the_head_goes_out_at_seven_in_the_workspaces_zone(now, zone, expected):
    assert next_morning(datetime.fromisoformat(now), zone) == datetime.fromisoformat(expected)
