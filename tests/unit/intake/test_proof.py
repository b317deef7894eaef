"""A token is proven without a database; nothing forged ever is."""

import base64
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import tokens
from saas.content.types import Purpose
from saas.intake.service.links import prove
from saas.intake.types import DeadLink
from saas.kernel.ids import uuid7

MASTER = b"m" * 32
TENANT, OTHER = uuid7(), uuid7()
entries = st.integers(0, 2**64 - 1)
steps = st.integers(0, 2**16 - 1)


def made(tenant: UUID, purpose: Purpose, entry_id: int, step_no: int, *, master: bytes = MASTER) -> str:
    key = tokens.subkey(master, tenant_id=tenant, purpose=purpose)
    return tokens.make(key, purpose=purpose, tenant_id=tenant, entry_id=entry_id, step_no=step_no)


@given(entries, steps, st.sampled_from(Purpose))
def test_our_own_tokens_are_proven(entry_id, step_no, purpose):
    claimed = prove(made(TENANT, purpose, entry_id, step_no), purpose=purpose, link_key=MASTER)
    assert (claimed.tenant_id, claimed.entry_id, claimed.step_no) == (TENANT, entry_id, step_no)


@given(entries, steps, st.integers(0, 43 * 8 - 1))
def test_no_bit_can_be_flipped(entry_id, step_no, bit):
    raw = bytearray(base64.urlsafe_b64decode(made(TENANT, Purpose.UNSUBSCRIBE, entry_id, step_no) + "=="))
    raw[bit // 8] ^= 1 << bit % 8
    forged = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(DeadLink):
        prove(forged, purpose=Purpose.UNSUBSCRIBE, link_key=MASTER)


@given(entries, steps)
def test_purpose_tenant_and_installation_are_bound(entry_id, step_no):
    click = made(TENANT, Purpose.CLICK, entry_id, step_no)
    with pytest.raises(DeadLink):
        prove(click, purpose=Purpose.UNSUBSCRIBE, link_key=MASTER)
    with pytest.raises(DeadLink):
        prove(click, purpose=Purpose.CLICK, link_key=b"n" * 32)
    foreign = tokens.subkey(MASTER, tenant_id=OTHER, purpose=Purpose.CLICK)
    mixed = tokens.make(foreign, purpose=Purpose.CLICK, tenant_id=TENANT, entry_id=entry_id, step_no=step_no)
    with pytest.raises(DeadLink):
        prove(mixed, purpose=Purpose.CLICK, link_key=MASTER)


@given(st.one_of(st.text(max_size=80), st.text(st.sampled_from("abcXYZ019-_="), min_size=58, max_size=58)))
def test_noise_is_no_token(text):
    with pytest.raises(DeadLink):
        prove(text, purpose=Purpose.CLICK, link_key=MASTER)
