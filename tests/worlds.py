"""A small world for API tests: one agency with two client workspaces, people in every role, and their clients.

`world` is made anew for each test; nothing is shared, so tests may run in any order.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from saas.accounts import service as accounts
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show
from saas.permissions.rules import rights_of
from saas.permissions.types import Action, Actor, ActorKind, Role
from saas.platform.db import bind
from saas.tenants.service import members, workspaces

PASSWORD = "correct-horse-7"


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

    def client(self, place: Place, role: Role) -> Client:
        """A signed-in person of a role in a workspace."""
        email = self.owner_email if role is Role.AGENCY_OWNER else place.emails[role]
        return Client(self.app, workspace=place.wsp).sign_in(email)

    def key(self, place: Place) -> Client:
        """The workspace's API key (role manager, all of its scopes)."""
        return Client(self.app, key=place.key)

    def nobody(self, place: Place | None = None) -> Client:
        return Client(self.app, workspace=place.wsp if place else None)


KEY_SCOPES = (
    Action.CONTACT_READ, Action.CONTACT_WRITE, Action.LIST_READ, Action.LIST_WRITE, Action.AUDIENCE_READ,
    Action.AUDIENCE_WRITE, Action.CAMPAIGN_READ, Action.CAMPAIGN_WRITE, Action.CAMPAIGN_SUBMIT,
    Action.CAMPAIGN_CONTROL, Action.CAMPAIGN_TRIGGER, Action.REPORT_READ, Action.CHANNEL_READ, Action.PROJECT_READ,
    Action.WORKSPACE_READ,
)  # fmt: skip


def make_world(app: Flask, engine: sa.Engine) -> World:
    tag = uuid4().hex[:12]
    now = SystemClock().now()
    with Session(engine, expire_on_commit=False) as session:
        owner = _account(session, f"owner.{tag}@lantern.example", "Olive Owner")
        agency = workspaces.create_agency(session, name="Lantern Agency", owner_id=owner, now=now)
        session.commit()
    boss = Actor(ActorKind.PERSON, owner, "Olive Owner", agencies=frozenset({agency.agency_id}))
    places = [_make_place(engine, boss, agency.agency_id, name, tag) for name in ("north", "south")]
    return World(app, engine, agency.agency_id, f"owner.{tag}@lantern.example", places[0], places[1])


def close_world(world: World) -> None:
    """Leave nothing that the safety sweep of another test would take up: the dispatcher visits every workspace."""
    for place in (world.a, world.b):
        with bound(world.engine, place) as session:
            session.execute(sa.text("UPDATE campaign SET state = 'archived'"))
            session.execute(sa.text("UPDATE run SET state = 'cancelled'"))
            session.execute(sa.text("DELETE FROM agenda WHERE tenant_id = :tenant"), {"tenant": place.tenant_id})
            session.commit()


def _make_place(engine: sa.Engine, boss: Actor, agency_id: UUID, name: str, tag: str) -> Place:
    now = SystemClock().now()
    with Session(engine, expire_on_commit=False) as session:
        workspace = workspaces.create_workspace(
            session, actor=boss, agency_id=agency_id, name=f"Northwind {name}", time_zone="Europe/Oslo", language="en",
            now=now,
        )  # fmt: skip
        tenant = workspace.tenant_id
        roles = ((Role.AGENCY_OWNER, None),)
        here = Actor(
            ActorKind.PERSON, boss.account_id, boss.name, tenant_id=tenant, roles=roles, rights=rights_of(tenant, roles)
        )
        project = workspaces.create_project(session, actor=here, name="Winter season", now=now)
        place = Place(tenant, project.project_id)
        for role in (Role.ADMIN, Role.APPROVER, Role.MANAGER, Role.VIEWER):
            place.emails[role] = f"{role.value}.{name}.{tag}@northwind.example"
            place.accounts[role] = _account(session, place.emails[role], f"{role.value.title()} {name.title()}")
            members.grant(session, actor=here, account_id=place.accounts[role], role=role, project_id=None, now=now)
        key, text = accounts.make_key(
            session, actor=place.actor(Role.ADMIN), name="Shop", role=Role.MANAGER,
            scopes=[s.value for s in KEY_SCOPES], project_id=None, expires_at=None, now=now,
        )  # fmt: skip
        place.key, place.key_id = text, key.key_id
        session.commit()
    return place


def _account(session: Session, email: str, name: str) -> UUID:
    row = accounts.ensure_account(session, email=email, name=name, now=SystemClock().now())
    row.password_hash = _password_hash()
    return row.account_id


@cache
def _password_hash() -> str:
    """Everybody's password is the same, and hashing it for each would take a third of the time of all tests."""
    return accounts.hasher(1).hash(PASSWORD)


def bound(engine: sa.Engine, place: Place) -> Session:
    """A session bound to a workspace; close it yourself (use as a context manager)."""
    session = Session(engine, expire_on_commit=False)
    bind(session, place.tenant_id)
    return session
