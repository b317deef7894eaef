"""Somebody gives a campaign a category while somebody else deletes it (M11): one of the two is told."""

import threading

import pytest

from saas.campaigns.desk import queries as desk
from saas.campaigns.service import categories
from saas.campaigns.types import Tone
from saas.kernel.clock import SystemClock
from saas.kernel.errors import DomainError, Invalid
from saas.kernel.ids import parse, uuid7
from saas.permissions.types import Role
from tests import scenes
from tests.worlds import bound

pytestmark = pytest.mark.integration


def made(world, now):
    with bound(world.engine, world.a) as session:
        row = categories.create_category(
            session, actor=world.a.actor(Role.ADMIN), name=uuid7().hex, tone=Tone.INK, now=now
        )
        session.commit()
        return row.category_id


def categorise(world, campaign_id, category_id, now, told):
    with bound(world.engine, world.a) as session:
        try:
            categories.categorise(
                session, actor=world.a.actor(Role.ADMIN), campaign_id=campaign_id, category_id=category_id, now=now
            )
            session.commit()
        except DomainError as error:
            told.append(error)


def test_m11_a_category_that_is_being_deleted_is_given_to_nobody(world):
    now, told = SystemClock().now(), []
    campaign_id, category_id = parse("cam", scenes.make_campaign(world, world.a)), made(world, now)
    with bound(world.engine, world.a) as session:
        gone = categories.remove_category(
            session, actor=world.a.actor(Role.ADMIN), category_id=category_id, version=1, now=now
        )
        assert gone is None
        other = threading.Thread(target=categorise, args=(world, campaign_id, category_id, now, told))
        other.start()
        other.join(0.3)
        assert other.is_alive(), "it waits for the one who deletes"
        session.commit()
    other.join()
    assert [type(error) for error in told] == [Invalid]


def test_m11_a_category_that_is_being_given_is_archived_instead_of_deleted(world):
    now, kept = SystemClock().now(), []
    campaign_id, category_id = parse("cam", scenes.make_campaign(world, world.a)), made(world, now)

    def remove():
        with bound(world.engine, world.a) as session:
            actor = world.a.actor(Role.ADMIN)
            kept.append(
                categories.remove_category(session, actor=actor, category_id=category_id, version=1, now=now)
                is not None
            )
            session.commit()

    with bound(world.engine, world.a) as session:
        actor = world.a.actor(Role.ADMIN)
        categories.categorise(session, actor=actor, campaign_id=campaign_id, category_id=category_id, now=now)
        other = threading.Thread(target=remove)
        other.start()
        other.join(0.3)
        session.commit()
    other.join()
    assert kept == [True]
    with bound(world.engine, world.a) as session:
        assert desk.category(session, category_id).archived_at is not None
