"""Who of a cohort is at a step: the entries of an occurrence whose way leads there, as one statement (ledger.md)."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.rules.document import Document
from saas.campaigns.rules.flow.shape import ANY, Leg, Shape, Way
from saas.campaigns.steps import random_split
from saas.ledger.models import Entry, Passage, Run
from saas.ledger.types import RunState
from saas.platform.db import bound_tenant

SLICE: Final = 100_000

People = sa.Select[int, UUID]  # entry_id, contact_id
Ranges = Mapping[int, Mapping[str, Mapping[str, Any]]]  # of random splits: by step and branch, people and hashes


def people_at(session: Session, document: Document, *, campaign_id: UUID, occurrence: str, step_no: int) -> People:
    """Return the statement for everybody of an occurrence who is at a step."""
    everybody = sa.select(Entry.entry_id, Entry.contact_id).where(
        Entry.tenant_id == bound_tenant(session), Entry.campaign_id == campaign_id, Entry.occurrence == occurrence
    )
    ways = document.shape.ways[step_no]
    if frozenset() in ways:
        return everybody
    kinds = {step.step_no: step.kind for step in document.steps}
    ranges = _ranges(session, campaign_id, occurrence)

    def leg(one: Leg) -> sa.ColumnElement[bool]:
        if kinds[one[0]] == random_split.KIND:
            return _in_range(campaign_id, one, ranges)
        return _passed(session, one)

    own = [sa.and_(*(leg(one) for one in _telling(way, document.shape, kinds))) for way in ways]
    return everybody.where(sa.or_(sa.false(), *own))


def _telling(way: Way, shape: Shape, kinds: Mapping[int, str]) -> Iterator[Leg]:
    """Yield the legs that have to be looked at: who passed a split is known to have come there."""
    known: set[int] = set()
    for no, _ in way:
        if kinds[no] != random_split.KIND:
            known |= shape.before(no)
    yield from (leg for leg in sorted(way) if leg[0] not in known)


def _passed(session: Session, leg: Leg) -> sa.ColumnElement[bool]:
    """Say whether somebody took an exit: a look by the whole key for each person, which OFFSET keeps.

    Where statistics were taken before the passages were written, or after as many were thrown away, PostgreSQL expects
    hardly any, and would look through the cohort anew for each of them.
    """
    return (
        sa.select(sa.literal(1))
        .where(
            Passage.tenant_id == bound_tenant(session),
            Passage.entry_id == Entry.entry_id,
            Passage.step_no == leg[0],
            sa.true() if leg[1] == ANY else Passage.exit == leg[1],
        )
        .offset(0)
        .correlate(Entry)
        .exists()
    )


def _ranges(session: Session, campaign_id: UUID, occurrence: str) -> Ranges:
    rows = session.execute(
        sa.select(Run.step_no, Run.facts).where(
            Run.tenant_id == bound_tenant(session),
            Run.campaign_id == campaign_id,
            Run.occurrence == occurrence,
            Run.state != RunState.CANCELLED,
        )
    )
    return {no: facts["split"] for no, facts in rows if "split" in facts}


def _in_range(campaign_id: UUID, leg: Leg, ranges: Ranges) -> sa.ColumnElement[bool]:
    if leg[1] == ANY:
        return sa.literal(any(found["people"] for found in ranges.get(leg[0], {}).values()))
    found = ranges.get(leg[0], {}).get(leg[1])
    if found is None or not found["people"]:
        return sa.false()
    place = chance(campaign_id, leg[0])
    over, upto = found["over"], found["upto"]
    low = place > sa.literal(bytes.fromhex(over), sa.LargeBinary()) if over is not None else sa.true()
    high = place <= sa.literal(bytes.fromhex(upto), sa.LargeBinary()) if upto is not None else sa.true()
    return sa.and_(low, high)


def chance(campaign_id: UUID, step_no: int) -> sa.ColumnElement[bytes]:
    """Return an entry's place in a random order: sha256 of the campaign's salt, the step and the entry (R8)."""
    seed = sa.literal(campaign_id.bytes + step_no.to_bytes(4, "big"), sa.LargeBinary())
    return sa.func.sha256(
        seed.op("||", return_type=sa.LargeBinary())(sa.func.int8send(Entry.entry_id)), type_=sa.LargeBinary()
    )


def hashes_at(
    session: Session, people: People, campaign_id: UUID, step_no: int, places: Collection[int]
) -> dict[int, bytes]:
    """Return the hashes at some places of the random order of people at a step, counted from 1."""
    own = chance(campaign_id, step_no)
    place = sa.func.row_number().over(order_by=(own, Entry.entry_id)).label("place")
    found = people.with_only_columns(own.label("hash"), place).subquery()
    rows = session.execute(sa.select(found.c.place, found.c.hash).where(found.c.place.in_(set(places))))
    return {row.place: bytes(row.hash) for row in rows}


def count(session: Session, people: People) -> int:
    """Return how many people a statement finds."""
    return session.scalar(sa.select(sa.func.count()).select_from(people.subquery())) or 0


def in_slices(session: Session, people: People, act: Callable[[People], None]) -> int:
    """Act on everybody, at most SLICE people a statement, in order of entry. Returns how many people those are."""
    found = people.subquery()
    ranked = sa.select(found.c.entry_id, sa.func.row_number().over(order_by=found.c.entry_id).label("place")).subquery()
    total = sa.select(sa.func.count(), sa.func.max(ranked.c.entry_id)).select_from(ranked)
    people_in_all, last = session.execute(total).one()
    if not people_in_all:
        return 0
    marks = list(
        session.scalars(sa.select(ranked.c.entry_id).where(ranked.c.place % SLICE == 0).order_by(ranked.c.place))
        if people_in_all > SLICE
        else ()
    )
    low = -1
    for high in [*(mark for mark in marks if mark != last), last]:
        act(people.where(Entry.entry_id > low, Entry.entry_id <= high))
        low = high
    return int(people_in_all)
