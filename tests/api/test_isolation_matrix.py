"""The isolation matrix (security.md A), generated from the URL map: no route can be forgotten.

Each rule and method, by session and by key, as nobody, as a stranger of another agency, as a neighbour of the same
agency, and as somebody of the right workspace without the right. A route without a declared scope and action, or with a
URL parameter that matrix.FACTORIES does not know, fails.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from saas.accounts import service as accounts
from saas.app import schema
from saas.app.factory import create_app
from saas.http.types import Declared, Scope
from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS
from saas.permissions.types import CAMPAIGN_ROLES, Action, Role
from saas.platform.db import tenant_session
from saas.platform.settings import Settings
from tests.api.matrix import BODIES, CANARY, EXEMPT, FACTORIES, PREFIXES, QUERIES, thing
from tests.worlds import Client, Place, World, bound, make_world

pytestmark = pytest.mark.integration

_KEY = "A" * 43 + "="
# Reads nothing and connects to nothing: only its URL map is looked at.
DRAWN = create_app(
    Settings.from_env(
        {"DATABASE_URL": "postgresql+psycopg://x@127.0.0.1:1/x", "REDIS_URL": "redis://127.0.0.1:1",
         "SECRET_KEY": _KEY, "MASTER_KEY": _KEY}
    )
)  # fmt: skip
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
_VOLATILE = re.compile(r'"(instance|request_id)": ?"[^"]*",?\s*|req_[0-9a-f]{24}|(?i:csrf)[^>]*>|<time.*?</time>')


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

    def __str__(self) -> str:
        return f"{self.method} {self.rule.rule}"


def cells() -> Iterator[Cell]:
    for rule in sorted(DRAWN.url_map.iter_rules(), key=lambda r: (r.rule, r.endpoint)):
        if rule.endpoint not in EXEMPT:
            yield from (Cell(rule, method) for method in sorted((rule.methods or set()) - {"OPTIONS"}))


ALL = tuple(cells())


def scoped(*scopes: Scope) -> tuple[Cell, ...]:
    return tuple(cell for cell in ALL if cell.declared is not None and cell.declared.scope in scopes)


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
                _, text = accounts.make_key(
                    session, actor=place.actor(Role.ADMIN), name="matrix", role=Role.ADMIN,
                    scopes=[action.value for action in actions], project_id=None, expires_at=None, now=now,
                )  # fmt: skip
                session.commit()
            self.clients[name] = Client(self.world.app, key=text)
        return self.clients[name]

    def id_of(self, parameter: str) -> str:
        """The victim's thing for a URL parameter."""
        if parameter not in FACTORIES:
            pytest.fail(f"tests/api/matrix.py has no factory for <{parameter}>")
        return thing(self.world, self.victim, parameter)

    def content(self, cell: Cell) -> dict[str, Any]:
        """Query and body of a request, with the victim's ids in them."""
        found: dict[str, Any] = {}
        if cell.endpoint in QUERIES:
            found["query_string"] = QUERIES[cell.endpoint](self.world, self.victim)
        if cell.method in UNSAFE:
            body = BODIES[cell.endpoint](self.world, self.victim) if cell.endpoint in BODIES else {}
            found["json" if cell.rule.rule.startswith("/api/") else "data"] = body
        return found

    def url(self, cell: Cell, *, missing: bool = False, inside: Place | None = None) -> str:
        """The victim's URL; with `missing` one of nothing; with `inside` it starts in a workspace of the caller's own."""
        values = {name: self.id_of(name) for name in sorted(cell.rule.arguments)}
        if missing:
            values |= {name: show(PREFIXES[name], uuid7()) for name in values if name in PREFIXES}
        if inside is not None and len(values) > 1 and "workspace" in values:
            values["workspace"] = inside.wsp
        built = DRAWN.url_map.bind("localhost").build(cell.endpoint, values, method=cell.method)
        assert isinstance(built, str)
        return built.removeprefix("http://localhost")

    def call(self, client: Client, cell: Cell, url: str, *, at: str | None = None) -> TestResponse:
        """Send a request that is right in everything but who sends it."""
        headers = {"If-Match": '"1"'} if cell.method in UNSAFE else {}
        if at and not client.key:
            headers["X-Workspace"] = at
        return raw_call(client, cell.method, url, headers=headers, **self.content(cell))

    def fingerprint(self) -> dict[str, str | None]:
        """A hash of every row of the victim, by table."""
        found = {}
        with tenant_session(self.world.engine, self.victim.tenant_id) as session:
            for table in schema.tenant_tables():
                rows = f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM \"{table}\" t"
                found[table] = session.scalar(sa.text(rows))
            for table, column in (("role_grant", "tenant_id"), ("tenant", "tenant_id"), ("agenda", "tenant_id")):
                rows = f"SELECT md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {table} t WHERE {column} = :v"
                found[table] = session.scalar(sa.text(rows), {"v": self.victim.tenant_id})
            keys = (
                "SELECT md5(string_agg(to_jsonb(t)::text, E'\\n' ORDER BY key_id)) FROM api_key t WHERE tenant_id = :v"
            )
            found["api_key"] = session.scalar(sa.text(keys), {"v": self.victim.tenant_id})
        return found

    def secrets(self) -> tuple[str, ...]:
        """What nobody outside of the victim's workspace may ever read."""
        return (CANARY, *self.victim.emails.values())


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
    """Status and body without what differs between any two requests: its path, its id, its form's token."""
    return answer.status_code, _VOLATILE.sub("", answer.text).replace(url, "")


