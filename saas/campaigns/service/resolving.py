"""A draft's steps with everything looked up: what they refer to is read now and stands in the document (U1)."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy.orm import Session

from saas.audiences.queries.audiences import audience_in
from saas.audiences.queries.lists import list_in
from saas.audiences.rules import segment
from saas.audiences.types import AttributeKind, Visibility
from saas.campaigns import queries
from saas.campaigns.models import Campaign
from saas.campaigns.rules.attributes import change_fault
from saas.campaigns.service.handing_on import not_handed_on
from saas.campaigns.steps import (
    call_webhook,
    change_list,
    condition,
    email,
    gate,
    other_campaign,
    segment_split,
    set_attribute,
    wait,
    webhook_message,
)
from saas.campaigns.steps.kind import Raw
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.channels import queries as channels
from saas.channels.models import ChannelConfiguration
from saas.channels.rules import fingerprint_of
from saas.channels.types import ChannelKind
from saas.content.jail.renderer import Renderer
from saas.content.service.letters import check_email
from saas.content.service.payloads import check_payload, payload_row
from saas.content.types import EmailContent, TemplateError
from saas.kernel.errors import DomainError, Fault, Invalid
from saas.kernel.ids import BadId, parse
from saas.permissions.types import Action, Actor


@dataclass
class Desk:
    """Where a draft's references are looked up. channels: every configuration that was found, faults: what was not.

    fields: the declared payload.
    """

    session: Session
    actor: Actor
    campaign: Campaign
    renderer: Renderer
    variables: frozenset[str]
    kinds: Mapping[str, AttributeKind]
    fields: Sequence[Mapping[str, Any]]
    marketing: bool
    channels: dict[UUID, ChannelConfiguration] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    @property
    def payload(self) -> Mapping[str, str]:
        """Return the kind of each field of the payload."""
        return {each["key"]: each["kind"] for each in self.fields}

    def fault(self, pointer: str, text: str) -> None:
        """Write down what is wrong."""
        self.faults.append(Fault(pointer, text))


def resolved(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    """Return the fields of a step's kind as they stand in the document; what cannot be found is a fault of the desk."""
    kind = KINDS.get(step.get("kind") or "")
    if kind is None:
        return {}
    own = {name: step[name] for name in kind.own if step.get(name) is not None}
    return own | _LOOKED_UP.get(kind.name, _as_it_is)(desk, step, pointer)


def content_of(raw: Mapping[str, str]) -> EmailContent:
    """Return a message's sources as the content package takes them."""
    return EmailContent(
        subject=raw.get("subject", ""),
        html=raw.get("html", ""),
        text=raw.get("text", ""),
        preheader=raw.get("preheader", ""),
    )


def _as_it_is(_desk: Desk, _step: Raw, _pointer: str) -> dict[str, Any]:
    return {}


