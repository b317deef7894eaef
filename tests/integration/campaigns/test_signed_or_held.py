"""U1: whatever the database's owner changes of what was signed, between approval and send: nothing leaves, it is held.

Random campaigns, dated and on call, under random policies; one random part changed before the start or before the claim.
"""

from datetime import timedelta
from hashlib import sha256

import pytest
import sqlalchemy as sa

from saas.campaigns.queries import newest_revisions
from saas.campaigns.service import approval, draft, submission
from saas.campaigns.service import policies as policy_service
from saas.campaigns.types import CampaignKind
from saas.channels.types import Purpose
from saas.content.current import renderer
from saas.journeys.service.trigger import trigger
from saas.journeys.types import Recipient, Way
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show, uuid7
from saas.notices.models import Alert
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.sending.service.watchdog import check
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.tally import size
from tests.worlds import bound

pytestmark = pytest.mark.integration

REQUEST = "UPDATE approval_request SET {} WHERE campaign_id = :c"
CHANNEL = "UPDATE channel_configuration SET {} WHERE channel_id = :channel"
# What the owner does, and the part that is named. `byte` is a place in the document.
TAMPERINGS = (
    ("UPDATE revision SET document = set_byte(document, :byte, (get_byte(document, :byte) + 1) % 256) WHERE campaign_id = :c", "document"),
    ("UPDATE revision SET document = document || '\\x20'::bytea WHERE campaign_id = :c", "document"),
    ("UPDATE revision SET content_hash = 'v1:' || repeat('0', 64) WHERE campaign_id = :c", "document"),
    ("UPDATE approval SET content_hash = 'v1:' || repeat('0', 64) WHERE campaign_id = :c", "approval"),
    ("UPDATE approval SET decision = 'confirm' WHERE campaign_id = :c", "approval"),
    ("DELETE FROM approval WHERE approval_id = (SELECT approval_id FROM approval WHERE campaign_id = :c LIMIT 1)", "approval"),
    (REQUEST.format("content_hash = 'v1:' || repeat('0', 64)"), "approval"),
    (REQUEST.format("state = 'void'"), "approval"),
    (REQUEST.format("counted = '{}'"), "approval"),
    ("DELETE FROM approval_request WHERE campaign_id = :c", "approval"),
    ("UPDATE approval SET account_id = CAST(:stranger AS uuid) WHERE campaign_id = :c", "signer"),
    (CHANNEL.format("from_name = from_name || '!'"), "channel"),
    (CHANNEL.format("from_address = 'x' || from_address"), "channel"),
    (CHANNEL.format("reply_to = 'reply@news.northwind.example'"), "channel"),
    (CHANNEL.format("return_path = 'bounce@news.northwind.example'"), "channel"),
    (CHANNEL.format("host = 'localhost'"), "channel"),
    (CHANNEL.format("purpose = CASE purpose WHEN 'marketing' THEN 'transactional' ELSE 'marketing' END"), "channel"),
    (CHANNEL.format("archived_at = now()"), "channel"),
)  # fmt: skip


class Dice:
    """The same numbers in every run."""

    def __init__(self) -> None:
        self.thrown = 0

    def below(self, end: int) -> int:
        self.thrown += 1
        return int.from_bytes(sha256(f"20261122/{self.thrown}".encode()).digest()[:8]) % end

    def chance(self, percent: int) -> bool:
        return self.below(100) < percent


