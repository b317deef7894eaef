"""The isolation matrix (security.md A), generated from the URL map: no route can be forgotten.

Each rule and method, by session and by key, as nobody, as a stranger of another agency, as a neighbour of the same
agency, as somebody of another project, as somebody of the right workspace without the right, and with it. A route
without a declared scope and action, or with a URL parameter that matrix.FACTORIES does not know, fails, and says which
line of tests/api/matrix.py is missing. What is right stands in the oracle of tests/unit/permissions, not in the program.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from saas.app.factory import connect_redis
from saas.audit.queries import verify
from saas.http.types import Scope
from saas.kernel.ids import parse, show, uuid7
from saas.permissions import rules
from saas.permissions.rules import NEVER_BY_KEY, ROLE_ACTIONS
from saas.permissions.types import CAMPAIGN_ROLES, STAFF_ROLES, Action, Role
from saas.web.activity.phrases import PHRASES
from tests.api.isolation import (
    ALL,
    BY_KEY,
    DRAWN,
    HELP,
    ORACLE,
    SIGNED_IN,
    TENANT,
    UNSAFE,
    WITH_IDS,
    Cell,
    Scene,
    raw_call,
    scoped,
    told,
)
from tests.api.matrix import (
    ABSENT,
    BODIES,
    BY_PEOPLE,
    CANARY,
    EXEMPT,
    FACTORIES,
    IN_NONE,
    IN_PROJECT,
    IN_WORKSPACE,
    NO_PLACE,
    NOT_TWICE,
    PREFIXES,
    PUBLIC,
    QUERIES,
    ROLES,
    UNAUDITED,
    thing,
)
from tests.worlds import Client, Place, add_staff, bound, make_world

pytestmark = pytest.mark.integration

# HEAD is GET without a body, and has a test of its own.
WITHOUT_HEAD = tuple(cell for cell in TENANT if cell.method != "HEAD")
OPEN = scoped(Scope.PUBLIC, Scope.PUBLIC_FORM)
SHOWN = re.compile(r"^([a-z]{3})_[0-9a-hjkmnp-tv-z]{26}$")


@pytest.fixture(scope="module")
def scene(app, engine, owner_engine) -> Scene:
    found = Scene(make_world(app, engine), make_world(app, engine), owner_engine)
    for world in (found.world, found.others):
        add_staff(world)
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
        endpoints = sorted({cell.endpoint for cell in OPEN})
        with capture.global_and_fixture_disabled():
            reporter.write_line(
                f"\nisolation matrix: {len(ALL)} methods of {len({c.rule.rule for c in ALL})} rules, "
                f"{len(TENANT)} in a workspace; open to everybody: {len(endpoints)} ({', '.join(endpoints)}); "
                f"exempt: {len(EXEMPT)} ({', '.join(sorted(EXEMPT))})"
            )


def test_every_route_says_what_it_works_in():
    assert [str(cell) for cell in ALL if cell.declared is None] == [], HELP["scope"]
    assert [str(cell) for cell in TENANT if cell.declared.action is None] == [], HELP["action"]
    gone = [
        name
        for names in (EXEMPT, PUBLIC, ABSENT, UNAUDITED, BY_PEOPLE, NOT_TWICE, BODIES, QUERIES)
        for name in names
        if name not in DRAWN.view_functions
    ]
    assert gone == [], "tests/api/matrix.py: these endpoints are gone, or called otherwise"


def test_every_open_route_says_why():
    assert sorted({cell.endpoint for cell in OPEN} - set(PUBLIC)) == [], HELP["public"]
    assert sorted(set(PUBLIC) - {cell.endpoint for cell in OPEN}) == [], (
        "tests/api/matrix.py: these are not public (PUBLIC)"
    )
    assert all(
        len(reason) > 10
        for reasons in (EXEMPT, PUBLIC, ABSENT, UNAUDITED, BY_PEOPLE, NOT_TWICE)
        for reason in reasons.values()
    )


def test_every_parameter_has_a_factory():
    needed = {name for cell in SIGNED_IN for name in cell.rule.arguments}
    assert sorted(needed - set(FACTORIES)) == [], HELP["parameter"].format("each of these")
    placed = IN_PROJECT | IN_WORKSPACE | IN_NONE
    assert set(PREFIXES) - {"workspace"} == placed, HELP["parameter"].format("each of these")
    assert len(placed) == len(IN_PROJECT) + len(IN_WORKSPACE) + len(IN_NONE)
    of_workspaces = {name for cell in TENANT for name in cell.rule.arguments}
    assert sorted(of_workspaces & IN_NONE) == []


def test_every_role_takes_part():
    assert sorted(set(Role) - set(ROLES) - set(NO_PLACE)) == [], HELP["role"]
    assert set(ORACLE) == set(Role)


def test_every_id_of_a_body_or_query_is_tried():
    """Ids on the top of a body are tried by themselves; those inside of objects have to stand in BODIES."""
    prefixes, missing = set(PREFIXES.values()), []
    for cell in TENANT:
        for _, name, prefix, _ in cell.id_fields():
            assert prefix in prefixes, HELP["prefix"].format(prefix)
            if (
                "/" in name
                and f"'{name.rpartition('/')[2]}'" not in str(BODIES.get(cell.endpoint, ""))
                and not _mentions(cell.endpoint, name)
            ):
                missing.append(HELP["ids"].format(cell.endpoint, name))
    assert missing == []


def _mentions(endpoint: str, name: str) -> bool:
    """Whether the code of a body names the field; bodies themselves need a world."""
    return endpoint in BODIES and name.rpartition("/")[2] in BODIES[endpoint].__code__.co_consts.__repr__()


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


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_strangers(scene, cell, capfd):
    """Another agency and the neighbour, by session and by key: the victim's things do not exist for them."""
    url = scene.url(cell)
    scene.content(cell)  # makes the things that it mentions, so that the rows are counted with them
    before = scene.fingerprint()
    list(outsiders(scene))
    capfd.readouterr()
    for name, client, own in outsiders(scene):
        mine = scene.url(cell, inside=own)
        in_own = scene.call(client, cell, mine, at=own.wsp)
        in_theirs = scene.call(client, cell, url, at=scene.victim.wsp)
        for answer in (in_own, in_theirs):
            assert answer.status_code < 500, (name, answer.text)
            assert not any(secret in answer.text for secret in scene.secrets()), (name, answer.text)
            if answer.status_code == 403:
                by_people = cell.action in NEVER_BY_KEY or cell.endpoint in BY_PEOPLE
                assert client.key and by_people, (name, answer.text)
        if not client.key:
            assert in_theirs.status_code == 404, (name, in_theirs.text)
        if cell in WITH_IDS and in_own.status_code != 403:
            assert in_own.status_code == 404, (name, in_own.text)
            missing = scene.url(cell, missing=True, inside=own)
            assert told(in_own, mine) == told(scene.call(client, cell, missing, at=own.wsp), missing), name
    assert scene.fingerprint() == before
    logged = "".join(capfd.readouterr())
    assert not any(secret in logged for secret in scene.secrets()), logged


