"""Mailed links (U8): tokens, where a link stands, what the mails say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.links import (
    CODE_MAX,
    Ask,
    LinkState,
    approval_mail,
    check_code_word,
    confirmation_mail,
    hash_of,
    is_held,
    new_token,
    read_token,
    state_of,
)
from saas.campaigns.types import RequestState
from saas.kernel.errors import Invalid

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
IDS = UUID(int=1), UUID(int=2**127)
OPEN = {"used_at": None, "replaced_at": None, "expires_at": NOW + timedelta(days=1), "listed": True, "content_hash": "v1:a",
        "present_hash": "v1:a", "request": RequestState.OPEN, "now": NOW}  # fmt: skip


def test_u8_a_token_names_its_link_and_is_never_the_same():
    first, second = new_token(*IDS), new_token(*IDS)
    assert read_token(first) == read_token(second) == IDS
    assert first != second
    assert hash_of(first) != hash_of(second)


@given(st.text(max_size=100))
def test_other_texts_are_no_tokens(text):
    assert read_token(text) is None or len(text) == 86


@pytest.mark.parametrize("text", ["", "a" * 85, "a" * 87, "é" * 86, "a" * 85 + "=", "a" * 85 + "\n"])
def test_texts_that_look_alike_are_no_tokens(text):
    assert read_token(text) is None


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, LinkState.OPEN),
        ({"used_at": NOW}, LinkState.USED),
        ({"expires_at": NOW}, LinkState.EXPIRED),
        ({"listed": False}, LinkState.UNLISTED),
        ({"replaced_at": NOW}, LinkState.REPLACED),
        ({"replaced_at": NOW, "expires_at": NOW}, LinkState.REPLACED),
        ({"replaced_at": NOW, "request": RequestState.APPROVED}, LinkState.REPLACED),  # says nothing of the campaign
        ({"expires_at": NOW, "request": RequestState.REJECTED}, LinkState.EXPIRED),
        ({"used_at": NOW, "expires_at": NOW, "present_hash": "v1:b"}, LinkState.USED),
        ({"present_hash": "v1:b"}, LinkState.CHANGED),
        ({"present_hash": None}, LinkState.CHANGED),
        ({"request": RequestState.WITHDRAWN}, LinkState.CHANGED),
        ({"request": RequestState.VOID}, LinkState.CHANGED),
        ({"request": RequestState.REVOKED}, LinkState.CHANGED),
        ({"request": None}, LinkState.CHANGED),
        ({"request": RequestState.APPROVED}, LinkState.DECIDED),
        ({"request": RequestState.REJECTED}, LinkState.DECIDED),
        ({"request": RequestState.CHANGES_REQUESTED}, LinkState.DECIDED),
        ({"content_hash": None, "present_hash": None, "request": None}, LinkState.OPEN),
    ],
)
def test_u8_where_a_link_stands(change, state):
    assert state_of(**{**OPEN, **change}) is state


def test_the_mail_says_until_when_and_holds_nothing_of_the_message():
    ask = Ask("Priya Raman", "Northwind Outdoor", "Black week", 4, "Legal agreed.", NOW, "Europe/Oslo")
    mail = approval_mail(ask, to="greta@example.org", name="Greta", url="https://x.example/approve/t", expires_at=NOW)
    text = " ".join((mail.subject, *mail.paragraphs, mail.button, mail.closing))
    for part in ("Northwind Outdoor", "“Black week”", "revision 4", "Fri 20 Nov 2026 08:00 (Europe/Oslo)",
                 "“Legal agreed.”", "greta@example.org", "works once"):  # fmt: skip
        assert part in text
    on_call = approval_mail(
        Ask("P", "N", "B" * 500, 1, "", None, "UTC"), to="g@example.org", name="G", url="u", expires_at=NOW
    )
    assert len(on_call.subject) <= 120
    assert "whenever it is called" in on_call.paragraphs[1]
    confirm = confirmation_mail(to="g@example.org", name="G", workspace="Northwind", url="u", expires_at=NOW)
    assert "Confirm that this address is yours" in " ".join(confirm.paragraphs)


def words_of(**more):
    ask = Ask("Priya Raman", "Northwind Outdoor", "Black week", 4, "", NOW, "Europe/Oslo", **more)
    return approval_mail(ask, to="greta@example.org", name="Greta", url="u", expires_at=NOW).paragraphs


def test_r13_a_mail_after_the_planned_time_says_what_happens_then():
    assert "It would start Fri 20 Nov 2026 08:00" in words_of()[1]
    assert "It was to start Fri 20 Nov 2026 08:00" in words_of(late=True)[1]
    assert "waits until a new start is chosen" in words_of(late=True)[1]


def test_u8_a_mail_says_that_it_stands_in_the_place_of_another_and_that_a_code_word_is_asked():
    assert not any("in the place of" in text or "code word" in text for text in words_of())
    assert any("in the place of the one that we sent before" in text for text in words_of(again=True))
    assert any("asks for the code word" in text for text in words_of(code_word=True))


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, True),
        ({"pass_until": NOW}, False),
        ({"pass_until": None}, False),
        ({"pass_hash": None}, False),
        ({"pass_hash": hash_of("other")}, False),
    ],
)
def test_u8_a_pass_counts_for_a_while_and_for_its_own_link(change, held):
    found = {"pass_hash": hash_of("pass"), "pass_until": NOW + timedelta(seconds=1), "now": NOW, **change}
    assert is_held("pass", **found) is held
    assert not is_held("", **found)


@pytest.mark.parametrize(
    "word", ["", "seven 7", " " * 12, "aaaaaaaa", "Greta Holm", "GRETA@example.org", "ab" * (CODE_MAX // 2) + "c"]
)
def test_u8_code_words_that_are_refused(word):
    with pytest.raises(Invalid) as refused:
        check_code_word(word, email="greta@example.org", name="Greta Holm")
    assert refused.value.faults[0].pointer == "/code_word"


def test_u8_a_code_word_is_kept_without_the_blanks_around_it():
    assert check_code_word(" blue kettle 9 ", email="greta@example.org", name="Greta Holm") == "blue kettle 9"
