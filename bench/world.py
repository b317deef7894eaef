"""Twenty workspaces that hold data, and what the jobs do in them: people, channels, campaigns.

People are filled in by SQL, because nothing about filling is measured; campaigns go the way of the product: draft,
submission, approval, publication.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from bench.installation import Installation
from saas.accounts.service import keys, people
from saas.campaigns.service import approval, draft, submission
from saas.campaigns.types import START_CAMPAIGN, CampaignKind
from saas.channels.models import ChannelConfiguration
from saas.channels.types import Purpose
from saas.content.current import KEY as RENDERER
from saas.content.types import EmailContent
from saas.kernel.ids import show, uuid7
from saas.permissions.rules import rights_of
from saas.permissions.types import Action, Actor, ActorKind, Role
from saas.platform.agenda import service as agenda
from saas.platform.agenda.types import Queue
from saas.platform.db import bind, tenant_session
from saas.tenants.service import members, workspaces

ZONE: Final = "Europe/Oslo"
CITIES: Final = ("Oslo", "Bergen", "Paris", "London", "Berlin", "Madrid", "Rome", "Vienna")
ATTRIBUTES: Final = {
    "first_name": "text", "last_name": "text", "city": "text", "plan": "text", "age": "number", "orders": "number",
    "language": "text", "signed_up": "date", "value": "number", "member": "boolean",
}  # fmt: skip
_SIGNED_BEFORE: Final = timedelta(hours=3)
_HELD_BACK: Final = timedelta(days=1)
_BASE_MS: Final = 1_700_000_000_000

# Contact ids rise with their number, as those that an import makes: the first 48 bits count.
_ID: Final = (
    "(lpad(to_hex(%(base)s + g), 12, '0') || '7' || substr(md5(%(tag)s || g), 1, 3) || '8'"
    " || substr(md5(%(tag)s || g), 4, 15))::uuid"
)
ATTRIBUTES_SQL: Final = """
    jsonb_build_object('first_name', 'Name' || g, 'last_name', 'Berg' || g %% 977,
      'city', (%(cities)s::text[])[1 + g %% 8],
      'plan', (array['free', 'basic', 'pro', 'gold'])[1 + (g / 8) %% 4], 'age', 18 + (g * 7) %% 60,
      'orders', (g * 13) %% 40, 'language', (array['en', 'no', 'fr', 'de'])[1 + (g / 32) %% 4],
      'signed_up', to_char(date '2018-01-01' + (g %% 2800)::int, 'YYYY-MM-DD'), 'value', (g * 31) %% 5000,
      'member', g %% 3 = 0)
"""
_CONTACTS: Final = f"""
    INSERT INTO contact (tenant_id, contact_id, email, email_key, address_hash, attributes, created_at, updated_at,
      version)
    SELECT %(tenant)s, {_ID}, %(tag)s || g || '@example.org', %(tag)s || g || '@example.org',
      substr(sha256((%(tenant)s || %(tag)s || g)::bytea), 1, 16), {ATTRIBUTES_SQL}, now(), now(), 1
    FROM generate_series(1, %(count)s) AS g
"""
_MEMBERS: Final = f"""
    INSERT INTO list_member (tenant_id, list_id, contact_id, added_at)
    SELECT %(tenant)s, %(list)s, {_ID}, now() FROM generate_series(1, %(count)s) AS g
"""
_CONSENTS: Final = f"""
    INSERT INTO consent (tenant_id, contact_id, topic, status, source, at)
    SELECT %(tenant)s, {_ID}, 'newsletter', 'given', 'bench', now() - interval '30 days'
    FROM generate_series(1, %(count)s) AS g
"""
# Addresses that are on nobody's list any more: one for every fifty people.
_SUPPRESSED: Final = """
    INSERT INTO suppression (tenant_id, address_hash, reason, at)
    SELECT %(tenant)s, substr(sha256((%(tenant)s || 'gone' || g)::bytea), 1, 16), 'hard_bounce',
      now() - interval '90 days' FROM generate_series(1, %(count)s / 50 + 1) AS g
"""
_PAST_ENTRIES: Final = f"""
    INSERT INTO entry (tenant_id, entry_id, campaign_id, occurrence, contact_id, entry_key, single, entered_at)
    SELECT %(tenant)s, nextval('entry_id_seq'), %(campaign)s, '', {_ID}, '', false, now() - interval '20 days'
    FROM generate_series(1, %(count)s) AS g