class Bench:
    """Makes campaigns quickly: straight through the services, by the people of world.a."""

    def __init__(self, world, room, sink, dice: "Dice") -> None:
        self.world, self.room, self.sink, self.dice = world, room, sink, dice
        self.place = world.a
        self.list_id, self.addresses = scenes.add_people(world, world.a, 3)
        self.manager, self.approver, self.admin = (
            world.a.actor(role) for role in (Role.MANAGER, Role.APPROVER, Role.ADMIN)
        )

    def make(self) -> tuple[str, str, bool]:
        """A random campaign, approved; its id, its channel's, and whether it has a date."""
        dated = self.dice.chance(70)
        purpose = Purpose.MARKETING if dated or self.dice.chance(50) else Purpose.TRANSACTIONAL
        channel = scenes.add_channel(
            self.world, self.place, self.sink.port, purpose=purpose.value, name=f"Mail {uuid7().hex}"
        )
        at = self.room.clock.now() + timedelta(hours=1)
        wanted = scenes.dated_draft(self.list_id, channel, at) if dated else scenes.api_draft(channel)
        self._vary(wanted, dated=dated, marketing=purpose is Purpose.MARKETING)
        with bound(self.world.engine, self.place) as session:
            now = self.room.clock.now()
            row = draft.create(
                session, actor=self.manager, project_id=self.place.project_id, name="Random", description="",
                kind=CampaignKind.DATED if dated else CampaignKind.API, purpose=purpose,
                tags=["two"] if self.dice.chance(50) else [], now=now,
            )  # fmt: skip
            about = {"campaign_id": row.campaign_id, "no": 1}
            draft.save(session, actor=self.manager, version=1, draft=wanted, now=now, **about)
            sent = submission.submit(session, actor=self.manager, version=None, renderer=renderer(), now=now, **about)
            for signer in (self.approver, self.admin):
                if newest_revisions(session, [row.campaign_id])[row.campaign_id].state == "in_review":
                    approval.approve(
                        session, actor=signer, seen_hash=sent.content_hash or "", comment="", lead_s=300, now=now,
                        **about,
                    )  # fmt: skip
            assert sent.state == "published"
            session.commit()
            return show("cam", row.campaign_id), channel, dated

    def _vary(self, wanted, *, dated: bool, marketing: bool) -> None:
        content = wanted["steps"][0]["content"]
        words = "".join("abc øß€ "[self.dice.below(8)] for _ in range(self.dice.below(40)))
        content["subject"] = f"Hi {words}"
        content["preheader"] = words[::-1]
        if marketing and not dated:
            wanted["topic"] = "newsletter"
            content |= {"html": scenes.HTML, "text": scenes.TEXT}
            wanted["payload"] = {"fields": []}
        if dated and self.dice.chance(30):
            wanted["settings"] = {"speed_per_hour": 1000 + self.dice.below(8000)}
        if dated and self.dice.chance(30):
            wanted["settings"] = {"waves": [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 9}]}

    def begin(self, campaign_id: str, *, dated: bool) -> None:
        """The campaign begins; its people are due, and nobody has claimed them yet."""
        self.room.run(Queue.MAINTENANCE)
        if not dated:
            recipient = Recipient(0, Way.EMAIL, self.addresses[0], uuid7().hex, self._context(campaign_id))
            with bound(self.world.engine, self.place) as session:
                trigger(
                    session, actor=self.admin, campaign_id=parse("cam", campaign_id), call_id=uuid7().hex,
                    recipients=[recipient], now=self.room.clock.now(),
                )  # fmt: skip
                session.commit()

    def _context(self, campaign_id: str):
        with bound(self.world.engine, self.place) as session:
            found = newest_revisions(session, [parse("cam", campaign_id)])[parse("cam", campaign_id)]
        fields = found.draft["payload"]["fields"]
        return {field["key"]: "https://shop.northwind.example/x" for field in fields}

    def tamper(self, owner_engine, statement: str, campaign_id: str, channel: str) -> None:
        with owner_engine.begin() as connection:
            connection.exec_driver_sql(f"SET LOCAL app.tenant_id = '{self.place.tenant_id}'")
            done = connection.execute(sa.text(statement), {
                name: value for name, value in {
                    "c": parse("cam", campaign_id), "channel": parse("chn", channel), "byte": self.dice.below(200),
                    "stranger": str(uuid7()),
                }.items() if f":{name}" in statement
            })  # fmt: skip
            assert done.rowcount > 0, statement

    def look(self, campaign_id: str) -> tuple[str, str | None, str]:
        """State, held part and the open alert's text."""
        with bound(self.world.engine, self.place) as session:
            check(session, now=self.room.clock.now())
            session.commit()
            row = session.execute(
                sa.text("SELECT state, held_part, held_reason FROM campaign WHERE campaign_id = :c"),
                {"c": parse("cam", campaign_id)},
            ).one()
            alert = session.scalars(
                sa.select(Alert).where(Alert.subject == campaign_id, Alert.kind == "held", Alert.cleared_at.is_(None))
            ).one_or_none()
        assert alert is None or row.held_reason in alert.text
        return row.state, row.held_part, alert.facts["part"] if alert else ""


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def bench(app, world, room, sink):
    with bound(world.engine, world.a) as session:
        rule = {
            "name": "two", "when": {"tags": ["two"]},
            "then": {
                "stages": [{"needed": 1, "role": "approver"}, {"needed": 1, "role": "admin"}], "order": "sequence",
                "copies": [], "deadline": None, "publisher": "approval", "drift": {"percent": 20, "people": 100},
                "reminders": {"before_min": 120, "after_min": 60},
            },
        }  # fmt: skip
        policy_service.save(
            session, actor=world.a.actor(Role.ADMIN), project_id=None, rules=[rule], version=0, now=SystemClock().now()
        )
        session.commit()
    with app.app_context():
        yield Bench(world, room, sink, Dice())


def test_u1_whatever_is_changed_nothing_leaves_and_it_is_held(bench, room, sink, owner_engine):
    """Every tampering in turn, at both moments, over random campaigns."""
    count = size("changed_campaigns")
    for number in range(count):
        statement, part = TAMPERINGS[number % len(TAMPERINGS)]
        campaign_id, channel, dated = bench.make()
        before_start = bench.dice.chance(50)
        if before_start:
            bench.tamper(owner_engine, statement, campaign_id, channel)
            if dated:
                room.later(3600)
            room.run()
        else:
            if dated:
                room.later(3600)
            bench.begin(campaign_id, dated=dated)
            bench.tamper(owner_engine, statement, campaign_id, channel)
            room.run()
        room.later(60).run()
        case = (number, statement, dated, before_start)
        assert sink.messages == [], case
        assert bench.look(campaign_id) == ("held", part, part), case


def test_u1_untouched_campaigns_leave(bench, room, sink):
    """The same bench without an owner at work: everything is sent, so that silence above means something."""
    for _ in range(6):
        campaign_id, _, dated = bench.make()
        sink.messages.clear()
        room.later(3600)
        bench.begin(campaign_id, dated=dated)
        room.run()
        room.later(3600).run()
        room.later(5).run()
        assert len(sink.messages) == (3 if dated else 1)
        assert bench.look(campaign_id)[0] == ("completed" if dated else "active")
