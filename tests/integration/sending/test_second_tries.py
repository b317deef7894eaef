"""Answers, second tries, unknown outcomes (ledger.md, settling; reliability.md 1 and 2)."""

import pytest
import sqlalchemy as sa

from saas.ledger.models import Contact
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.smtp_sink import At, Do, SmtpSink, Then
from tests.worlds import bound

pytestmark = pytest.mark.integration


def start(world, room, sink, people):
    at = scenes.soon()
    campaign_id, addresses = scenes.approved_campaign(world, world.a, people=people, port=sink.port, at=at)
    room.at(at)
    return campaign_id, addresses


def test_one_refused_recipient_never_touches_the_others(world, room, sink, counts):
    """mautic #7226: one 554 in the batch, everyone else mailed again and again."""
    campaign_id, addresses = start(world, room, sink, 10)
    sink.script[addresses[3]] = "550 5.1.1 no such user"
    room.run()
    room.later(5).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.failed) == (10, 9, 1)
    assert found.why["failed"] == {"rejected": 1}
    assert len(sink.messages) == 9
    with bound(world.engine, world.a) as session:
        assert session.execute(sa.text("SELECT count(*) FROM suppression")).scalar() == 1


def test_deferred_recipient_is_tried_again_later_and_once(world, room, sink, counts):
    campaign_id, addresses = start(world, room, sink, 5)
    sink.script[addresses[0]] = "450 4.2.0 greylisted"
    room.run()
    sink.script.clear()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.open) == (5, 4, 1)
    room.later(60).run()
    room.later(2).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted) == (5, 5)
    assert sorted(m.rcpt for m in sink.messages) == sorted(addresses)


def test_after_five_tries_a_person_has_failed(world, room, sink, counts):
    campaign_id, addresses = start(world, room, sink, 2)
    sink.script[addresses[0]] = "450 4.2.0 try later"
    for _ in range(8):
        room.run()
        room.later(3601)
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.failed, found.open) == (2, 1, 1, 0)


def test_no_answer_after_the_dot_is_uncertain_and_never_resent(world, room, sink, counts):
    """reliability.md 1: the message may have arrived; marketing is handed over at most once."""
    campaign_id, addresses = start(world, room, sink, 4)
    sink.script[addresses[1]] = Do(At.DOT, then=Then.CLOSE)
    room.run()
    for _ in range(5):
        room.later(4000).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.uncertain) == (4, 3, 1)
    assert [m.rcpt for m in sink.messages].count(addresses[1]) == 1


def test_channel_failure_costs_nobody_a_try(world, room, sink, counts):
    """535, 5.7.x: the people wait, nobody is suppressed or failed."""
    campaign_id, addresses = start(world, room, sink, 3)
    for address in addresses:
        sink.script[address] = "550 5.7.1 policy"
    for _ in range(9):
        room.run()
        room.later(31)
    found = counts(world.a, campaign_id)
    assert (found.planned, found.open, found.failed) == (3, 3, 0)
    sink.script.clear()
    for _ in range(4):  # the breaker is open for a quarter of an hour at most, then one is tried
        room.later(900).run()
    assert counts(world.a, campaign_id).accepted == 3


def test_closed_port_leaves_everybody_waiting_and_is_found_again(world, room, sink, counts):
    campaign_id, _ = start(world, room, sink, 3)
    room.run(Queue.MAINTENANCE)
    port = sink.port
    sink.__exit__(None, None, None)
    room.run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.open) == (3, 3)
    with SmtpSink(port=port) as again:
        room.later(31).run()
        room.later(31).run()
        assert len(again.messages) == 3
    assert counts(world.a, campaign_id).accepted == 3


def test_a_template_that_fails_for_one_person_is_that_persons_failure(world, room, sink, counts):
    list_id, addresses = scenes.add_people(world, world.a, 3, tag="ok")
    evil = {"first_name": "=?utf-8?q?Bob=0D=0ABcc:_evil@example.org?="}
    with bound(world.engine, world.a) as session:
        session.execute(
            sa.update(Contact)
            .where(Contact.tenant_id == world.a.tenant_id, Contact.email == addresses[1])
            .values(attributes=evil)
        )
        session.commit()
    channel = scenes.add_channel(world, world.a, sink.port)
    campaign_id = scenes.make_campaign(world, world.a)
    at = scenes.soon()
    scenes.save(world, world.a, campaign_id, scenes.dated_draft(list_id, channel, at))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    room.at(at).run()
    found = counts(world.a, campaign_id)
    assert (found.planned, found.accepted, found.failed) == (3, 2, 1)
    assert found.why["failed"] == {"render_failed": 1}
    assert b"evil" not in b"".join(m.data for m in sink.messages)
