"""Put test people into a rehearsal: copies of contacts, or people who are invented; no real row is touched (U14)."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.rules.attributes import CHECKS
from saas.audiences.types import AttributeKind, Unfit
from saas.campaigns.rules.document import canonical, hash_of, read
from saas.campaigns.service.people import audience_of
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import uuid7
from saas.ledger.models import Consent, Contact, Suppression
from saas.ledger.types import SuppressionReason
from saas.platform.db import bound_tenant
from saas.reports.rules.scenario import Player
from saas.reports.service.stage import Stage

SAMPLE: Final = 10

_COPY_LISTS: Final = sa.text(
    """
    INSERT INTO list_member (tenant_id, list_id, contact_id, added_at)
    SELECT m.tenant_id, m.list_id, x.copy, m.added_at
    FROM unnest(CAST(:originals AS uuid[]), CAST(:copies AS uuid[])) AS x(original, copy)
    JOIN list_member m ON m.tenant_id = :tenant AND m.contact_id = x.original
    """
)
_COPY_CONSENTS: Final = sa.text(
    """
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    SELECT c.tenant_id, x.copy, c.topic, c.status, c.source, c.at
    FROM unnest(CAST(:originals AS uuid[]), CAST(:copies AS uuid[])) AS x(original, copy)
    JOIN consent c ON c.tenant_id = :tenant AND c.contact_id = x.original
    """
)
# What somebody got lately counts against the frequency cap; entries of their own, for the gate is (entry, step).
_COPY_MESSAGES: Final = sa.text(
    """
    INSERT INTO delivery (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, exc, reason,
      claimed_at, settled_at)
    SELECT d.tenant_id, nextval('entry_id_seq'), d.step_no, d.run_id, d.chunk_no, x.copy, d.token, d.attempt, d.exc,
      d.reason, d.claimed_at, d.settled_at
    FROM unnest(CAST(:originals AS uuid[]), CAST(:copies AS uuid[])) AS x(original, copy)
    JOIN delivery d ON d.tenant_id = :tenant AND d.contact_id = x.original AND d.claimed_at > :since
    """
)


def put_in(session: Session, stage: Stage, people: Sequence[Player], *, now: datetime) -> dict[str, UUID]:
    """Write the people of a scenario. Returns the contact of each name. Raises Invalid with every fault."""
    originals = _originals(session, people)
    kinds, found = attribute_kinds(session), {}
    faults: list[Fault] = []
    contacts, consents, suppressed = [], [], []
    for no, person in enumerate(people):
        contact_id = found[person.name] = uuid7()
        original = originals.get(person.contact_id) if person.contact_id else None
        if person.contact_id and original is None:
            faults.append(Fault(f"/people/{no}/contact_id", "There is no such contact in this workspace."))
            continue
        attributes = _attributes(person.attributes, kinds, f"/people/{no}/attributes", faults)
        contacts.append(_contact(stage, person, original, contact_id, attributes, now))
        if original is None:
            consents += _consent(stage, person, contact_id, now)
            suppressed += [contacts[-1]["address_hash"]] if person.suppressed else []
    if faults:
        raise Invalid("These people cannot take part; see errors.", faults=faults)
    session.execute(sa.insert(Contact), contacts)
    if consents:
        session.execute(sa.insert(Consent), consents)
    _suppress(session, stage, suppressed, now)
    _copy(session, stage, {p.contact_id: found[p.name] for p in people if p.contact_id}, now)
    if stage.campaign.kind != CampaignKind.FLOWING.value or (stage.document.entry or {}).get("event"):
        enlist(session, stage, people, found, now)  # who comes to match does so at their own time
    return found


def sample(session: Session, document: Mapping[str, Any]) -> list[Player]:
    """Return some of the audience, for who names nobody; one invented person where there is no audience."""
    stored = canonical(dict(document))
    members = audience_of(session, read(stored, expected_hash=hash_of(stored)))
    if members is None:
        return [Player("Example", context=example_context(document["payload"]))]
    ids = session.scalars(members.order_by(sa.text("contact_id")).limit(SAMPLE)).all()
    people = [Player(f"Person {no}", contact_id=contact_id) for no, contact_id in enumerate(ids, start=1)]
    return people or [Player("Example")]


def example_context(payload: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return plausible values for the fields of a declared payload (R5.6, U13)."""
    return {field["key"]: _plausible(field["key"], field["kind"]) for field in payload}