def _email(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    found = _channel(desk, step, pointer, ChannelKind.SMTP)
    try:
        checked = check_email(
            desk.renderer, content_of(step.get("content") or {}), known=desk.variables, marketing=desk.marketing
        )
    except TemplateError as error:
        desk.faults += [Fault(f"{pointer}/content{fault.pointer}", fault.message) for fault in error.faults]
        return found
    content = checked.content
    sources = {"subject": content.subject, "preheader": content.preheader, "html": content.html, "text": content.text}
    return found | {"content": sources, "links": list(checked.links), "used": sorted(checked.used)}


def _channel(desk: Desk, step: Raw, pointer: str, kind: ChannelKind) -> dict[str, Any]:
    """Return the configuration and its fingerprint, which is what approvers sign."""
    if not step.get("channel_id"):
        return {}
    try:
        row = channels.channel(desk.session, parse("chn", step["channel_id"]))
    except (BadId, DomainError):
        desk.fault(f"{pointer}/channel_id", "There is no such channel configuration any more.")
        return {}
    desk.channels[row.channel_id] = row
    if row.archived_at is not None:
        desk.fault(f"{pointer}/channel_id", "This channel configuration is archived.")
    if ChannelKind(row.kind) is not kind:
        desk.fault(f"{pointer}/channel_id", f"This step needs a channel configuration of kind {kind.value}.")
    elif kind is ChannelKind.SMTP and row.purpose != desk.campaign.purpose:
        text = f"This is a {desk.campaign.purpose} campaign; the channel configuration is {row.purpose}."
        desk.fault(f"{pointer}/channel_id", text)
    return {"channel_id": str(row.channel_id), "channel": fingerprint_of(row)}


def _segment_split(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    branches = [
        {
            "key": branch.get("key"),
            "name": branch.get("name", ""),
            **_audience(desk, branch, f"{pointer}/branches/{no}"),
        }
        for no, branch in enumerate(step.get("branches") or ())
    ]
    return {"branches": branches}


def _audience(desk: Desk, branch: Raw, pointer: str) -> dict[str, Any]:
    """Return list and rule of a branch's audience: they are signed as they are now (architecture.md 6)."""
    if not branch.get("audience_id"):
        return {}
    try:
        row = audience_in(desk.session, parse("aud", branch["audience_id"]), actor=desk.actor)
        segment.parse(row.rule, kinds=desk.kinds)
    except (BadId, DomainError) as error:
        text = error.detail if isinstance(error, Invalid) else "There is no such audience any more."
        desk.fault(f"{pointer}/audience_id", text)
        return {}
    if Visibility(row.visibility) is not Visibility.PUBLIC:
        desk.fault(f"{pointer}/audience_id", "This audience is private; campaigns use public ones only.")
    return {"audience_id": str(row.audience_id), "list_id": str(row.list_id), "rule": row.rule}


def _condition(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    if not step.get("rule"):
        return {}  # that nothing is asked, its kind says
    try:
        segment.parse(step.get("rule"), kinds=desk.kinds, pointer=f"{pointer}/rule")
    except Invalid as error:
        desk.faults += error.faults
    return {}


def _wait(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    key = step.get("attribute")
    if step.get("for") == wait.ATTRIBUTE and key:
        kind = desk.kinds.get(key)
        if kind not in {AttributeKind.DATE, AttributeKind.DATETIME}:
            desk.fault(f"{pointer}/attribute", "Choose an attribute that holds a date.")
    return {}


def _set_attribute(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    for no, change in enumerate(step.get("changes") or ()):
        text = change_fault(change, kinds=desk.kinds, payload=desk.payload)
        if text:
            desk.fault(f"{pointer}/changes/{no}", text)
    return {}


def _change_list(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    if not step.get("list_id"):
        return {}
    try:
        return {"list_id": str(list_in(desk.session, parse("lst", step["list_id"]), actor=desk.actor).list_id)}
    except (BadId, DomainError):
        desk.fault(f"{pointer}/list_id", "There is no such list any more.")
        return {}


def _other_campaign(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    if not step.get("campaign_id"):
        return {}
    try:
        other = queries.campaign(
            desk.session,
            actor=desk.actor,
            campaign_id=parse("cam", step["campaign_id"]),
            action=Action.CAMPAIGN_TRIGGER,
        )
    except (BadId, DomainError):
        desk.fault(f"{pointer}/campaign_id", "There is no such campaign any more, or you may not start it.")
        return {}
    if other.campaign_id == desk.campaign.campaign_id:
        desk.fault(f"{pointer}/campaign_id", "A campaign cannot start or stop itself.")
    if step.get("action") == "start" and CampaignKind(other.kind) is not CampaignKind.API:
        desk.fault(f"{pointer}/campaign_id", "Only a campaign that starts on call can be started for people.")
    elif step.get("action") == "start":
        _start_fault(desk, other.campaign_id, f"{pointer}/campaign_id")
    return {"campaign_id": str(other.campaign_id)}


def _start_fault(desk: Desk, other_id: UUID, pointer: str) -> None:
    if _leads_back(desk, other_id):
        desk.fault(pointer, "It starts this campaign again: people would go in a circle without end.")
    called = CampaignKind(desk.campaign.kind) is CampaignKind.API  # only calls send something along to hand on
    missing = not_handed_on(desk.session, other_id, given=desk.fields if called else ())
    if missing:
        how = "declare the same, as required, in the payload of this campaign" if called else "only calls hand it on"
        desk.fault(pointer, f"It requires {', '.join(missing)}: {how}.")


def _leads_back(desk: Desk, other_id: UUID) -> bool:
    """Say whether a campaign starts this one, itself or through others, by what is published of them."""
    left, seen = [other_id], {desk.campaign.campaign_id}
    while left:
        found = left.pop()
        if found == desk.campaign.campaign_id:
            return True
        if found in seen:
            continue
        seen.add(found)
        revision = queries.published(desk.session, found)
        steps = json.loads(revision.document)["steps"] if revision is not None and revision.document else []
        starts = [each for each in steps if each["kind"] == other_campaign.KIND and each["action"] == "start"]
        left += [UUID(each["campaign_id"]) for each in starts]
    return False


def _webhook_message(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    found = _with_body(desk, step, pointer)
    return found | {"content": {"body": step.get("body") or ""}, "links": []}


def _call_webhook(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    for no, each in enumerate(step.get("fill") or ()):
        if each.get("attribute") and each["attribute"] not in desk.kinds:
            desk.fault(f"{pointer}/fill/{no}/attribute", f"There is no attribute “{each['attribute']}”.")
    return _with_body(desk, step, pointer)


def _with_body(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    """Return the webhook and what its body reads; the body makes JSON for somebody who has every attribute."""
    found = _webhook(desk, step, pointer)
    if not (step.get("body") or "").strip():
        return found  # that nothing is sent, its kind says
    contact = {key: _EXAMPLES[kind] for key, kind in desk.kinds.items()} | {"email": "somebody@example.org"}
    context = {key: _EXAMPLES[AttributeKind(kind)] for key, kind in desk.payload.items()}
    sample = payload_row(contact=contact, context=context, workspace_name="Workspace")
    try:
        checked = check_payload(desk.renderer, step.get("body") or "", known=desk.variables, samples=[sample])
    except TemplateError as error:
        desk.faults += [Fault(f"{pointer}{fault.pointer}", fault.message) for fault in error.faults]
        return found
    return found | {"used": sorted(checked.used)}


_EXAMPLES: Final[Mapping[AttributeKind, Any]] = MappingProxyType(
    {
        AttributeKind.TEXT: "text",
        AttributeKind.NUMBER: 1,
        AttributeKind.BOOLEAN: True,
        AttributeKind.DATE: "2026-11-30",
        AttributeKind.DATETIME: "2026-11-30T09:00:00Z",
    }
)


def _webhook(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    return _channel(desk, step, pointer, ChannelKind.WEBHOOK)


def _gate(desk: Desk, step: Raw, pointer: str) -> dict[str, Any]:
    return _webhook(desk, step, pointer)


_LOOKED_UP: Final[Mapping[str, Callable[[Desk, Raw, str], dict[str, Any]]]] = MappingProxyType(
    {
        email.KIND: _email,
        webhook_message.KIND: _webhook_message,
        segment_split.KIND: _segment_split,
        condition.KIND: _condition,
        wait.KIND: _wait,
        set_attribute.KIND: _set_attribute,
        change_list.KIND: _change_list,
        other_campaign.KIND: _other_campaign,
        call_webhook.KIND: _call_webhook,
        gate.KIND: _gate,
    }
)