"""
_PAST_DELIVERIES: Final = """
    INSERT INTO delivery (tenant_id, entry_id, step_no, run_id, chunk_no, contact_id, token, attempt, claimed_at)
    SELECT tenant_id, entry_id, 1, %(run)s, 1, contact_id, 1, 1, now() - interval '20 days'
    FROM entry WHERE tenant_id = %(tenant)s AND campaign_id = %(campaign)s
"""

_ABANDON: Final = (
    "UPDATE campaign SET state = 'stopped', finished_at = now() WHERE tenant_id = %s AND campaign_id = %s",
    """
    UPDATE chunk k SET state = 'cancelled' FROM run r WHERE k.tenant_id = %s AND r.campaign_id = %s
      AND r.tenant_id = k.tenant_id AND k.run_id = r.run_id AND k.state IN ('pending', 'claimed')
    """,
    """
    DELETE FROM agenda a USING run r WHERE a.tenant_id = %s AND r.campaign_id = %s AND r.tenant_id = a.tenant_id
      AND a.subject = r.run_id::text
    """,
    "UPDATE run SET state = 'cancelled', finished_at = now() WHERE tenant_id = %s AND campaign_id = %s",
)


@dataclass
class Place:
    """A workspace: its people in charge, a project, and a key for programs."""

    tenant_id: UUID
    project_id: UUID
    manager: Actor
    approver: Actor
    key: str
    lists: dict[str, UUID] = field(default_factory=dict)
    channels: dict[str, UUID] = field(default_factory=dict)


class World:
    """What the jobs work in. `place` is the workspace that is measured, the others hold data."""

    def __init__(self, installation: Installation, *, tenants: int, neighbour: int) -> None:
        self.at = installation
        now = self.now()
        with Session(installation.engine, expire_on_commit=False) as session:
            row = people.ensure_account(session, email="owner@lantern.example", name="Olive Owner", now=now)
            agency = workspaces.create_agency(session, name="Lantern Agency", owner_id=row.account_id, now=now)
            session.commit()
        self._agency = agency.agency_id
        self._boss = Actor(ActorKind.PERSON, row.account_id, "Olive Owner", agencies=frozenset({self._agency}))
        self.place = self.add_place("measured")
        self.others = [self.add_place(f"neighbour {number}") for number in range(1, tenants)]
        for place in self.others:
            self.add_people(place, "club", neighbour)
            self._add_past(place, neighbour)
        self.tidy()

    def now(self) -> datetime:
        """Return the present moment."""
        return self.at.shell.clock.now()

    def tidy(self) -> None:
        """Do what autovacuum does within minutes of such fillings: the planner knows the tables, pages are visible."""
        with self.at.admin() as admin:
            admin.execute("VACUUM (ANALYZE)")
            admin.execute("CHECKPOINT")

    def session(self, place: Place) -> Session:
        """Return a session bound to a workspace; use it as a context manager."""
        session = Session(self.at.engine, expire_on_commit=False)
        bind(session, place.tenant_id)
        return session

    def add_place(self, name: str) -> Place:
        """Make a workspace."""
        now = self.now()
        with Session(self.at.engine, expire_on_commit=False) as session:
            row = workspaces.create_workspace(
                session, actor=self._boss, agency_id=self._agency, name=name, time_zone=ZONE, language="en", now=now
            )
            boss = self._as(row.tenant_id, self._boss.account_id, Role.AGENCY_OWNER)
            project = workspaces.create_project(session, actor=boss, name="Autumn", now=now)
            found: dict[Role, Actor] = {}
            for role in (Role.MANAGER, Role.APPROVER, Role.ADMIN):
                account = people.ensure_account(
                    session, email=f"{role.value}.{row.tenant_id}@northwind.example", name=role.value, now=now
                )
                members.grant(session, actor=boss, account_id=account.account_id, role=role, project_id=None, now=now)
                found[role] = self._as(row.tenant_id, account.account_id, role)
            _, text = keys.make_key(
                session,
                actor=found[Role.ADMIN],
                name="Shop",
                role=Role.MANAGER,
                scopes=[Action.CAMPAIGN_TRIGGER.value, Action.CAMPAIGN_READ.value],
                project_id=None,
                expires_at=None,
                now=now,
            )
            kinds = [
                {"tenant": row.tenant_id, "key": key, "label": key, "kind": kind} for key, kind in ATTRIBUTES.items()
            ]
            session.commit()
        with self.at.admin() as admin, admin.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO attribute (tenant_id, key, label, kind, created_at) VALUES (%(tenant)s, %(key)s,"
                " %(label)s, %(kind)s, now()) ON CONFLICT DO NOTHING",
                kinds,
            )
        return Place(row.tenant_id, project.project_id, found[Role.MANAGER], found[Role.APPROVER], text)

    def _as(self, tenant_id: UUID, account_id: UUID | None, role: Role) -> Actor:
        roles = ((role, None),)
        return Actor(
            ActorKind.PERSON,
            account_id,
            role.value,
            tenant_id=tenant_id,
            roles=roles,
            rights=rights_of(tenant_id, roles),
        )

    def add_people(self, place: Place, name: str, count: int) -> UUID:
        """Make a list of so many people who agreed to the newsletter; once, however often it is asked for."""
        key = f"{name} {count}"
        if key in place.lists:
            return place.lists[key]
        list_id, now = uuid7(), self.now()
        values = self._values(place, name, count) | {
            "list": list_id, "project": place.project_id, "name": key, "now": now
        }  # fmt: skip
        with self.at.admin() as admin, admin.transaction():
            admin.execute(
                "INSERT INTO contact_list (tenant_id, list_id, project_id, name, description, created_at, updated_at,"
                " version) VALUES (%(tenant)s, %(list)s, %(project)s, %(name)s, '', %(now)s, %(now)s, 1)",
                values,
            )
            for statement in (_CONTACTS, _MEMBERS, _CONSENTS, _SUPPRESSED):
                admin.execute(statement + (" ON CONFLICT DO NOTHING" if statement is _SUPPRESSED else ""), values)
        place.lists[key] = list_id
        return list_id

    def _values(self, place: Place, name: str, count: int) -> dict[str, Any]:
        # Another list of the same workspace begins where this one's ids end.
        base = _BASE_MS + sum(int(key.rpartition(" ")[2]) for key in place.lists)
        tag = f"{name}-{count}-"
        return {"tenant": place.tenant_id, "base": base, "tag": tag, "count": count, "cities": list(CITIES)}

    def _add_past(self, place: Place, count: int) -> None:
        """Give a workspace a campaign of the past: its entries and deliveries."""
        values = self._values(
            Place(place.tenant_id, place.project_id, place.manager, place.approver, ""), "club", count
        )
        with self.at.admin() as admin, admin.transaction():
            values |= {"campaign": uuid7(), "run": uuid7()}
            admin.execute(_PAST_ENTRIES, values)
            admin.execute(_PAST_DELIVERIES, values)

    def add_channel(self, place: Place, port: int, *, purpose: Purpose = Purpose.MARKETING, **extra: Any) -> UUID:
        """Make a channel configuration with default settings that leads to a sink on this machine."""
        now, channel_id = self.now(), uuid7()
        values = {
            "tenant_id": place.tenant_id, "channel_id": channel_id, "name": f"{purpose.value} {port} {channel_id}",
            "kind": "smtp", "purpose": purpose.value, "from_name": "Northwind Club",
            "from_address": "club@news.northwind.example", "host": "127.0.0.1", "port": port, "security": "none",
            "created_at": now, "updated_at": now, "version": 1, **extra,
        }  # fmt: skip
        with self.session(place) as session:
            session.add(ChannelConfiguration(**values))
            session.commit()
        return channel_id

    def campaign(
        self, place: Place, list_id: UUID, channel_id: UUID, content: EmailContent, *, cap: int | None = None
    ) -> UUID:
        """Make a dated campaign that is approved and published; it waits for `start_now`.

        cap: at most so many marketing messages to one person in 30 days; None leaves the default, which is no cap.
        """
        at = self.now().astimezone(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0)
        made = {
            "audience": {"list_id": show("lst", list_id)},
            "topic": "newsletter",
            "time_zone": ZONE,
            "settings": {"frequency_cap": {"use": "own", "messages": cap, "days": 30}} if cap is not None else {},
            "steps": [self._step(channel_id, content) | {"at": at.isoformat()}],
        }
        return self._published(place, made, kind=CampaignKind.DATED, purpose=Purpose.MARKETING)

    def api_campaign(self, place: Place, channel_id: UUID, content: EmailContent) -> UUID:
        """Make a campaign that starts by a call, published; it opens when a maintenance worker gets to it."""
        made = {
            "time_zone": ZONE,
            "payload": {"fields": [{"key": "reset_url", "kind": "text", "required": True}]},
            "steps": [self._step(channel_id, content)],
        }
        return self._published(place, made, kind=CampaignKind.API, purpose=Purpose.TRANSACTIONAL)

    def flow(self, place: Place, list_id: UUID, channel_id: UUID, content: EmailContent, **split: Any) -> UUID:
        """Make a dated campaign of a message and, an hour later, a step that divides those who had it; published."""
        first = self.now().astimezone(ZoneInfo(ZONE)).replace(tzinfo=None, microsecond=0)
        message = self._step(channel_id, content) | {"at": first.isoformat(), "next": {"sent": [2]}}
        second = {"step_no": 2, "name": "Who goes where", "at": (first + timedelta(hours=1)).isoformat(), **split}
        made = {
            "audience": {"list_id": show("lst", list_id)},
            "topic": "newsletter",
            "time_zone": ZONE,
            "steps": [message, second],
        }
        return self._published(place, made, kind=CampaignKind.DATED, purpose=Purpose.MARKETING)

    def _step(self, channel_id: UUID, content: EmailContent) -> dict[str, Any]:
        body = {"subject": content.subject, "html": content.html, "text": content.text}
        return {"step_no": 1, "kind": "email", "name": "Letter", "channel_id": show("chn", channel_id), "content": body}

    def _published(self, place: Place, made: Mapping[str, Any], *, kind: CampaignKind, purpose: Purpose) -> UUID:
        """Lead a campaign through draft, submission and approval.

        One with a date is signed as of a time before it: steps begin at the moment that was signed, which nobody can
        move afterwards. Then it is held back until `start_now`.
        """
        dated = kind is CampaignKind.DATED
        now = self.now() - _SIGNED_BEFORE if dated else self.now()
        with self.session(place) as session:
            row = draft.create(
                session,
                actor=place.manager,
                project_id=place.project_id,
                name="Autumn letter",
                description="",
                kind=kind,
                purpose=purpose,
                now=now,
            )
            found = row.campaign_id
            draft.save(session, actor=place.manager, campaign_id=found, no=1, version=1, draft=made, now=now)
            renderer = self.at.app.extensions[RENDERER]
            sent = submission.submit(
                session, actor=place.manager, campaign_id=found, no=1, version=None, renderer=renderer, now=now
            )
            approval.approve(
                session,
                actor=place.approver,
                campaign_id=found,
                no=1,
                seen_hash=sent.content_hash or "",
                comment="",
                lead_s=0,
                now=now,
            )
            if dated:
                sent.effective_at = self.now() + _HELD_BACK
                agenda.disarm(session, work=START_CAMPAIGN, subject=found)
            session.commit()
        return found

    def abandon(self, place: Place, campaign_id: UUID) -> None:
        """Have nobody send the rest of a campaign, so that it does not run into what is measured next."""
        values = (place.tenant_id, campaign_id)
        with self.at.admin() as admin, admin.transaction():
            for statement in _ABANDON:
                admin.execute(statement, values)

    def start_now(self, place: Place, campaign_id: UUID) -> None:
        """Move a published campaign's start to this moment, arm it as publication does, and ring."""
        now = self.now()
        with self.at.admin() as admin:
            admin.execute(
                "UPDATE revision SET effective_at = %s WHERE tenant_id = %s AND campaign_id = %s"
                " AND state = 'published'",
                (now, place.tenant_id, campaign_id),
            )
        with tenant_session(self.at.engine, place.tenant_id) as session:
            agenda.arm(session, work=START_CAMPAIGN, subject=campaign_id, due_at=now)
            session.commit()
        self.at.shell.bell.ring(Queue.MAINTENANCE)
