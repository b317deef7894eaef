"""Tokens in the addresses of sendgates (R6): each is for one gate of one workspace, and for one thing."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.content.rules import tokens
from saas.content.types import BadToken, Purpose
from saas.journeys.rules.handed import AGAIN, LENGTH, Handed, holds, make, proven
from saas.kernel.ids import uuid7

MASTER = b"m" * 32
PURPOSES = (Purpose.GATE_PEOPLE, Purpose.GATE_DECIDE, Purpose.GATE_FINISH)
gates = st.builds(Handed, st.uuids(), st.uuids())


def is_ours(text, purpose, master=MASTER):
    try:
        return proven(text, purpose=purpose, master=master)
    except BadToken:
        return None


@given(gates, st.sampled_from(PURPOSES))
def test_r6_a_token_names_its_gate_and_is_for_one_thing(gate, purpose):
    text = make(MASTER, gate, purpose=purpose)
    assert len(text) == LENGTH
    assert [is_ours(text, each) for each in PURPOSES] == [gate if each is purpose else None for each in PURPOSES]
    assert is_ours(text, purpose, b"n" * 32) is None


@given(gates, st.sampled_from(PURPOSES), st.integers(0, 49 * 8 - 1))
def test_r6_no_bit_can_be_flipped(gate, purpose, bit):
    raw = bytearray(base64.urlsafe_b64decode(make(MASTER, gate, purpose=purpose) + "=="))
    raw[bit // 8] ^= 1 << bit % 8
    assert is_ours(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), purpose) is None


@given(gates, gates)
def test_r6_the_proof_of_one_gate_is_none_of_another(one, other):
    if one == other:
        return
    mine, theirs = (tokens.unspell(make(MASTER, gate, purpose=PURPOSES[0]), length=LENGTH) for gate in (one, other))
    assert is_ours(tokens.spell(theirs[:33] + mine[33:]), PURPOSES[0]) is None


def test_r6_another_workspaces_key_and_another_version_prove_nothing():
    gate, purpose = Handed(uuid7(), uuid7()), Purpose.GATE_PEOPLE
    fields = b"\x01" + gate.tenant_id.bytes + gate.gate_id.bytes
    own = tokens.subkey(MASTER, tenant_id=gate.tenant_id, purpose=purpose)
    foreign = tokens.subkey(MASTER, tenant_id=uuid7(), purpose=purpose)
    newer = b"\x02" + fields[1:]
    texts = [
        tokens.spell(said + tokens.tag(said, key, purpose))
        for said, key in ((fields, own), (fields, foreign), (newer, own))
    ]
    assert [is_ours(text, purpose) for text in texts] == [gate, None, None]


@given(st.one_of(st.text(max_size=80), st.text(st.sampled_from("abcXYZ019-_="), min_size=66, max_size=66)))
def test_noise_is_no_token(text):
    assert is_ours(text, Purpose.GATE_PEOPLE) is None


@pytest.mark.parametrize(
    ("purpose", "late", "expected"),
    [
        *((purpose, timedelta(seconds=-1), True) for purpose in PURPOSES),
        (Purpose.GATE_PEOPLE, timedelta(), False),
        (Purpose.GATE_DECIDE, timedelta(), False),
        (Purpose.GATE_FINISH, AGAIN - timedelta(seconds=1), True),
        (Purpose.GATE_FINISH, AGAIN, False),
    ],
)
def test_r6_an_address_holds_until_the_deadline_that_of_the_release_a_little_longer(purpose, late, expected):
    deadline = datetime(2026, 12, 1, 11, tzinfo=UTC)
    assert holds(purpose, deadline=deadline, now=deadline + late) is expected
