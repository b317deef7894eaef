"""The isolation matrix's machinery: the cells of the URL map, who asks, and what is compared (security.md A)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
import sqlalchemy as sa
from marshmallow import Schema, fields
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from saas.accounts.service import keys, people
from saas.app import schema
from saas.app.factory import create_app
from saas.http.fields import Id
from saas.http.types import Declared, Scope
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.rules import NEVER_BY_KEY
from saas.permissions.types import Action, Role
from saas.platform.db import tenant_session
from saas.platform.settings import Settings
from saas.tenants.service import members, workspaces
from tests.api.matrix import (
    BODIES,
    CANARY,
    EXEMPT,
    FACTORIES,
    IN_PROJECT,
    PREFIXES,
    QUERIES,
    thing,
    words_of,
)
from tests.unit.permissions.test_roles import COLUMNS, LINES
from tests.worlds import PASSWORD, Client, Place, World, bound

# What each role may do, written by hand; saas/permissions/rules.py is never asked what is right.
ORACLE: Final[dict[Role, frozenset[Action]]] = {
    role: frozenset(action for action in Action if LINES[action.value][at] == "x") for at, role in enumerate(COLUMNS)
}

_KEY = "A" * 43 + "="
# Reads nothing and connects to nothing: only its URL map is looked at.
DRAWN = create_app(
    Settings.from_env(
        {"DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1",
         "SECRET_KEY": _KEY, "MASTER_KEY": _KEY}
    )
)  # fmt: skip
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
_VOLATILE = re.compile(
    r'"(instance|request_id)": ?"[^"]*",?\s*|req_[0-9a-f]{24}|(?i:csrf)[^>]*>|<time.*?</time>'
    r'|(?s:<div class="cs-flash">.*?</div></div></div>)'
)


@dataclass(frozen=True)
class Cell:
    """One method of one rule."""

    rule: Rule
    method: str

    @property
    def endpoint(self) -> str:
        return self.rule.endpoint

    @property
    def declared(self) -> Declared | None:
        return vars(DRAWN.view_functions[self.endpoint]).get("declared")

    @property
    def action(self) -> Action:
        assert self.declared is not None and self.declared.action is not None
        return self.declared.action

    @property
    def is_api(self) -> bool:
        return self.rule.rule.startswith("/api/")

    def url(self, values: dict[str, str]) -> str:
        built = DRAWN.url_map.bind("localhost").build(self.endpoint, values, method=self.method)
        assert isinstance(built, str)
        return built.removeprefix("http://localhost")

    def id_fields(self) -> Iterator[tuple[str, str, str, bool]]:
        """Where the route's schemas take ids: location, name, prefix, whether in a list. Those inside of objects too."""
        described = vars(DRAWN.view_functions[self.endpoint]).get("_apidoc", {}).get("arguments", {})
        for parameter in described.get("parameters", ()):
            if "schema" in parameter:
                for name, prefix, many in _ids_of(parameter["schema"]):
                    yield ("query" if parameter["in"] == "query" else "json"), name, prefix, many

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"


def _ids_of(schema: Schema | type[Schema]) -> Iterator[tuple[str, str, bool]]:
    made = schema() if isinstance(schema, type) else schema
    for name, item in made.fields.items():
        many, inner = isinstance(item, fields.List), item
        while isinstance(inner, fields.List):
            inner = inner.inner
        if isinstance(inner, Id):
            yield item.data_key or name, inner.prefix, many
        elif isinstance(inner, fields.Nested):
            yield from ((f"{name}/{deeper}", prefix, deep) for deeper, prefix, deep in _ids_of(inner.schema))


def cells() -> Iterator[Cell]:
    for rule in sorted(DRAWN.url_map.iter_rules(), key=lambda r: (r.rule, r.endpoint)):
        if rule.endpoint not in EXEMPT:
            yield from (Cell(rule, method) for method in sorted((rule.methods or set()) - {"OPTIONS"}))


ALL = tuple(cells())


def scoped(*scopes: Scope) -> tuple[Cell, ...]:
    return tuple(cell for cell in ALL if cell.declared is not None and cell.declared.scope in scopes)


