"""The restore drill (U12, listmonk #1801): a copied database sends nothing until a person decides; the original goes on."""

import os
from dataclasses import replace

import pytest
import sqlalchemy as sa

from saas.audit.models import AuditEntry
from saas.campaigns.models import Campaign
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show
from saas.ledger.queries.numbers import numbers, runs_of
from saas.notices.models import Alert
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.platform.db import tenant_session
from saas.platform.seal import service
from saas.sending.service import sealed
from saas.sending.service.sealed import REASON, Choice
from tests import scenes
from tests.command import saas
from tests.conftest import KEY
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink

pytestmark = pytest.mark.integration
PEOPLE = 30


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


class Drill:
    """A run of 30 people in chunks of 5, stopped after the first, and a campaign for tomorrow."""

    def __init__(self, installation, sink):
        self.original, self.sink, self.at = installation, sink, scenes.soon()
        sealed.check_in(installation.engine, file=installation.file, now=SystemClock().now())
        self.world = installation.world()
        self.place = self.world.a
        list_id, _ = scenes.add_people(self.world, self.place, PEOPLE)
        channel = scenes.add_channel(self.world, self.place, sink.port, rate_per_minute=60)
        self.running = self._approve(list_id, channel, self.at)
        self.coming = self._approve(list_id, channel, scenes.soon(24))
        with self.room(installation) as room:
            room.at(self.at).run(Queue.MAINTENANCE)
            while not sink.messages:
                room.run(Queue.BULK, pieces=1)
        self.sent = len(sink.messages)
        assert 0 < self.sent < PEOPLE

    def room(self, installation):
        return engine_room(installation.app, installation.settings, egress=(f"127.0.0.1:{self.sink.port}",))

    def _approve(self, list_id, channel, at):
        campaign_id = scenes.make_campaign(self.world, self.place)
        scenes.save(self.world, self.place, campaign_id, scenes.dated_draft(list_id, channel, at))
        scenes.approve(self.world, self.place, campaign_id, scenes.submit(self.world, self.place, campaign_id))
        return campaign_id

    def start(self, installation):
        """What a sender's start does. Returns the seal's state."""
        state = sealed.check_in(installation.engine, file=installation.file, now=self.at)
        sealed.hold_all(installation.engine, now=self.at)
        return state

    def go_on(self, installation, *, seconds=100):
        """Let senders work for a while. Returns how many messages that sent."""
        before = len(self.sink.messages)
        with self.room(installation) as room:
            for second in range(0, seconds, 2):
                room.at(self.at).later(2 + second).run()
        return len(self.sink.messages) - before

    def campaign(self, installation, campaign_id):
        with tenant_session(installation.engine, self.place.tenant_id) as session:
            return session.get_one(Campaign, (self.place.tenant_id, parse("cam", campaign_id)))

    def numbers(self, installation):
        with tenant_session(installation.engine, self.place.tenant_id) as session:
            (run,) = runs_of(session, parse("cam", self.running))
            return numbers(session, [run.run_id])[run.run_id]

    def rows(self, installation, place, model):
        with tenant_session(installation.engine, place.tenant_id) as session:
            return session.scalars(sa.select(model)).all()


@pytest.fixture
def drill(installation, sink):
    return Drill(installation, sink)


@pytest.fixture
def copy(drill, tmp_path):
    found = drill.original.copy(tmp_path / "elsewhere")
    assert drill.start(found).sealed
    return found


def test_a_copy_sends_nothing_and_the_original_goes_on(drill, copy):
    held = [drill.campaign(copy, campaign) for campaign in (drill.running, drill.coming)]
    assert {(row.state, row.held_reason) for row in held} == {("held", REASON)}
    assert sealed.hold_all(copy.engine, now=drill.at) == 0, "once is enough"
    for place in (drill.world.a, drill.world.b):
        (alert,) = [row for row in drill.rows(copy, place, Alert) if row.kind == "sealed"]
        assert (alert.subject, alert.cleared_at) == (place.wsp, None)
        assert [row.action for row in drill.rows(copy, place, AuditEntry)].count("seal.sealed") == 1
    assert drill.go_on(copy) == 0
    assert not drill.start(drill.original).sealed
    assert drill.go_on(drill.original) == PEOPLE - drill.sent
    assert drill.numbers(drill.original).accepted == PEOPLE
    assert {message.rcpt for message in drill.sink.messages} == {f"p{n}@example.org" for n in range(PEOPLE)}
    assert len(drill.sink.messages) == PEOPLE


def test_what_is_unfinished_is_told_with_its_open_people(drill, copy):
    (found,) = sealed.unfinished(copy.engine)
    assert (show("cam", found.campaign_id), found.state) == (drill.running, "held")
    assert (found.workspace, found.open_people) == ("Northwind north", PEOPLE - drill.sent)


def test_accepted_to_end_stops_what_was_being_sent_and_nothing_else(drill, copy):
    mark = service.accept(copy.engine, file=copy.file, now=drill.at)
    touched = sealed.decide(copy.engine, choice=Choice.END, epoch=mark.epoch, now=drill.at)
    assert touched == {drill.world.a.tenant_id: 1, drill.world.b.tenant_id: 0}
    assert not drill.start(copy).sealed
    assert drill.go_on(copy) == 0
    assert drill.campaign(copy, drill.running).state == "stopped"
    assert drill.campaign(copy, drill.coming).state == "held", "a person resumes it"
    found = drill.numbers(copy)
    assert (found.accepted, found.cancelled, found.open) == (drill.sent, PEOPLE - drill.sent, 0)
    assert all(row.cleared_at for row in drill.rows(copy, drill.place, Alert) if row.kind == "sealed")
    (entry,) = [row for row in drill.rows(copy, drill.place, AuditEntry) if row.action == "seal.accepted"]
    assert entry.facts == {"choice": "end", "epoch": mark.epoch}


