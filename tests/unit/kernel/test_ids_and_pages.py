"""Ids and cursor pages."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.kernel.clock import FixedClock, SystemClock, monotonic
from saas.kernel.ids import BadId, parse, show, uuid7
from saas.kernel.paging import cut


@given(st.uuids())
def test_an_id_is_read_back_and_has_one_spelling(value):
    text = show("cam", value)
    assert parse("cam", text) == value
    assert len(text) == 30 and text == text.lower()
    for wrong in (text.upper(), text[4:], text + "0", text[:-1], " " + text, text.replace("cam_", "key_")):
        with pytest.raises(BadId):
            parse("cam", wrong)


@pytest.mark.parametrize("letter", ["i", "l", "o", "u", "é", "-", " ", "\0"])
def test_letters_that_look_alike_are_refused(letter):
    with pytest.raises(BadId):
        parse("cam", "cam_" + letter * 26)


def test_numbers_beyond_128_bits_are_refused():
    with pytest.raises(BadId):
        parse("cam", "cam_" + "z" * 26)
    assert parse("cam", "cam_7" + "z" * 25) == UUID(int=2**128 - 1)


def test_ids_are_uuids_of_version_7_in_order_of_time():
    made = [uuid7() for _ in range(2000)]
    assert {m.version for m in made} == {7} and {m.variant for m in made} == {"specified in RFC 4122"}
    assert len(set(made)) == 2000
    stamps = [m.int >> 80 for m in made]
    assert stamps == sorted(stamps)


@given(st.lists(st.integers(), max_size=20), st.integers(1, 20))
def test_a_page_holds_what_was_asked_and_knows_whether_there_is_more(rows, limit):
    page = cut(rows[: limit + 1], limit=limit, key=lambda row: (str(row),))
    assert list(page.rows) == rows[:limit]
    assert (page.next_key is not None) is (len(rows) > limit)
    if page.next_key is not None:
        assert page.next_key == (str(rows[limit - 1]),)
    assert page.map(str).next_key == page.next_key


def test_clocks_are_aware_and_durations_never_go_back():
    assert SystemClock().now().tzinfo is UTC
    at = datetime(2026, 11, 30, tzinfo=timezone(timedelta(hours=1)))
    assert FixedClock(at).now() is at
    assert monotonic() <= monotonic()
