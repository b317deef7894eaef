"""`saas campaigns`: look at campaigns from the command line, with the same numbers as pages and API."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

import click
import sqlalchemy as sa
from rich.box import SIMPLE_HEAD
from rich.table import Column, Table
from rich.text import Text

from saas.campaigns import queries
from saas.campaigns.desk import queries as desk
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.types import CampaignKind, CampaignState
from saas.cli.shell import Work, console, each_workspace, transaction
from saas.journeys.service.waking import wake_steps, wake_updates
from saas.kernel.errors import NotFound
from saas.kernel.ids import BadId, parse, show
from saas.kernel.paging import PageRequest
from saas.ledger.queries.numbers import Numbers, numbers, runs_of, total
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Actor, Role
from saas.platform.db import bind, db, tenant_session
from saas.tenants.models import Tenant
from saas.tenants.queries import workspaces

_PAGE: Final = 200
_STARTS: Final = {
    CampaignKind.DATED: "by its date",
    CampaignKind.API: "by calls",
    CampaignKind.FLOWING: "as people come",
}
_TO_THE_MINUTE: Final = 16
_ID_WIDTH: Final = 30  # people copy ids: they are never cut
_PARTS: Final = ("planned", "accepted", "skipped", "failed", "cancelled", "uncertain", "open")


@click.group()
def campaigns() -> None:
    """Campaigns: list those of a workspace, show one with its numbers."""


@campaigns.command("list")
@click.option("--workspace", required=True, help="The workspace's id (wsp_…) or name.")
@click.option("--state", type=click.Choice([state.value for state in CampaignState]), help="Only those in this state.")
def list_campaigns(workspace: str, state: str | None) -> None:
    """List a workspace's campaigns, newest first."""
    identity = Column("Campaign", no_wrap=True, min_width=_ID_WIDTH)
    table = Table(identity, "Name", "Kind", "State", "Starts (UTC)", box=SIMPLE_HEAD, pad_edge=False)
    with transaction() as work:
        actor = _enter(work, workspace_id(work, workspace))
        for row, newest in _all(work, actor, CampaignState(state) if state else None):
            at = _moment(newest.effective_at or newest.planned_at)[:_TO_THE_MINUTE]
            table.add_row(show("cam", row.campaign_id), row.name, row.kind, row.state, at)
    console.print(table)


@campaigns.command("show")
@click.argument("campaign")
@click.option("--workspace", help="The workspace's id (wsp_…) or name, where many are to be searched.")
def show_campaign(campaign: str, workspace: str | None) -> None:
    """Show a campaign (cam_…) and its numbers."""
    with transaction() as work:
        row = find_campaign(work, campaign, workspace_id(work, workspace) if workspace else None)
        newest = queries.newest_revisions(work.session, [row.campaign_id])[row.campaign_id]
        runs = [run.run_id for run in runs_of(work.session, row.campaign_id)]
        counted = total(list(numbers(work.session, runs).values()))
    console.print(Text(row.name, style="bold"))
    for name, value in _facts(row, newest):
        console.print(Text(f"  {name:<14}", style="dim").append(value, style="default"), soft_wrap=True)
    console.print(_numbers(counted))


@campaigns.command("update")
@click.option("--workspace", help="Only this workspace's (wsp_…, or its name); else those of all.")
@click.option("--campaign", help="Only this campaign (cam_…).")
def update_campaigns(workspace: str | None, campaign: str | None) -> None:
    """Compare the people of flowing campaigns with their audiences now, instead of at their interval (M21)."""
    with transaction() as work:
        woken = _wake(work, wake_updates, workspace, campaign)
    console.print(f"{woken} flowing {'campaign is' if woken == 1 else 'campaigns are'} being updated.")