def outsiders(scene: Scene) -> Iterator[tuple[str, Client, Place]]:
    for name, place in (("stranger", scene.others.a), ("neighbour", scene.world.b)):
        yield f"{name}, signed in", scene.client(name, place, Role.ADMIN), place
        yield f"{name}'s key", scene.key(place, BY_KEY), place


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_key_of_another_workspace_cannot_name_this_one(scene, cell):
    client, url = scene.key(scene.world.b, BY_KEY), scene.url(cell)
    headers = {"X-Workspace": scene.victim.wsp, "If-Match": '"1"'}
    answer = raw_call(client, cell.method, url, headers=headers, json={} if cell.method in UNSAFE else None)
    assert answer.status_code == 404, answer.text


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_wrong_role(scene, cell):
    """Inside the right workspace every role and a key without the right hear which right is missing."""
    url = scene.url(cell)
    scene.content(cell)
    before = scene.fingerprint()
    without = [role for role in ROLES if cell.action not in ORACLE[role]]
    clients = [scene.client(f"own {role}", scene.victim, role) for role in without]
    other = Action.REPORT_READ if cell.action is not Action.REPORT_READ else Action.CAMPAIGN_READ
    clients.append(scene.key(scene.victim, (other,)))
    for client in clients:
        answer = scene.call(client, cell, url, at=scene.victim.wsp)
        assert answer.status_code == 403, answer.text
        if cell.method != "HEAD" and url.startswith("/api/"):
            body = answer.get_json()
            assert (body["code"], body["action"]) == ("lacks_right", cell.action.value)
            assert set(body["roles"]) == {role.value for role in Role if cell.action in ORACLE[role]}
    after = scene.fingerprint()
    # A key that was made for this very test stands in the audit chain.
    unchanged = set(before) - {"audit_entry", "audit_head", "api_key"}
    assert {table: before[table] for table in unchanged} == {table: after[table] for table in unchanged}


