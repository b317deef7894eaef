"""What a life of a flow stands on: its workspace, people, lists, audiences and campaign, made by the product's services."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.audiences.models import ContactList, ListMember
from saas.audiences.service import attributes, audiences
from saas.audiences.types import AttributeKind, Visibility
from saas.campaigns.service import approval, draft, submission
from saas.campaigns.types import CampaignKind
from saas.channels.models import ChannelConfiguration
from saas.channels.service import hooks
from saas.channels.types import Purpose
from saas.kernel.ids import show, uuid7
from saas.ledger.models import Consent, Contact, Suppression
from saas.permissions.types import Actor, ActorKind, Role
from saas.platform.db import bind
from saas.tenants.service import members, workspaces
from tests.lives.flows.outside import Receiver, body_of, other_draft
from tests.lives.flows.plan import Life
from tests.lives.ground import LEAD_S, Stage, _actor, address

SENDER = "c0@news.northwind.example"
TOPIC = "newsletter"
EVERYBODY, NEWS = "lst_all", "lst_news"
_BUILT_IN = {"city", "time_zone", "points"}
_BY_HOOK = {"webhook_message", "gate", "call_webhook"}
_FIELDS = {"payload": {"fields": [{"key": "plan", "kind": "text", "required": False}]}}


@dataclass
class Ground:
    """The life's things in the product."""

    stage: Stage
    life: Life
    tenant_id: UUID
    project_id: UUID
    author: Actor
    approver: Actor
    campaign_id: UUID
    channel_id: UUID = field(default_factory=uuid7)
    lists: dict[str, UUID] = field(default_factory=dict)
    audiences: dict[str, UUID] = field(default_factory=dict)
    contacts: dict[int, UUID] = field(default_factory=dict)
    hook_id: UUID | None = None
    other_id: UUID | None = None
    no: int = 1

    @contextmanager
    def session(self):
        with Session(self.stage.engine, expire_on_commit=False) as session:
            bind(session, self.tenant_id)
            yield session

    @property
    def people(self) -> dict[UUID, int]:
        return {contact: no for no, contact in self.contacts.items()}


def lay(stage: Stage, life: Life, port: int, receiver: Receiver) -> Ground:
    """Make everything up to the publication, which the life itself brings about."""
    ground = _place(stage, life)
    ground.contacts = {person.no: UUID(person.contact) for person in life.people}
    with ground.session() as session:
        _people(ground, session)
        for key, kind in life.campaign["attributes"].items():
            if key not in _BUILT_IN:
                attributes.register(
                    session, actor=ground.author, key=key, label=key, kind=AttributeKind(kind), now=life.begin
                )
        _audiences(ground, session)
        _channel(ground, session, port)
        kinds = {step["kind"] for step in life.campaign["flow"]["steps"]}
        if kinds & _BY_HOOK:
            _hook(ground, session, receiver)
        if "other_campaign" in kinds:
            _other(ground, session)
        _campaign(ground, session)
        session.commit()
    return ground


def _place(stage: Stage, life: Life) -> Ground:
    with Session(stage.engine, expire_on_commit=False) as session:
        boss = Actor(ActorKind.PERSON, stage.author, "Author", agencies=frozenset({stage.agency_id}))
        row = workspaces.create_workspace(
            session, actor=boss, agency_id=stage.agency_id, name="Northwind", time_zone=life.campaign["zone"],
            language="en", now=life.begin,
        )  # fmt: skip
        author = _actor(stage.author, row.tenant_id, Role.ADMIN)
        project = workspaces.create_project(session, actor=author, name="Winter season", now=life.begin)
        members.grant(
            session, actor=author, account_id=stage.approver, role=Role.APPROVER, project_id=None, now=life.begin
        )
        session.commit()
    approver = _actor(stage.approver, row.tenant_id, Role.APPROVER)
    # Chance comes from the campaign's id: a life has the same one each time.
    campaign_id = UUID(hex=life.campaign["salt"])
    return Ground(stage, life, row.tenant_id, project.project_id, author, approver, campaign_id)


