"""Addresses, passwords, pauses, keys and tokens as pure rules."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.accounts.rules import (
    address_key,
    check_password,
    is_api_key,
    locked_until,
    new_api_key,
    new_token,
    token_hash,
)
from saas.kernel.errors import Invalid

NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)


def test_addresses_are_trimmed_and_folded():
    assert address_key("  Olive.Owner@Lantern.Example ") == "olive.owner@lantern.example"


@pytest.mark.parametrize("wrong", ["", "x", "a@b", "a b@c.example", "a@c.example\r\nBcc: b@c.example", "a@@c.example"])
def test_wrong_addresses_are_told(wrong):
    with pytest.raises(Invalid) as refusal:
        address_key(wrong, pointer="/invitations/0/email")
    assert refusal.value.faults[0].pointer == "/invitations/0/email"


@pytest.mark.parametrize("wrong", ["short-9", "x" * 1001, "aaaaaaaaaaaa", "Owner@Lantern.Example"])
def test_weak_passwords_are_refused(wrong):
    with pytest.raises(Invalid):
        check_password(wrong, email="owner@lantern.example")


def test_pause_starts_after_five_tries_doubles_and_ends():
    pauses = [locked_until(count, NOW) for count in range(12)]
    assert pauses[:5] == [None] * 5
    assert [(pause - NOW).total_seconds() for pause in pauses[5:]] == [30, 60, 120, 240, 480, 900, 900]
    assert locked_until(10_000, NOW) == NOW + timedelta(minutes=15)


def test_keys_have_a_form_that_tells_typing_errors():
    key = new_api_key()
    assert len(key) == len("csn_live_") + 36
    assert is_api_key(key)
    for place in range(9, len(key)):
        wrong = "A" if key[place] != "A" else "B"
        assert not is_api_key(key[:place] + wrong + key[place + 1 :])


@given(st.text(max_size=60))
def test_no_text_breaks_the_look_at_a_key(text):
    assert is_api_key(text) is False


def test_tokens_are_long_and_differ():
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert min(map(len, tokens)) >= 43
    assert len({token_hash(token) for token in tokens}) == 1000