@pytest.mark.parametrize("cell", scoped(Scope.AGENCY), ids=str)
def test_agency_routes_are_for_staff_with_the_right(scene, cell):
    """A campaign role is none in the agency; a role of the staff only where the right says so."""
    url = scene.url(cell)
    for role in STAFF_ROLES:
        if cell.action not in ORACLE[role]:
            answer = scene.call(scene.client(f"own {role}", scene.victim, role), cell, url)
            assert answer.status_code == 403, (role, answer.text)
    for role in CAMPAIGN_ROLES:
        answer = scene.call(scene.client(f"own {role}", scene.victim, role), cell, url)
        assert answer.status_code == 403, answer.text
        if cell.is_api and cell.method != "HEAD":
            assert answer.get_json()["code"] == "lacks_right"


@pytest.mark.parametrize(
    "cell",
    [cell for cell in scoped(Scope.AGENCY) if "agency_id" in cell.rule.arguments and cell.method != "HEAD"],
    ids=str,
)
def test_agencies_are_apart(scene, cell):
    """The owner of another agency hears of this one what they hear of none."""
    client, url = scene.client("other owner", scene.others.a, Role.AGENCY_OWNER), scene.url(cell)
    scene.content(cell)
    before = scene.fingerprint()
    forget_flashes(client)
    answer = scene.call(client, cell, url)
    assert answer.status_code == 404, answer.text
    assert not any(secret in answer.text for secret in scene.secrets())
    missing = scene.url(cell, missing=True)
    assert told(answer, url) == told(scene.call(client, cell, missing), missing)
    assert scene.fingerprint() == before


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


@pytest.mark.parametrize("cell", [cell for cell in scoped(Scope.PUBLIC_FORM) if cell.method in UNSAFE], ids=str)
def test_forms_of_the_public_need_the_csrf_token_too(scene, cell):
    """Signing in among them: no other site can sign somebody in as somebody else (security.md E)."""
    values = {name: "x" * 43 if name == "token" else scene.id_of(name) for name in cell.rule.arguments}
    url = DRAWN.url_map.bind("localhost").build(cell.endpoint, values, method=cell.method)
    assert isinstance(url, str)
    http = scene.world.app.test_client()
    answer = http.open(url.removeprefix("http://localhost"), method=cell.method, data={"csrf_token": "forged"})
    assert answer.status_code == 400, answer.text
    assert not any("csn_device" in cookie for cookie in answer.headers.getlist("Set-Cookie"))


