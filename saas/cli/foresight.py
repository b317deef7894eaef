"""`saas simulate` and `saas why`: what a revision would do, and why somebody got a message or not."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import click
from marshmallow import Schema, ValidationError
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.cli.campaigns import find_campaign, workspace_id
from saas.cli.shell import Work, console, transaction
from saas.content.current import renderer
from saas.kernel.errors import Fault, Invalid
from saas.kernel.ids import BadId, parse
from saas.kernel.moments import in_zone
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Actor, Role
from saas.platform.db import db
from saas.reports.rules.scenario import moment_in
from saas.reports.schemas.foresight import SimulationIn, SimulationOut, WhyOut
from saas.reports.service import simulating
from saas.reports.service import why as reasons
from saas.reports.service.ways import present
from saas.reports.types import Station

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_FORM: Final = "%Y-%m-%d %H:%M"


@click.command()
@click.argument("campaign")
@click.option("--revision", type=int, help="The revision's number; the newest, if unsaid.")
@click.option("--people", "people_file", type=_FILE, help="A JSON list of test people; else some of the audience.")
@click.option("--events", "events_file", type=_FILE, help="A JSON list of what they do, and of answers of gates.")
@click.option("--at", "at_text", help="When it is published by the virtual clock: 2026-12-01T09:00 in its zone.")
@click.option("--until", "until_text", help="When the virtual clock stops.")
@click.option("--workspace", help="The workspace's id (wsp_…) or name, where many are to be searched.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
def simulate(
    campaign: str,
    revision: int | None,
    people_file: Path | None,
    events_file: Path | None,
    at_text: str | None,
    until_text: str | None,
    workspace: str | None,
    *,
    as_json: bool,
) -> None:
    """Play a revision of CAMPAIGN (cam_…) with test people by a virtual clock; nothing is sent, nothing is kept."""
    asked = {
        "people": _list_in(people_file) if people_file else [],
        "events": _list_in(events_file) if events_file else [],
    }
    with transaction() as work:
        row = find_campaign(work, campaign, workspace_id(work, workspace) if workspace else None)
        no = revision or queries.newest_revisions(work.session, [row.campaign_id])[row.campaign_id].no
        zone = _zone(work, row, no)
        body = _loaded(SimulationIn(), _in_zone(asked, zone))
        terms = simulating.Terms(
            renderer(), work.settings.publish_lead_s, work.now, _moment(at_text, zone), _moment(until_text, zone)
        )
        found = simulating.simulate(
            db.engine, actor=_operator(row), campaign_id=row.campaign_id, no=no, scenario=body["scenario"], terms=terms
        )
    if as_json:
        click.echo(json.dumps(SimulationOut().dump(found), indent=2, ensure_ascii=False))
    else:
        _print_simulation(found)


@click.command()
@click.argument("campaign")
@click.argument("person")
@click.option("--workspace", help="The workspace's id (wsp_…) or name, where many are to be searched.")
@click.option("--json", "as_json", is_flag=True, help="Print what the API answers.")
def why(campaign: str, person: str, workspace: str | None, *, as_json: bool) -> None:
    """Say why PERSON (ctc_… or an address) got what CAMPAIGN (cam_…) sent, or why not."""
    with transaction() as work:
        row = find_campaign(work, campaign, workspace_id(work, workspace) if workspace else None)
        actor = _operator(row)
        try:
            contact_id = parse("ctc", person)
        except BadId:
            contact_id = reasons.person(work.session, actor=actor, text=person)
        found = reasons.why(work.session, actor=actor, campaign_id=row.campaign_id, contact_id=contact_id)
        document = present(work.session, row.campaign_id)
    zone = document.time_zone if document is not None else "UTC"
    if as_json:
        click.echo(json.dumps(WhyOut().dump(found), indent=2, ensure_ascii=False))
        return
    console.print(Text(f"{found.email or 'No address'}: {found.text}", style="bold"), soft_wrap=True)
    for way in found.ways:
        came = f"entered {_shown(way.entry.entered_at, zone)} by {way.entered_by}"
        ended = f"; {way.end_text}" if way.end_text else ""
        console.print(f"  {came}{ended}", soft_wrap=True, markup=False)
        for line in _lines(way.stations, zone):
            console.print(line, soft_wrap=True)
    for part in found.why_not:
        mark = "✗" if part.decisive else "·"
        console.print(f"  {mark} {part.text}", soft_wrap=True, markup=False)


def _operator(row: Campaign) -> Actor:
    """Return who runs commands on this machine: they read and rehearse as an administrator of the workspace."""
    return replace(SYSTEM, tenant_id=row.tenant_id, rights=rights_of(row.tenant_id, [(Role.ADMIN, None)]))


def _zone(work: Work, row: Campaign, no: int) -> str:
    revision = queries.revision(work.session, campaign_id=row.campaign_id, no=no)
    return str(revision.draft.get("time_zone") or "UTC")


def _list_in(path: Path) -> list[Any]:
    """Return the list that a file holds. Raises Invalid."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise Invalid(f"{path.name} holds no JSON that can be read.") from None
    if not isinstance(found, list):
        raise Invalid(f"{path.name} holds no list.")
    return found