def _people(ground: Ground, session: Session) -> None:
    now, tenant = ground.life.begin, ground.tenant_id
    hashed = ground.stage.app.extensions["countersign"].vault.address_hash
    stamp = {"tenant_id": tenant, "created_at": now, "updated_at": now, "version": 1}
    for key in (EVERYBODY, NEWS):
        ground.lists[key] = uuid7()
        session.add(
            ContactList(
                **stamp, list_id=ground.lists[key], project_id=ground.project_id, name=f"Club {key}", description=""
            )
        )
    session.flush()
    session.execute(
        sa.insert(Contact),
        [
            stamp
            | {"contact_id": ground.contacts[p.no], "email": address(p.no), "email_key": address(p.no),
               "address_hash": hashed(address(p.no)), "attributes": dict(p.attributes)}
            for p in ground.life.people
        ],
    )  # fmt: skip
    before = now - timedelta(days=1)
    for person in ground.life.people:
        contact = ground.contacts[person.no]
        for topic, status in person.consents.items():
            session.add(
                Consent(tenant_id=tenant, contact_id=contact, topic=topic, status=status, source="test", at=before)
            )
        for key in (EVERYBODY, *person.lists):
            session.add(ListMember(tenant_id=tenant, list_id=ground.lists[key], contact_id=contact, added_at=before))
        if person.suppressed:
            session.add(
                Suppression(tenant_id=tenant, address_hash=hashed(address(person.no)), reason="manual", at=before)
            )
    session.flush()


def _audiences(ground: Ground, session: Session) -> None:
    given = dict(ground.life.campaign["audiences"])
    if ground.life.campaign["audience"] is not None:
        given["aud_own"] = {"list_id": ground.life.campaign["list_id"], "rule": ground.life.campaign["audience"]}
    for name, audience in given.items():
        row = audiences.create_audience(
            session, actor=ground.author, project_id=ground.project_id,
            list_id=ground.lists[audience["list_id"] or EVERYBODY], name=name, visibility=Visibility.PUBLIC,
            rule=audience["rule"], now=ground.life.begin,
        )  # fmt: skip
        ground.audiences[name] = row.audience_id


def _channel(ground: Ground, session: Session, port: int) -> None:
    now = ground.life.begin
    purpose = Purpose.MARKETING if ground.life.campaign["marketing"] else Purpose.TRANSACTIONAL
    session.add(
        ChannelConfiguration(
            tenant_id=ground.tenant_id,
            channel_id=ground.channel_id,
            name="Mail",
            kind="smtp",
            purpose=purpose.value,
            from_name="Northwind",
            from_address=SENDER,
            host="127.0.0.1",
            port=port,
            security="none",
            connections=1,
            created_at=now,
            updated_at=now,
            version=1,
        )
    )
    session.flush()


def _hook(ground: Ground, session: Session, receiver: Receiver) -> None:
    purpose = Purpose.MARKETING if ground.life.campaign["marketing"] else Purpose.TRANSACTIONAL
    row, _ = hooks.create(
        session, actor=ground.author, vault=ground.stage.app.extensions["countersign"].vault, now=ground.life.begin,
        allow=(receiver.address,), draft=hooks.HookDraft(name="Shop", purpose=purpose, url=receiver.url),
    )  # fmt: skip
    ground.hook_id = row.channel_id


def _other(ground: Ground, session: Session) -> None:
    """Publish a campaign early enough to be active when the life begins."""
    life, now = ground.life, ground.life.begin - timedelta(minutes=10)
    purpose = Purpose.MARKETING if life.campaign["marketing"] else Purpose.TRANSACTIONAL
    row = draft.create(
        session, actor=ground.author, project_id=ground.project_id, name="Other", description="",
        kind=CampaignKind.API, purpose=purpose, now=now,
    )  # fmt: skip
    topic = TOPIC if life.campaign["marketing"] else None
    draft.save(
        session, actor=ground.author, campaign_id=row.campaign_id, no=1, version=1,
        draft=other_draft(_FIELDS, topic, life.campaign["zone"]), now=now,
    )  # fmt: skip
    ground.other_id = row.campaign_id
    _sign(ground, session, now, campaign_id=row.campaign_id, no=1)


def _campaign(ground: Ground, session: Session) -> None:
    life = ground.life
    purpose = Purpose.MARKETING if life.campaign["marketing"] else Purpose.TRANSACTIONAL
    with patch.object(draft, "uuid7", lambda: ground.campaign_id):
        draft.create(
            session, actor=ground.author, project_id=ground.project_id, name=f"Life {life.seed}", description="",
            kind=CampaignKind(life.campaign["kind"]), purpose=purpose, now=life.begin,
        )  # fmt: skip
    draft.save(
        session, actor=ground.author, campaign_id=ground.campaign_id, no=1, version=1,
        draft=draft_of(ground, life.campaign), now=life.begin,
    )  # fmt: skip


