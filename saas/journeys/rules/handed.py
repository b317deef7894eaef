"""Tokens in the addresses that a sendgate's webhook is given (R6): 49 bytes in 66 characters of url-safe base64.

version (1) | tenant (16) | gate (16) | keyed BLAKE2b-128 of all before (16). As in links of messages
(saas/content/rules/tokens.py) what it may be used for stands not in the token: each purpose has a key of its own, so
that an address that shows people can't be turned into one that releases them. Until when it holds stands at the gate.
"""

import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final
from uuid import UUID

from saas.content.rules import tokens
from saas.content.types import BadToken, Purpose

VERSION: Final = 1
LENGTH: Final = 66
# After its time a release can still be repeated for so long: an answer that was lost is asked for again.
AGAIN: Final = timedelta(minutes=5)

_FIELDS: Final = struct.Struct(">B16s16s")


@dataclass(frozen=True, slots=True)
class Handed:
    """A gate that a token names, and proves to be ours."""

    tenant_id: UUID
    gate_id: UUID


def make(master: bytes, handed: Handed, *, purpose: Purpose) -> str:
    """Return the token with which one thing may be done at a gate."""
    fields = _FIELDS.pack(VERSION, handed.tenant_id.bytes, handed.gate_id.bytes)
    return tokens.spell(fields + _proof(master, fields, handed.tenant_id, purpose))


def proven(text: str, *, purpose: Purpose, master: bytes) -> Handed:
    """Return what a token names, once it is known to be ours, for this purpose. Raises BadToken."""
    raw = tokens.unspell(text, length=LENGTH)
    fields, proof = raw[: _FIELDS.size], raw[_FIELDS.size :]
    version, tenant, gate = _FIELDS.unpack(fields)
    same = compare_digest(_proof(master, fields, UUID(bytes=tenant), purpose), proof)
    if version != VERSION or not same:
        raise BadToken("This link is not valid.")
    return Handed(UUID(bytes=tenant), UUID(bytes=gate))


def holds(purpose: Purpose, *, deadline: datetime, now: datetime) -> bool:
    """Say whether an address can still be used: until the gate's deadline, that of the release a little longer."""
    return now < deadline + (AGAIN if purpose is Purpose.GATE_FINISH else timedelta())


def _proof(master: bytes, fields: bytes, tenant_id: UUID, purpose: Purpose) -> bytes:
    return tokens.tag(fields, tokens.subkey(master, tenant_id=tenant_id, purpose=purpose), purpose)