# What a key can be given (R14).
BY_KEY = tuple(action for action in Action if action in ORACLE[Role.ADMIN] - NEVER_BY_KEY)
HELP: Final = {
    "scope": "these routes do not say what they work in: put @endpoint(Scope.…, Action.…) on their views",
    "action": "these routes of a workspace name no right: @endpoint(Scope.TENANT, Action.…)",
    "parameter": "tests/api/matrix.py: give <{}> a line in FACTORIES, in PREFIXES, and in IN_PROJECT, IN_WORKSPACE or IN_NONE",
    "public": "tests/api/matrix.py: say in PUBLIC why these routes are open to everybody",
    "role": "tests/api/matrix.py: let these roles take part (ROLES), with a person in tests/worlds.py",
    "ids": "tests/api/matrix.py: BODIES or QUERIES of {} must hold an id at {}, else nobody tries a stranger's there",
    "prefix": "tests/api/matrix.py: no parameter in PREFIXES makes ids of the form {}_…",
    "absent": "{} answered its own people {}: if that is right, say why in ABSENT of tests/api/matrix.py",
    "unaudited": "{} changed something and left no audit entry: call audit.append, or say why not in UNAUDITED",
}

TENANT = scoped(Scope.TENANT)
WITH_IDS = tuple(cell for cell in TENANT if cell.rule.arguments)
SIGNED_IN = scoped(Scope.TENANT, Scope.AGENCY, Scope.ACCOUNT)


@dataclass
class Scene:
    """The victim (world.a), a neighbour in the same agency (world.b), strangers of another agency, and their clients."""

    world: World
    others: World
    owner_engine: sa.Engine
    clients: dict[str, Client] = field(default_factory=dict)
    other_project: str = ""

    @property
    def victim(self) -> Place:
        return self.world.a

    def client(self, name: str, place: Place, role: Role) -> Client:
        if name not in self.clients:
            world = self.world if place in (self.world.a, self.world.b) else self.others
            self.clients[name] = world.client(place, role)
        return self.clients[name]

    def key(self, place: Place, actions: tuple[Action, ...]) -> Client:
        """A key of an administrator's role with these scopes only."""
        name = f"{place.wsp} {actions}"
        if name not in self.clients:
            now = SystemClock().now()
            with bound(self.world.engine, place) as session:
                _, text = keys.make_key(
                    session, actor=place.actor(Role.ADMIN), name="matrix", role=Role.ADMIN,
                    scopes=[action.value for action in actions], project_id=None, expires_at=None, now=now,
                )  # fmt: skip
                session.commit()
            self.clients[name] = Client(self.world.app, key=text)
        return self.clients[name]

    def world_of(self, place: Place) -> World:
        """The world that a place is in."""
        return self.world if place in (self.world.a, self.world.b) else self.others

    def id_of(self, parameter: str) -> str:
        """The victim's thing for a URL parameter, made once."""
        if parameter not in FACTORIES:
            pytest.fail(HELP["parameter"].format(parameter))
        return thing(self.world, self.victim, parameter)

    def fresh(self, place: Place, cell: Cell) -> dict[str, str]:
        """New things of a place for a cell's URL parameters: nobody has changed them."""
        with words_of(victim=place is self.victim):
            return {name: FACTORIES[name](self.world_of(place), place) for name in sorted(cell.rule.arguments)}

    def content(self, cell: Cell, place: Place | None = None) -> dict[str, Any]:
        """Query and body of a request, with a place's ids in them; the victim's if none is given."""
        with words_of(victim=place is None or place is self.victim):
            return self._content(cell, place or self.victim)

    def _content(self, cell: Cell, place: Place) -> dict[str, Any]:
        world, found = self.world_of(place), dict[str, Any]()
        if cell.endpoint in QUERIES:
            found["query_string"] = dict(QUERIES[cell.endpoint](world, place))
        if cell.method in UNSAFE:
            body = BODIES[cell.endpoint](world, place) if cell.endpoint in BODIES else {}
            found["json" if cell.is_api else "data"] = body
        return found

    def url(self, cell: Cell, *, missing: bool = False, inside: Place | None = None) -> str:
        """The victim's URL; with `missing` one of nothing; with `inside` it starts in a workspace of the caller's own."""
        values = {name: self.id_of(name) for name in sorted(cell.rule.arguments)}
        if missing:
            values |= {name: show(PREFIXES[name], uuid7()) for name in values if name in PREFIXES}
        if inside is not None and len(values) > 1 and "workspace" in values:
            values["workspace"] = inside.wsp
        return cell.url(values)

    def call(self, client: Client, cell: Cell, url: str, *, at: str | None = None) -> TestResponse:
        """Send a request that is right in everything but who sends it."""
        return self.send(client, cell, url, self.content(cell), at=at)

    def send(
        self, client: Client, cell: Cell, url: str, content: dict[str, Any], *, at: str | None = None, etag: str = '"1"'
    ) -> TestResponse:
        """Send a request with this content."""
        headers = {"If-Match": etag} if cell.method in UNSAFE else {}
        if at and not client.key:
            headers["X-Workspace"] = at
        return raw_call(client, cell.method, url, headers=headers, **content)

    def elsewhere(self) -> Iterator[tuple[str, Client]]:
        """Who may do everything in another project of the victim's workspace: a person, and a key."""
        if "elsewhere" not in self.clients:
            self._make_elsewhere()
        yield "administrator of another project", self.clients["elsewhere"]
        yield "key of another project", self.clients["elsewhere, key"]

    def _make_elsewhere(self) -> None:
        now, boss, email = (
            SystemClock().now(),
            self.victim.actor(Role.ADMIN),
            f"elsewhere.{uuid7().hex}@northwind.example",
        )
        with bound(self.world.engine, self.victim) as session:
            project = workspaces.create_project(session, actor=boss, name=f"Elsewhere {uuid7().hex}", now=now)
            person = people.ensure_account(session, email=email, name="Else Where", now=now)
            people.set_password(session, person, PASSWORD, cost=1)
            place = project.project_id
            members.grant(session, actor=boss, account_id=person.account_id, role=Role.ADMIN, project_id=place, now=now)
            _, text = keys.make_key(
                session, actor=boss, name="elsewhere", role=Role.ADMIN, scopes=[action.value for action in BY_KEY],
                project_id=place, expires_at=None, now=now,
            )  # fmt: skip
            session.commit()
        self.other_project = show("prj", place)
        self.clients["elsewhere"] = Client(self.world.app, workspace=self.victim.wsp).sign_in(email)
        self.clients["elsewhere, key"] = Client(self.world.app, key=text)

    def in_projects(self) -> tuple[str, ...]:
        """The ids of all things of the victim that belong to a project, as far as they were made."""
        return tuple(thing(self.world, self.victim, name) for name in sorted(IN_PROJECT))

    def fingerprint(self) -> dict[str, Any]:
        """A sum over the hashes of every row of the victim, by table."""
        with tenant_session(self.world.engine, self.victim.tenant_id) as session:
            return dict(session.execute(_FINGERPRINT, {"victim": self.victim.tenant_id}).all())

    def secrets(self) -> tuple[str, ...]:
        """What nobody outside of the victim's workspace may ever read."""
        return (CANARY, *self.victim.emails.values())


