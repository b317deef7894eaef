"""Let sets of people in: those of one campaign begin another that starts on call, as a call would."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.document import Damaged, Document, read
from saas.campaigns.types import CampaignKind, CampaignState
from saas.journeys.sets.cohort import People
from saas.ledger.models import ENTRY_IDS, Entry, Wait
from saas.ledger.types import FLOW_STEP, WaitStage, flow_subject
from saas.platform.agenda import service as agenda
from saas.platform.db import bound_tenant

ENTRY_COLUMNS: Final = (
    "tenant_id", "entry_id", "campaign_id", "occurrence", "contact_id", "entry_key", "single", "context", "entered_at",
)  # fmt: skip
MOST_IN_TURN: Final = 10  # campaigns that begin each other, so that a circle of them ends
_STAND: Final = ("tenant_id", "entry_id", "step_no", "campaign_id", "contact_id", "due_at", "stage")


def enter_called(session: Session, people: People, *, campaign_id: UUID, now: datetime) -> int:
    """Enter everybody of a statement, once for each of their entries.

    What was sent along is handed on as far as it is declared there. An entry's key says which one it came from, and how
    many campaigns stand before it; whoever came through too many goes no further. Returns how many came in; none where
    the campaign takes no calls now.
    """
    document = _open_document(session, campaign_id, now)
    if document is None:
        return 0
    tenant = bound_tenant(session)
    declared = [field["key"] for field in document.payload]
    depth = sa.func.coalesce(sa.cast(sa.func.substring(Entry.entry_key, "^flow:([0-9]{1,3}):"), sa.Integer()), 0)
    who = people.where(depth < MOST_IN_TURN).add_columns(Entry.context, (depth + 1).label("depth")).cte("who")
    rows = sa.select(
        sa.literal(tenant),
        ENTRY_IDS.next_value(),
        sa.literal(campaign_id),
        sa.literal(""),
        who.c.contact_id,
        sa.func.concat("flow:", who.c.depth, ":", who.c.entry_id),
        sa.literal(value=False),
        _handed_on(who.c.context, declared),
        sa.literal(now),
    ).order_by(who.c.contact_id)
    return let_in(session, rows, campaign_id=campaign_id, document=document, now=now)


def let_in(session: Session, rows: sa.Select[Any], *, campaign_id: UUID, document: Document, now: datetime) -> int:
    """Write entries (rows: values as `ENTRY_COLUMNS` has them) and let whose are new stand at the first steps.

    Who has an entry of the same key already is passed over. Returns how many came in.
    """
    entered = (
        insert(Entry)
        .from_select(ENTRY_COLUMNS, rows, include_defaults=False)
        .on_conflict_do_nothing()
        .returning(Entry.entry_id, Entry.contact_id)
        .cte("entered")
    )
    first = sa.values(sa.column("step_no", sa.SmallInteger()), name="first").data(
        [(no,) for no in document.shape.start]
    )
    stand = sa.insert(Wait).from_select(
        _STAND,
        sa.select(
            sa.literal(bound_tenant(session)),
            entered.c.entry_id,
            first.c.step_no,
            sa.literal(campaign_id),
            entered.c.contact_id,
            sa.literal(now),
            sa.literal(WaitStage.ARRIVED.value),
        ).join(first, sa.true()),
        include_defaults=False,
    )
    stood = stand.returning(Wait.entry_id).cte("stood")
    count = session.scalar(sa.select(sa.func.count()).select_from(entered).add_cte(stood)) or 0
    for step_no in document.shape.start if count else ():
        agenda.arm(session, work=FLOW_STEP, subject=flow_subject(campaign_id, step_no), due_at=now)
    return count


def _open_document(session: Session, campaign_id: UUID, now: datetime) -> Document | None:
    """Return what a campaign says that takes calls now; None for every other one."""
    campaign = session.get(Campaign, (bound_tenant(session), campaign_id))
    if campaign is None or CampaignKind(campaign.kind) is not CampaignKind.API:
        return None
    revision = campaigns.published(session, campaign_id)
    if revision is None or CampaignState(campaign.state) is not CampaignState.ACTIVE:
        return None
    try:
        document = read(revision.document or b"", expected_hash=revision.content_hash or "")
    except Damaged:
        return None
    early = document.accepts_from is not None and now < document.accepts_from
    late = document.accepts_until is not None and now >= document.accepts_until
    return None if early or late else document


def _handed_on(context: sa.ColumnElement[object], declared: list[str]) -> sa.ColumnElement[object]:
    """Return the part of a context that another campaign declares."""
    keys = sa.literal(declared, sa.ARRAY(sa.Text()))
    pairs = sa.func.jsonb_each(context).table_valued("key", "value", name="pair")
    return (
        sa.select(sa.func.jsonb_object_agg(pairs.c.key, sa.cast(pairs.c.value, JSONB())))
        .where(pairs.c.key == sa.any_(keys))
        .scalar_subquery()
    )
