"""Quiet hours (R14): no marketing leaves in them, whatever is due; everything that waited leaves once, at their end."""

from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa

from saas.campaigns.rules.quiet import DAYS
from saas.kernel.clock import SystemClock
from saas.ledger.models import Chunk
from saas.notices.models import Alert
from saas.permissions.types import Role
from saas.platform.agenda.models import Agenda
from saas.platform.agenda.types import Queue
from saas.sending.service import watchdog
from saas.sending.types import SEND_BULK
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def hours(begin, end):
    """Quiet hours between two moments, by the clock of UTC."""
    assert begin.second == end.second == 0
    return {"use": "own", "from": f"{begin.astimezone(UTC):%H:%M}", "until": f"{end.astimezone(UTC):%H:%M}"}


def full_minute(moment):
    return moment.replace(second=0, microsecond=0)


class Scene:
    """A campaign of one workspace that is approved, and what stands behind it."""

    def __init__(self, world, room, sink):
        self.world, self.room, self.sink = world, room, sink
        self.at = full_minute(scenes.soon())
        self.campaign_id = self.addresses = None

    def dated(self, people, *, quiet, **settings):
        """Approve a campaign that starts at `at`; nothing was done yet."""
        list_id, self.addresses = scenes.add_people(self.world, self.world.a, people)
        channel_id = scenes.add_channel(self.world, self.world.a, self.sink.port)
        draft = scenes.dated_draft(list_id, channel_id, self.at)
        draft["time_zone"], draft["steps"][0]["at"] = "UTC", f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M}"
        return self._approved(scenes.make_campaign(self.world, self.world.a), draft, quiet, settings)

    def on_call(self, people, *, quiet, purpose="marketing", **settings):
        """Approve a campaign that starts on call, and let it begin now."""
        _, self.addresses = scenes.add_people(self.world, self.world.a, people)
        channel_id = scenes.add_channel(self.world, self.world.a, self.sink.port, purpose=purpose)
        draft = scenes.api_draft(channel_id) | {"time_zone": "UTC"}
        if purpose == "marketing":
            draft["topic"] = "newsletter"
            draft["steps"][0]["content"] |= {
                "html": scenes.HTML,
                "text": scenes.TEXT,
            }
        campaign_id = scenes.make_campaign(self.world, self.world.a, kind="api", purpose=purpose)
        self._approved(campaign_id, draft, quiet, settings)
        self.run_at(SystemClock().now() + timedelta(seconds=1))
        return self

    def call(self, *addresses):
        body = {
            "recipients": [{"email": a, "context": {"reset_url": "https://id.northwind.example/r"}} for a in addresses]
        }
        answer = self.world.key(self.world.a).post(f"/campaigns/{self.campaign_id}/trigger", body)
        assert answer.status_code == 202, answer.text
        return [result["status"] for result in answer.get_json()["results"]]

    def _approved(self, campaign_id, draft, quiet, settings):
        draft["settings"] = settings | ({"quiet_hours": quiet} if quiet else {})
        self.campaign_id = campaign_id
        scenes.save(self.world, self.world.a, campaign_id, draft)
        scenes.approve(self.world, self.world.a, campaign_id, scenes.submit(self.world, self.world.a, campaign_id))
        return self

    def control(self, move):
        answer = self.world.client(self.world.a, Role.MANAGER).post(f"/campaigns/{self.campaign_id}/{move}")
        assert answer.status_code in {200, 202}, answer.text

    @property
    def state(self):
        return self.world.client(self.world.a, Role.VIEWER).get(f"/campaigns/{self.campaign_id}").get_json()["state"]

    def run_at(self, moment):
        """Do all that is due then. Returns how many pieces of sending that was."""
        self.room.at(moment).run(Queue.MAINTENANCE)
        sent = self.room.run(Queue.BULK, Queue.TRANSACTIONAL)
        self.room.run(Queue.MAINTENANCE)
        return sent

    def sent(self):
        return sorted(message.rcpt for message in self.sink.messages)

    def due_at(self):
        """When the run's row of the agenda is due."""
        with bound(self.world.engine, self.world.a) as session:
            return session.scalars(sa.select(Agenda.due_at).where(Agenda.kind == SEND_BULK.name)).one_or_none()

    def waiting(self):
        with bound(self.world.engine, self.world.a) as session:
            rows = session.scalars(
                sa.select(Chunk).where(Chunk.state == "pending").order_by(Chunk.not_before, Chunk.no)
            )
            return [(chunk.not_before, len(chunk.entry_ids)) for chunk in rows]


@pytest.fixture
def scene(world, room, sink):
    return Scene(world, room, sink)


