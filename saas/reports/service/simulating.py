"""Simulate a revision before it is published: test people, a virtual clock, the engine itself; nothing leaves (U14)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.campaigns import queries as campaigns
from saas.campaigns.models import Campaign
from saas.campaigns.rules.flow.times import moment_of
from saas.campaigns.rules.occurrences import cut_off
from saas.campaigns.steps import gate
from saas.campaigns.steps.decision import EVENT
from saas.campaigns.types import CampaignKind
from saas.content.jail.renderer import Renderer
from saas.journeys.rules.moments import zone_of
from saas.journeys.steps.registry import instead
from saas.kernel.errors import Fault, Invalid
from saas.ledger.models import Entry
from saas.ledger.queries.numbers import runs_of
from saas.permissions.policy import require
from saas.permissions.rules import rights_of
from saas.permissions.types import SYSTEM, Action, Actor, Role
from saas.platform.db import bound_tenant
from saas.platform.rehearsal import thrown_away
from saas.platform.seal.service import refuse_if_sealed
from saas.reports.rules.scenario import OF_STEP, Scenario, What, ends_by, grain_of
from saas.reports.rules.ways import counted
from saas.reports.service import cast
from saas.reports.service.acting import Acted, Troupe
from saas.reports.service.playing import Play
from saas.reports.service.stage import Stage, document_to_play, set_up
from saas.reports.service.standins import STANDINS
from saas.reports.service.ways import Way, ways
from saas.reports.types import Station

STATEMENT_S: Final = 30
WITHIN_S: Final = 60.0
_ZONE: Final = "time_zone"  # the attribute
_EVENT: Final = re.compile(EVENT)
HIDDEN: Final = "•••"


@dataclass(frozen=True, slots=True)
class Terms:
    """What every rehearsal is given.

    at: when it is published by the virtual clock, None for now; until: when that clock stops. lead_s: the least time
    between publication and start (R1).
    """

    renderer: Renderer
    lead_s: int
    now: datetime
    at: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Played:
    """A test person's part. refused: why a call did not accept them; out: why they were not in the audience."""

    name: str
    contact_id: UUID | None
    refused: str | None
    ways: Sequence[Way]
    acted: Sequence[Acted]


@dataclass(frozen=True, slots=True)
class StepCount:
    """How many people came to a step, by state, exit and reason."""

    step_no: int
    kind: str
    name: str
    people: int
    states: Mapping[str, int]
    exits: Mapping[str, int]
    reasons: Mapping[str, int]
    planned_at: datetime | None
    effective_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would happen. state: of the campaign at the end; complete: whether nothing would have come any more.

    grain_s: by how many seconds at most times are later than they would be, for people went on together; 0 is exact.
    cut_off: why it is over before it begins, None where it is not.
    """

    revision_no: int
    started_at: datetime
    ended_at: datetime
    time_zone: str
    state: str
    held_reason: str | None
    cut_off: str | None
    complete: bool
    turns: int
    grain_s: int
    people: Sequence[Played]
    steps: Sequence[StepCount]


def simulate(
    engine: sa.Engine, *, actor: Actor, campaign_id: UUID, no: int, scenario: Scenario, terms: Terms
) -> Simulation:
    """Play a revision with test people. Nothing of it is kept, nobody is sent anything, and nobody waits for it.

    Raises NotFound, LacksRight, NotReady with what the draft lacks, Invalid for people and happenings that cannot be,
    Sealed, TookTooLong.
    """
    with rehearsal(engine, actor=actor) as session:
        campaign, document, now = found(session, actor=actor, campaign_id=campaign_id, no=no, terms=terms)
        if any(person.contact_id for person in scenario.people):
            require(actor, Action.CONTACT_READ, campaign.project_id)
        if not scenario.people:
            scenario = replace(scenario, people=cast.sample(session, document))
        _refuse_strangers(scenario, document)
        stage = set_up(session, campaign=campaign, document=document, lead_s=terms.lead_s, now=now, own_people=True)
        contacts = cast.put_in(session, stage, scenario.people, now=now)
        dated = CampaignKind(stage.campaign.kind) is CampaignKind.DATED  # everybody of a cohort goes on together
        grain = timedelta() if dated else grain_of(scenario)
        play = Play(session, stage, now, ends_by(stage.start, terms.until), WITHIN_S, grain)
        troupe = Troupe(play, _caller(session), scenario, contacts)
        troupe.get_ready()
        play.run()
        return _told(session, play, troupe, no, knows=actor.may(Action.CONTACT_READ, campaign.project_id))


@contextmanager
def rehearsal(engine: sa.Engine, *, actor: Actor, statement_s: int = STATEMENT_S) -> Iterator[Session]:
    """Open a session of which nothing is kept, in the actor's workspace, with stand-ins for what reaches outside."""
    if actor.tenant_id is None:
        msg = "a rehearsal happens in a workspace"
        raise ValueError(msg)
    with thrown_away(engine, actor.tenant_id, statement_s=statement_s) as session:
        instead(session, STANDINS)
        refuse_if_sealed(session)
        yield session


def found(
    session: Session, *, actor: Actor, campaign_id: UUID, no: int, terms: Terms
) -> tuple[Campaign, dict[str, Any], datetime]:
    """Return a campaign, a revision's document and the moment of its virtual publication, for who may edit it.

    What was to begin before now begins when it was to. Raises NotFound, LacksRight, NotReady.
    """
    campaign = campaigns.campaign(session, actor=actor, campaign_id=campaign_id)
    require(actor, Action.CAMPAIGN_WRITE, campaign.project_id)
    row = campaigns.revision(session, campaign_id=campaign_id, no=no)
    now = terms.at or terms.now
    document = document_to_play(session, campaign=campaign, row=row, renderer=terms.renderer, actor=actor, now=now)
    planned = [moment_of(step["at"]["wall"], step["at"]["zone"]) for step in document["steps"] if step["at"]]
    first = min((moment for moment in planned if moment is not None), default=None)
    if terms.at is None and first is not None and first < now:
        now = first - timedelta(seconds=terms.lead_s)
    return campaign, document, now


