"""Send speed and waves (S15): frozen into chunks with their moments; cut smaller where a channel allows less."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.ledger.models import Chunk, Entry
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from saas.sending.service.chunks import split_chunk
from saas.sending.service.pressure import shrink_next
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


def start(world, room, sink, people, *, channel=None, **settings):
    """An approved campaign that has just begun: its people are in chunks, nobody was sent to."""
    at = scenes.soon()
    list_id, addresses = scenes.add_people(world, world.a, people)
    channel_id = scenes.add_channel(world, world.a, sink.port, **(channel or {}))
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel_id, at)
    draft["settings"] = settings
    scenes.save(world, world.a, campaign_id, draft)
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(at).run(Queue.MAINTENANCE)
    return campaign_id, addresses, at


def chunks(world, *, state="pending"):
    with bound(world.engine, world.a) as session:
        return session.scalars(
            sa.select(Chunk)
            .where(Chunk.tenant_id == world.a.tenant_id, Chunk.state == state)
            .order_by(Chunk.not_before, Chunk.no)
        ).all()


def in_order(world):
    """Everybody's entry, in order of contact id."""
    with bound(world.engine, world.a) as session:
        return list(session.scalars(sa.select(Entry.entry_id).order_by(Entry.contact_id, Entry.entry_id)))


def frozen(world, at):
    return [((chunk.not_before - at).total_seconds(), len(chunk.entry_ids)) for chunk in chunks(world)]


WAVES = [
    {"percent": 10, "after_minutes": 0},
    {"percent": 30, "after_minutes": 60},
    {"percent": 60, "after_minutes": 90},
]


@pytest.mark.parametrize(("people", "channel", "settings", "found"), [
    (7, {}, {}, [(0, 7)]),
    (7, {}, {"speed_per_hour": 1800}, [(0, 2), (4, 2), (8, 2), (12, 1)]),
    (7, {"rate_per_minute": 36}, {}, [(0, 3), (0, 3), (0, 1)]),
    (25, {}, {"waves": WAVES}, [(0, 3), (3600, 7), (5400, 15)]),
    (6, {}, {"waves": WAVES, "speed_per_hour": 3}, [(0, 1), (3600, 1), (4800, 1), (6000, 1), (7200, 1), (8400, 1)]),
])  # fmt: skip
def test_s15_people_are_frozen_by_waves_and_speed(world, room, sink, people, channel, settings, found):
    _, _, at = start(world, room, sink, people, channel=channel, **settings)
    assert frozen(world, at) == found
    assert [entry for chunk in chunks(world) for entry in chunk.entry_ids] == in_order(world)


def test_each_wave_leaves_when_it_is_due(world, room, sink, counts):
    campaign_id, addresses, at = start(world, room, sink, 20, waves=WAVES)
    for seconds, sent in ((0, 2), (3599, 2), (3600, 8), (5400, 20)):
        room.at(at + timedelta(seconds=seconds)).run()
        assert len(sink.messages) == sent
        found = counts(world.a, campaign_id)
        assert (found.planned, found.accepted, found.open) == (20, sent, 20 - sent)
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)


def test_r12_stop_cancels_waves_that_are_not_due(world, room, sink, counts):
    campaign_id, _, _ = start(world, room, sink, 20, waves=WAVES)
    room.run()
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/stop")
    room.later(1).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.cancelled, found.open) == (20, 2, 18, 0)
    room.later(9000).run()
    assert len(sink.messages) == 2


def test_r9_a_pause_keeps_the_moments_and_what_is_overdue_goes_at_once(world, room, sink):
    campaign_id, _, at = start(world, room, sink, 20, waves=WAVES)
    room.run()
    before = frozen(world, at)
    manager = world.client(world.a, Role.MANAGER)
    manager.post(f"/campaigns/{campaign_id}/pause")
    room.at(at + timedelta(seconds=4000)).run()
    assert (len(sink.messages), frozen(world, at)) == (2, before)
    manager.post(f"/campaigns/{campaign_id}/resume")
    room.run()
    assert len(sink.messages) == 8
    room.at(at + timedelta(seconds=5400)).run()
    assert len(sink.messages) == 20


def test_a_chunk_is_cut_in_two_and_everybody_stays_in_one(world, room, sink, counts):
    campaign_id, _, at = start(world, room, sink, 9)
    (whole,) = chunks(world)
    with bound(world.engine, world.a) as session:
        session.execute(sa.update(Chunk).where(Chunk.tenant_id == world.a.tenant_id).values(deaths=2, retry=True))
        assert split_chunk(session, run_id=whole.run_id, no=whole.no, size=9) is None
        rest = split_chunk(session, run_id=whole.run_id, no=whole.no, size=4)
        assert split_chunk(session, run_id=whole.run_id, no=whole.no, size=4) is None
        session.commit()
    first, second = chunks(world)
    assert (first.no, second.no) == (whole.no, rest)
    assert (first.entry_ids, second.entry_ids) == (whole.entry_ids[:4], whole.entry_ids[4:])
    assert {(each.not_before, each.deaths, each.retry) for each in (first, second)} == {(at, 2, True)}
    found = counts(world.a, campaign_id)
    assert (found.planned, found.open) == (9, 9)


def test_only_a_pending_chunk_of_a_campaign_that_may_send_is_cut(world, room, sink):
    campaign_id, _, at = start(world, room, sink, 9, waves=WAVES)
    run_id = chunks(world)[0].run_id

    def shrink(seconds):
        with bound(world.engine, world.a) as session:
            shrink_next(session, run_id=run_id, most=1, now=at + timedelta(seconds=seconds))
            session.commit()
        return [size for _, size in frozen(world, at)]

    assert shrink(3600) == [1, 3, 5], "the next due one has one person"
    room.run()
    assert shrink(3599) == [3, 5], "nothing is due"
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/pause")
    assert shrink(3600) == [3, 5]
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{campaign_id}/resume")
    assert shrink(3600) == [1, 2, 5]
    assert shrink(3600) == [1, 2, 5]


def test_people_of_a_call_are_cut_by_the_channels_rate(world, room, sink):
    _, addresses = scenes.add_people(world, world.a, 5, tag="acc")
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional", rate_per_minute=24)
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(SystemClock().now()).run()
    body = {"recipients": [{"email": a, "context": {"reset_url": "https://id.northwind.example/r"}} for a in addresses]}
    assert world.key(world.a).post(f"/campaigns/{campaign_id}/trigger", body).status_code == 202
    assert [len(chunk.entry_ids) for chunk in chunks(world)] == [2, 2, 1]