def test_r14_a_start_in_quiet_hours_waits_for_their_end_and_looks_only_then(scene, counts):
    end = scene.at + 9 * HOUR
    scene.dated(12, quiet=hours(scene.at - HOUR, end))
    assert scene.run_at(scene.at) == 1, "one look"
    assert (scene.sent(), scene.waiting(), scene.due_at()) == ([], [(end, 12)], end)
    assert scene.run_at(end - timedelta(milliseconds=1)) == 0, "nothing is due before"
    assert (scene.state, counts(scene.world.a, scene.campaign_id).open) == ("active", 12)
    scene.run_at(end)
    assert scene.sent() == sorted(scene.addresses)
    assert scene.state == "completed"


def test_r14_the_sender_keeps_quiet_whatever_is_due(scene):
    """Chunks that were due before and were not taken in time, as after an hour without a mail server."""
    end = scene.at + 9 * HOUR
    scene.dated(12, quiet=hours(scene.at + HOUR, end))
    scene.room.at(scene.at).run(Queue.MAINTENANCE)
    assert scene.waiting() == [(scene.at, 12)]
    assert scene.run_at(scene.at + HOUR) == 1
    assert (scene.sent(), scene.due_at()) == ([], end)
    for late in (HOUR, 2 * HOUR, 8 * HOUR - MINUTE):
        assert scene.run_at(scene.at + HOUR + late) == 0
    scene.run_at(end)
    assert scene.sent() == sorted(scene.addresses)


def test_s15_the_speed_is_kept_across_a_night(scene):
    """One a minute: three until the night, three from its end on, nobody behind whom others have piled up."""
    night, end = scene.at + 3 * MINUTE, scene.at + 63 * MINUTE
    scene.dated(6, quiet=hours(night, end), speed_per_hour=60)
    scene.room.at(scene.at).run(Queue.MAINTENANCE)
    starts = [scene.at, scene.at + MINUTE, scene.at + 2 * MINUTE, end, end + MINUTE, end + 2 * MINUTE]
    assert scene.waiting() == [(start, 1) for start in starts]
    for number, start in enumerate(starts, 1):
        scene.run_at(start)
        assert len(scene.sent()) == number
    assert (scene.sent(), scene.state) == (sorted(scene.addresses), "completed")


def test_s15_a_wave_that_is_due_in_quiet_hours_begins_at_their_end(scene):
    end = scene.at + 9 * HOUR
    waves = [{"percent": 50, "after_minutes": 0}, {"percent": 50, "after_minutes": 120}]
    scene.dated(10, quiet=hours(scene.at + HOUR, end), waves=waves)
    scene.room.at(scene.at).run(Queue.MAINTENANCE)
    assert scene.waiting() == [(scene.at, 5), (end, 5)]


def test_r14_second_tries_wait_for_the_end(scene):
    end = scene.at + 9 * HOUR
    scene.dated(3, quiet=hours(scene.at + MINUTE, end))
    scene.sink.script[scene.addresses[0]] = "450 4.2.0 greylisted"
    scene.run_at(scene.at)
    scene.sink.script.clear()
    ((again, people),) = scene.waiting()
    assert (len(scene.sent()), people) == (2, 1)
    late = max(again, scene.at + MINUTE)
    assert scene.run_at(late) == 1
    assert (len(scene.sent()), scene.due_at()) == (2, end)
    scene.run_at(end)
    assert scene.sent() == sorted(scene.addresses)


def test_r14_what_is_in_hand_when_it_begins_is_put_back(scene, counts):
    """A slow mail server must not carry a chunk into the night: after the message that is under way nothing follows."""
    night, end = scene.at + MINUTE, scene.at + 9 * HOUR
    scene.dated(40, quiet=hours(night, end))
    scene.sink.after = lambda: scene.room.at(night)
    scene.run_at(scene.at)
    scene.sink.after = None
    early = len(scene.sent())
    assert 1 <= early < 40
    found = counts(scene.world.a, scene.campaign_id)
    assert (found.accepted, found.open, found.planned) == (early, 40 - early, 40)
    assert scene.due_at() == end
    scene.run_at(end)
    assert (scene.sent(), scene.state) == (sorted(scene.addresses), "completed")


def test_a_campaign_that_is_through_ends_in_quiet_hours_too(scene):
    night = scene.at + MINUTE
    scene.dated(1, quiet=hours(night, scene.at + 9 * HOUR))
    scene.sink.after = lambda: scene.room.at(night)
    scene.run_at(scene.at)
    assert (scene.sent(), scene.state, scene.due_at()) == (scene.addresses, "completed", None)


def test_r12_stopped_and_paused_in_quiet_hours(scene, counts):
    end = scene.at + 9 * HOUR
    scene.dated(5, quiet=hours(scene.at - HOUR, end))
    scene.run_at(scene.at)
    scene.control("pause")
    scene.control("resume")
    assert scene.run_at(scene.at + HOUR) == 1
    assert (scene.sent(), scene.due_at()) == ([], end)
    scene.control("stop")
    scene.run_at(scene.at + HOUR)
    assert (scene.state, counts(scene.world.a, scene.campaign_id).cancelled) == ("stopped", 5)
    scene.run_at(end)
    assert scene.sent() == []


