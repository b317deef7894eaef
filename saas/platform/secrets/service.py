"""Sealing of secrets: AES-256-GCM under a per-tenant key, bound to tenant, table, row and column (security.md L).

A sealed value is `1 byte version | 16 bytes key id | 12 bytes nonce | ciphertext`. Copied to another tenant, row or
column it does not open.
"""

import secrets as randomness
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.orm import Session

from saas.kernel.ids import uuid7
from saas.platform.db import bound_tenant
from saas.platform.secrets.models import TenantKey

_VERSION: Final = b"\x01"
_PERSONAL: Final = b"\x81"
_NONCE: Final = 12


class Unreadable(RuntimeError):
    """A sealed value does not open: it was moved, changed, or the master key is another one."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a secret lives; part of what it is bound to."""

    table: str
    row: UUID
    column: str


class Vault:
    """Seals and opens the secrets of the tenant that a session is bound to."""

    def __init__(self, master_key: bytes) -> None:
        self._master = AESGCM(master_key)
        self._links = blake2b(b"links", key=master_key, digest_size=32).digest()
        self._people = AESGCM(blake2b(b"people", key=master_key, digest_size=32).digest())
        self._pepper = blake2b(b"address", key=master_key, digest_size=32).digest()
        self._audit = blake2b(b"audit", key=master_key, digest_size=32).digest()

    @property
    def link_key(self) -> bytes:
        """The root of all link-token keys (ledger.md, links)."""
        return self._links

    @property
    def audit_seed(self) -> bytes:
        """The private part of the key that signs heads of the audit chain (docs/audit.md)."""
        return self._audit

    def address_hash(self, address_key: str) -> bytes:
        """Return the 16 bytes under which an address stands in suppression lists; keyed, so that they tell nothing."""
        return blake2b(address_key.encode(), key=self._pepper, digest_size=16).digest()

    def seal(self, session: Session, secret: str, *, place: Place, now: datetime) -> bytes:
        """Return the sealed form of a secret."""
        key_id, key = self._newest_key(session, now)
        nonce = randomness.token_bytes(_NONCE)
        bound = _bound(bound_tenant(session), place)
        return _VERSION + key_id.bytes + nonce + AESGCM(key).encrypt(nonce, secret.encode(), bound)

    def open(self, session: Session, sealed: bytes, *, place: Place) -> str:
        """Return the secret. Raises Unreadable."""
        tenant = bound_tenant(session)
        key_id, nonce, text = UUID(bytes=sealed[1:17]), sealed[17 : 17 + _NONCE], sealed[17 + _NONCE :]
        wrapped = session.scalar(
            sa.select(TenantKey.wrapped).where(TenantKey.tenant_id == tenant, TenantKey.key_id == key_id)
        )
        if sealed[:1] != _VERSION or wrapped is None:
            msg = "sealed under an unknown key"
            raise Unreadable(msg)
        try:
            return AESGCM(self._unwrap(tenant, key_id, wrapped)).decrypt(nonce, text, _bound(tenant, place)).decode()
        except InvalidTag:
            msg = "sealed for another place"
            raise Unreadable(msg) from None

    def seal_personal(self, secret: str, *, place: Place) -> bytes:
        """Return the sealed form of a secret that belongs to a person and no tenant; `place.row` is their account."""
        nonce = randomness.token_bytes(_NONCE)
        return _PERSONAL + nonce + self._people.encrypt(nonce, secret.encode(), _bound_personally(place))

    def open_personal(self, sealed: bytes, *, place: Place) -> str:
        """Return a person's secret. Raises Unreadable."""
        nonce, text = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        msg = "sealed for another person or place, or under another MASTER_KEY"
        if sealed[:1] != _PERSONAL:
            raise Unreadable(msg)
        try:
            return self._people.decrypt(nonce, text, _bound_personally(place)).decode()
        except InvalidTag:
            raise Unreadable(msg) from None

    def _newest_key(self, session: Session, now: datetime) -> tuple[UUID, bytes]:
        tenant = bound_tenant(session)
        row = session.scalars(
            sa.select(TenantKey).where(TenantKey.tenant_id == tenant).order_by(TenantKey.key_id.desc()).limit(1)
        ).first()
        if row is not None:
            return row.key_id, self._unwrap(tenant, row.key_id, row.wrapped)
        key_id, key, nonce = uuid7(), AESGCM.generate_key(256), randomness.token_bytes(_NONCE)
        wrapped = nonce + self._master.encrypt(nonce, key, tenant.bytes + key_id.bytes)
        session.add(TenantKey(tenant_id=tenant, key_id=key_id, wrapped=wrapped, created_at=now))
        session.flush()
        return key_id, key

    def _unwrap(self, tenant: UUID, key_id: UUID, wrapped: bytes) -> bytes:
        try:
            return self._master.decrypt(wrapped[:_NONCE], wrapped[_NONCE:], tenant.bytes + key_id.bytes)
        except InvalidTag:
            msg = "the tenant's key does not open: MASTER_KEY is not the one it was sealed with"
            raise Unreadable(msg) from None


def _bound(tenant: UUID, place: Place) -> bytes:
    return b"|".join((tenant.bytes, place.table.encode(), place.row.bytes, place.column.encode(), _VERSION))


def _bound_personally(place: Place) -> bytes:
    return b"|".join((b"person", place.table.encode(), place.row.bytes, place.column.encode(), _PERSONAL))