@pytest.fixture(scope="module")
def scene(app, engine, owner_engine) -> Scene:
    found = Scene(make_world(app, engine), make_world(app, engine), owner_engine)
    with Session(engine) as session, session.begin():
        session.connection().exec_driver_sql(f"SET LOCAL app.tenant_id = '{found.victim.tenant_id}'")
        session.execute(sa.text("UPDATE workspace SET name = :name"), {"name": f"{CANARY} workspace"})
        session.execute(sa.text("UPDATE project SET name = :name"), {"name": f"{CANARY} project"})
    return found


@pytest.fixture(scope="module", autouse=True)
def count_exempt(request):
    yield
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    capture = request.config.pluginmanager.getplugin("capturemanager")
    if reporter is not None:
        with capture.global_and_fixture_disabled():
            reporter.write_line(
                f"\nisolation matrix: {len(ALL)} methods of {len({c.rule.rule for c in ALL})} rules, "
                f"{len(TENANT)} in a workspace, {len(scoped(Scope.PUBLIC, Scope.PUBLIC_FORM))} public; "
                f"exempt: {len(EXEMPT)} ({', '.join(sorted(EXEMPT))})"
            )


def test_every_route_says_what_it_works_in():
    assert [str(cell) for cell in ALL if cell.declared is None] == []
    assert [str(cell) for cell in TENANT if cell.declared.action is None] == []
    assert [name for name in EXEMPT if name not in DRAWN.view_functions] == []


def test_every_parameter_has_a_factory():
    needed = {name for cell in TENANT for name in cell.rule.arguments}
    assert needed - set(FACTORIES) == set(), "add them to tests/api/matrix.py"


@pytest.mark.parametrize("cell", SIGNED_IN, ids=str)
def test_nobody(scene, cell):
    """Without a session, with a forged cookie and with a wrong key: 401, whatever the id."""
    url = scene.url(cell)
    forged = Client(scene.world.app, workspace=scene.victim.wsp)
    forged.http.set_cookie("csn", "eyJfdXNlcl9pZCI6ICJ4In0.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb")
    nobody = Client(scene.world.app, workspace=scene.victim.wsp)
    wrong = Client(scene.world.app, key="csn_live_" + "0" * 36)
    for client in (nobody, forged, wrong):
        answer = scene.call(client, cell, url, at=scene.victim.wsp)
        if url.startswith("/api/") or client is wrong:
            assert answer.status_code == 401, answer.text
        else:
            assert answer.status_code in {302, 303, 401}, answer.text
        assert not any(secret in answer.text for secret in scene.secrets())


@pytest.mark.parametrize("cell", TENANT, ids=str)
def test_strangers(scene, cell):
    """Another agency and the neighbour, by session and by key: the victim's things do not exist for them."""
    url = scene.url(cell)
    scene.content(cell)  # makes the things that it mentions, so that the rows are counted with them
    before = scene.fingerprint()
    for name, client, own in outsiders(scene):
        mine = scene.url(cell, inside=own)
        in_own = scene.call(client, cell, mine, at=own.wsp)
        in_theirs = scene.call(client, cell, url, at=scene.victim.wsp)
        for answer in (in_own, in_theirs):
            assert answer.status_code < 500, (name, answer.text)
            assert not any(secret in answer.text for secret in scene.secrets()), (name, answer.text)
            if answer.status_code == 403:
                assert client.key and cell.action in NEVER_BY_KEY, (name, answer.text)
        if not client.key:
            assert in_theirs.status_code == 404, (name, in_theirs.text)
        if cell in WITH_IDS and in_own.status_code != 403:
            assert in_own.status_code == 404, (name, in_own.text)
            missing = scene.url(cell, missing=True, inside=own)
            assert told(in_own, mine) == told(scene.call(client, cell, missing, at=own.wsp), missing), name
    assert scene.fingerprint() == before


def outsiders(scene: Scene) -> Iterator[tuple[str, Client, Place]]:
    usable = tuple(action for action in Action if action in ROLE_ACTIONS[Role.ADMIN] - NEVER_BY_KEY)
    for name, place in (("stranger", scene.others.a), ("neighbour", scene.world.b)):
        yield f"{name}, signed in", scene.client(name, place, Role.ADMIN), place
        yield f"{name}'s key", scene.key(place, usable), place


