"""Read the list of campaigns as people narrow and order it, categories and templates."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns.desk.models import CampaignTemplate, Category
from saas.campaigns.models import Campaign
from saas.campaigns.queries import visible
from saas.campaigns.types import CampaignKind, CampaignSort, CampaignState
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.paging import Page, PageRequest, cut
from saas.permissions.types import Actor
from saas.platform.db import bound_tenant


@dataclass(frozen=True, slots=True)
class CampaignFilter:
    """What a list of campaigns is narrowed to, and its order. Archived ones are there only when asked for by state."""

    state: CampaignState | None = None
    project_id: UUID | None = None
    text: str = ""
    kind: CampaignKind | None = None
    category_id: UUID | None = None
    tag: str = ""
    sort: CampaignSort = CampaignSort.NEWEST

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> "CampaignFilter":
        """Return what the arguments of a list ask for (`CampaignsArguments`)."""
        names = ("state", "project_id", "kind", "category_id", "sort")
        exact = {name: args[name] for name in names}
        return cls(text=args["q"].strip(), tag=args["tag"].strip().casefold(), **exact)


@dataclass(frozen=True, slots=True)
class _Order:
    """The column that a list is ordered by before the id, and how its values stand in a cursor."""

    column: sa.ColumnElement[Any] | None
    descending: bool = False

    def after(self, key: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return the condition for what comes after a key. Raises ValueError for a key of another order."""
        here = UUID(key[-1])
        if self.column is None:
            return Campaign.campaign_id < here if self.descending else Campaign.campaign_id > here
        last: Any = datetime.fromisoformat(key[0]) if self.descending else sa.func.lower(key[0])
        pair = sa.tuple_(self.column, Campaign.campaign_id)
        behind = sa.tuple_(sa.literal(last) if self.descending else last, sa.literal(here))
        return pair < behind if self.descending else pair > behind

    def columns(self) -> list[sa.ColumnElement[Any]]:
        """Return what the list is ordered by."""
        found = [column for column in (self.column, Campaign.campaign_id) if column is not None]
        return [column.desc() if self.descending else column.asc() for column in found]


_ORDERS: Final[Mapping[CampaignSort, _Order]] = MappingProxyType(
    {
        CampaignSort.NEWEST: _Order(None, descending=True),
        CampaignSort.OLDEST: _Order(None),
        CampaignSort.NAME: _Order(sa.func.lower(Campaign.name)),
        CampaignSort.CHANGED: _Order(Campaign.updated_at.expression, descending=True),
    }
)


def campaigns(session: Session, *, actor: Actor, wanted: CampaignFilter, page: PageRequest) -> Page[Campaign]:
    """Return campaigns that the actor may read, newest first unless asked for otherwise. Raises Invalid."""
    order = _ORDERS[wanted.sort]
    found = visible(session, actor).where(*_narrow(wanted))
    if page.after:
        try:
            found = found.where(order.after(_key_of(wanted.sort, page.after)))
        except ValueError:
            raise Invalid.at("/after", "This cursor belongs to a list in another order.") from None
    rows = session.scalars(found.order_by(*order.columns()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: _cursor(wanted.sort, row))


def counts_by_state(session: Session, *, actor: Actor) -> dict[CampaignState, int]:
    """Return how many campaigns the actor may read, by state."""
    seen = visible(session, actor).subquery()
    rows = session.execute(sa.select(seen.c.state, sa.func.count()).group_by(seen.c.state))
    return {CampaignState(state): count for state, count in rows}


def tags(session: Session, *, actor: Actor) -> list[str]:
    """Return the tags of the campaigns that the actor may read, in order."""
    seen = visible(session, actor).where(Campaign.state != CampaignState.ARCHIVED).subquery()
    return list(session.scalars(sa.select(sa.func.unnest(seen.c.tags).label("tag")).distinct().order_by("tag")))


def categories(session: Session, *, page: PageRequest) -> Page[Category]:
    """Return the categories of the workspace, archived ones too, oldest first."""
    wanted = sa.select(Category).where(Category.tenant_id == bound_tenant(session))
    if page.after:
        wanted = wanted.where(Category.category_id > UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(Category.category_id).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.category_id),))


def categories_of(session: Session, wanted: Collection[UUID | None]) -> dict[UUID | None, Category]:
    """Return the categories of these ids."""
    rows = session.scalars(
        sa.select(Category).where(
            Category.tenant_id == bound_tenant(session), Category.category_id.in_([one for one in wanted if one])
        )
    )
    return {row.category_id: row for row in rows}