BOUND = tuple(cell for cell in TENANT if cell.rule.arguments & IN_PROJECT)


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_another_project(scene, cell):
    """Who may do everything in another project of the same workspace: this one's things do not exist for them."""
    url = scene.url(cell)
    scene.content(cell)
    here = scene.in_projects()
    clients = tuple(scene.elsewhere())
    before = scene.fingerprint()
    for name, client in clients:
        answer = scene.call(client, cell, url, at=scene.victim.wsp)
        assert answer.status_code < 500, (name, answer.text)
        asked = str(scene.content(cell)) + url
        assert not any(own in answer.text and own not in asked for own in here), (name, answer.text)
        if cell.method in UNSAFE and (cell in BOUND or answer.status_code >= 400):
            after = scene.fingerprint()
            assert {table: before[table] for table in before} == {table: after[table] for table in after}, name
        elif cell.method in UNSAFE:
            before = scene.fingerprint()  # what they changed is not of a project, and theirs to change
        if cell in BOUND and not (client.key and cell.action in NEVER_BY_KEY):
            assert answer.status_code == 404, (name, answer.text)
            missing = scene.url(cell, missing=True)
            missing = missing.replace(missing.split("/")[2], scene.victim.wsp) if missing.startswith("/w/") else missing
            assert told(answer, url) == told(scene.call(client, cell, missing, at=scene.victim.wsp), missing), name


@pytest.mark.parametrize("cell", [cell for cell in TENANT if cell.method == "HEAD"], ids=str)
def test_head_says_what_get_says_without_a_body(scene, cell):
    url = scene.url(cell)
    askers = (
        ("stranger", scene.others.a, Role.ADMIN), ("neighbour", scene.world.b, Role.ADMIN), ("own viewer", scene.victim, Role.VIEWER)
    )  # fmt: skip
    for name, place, role in askers:
        client = scene.client(name, place, role)
        got = raw_call(client, "GET", url, headers={"X-Workspace": scene.victim.wsp})
        asked = raw_call(client, "HEAD", url, headers={"X-Workspace": scene.victim.wsp})
        assert asked.status_code == got.status_code, name
        assert asked.text == ""
        assert got.status_code == 404 or place is scene.victim, name


def right_clients(scene: Scene, cell: Cell) -> Iterator[tuple[str, Client, Place]]:
    """Who may: of the roles that have the right the first one, and a key that reads and has this right."""
    role = next((role for role in ROLES if cell.action in ORACLE[role]), None)
    if role is not None:
        yield f"{role}", scene.client(f"own {role}", scene.victim, role), scene.victim
    if cell.action not in NEVER_BY_KEY and cell.endpoint not in BY_PEOPLE:
        reads = tuple(action for action in BY_KEY if action.value.endswith(":read"))
        yield "key", scene.key(scene.victim, tuple(dict.fromkeys((*reads, cell.action)))), scene.victim


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_right_role(scene, cell):
    """In the right workspace, with the right: the thing is there; and what changes something leaves an audit entry."""
    for name, client, place in right_clients(scene, cell):
        check_right(scene, cell, name, client, place)


def check_right(scene: Scene, cell: Cell, name: str, client: Client, place: Place) -> None:
    url, content = cell.url(scene.fresh(place, cell)), scene.content(cell)
    before = scene.fingerprint() if cell.method in UNSAFE else {}
    answer = scene.send(client, cell, url, content, at=place.wsp)
    assert answer.status_code < 500, answer.text
    refused = {401, 403, 404, 405} if cell.endpoint not in ABSENT else {401, 403, 405}
    assert answer.status_code not in refused, (name, HELP["absent"].format(cell, answer.status_code), answer.text[:500])
    after = scene.fingerprint() if cell.method in UNSAFE else {}
    changed = {table for table in before if before[table] != after[table]} - {"agenda", "idempotent_answer", "api_key"}
    if changed and cell.endpoint not in UNAUDITED:
        assert "audit_entry" in changed, (HELP["unaudited"].format(cell), changed)


@pytest.mark.parametrize("cell", [cell for cell in TENANT if cell.method == "GET"], ids=str)
def test_every_role_that_may_read_may(scene, cell):
    url = scene.url(cell)
    for role in ROLES:
        if cell.action in ORACLE[role]:
            answer = scene.call(scene.client(f"own {role}", scene.victim, role), cell, url, at=scene.victim.wsp)
            refused = {401, 403, 405} if cell.endpoint in ABSENT else {401, 403, 404, 405}
            assert answer.status_code not in refused and answer.status_code < 500, (role, answer.text)