def _in_zone(asked: Mapping[str, list[Any]], zone: str) -> dict[str, Any]:
    """Write wall times as the API takes them: files say what the campaign's own clock shows."""
    return {name: [_with_moments(each, zone) for each in rows] for name, rows in asked.items()}


def _with_moments(row: Any, zone: str) -> Any:
    if not isinstance(row, dict):
        return row
    times = {name: row[name] for name in ("at", "enters_at") if isinstance(row.get(name), str)}
    moments = {name: moment_in(text, zone) for name, text in times.items()}
    return row | {name: at.isoformat() for name, at in moments.items() if at is not None}


def _moment(text: str | None, zone: str) -> datetime | None:
    if text is None:
        return None
    found = moment_in(text, zone)
    if found is None:
        raise Invalid("Write a date and time as in 2026-12-01T09:00.")
    return found


def _loaded(schema: Schema, raw: Mapping[str, Any]) -> dict[str, Any]:
    try:
        found: dict[str, Any] = schema.load(raw)
    except ValidationError as error:
        raise Invalid("These files cannot be used; see below.", faults=list(_faults(error.messages, ""))) from None
    return found


def _faults(messages: Any, pointer: str) -> Iterator[Fault]:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            yield from _faults(inner, f"{pointer}/{name}")
    else:
        for text in messages if isinstance(messages, list) else [messages]:
            yield Fault(pointer, str(text))


def _print_simulation(found: simulating.Simulation) -> None:
    zone = found.time_zone
    console.print(Text(f"Revision {found.revision_no}, {_shown(found.started_at, zone)} {zone}", style="bold"))
    table = Table("Step", "Kind", "Name", "People", "Exits", "Outcomes", box=SIMPLE_HEAD, pad_edge=False)
    for step in found.steps:
        outcomes = step.reasons or step.states
        table.add_row(str(step.step_no), step.kind, step.name, str(step.people), _pairs(step.exits), _pairs(outcomes))
    console.print(table)
    for person in found.people:
        console.print(Text(person.name, style="bold"))
        if person.refused or not person.ways:
            console.print(f"  {person.refused or 'is not in the audience'}", soft_wrap=True, markup=False)
        for way in person.ways:
            for line in _lines(way.stations, zone):
                console.print(line, soft_wrap=True)
        for acted in person.acted:
            told = f" ({acted.text})" if acted.text else ""
            console.print(f"  {_shown(acted.at, zone)}  {acted.what} {acted.word}{told}", soft_wrap=True, markup=False)
    if found.grain_s:
        console.print(f"Much happens: times are up to {found.grain_s // 60} min later than they would be.")
    end = "nothing comes any more" if found.complete else "the clock stopped here; more would come"
    held = f"; held: {found.held_reason}" if found.held_reason else ""
    held += f"; nobody would be sent anything: {found.cut_off}" if found.cut_off else ""
    console.print(f"{found.state} at {_shown(found.ended_at, zone)}; {end}{held}", soft_wrap=True, markup=False)


def _pairs(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _lines(stations: Sequence[Station], zone: str) -> Iterator[Text]:
    for station in stations:
        at = _shown(station.at, zone) if station.at else "–"
        yield Text(f"  {at}  {station.step_no:>3} {station.name}: {station.text}")


def _shown(moment: datetime, zone: str) -> str:
    return f"{in_zone(moment, ZoneInfo(zone)):{_FORM}}"
