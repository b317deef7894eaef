"""The chain of hashes, its signed head, and the file that a workspace's entries are handed out in (U2, docs/audit.md).

Everything here is a function of values: `saas audit verify` needs no database.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from hashlib import sha256
from typing import Any, Final, TypeAlias
from uuid import UUID
from zoneinfo import ZoneInfo

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from saas.audit.types import HEAD_HOUR, Break, Damaged, Entry, Flaw, Range
from saas.kernel.ids import BadId, parse, show

START: Final = b"\0" * 32
FORMAT: Final = "countersign-audit/1"
DAY_FORMAT: Final = "countersign-audit-head/1"
_PURPOSE: Final = b"countersign audit signature\n"
_HASH_BYTES: Final = 32

Link: TypeAlias = tuple[Entry, bytes, bytes]  # an entry, the hash before it, its own


def entry_hash(previous: bytes, entry: Entry) -> bytes:
    """Return sha256(previous || canonical JSON of the entry), RFC 8785."""
    words: dict[str, Any] = {"tenant": str(entry.tenant_id), **_words(entry)}
    return sha256(previous + rfc8785.dumps(words)).digest()


def first_break(
    links: Iterable[Link], *, head: tuple[int, bytes], before: tuple[int, bytes] = (0, START)
) -> Break | None:
    """Check links in their order, from behind `before` to `head`, each a number and a hash. None when all of it holds.

    An entry that hashes to what it says, and that its follower does not name, is the bad one of the two.
    """
    no, previous = before
    rest = iter(links)
    for entry, link, own in rest:
        if entry.no != no + 1:
            return _misplaced(no + 1, entry, rest)
        if own != entry_hash(link, entry):
            return Break(entry.no, Flaw.EDITED)
        if link != previous:
            proven = own == next((follower[1] for follower in rest), head[1])
            return Break(no if proven and no > before[0] else entry.no, Flaw.EDITED)
        no, previous = entry.no, own
    if no != head[0]:
        return Break(min(no, head[0]) + 1, Flaw.TRUNCATED if no < head[0] else Flaw.BEYOND)
    return None if previous == head[1] else Break(no, Flaw.EDITED)


def _misplaced(expected: int, found: Entry, rest: Iterator[Link]) -> Break:
    """Tell an entry that stands elsewhere from one that is gone."""
    elsewhere = found.no < expected or any(entry.no == expected for entry, _, _ in rest)
    return Break(expected, Flaw.REORDERED if elsewhere else Flaw.MISSING)


def signing_key(seed: bytes) -> Ed25519PrivateKey:
    """Return the installation's key for heads; `seed` follows from the master key (Vault.audit_seed)."""
    return Ed25519PrivateKey.from_private_bytes(seed)


def public_key(key: Ed25519PrivateKey) -> str:
    """Return the public part in base64, as it is published."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def key_print(published: str) -> str:
    """Return what people compare two public keys by: 16 hexadecimal digits in groups of four."""
    digits = sha256(published.encode()).hexdigest()[:16]
    return " ".join(digits[at : at + 4] for at in range(0, 16, 4))


def signed(words: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return words with the public key and a signature over their canonical JSON (RFC 8785)."""
    whole = {**words, "public_key": public_key(key)}
    signature = key.sign(_PURPOSE + rfc8785.dumps(whole))
    return {**whole, "signature": base64.b64encode(signature).decode()}


def is_signed(words: Mapping[str, Any], *, by: str | None = None) -> bool:
    """Say whether words carry a signature that fits; with `by` only one of that public key will do."""
    whole = {name: value for name, value in words.items() if name != "signature"}
    published = whole.get("public_key")
    if not isinstance(published, str) or (by is not None and published != by):
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(published, validate=True))
        key.verify(base64.b64decode(str(words.get("signature")), validate=True), _PURPOSE + rfc8785.dumps(whole))
    except (InvalidSignature, ValueError, binascii.Error, rfc8785.CanonicalizationError):
        return False
    return True


def head_line(found: Range, *, key: Ed25519PrivateKey, now: datetime) -> str:
    """Return the first line of an export, signed: which workspace, which entries, between which hashes."""
    words = {
        "format": FORMAT,
        "workspace": show("wsp", found.tenant_id),
        "first_no": found.before[0] + 1,
        "last_no": found.head[0],
        "before": found.before[1].hex(),
        "head": found.head[1].hex(),
        "exported_at": _moment(now),
    }
    return _line(signed(words, key))