LINES = [(role, action) for role in ROLES for action in Action if action in ORACLE[role]]
GAPS = [(role, action) for role in ROLES for action in Action if action not in ORACLE[role]]


def cell_of(action: Action) -> Cell | None:
    """A cell that needs a right: one that reads, if there is any."""
    found = sorted((c for c in TENANT if c.action is action and c.method != "HEAD"), key=lambda c: c.method != "GET")
    return found[0] if found else None


@pytest.mark.parametrize(("role", "action"), LINES, ids=lambda value: value.value)
def test_the_matrix_fails_when_a_line_of_the_policy_is_removed(scene, monkeypatch, role, action):
    """Take one right of one role out of permissions/rules.py: a cell of this matrix must notice."""
    cell = cell_of(action)
    if cell is None:
        pytest.skip("no route of a workspace needs this right")
    client = scene.client(f"own {role}", scene.victim, role)
    check_right(scene, cell, role, client, scene.victim)
    poorer = {**ROLE_ACTIONS, role: ROLE_ACTIONS[role] - {action}}
    monkeypatch.setattr(rules, "ROLE_ACTIONS", poorer)
    with pytest.raises(AssertionError, match="403"):
        check_right(scene, cell, role, client, scene.victim)


@pytest.mark.parametrize(("role", "action"), GAPS, ids=lambda value: value.value)
def test_the_matrix_fails_when_a_line_is_added_to_the_policy(scene, monkeypatch, role, action):
    """Give one role a right too many: the cell of its wrong role must notice."""
    cell = cell_of(action)
    if cell is None:
        pytest.skip("no route of a workspace needs this right")
    client, url = scene.client(f"own {role}", scene.victim, role), cell.url(scene.fresh(scene.victim, cell))
    assert scene.call(client, cell, url, at=scene.victim.wsp).status_code == 403
    richer = {**ROLE_ACTIONS, role: ROLE_ACTIONS[role] | {action}}
    monkeypatch.setattr(rules, "ROLE_ACTIONS", richer)
    assert scene.call(client, cell, url, at=scene.victim.wsp).status_code != 403


# ---------- ids elsewhere than in the path


def trials(cell: Cell, content: Mapping[str, Any]) -> Iterator[list[tuple[str, tuple[Any, ...], str]]]:
    """Where a request takes ids, each as part of the request, way to it, prefix: as BODIES writes and schemas take them.

    What the forms of pages take, no schema says: there all ids that there are stand in one form.
    """
    seen = set()
    for part in ("json", "query_string"):
        for way, prefix in _walk(content.get(part, {})):
            seen.add((part, way[0] if way else ""))
            yield [(part, way, prefix)]
    for location, name, prefix, many in cell.id_fields():
        part = "query_string" if location == "query" else "json"
        if "/" not in name and (part, name) not in seen:
            yield [(part, (name, 0) if many else (name,), prefix)]
    if not cell.is_api:
        part = "data" if cell.method in UNSAFE else "query_string"
        yield [(part, (name,), prefix) for name, prefix in PREFIXES.items() if name != "workspace"]


def _walk(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, (*way, key))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _walk(inner, (*way, at))
    elif isinstance(value, str) and (found := SHOWN.match(value)):
        yield way, found[1]


def put(content: dict[str, Any], part: str, way: tuple[Any, ...], value: str) -> dict[str, Any]:
    """A copy of a request's content with an id at one place."""

    def at(old: Any, rest: tuple[Any, ...]) -> Any:
        if not rest:
            return value
        if isinstance(rest[0], int):
            row = list(old or [])
            while len(row) <= rest[0]:
                row.append(None)
            row[rest[0]] = at(row[rest[0]], rest[1:])
            return row
        return {**(old or {}), rest[0]: at((old or {}).get(rest[0]), rest[1:])}

    return {**content, part: at(content.get(part), way)}


