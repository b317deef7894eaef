"""Ask for approval: resolve everything into one document, hash it, lock the revision (architecture.md 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.queries.attributes import attribute_kinds
from saas.audiences.queries.audiences import audience_in
from saas.audiences.queries.lists import list_in
from saas.audiences.queries.segment import count as count_people
from saas.audiences.rules import segment
from saas.audiences.types import Visibility
from saas.campaigns import queries
from saas.campaigns.models import Campaign, Revision
from saas.campaigns.policy import require_changeable
from saas.campaigns.rules import draft as draft_rules
from saas.campaigns.rules.delivery import resolved as resolved_settings
from saas.campaigns.rules.document import FORMAT, FrequencyCap, canonical, hash_of
from saas.campaigns.rules.lifecycle import revision_after
from saas.campaigns.rules.schedule import at_wall_time
from saas.campaigns.service.decisions import record
from saas.campaigns.service.defaults import Followed, filled, followed
from saas.campaigns.service.requests import open_request
from saas.campaigns.types import CampaignKind, RevisionMove, RevisionState
from saas.channels import queries as channels
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import fingerprint_of
from saas.channels.types import Purpose
from saas.content.jail.renderer import Renderer
from saas.content.service import check_email
from saas.content.types import CheckedEmail, EmailContent, TemplateError
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
    """A draft with everything looked up. `audience` is {list_id, rule} for the document."""

    audience: dict[str, Any] | None
    list_id: UUID | None
    rule: segment.Segment | None
    channels: Mapping[int, ChannelConfiguration]
    checked: Mapping[int, CheckedEmail]


def checks(
    session: Session, *, campaign: Campaign, row: Revision, renderer: Renderer, actor: Actor, now: datetime
) -> list[Fault]:
    """Return what still stops a submission, each with its place in the draft."""
    draft = filled(row.draft, followed(session, campaign))
    return _resolve(session, campaign=campaign, draft=draft, renderer=renderer, actor=actor, now=now)[1]


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
    require_changeable(campaign)
    if version is not None:
        require_version(row.version, version)
    defaults = followed(session, campaign)
    draft = filled(row.draft, defaults)
    resolved, faults = _resolve(session, campaign=campaign, draft=draft, renderer=renderer, actor=actor, now=now)
    if faults:
        raise NotReady("This campaign is not ready for approval yet; see errors.", faults=faults)
    document = _document(session, campaign, draft, resolved, defaults)
    with session.begin_nested():  # who asks for what nobody could sign has not asked: the draft stays as it is
        _lock(session, row, document, resolved, actor, now)
        row.state = after.value
        session.flush()
        used = resolved.channels.values()
        request = open_request(session, actor=actor, campaign=campaign, row=row, channels=used, note=note, now=now)
    facts = {"audience_count": row.audience_count, "rule": request.requirement["rule"]}
    record(session, actor, campaign, row, "revision.submitted", now, facts=facts)
    return row


def _lock(
    session: Session, row: Revision, document: dict[str, Any], resolved: Resolved, actor: Actor, now: datetime
) -> None:
    row.document = canonical(document)
    row.content_hash = hash_of(row.document)
    row.audience_count = _count(session, resolved)
    row.planned_at = _planned_at(document)
    row.submitted_at, row.submitted_by = now, actor.account_id
    row.updated_at, row.version = now, row.version + 1


def proposed(
    session: Session, *, campaign: Campaign, row: Revision, renderer: Renderer, actor: Actor, now: datetime
) -> dict[str, Any] | None:
    """Return the document that a draft would be submitted as, None while something still stops it."""
    defaults = followed(session, campaign)
    draft = filled(row.draft, defaults)
    resolved, faults = _resolve(session, campaign=campaign, draft=draft, renderer=renderer, actor=actor, now=now)
    return None if faults else _document(session, campaign, draft, resolved, defaults)


def _resolve(
    session: Session, *, campaign: Campaign, draft: Mapping[str, Any], renderer: Renderer, actor: Actor, now: datetime
) -> tuple[Resolved, list[Fault]]:
    marketing = Purpose(campaign.purpose) is Purpose.MARKETING
    faults = draft_rules.missing(draft, kind=CampaignKind(campaign.kind), marketing=marketing, now=now)
    audience, list_id, rule = _audience(session, draft, actor, faults)
    known = known_variables(session, draft, marketing=marketing)
    found_channels: dict[int, ChannelConfiguration] = {}
    checked: dict[int, CheckedEmail] = {}
    for index, step in enumerate(draft.get("steps") or []):
        pointer = f"/steps/{index}"
        channel = _channel(session, step, campaign, pointer, faults)
        content = _content(renderer, step, known, pointer, faults, marketing=marketing)
        if channel is not None:
            found_channels[index] = channel
        if content is not None:
            checked[index] = content
    return Resolved(audience, list_id, rule, found_channels, checked), faults


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
        if chosen.get("list_id"):
            found = list_in(session, parse("lst", chosen["list_id"]), actor=actor)
            return {"list_id": str(found.list_id), "rule": None}, found.list_id, None
    except (BadId, DomainError) as error:
        text = error.detail if isinstance(error, Invalid) else "There is no such audience or list any more."
        faults.append(Fault("/audience", text))
    return None, None, None


def _channel(
    session: Session, step: Mapping[str, Any], campaign: Campaign, pointer: str, faults: list[Fault]
) -> ChannelConfiguration | None:
    if not step.get("channel_id"):
        return None
    try:
        row = channels.channel(session, parse("chn", step["channel_id"]))
    except (BadId, DomainError):
        faults.append(Fault(f"{pointer}/channel_id", "There is no such channel configuration any more."))
        return None
    if row.archived_at is not None:
        faults.append(Fault(f"{pointer}/channel_id", "This channel configuration is archived."))
    if row.purpose != campaign.purpose:
        text = f"This is a {campaign.purpose} campaign; the channel configuration is {row.purpose}."
        faults.append(Fault(f"{pointer}/channel_id", text))
    return row


def _content(
    renderer: Renderer,
    step: Mapping[str, Any],
    known: frozenset[str],
    pointer: str,
    faults: list[Fault],
    *,
    marketing: bool,
) -> CheckedEmail | None:
    try:
        return check_email(renderer, content_of(step.get("content") or {}), known=known, marketing=marketing)
    except TemplateError as error:
        faults += [Fault(f"{pointer}/content{fault.pointer}", fault.message) for fault in error.faults]
        return None


def content_of(raw: Mapping[str, str]) -> EmailContent:
    """Return a message's sources as the content package takes them."""
    return EmailContent(
        subject=raw.get("subject", ""),
        html=raw.get("html", ""),
        text=raw.get("text", ""),
        preheader=raw.get("preheader", ""),
    )