def draft_of(ground: Ground, campaign: Mapping[str, Any]) -> dict[str, Any]:
    """Return a campaign of the nursery as a draft of the product."""
    kind, marketing = campaign["kind"], campaign["marketing"]
    entry = dict(campaign.get("entry") or {})
    chosen = entry.pop("audience", None)
    audience: dict[str, str] | None = None
    if kind == "flowing" and chosen:
        audience = {"audience_id": show("aud", ground.audiences[chosen])}
    elif kind == "dated" and campaign["audience"] is not None:
        audience = {"audience_id": show("aud", ground.audiences["aud_own"])}
    elif kind == "dated":
        audience = {"list_id": show("lst", ground.lists[campaign["list_id"] or EVERYBODY])}
    return {
        "audience": audience,
        "topic": TOPIC if marketing else None,
        "time_zone": campaign["zone"],
        **(_FIELDS if kind != "dated" else {"payload": {"fields": []}}),
        "settings": dict(campaign["settings"]),
        "entry": entry if kind == "flowing" else None,
        "recurrence": campaign.get("recurrence"),
        "publish_from": campaign.get("publish_from"),
        "publish_until": campaign.get("publish_until"),
        "start": list(campaign["flow"]["start"]),
        "steps": [_step(ground, step, marketing=marketing) for step in campaign["flow"]["steps"]],
    }


def _step(ground: Ground, step: Mapping[str, Any], *, marketing: bool) -> dict[str, Any]:
    found = {key: value for key, value in step.items() if value is not None}
    found["next"] = {way: list(targets) for way, targets in (step.get("next") or {}).items() if targets}
    if step["kind"] == "email":
        leave = "{{ unsubscribe_url }}" if marketing else ""
        link = f'<a href="{leave}">Leave</a>' if leave else "Thank you."
        found |= {
            "channel_id": show("chn", ground.channel_id),
            "content": {"subject": f"step {step['step_no']}", "html": f"<p>Hello</p><p>{link}</p>",
                        "text": f"Hello\n{leave}\n", "preheader": ""},
        }  # fmt: skip
    if step["kind"] == "segment_split":
        found["branches"] = [
            {**branch, "audience_id": show("aud", ground.audiences[branch["audience_id"]])}
            for branch in step["branches"]
        ]
    if step["kind"] in _BY_HOOK:
        found["channel_id"] = show("chn", ground.hook_id) if ground.hook_id else ""
    if step["kind"] in {"webhook_message", "call_webhook"}:
        found["body"] = body_of(step["kind"])
    if step["kind"] == "other_campaign":
        found["campaign_id"] = show("cam", ground.other_id) if ground.other_id else ""
    if step["kind"] == "change_list":
        found["list_id"] = show("lst", ground.lists[step["list_id"]])
    return found


def publish(ground: Ground, now: datetime) -> None:
    """Submit the newest revision and sign it. Raises the product's refusals."""
    with ground.session() as session:
        _sign(ground, session, now, campaign_id=ground.campaign_id, no=ground.no)
        session.commit()


def revise(ground: Ground, campaign: Mapping[str, Any], now: datetime) -> None:
    """Write another revision and have it signed. Raises the product's refusals, then nothing has changed."""
    before = ground.no
    try:
        with ground.session() as session:
            row = draft.new_revision(session, actor=ground.author, campaign_id=ground.campaign_id, now=now)
            draft.save(
                session, actor=ground.author, campaign_id=ground.campaign_id, no=row.no, version=row.version,
                draft=draft_of(ground, campaign), now=now,
            )  # fmt: skip
            ground.no = row.no
            _sign(ground, session, now, campaign_id=ground.campaign_id, no=row.no)
            session.commit()
    except Exception:
        ground.no = before
        raise


def _sign(ground: Ground, session: Session, now: datetime, *, campaign_id: UUID, no: int) -> None:
    row = submission.submit(
        session, actor=ground.author, campaign_id=campaign_id, no=no, version=None,
        renderer=ground.stage.renderer, now=now,
    )  # fmt: skip
    approval.approve(
        session, actor=ground.approver, campaign_id=campaign_id, no=no,
        seen_hash=row.content_hash or "", comment="", lead_s=LEAD_S, now=now,
    )  # fmt: skip
