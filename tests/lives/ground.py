"""What a life stands on: its own two workspaces with people, channels and campaigns, made by the product's services."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from saas.accounts.service import keys, people
from saas.audiences.models import ContactList, ListMember
from saas.campaigns.service import approval, draft, submission
from saas.campaigns.types import CampaignKind
from saas.channels.models import ChannelConfiguration
from saas.channels.types import Purpose
from saas.content.jail.renderer import Renderer
from saas.kernel.ids import show, uuid7
from saas.ledger.models import Consent, Contact, Suppression
from saas.notices.service import wishes
from saas.notices.types import MailMode, NoticeKind, Wish
from saas.permissions.rules import rights_of
from saas.permissions.types import Actor, ActorKind, Role
from saas.platform.db import bind
from saas.tenants.service import members, workspaces
from tests.engine_room import PATIENCE_S
from tests.lives.plan import Life
from tests.reference.words import Sending
from tests.worlds import KEY_SCOPES, Client

TOPIC = "newsletter"
LEAD_S = 300
DOMAIN = "news.northwind.example"


@dataclass
class Stage:
    """What outlives a life: the application, an agency, two people who work for it, and a renderer."""

    app: Flask
    engine: sa.Engine
    owner_engine: sa.Engine
    renderer: Renderer
    agency_id: UUID
    author: UUID
    approver: UUID


@dataclass
class Place:
    """A workspace of a life."""

    tenant_id: UUID
    project_id: UUID
    list_id: UUID
    author: Actor
    approver: Actor
    key: str = ""


@dataclass
class Ground:
    """The life's things in the product, by their numbers in the plan."""

    stage: Stage
    life: Life
    places: list[Place] = field(default_factory=list)
    contacts: dict[int, UUID] = field(default_factory=dict)
    campaigns: dict[int, UUID] = field(default_factory=dict)
    channels: dict[int, UUID] = field(default_factory=dict)
    revisions: dict[int, int] = field(default_factory=dict)

    @contextmanager
    def session(self, place: int):
        with Session(self.stage.engine, expire_on_commit=False) as session:
            bind(session, self.places[place].tenant_id)
            yield session

    def campaign(self, number: int) -> Sending:
        return self.life.campaigns[number]

    def caller(self, place: int, now: datetime) -> Client:
        """Return the workspace's API client."""
        here = self.places[place]
        if not here.key:
            with self.session(place) as session:
                scopes = [scope.value for scope in KEY_SCOPES]
                _, here.key = keys.make_key(
                    session, actor=here.author, name="Shop", role=Role.MANAGER, scopes=scopes, project_id=None,
                    expires_at=None, now=now,
                )  # fmt: skip
                session.commit()
        return Client(self.stage.app, key=here.key)


def make_stage(app: Flask, engine: sa.Engine, owner_engine: sa.Engine, now: datetime) -> Stage:
    tag = uuid4().hex[:12]
    with Session(engine, expire_on_commit=False) as session:
        both = [
            people.ensure_account(session, email=f"{name}.{tag}@lantern.example", name=name.title(), now=now).account_id
            for name in ("author", "approver")
        ]
        # Their notices are no part of what a life looks at, and no mail server of the system takes them here.
        silence = dict.fromkeys(NoticeKind, Wish(in_app=False, mail=MailMode.OFF))
        for account_id in both:
            wishes.choose(session, account_id=account_id, wishes=silence)
        agency = workspaces.create_agency(session, name="Lantern Agency", owner_id=both[0], now=now)
        session.commit()
    return Stage(app, engine, owner_engine, Renderer(timeout_s=PATIENCE_S), agency.agency_id, *both)


def lay(stage: Stage, life: Life, port: int) -> Ground:
    """Make everything up to the approvals, which the life itself gives."""
    ground = Ground(stage, life)
    for number in (0, 1):
        ground.places.append(_place(stage, life, number))
        _people(ground, number)
    for plan in life.campaigns:
        with ground.session(plan.place) as session:
            _campaign(ground, session, plan, port)
            session.commit()
    return ground