@pytest.mark.parametrize("cell", TENANT, ids=str)
def test_key_of_another_workspace_cannot_name_this_one(scene, cell):
    usable = tuple(action for action in Action if action in ROLE_ACTIONS[Role.ADMIN] - NEVER_BY_KEY)
    client, url = scene.key(scene.world.b, usable), scene.url(cell)
    headers = {"X-Workspace": scene.victim.wsp, "If-Match": '"1"'}
    answer = raw_call(client, cell.method, url, headers=headers, json={} if cell.method in UNSAFE else None)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("cell", TENANT, ids=str)
def test_wrong_role(scene, cell):
    """Inside the right workspace every role and a key without the right hear which right is missing."""
    url = scene.url(cell)
    scene.content(cell)
    before = scene.fingerprint()
    without = [role for role in (*CAMPAIGN_ROLES, Role.AGENCY_OWNER) if cell.action not in ROLE_ACTIONS[role]]
    clients = [scene.client(f"own {role}", scene.victim, role) for role in without]
    other = Action.REPORT_READ if cell.action is not Action.REPORT_READ else Action.CAMPAIGN_READ
    clients.append(scene.key(scene.victim, (other,)))
    for client in clients:
        answer = scene.call(client, cell, url, at=scene.victim.wsp)
        assert answer.status_code == 403, answer.text
        if cell.method != "HEAD" and url.startswith("/api/"):
            body = answer.get_json()
            assert (body["code"], body["action"]) == ("lacks_right", cell.action.value)
            assert body["roles"] == [role.value for role in ROLE_ACTIONS if cell.action in ROLE_ACTIONS[role]]
    after = scene.fingerprint()
    # A key that was made for this very test stands in the audit chain.
    unchanged = set(before) - {"audit_entry", "audit_head", "api_key"}
    assert {table: before[table] for table in unchanged} == {table: after[table] for table in unchanged}


@pytest.mark.parametrize("cell", scoped(Scope.AGENCY), ids=str)
def test_agency_routes_are_for_owners(scene, cell):
    url = scene.url(cell)
    for role in CAMPAIGN_ROLES:
        answer = scene.call(scene.client(f"own {role}", scene.victim, role), cell, url)
        assert answer.status_code == 403, answer.text
        if cell.rule.rule.startswith("/api/"):
            assert answer.get_json()["code"] == "lacks_right"


@pytest.mark.parametrize("cell", scoped(Scope.ACCOUNT, Scope.AGENCY), ids=str)
def test_keys_stay_inside_their_workspace(scene, cell):
    answer = scene.call(scene.key(scene.victim, (Action.PROJECT_READ,)), cell, scene.url(cell))
    assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("cell", [cell for cell in scoped(Scope.ACCOUNT) if cell.method == "GET"], ids=str)
def test_what_strangers_see_of_their_own_holds_nothing_of_others(scene, cell):
    for name, place in (("stranger", scene.others.a), ("neighbour", scene.world.b)):
        answer = scene.call(scene.client(name, place, Role.ADMIN), cell, scene.url(cell))
        assert answer.status_code == 200
        assert not any(secret in answer.text for secret in (*scene.secrets(), scene.victim.wsp))


@pytest.mark.parametrize("cell", [cell for cell in SIGNED_IN if cell.method in UNSAFE], ids=str)
def test_unsafe_calls_by_cookie_need_the_csrf_token(scene, cell):
    client = scene.client("no csrf", scene.victim, Role.ADMIN)
    client.csrf = None
    url = scene.url(cell)
    scene.content(cell)
    before = scene.fingerprint()
    answer = scene.call(client, cell, url, at=scene.victim.wsp)
    assert answer.status_code == 400, answer.text
    assert scene.fingerprint() == before


@pytest.mark.parametrize("cell", [cell for cell in WITH_IDS if cell.method == "GET"], ids=str)
def test_an_id_has_one_spelling(scene, cell):
    """Upper case, the bare UUID, a slash at the end and a changed method lead nowhere."""
    client = scene.client("own admin", scene.victim, Role.ADMIN)
    url = scene.url(cell)
    name = next(name for name in sorted(cell.rule.arguments) if name in PREFIXES)
    known = scene.id_of(name)
    for wrong in (known.upper(), known.partition("_")[2], known + "0", known[:-1]):
        answer = scene.call(client, cell, url.replace(known, wrong), at=scene.victim.wsp)
        assert answer.status_code == 404, (wrong, answer.text)
    here = {"X-Workspace": scene.victim.wsp}
    plain = raw_call(client, "GET", url, headers=here)
    override = raw_call(client, "GET", url, headers={"X-HTTP-Method-Override": "DELETE", **here})
    assert told(override, url) == told(plain, url)
    assert plain.status_code < 500
