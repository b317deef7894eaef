"""Two tenants in turn through a pool of one connection (security.md B): whatever ends a request, nothing leaks into the next.

Requests go through the real shell. They end well, with a refusal, with an error of ours, in a savepoint that is rolled
back, after a commit in the middle, with a broken statement, as a stream that opens a session of its own, and as a stream
that is left half read.
"""

import threading
from collections import Counter
from dataclasses import replace

import pytest
import sqlalchemy as sa
from flask import Response
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from saas.app.factory import create_app
from saas.http.shell import endpoint
from saas.http.types import Scope
from saas.kernel.errors import Conflict
from saas.permissions.types import Action
from saas.platform.db import bind, db, tenant_session
from saas.tenants.models import Project, Workspace
from tests.tally import size
from tests.worlds import Client

pytestmark = pytest.mark.integration
THREADS = 4
WAYS = ("well", "refused", "broken", "savepoint", "commits", "statement", "garbage", "stream", "left", "foreign", "pid")


class Refused(Conflict):
    """As services refuse."""

    code = "conflict"


def names(session):
    """What is seen without any condition: the workspace, its projects, and whose rows those are."""
    rows = session.execute(
        sa.text("SELECT name, tenant_id FROM workspace UNION ALL SELECT name, tenant_id FROM project")
    ).all()
    return sorted(row.name for row in rows), {row.tenant_id for row in rows}


def seen(session):
    found, tenants = names(session)
    assert len(tenants) == 1
    return " | ".join(found)


@endpoint(Scope.TENANT, Action.WORKSPACE_READ)
def storm(context, how):
    return WAYS_OUT.get(how, well)(context)


def well(context):
    return Response(seen(context.session))


def refused(context):
    text = seen(context.session)
    context.session.execute(sa.update(Project).values(name="changed by somebody who was refused"))
    raise Refused(text)


def broken(context):
    context.session.add(Project())
    raise ValueError(seen(context.session))


def savepoint(context):
    session = context.session
    with pytest.raises(ZeroDivisionError), session.begin_nested():
        session.execute(sa.update(Project).values(name="changed in a savepoint"))
        raise ZeroDivisionError
    return Response(seen(session))


def commits(context):
    first = seen(context.session)
    context.session.commit()
    assert seen(context.session) == first
    context.session.rollback()
    return Response(seen(context.session))


def statement(context):
    text = seen(context.session)
    with pytest.raises(DBAPIError):
        context.session.execute(sa.text("SELECT 1 / 0"))
    context.session.rollback()
    assert seen(context.session) == text
    return Response(text)


def garbage(context):
    """Somebody sets the tenant to nonsense on the connection itself: it ends with the transaction."""
    text = seen(context.session)
    context.session.connection().exec_driver_sql("SET LOCAL app.tenant_id = 'garbage'")
    with pytest.raises(DBAPIError):
        seen(context.session)
    context.session.rollback()
    return Response(text)


def stream(context):
    """Goes on after the request's session is over, as exports do."""
    engine, tenant = db.engine, context.actor.tenant_id

    def parts():
        with tenant_session(engine, tenant) as session:
            yield from seen(session)

    return Response(parts())


def foreign(context):
    """Reads and writes that name the other tenant find nothing, or are refused."""
    session, other = context.session, OTHERS[context.actor.tenant_id]
    text = seen(session)
    assert session.scalar(sa.select(sa.func.count()).select_from(Workspace).where(Workspace.tenant_id == other)) == 0
    assert session.execute(sa.update(Project).where(Project.tenant_id == other).values(name="x")).rowcount == 0
    with pytest.raises(DBAPIError, match="row-level security"), session.begin_nested():
        session.execute(sa.update(Project).values(tenant_id=other))
    with pytest.raises(RuntimeError):
        bind(session, other)
    return Response(text)


def pid(context):
    PIDS[context.session.scalar(sa.text("SELECT pg_backend_pid()"))] += 1
    return Response(seen(context.session))


WAYS_OUT = {
    "refused": refused, "broken": broken, "savepoint": savepoint, "commits": commits, "statement": statement,
    "garbage": garbage, "stream": stream, "left": stream, "foreign": foreign, "pid": pid,
}  # fmt: skip
OTHERS = {}
PIDS = Counter()


@pytest.fixture
def narrow(app_settings, world):
    """The application with one connection for everybody."""
    app = create_app(replace(app_settings, db_pool_size=1))
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/api/v1/storm/<how>", "storm", storm)
    OTHERS.update({world.a.tenant_id: world.b.tenant_id, world.b.tenant_id: world.a.tenant_id})
    PIDS.clear()
    yield app
    with app.app_context():
        assert db.engine.pool.size() == 1
        db.engine.dispose()


def ask(client, way, expected):
    """Whether a request that ends in this way answers with the client's own tenant, and nothing else."""
    headers = {"Authorization": f"Bearer {client.key}"}
    answer = client.http.open(f"/api/v1/storm/{way}", headers=headers, buffered=way != "left")
    if way == "left":
        next(iter(answer.response), None)
        answer.close()
        return True
    if way == "refused":
        return (answer.status_code, answer.get_json()["detail"]) == (409, expected)
    return answer.status_code == 500 if way == "broken" else (answer.status_code, answer.text) == (200, expected)


def test_a_storm_of_two_tenants_through_one_connection(narrow, world):
    places = ((world.a.key, "north"), (world.b.key, "south"))
    wrong, counts, each = [], Counter(), size("storm_requests") // THREADS
    lock = threading.Lock()

    def one(number):
        clients = [(Client(narrow, key=key), f"Northwind {name} | Winter season") for key, name in places]
        for turn in range(each):
            way = WAYS[(turn * (number + 2) + turn // len(WAYS)) % len(WAYS)]  # each thread in an order of its own
            client, expected = clients[(turn + number) % 2]
            good = ask(client, way, expected)
            with lock:
                counts[way] += 1
                wrong.extend([] if good else [(number, turn, way)])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
    with capture_logs():  # each error of ours would draw its whole trace
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert sum(counts.values()) == each * THREADS
    assert set(counts) == set(WAYS)
    # All of it went over very few connections: errors of ours may end one, nothing else does.
    assert len(PIDS) < max(3, sum(PIDS.values()) // 3), PIDS