def test_r14_calls_in_quiet_hours_are_accepted_and_wait_without_waking_anybody(scene, counts):
    now = full_minute(SystemClock().now())
    end = now + 5 * HOUR
    scene.on_call(4, quiet=hours(now - HOUR, end))
    for one in scene.addresses[:3]:
        assert scene.call(one) == ["accepted"]
    assert scene.call(scene.addresses[0]) == ["duplicate"]
    assert (scene.waiting(), scene.due_at()) == ([(end, 1)] * 3, end)
    assert scene.run_at(SystemClock().now() + MINUTE) == 0
    assert (scene.sent(), counts(scene.world.a, scene.campaign_id).open) == ([], 3)
    scene.run_at(end)
    assert scene.sent() == sorted(scene.addresses[:3])
    assert scene.call(scene.addresses[3]) == ["accepted"], "it goes on"


def test_r14_a_call_before_the_night_that_is_not_sent_in_time_waits_too(scene):
    now = full_minute(SystemClock().now())
    night, end = now + 2 * HOUR, now + 9 * HOUR
    scene.on_call(1, quiet=hours(night, end))
    scene.call(scene.addresses[0])
    assert scene.run_at(night) == 1
    assert (scene.sent(), scene.due_at()) == ([], end)
    scene.run_at(end)
    assert scene.sent() == scene.addresses


def test_r14_transactional_messages_never_wait(scene):
    world, now = scene.world, full_minute(SystemClock().now())
    quiet = hours(now - HOUR, now + 5 * HOUR)
    admin, where = world.client(world.a, Role.ADMIN), f"/projects/{world.a.prj}"
    body = {"quiet_from": quiet["from"], "quiet_until": quiet["until"], "time_zone": "UTC"}
    assert admin.patch(where, body, etag=admin.get(where).headers["ETag"]).status_code == 200
    scene.on_call(2, quiet=None, purpose="transactional")
    scene.call(*scene.addresses)
    scene.run_at(SystemClock().now() + timedelta(seconds=1))
    assert scene.sent() == sorted(scene.addresses)


def test_standing_still_in_quiet_hours_is_no_alert_and_after_them_it_is(scene):
    """Somebody is due since before the night: that nobody is sent to is meant, and for two minutes after it too."""
    end = scene.at + 9 * HOUR
    scene.dated(5, quiet=hours(scene.at + MINUTE, end))
    scene.room.at(scene.at).run(Queue.MAINTENANCE)

    def alerts(moment):
        with bound(scene.world.engine, scene.world.a) as session:
            watchdog.check(session, now=moment)
            session.commit()
            return list(session.scalars(sa.select(Alert.kind).where(Alert.cleared_at.is_(None))))

    assert alerts(scene.at + HOUR) == []
    assert alerts(end + timedelta(seconds=119)) == []
    assert alerts(end + timedelta(seconds=121)) == ["no_progress"]


def why_skipped(scene):
    with bound(scene.world.engine, scene.world.a) as session:
        return sorted(session.scalars(sa.text("SELECT reason FROM delivery WHERE exc = 'skipped'")))


def test_r14_what_would_leave_in_quiet_hours_is_discarded_where_that_is_chosen(scene):
    """By the speed twenty leave before the night and the others would in it: those get nothing, also not later."""
    night = scene.at + 2 * HOUR
    scene.dated(30, quiet=hours(night, night + 9 * HOUR), speed_per_hour=10, in_silence="discard")
    for minutes in range(0, 240, 5):
        scene.run_at(scene.at + minutes * MINUTE)
    assert (len(scene.sent()), why_skipped(scene)) == (20, ["quiet_hours"] * 10)
    scene.run_at(night + 10 * HOUR)
    assert (len(scene.sent()), scene.state) == (20, "completed")


def test_r14_calls_in_quiet_hours_are_accepted_and_get_nothing_where_that_is_chosen(scene):
    now = full_minute(SystemClock().now())
    scene.on_call(2, quiet=hours(now - HOUR, now + 3 * HOUR), in_silence="discard")
    assert scene.call(*scene.addresses) == ["accepted", "accepted"]
    scene.run_at(SystemClock().now() + timedelta(seconds=1))
    assert (scene.sent(), why_skipped(scene)) == ([], ["quiet_hours"] * 2)


def test_r14_messages_wait_for_the_send_window(scene):
    """A day later at the earliest, because that is the only day of the week on which messages leave."""
    tomorrow = scene.at.astimezone(UTC) + timedelta(days=1)
    window = {"days": [DAYS[tomorrow.weekday()]], "from": "00:00", "until": "00:00"}
    opens = tomorrow.replace(hour=0, minute=0)
    scene.dated(3, quiet={"use": "none"}, send_window=window)
    scene.run_at(scene.at)
    assert (scene.sent(), scene.waiting()) == ([], [(opens, 3)])
    scene.run_at(opens - timedelta(seconds=1))
    assert scene.sent() == []
    scene.run_at(opens)
    assert (len(scene.sent()), scene.state) == (3, "completed")
