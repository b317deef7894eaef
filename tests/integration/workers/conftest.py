"""Scenes with real worker processes."""

import pytest
import sqlalchemy as sa

from saas.app.environment import url_for
from saas.app.kinds import kinds_for
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse
from saas.ledger.queries.numbers import numbers, planned, runs_of
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.platform.agenda.work import Doer, work
from saas.platform.roles import Login
from saas.sending.service.recovery import recover_dead_senders
from tests import scenes
from tests.integration.workers.rig import LIMIT_S, Fleet, OwnValkey, SlowSink, wait_until
from tests.worlds import bound


@pytest.fixture(scope="module", autouse=True)
def _alone(nobody_else):
    """No workspace but those of this module's tests."""


@pytest.fixture
def valkey():
    found = OwnValkey()
    found.start()
    yield found
    found.end()


@pytest.fixture
def sink():
    with SlowSink() as found:
        yield found


@pytest.fixture
def fleet(app_settings, engine, valkey, sink, empty_agenda):
    found = Fleet(app_settings, valkey, sink, engine)
    found.forget_owners()
    yield found
    found.end()
    found.forget_owners()


@pytest.fixture
def admin(servers, database):
    """A superuser's connection to this test's database."""
    parts = sa.make_url(servers.admin_url)
    url = url_for(servers.admin_url, Login(str(parts.username), str(parts.password or "")), database)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


class Runs:
    """Begins campaigns now, and counts what became of them."""

    def __init__(self, world, owner_engine, sink):
        self.world, self._owner, self._sink = world, owner_engine, sink

    def approve(self, place, people, *, tag, **channel):
        """A dated campaign to so many people; approved an hour ago, and due now. Returns its id and the addresses."""
        world = self.world
        list_id, addresses = scenes.add_people(world, place, people, tag=tag)
        channel_id = scenes.add_channel(world, place, self._sink.port, name=f"Club mail {tag}", **channel)
        campaign_id = scenes.make_campaign(world, place)
        due = scenes.dated_draft(list_id, channel_id, SystemClock().now())
        with scenes.earlier(world, hours=1):
            scenes.save(world, place, campaign_id, due)
            scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
        return campaign_id, addresses

    def begin(self, place, people, *, tag="p", **channel):
        """The same, started: its run is due."""
        found = self.approve(place, people, tag=tag, **channel)
        self.start_due()
        return found

    def begin_api(self, place, people):
        """A transactional campaign that was called for so many people."""
        world = self.world
        _, addresses = scenes.add_people(world, place, people, tag="acc")
        channel = scenes.add_channel(world, place, self._sink.port, purpose="transactional")
        campaign_id = scenes.make_campaign(world, place, kind="api", purpose="transactional")
        scenes.save(world, place, campaign_id, scenes.api_draft(channel))
        scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
        self.start_due()
        body = {"recipients": [{"email": a, "context": {"reset_url": f"https://id.example/{a}"}} for a in addresses]}
        answer = world.key(place).post(f"/campaigns/{campaign_id}/trigger", body)
        assert answer.status_code == 202, answer.text
        return campaign_id, addresses

    def start_due(self):
        shell = self.world.app.extensions["countersign"]
        kinds = kinds_for(Queue.MAINTENANCE, shell=shell, engine=self.world.engine, sender=None)
        doer = Doer(self.world.engine, kinds, SystemClock(), lambda _queue: None, lambda: False)
        assert work(doer, Queue.MAINTENANCE)

    def numbers(self, place, campaign_id):
        """The numbers of the campaign's one run; they balance at every look (U4)."""
        with bound(self.world.engine, place) as session:
            (run,) = runs_of(session, parse("cam", campaign_id))
            found = numbers(session, [run.run_id])[run.run_id]
            assert found.planned == planned(session, [run.run_id])[run.run_id]
            return found

    def state(self, place, campaign_id):
        answer = self.world.client(place, Role.VIEWER).get(f"/campaigns/{campaign_id}")
        return answer.get_json()["state"]

    def finish(self, place, campaign_id, *, limit_s=LIMIT_S):
        """Wait until nobody is open and return the numbers."""
        wait_until(lambda: self.numbers(place, campaign_id).open == 0, what="nobody is open", limit_s=limit_s)
        return self.numbers(place, campaign_id)

    def bury(self, owners, *, home):
        """Thirty seconds pass for these senders, and what they held is settled by a machine without their journals."""
        with self._owner.begin() as connection:
            connection.execute(
                sa.text("UPDATE sender SET beat_at = now() - interval '31 s' WHERE owner = ANY(:owners)"),
                {"owners": owners},
            )
        return recover_dead_senders(self.world.engine, SystemClock().now(), home=home)


@pytest.fixture
def runs(world, owner_engine, sink):
    return Runs(world, owner_engine, sink)
