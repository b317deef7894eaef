"""What a campaign's page says of its speed and its end: messages, not people, and no end while nothing leaves (S15)."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from saas.kernel.clock import FixedClock, SystemClock
from saas.notices.service.alerts import raise_alert
from saas.notices.types import AlertKind
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.sending.models import ChannelHealth
from saas.web import words
from tests import scenes
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration
NO_END = "About 3 messages an hour so far."
END = "About 3 messages an hour so far; done about"


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture(autouse=True)
def now(app, monkeypatch):
    """The moment at which the application's clock stands still, so that a minute ends neither before a page nor in it."""
    clock = FixedClock(SystemClock().now())
    monkeypatch.setattr(app.extensions["countersign"], "clock", clock)
    return clock.at


def hours(now, begin, end):
    """Quiet hours of a draft, so many hours from now."""
    first, last = ((now + timedelta(hours=number)).astimezone(ZoneInfo(scenes.ZONE)) for number in (begin, end))
    return {"use": "own", "from": f"{first:%H:%M}", "until": f"{last:%H:%M}"}


@pytest.fixture
def quiet():
    """Quiet hours of the campaign: none, unless a test says from and until in how many hours."""
    return


@pytest.fixture
def campaign_id(world, room, sink, quiet, now):
    """A campaign to 30 people of whom five are settled after an hour: three were sent to, two never agreed."""
    at = scenes.soon()
    list_id, _ = scenes.add_people(world, world.a, 30)
    channel = scenes.add_channel(world, world.a, sink.port, rate_per_minute=300)
    found = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel, at)
    if quiet is not None:
        draft["settings"] = {"quiet_hours": hours(now, *quiet)}
    scenes.save(world, world.a, found, draft)
    scenes.approve(world, world.a, found, scenes.submit(world, world.a, found))
    change(
        world, "DELETE FROM consent WHERE contact_id IN (SELECT contact_id FROM contact ORDER BY contact_id LIMIT 2)"
    )
    room.at(at).run(Queue.MAINTENANCE)
    room.run(Queue.BULK, pieces=1)
    assert len(sink.messages) == 3
    change(world, "UPDATE run SET started_at = :hour", hour=now - timedelta(hours=1))
    return found


def change(world, statement, **values):
    with bound(world.engine, world.a) as session:
        session.execute(sa.text(statement), values)
        session.commit()


def page(world, campaign_id):
    client = world.client(world.a, Role.VIEWER)
    return client.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}").get_data(as_text=True)


def test_s15_messages_are_counted_and_the_end_is_told(world, campaign_id):
    assert END in page(world, campaign_id)


@pytest.mark.parametrize("why", ["breaker", "seal", "no progress"])
def test_s15_no_end_is_told_while_nothing_leaves(world, campaign_id, why, now, monkeypatch):
    if why == "seal":
        monkeypatch.setattr("saas.web.campaigns.delivery.is_sealed", lambda _session: True)
    else:
        with bound(world.engine, world.a) as session:
            if why == "breaker":
                channel_id = session.scalar(sa.text("SELECT channel_id FROM run"))
                values = {"breaker": "open", "reason": "connect", "opened_at": now, "openings": 1, "updated_at": now}
                session.execute(sa.delete(ChannelHealth))
                session.add(ChannelHealth(tenant_id=world.a.tenant_id, channel_id=channel_id, **values))
            else:
                raise_alert(session, kind=AlertKind.NO_PROGRESS, subject=campaign_id, text="It stands still.", now=now)
            session.commit()
    found = page(world, campaign_id)
    assert NO_END in found
    assert END not in found


def test_s15_a_paused_campaign_tells_neither(world, campaign_id):
    manager = world.client(world.a, Role.MANAGER)
    manager.post(f"/campaigns/{campaign_id}/pause")
    assert "messages an hour so far" not in page(world, campaign_id)


@pytest.mark.parametrize("quiet", [(2, 4)])
def test_r14_the_end_that_is_told_counts_the_quiet_hours_before_it(world, campaign_id, now):
    """Five are settled after an hour, so the others take five; two more of which nothing leaves lie between."""
    told = words.when(now + timedelta(hours=7), scenes.ZONE, now=now)
    assert f"{END} {told}." in page(world, campaign_id)


def test_r14_a_campaign_in_quiet_hours_says_until_when(world, room, sink, now):
    at = scenes.soon()
    list_id, _ = scenes.add_people(world, world.a, 4)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, scenes.add_channel(world, world.a, sink.port), at)
    draft["settings"] = {"quiet_hours": hours(now, -1, 5)}
    scenes.save(world, world.a, campaign_id, draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(at).run(Queue.MAINTENANCE)
    assert room.run(Queue.BULK) == 1
    found = page(world, campaign_id)
    until = words.when(now + timedelta(hours=5), scenes.ZONE, now=now)
    assert f"Quiet hours until {until}, in 5 hours." in found
    assert "The next messages leave" not in found, "it is the same moment"
    assert sink.messages == []


def test_r14_a_campaign_on_call_says_what_becomes_of_calls(world, room, sink, now):
    campaign_id = scenes.make_campaign(world, world.a, kind="api")
    draft = scenes.api_draft(scenes.add_channel(world, world.a, sink.port)) | {"topic": "newsletter"}
    draft["steps"][0]["content"] = {"subject": "Hi", "html": scenes.HTML, "text": scenes.TEXT}
    draft["settings"] = {"quiet_hours": hours(now, -1, 5)}
    scenes.save(world, world.a, campaign_id, draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    _, (address,) = scenes.add_people(world, world.a, 1)
    room.at(now + timedelta(seconds=1)).run()
    body = {"recipients": [{"email": address, "context": {"reset_url": "https://id.northwind.example/r"}}]}
    assert world.key(world.a).post(f"/campaigns/{campaign_id}/trigger", body).status_code == 202
    found = page(world, campaign_id)
    assert "Quiet hours until" in found
    assert "Calls are accepted; their messages leave then." in found