def day_head(*, tenant_id: UUID, day: date, head: tuple[int, bytes], key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the signed head of a day, as it is mailed: the date, the number of entries, the last one's hash."""
    workspace = show("wsp", tenant_id)
    words = {"format": DAY_FORMAT, "workspace": workspace, "day": day.isoformat(), "entries": head[0]}
    return signed({**words, "head": head[1].hex()}, key)


def entry_line(entry: Entry, previous: bytes, own: bytes) -> str:
    """Return an entry's line of an export."""
    return _line({**_words(entry), "previous": previous.hex(), "hash": own.hex()})


def check_file(
    lines: Iterable[str], *, by: str | None = None, anchor: tuple[int, bytes] | None = None
) -> tuple[dict[str, Any], Break | None]:
    """Check an export. Returns its head and the first place at which it does not hold.

    by: the public key that must have signed it. anchor: number and hash of an entry as they were mailed; the file's
    entry of that number must have that hash. Raises Damaged for what is no export at all.
    """
    rest = iter(lines)
    head = _head(next(rest, ""))
    if not is_signed(head, by=by):
        return head, Break(0, Flaw.FORGED_HEAD)
    try:
        found = _range(head)
    except (BadId, KeyError, TypeError, ValueError):
        raise Damaged("The head is signed, and says what no export says.") from None
    reader = _Reader(found.tenant_id, anchor)
    try:
        broken = first_break(reader.read(rest), head=found.head, before=found.before)
    except Damaged:
        return head, Break(reader.next_no(found.before[0]), Flaw.UNREADABLE)
    if broken is None and reader.differs:
        return head, Break(anchor[0] if anchor else 0, Flaw.NOT_ANCHORED)
    return head, broken


class _Reader:
    """Reads lines into links, and remembers where it is."""

    def __init__(self, tenant_id: UUID, anchor: tuple[int, bytes] | None) -> None:
        self.differs = False
        self._tenant_id = tenant_id
        self._anchor = anchor
        self._last: int | None = None

    def next_no(self, before: int) -> int:
        """Return the number behind the last entry that could be read."""
        return (before if self._last is None else self._last) + 1

    def read(self, lines: Iterable[str]) -> Iterator[Link]:
        """Raises Damaged at a line that is no entry."""
        for line in lines:
            entry, previous, own = _entry(self._tenant_id, line)
            if self._anchor is not None and entry.no == self._anchor[0] and own != self._anchor[1]:
                self.differs = True
            self._last = entry.no
            yield entry, previous, own


def next_morning(now: datetime, zone: str) -> datetime:
    """Return the next moment, after now, at which it is 07:00 in a zone."""
    place = ZoneInfo(zone)
    today = now.astimezone(place).date()
    mornings = (datetime.combine(today + timedelta(days), time(HEAD_HOUR), place).astimezone(UTC) for days in (0, 1))
    return next(morning for morning in mornings if morning > now)


def _words(entry: Entry) -> dict[str, Any]:
    return {
        "no": entry.no,
        "at": _moment(entry.at),
        "actor_kind": entry.actor_kind,
        "actor": str(entry.actor_id) if entry.actor_id else None,
        "action": entry.action,
        "subject": entry.subject,
        "facts": dict(entry.facts),
    }


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _line(words: Mapping[str, Any]) -> str:
    return json.dumps(words, separators=(",", ":")) + "\n"


def _object(line: str) -> dict[str, Any]:
    try:
        words = json.loads(line)
    except (ValueError, RecursionError):
        raise Damaged("A line is not JSON.") from None
    if not isinstance(words, dict):
        raise Damaged("A line is not an object.")
    return words


def _head(line: str) -> dict[str, Any]:
    words = _object(line)
    if words.get("format") != FORMAT:
        raise Damaged(f"This is not an audit export of the format {FORMAT}.")
    return words


def _range(head: Mapping[str, Any]) -> Range:
    first, last = int(head["first_no"]), int(head["last_no"])
    before, own = _hash(head["before"]), _hash(head["head"])
    return Range(parse("wsp", head["workspace"]), (first - 1, before), (last, own))


def _entry(tenant_id: UUID, line: str) -> Link:
    words = _object(line)
    try:
        entry = Entry(
            tenant_id,
            _number(words["no"]),
            datetime.fromisoformat(words["at"]).astimezone(UTC),
            words["actor_kind"],
            UUID(words["actor"]) if words["actor"] is not None else None,
            words["action"],
            words["subject"],
            dict(words["facts"]),
        )
        entry_hash(START, entry)  # what has no canonical form cannot have been an entry
        previous, own = _hash(words["previous"]), _hash(words["hash"])
    except (AttributeError, KeyError, TypeError, ValueError, rfc8785.CanonicalizationError):
        raise Damaged("A line is not an entry.") from None
    # Whoever wrote the same in other letters edited it all the same: then no hash is the line's own.
    return entry, previous, own if entry_line(entry, previous, own).rstrip() == line.rstrip() else START


def _number(value: object) -> int:
    if type(value) is not int:
        raise Damaged("A number of an entry is not a number.")
    return value


def _hash(text: str) -> bytes:
    found = bytes.fromhex(text)
    if len(found) != _HASH_BYTES or found.hex() != text:
        raise Damaged("A hash is not a hash.")
    return found
