"""Action: everybody at the step is put on a list, or taken off it (M27)."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from saas.audiences.models import ListMember
from saas.campaigns.steps import change_list
from saas.campaigns.steps.kind import DONE
from saas.journeys.sets.cohort import People, in_slices
from saas.journeys.steps.kind import StepWork, Turn, Visit
from saas.platform.db import bound_tenant


def change_all(session: Session, people: People, *, list_id: UUID, action: str, now: datetime) -> None:
    """Put everybody on a list, or take them off."""
    tenant = bound_tenant(session)

    def add(some: People) -> None:
        who = some.subquery()
        rows = sa.select(sa.literal(tenant), sa.literal(list_id), who.c.contact_id, sa.literal(now)).distinct()
        columns = ["tenant_id", "list_id", "contact_id", "added_at"]
        session.execute(insert(ListMember).from_select(columns, rows, include_defaults=False).on_conflict_do_nothing())

    def remove(some: People) -> None:
        who = some.subquery()
        session.execute(
            sa.delete(ListMember).where(
                ListMember.tenant_id == tenant,
                ListMember.list_id == list_id,
                ListMember.contact_id.in_(sa.select(who.c.contact_id)),
            ),
            execution_options={"synchronize_session": False},
        )

    in_slices(session, people, add if action == "add" else remove)


def _cohort(visit: Visit) -> bool:
    if not visit.too_late:
        own = visit.step.own
        change_all(visit.session, visit.people, list_id=UUID(own["list_id"]), action=own["action"], now=visit.now)
    return True


def _stream(turn: Turn) -> None:
    own = turn.step.own
    change_all(turn.session, turn.arrived, list_id=UUID(own["list_id"]), action=own["action"], now=turn.now)
    turn.leave(sa.literal(DONE))


WORK = StepWork(change_list.KIND, _cohort, _stream)
