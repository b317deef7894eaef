"""A flow that is approved, people who go through it, a clock, and what was sent to whom."""

from collections import Counter
from contextlib import contextmanager
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import FixedClock, SystemClock
from saas.kernel.ids import parse, uuid7
from saas.ledger.models import Contact, Entry, Event, Passage, Run, Wait
from saas.ledger.queries.numbers import numbers, planned, runs_of
from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound


@pytest.fixture(scope="module", autouse=True)
def _alone(nobody_else):
    """No workspace but those of this module's tests."""


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def flow(world, room, sink):
    return FlowScene(world, room, sink)


class FlowScene:
    """Steps are named by number; a message's subject is `step <number>`."""

    def __init__(self, world, room, sink, place=None):
        self.world, self.room, self.sink, self.place = world, room, sink, place or world.a
        self.start = (SystemClock().now() + timedelta(hours=1)).replace(second=0, microsecond=0)
        self.list_id = self.addresses = self.channel_id = self.campaign_id = None
        self.no = 1

    def people(self, count, **attributes):
        self.list_id, self.addresses = scenes.add_people(self.world, self.place, count, **attributes)
        self.channel_id = scenes.add_channel(self.world, self.place, self.sink.port)
        return self

    def at(self, minutes):
        return self.start + timedelta(minutes=minutes)

    def wall(self, minutes):
        return f"{self.at(minutes):%Y-%m-%dT%H:%M}"

    def message(self, no, when=None, /, *, after=None, **more):
        content = {"subject": f"step {no}", "html": scenes.HTML, "text": scenes.TEXT}
        step = {
            "step_no": no,
            "kind": "email",
            "name": f"Message {no}",
            "channel_id": self.channel_id,
            "content": content,
        }
        return self._timed(step, when, {"sent": [after] if isinstance(after, int) else after or []}, more)

    def step(self, no, kind, when=None, /, *, after=None, **more):
        return self._timed({"step_no": no, "kind": kind, "name": f"{kind} {no}"}, when, after or {}, more)

    def _timed(self, step, when, after, more):
        step["next"] = {word: [to] if isinstance(to, int) else to for word, to in after.items() if to}
        if when is not None:
            step["at"] = self.wall(when)
        return step | more

    def draft(self, *steps, kind="dated", **more):
        found = {"topic": "newsletter", "time_zone": "UTC", "steps": list(steps), **more}
        if kind != "api":
            found.setdefault("audience", {"list_id": self.list_id})
        return found

    def publish(self, *steps, kind="dated", **more):
        self.campaign_id = scenes.make_campaign(self.world, self.place, kind=kind)
        scenes.save(self.world, self.place, self.campaign_id, self.draft(*steps, kind=kind, **more))
        scenes.approve(
            self.world, self.place, self.campaign_id, scenes.submit(self.world, self.place, self.campaign_id)
        )
        return self

    def run(self, minutes):
        """Do all that is due so many minutes after the first step's time."""
        self.room.at(self.at(minutes)).run()
        return self

    def call(self, *addresses, key="", **context):
        recipients = [{"email": a, "entry_key": key, "context": context} for a in addresses]
        answer = self.world.key(self.place).post(f"/campaigns/{self.campaign_id}/trigger", {"recipients": recipients})
        assert answer.status_code == 202, answer.text
        return [result["status"] for result in answer.get_json()["results"]]

    @contextmanager
    def clocked(self, minutes):
        """Let the web's clock stand so many minutes after the first step's time."""
        shell = self.world.app.extensions["countersign"]
        before, shell.clock = shell.clock, FixedClock(self.at(minutes))
        try:
            yield
        finally:
            shell.clock = before

    def control(self, move):
        answer = self.world.client(self.place, Role.MANAGER).post(f"/campaigns/{self.campaign_id}/{move}")
        assert answer.status_code in {200, 202}, answer.text

    def sent(self, no=None):
        """Who got something, or only the message of one step."""
        found = [m for m in self.sink.messages if no is None or f"Subject: step {no}\r\n".encode() in m.data]
        return sorted(message.rcpt for message in found)

    @property
    def state(self):
        return self.world.client(self.place, Role.VIEWER).get(f"/campaigns/{self.campaign_id}").get_json()["state"]

    @property
    def tenant_id(self):
        return self.place.tenant_id

    @property
    def id(self):
        return parse("cam", self.campaign_id)

    def session(self):
        return bound(self.world.engine, self.place)

    def rows(self, model, *where):
        with self.session() as session:
            found = session.scalars(sa.select(model).where(model.tenant_id == self.place.tenant_id, *where)).all()
            session.expunge_all()
            return found

    def exits(self, no):
        return dict(Counter(row.exit for row in self.rows(Passage, Passage.step_no == no)))

    def exit_of(self, address, no):
        with self.session() as session:
            return session.scalar(
                sa.select(Passage.exit)
                .join(Entry, sa.and_(Entry.tenant_id == Passage.tenant_id, Entry.entry_id == Passage.entry_id))
                .join(Contact, sa.and_(Contact.tenant_id == Entry.tenant_id, Contact.contact_id == Entry.contact_id))
                .where(Contact.email == address, Passage.step_no == no)
            )

    def waits(self):
        return self.rows(Wait)

    def run_of(self, no):
        (found,) = self.rows(Run, Run.step_no == no)
        return found

    def numbers(self, no):
        with self.session() as session:
            runs = [run.run_id for run in runs_of(session, self.id) if run.step_no == no]
            found = numbers(session, runs)
            assert {run: counted.planned for run, counted in found.items()} == planned(session, runs)
            return next(iter(found.values()))

    def set(self, address, **attributes):
        with self.session() as session:
            contact = session.scalars(sa.select(Contact).where(Contact.email == address)).one()
            contact.attributes = {**contact.attributes, **attributes}
            session.commit()

    def attributes(self, address):
        with self.session() as session:
            return session.scalars(sa.select(Contact).where(Contact.email == address)).one().attributes

    def entry_of(self, address):
        with self.session() as session:
            return session.scalars(
                sa.select(Entry.entry_id)
                .join(Contact, sa.and_(Contact.tenant_id == Entry.tenant_id, Contact.contact_id == Entry.contact_id))
                .where(Contact.email == address, Entry.campaign_id == self.id)
                .order_by(Entry.entry_id.desc())
            ).first()

    def reacts(self, address, kind, no=None, *, minutes, facts=None):
        """Write what intake writes: an opening, a click, or an event of the client's own."""
        with self.session() as session:
            contact_id = session.scalar(sa.select(Contact.contact_id).where(Contact.email == address))
            session.add(
                Event(
                    tenant_id=self.place.tenant_id,
                    occurred_at=self.at(minutes),
                    event_id=uuid7().bytes,
                    kind=kind,
                    contact_id=contact_id,
                    campaign_id=self.id if no else None,
                    entry_id=self.entry_of(address) if no else None,
                    step_no=no,
                    facts=facts or {},
                )
            )
            session.commit()
