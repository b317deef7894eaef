"""Action: set attributes of everybody at the step, one statement for 100,000 people (S12)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, aggregate_order_by
from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.rules.attributes import CHECKS, MAX_JSON_BYTES, MAX_NUMBER
from saas.audiences.types import AttributeKind
from saas.campaigns.steps import set_attribute
from saas.campaigns.steps.kind import DONE
from saas.journeys.sets.cohort import People, in_slices
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.ledger.models import Contact, Entry
from saas.platform.db import bound_tenant

_DAY: Final = "YYYY-MM-DD"
_MOMENT: Final = 'YYYY-MM-DD"T"HH24:MI:SS"Z"'


def change_all(session: Session, people: People, changes: Sequence[Mapping[str, Any]], *, now: datetime) -> None:
    """Set attributes of everybody; who would have more than fits beside a contact keeps what they have."""
    kinds, tenant = attribute_kinds(session), bound_tenant(session)
    asked = sorted({change["context"] for change in changes if "context" in change})

    def write(some: People) -> None:
        who = some.add_columns(Entry.context, Entry.entered_at).subquery()
        # Somebody with several entries is changed once: what is added is added for each of them, and of fields that
        # several calls sent along the last one's counts.
        once = (
            sa.select(
                who.c.contact_id,
                *(_last_said(who, key).label(f"said_{no}") for no, key in enumerate(asked)),
                sa.func.count().label("times"),
            )
            .group_by(who.c.contact_id)
            .subquery()
        )
        said = {key: once.c[f"said_{no}"] for no, key in enumerate(asked)}
        value: sa.ColumnElement[Any] = Contact.attributes.expression
        for change in changes:
            value = _changed(value, change, kinds[change["attribute"]], said, once.c.times, now)
        fits = sa.func.octet_length(sa.cast(value, sa.Text())) <= MAX_JSON_BYTES
        session.execute(
            sa.update(Contact)
            .where(
                Contact.tenant_id == tenant, Contact.contact_id == once.c.contact_id, Contact.erased_at.is_(None), fits
            )
            .values(attributes=value, updated_at=now, version=Contact.version + 1),
            execution_options={"synchronize_session": False},
        )

    in_slices(session, people, write)


def _last_said(who: sa.Subquery, key: str) -> sa.ColumnElement[Any]:
    """Return a field of the context of somebody's last entry that has it."""
    field = who.c.context.op("->", return_type=JSONB())(sa.literal(key, sa.Text()))
    # Not by the entries' ids alone: each connection takes a thousand of them at once.
    last = aggregate_order_by(field, who.c.entered_at.desc(), who.c.entry_id.desc())
    ordered = sa.func.array_agg(last, type_=ARRAY(JSONB()))
    return sa.cast(ordered.filter(sa.func.jsonb_typeof(field) != "null")[1], JSONB())


def _changed(
    before: sa.ColumnElement[Any],
    change: Mapping[str, Any],
    kind: AttributeKind,
    said: Mapping[str, Any],
    times: sa.ColumnElement[int],
    now: datetime,
) -> sa.ColumnElement[Any]:
    key = sa.literal(change["attribute"], sa.Text())
    if "clear" in change:
        return before.op("-", return_type=JSONB())(key)
    if "value" in change:
        new: sa.ColumnElement[Any] = sa.literal(CHECKS[kind](change["value"]), JSONB())
    elif "now" in change:
        utc = sa.literal(now.replace(tzinfo=None))
        form = _DAY if kind is AttributeKind.DATE else _MOMENT
        new = sa.func.to_jsonb(sa.func.to_char(utc, form))
    elif "copy" in change:
        new = before.op("->", return_type=JSONB())(sa.literal(change["copy"], sa.Text()))
    elif "context" in change:
        new = said[change["context"]]
    else:
        new = _sum(before, key, change["add"], times)
    own = sa.func.jsonb_build_object(key, new, type_=JSONB())
    # What has no value there sets nothing.
    return sa.case(
        (sa.func.jsonb_typeof(new).not_in(("null",)), before.op("||", return_type=JSONB())(own)), else_=before
    )


def _sum(
    before: sa.ColumnElement[Any], key: sa.ColumnElement[str], add: float, times: sa.ColumnElement[int]
) -> sa.ColumnElement[Any]:
    held = before.op("->", return_type=JSONB())(key)
    number = sa.case(
        (sa.func.jsonb_typeof(held) == "number", sa.cast(before.op("->>", return_type=sa.Text())(key), sa.Numeric())),
        else_=0,
    )
    total = number + sa.cast(sa.literal(str(add)), sa.Numeric()) * times
    most = sa.literal(MAX_NUMBER, sa.Numeric())
    return sa.func.to_jsonb(sa.func.trim_scale(sa.func.least(sa.func.greatest(total, -most), most)))


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        change_all(visit.session, visit.people, visit.step.own["changes"], now=visit.now)
    return True


def _stream(turn: Turn) -> None:
    change_all(turn.session, turn.arrived, turn.step.own["changes"], now=turn.now)
    turn.leave(sa.literal(DONE))


WORK = StepWork(set_attribute.KIND, _cohort, _stream)
