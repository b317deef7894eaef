"""Move people who have times of their own: who is due leaves, is written down, arrives (ledger.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session, aliased

from saas.journeys.sets.cohort import People
from saas.journeys.sets.passages import nothing
from saas.kernel import fault
from saas.ledger.models import Contact, Entry, Passage, Wait
from saas.ledger.types import WaitStage
from saas.platform.db import bound_tenant

MOST: Final = 10_000  # people in one statement of one visit
NEVER: Final = datetime(9999, 12, 31, tzinfo=UTC)  # whose message is on its way is due when it has an outcome

LATE: Final = "late"  # in the facts of a wait: came to a step that had begun, and passes it alone

FACTS: Final = sa.literal_column("due.facts", JSONB())  # what is known of them by now
ANSWER: Final = sa.literal_column("due.answer", sa.Text())  # what somebody waited for, in expressions of `leave_by`

_PASSAGE: Final = ("tenant_id", "entry_id", "step_no", "exit", "at", "facts")
_WAIT: Final = ("tenant_id", "entry_id", "step_no", "campaign_id", "contact_id", "due_at", "stage")


@dataclass(frozen=True, slots=True)
class Spot:
    """A step of a campaign as people leave it.

    nexts: where each exit leads; writes: passages are written; together: the messages that are sent at once with it,
    itself among them; ending: why an entry has ended whose way ends here; of_cohort: a campaign with dates, whose
    people come to the next step together, and whose entries are never updated.
    """

    campaign_id: UUID
    step_no: int
    nexts: Mapping[str, Sequence[int]]
    writes: bool
    together: Sequence[int]
    ending: str = "finished"
    of_cohort: bool = False


def due_at_step(session: Session, spot: Spot, *, stage: WaitStage, now: datetime) -> sa.Select[int, UUID]:
    """Return the statement for those who are due at a step, the longest waiting first, at most MOST: entry, contact."""
    return (
        sa.select(Wait.entry_id, Wait.contact_id)
        .where(
            Wait.tenant_id == bound_tenant(session),
            Wait.campaign_id == spot.campaign_id,
            Wait.step_no == spot.step_no,
            Wait.stage == stage.value,
            Wait.due_at <= now,
        )
        .order_by(Wait.due_at, Wait.entry_id)
        .limit(MOST)
    )


def one_of(column: sa.ColumnElement[int] | InstrumentedAttribute[int], rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Say whether an entry is among the rows of a part of the statement, looked up by its key.

    As an array: where statistics are older than a cohort, PostgreSQL expects hardly anybody at a step, and would hold
    each of ten thousand people against everybody who waits, which takes minutes.
    """
    return column == sa.any_(sa.func.array(sa.select(rows.c.entry_id).scalar_subquery()))


def people_due(session: Session, spot: Spot, *, now: datetime) -> People:
    """Return the entries of those who have just come to a step: what actions act on."""
    due = due_at_step(session, spot, stage=WaitStage.ARRIVED, now=now).subquery("due")
    tenant = bound_tenant(session)
    return sa.select(Entry.entry_id, Entry.contact_id).where(Entry.tenant_id == tenant, one_of(Entry.entry_id, due))


def leave_by(
    session: Session,
    spot: Spot,
    *,
    stage: WaitStage,
    word: sa.ColumnElement[str],
    facts: sa.ColumnElement[Any] | None = None,
    now: datetime,
    only: sa.ColumnElement[bool] | None = None,
) -> dict[str, int]:
    """Send whoever is due at a step by the exit that an expression over Entry, Contact and ANSWER says.

    One statement: they leave, are written down where the way divides, arrive, or have ended. Returns how many took
    each exit. Of messages that were sent at once only who has an outcome of all of them goes on. only: an expression
    over Wait that says of whom it is asked.
    """
    tenant = bound_tenant(session)
    due = due_at_step(session, spot, stage=stage, now=now).add_columns(Wait.answer, Wait.due_at, Wait.facts)
    due = due if only is None else due.where(only)
    others = [no for no in spot.together if no != spot.step_no]
    if others and stage is WaitStage.SENDING:
        due = due.where(sa.not_(_still_sending(session, others, now)))
    due_rows = due.with_for_update().cte("due")
    gone = (
        sa.delete(Wait)
        .where(Wait.tenant_id == tenant, Wait.step_no.in_(spot.together), one_of(Wait.entry_id, due_rows))
        .returning(Wait.entry_id)
        .cte("gone")
    )
    each = (  # by its key, one by one: see `one_of`
        sa.select(
            Entry.entry_id, Entry.contact_id, word.label("word"), (nothing() if facts is None else facts).label("facts")
        )
        .outerjoin(Contact, sa.and_(Contact.tenant_id == tenant, Contact.contact_id == Entry.contact_id))
        .where(Entry.tenant_id == tenant, Entry.entry_id == due_rows.c.entry_id)
        .offset(0)
        .correlate(due_rows)
        .lateral("each")
    )
    judged = sa.select(each).select_from(due_rows).join(each, sa.true()).cte("judged")
    return _carry_on(session, spot, judged, [gone], now)


def _still_sending(session: Session, steps: Sequence[int], now: datetime) -> sa.ColumnElement[bool]:
    other = aliased(Wait)
    settled = sa.and_(other.stage == WaitStage.SENDING.value, other.due_at <= now)
    return (
        sa.select(sa.literal(1))
        .where(
            other.tenant_id == bound_tenant(session),
            other.entry_id == Wait.entry_id,
            other.step_no.in_(steps),
            sa.not_(settled),
        )
        .exists()
    )


