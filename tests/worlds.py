"""A small world for API tests: one agency with two client workspaces, people in every role, and their clients.

`world` is made anew for each test; nothing is shared, so tests may run in any order.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask, Response
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from saas.accounts import login
from saas.accounts.models import Account
from saas.accounts.service import keys, sessions
from saas.accounts.service.people import hasher
from saas.http.shell import Shell
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.models import RoleGrant, StaffReach
from saas.permissions.rules import rights_of
from saas.permissions.types import CAMPAIGN_ROLES, Action, Actor, ActorKind, Role
from saas.platform.db import bind
from saas.tenants.service import workspaces

PASSWORD = "correct-horse-7"
_STAFF = (Role.AGENCY_ADMIN, Role.AGENCY_MEMBER)


class Client:
    """A signed-in person or an API key in one workspace, speaking JSON."""

    def __init__(self, app: Flask, *, workspace: str | None = None, key: str | None = None) -> None:
        self.http: FlaskClient = app.test_client()
        self.workspace = workspace
        self.key = key
        self.csrf: str | None = None

    def sign_in(self, email: str) -> "Client":
        answer = self.http.post("/api/v1/sessions", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.csrf = answer.get_json()["csrf_token"]
        return self

    def enter(self, engine: sa.Engine, email: str) -> "Client":
        """Be signed in: the session and the cookie that signing in makes, without the password and its guards."""
        self.csrf, cookie = enter(self.http.application, engine, email, environ=self.http.environ_base)
        self.http.set_cookie("csn", cookie, httponly=True)
        return self

    def call(self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any) -> TestResponse:
        found = dict(headers or {})
        if self.key:
            found.setdefault("Authorization", f"Bearer {self.key}")
        else:
            if self.workspace:
                found.setdefault("X-Workspace", self.workspace)
            if self.csrf:
                found.setdefault("X-CSRF-Token", self.csrf)
        url = path if path.startswith("/api/") else f"/api/v1{path}"
        return self.http.open(url, method=method, headers=found, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.call("GET", path, **kwargs)

    def post(self, path: str, body: Any = None, **kwargs: Any) -> TestResponse:
        return self.call("POST", path, json=body if body is not None else {}, **kwargs)

    def patch(self, path: str, body: Any, *, etag: str | None = None, **kwargs: Any) -> TestResponse:
        headers = {"If-Match": etag} if etag else {}
        return self.call("PATCH", path, json=body, headers=headers, **kwargs)

    def put(self, path: str, body: Any, *, etag: str | None = None, **kwargs: Any) -> TestResponse:
        headers = {"If-Match": etag} if etag else {}
        return self.call("PUT", path, json=body, headers=headers, **kwargs)

    def delete(self, path: str, *, etag: str | None = None, **kwargs: Any) -> TestResponse:
        headers = {"If-Match": etag} if etag else {}
        return self.call("DELETE", path, headers=headers, **kwargs)


def enter(app: Flask, engine: sa.Engine, email: str, *, environ: dict[str, Any]) -> tuple[str, str]:
    """Open a session for a browser of this environ. Returns its CSRF token and its cookie."""
    shell: Shell = app.extensions["countersign"]
    with Session(engine, expire_on_commit=False) as session:
        account = session.scalars(sa.select(Account).where(Account.email == email)).one()
        agent, hours, now = environ.get("HTTP_USER_AGENT", ""), shell.settings.session_hours, shell.clock.now()
        token = sessions.open_session(session, account, user_agent=agent, now=now, hours=hours)
        account.last_seen_at = now
        session.commit()
    with app.test_request_context(environ_overrides=environ):
        csrf = login.start(account, token)
        kept = app.process_response(Response()).headers.getlist("Set-Cookie")
    return csrf, next(cookie for cookie in kept if cookie.startswith("csn=")).partition(";")[0].removeprefix("csn=")


@dataclass
class Place:
    """A workspace with a project, its people by role and an API key."""

    tenant_id: UUID
    project_id: UUID
    emails: dict[Role, str] = field(default_factory=dict)
    accounts: dict[Role, UUID] = field(default_factory=dict)
    key: str = ""
    key_id: UUID | None = None

    @property
    def wsp(self) -> str:
        return show("wsp", self.tenant_id)

    @property
    def prj(self) -> str:
        return show("prj", self.project_id)

    def actor(self, role: Role) -> Actor:
        """The person of a role as services want them."""
        roles = ((role, None),)
        return Actor(
            ActorKind.PERSON, self.accounts[role], role.value, tenant_id=self.tenant_id, roles=roles,
            rights=rights_of(self.tenant_id, roles),
        )  # fmt: skip


@dataclass
class World:
    app: Flask
    engine: sa.Engine
    agency_id: UUID
    owner_email: str
    a: Place
    b: Place
    staff: dict[Role, str] = field(default_factory=dict)
    stand_ins: dict[tuple[str, Role], Client] = field(default_factory=dict)

    def client(self, place: Place, role: Role) -> Client:
        """A signed-in person of a role in a workspace."""
        if role in _STAFF and not self.staff:
            add_staff(self)
        email = self.owner_email if role is Role.AGENCY_OWNER else (self.staff | place.emails)[role]
        return Client(self.app, workspace=place.wsp).enter(self.engine, email)

    def stand_in(self, place: Place, role: Role) -> Client:
        """The same, kept for what only sets a scene: one session for all of it."""
        if (place.wsp, role) not in self.stand_ins:
            self.stand_ins[place.wsp, role] = self.client(place, role)
        return self.stand_ins[place.wsp, role]

    def key(self, place: Place) -> Client:
        """The workspace's API key (role manager, all of its scopes)."""
        return Client(self.app, key=place.key)

    def nobody(self, place: Place | None = None) -> Client:
        return Client(self.app, workspace=place.wsp if place else None)


