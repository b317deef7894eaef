"""Tokens and states of invitations as pure rules."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.kernel.errors import Invalid
from saas.tenants.rules import check_time_zone, new_token, read_token, state_of
from saas.tenants.types import InvitationState

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def test_a_token_names_its_place_and_never_repeats():
    tenant, invitation = uuid4(), uuid4()
    tokens = {new_token(tenant, invitation) for _ in range(100)}
    assert len(tokens) == 100
    assert {read_token(token) for token in tokens} == {(tenant, invitation)}
    assert {len(token) for token in tokens} == {86}


@pytest.mark.parametrize("wrong", ["", "x" * 86 + "=", "=" * 86, "é" * 86, "\0" * 86, "x" * 85, "x" * 87])
def test_what_is_no_token_is_none(wrong):
    assert read_token(wrong) is None


@given(st.text(min_size=80, max_size=90))
def test_no_text_breaks_the_reading(text):
    found = read_token(text)
    assert found is None or len(found) == 2


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, InvitationState.PENDING),
        ({"sent_at": NOW}, InvitationState.SENT),
        ({"sent_at": NOW, "expires_at": NOW}, InvitationState.EXPIRED),
        ({"expires_at": NOW}, InvitationState.EXPIRED),
        ({"sent_at": NOW, "accepted_at": NOW, "expires_at": NOW}, InvitationState.ACCEPTED),
        ({"sent_at": NOW, "revoked_at": NOW}, InvitationState.REVOKED),
    ],
)
def test_states(known, expected):
    blank = {"sent_at": None, "expires_at": NOW + timedelta(hours=1), "accepted_at": None, "revoked_at": None}
    assert state_of(**blank | known, now=NOW) is expected


@pytest.mark.parametrize("wrong", ["", "Oslo", "europe/oslo", "../etc/passwd", "UTC+1"])
def test_time_zones_are_iana_names(wrong):
    with pytest.raises(Invalid):
        check_time_zone(wrong)
    check_time_zone("Europe/Oslo")