OF_PREFIX = {prefix: name for name, prefix in PREFIXES.items()}


@pytest.mark.parametrize("cell", WITHOUT_HEAD, ids=str)
def test_ids_in_body_query_and_form(scene, cell):
    """Inside their own workspace strangers name the victim's things: the answer is that to an id of nothing."""
    before = None
    for name, place in (("stranger", scene.others.a), ("neighbour", scene.world.b)):
        client = scene.client(name, place, Role.ADMIN)
        for trial in trials(cell, scene.content(cell, place)):
            theirs = [(part, way, scene.id_of(OF_PREFIX[prefix])) for part, way, prefix in trial]
            nothing = [(part, way, show(prefix, uuid7())) for part, way, prefix in trial]
            before = before or scene.fingerprint()
            answers = []
            urls = [cell.url(scene.fresh(place, cell)) for _ in range(2)]  # both first: pages list what there is
            for url, ids in zip(urls, (theirs, nothing), strict=True):
                content = scene.content(cell, place)
                for part, way, given in ids:
                    content = put(content, part, way, given)
                forget_flashes(client)
                answer = scene.send(client, cell, url, content, at=place.wsp)
                assert answer.status_code < 500, (name, trial, answer.text)
                assert not any(secret in answer.text for secret in scene.secrets()), (name, trial, answer.text)
                answers.append(_plain(answer, url, [given for _, _, given in ids]))
            same = answers[0] == answers[1] or cell.endpoint in NOT_TWICE
            assert same, (name, trial, difference(*answers))
    if before is not None:
        assert scene.fingerprint() == before


# A page cuts the way back to a length, and an id in it.
_NEW = re.compile(
    r"[a-z]{3}_0[0-9a-hjkmnp-tv-z]{2,25}|[0-9a-f]{32}|[0-9T:.-]{15,}Z?|W/\"\d+\"|csn_live_\w+|\b\d+ ms\b|[\w.-]{90,}"
)


def forget_flashes(client: Client) -> None:
    """What an earlier form said would stand on the next page."""
    with client.http.session_transaction() as kept:
        kept.pop("_flashes", None)


def difference(one: tuple[int, str], other: tuple[int, str]) -> tuple[str, str]:
    """Where two answers begin to differ, for who reads the failure."""
    at = next((at for at, (a, b) in enumerate(zip(one[1], other[1], strict=False)) if a != b), 0)
    return one[1][max(0, at - 80) : at + 80], other[1][max(0, at - 80) : at + 80]


def _plain(answer, url: str, ids: list[str]) -> tuple[int, str]:
    """Status and body without the ids, moments and tokens that are new in each answer."""
    status, text = told(answer, url)
    for given in ids:
        text = text.replace(given, "*")
    # Of two new things of one's own, each form has its own list chosen.
    return status, _NEW.sub("*", text).replace(" selected>", ">")


@pytest.mark.parametrize("cell", [cell for cell in TENANT if cell.rule.rule.endswith(":batch")], ids=str)
def test_a_bulk_with_one_foreign_id_is_refused_as_a_whole(scene, cell):
    client, place = scene.client("stranger", scene.others.a, Role.ADMIN), scene.others.a
    content = scene.content(cell, place)
    lists = [thing(scene.others, place, "list_id"), scene.id_of("list_id")]
    content["json"] = {**content["json"], "list_ids": lists}
    before = scene.fingerprint()
    answer = scene.send(client, cell, cell.url(scene.fresh(place, cell)), content, at=place.wsp)
    assert answer.status_code == 404, answer.text
    assert scene.fingerprint() == before


# ---------- other spellings and methods


def other_uuids(shown: str) -> tuple[str, ...]:
    """The same id as databases and other programs write it."""
    prefix = shown.partition("_")[0]
    value: UUID = parse(prefix, shown)
    plain = (str(value), value.hex, str(value).upper(), "{" + str(value) + "}", value.urn, str(value.int))
    return (*plain, *(f"{prefix}_{text}" for text in plain))


