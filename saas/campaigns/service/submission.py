"""Ask for approval: resolve everything into one document, hash it, lock the revision (architecture.md 6)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.audiences import audience_in
from saas.audiences.queries.lists import list_in
from saas.audiences.rules import segment
from saas.audiences.types import Visibility
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.rules import draft as draft_rules
from saas.campaigns.rules.delivery import resolved as resolved_settings
from saas.campaigns.rules.document import FORMAT, FrequencyCap, canonical, hash_of, read
from saas.campaigns.rules.flow.shape import Shape, shape_of
from saas.campaigns.rules.lifecycle import revision_after
from saas.campaigns.rules.quiet import QuietHours
from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.service import rest
from saas.campaigns.service.decisions import record
from saas.campaigns.service.defaults import Followed, filled, followed
from saas.campaigns.service.live_edit import begun_now, goes_on, locked, require_changeable
from saas.campaigns.service.people import count_audience
from saas.campaigns.service.requests import open_request
from saas.campaigns.service.resolving import Desk, resolved
from saas.campaigns.types import CampaignKind, CampaignState, RevisionMove, RevisionState
from saas.channels.models import ChannelConfiguration
from saas.channels.types import Purpose
from saas.content.jail.renderer import Renderer
from saas.kernel.errors import DomainError, Fault, Invalid, require_version
from saas.kernel.ids import BadId, parse
from saas.permissions.policy import require
from saas.permissions.types import Action, Actor
from saas.platform.db import bound_tenant
from saas.tenants.models import Workspace


class NotReady(Invalid):
    """The draft still lacks something; `errors` says what and where."""

    code = "draft_not_ready"


@dataclass(frozen=True, slots=True)
class Resolved:
    """A draft with everything looked up. `audience` is {list_id, rule} for the document; `steps` stand as in it."""

    audience: dict[str, Any] | None
    list_id: UUID | None
    rule: segment.Segment | None
    channels: Collection[ChannelConfiguration]
    steps: Sequence[Mapping[str, Any]]


def checks(
    session: Session, *, campaign: Campaign, row: Revision, renderer: Renderer, actor: Actor, now: datetime
) -> list[Fault]:
    """Return what still stops a submission, each with its place in the draft."""
    defaults = followed(session, campaign)
    draft = filled(row.draft, defaults)
    looked_up, faults = _resolve(
        session, campaign=campaign, draft=draft, quiet=defaults.quiet, renderer=renderer, actor=actor, now=now
    )
    return faults or locked(session, campaign, _document(session, campaign, draft, looked_up, defaults))


def submit(
    session: Session,
    *,
    actor: Actor,
    campaign_id: UUID,
    no: int,
    version: int | None,
    renderer: Renderer,
    note: str = "",
    now: datetime,
) -> Revision:
    """Ask for approval of what the policies require (U3); the note goes to those who are asked.

    Raises NotReady with everything that is missing, NobodyToAsk, NotAllowed, AlreadyStarted, Stale.
    """
    campaign = queries.campaign_for_update(session, actor=actor, campaign_id=campaign_id)
    row = queries.revision_for_update(session, campaign_id=campaign_id, no=no)
    require(actor, Action.CAMPAIGN_SUBMIT, campaign.project_id)
    after = revision_after(RevisionState(row.state), RevisionMove.SUBMIT)
    require_changeable(session, campaign)
    if version is not None:
        require_version(row.version, version)
    defaults = followed(session, campaign)
    draft = filled(row.draft, defaults)
    earlier = rest.rest_of(draft)
    if earlier is not None:
        rest.lock_rest(session, earlier)
    looked_up, faults = _resolve(
        session, campaign=campaign, draft=draft, quiet=defaults.quiet, renderer=renderer, actor=actor, now=now
    )
    document = None if faults else _document(session, campaign, draft, looked_up, defaults)
    faults += locked(session, campaign, document) if document is not None else []
    if faults or document is None:
        raise NotReady("This campaign is not ready for approval yet; see errors.", faults=faults)
    with session.begin_nested():  # who asks for what nobody could sign has not asked: the draft stays as it is
        _lock(session, row, document, begun_now(session, campaign), actor, now)
        if goes_on(session, campaign, document):
            row.planned_at = None  # no start is to come: the rounds go on by their rule
        row.state = after.value
        session.flush()
        request = open_request(
            session, actor=actor, campaign=campaign, row=row, channels=looked_up.channels, note=note, now=now
        )
    facts = {"audience_count": row.audience_count, "rule": request.requirement["rule"]}
    record(session, actor, campaign, row, "revision.submitted", now, facts=facts)
    return row


def _lock(
    session: Session,
    row: Revision,
    document: dict[str, Any],
    begun: frozenset[int],
    actor: Actor,
    now: datetime,
) -> None:
    row.document = canonical(document)
    row.content_hash = hash_of(row.document)
    row.audience_count = count_audience(session, read(row.document, expected_hash=row.content_hash))
    row.planned_at = _planned_at(document, begun)
    row.submitted_at, row.submitted_by = now, actor.account_id
    row.updated_at, row.version = now, row.version + 1


def proposed(
    session: Session, *, campaign: Campaign, row: Revision, renderer: Renderer, actor: Actor, now: datetime
) -> dict[str, Any] | None:
    """Return the document that a draft would be submitted as, None while something still stops it."""
    defaults = followed(session, campaign)
    draft = filled(row.draft, defaults)
    looked_up, faults = _resolve(
        session, campaign=campaign, draft=draft, quiet=defaults.quiet, renderer=renderer, actor=actor, now=now
    )
    return None if faults else _document(session, campaign, draft, looked_up, defaults)


def _resolve(
    session: Session,
    *,
    campaign: Campaign,
    draft: Mapping[str, Any],
    quiet: QuietHours | None,
    renderer: Renderer,
    actor: Actor,
    now: datetime,
) -> tuple[Resolved, list[Fault]]:
    marketing, kind = Purpose(campaign.purpose) is Purpose.MARKETING, CampaignKind(campaign.kind)
    begun = begun_now(session, campaign)
    same_rounds = goes_on(session, campaign, draft)
    kept = frozenset(step["step_no"] for step in draft.get("steps") or ()) if same_rounds else frozenset[int]()
    faults = draft_rules.missing(draft, kind=kind, marketing=marketing, now=now, begun=begun, kept=kept, quiet=quiet)
    audience, list_id, rule = _audience(session, draft, actor, faults)
    faults += _taken(session, campaign, draft, actor)
    desk = Desk(
        session,
        actor,
        campaign,
        renderer,
        variables=known_variables(session, draft, marketing=marketing),
        kinds=attribute_kinds(session),
        fields=(draft.get("payload") or {}).get("fields", []),
        marketing=marketing,
    )
    shape = shape_of(draft)
    steps = [_step(desk, step, shape, draft, index) for index, step in enumerate(draft.get("steps") or [])]
    return Resolved(audience, list_id, rule, desk.channels.values(), steps), faults + desk.faults


def _audience(
    session: Session, draft: Mapping[str, Any], actor: Actor, faults: list[Fault]
) -> tuple[dict[str, Any] | None, UUID | None, segment.Segment | None]:
    chosen = draft.get("audience") or {}
    try:
        if chosen.get("audience_id"):
            row = audience_in(session, parse("aud", chosen["audience_id"]), actor=actor)
            if Visibility(row.visibility) is not Visibility.PUBLIC:
                faults.append(Fault("/audience", "This audience is private; campaigns use public ones only."))
            rule = segment.parse(row.rule, kinds=attribute_kinds(session))
            return {"list_id": str(row.list_id), "rule": row.rule}, row.list_id, rule
        if chosen.get("rest_of"):
            earlier = queries.campaign(session, actor=actor, campaign_id=parse("cam", chosen["rest_of"]))
            if CampaignState(earlier.state) is not CampaignState.STOPPED:
                faults.append(Fault("/audience", "Only what was stopped has a rest that nothing is sent to any more."))
            return {"list_id": None, "rule": None, "rest_of": str(earlier.campaign_id)}, None, None
        if chosen.get("list_id"):
            found = list_in(session, parse("lst", chosen["list_id"]), actor=actor)
            return {"list_id": str(found.list_id), "rule": None}, found.list_id, None
    except (BadId, DomainError) as error:
        text = error.detail if isinstance(error, Invalid) else "There is no such audience or list any more."
        faults.append(Fault("/audience", text))
    return None, None, None


def _taken(session: Session, campaign: Campaign, draft: Mapping[str, Any], actor: Actor) -> list[Fault]:
    """Say that another campaign sends to the same rest, or asks for it (U11)."""
    earlier = rest.rest_of(draft)
    if earlier is None:
        return []
    other = rest.other_for(session, earlier=earlier, own=campaign.campaign_id, states=rest.ASKED)
    return [Fault("/audience", rest.taken_text(session, actor, other))] if other is not None else []


def known_variables(session: Session, draft: Mapping[str, Any], *, marketing: bool) -> frozenset[str]:
    """Return the names that templates of this campaign may use."""
    names = {f"contact.{key}" for key in attribute_kinds(session)} | {"contact.email", "workspace.name"}
    names |= {f"context.{field['key']}" for field in (draft.get("payload") or {}).get("fields", [])}
    names |= {f"context.{name}" for step in draft.get("steps") or () for name in step.get("open_fields") or ()}
    if marketing:
        names.add("unsubscribe_url")
    return frozenset(names)


def _document(
    session: Session, campaign: Campaign, draft: Mapping[str, Any], resolved: Resolved, defaults: Followed
) -> dict[str, Any]:
    workspace = session.get_one(Workspace, bound_tenant(session))
    marketing = Purpose(campaign.purpose) is Purpose.MARKETING
    settings, zone = draft.get("settings") or {}, draft["time_zone"]
    delivery = resolved_settings(settings, marketing=marketing, workspace=_cap_of(workspace), project=defaults.quiet)
    return {
        "format": FORMAT,
        "campaign_id": str(campaign.campaign_id),
        "kind": campaign.kind,
        "purpose": campaign.purpose,
        "topic": draft.get("topic"),
        "audience": resolved.audience,
        "payload": (draft.get("payload") or {}).get("fields", []),
        "workspace": {"name": workspace.name},
        "time_zone": zone,
        "language": defaults.language,
        "settings": {
            **delivery,
            "conversion": settings.get("conversion"),
            "late": settings.get("late"),
            "also_waiting": bool(settings.get("also_waiting")),
            "accepts_from": _wall(settings.get("accepts_from"), zone),
            "accepts_until": _wall(settings.get("accepts_until"), zone),
        },
        "entry": draft.get("entry"),
        "recurrence": draft.get("recurrence"),
        "publish_from": _wall(draft.get("publish_from"), zone),
        "publish_until": _wall(draft.get("publish_until"), zone),
        "moves": draft.get("moves") or {},
        "start": list(shape_of(draft).start),
        "steps": list(resolved.steps),
    }


def _wall(wall: str | None, zone: str) -> dict[str, str] | None:
    return {"wall": wall, "zone": zone} if wall else None


def _cap_of(workspace: Workspace) -> FrequencyCap | None:
    if workspace.cap_messages is None or workspace.cap_days is None:
        return None
    return FrequencyCap(workspace.cap_messages, workspace.cap_days)


def _step(desk: Desk, step: Mapping[str, Any], shape: Shape, draft: Mapping[str, Any], index: int) -> dict[str, Any]:
    zone = draft.get("time_zone") or ""
    node = shape.nodes[step["step_no"]]
    return {
        "step_no": step["step_no"],
        "kind": step.get("kind"),
        "name": step.get("name"),
        "at": _wall(step.get("at"), zone),
        "latest": _wall(step.get("latest"), zone),
        "next": {word: list(targets) for word, targets in node.next.items()},
        **resolved(desk, step, f"/steps/{index}"),
    }


def _planned_at(document: Mapping[str, Any], begun: frozenset[int]) -> datetime | None:
    """Return when it begins, or goes on; what starts on call, or as people come, begins with its publication."""
    if document["kind"] != CampaignKind.DATED:
        return None
    times = [
        at_wall_time(s["at"]["wall"], s["at"]["zone"]) for s in _dated(document["steps"]) if s["step_no"] not in begun
    ]
    return min(times, default=None)


def _dated(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [step for step in steps if step["at"]]