def leave_with(
    session: Session, spot: Spot, *, words: Mapping[int, str], facts: Mapping[str, Any], now: datetime
) -> dict[str, int]:
    """Send people by exits that were decided one by one: an exit for each entry. Returns how many took each.

    facts: what is written down beside what is known of them by now.
    """
    tenant = bound_tenant(session)
    given = (
        sa.select(
            sa.func.unnest(sa.literal(list(words), ARRAY(sa.BigInteger()))).label("entry_id"),
            sa.func.unnest(sa.literal(list(words.values()), ARRAY(sa.Text()))).label("word"),
        )
    ).cte("given")
    here = (  # by its key, one by one: see `one_of`
        sa.select(Wait.entry_id, Wait.contact_id, sa.func.coalesce(Wait.facts, nothing()).label("facts"))
        .where(Wait.tenant_id == tenant, Wait.step_no == spot.step_no, Wait.entry_id == given.c.entry_id)
        .with_for_update()
        .offset(0)
        .correlate(given)
        .lateral("here")
    )
    judged = (
        sa.select(
            here.c.entry_id,
            here.c.contact_id,
            given.c.word,
            here.c.facts.op("||")(sa.literal(dict(facts), JSONB())).label("facts"),
        )
        .select_from(given)
        .join(here, sa.true())
        .cte("judged")
    )
    gone = (
        sa.delete(Wait)
        .where(Wait.tenant_id == tenant, Wait.step_no == spot.step_no, one_of(Wait.entry_id, judged))
        .returning(Wait.entry_id)
        .cte("gone")
    )
    return _carry_on(session, spot, judged, [gone], now)


def _carry_on(session: Session, spot: Spot, judged: sa.CTE, parts: list[sa.CTE], now: datetime) -> dict[str, int]:
    tenant = bound_tenant(session)
    legs = [(word, target) for word, targets in spot.nexts.items() for target in targets]
    if spot.writes:
        rows = sa.select(
            sa.literal(tenant),
            judged.c.entry_id,
            sa.literal(spot.step_no),
            judged.c.word,
            sa.literal(now),
            judged.c.facts,
        )
        parts.append(
            sa.insert(Passage)
            .from_select(_PASSAGE, rows, include_defaults=False)
            .returning(Passage.entry_id)
            .cte("passed")
        )
    if legs and not spot.of_cohort:
        # Arrays, not VALUES: a statement with those is compiled anew at every turn, which takes longer than it runs.
        leg = (
            sa.select(
                sa.func.unnest(sa.literal([word for word, _ in legs], ARRAY(sa.Text()))).label("word"),
                sa.func.unnest(sa.literal([target for _, target in legs], ARRAY(sa.SmallInteger()))).label("target"),
            )
        ).subquery("leg")
        rows = sa.select(
            sa.literal(tenant),
            judged.c.entry_id,
            leg.c.target,
            sa.literal(spot.campaign_id),
            judged.c.contact_id,
            sa.literal(now),
            sa.literal(WaitStage.ARRIVED.value),
        ).join(leg, leg.c.word == judged.c.word)
        insert = sa.insert(Wait).from_select(_WAIT, rows, include_defaults=False)
        parts.append(insert.returning(Wait.entry_id).cte("arrived"))
    leads = [word for word, targets in spot.nexts.items() if targets]
    ended = sa.select(judged.c.entry_id).where(judged.c.word.not_in(leads) if leads else sa.true()).subquery()
    over = (
        sa.update(Entry)
        .where(Entry.tenant_id == tenant, one_of(Entry.entry_id, ended), Entry.ended_at.is_(None))
        .values(ended_at=now, end_reason=spot.ending)
        .returning(Entry.entry_id)
        .cte("over")
    )
    if not spot.of_cohort:
        parts.append(over)
    found = sa.select(judged.c.word, sa.func.count()).group_by(judged.c.word).add_cte(*parts)
    people = {row[0]: row[1] for row in session.execute(found)}
    fault.point("flow.moved")
    return people


def arrive(session: Session, *, campaign_id: UUID, step_no: int, people: People, now: datetime) -> None:
    """Let people come to a step from outside: entries that have just begun."""
    who = people.subquery()
    rows = sa.select(
        sa.literal(bound_tenant(session)),
        who.c.entry_id,
        sa.literal(step_no),
        sa.literal(campaign_id),
        who.c.contact_id,
        sa.literal(now),
        sa.literal(WaitStage.ARRIVED.value),
    )
    session.execute(sa.insert(Wait).from_select(_WAIT, rows, include_defaults=False))


def next_due(
    session: Session, *, campaign_id: UUID, step_no: int, now: datetime, together: Sequence[int] = ()
) -> datetime | None:
    """Return when the next person is due at a step, None when nobody waits for a moment there.

    together: the messages that are sent at once with it; who has no outcome of another one yet is not due here, but
    woken by that.
    """
    where = [
        Wait.tenant_id == bound_tenant(session),
        Wait.campaign_id == campaign_id,
        Wait.step_no == step_no,
        Wait.due_at < NEVER,
    ]
    others = [no for no in together if no != step_no]
    if others:
        where.append(sa.not_(_still_sending(session, others, now)))
    found: datetime | None = session.scalar(sa.select(sa.func.min(Wait.due_at)).where(*where))
    return found