@pytest.mark.parametrize("cell", [cell for cell in WITH_IDS if cell.method == "GET"], ids=str)
def test_an_id_has_one_spelling(scene, cell):
    """Upper case, the bare UUID, a slash at the end and a changed method lead nowhere."""
    client = scene.client("own admin", scene.victim, Role.ADMIN)
    url = scene.url(cell)
    name = next(name for name in sorted(cell.rule.arguments) if name in PREFIXES)
    known = scene.id_of(name)
    spelled = (
        known.upper(),
        known.partition("_")[2],
        known + "0",
        known[:-1],
        f" {known}",
        f"{known}%00",
        *other_uuids(known),
    )
    for wrong in spelled:
        answer = scene.call(client, cell, url.replace(known, wrong), at=scene.victim.wsp)
        assert answer.status_code == 404, (wrong, answer.text)
    here = {"X-Workspace": scene.victim.wsp}
    plain = raw_call(client, "GET", url, headers=here)
    override = raw_call(client, "GET", url, headers={"X-HTTP-Method-Override": "DELETE", **here})
    assert (override.status_code, override.content_type) == (plain.status_code, plain.content_type)
    assert plain.status_code < 500


# One cell of each address that takes ids: all methods are tried at it.
ADDRESSES = tuple({cell.rule.rule: cell for cell in WITH_IDS if cell.method in {"GET", "POST"}}.values())


@pytest.mark.parametrize("cell", ADDRESSES, ids=str)
def test_other_methods_and_slashes_tell_strangers_nothing(scene, cell):
    """OPTIONS, HEAD, methods that the address does not know, a slash at the end, an overridden method."""
    client, own = scene.client("stranger", scene.others.a, Role.ADMIN), scene.others.a
    before = scene.fingerprint()
    for method in ("OPTIONS", "HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
        override = {"X-HTTP-Method-Override": "DELETE", "X-Method-Override": "PUT"} if method == "POST" else {}
        for end, headers in (("", override), *([("/", {})] if method in {"GET", "DELETE"} else [])):
            answers = []
            for missing in (False, True):
                url = scene.url(cell, missing=missing, inside=own) + end
                forget_flashes(client)
                answer = raw_call(client, method, url, headers={"If-Match": '"1"', "X-Workspace": own.wsp, **headers})
                assert answer.status_code < 500, (method, url, answer.text)
                assert not any(secret in answer.text for secret in scene.secrets())
                answers.append((*told(answer, url.removesuffix("/")), answer.headers.get("Allow")))
            assert answers[0] == answers[1], (method, end, headers)
    assert scene.fingerprint() == before


def test_nothing_of_the_victim_stands_in_redis(app_settings, scene):
    """Cache, queues and rate counters hold no name, address or content."""
    redis = connect_redis(app_settings.redis_url)
    for key in redis.scan_iter():
        kind = redis.type(key)
        value = redis.dump(key) or b""
        assert b"canary-7f3b" not in key + value, (key, kind)


def test_u2_after_all_of_this_the_victims_audit_chain_holds_and_names_nobody(scene):
    """Every route was used with canaries for names and addresses: entries hold ids and words only."""
    for place in (scene.victim, scene.world.b, scene.others.a):
        with bound(scene.world.engine, place) as session:
            assert verify(session) is None
    with bound(scene.world.engine, scene.victim) as session:
        rows = session.execute(sa.text("SELECT action, subject, CAST(facts AS text) AS facts FROM audit_entry")).all()
    people = {word for role in CAMPAIGN_ROLES for word in (f"{role.value.title()} North", scene.victim.emails[role])}
    forbidden = {"canary-7f3b", "finch-2c9e", "@", "Northwind", *people}
    told_names = [row for row in rows for word in forbidden if word in row.subject + row.facts]
    assert told_names == []
    assert {row.action for row in rows} - set(PHRASES) == set(), "saas/web/activity/phrases.py: a line for each action"