def _caller(session: Session) -> Actor:
    """Return who enters test people: whoever may simulate may do so, for nothing comes of it."""
    tenant = bound_tenant(session)
    return replace(SYSTEM, tenant_id=tenant, rights=rights_of(tenant, [(Role.ADMIN, None)]))


def _refuse_strangers(scenario: Scenario, document: Mapping[str, Any]) -> None:
    first: dict[str, int] = {}
    steps = {step["step_no"] for step in document["steps"]}
    faults = [
        Fault(f"/people/{no}/name", "This name is taken.")
        for no, person in enumerate(scenario.people)
        if first.setdefault(person.name, no) != no
    ]
    for no, each in enumerate(scenario.happenings):
        if each.person not in first:
            faults.append(Fault(f"/events/{no}/person", "Nobody of the people is called so."))
        if each.what in OF_STEP and each.step not in steps:
            faults.append(Fault(f"/events/{no}/step", f"There is no step {each.step}."))
        if each.what is What.ANSWER and each.at is not None:
            faults.append(Fault(f"/events/{no}/at", "Say how long after somebody comes to the gate: after_minutes."))
        if each.what is What.ANSWER and each.word not in gate.EXITS:
            faults.append(Fault(f"/events/{no}/word", f"One of: {', '.join(gate.EXITS)}."))
    faults += _unknown_words(scenario)
    if faults:
        raise Invalid("This cannot be played; see errors.", faults=faults)


def _unknown_words(scenario: Scenario) -> Iterator[Fault]:
    """Yield time zones that are none, and names that no event can have: nothing would follow from either."""
    said = {f"/people/{no}": person.attributes for no, person in enumerate(scenario.people)}
    said |= {f"/events/{no}": each.attributes for no, each in enumerate(scenario.happenings)}
    for pointer, attributes in said.items():
        zone = attributes.get(_ZONE)
        if zone and not zone_of(zone, otherwise=""):
            yield Fault(f"{pointer}/attributes/{_ZONE}", "Not a time zone as in Europe/Oslo.")
    for no, each in enumerate(scenario.happenings):
        if each.what is What.EVENT and not _EVENT.fullmatch(each.word):
            yield Fault(f"/events/{no}/word", "Name the event: small letters, digits, _ and dots.")


def _told(session: Session, play: Play, troupe: Troupe, no: int, *, knows: bool) -> Simulation:
    stage = play.stage
    session.flush()
    entries = session.scalars(
        sa.select(Entry)
        .where(Entry.tenant_id == stage.campaign.tenant_id, Entry.campaign_id == stage.campaign.campaign_id)
        .order_by(Entry.entry_id),
        execution_options={"populate_existing": True},
    ).all()
    gone = ways(session, campaign=stage.campaign, document=stage.document, entries=entries)
    by_contact: dict[UUID, list[Way]] = {}
    for each in gone:
        by_contact.setdefault(each.entry.contact_id, []).append(each if knows else veiled(each))
    acted: dict[str, list[Acted]] = {}
    for one in troupe.acted:
        acted.setdefault(one.person, []).append(one)
    people = [
        Played(
            person.name,
            person.contact_id,
            troupe.refused.get(person.name),
            by_contact.get(troupe.contacts[person.name], []),
            acted.get(person.name, []),
        )
        for person in troupe.scenario.people
    ]
    return Simulation(
        revision_no=no,
        started_at=stage.start,
        ended_at=play.now,
        time_zone=stage.document.time_zone,
        state=stage.campaign.state,
        held_reason=stage.campaign.held_reason,
        cut_off=cut_off(stage.document, not_before=stage.start),
        complete=play.complete,
        turns=play.turns,
        grain_s=int(play.grain.total_seconds()),
        people=people,
        steps=step_counts(session, stage, counted([each.stations for each in gone])),
    )


def step_counts(session: Session, stage: Stage, numbers: Mapping[int, Mapping[str, Any]]) -> list[StepCount]:
    """Return the numbers of each step in the order of the document, with the times at which cohorts went through."""
    dated = stage.campaign.kind == CampaignKind.DATED.value
    runs = {run.step_no: run for run in runs_of(session, stage.campaign.campaign_id)} if dated else {}
    blank: Mapping[str, Any] = {"people": 0, "states": {}, "exits": {}, "reasons": {}}
    counts = []
    for step in stage.document.steps:
        row, run = numbers.get(step.step_no, blank), runs.get(step.step_no)
        times = [getattr(run, name, None) for name in ("effective_at", "started_at", "finished_at")]
        own = (row["people"], row["states"], row["exits"], row["reasons"])
        counts.append(StepCount(step.step_no, step.kind, step.name, *own, step.at, *times))
    return counts


def veiled(one: Way) -> Way:
    """Return a way without what is known of the person, for those who may not read contacts (R14)."""
    return replace(one, stations=[hidden(station) for station in one.stations])


def hidden(station: Station) -> Station:
    """Return a station with the texts of a person's values masked; numbers and words of ours stay."""
    values = station.facts.get("values")
    if not values:
        return station
    masked = {key: HIDDEN if isinstance(value, str) else value for key, value in values.items()}
    return replace(station, facts={**station.facts, "values": masked})
