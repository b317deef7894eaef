"""What is one person's own in a message: addresses of links, the Message-ID."""

from collections.abc import Iterator
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from saas.channels.rules import wire_address
from saas.content.rules.tokens import Maker, subkey
from saas.content.types import Addressee, Purpose
from saas.platform.secrets.service import Vault
from saas.sending.types import Claimed

_NOTHING: Final[MappingProxyType[str, Any]] = MappingProxyType({})
_KEPT: Final = 256


class Addresser:
    """Makes addressees of claimed people. `public_url` is where our links lead."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._key = vault.link_key
        self._click = f"{public_url}/c/"
        self._open = f"{public_url}/o/"
        self._unsubscribe = f"{public_url}/u/"
        self._maker = lru_cache(_KEPT)(self._new_maker)

    def addressees(self, claimed: Claimed, *, from_address: str) -> Iterator[Addressee]:
        """Yield one for each person of a chunk, in order."""
        clicks = self._maker(claimed.tenant_id, Purpose.CLICK, claimed.step_no)
        unsubscribes = self._maker(claimed.tenant_id, Purpose.UNSUBSCRIBE, claimed.step_no)
        seed = blake2b(claimed.tenant_id.bytes, key=self._key, person=b"message-id", digest_size=16)
        step, domain = claimed.step_no.to_bytes(2, "big"), from_address.rpartition("@")[2]
        for person in claimed.people:
            entry = person.entry_id
            # The one Message-ID of this person at this step, the same at every try; it tells nothing.
            digest = seed.copy()
            digest.update(entry.to_bytes(8, "big") + step)
            seen = clicks.make(entry) if claimed.marketing else ""  # of opens, too: they share a key
            yield Addressee(
                to=wire_address(person.email) or "",
                message_id=f"<{digest.hexdigest()}@{domain}>",
                contact={**(person.values or _NOTHING), "email": person.email},
                context=person.context or _NOTHING,
                unsubscribe_url=self._unsubscribe + unsubscribes.make(entry),
                click_url=self._click + seen if seen else "",
                open_url=f"{self._open}{seen}.gif" if seen else "",
            )

    def _new_maker(self, tenant_id: UUID, purpose: Purpose, step_no: int) -> Maker:
        key = subkey(self._key, tenant_id=tenant_id, purpose=purpose)
        return Maker(key, purpose=purpose, tenant_id=tenant_id, step_no=step_no)