def known_variables(session: Session, draft: Mapping[str, Any], *, marketing: bool) -> frozenset[str]:
    """Return the names that templates of this campaign may use."""
    names = {f"contact.{key}" for key in attribute_kinds(session)} | {"contact.email", "workspace.name"}
    names |= {f"context.{field['key']}" for field in (draft.get("payload") or {}).get("fields", [])}
    if marketing:
        names.add("unsubscribe_url")
    return frozenset(names)


def _document(
    session: Session, campaign: Campaign, draft: Mapping[str, Any], resolved: Resolved, defaults: Followed
) -> dict[str, Any]:
    workspace = session.get_one(Workspace, bound_tenant(session))
    marketing = Purpose(campaign.purpose) is Purpose.MARKETING
    return {
        "format": FORMAT,
        "campaign_id": str(campaign.campaign_id),
        "kind": campaign.kind,
        "purpose": campaign.purpose,
        "topic": draft.get("topic"),
        "audience": resolved.audience,
        "payload": (draft.get("payload") or {}).get("fields", []),
        "workspace": {"name": workspace.name},
        "time_zone": draft["time_zone"],
        "language": defaults.language,
        "settings": resolved_settings(
            draft.get("settings") or {}, marketing=marketing, workspace=_cap_of(workspace), project=defaults.quiet
        ),
        "steps": [
            _step(step, draft["time_zone"], resolved.channels[index], resolved.checked[index])
            for index, step in enumerate(draft["steps"])
        ],
    }


def _cap_of(workspace: Workspace) -> FrequencyCap | None:
    if workspace.cap_messages is None or workspace.cap_days is None:
        return None
    return FrequencyCap(workspace.cap_messages, workspace.cap_days)


def _step(step: Mapping[str, Any], zone: str, channel: ChannelConfiguration, checked: CheckedEmail) -> dict[str, Any]:
    content = checked.content
    return {
        "step_no": step["step_no"],
        "kind": step["kind"],
        "name": step["name"],
        "channel_id": str(channel.channel_id),
        "channel": fingerprint_of(channel),
        "at": {"wall": step["at"], "zone": zone} if step.get("at") else None,
        "content": {
            "subject": content.subject,
            "preheader": content.preheader,
            "html": content.html,
            "text": content.text,
        },
        "links": list(checked.links),
        "used": sorted(checked.used),
    }


def _count(session: Session, resolved: Resolved) -> int | None:
    if resolved.list_id is None:
        return None
    return count_people(session, list_id=resolved.list_id, rule=resolved.rule)


def _planned_at(document: Mapping[str, Any]) -> datetime | None:
    times = [at_wall_time(s["at"]["wall"], s["at"]["zone"]) for s in _dated(document["steps"])]
    return min(times, default=None)


def _dated(steps: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [step for step in steps if step["at"]]