KEY_SCOPES = (
    Action.CONTACT_READ, Action.CONTACT_WRITE, Action.LIST_READ, Action.LIST_WRITE, Action.AUDIENCE_READ,
    Action.AUDIENCE_WRITE, Action.CAMPAIGN_READ, Action.CAMPAIGN_WRITE, Action.CAMPAIGN_SUBMIT,
    Action.CAMPAIGN_CONTROL, Action.CAMPAIGN_TRIGGER, Action.REPORT_READ, Action.CHANNEL_READ, Action.PROJECT_READ,
    Action.WORKSPACE_READ, Action.EVENT_WRITE,
)  # fmt: skip


def make_world(app: Flask, engine: sa.Engine) -> World:
    """Make the world; what no test is about is written row by row, without the services that would do it."""
    tag, now = uuid4().hex[:12], SystemClock().now()
    owner = _Person(f"owner.{tag}@lantern.example", "Olive Owner")
    names = ("north", "south")
    people = {(name, role): _Person.of(role, name, tag) for name in names for role in CAMPAIGN_ROLES}
    with Session(engine, expire_on_commit=False) as session:
        _write_accounts(session, [owner, *people.values()], now)
        agency = workspaces.create_agency(session, name="Lantern Agency", owner_id=owner.account_id, now=now)
        session.commit()
    boss = Actor(ActorKind.PERSON, owner.account_id, owner.name, agencies=frozenset({agency.agency_id}))
    places = []
    for name in names:
        with Session(engine, expire_on_commit=False) as session:
            places.append(_make_place(session, boss, agency.agency_id, name, people, now))
            session.commit()
    return World(app, engine, agency.agency_id, owner.email, places[0], places[1])


def add_staff(world: World) -> None:
    """Give the agency an administrator and a member who look after both workspaces."""
    now = SystemClock().now()
    staff = {role: _Person.of(role, "staff", world.agency_id.hex[-12:]) for role in _STAFF}
    with Session(world.engine) as session:
        _write_accounts(session, list(staff.values()), now)
        grants = [_grant(world.agency_id, person, role, now) for role, person in staff.items()]
        session.execute(sa.insert(RoleGrant).values(grants))
        reach = [
            {"account_id": person.account_id, "tenant_id": place.tenant_id, "agency_id": world.agency_id,
             "granted_at": now}
            for person in staff.values() for place in (world.a, world.b)
        ]  # fmt: skip
        session.execute(sa.insert(StaffReach).values(reach))
        session.commit()
    world.staff = {role: person.email for role, person in staff.items()}


