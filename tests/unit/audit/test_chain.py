"""The hash chain as a function of values: whatever is changed is found at its exact number (U2, security.md L)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.audit.rules import START, entry_hash, first_break
from saas.audit.types import Break, Entry

AT = datetime(2026, 11, 30, 9, 0, 0, 123456, tzinfo=UTC)
TENANT = UUID(int=7)


def chain(length):
    links, previous = [], START
    for no in range(1, length + 1):
        entry = Entry(
            TENANT, no, AT + timedelta(seconds=no), "person", UUID(int=9), "campaign.paused", "cam_x", {"n": no}
        )
        links.append((entry, previous, entry_hash(previous, entry)))
        previous = links[-1][2]
    return links, (length, previous)


@given(st.integers(0, 12))
def test_u2_an_untouched_chain_holds(length):
    links, head = chain(length)
    assert first_break(links, head=head) is None


CHANGES = {
    "tenant_id": uuid4(), "at": AT, "actor_kind": "key", "actor_id": None, "action": "campaign.resumed",
    "subject": "cam_y", "facts": {"n": 0},
}  # fmt: skip


@given(st.integers(1, 8), st.sampled_from(sorted(CHANGES)))
def test_u2_an_edited_entry_is_found_at_its_number(no, word):
    links, head = chain(8)
    entry, previous, own = links[no - 1]
    links[no - 1] = (replace(entry, **{word: CHANGES[word]}), previous, own)
    assert first_break(links, head=head) == Break(no, "the entry was changed")


@given(st.integers(1, 8))
def test_u2_an_entry_edited_with_its_hash_is_found_at_its_number(no):
    links, head = chain(8)
    entry = replace(links[no - 1][0], action="campaign.resumed")
    links[no - 1] = (entry, links[no - 1][1], entry_hash(links[no - 1][1], entry))
    assert first_break(links, head=head) == Break(no, "the entry was changed")


@given(st.integers(1, 8))
def test_u2_a_deleted_entry_is_found_at_its_number(no):
    links, head = chain(8)
    del links[no - 1]
    assert first_break(links, head=head) == Break(no, "an entry is missing" if no < 8 else "the end was cut off")


@given(st.integers(1, 7))
def test_u2_two_entries_in_the_other_order_are_found(no):
    links, head = chain(8)
    (a, *a_rest), (b, *b_rest) = links[no - 1], links[no]
    links[no - 1], links[no] = (replace(b, no=no), *b_rest), (replace(a, no=no + 1), *a_rest)
    assert first_break(links, head=head) == Break(no, "the entry was changed")


@given(st.integers(0, 7))
def test_u2_a_cut_tail_is_found_at_the_first_missing_number(left):
    links, head = chain(8)
    assert first_break(links[:left], head=head) == Break(left + 1, "the end was cut off")


def test_u2_entries_beyond_the_head_are_found():
    links, _ = chain(3)
    _, head = chain(2)
    assert first_break(links, head=head) == Break(3, "an entry stands behind the head")


def test_the_hash_is_of_the_moment_not_of_its_spelling():
    entry = Entry(TENANT, 1, AT, "system", None, "campaign.started", "cam_x", {"b": 1, "a": 2})
    same = replace(entry, at=AT.astimezone(timezone(timedelta(hours=5))), facts={"a": 2, "b": 1})
    assert entry_hash(START, entry) == entry_hash(START, same)
    assert entry_hash(START, entry) != entry_hash(b"\1" * 32, entry)


@pytest.mark.parametrize("step_us", [1, 999])
def test_the_hash_knows_microseconds(step_us):
    entry = Entry(TENANT, 1, AT, "system", None, "x", "y", {})
    assert entry_hash(START, entry) != entry_hash(START, replace(entry, at=AT + timedelta(microseconds=step_us)))