_BY_NAME: Final[Mapping[str, object]] = {
    "url": "https://shop.northwind.example/orders/4711",
    "link": "https://shop.northwind.example/orders/4711",
    "email": "kari@example.org",
    "name": "Kari",
    "code": "4711-0815",
    "order": "NO-20417",
    "city": "Oslo",
    "date": "2026-12-01",
    "time": "09:00",
    "phone": "+47 555 01 234",
    "product": "Rain jacket",
}
_BY_KIND: Final[Mapping[str, object]] = {"text": "Example", "number": 42, "boolean": True}
_BY_NUMBER: Final[Mapping[str, object]] = {"price": 129.5, "amount": 129.5, "total": 129.5, "count": 3, "quantity": 2}


def _plausible(key: str, kind: str) -> object:
    words = _BY_NAME if kind == "text" else _BY_NUMBER if kind == "number" else {}
    return next((value for word, value in words.items() if word in key.lower()), _BY_KIND[kind])


def _originals(session: Session, people: Sequence[Player]) -> dict[UUID, Contact]:
    wanted = [person.contact_id for person in people if person.contact_id]
    found = sa.select(Contact).where(Contact.tenant_id == bound_tenant(session), Contact.contact_id.in_(wanted))
    return {row.contact_id: row for row in session.scalars(found)} if wanted else {}


def _attributes(
    given: Mapping[str, Any], kinds: Mapping[str, AttributeKind], pointer: str, faults: list[Fault]
) -> dict[str, Any]:
    found = {}
    for key, value in given.items():
        kind = kinds.get(key)
        if kind is None:
            faults.append(Fault(f"{pointer}/{key}", "There is no such attribute."))
            continue
        try:
            found[key] = CHECKS[kind](value)
        except Unfit as error:
            faults.append(Fault(f"{pointer}/{key}", str(error)))
    return found


def _contact(
    stage: Stage,
    person: Player,
    original: Contact | None,
    contact_id: UUID,
    attributes: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """Return a contact without the keys by which others find it: those are unique, and belong to the real one."""
    address = f"test.{contact_id.hex}@example.invalid"
    return {
        "tenant_id": stage.campaign.tenant_id,
        "contact_id": contact_id,
        "email": (address if person.reachable else None) if original is None else original.email,
        "address_hash": contact_id.bytes if original is None else original.address_hash,
        "attributes": {**(original.attributes if original is not None else {}), **attributes},
        "created_at": now,
        "updated_at": now,
        "erased_at": original.erased_at if original is not None else None,
        "version": 1,
    }


def _consent(stage: Stage, person: Player, contact_id: UUID, now: datetime) -> list[dict[str, Any]]:
    if person.consent is None or not stage.document.topic:
        return []
    row = {"tenant_id": stage.campaign.tenant_id, "contact_id": contact_id, "topic": stage.document.topic}
    return [row | {"status": person.consent, "source": "rehearsal", "at": now}]


def _suppress(session: Session, stage: Stage, hashes: Sequence[bytes], now: datetime) -> None:
    if hashes:
        row = {"tenant_id": stage.campaign.tenant_id, "reason": SuppressionReason.MANUAL.value, "at": now}
        session.execute(sa.insert(Suppression), [row | {"address_hash": each} for each in hashes])


def _copy(session: Session, stage: Stage, copies: Mapping[UUID, UUID], now: datetime) -> None:
    if not copies:
        return
    cap = stage.document.cap
    values = {"tenant": stage.campaign.tenant_id, "originals": list(copies), "copies": list(copies.values())}
    session.execute(_COPY_LISTS, values)
    session.execute(_COPY_CONSENTS, values)
    if cap is not None:
        session.execute(_COPY_MESSAGES, values | {"since": now - timedelta(days=cap.days)})


def enlist(session: Session, stage: Stage, people: Sequence[Player], found: Mapping[str, UUID], now: datetime) -> None:
    """Put people on the rehearsal's own list: the invented as they say, copies where the contact stands on the list."""
    if stage.list_id is None:
        return
    listed = _listed(session, stage, [found[person.name] for person in people if person.contact_id])
    members = [found[p.name] for p in people if (found[p.name] in listed if p.contact_id else p.listed)]
    row = {"tenant_id": stage.campaign.tenant_id, "added_at": now}
    rows = [row | {"list_id": stage.list_id, "contact_id": each} for each in members]
    invented = {found[person.name] for person in people if not person.contact_id}
    if stage.real_list_id is not None:
        rows += [row | {"list_id": stage.real_list_id, "contact_id": each} for each in members if each in invented]
    if rows:
        session.execute(sa.insert(ListMember), rows)


def _listed(session: Session, stage: Stage, copies: Sequence[UUID]) -> set[UUID]:
    if stage.real_list_id is None:  # those whom an earlier campaign has not served: whoever is named belongs to them
        return set(copies)
    rows = session.scalars(
        sa.select(ListMember.contact_id).where(
            ListMember.tenant_id == stage.campaign.tenant_id,
            ListMember.list_id == stage.real_list_id,
            ListMember.contact_id.in_(copies),
        )
    )
    return set(rows)
