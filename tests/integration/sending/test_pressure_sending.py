"""A real sender before a real server that is slow, down, full or unwilling (reliability.md 2; faults 25 and 26)."""

from collections import Counter
from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show
from saas.notices.models import Alert
from saas.notices.types import AlertKind
from saas.permissions.types import Role
from saas.sending.queries import health, quota
from saas.sending.rules.pressure import BreakerReason
from saas.sending.service import watchdog
from saas.sending.service.pressure import try_now
from saas.sending.types import BreakerState, Quota
from tests import scenes
from tests.smtp_sink import At, Do, SmtpSink, Then
from tests.worlds import bound

pytestmark = pytest.mark.integration


def start(world, room, sink, people, **channel):
    """An approved campaign at its moment. Returns campaign, addresses and channel."""
    at = scenes.soon()
    list_id, addresses = scenes.add_people(world, world.a, people)
    channel_id = scenes.add_channel(world, world.a, sink.port, **channel)
    campaign_id = scenes.make_campaign(world, world.a)
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel_id, at))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(at)
    return campaign_id, addresses, parse("chn", channel_id)


def condition(world, room, channel_id):
    with bound(world.engine, world.a) as session:
        return health(session, [channel_id], now=room.clock.at)[channel_id]


def limit(world, **columns):
    with bound(world.engine, world.a) as session:
        for name, value in columns.items():
            session.execute(sa.text(f"UPDATE workspace SET {name} = :value"), {"value": value})
        session.commit()


def suppressed(world):
    with bound(world.engine, world.a) as session:
        return session.execute(sa.text("SELECT count(*) FROM suppression")).scalar()


@pytest.mark.parametrize("whose", ["channel", "workspace"])
def test_no_second_sees_more_than_the_rate(world, room, sink, counts, whose):
    """I11, as the server sees it: 20 a second; nobody sleeps for it, the run comes again."""
    campaign_id, _, _ = start(world, room, sink, 130, **({"rate_per_minute": 1200} if whose == "channel" else {}))
    if whose == "workspace":
        limit(world, rate_per_minute=1200)
    for look in range(20):
        room.run()
        assert len(sink.messages) <= 20 + 20 * look * 0.51
        room.later(0.51)
    assert counts(world.a, campaign_id).accepted == 130


def test_a_server_that_is_away_opens_the_breaker_and_is_found_again_by_one(world, room, sink, counts):
    campaign_id, addresses, channel_id = start(world, room, sink, 12, rate_per_minute=24)  # six chunks
    port = sink.port
    sink.__exit__(None, None, None)
    for _ in range(6):
        room.run()
        room.later(5)
    found = condition(world, room, channel_id)
    assert (found.breaker, found.reason) == (BreakerState.OPEN, BreakerReason.CONNECT)
    assert counts(world.a, campaign_id).open == 12
    with SmtpSink(port=port) as again:
        room.later(60).run()
        assert len(again.messages) == 1, "one is tried"
        assert condition(world, room, channel_id).breaker is BreakerState.CLOSED
        for _ in range(30):
            room.later(5).run()
        assert sorted(m.rcpt for m in again.messages) == sorted(addresses)
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.failed, found.uncertain) == (12, 12, 0, 0)


def test_a_server_that_never_says_what_it_did_keeps_the_rest_waiting(world, room, sink, counts):
    """Each message that it takes without a word is somebody who may never get it: a handful shows enough."""
    campaign_id, addresses, channel_id = start(world, room, sink, 60)
    for address in addresses:
        sink.script[address] = Do(At.DOT, then=Then.CLOSE)
    for _ in range(3):
        room.run()
        room.later(5)
    found = condition(world, room, channel_id)
    assert (found.breaker, found.reason) == (BreakerState.OPEN, BreakerReason.NO_ANSWER)
    first = counts(world.a, campaign_id)
    assert first.uncertain <= 9
    assert first.open == 60 - first.uncertain
    with bound(world.engine, world.a) as session:
        assert session.scalar(sa.text("SELECT kind FROM alert WHERE cleared_at IS NULL")) == "channel_down"
    sink.script.clear()
    for _ in range(20):
        room.later(30).run()
    after = counts(world.a, campaign_id)
    assert (after.accepted, after.uncertain, after.open) == (60 - first.uncertain, first.uncertain, 0)


def test_refused_sign_in_opens_the_breaker_and_costs_nobody_a_try(world, room, sink, counts):
    """Fault 26, 53x for all: nobody fails, nobody is suppressed, and not everybody is tried."""
    campaign_id, _, channel_id = start(world, room, sink, 40)
    sink.login = ("club", "secret")  # the channel has none: 530 to everything
    for _ in range(4):
        room.run()
        room.later(31)
    assert sink.messages == []
    assert suppressed(world) == 0
    assert counts(world.a, campaign_id).open == 40
    found = condition(world, room, channel_id)
    assert (found.breaker, found.reason) == (BreakerState.OPEN, BreakerReason.SIGN_IN)
    assert len([line for line in sink.commands if line.startswith("MAIL")]) <= 43, "from then on one at a time"