def address(person: int) -> str:
    return f"p{person}@example.org"


def sender_address(campaign: int) -> str:
    return f"c{campaign}@{DOMAIN}"


def person_of(email: str) -> int:
    return int(email[1 : email.index("@")])


campaign_of = person_of


def _place(stage: Stage, life: Life, number: int) -> Place:
    with Session(stage.engine, expire_on_commit=False) as session:
        boss = Actor(ActorKind.PERSON, stage.author, "Author", agencies=frozenset({stage.agency_id}))
        row = workspaces.create_workspace(
            session, actor=boss, agency_id=stage.agency_id, name=f"Northwind {number}", time_zone="Europe/Oslo",
            language="en", now=life.start,
        )  # fmt: skip
        row.messages_per_month = dict(life.quotas).get(number)
        author = _actor(stage.author, row.tenant_id, Role.ADMIN)
        project = workspaces.create_project(session, actor=author, name="Winter season", now=life.start)
        members.grant(
            session, actor=author, account_id=stage.approver, role=Role.APPROVER, project_id=None, now=life.start
        )
        session.commit()
        return Place(
            row.tenant_id, project.project_id, uuid7(), author, _actor(stage.approver, row.tenant_id, Role.APPROVER)
        )


def _actor(account_id: UUID, tenant_id: UUID, role: Role) -> Actor:
    roles = ((role, None),)
    return Actor(
        ActorKind.PERSON, account_id, role.value, tenant_id=tenant_id, roles=roles, rights=rights_of(tenant_id, roles)
    )


def _people(ground: Ground, number: int) -> None:
    place, life, now = ground.places[number], ground.life, ground.life.start
    hashed = ground.stage.app.extensions["countersign"].vault.address_hash
    people = [person for person in life.people if person.place == number]
    for person in people:
        # The same in every run of a seed: their order decides who is in which chunk.
        digest = blake2b(f"{life.seed}:{person.no}".encode(), digest_size=16).digest()
        ground.contacts[person.no] = UUID(bytes=digest, version=4)
    stamp = {"tenant_id": place.tenant_id, "created_at": now, "updated_at": now, "version": 1}
    with ground.session(number) as session:
        session.add(
            ContactList(**stamp, list_id=place.list_id, project_id=place.project_id, name="Club", description="")
        )
        session.flush()
        session.execute(
            sa.insert(Contact),
            [
                stamp
                | {"contact_id": ground.contacts[p.no], "email": address(p.no), "email_key": address(p.no),
                   "address_hash": hashed(address(p.no)), "attributes": {"first_name": f"Name {p.no}"}}
                for p in people
            ],
        )  # fmt: skip
        for person in people:
            contact = ground.contacts[person.no]
            _begin(session, place, contact, person, now, hashed)
        session.commit()


def _begin(session, place, contact, person, now, hashed) -> None:
    if person.consent != "none":
        session.add(Consent(tenant_id=place.tenant_id, contact_id=contact, topic=TOPIC, status=person.consent,
                            source="test", at=now - timedelta(days=1)))  # fmt: skip
    if person.listed:
        session.add(ListMember(tenant_id=place.tenant_id, list_id=place.list_id, contact_id=contact, added_at=now))
    if person.suppressed:
        session.add(Suppression(tenant_id=place.tenant_id, address_hash=hashed(address(person.no)), reason="manual",
                                at=now - timedelta(days=1)))  # fmt: skip


