"""Link tokens: they read back, have one spelling, and nothing but their own key verifies them."""

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import tokens
from saas.content.types import BadToken, Purpose

MASTER = bytes(range(32))
TENANT = UUID("0198f5a2-7b1c-7000-8000-000000000001")
OTHER = UUID("0198f5a2-7b1c-7000-8000-000000000002")
ALPHABET = string.ascii_letters + string.digits + "-_"

messages = st.tuples(st.uuids(), st.integers(0, 2**63 - 1), st.integers(0, 2**16 - 1), st.sampled_from(list(Purpose)))


def made(*, tenant_id=TENANT, entry_id=7, step_no=3, purpose=Purpose.CLICK):
    key = tokens.subkey(MASTER, tenant_id=tenant_id, purpose=purpose)
    return key, tokens.make(key, purpose=purpose, tenant_id=tenant_id, entry_id=entry_id, step_no=step_no)


@given(messages)
def test_a_token_reads_back_and_verifies(message):
    tenant_id, entry_id, step_no, purpose = message
    key, text = made(tenant_id=tenant_id, entry_id=entry_id, step_no=step_no, purpose=purpose)
    claimed = tokens.read(text)
    assert (claimed.tenant_id, claimed.entry_id, claimed.step_no) == (tenant_id, entry_id, step_no)
    assert len(text) == tokens.LENGTH
    assert set(text) <= set(ALPHABET)
    assert tokens.verify(claimed, key=key, purpose=purpose)


@given(messages, st.integers(0, tokens.LENGTH - 1), st.sampled_from(ALPHABET))
def test_no_changed_character_verifies(message, position, char):
    tenant_id, entry_id, step_no, purpose = message
    key, text = made(tenant_id=tenant_id, entry_id=entry_id, step_no=step_no, purpose=purpose)
    changed = text[:position] + char + text[position + 1 :]
    if changed == text:
        return
    try:
        claimed = tokens.read(changed)
    except BadToken:
        return
    assert not tokens.verify(claimed, key=key, purpose=purpose)


def test_no_bit_flip_verifies():
    import base64

    key, text = made()
    raw = base64.urlsafe_b64decode(text + "==")
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        spelled = base64.urlsafe_b64encode(bytes(flipped)).rstrip(b"=").decode()
        try:
            claimed = tokens.read(spelled)
        except BadToken:
            continue
        assert not tokens.verify(claimed, key=key, purpose=Purpose.CLICK), bit


def test_the_last_character_has_one_spelling():
    _, text = made()
    accepted = []
    for char in ALPHABET:
        try:
            tokens.read(text[:-1] + char)
        except BadToken:
            continue
        accepted.append(char)
    assert len(accepted) == 4  # two bits of the tag; the four unused bits must be zero
    assert text[-1] in accepted


@pytest.mark.parametrize(
    "change", [str.upper, lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t[1:], lambda t: t[:-1]]
)
def test_other_spellings_are_refused(change):
    _, text = made()
    with pytest.raises(BadToken):
        changed = change(text)
        claimed = tokens.read(changed)
        if not tokens.verify(claimed, key=made()[0], purpose=Purpose.CLICK):
            raise BadToken("unverified")


@pytest.mark.parametrize("text", ["", "a" * 57, "a" * 59, "é" * 58, "+" * 58, "\ud800" * 58, "A" * 58])
def test_what_is_no_token_is_refused(text):
    with pytest.raises(BadToken):
        tokens.read(text)


def test_each_purpose_and_tenant_has_its_own_key():
    keys = {
        tokens.subkey(MASTER, tenant_id=tenant, purpose=purpose) for tenant in (TENANT, OTHER) for purpose in Purpose
    }
    assert len(keys) == 2 * len(Purpose)


def test_a_token_of_one_purpose_is_none_of_another_even_under_the_same_key():
    key, text = made(purpose=Purpose.CLICK)
    assert not tokens.verify(tokens.read(text), key=key, purpose=Purpose.UNSUBSCRIBE)


def test_another_tenants_key_does_not_verify():
    _, text = made()
    key, _ = made(tenant_id=OTHER)
    assert not tokens.verify(tokens.read(text), key=key, purpose=Purpose.CLICK)


def test_a_short_master_key_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        tokens.subkey(b"short", tenant_id=TENANT, purpose=Purpose.CLICK)


@given(messages)
def test_a_maker_makes_the_same_tokens(message):
    tenant_id, entry_id, step_no, purpose = message
    key, text = made(tenant_id=tenant_id, entry_id=entry_id, step_no=step_no, purpose=purpose)
    maker = tokens.Maker(key, purpose=purpose, tenant_id=tenant_id, step_no=step_no)
    assert [maker.make(entry_id), maker.make(entry_id)] == [text, text]


def test_the_format_is_frozen():
    """Mail stays in inboxes for years: a change of the format needs a new version."""
    assert made()[1] == "AQGY9aJ7HHAAgAAAAAAAAAEAAAAAAAAABwADhFPHhneXINjWZwF0oYLR9w"