def _fingerprint() -> sa.TextClause:
    """One statement for all tables: it runs before and after most cells. Global tables name their tenant themselves."""
    row = "'{0}', sum(hashtextextended(t::text, 0)::numeric) FROM \"{0}\" t"
    parts = [row.format(table) for table in schema.tenant_tables()]
    parts += [
        f"{row.format(table)} WHERE tenant_id = :victim" for table in ("role_grant", "tenant", "agenda", "api_key")
    ]
    return sa.text(" UNION ALL ".join(f"SELECT {part}" for part in parts))


_FINGERPRINT: Final = _fingerprint()


def raw_call(client: Client, method: str, url: str, *, headers: dict[str, str], **more: Any) -> TestResponse:
    found = dict(headers)
    if client.key:
        found["Authorization"] = f"Bearer {client.key}"
    else:
        if client.workspace:
            found.setdefault("X-Workspace", client.workspace)
        if client.csrf:
            found.setdefault("X-CSRF-Token", client.csrf)
    return client.http.open(url, method=method, headers=found, **more)


def told(answer: TestResponse, url: str) -> tuple[int, str]:
    """Status and body without what differs between any two requests.

    Its path, its id, its form's token, and what an earlier request of the same session left to be said.
    """
    return answer.status_code, _VOLATILE.sub("", answer.text).replace(url, "")