def close_world(world: World) -> None:
    """Leave nothing that the safety sweep of another test would take up: the dispatcher visits every workspace."""
    for place in (world.a, world.b):
        with bound(world.engine, place) as session:
            session.execute(sa.text("UPDATE campaign SET state = 'archived'"))
            session.execute(sa.text("UPDATE run SET state = 'cancelled'"))
            session.execute(sa.text("DELETE FROM agenda WHERE tenant_id = :tenant"), {"tenant": place.tenant_id})
            session.commit()


@dataclass(frozen=True)
class _Person:
    """Somebody of the world; the id is made here, so that everybody can be written at once."""

    email: str
    name: str
    account_id: UUID = field(default_factory=uuid7)

    @classmethod
    def of(cls, role: Role, place: str, tag: str) -> "_Person":
        return cls(f"{role.value}.{place}.{tag}@northwind.example", f"{role.value.title()} {place.title()}")


def _write_accounts(session: Session, people: list[_Person], now: datetime) -> None:
    rows = [
        {"account_id": one.account_id, "email": one.email, "name": one.name, "created_at": now,
         "password_hash": _password_hash()}
        for one in people
    ]  # fmt: skip
    session.execute(sa.insert(Account).values(rows))


def _grant(
    agency_id: UUID, person: _Person, role: Role, now: datetime, *, tenant_id: UUID | None = None
) -> dict[str, Any]:
    return {
        "grant_id": uuid7(), "account_id": person.account_id, "agency_id": agency_id, "tenant_id": tenant_id,
        "role": role.value, "granted_at": now,
    }  # fmt: skip


def _make_place(
    session: Session, boss: Actor, agency_id: UUID, name: str, people: dict[tuple[str, Role], _Person], now: datetime
) -> Place:
    workspace = workspaces.create_workspace(
        session, actor=boss, agency_id=agency_id, name=f"Northwind {name}", time_zone="Europe/Oslo", language="en",
        now=now,
    )  # fmt: skip
    tenant = workspace.tenant_id
    own = {role: people[name, role] for role in CAMPAIGN_ROLES}
    grants = [_grant(agency_id, one, role, now, tenant_id=tenant) for role, one in own.items()]
    ids = sorted(grant["grant_id"] for grant in grants)  # members are listed in the order of their grants
    session.execute(sa.insert(RoleGrant).values([g | {"grant_id": at} for g, at in zip(grants, ids, strict=True)]))
    roles = ((Role.AGENCY_OWNER, None),)
    here = Actor(
        ActorKind.PERSON, boss.account_id, boss.name, tenant_id=tenant, roles=roles, rights=rights_of(tenant, roles)
    )
    project = workspaces.create_project(session, actor=here, name="Winter season", now=now)
    place = Place(tenant, project.project_id)
    place.emails = {role: one.email for role, one in own.items()}
    place.accounts = {role: one.account_id for role, one in own.items()}
    key, text = keys.make_key(
        session, actor=place.actor(Role.ADMIN), name="Shop", role=Role.MANAGER,
        scopes=[s.value for s in KEY_SCOPES], project_id=None, expires_at=None, now=now,
    )  # fmt: skip
    place.key, place.key_id = text, key.key_id
    return place


@cache
def _password_hash() -> str:
    """Everybody's password is the same, and hashing it for each would take a third of the time of all tests."""
    return hasher(1).hash(PASSWORD)


def bound(engine: sa.Engine, place: Place) -> Session:
    """A session bound to a workspace; close it yourself (use as a context manager)."""
    session = Session(engine, expire_on_commit=False)
    bind(session, place.tenant_id)
    return session