def test_a_policy_against_all_opens_the_breaker_and_suppresses_nobody(world, room, sink, counts):
    """Fault 26, 5.7.1 for all; a person then has it tried at once."""
    campaign_id, addresses, channel_id = start(world, room, sink, 40)
    sink.script.update(dict.fromkeys(addresses, "550 5.7.1 not from you"))
    room.run()
    found = condition(world, room, channel_id)
    assert (found.breaker, found.reason) == (BreakerState.OPEN, BreakerReason.REFUSALS)
    assert (counts(world.a, campaign_id).open, suppressed(world)) == (40, 0)
    sink.script.clear()
    room.later(29).run()
    assert sink.messages == []
    room.later(2)
    with bound(world.engine, world.a) as session:
        assert try_now(session, actor=world.a.actor(Role.ADMIN), channel_id=channel_id, now=room.clock.at)
        session.commit()
    for _ in range(4):
        room.run()
        room.later(1)
    assert Counter(m.rcpt for m in sink.messages) == Counter(addresses)
    assert counts(world.a, campaign_id).accepted == 40


def test_a_few_dead_addresses_in_a_large_chunk_are_no_trouble_of_the_channel(world, room, sink, counts):
    """5 % of the addresses do not exist, at the start of the chunk or spread: the channel goes on."""
    campaign_id, addresses, channel_id = start(world, room, sink, 400)
    sink.script.update(dict.fromkeys(addresses[::20], "550 5.1.1 no such user"))
    room.run()
    room.later(2).run()
    assert condition(world, room, channel_id).breaker is BreakerState.CLOSED
    found = counts(world.a, campaign_id)
    assert (found.accepted, found.failed) == (380, 20)


def test_a_server_that_wants_less_gets_less_and_everybody_is_served(world, room, sink, counts):
    campaign_id, addresses, channel_id = start(world, room, sink, 60, rate_per_minute=6000)
    first, then = Do(At.DOT, "451 4.7.1 slow down"), Do(At.DOT, "250 2.0.0 kept")
    sink.script.update({address: [first, then] for address in addresses[20:40]})
    room.run()
    assert condition(world, room, channel_id).present_rate < 6000
    assert condition(world, room, channel_id).breaker is BreakerState.CLOSED
    for _ in range(20):
        room.later(60).run()
    assert counts(world.a, campaign_id).accepted == 60
    assert condition(world, room, channel_id).present_rate == 6000


def test_a_quota_ends_where_it_was_set_and_says_so(world, room, sink, counts):
    campaign_id, _, _ = start(world, room, sink, 12)
    limit(world, messages_per_month=5)
    room.run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.skipped) == (12, 5, 7)
    assert found.why["skipped"] == {"quota": 7}
    assert len(sink.messages) == 5
    assert quota_alerts(world, room.clock.at) == [None]
    (alert,) = quota_alerts(world, room.clock.at, whole=True)
    assert alert.subject == world.a.wsp
    assert alert.text == "5 of 5 messages of this month are used. Whoever else is due this month is skipped."
    month = (room.clock.at.replace(day=1) + timedelta(days=40)).replace(day=1)
    assert quota_alerts(world, month) == [month], "another month, another quota"


def quota_alerts(world, now, *, whole=False):
    """The watchdog looks. Returns when the alerts about quotas were cleared, or the alerts themselves."""
    with bound(world.engine, world.a) as session:
        watchdog.check(session, now=now)
        session.commit()
        rows = session.scalars(sa.select(Alert).where(Alert.kind == AlertKind.QUOTA_USED)).all()
        return rows if whole else [row.cleared_at for row in rows]


def test_what_is_left_of_a_quota_is_told_and_warned_of(world, room, sink):
    """S15: over the API beside the channel, and in the review before anybody signs."""
    _, _, channel_id = start(world, room, sink, 5)
    health_at = f"/channels/{show('chn', channel_id)}/health"
    viewer = world.client(world.a, Role.VIEWER)
    assert viewer.get(health_at).get_json()["quota"] is None
    limit(world, messages_per_month=8)
    room.run()
    with bound(world.engine, world.a) as session:
        assert quota(session, now=room.clock.at) == Quota(messages=8, used=5)
        month = SystemClock().now().astimezone(UTC).date().replace(day=1)
        session.execute(sa.text("UPDATE quota_use SET month = :month"), {"month": month})
        session.commit()
    assert viewer.get(health_at).get_json()["quota"] == {"used": 5, "messages_per_month": 8}
    for people, warned in ((4, True), (3, False)):
        list_id, _ = scenes.add_people(world, world.a, people, tag=f"more{people}")
        campaign_id = scenes.make_campaign(world, world.a)
        draft = scenes.dated_draft(list_id, show("chn", channel_id), scenes.soon(30))
        scenes.save(world, world.a, campaign_id, draft)
        scenes.submit(world, world.a, campaign_id)
        approver = world.client(world.a, Role.APPROVER)
        page = approver.http.get(f"/w/{world.a.wsp}/campaigns/{campaign_id}/review").get_data(as_text=True)
        assert ("3 of 8 messages of this month are left, and 4 people could be sent to now." in page) is warned