def test_accepted_to_send_the_rest_sends_to_those_without_a_record(drill, copy):
    mark = service.accept(copy.engine, file=copy.file, now=drill.at)
    sealed.decide(copy.engine, choice=Choice.SEND_REST, epoch=mark.epoch, now=drill.at)
    assert drill.campaign(copy, drill.running).state == "active"
    assert drill.campaign(copy, drill.coming).state == "held"
    assert drill.go_on(copy) == PEOPLE - drill.sent
    assert drill.numbers(copy).accepted == PEOPLE
    assert len({message.rcpt for message in drill.sink.messages}) == PEOPLE


def test_what_a_person_paused_is_not_sent_by_accepting(drill, tmp_path):
    manager = drill.world.client(drill.place, Role.MANAGER)
    assert manager.post(f"/campaigns/{drill.running}/pause").status_code == 200
    copy = drill.original.copy(tmp_path / "elsewhere")
    drill.start(copy)
    mark = service.accept(copy.engine, file=copy.file, now=drill.at)
    assert sum(sealed.decide(copy.engine, choice=Choice.SEND_REST, epoch=mark.epoch, now=drill.at).values()) == 0
    assert drill.campaign(copy, drill.running).state == "paused"
    assert drill.go_on(copy) == 0


def test_a_death_while_holding_is_made_good_at_the_next_round(drill, copy):
    """Holding goes workspace by workspace; what the seal forbids to claim is held whenever somebody looks."""
    copy.change(f"SET LOCAL app.tenant_id = '{drill.place.tenant_id}'; UPDATE campaign SET state = 'active'")
    assert sealed.hold_all(copy.engine, now=drill.at) == 2
    assert drill.go_on(copy) == 0


@pytest.fixture
def saas_seal(copy):
    environ = {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "DATABASE_URL": copy.settings.database_url,
        "REDIS_URL": copy.settings.redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY, "CSN_HOME": str(copy.home),
    }  # fmt: skip

    def run(*words, say=""):
        done = saas(environ, "seal", *words, given=say)
        return done.returncode, done.stdout + done.stderr

    return run


def test_the_command_shows_asks_and_accepts(drill, copy, saas_seal):
    code, told = saas_seal()
    assert code == 0
    for word in ("Sealed:", "every campaign is held", "Northwind north", drill.running, str(PEOPLE - drill.sent)):
        assert word in told
    assert saas_seal("accept")[0] == 2, "it must be said what becomes of the runs"
    code, told = saas_seal("accept", "--send-rest", say="n\n")
    assert code == 130 and "a second time" in told
    assert copy.seal().sealed_at is not None
    code, told = saas_seal("accept", "--send-rest", say="y\n")
    assert code == 0, told
    assert "Campaigns resumed: 1" in told and str(copy.file) in told.replace("\n", "")
    assert copy.seal().sealed_at is None and copy.file.exists()
    assert drill.campaign(copy, drill.running).state == "active"
    assert saas_seal("accept", "--end", "--yes")[0] == 5, "there is nothing to accept any more"
    told = saas_seal()[1]
    assert "Not sealed" in told and "Warning" not in told
    kept = copy.file.read_text(encoding="utf-8")
    copy.file.unlink()
    told = saas_seal()[1]
    assert "Not sealed" in told and "Warning: there is no seal file here" in told
    assert "A sender that starts on this machine is refused while other senders are at work" in told
    copy.file.write_text(drill.original.file.read_text(encoding="utf-8"), encoding="utf-8")
    assert "Warning: the seal file here belongs to another deployment" in saas_seal()[1]
    copy.file.write_text(kept, encoding="utf-8")


def test_u12_a_sealed_copy_lets_nothing_go_on(drill, copy):
    """Resuming and publishing would send later, so they are refused like a call is; what sends nothing works."""
    world = replace(drill.world, app=copy.app, engine=copy.engine)
    manager = world.client(drill.place, Role.MANAGER)
    for campaign_id in (drill.running, drill.coming):
        refused = manager.post(f"/campaigns/{campaign_id}/resume")
        assert (refused.status_code, refused.get_json()["code"]) == (503, "sealed")
    resume = f"/w/{drill.place.wsp}/campaigns/{drill.running}/resume"
    csrf = {"X-CSRF-Token": manager.csrf}
    page = manager.http.post(resume, headers=csrf)
    assert page.status_code == 503
    assert "nothing is sent from it until the operator decides" in page.get_data(as_text=True)
    draft = manager.post(f"/campaigns/{drill.coming}/revisions").get_json()["draft"]
    assert manager.put(f"/campaigns/{drill.coming}/revisions/2", {"draft": draft}, etag='"1"').status_code == 200
    signed = manager.post(f"/campaigns/{drill.coming}/revisions/2/submit").get_json()["content_hash"]
    refused = world.client(drill.place, Role.APPROVER).post(
        f"/campaigns/{drill.coming}/revisions/2/approve", {"content_hash": signed}
    )
    assert (refused.status_code, refused.get_json()["code"]) == (503, "sealed")
    assert manager.post(f"/campaigns/{drill.running}/stop").status_code == 202
