"""Link tokens (ledger.md, "Links and messages seen later"): 43 bytes in 58 characters of url-safe base64.

version (1) | tenant (16) | entry_id (8) | step_no (2) | keyed BLAKE2b-128 of all before (16). The purpose stands not in
the token: each purpose has a key of its own, so that a click address can't be turned into one that unsubscribes.
"""

import base64
import binascii
import hmac
import struct
from hashlib import blake2b
from typing import Final
from uuid import UUID

from saas.content.types import BadToken, Claimed, Purpose

VERSION: Final = 1
LENGTH: Final = 58

_FIELDS: Final = struct.Struct(">B16sQH")
_STEP: Final = struct.Struct(">H")
_TAG_SIZE: Final = 16
_KEY_SIZE: Final = 32


def subkey(master: bytes, *, tenant_id: UUID, purpose: Purpose) -> bytes:
    """Return the key of one tenant and purpose. `master` has at least 32 bytes, at most 64. Raises ValueError."""
    if len(master) < _KEY_SIZE:
        msg = "a master key has at least 32 bytes"
        raise ValueError(msg)
    scope = tenant_id.bytes + purpose.value.encode()
    return blake2b(scope, key=master, digest_size=_KEY_SIZE, person=b"link-key").digest()


class Maker:
    """Makes the tokens of one tenant, purpose and step, as `make` does: what is the same for all is hashed once."""

    __slots__ = ("_begun", "_fixed", "_step")

    def __init__(self, key: bytes, *, purpose: Purpose, tenant_id: UUID, step_no: int) -> None:
        self._fixed = bytes((VERSION,)) + tenant_id.bytes
        self._step = _STEP.pack(step_no)
        self._begun = blake2b(self._fixed, key=key, digest_size=_TAG_SIZE, person=purpose.value.encode())

    def make(self, entry_id: int) -> str:
        """Return the token of one message."""
        own = entry_id.to_bytes(8, "big") + self._step
        proof = self._begun.copy()
        proof.update(own)
        return spell(self._fixed + own + proof.digest())


def make(key: bytes, *, purpose: Purpose, tenant_id: UUID, entry_id: int, step_no: int) -> str:
    """Return the token of one message. `key` is that of the tenant and purpose (`subkey`)."""
    fields = _FIELDS.pack(VERSION, tenant_id.bytes, entry_id, step_no)
    return spell(fields + tag(fields, key, purpose))


def read(text: str) -> Claimed:
    """Return what a token claims; nothing is proven yet. Exactly one spelling is accepted. Raises BadToken."""
    raw = unspell(text, length=LENGTH)
    if raw[0] != VERSION:
        raise _bad()
    version, tenant, entry_id, step_no = _FIELDS.unpack_from(raw)
    return Claimed(version, UUID(bytes=tenant), entry_id, step_no, raw[_FIELDS.size :])


def verify(claimed: Claimed, *, key: bytes, purpose: Purpose) -> bool:
    """Return whether the token was made with this key for this purpose, in constant time."""
    fields = _FIELDS.pack(claimed.version, claimed.tenant_id.bytes, claimed.entry_id, claimed.step_no)
    return hmac.compare_digest(tag(fields, key, purpose), claimed.tag)


def tag(fields: bytes, key: bytes, purpose: Purpose) -> bytes:
    """Return what proves fields: their keyed hash, of 16 bytes."""
    return blake2b(fields, key=key, digest_size=_TAG_SIZE, person=purpose.value.encode()).digest()


def spell(raw: bytes) -> str:
    """Return bytes as they stand in an address."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unspell(text: str, *, length: int) -> bytes:
    """Return the bytes of a text of so many characters, of which the last holds 2 bits. Raises BadToken.

    Decoding ignores foreign characters and the last character's unused bits: spelling it again tells.
    """
    if len(text) != length or not text.isascii():
        raise _bad()
    try:
        raw = base64.urlsafe_b64decode(text + "==")
    except (binascii.Error, ValueError):
        raise _bad() from None
    if spell(raw) != text:
        raise _bad()
    return raw


def _bad() -> BadToken:
    return BadToken("This link is not valid.")