def _campaign(ground: Ground, session: Session, plan: Sending, port: int) -> None:
    place, now = ground.places[plan.place], ground.life.start
    purpose = Purpose.MARKETING if plan.marketing else Purpose.TRANSACTIONAL
    channel = ChannelConfiguration(
        tenant_id=place.tenant_id, channel_id=uuid7(), name=f"Channel {plan.no}", kind="smtp", purpose=purpose.value,
        from_name="Northwind", from_address=sender_address(plan.no), host="127.0.0.1", port=port, security="none",
        connections=1, created_at=now, updated_at=now, version=1,
    )  # fmt: skip
    session.add(channel)
    session.flush()
    row = draft.create(
        session, actor=place.author, project_id=place.project_id, name=f"Campaign {plan.no}", description="",
        kind=CampaignKind.DATED if plan.wall else CampaignKind.API, purpose=purpose, now=now,
    )  # fmt: skip
    ground.campaigns[plan.no], ground.channels[plan.no] = row.campaign_id, channel.channel_id
    ground.revisions[plan.no] = 1
    draft.save(
        session, actor=place.author, campaign_id=row.campaign_id, no=1, version=1,
        draft=draft_of(ground, plan, wall=plan.wall), now=now,
    )  # fmt: skip


def draft_of(ground: Ground, plan: Sending, *, wall: str | None) -> dict[str, Any]:
    """The draft of a campaign: its message tells which entry it is for."""
    place = ground.places[plan.place]
    code = "dated" if plan.wall else "{{ context.code }}"
    leave = "{{ unsubscribe_url }}" if plan.marketing else ""
    settings: dict[str, Any] = {"speed_per_hour": plan.per_hour}
    settings["waves"] = [{"percent": percent, "after_minutes": minutes} for percent, minutes in plan.waves]
    if plan.cap is not None:
        settings["frequency_cap"] = {"use": "own", "messages": plan.cap[0], "days": plan.cap[1]}
    return {
        "audience": {"list_id": show("lst", place.list_id)} if plan.wall else None,
        "topic": TOPIC if plan.marketing else None,
        "time_zone": plan.zone,
        "payload": {"fields": [] if plan.wall else [{"key": "code", "kind": "text", "required": True}]},
        "settings": settings,
        "steps": [{
            "step_no": 1, "kind": "email", "name": "Message", "channel_id": show("chn", ground.channels[plan.no]),
            "at": wall,
            "content": {"subject": code, "html": f"<p>Hello {{{{ contact.first_name }}}}</p><p>{_link(leave)}</p>",
                        "text": f"Hello {{{{ contact.first_name }}}}\n{leave}\n", "preheader": ""},
        }],
    }  # fmt: skip


def _link(leave: str) -> str:
    return f'<a href="{leave}">Unsubscribe</a>' if leave else "Thank you."


def publish(ground: Ground, number: int, now: datetime) -> None:
    """Submit a campaign's newest revision and sign it. Raises the product's refusals."""
    plan, no = ground.campaign(number), ground.revisions[number]
    place, campaign_id = ground.places[plan.place], ground.campaigns[number]
    with ground.session(plan.place) as session:
        row = submission.submit(
            session,
            actor=place.author,
            campaign_id=campaign_id,
            no=no,
            version=None,
            renderer=ground.stage.renderer,
            now=now,
        )
        approval.approve(
            session, actor=place.approver, campaign_id=campaign_id, no=no, seen_hash=row.content_hash or "", comment="",
            lead_s=LEAD_S, now=now,
        )  # fmt: skip
        session.commit()


def revise(ground: Ground, number: int, wall: str | None, now: datetime) -> None:
    """Write another revision and have it signed. Raises the product's refusals, then nothing has changed."""
    plan = ground.campaign(number)
    place, campaign_id = ground.places[plan.place], ground.campaigns[number]
    with ground.session(plan.place) as session:
        row = draft.new_revision(session, actor=place.author, campaign_id=campaign_id, now=now)
        draft.save(
            session, actor=place.author, campaign_id=campaign_id, no=row.no, version=row.version,
            draft=draft_of(ground, plan, wall=wall), now=now,
        )  # fmt: skip
        submitted = submission.submit(
            session, actor=place.author, campaign_id=campaign_id, no=row.no, version=None, renderer=ground.stage.renderer,
            now=now,
        )  # fmt: skip
        approval.approve(
            session, actor=place.approver, campaign_id=campaign_id, no=row.no, seen_hash=submitted.content_hash or "",
            comment="", lead_s=LEAD_S, now=now,
        )  # fmt: skip
        session.commit()
        ground.revisions[number] = row.no
