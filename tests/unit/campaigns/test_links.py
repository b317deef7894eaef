"""Mailed links (U8): tokens, where a link stands, what the mails say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.campaigns.rules.links import (
    Ask,
    LinkState,
    approval_mail,
    confirmation_mail,
    hash_of,
    new_token,
    read_token,
    state_of,
)
from saas.campaigns.types import RequestState

NOW = datetime(2026, 11, 20, 7, 0, tzinfo=UTC)
IDS = UUID(int=1), UUID(int=2**127)
OPEN = {"used_at": None, "expires_at": NOW + timedelta(days=1), "listed": True, "content_hash": "v1:a",
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
