"""Alerts over the API, and what the operator's metrics count."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.ids import show, uuid7
from saas.notices.service.alerts import clear_alert, raise_alert
from saas.notices.types import AlertKind
from saas.permissions.types import CAMPAIGN_ROLES, Role
from saas.tenants.service import members, workspaces
from tests.worlds import Client, bound

pytestmark = pytest.mark.integration
NOW = SystemClock().now()


@pytest.fixture
def tell(world):
    """Raise an alert in a workspace. Returns its subject."""

    def alert(place, kind=AlertKind.HELD, *, subject=None, project_id=None, now=NOW, text="A campaign is held."):
        named = subject or show("cam", uuid7())
        with bound(world.engine, place) as session:
            new = raise_alert(
                session, kind=kind, subject=named, text=text, facts={"part": "document"}, project_id=project_id, now=now
            )
            session.commit()
        return named, new

    return alert


def listed(client, query=""):
    answer = client.get(f"/alerts{query}")
    assert answer.status_code == 200, answer.text
    return answer.get_json()["data"]


@pytest.mark.parametrize("role", [*CAMPAIGN_ROLES, Role.AGENCY_OWNER])
def test_every_role_reads_them(world, tell, role):
    subject, _ = tell(world.a)
    (found,) = listed(world.client(world.a, role))
    assert found.pop("alert_id").startswith("alr_")
    assert found == {
        "kind": "held", "subject": subject, "text": "A campaign is held.", "facts": {"part": "document"},
        "raised_at": NOW.isoformat().replace("+00:00", "Z"), "cleared_at": None,
    }  # fmt: skip
    assert listed(world.client(world.b, role)) == []


def test_one_is_open_for_each_kind_and_subject(world, tell):
    subject, first = tell(world.a)
    _, again = tell(world.a, subject=subject, text="Said differently.")
    _, other = tell(world.a, AlertKind.NO_PROGRESS, subject=subject)
    assert (first, again, other) == (True, False, True)
    assert [row["text"] for row in listed(world.key(world.a), "?open=true")] == ["A campaign is held."] * 2
    with bound(world.engine, world.a) as session:
        assert clear_alert(session, kind=AlertKind.HELD, subject=subject, now=NOW)
        assert not clear_alert(session, kind=AlertKind.HELD, subject=subject, now=NOW)
        session.commit()
    assert [row["kind"] for row in listed(world.key(world.a), "?open=true")] == ["no_progress"]
    assert [row["kind"] for row in listed(world.key(world.a), "?open=false")] == ["held"]
    assert tell(world.a, subject=subject)[1], "it may come back"
    assert len(listed(world.key(world.a))) == 3


def test_newest_first_page_by_page(world, tell):
    subjects = [tell(world.a, now=NOW + timedelta(seconds=number // 2))[0] for number in range(5)]
    client, query, seen = world.key(world.a), "?limit=2", []
    while query:
        answer = client.get(f"/alerts{query}").get_json()
        seen += [row["subject"] for row in answer["data"]]
        query = f"?limit=2&after={answer['next_cursor']}" if answer["has_more"] else ""
    assert seen == subjects[::-1]


def test_what_is_about_a_project_is_told_in_that_project(world, tell):
    """A client's freelancer with a role in one project learns nothing of the others."""
    boss = world.a.actor(Role.ADMIN)
    with bound(world.engine, world.a) as session:
        other = workspaces.create_project(session, actor=boss, name="Summer season", now=NOW)
        viewer = world.b.accounts[Role.VIEWER]  # somebody without a role in this workspace
        members.grant(
            session, actor=boss, account_id=viewer, role=Role.VIEWER, project_id=other.project_id, now=NOW
        )  # fmt: skip
        session.commit()
    everybodys, _ = tell(world.a, AlertKind.CHANNEL_DOWN, subject=show("chn", uuid7()))
    tell(world.a, project_id=world.a.project_id)
    theirs, _ = tell(world.a, project_id=other.project_id)
    person = Client(world.app, workspace=world.a.wsp).sign_in(world.b.emails[Role.VIEWER])
    assert {row["subject"] for row in listed(person)} == {everybodys, theirs}
    assert len(listed(world.client(world.a, Role.VIEWER))) == 3


@pytest.fixture
def token(app, monkeypatch):
    running = app.extensions["countersign"]
    monkeypatch.setattr(running, "settings", replace(running.settings, metrics_token="open-sesame-7"))
    return {"Authorization": "Bearer open-sesame-7"}


def test_without_a_token_there_are_no_metrics(app):
    assert app.test_client().get("/metrics").status_code == 404


@pytest.mark.parametrize("given", [None, "Bearer ", "Bearer open-sesame-8", "Basic open-sesame-7", "Bearer öpen"])
def test_metrics_want_their_token(app, token, given):
    headers = {} if given is None else {"Authorization": given}
    assert app.test_client().get("/metrics", headers=headers).status_code == 401


def test_metrics_count_and_name_nobody(world, engine, app, token, tell, empty_agenda):
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sender")
        connection.execute(
            sa.text("INSERT INTO sender (owner, host, queue, started_at, beat_at) VALUES (:id, 'h', 'bulk', :at, :at)"),
            {"id": uuid7(), "at": SystemClock().now()},
        )
        connection.execute(
            sa.text("INSERT INTO agenda (tenant_id, kind, subject, queue, due_at) VALUES (:t, 'x', 'y', 'bulk', :at)"),
            {"t": world.a.tenant_id, "at": NOW},
        )

    def read():
        answer = app.test_client().get("/metrics", headers=token)
        assert answer.status_code == 200 and answer.mimetype == "text/plain"
        return dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#")), answer.text

    before, _ = read()
    tell(world.a, AlertKind.NO_PROGRESS)
    tell(world.b, AlertKind.NO_PROGRESS)
    after, text = read()
    name = 'countersign_alerts_open{kind="no_progress"}'
    assert int(after[name]) - int(before[name]) == 2
    assert after['countersign_agenda_due{queue="bulk"}'] == "1"
    assert after['countersign_senders_alive{queue="bulk"}'] == "1"
    assert after['countersign_senders_alive{queue="transactional"}'] == "0"
    assert after['countersign_sealed{seal="environment"}'] == "0"
    assert "Northwind" not in text and str(world.a.tenant_id) not in text
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM sender")