def category(session: Session, category_id: UUID) -> Category:
    """Return a category. Raises NotFound."""
    row = session.get(Category, (bound_tenant(session), category_id))
    if row is None:
        raise NotFound.of("category")
    return row


def category_held(session: Session, category_id: UUID) -> Category:
    """Return a category that is not deleted before this transaction ends. Raises NotFound."""
    found = sa.select(Category).where(Category.tenant_id == bound_tenant(session), Category.category_id == category_id)
    held = found.with_for_update(read=True, key_share=True)
    row = session.scalars(held, execution_options={"populate_existing": True}).first()
    if row is None:
        raise NotFound.of("category")
    return row


def category_for_update(session: Session, category_id: UUID) -> Category:
    """Return a category, locked. Raises NotFound."""
    category(session, category_id)
    return session.get_one(Category, (bound_tenant(session), category_id), with_for_update=True, populate_existing=True)


def uses_of_categories(session: Session, *, actor: Actor) -> dict[UUID, int]:
    """Return how many campaigns of the actor's list have each category; archived ones are not counted.

    Categories that no campaign of the workspace has at all are left out.
    """
    seen = visible(session, actor).where(Campaign.state != CampaignState.ARCHIVED).subquery()
    used = (
        sa.select(Campaign.category_id, sa.func.count(seen.c.campaign_id))
        .outerjoin(seen, seen.c.campaign_id == Campaign.campaign_id)
        .where(Campaign.tenant_id == bound_tenant(session), Campaign.category_id.is_not(None))
        .group_by(Campaign.category_id)
    )
    return {category_id: count for category_id, count in session.execute(used) if category_id is not None}


def has_campaigns(session: Session, category_id: UUID) -> bool:
    """Say whether a campaign of the workspace, an archived one too, has a category."""
    found = sa.select(Campaign.campaign_id).where(
        Campaign.tenant_id == bound_tenant(session), Campaign.category_id == category_id
    )
    return session.scalar(found.limit(1)) is not None


def templates(session: Session, *, page: PageRequest) -> Page[CampaignTemplate]:
    """Return the templates of the workspace, newest first."""
    wanted = sa.select(CampaignTemplate).where(CampaignTemplate.tenant_id == bound_tenant(session))
    if page.after:
        wanted = wanted.where(CampaignTemplate.template_id < UUID(page.after[0]))
    rows = session.scalars(wanted.order_by(CampaignTemplate.template_id.desc()).limit(page.limit + 1)).all()
    return cut(rows, limit=page.limit, key=lambda row: (str(row.template_id),))


def template(session: Session, template_id: UUID) -> CampaignTemplate:
    """Return a template. Raises NotFound."""
    row = session.get(CampaignTemplate, (bound_tenant(session), template_id))
    if row is None:
        raise NotFound.of("template")
    return row


def template_for_update(session: Session, template_id: UUID) -> CampaignTemplate:
    """Return a template, locked. Raises NotFound."""
    template(session, template_id)
    key = (bound_tenant(session), template_id)
    return session.get_one(CampaignTemplate, key, with_for_update=True, populate_existing=True)


def _cursor(sort: CampaignSort, row: Campaign) -> tuple[str, ...]:
    """Return where a row stands, with the order that it stands in; the first order's cursors are ids alone."""
    values = {CampaignSort.NAME: row.name, CampaignSort.CHANGED: row.updated_at.isoformat()}
    if sort is CampaignSort.NEWEST:
        return (str(row.campaign_id),)
    return (sort.value, *([values[sort]] if sort in values else []), str(row.campaign_id))


def _key_of(sort: CampaignSort, after: Sequence[str]) -> Sequence[str]:
    """Return the key of a cursor without its order. Raises ValueError for one of another order."""
    if sort is CampaignSort.NEWEST:
        expected, key = 1, after
    else:
        expected, key = (1 if sort is CampaignSort.OLDEST else 2), after[1:]
        if after[0] != sort.value:
            raise ValueError(sort)
    if len(key) != expected:
        raise ValueError(sort)
    return key


def _narrow(wanted: CampaignFilter) -> list[sa.ColumnElement[bool]]:
    archived = CampaignState.ARCHIVED
    conditions = [Campaign.state != archived if wanted.state is None else Campaign.state == wanted.state]
    exact = {"project_id": wanted.project_id, "kind": wanted.kind, "category_id": wanted.category_id}
    conditions += [getattr(Campaign, name) == value for name, value in exact.items() if value is not None]
    if wanted.tag:
        conditions.append(Campaign.tags.contains([wanted.tag]))
    if wanted.text:
        conditions.append(Campaign.name.icontains(wanted.text, autoescape=True))
    return conditions