@campaigns.command("trigger")
@click.option("--workspace", help="Only this workspace's (wsp_…, or its name); else those of all.")
@click.option("--campaign", help="Only this campaign (cam_…).")
def trigger_campaigns(workspace: str | None, campaign: str | None) -> None:
    """Look at every step of campaigns that run, instead of when its next person is due (M19)."""
    with transaction() as work:
        woken = _wake(work, wake_steps, workspace, campaign)
    console.print(f"{woken} {'campaign is' if woken == 1 else 'campaigns are'} being looked at.")


def _wake(work: Work, wake: Callable[..., Sequence[UUID]], workspace: str | None, campaign: str | None) -> int:
    """Wake one campaign, those of a workspace, or all of this installation, each workspace in its own transaction."""
    within = workspace_id(work, workspace) if workspace else None
    if campaign is not None:
        wanted = find_campaign(work, campaign, within).campaign_id
        return len(wake(work.session, campaign_id=wanted, now=work.now))
    woken = 0
    for tenant_id in [within] if within else _tenants(work):
        with each_workspace(tenant_id) as session:
            woken += len(wake(session, campaign_id=None, now=work.now))
    return woken


def _all(work: Work, actor: Actor, state: CampaignState | None) -> Iterator[tuple[Campaign, Revision]]:
    page = PageRequest(_PAGE)
    while True:
        found = desk.campaigns(work.session, actor=actor, wanted=desk.CampaignFilter(state), page=page)
        newest = queries.newest_revisions(work.session, [row.campaign_id for row in found.rows])
        yield from ((row, newest[row.campaign_id]) for row in found.rows)
        if found.next_key is None:
            return
        page = PageRequest(_PAGE, found.next_key)


def workspace_id(work: Work, text: str) -> UUID:
    """Return the id of a workspace named by its id or its name. Raises NotFound."""
    try:
        asked = parse("wsp", text)
    except BadId:
        asked = None
    for row in workspaces(db.engine, _tenants(work)):
        if row.tenant_id == asked or row.name == text:
            return row.tenant_id
    raise NotFound.of("workspace")


def find_campaign(work: Work, text: str, within: UUID | None) -> Campaign:
    """Enter the workspace of a campaign and return it. Raises NotFound."""
    try:
        campaign_id = parse("cam", text)
    except BadId:
        raise NotFound.of("campaign") from None
    for tenant_id in [within] if within else _tenants(work):
        with tenant_session(db.engine, tenant_id) as session:
            held = session.get(Campaign, (tenant_id, campaign_id)) is not None
        if held:
            return queries.campaign(work.session, actor=_enter(work, tenant_id), campaign_id=campaign_id)
    raise NotFound.of("campaign")


def _tenants(work: Work) -> list[UUID]:
    return list(work.session.scalars(sa.select(Tenant.tenant_id).order_by(Tenant.tenant_id)))


def _enter(work: Work, tenant_id: UUID) -> Actor:
    """Bind a workspace; whoever may run commands on this machine reads it as a viewer does."""
    work.session.rollback()  # what was read so far was read outside of any workspace
    bind(work.session, tenant_id)
    return replace(SYSTEM, tenant_id=tenant_id, rights=rights_of(tenant_id, [(Role.VIEWER, None)]))


def _facts(row: Campaign, newest: Revision) -> Iterator[tuple[str, str]]:
    yield "id", show("cam", row.campaign_id)
    yield "starts", f"{_STARTS[CampaignKind(row.kind)]} ({row.purpose})"
    yield "state", row.state + (f": {row.held_reason}" if row.held_reason else "")
    yield "revision", f"{newest.no}, {newest.state}"
    yield "signed hash", newest.content_hash or "–"
    yield "planned", _moment(newest.planned_at)
    yield "effective", _moment(newest.effective_at)
    yield "finished", _moment(row.finished_at)


def _numbers(counted: Numbers) -> Table:
    table = Table(*_PARTS)
    table.add_row(*(f"{getattr(counted, part):,}" for part in _PARTS))
    return table


def _moment(at: datetime | None) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else "–"
