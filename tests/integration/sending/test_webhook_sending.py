"""Messages by webhook through the whole engine: claimed, rendered, signed, posted, settled (S15, reliability.md 2)."""

import json

import pytest
import sqlalchemy as sa

from saas.channels.adapters.webhook.adapter import WebhookAdapter
from saas.channels.service import hooks
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show
from saas.ledger.models import Delivery
from saas.permissions.types import Role
from tests import scenes
from tests.engine_room import engine_room
from tests.hook_sink import HookSink, Reply, silence
from tests.worlds import bound

pytestmark = pytest.mark.integration

TEMPLATE = '{"to": "{{ contact.email }}", "name": {{ contact.first_name | json }}, "from": "{{ workspace.name }}"}'


@pytest.fixture
def hook():
    with HookSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, hook, empty_agenda):
    with engine_room(app, app_settings, egress=(hook.address,)) as found:
        yield found


@pytest.fixture
def posting(world, room, hook):
    """A function that runs a dated campaign of one webhook message to so many people."""

    def run(people, *, template=TEMPLATE, purpose="marketing", **attributes):
        vault, place = world.app.extensions["countersign"].vault, world.a
        with bound(world.engine, place) as session:
            draft = hooks.HookDraft(name="Orders", purpose=hooks.Purpose(purpose), url=hook.url)
            row, secret = hooks.create(
                session, actor=place.actor(Role.ADMIN), draft=draft, vault=vault, allow=(hook.address,),
                now=SystemClock().now(),
            )  # fmt: skip
            session.commit()
            channel = show("chn", row.channel_id)
        list_id, addresses = scenes.add_people(world, place, people, **attributes)
        at = scenes.soon()
        campaign_id = scenes.make_campaign(world, place)
        draft = scenes.dated_draft(list_id, channel, at)
        (message,) = draft["steps"]
        del message["content"]
        draft["steps"] = [{**message, "kind": "webhook_message", "body": template}]
        scenes.save(world, place, campaign_id, draft)
        scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
        room.at(at).run()
        return campaign_id, addresses, secret, channel

    return run


def test_everybody_gets_one_signed_post_of_their_own(world, room, hook, posting, counts):
    campaign_id, addresses, secret, _ = posting(30, last_name='", "admin": "')
    assert counts(world.a, campaign_id).accepted == 30
    found = [json.loads(post.body) for post in hook.posts]
    assert sorted(each["to"] for each in found) == sorted(addresses)
    assert all(set(each) == {"to", "name", "from"} for each in found)
    assert all(post.verify(secret, now=room.clock.now().timestamp()) for post in hook.posts)
    assert len({post.headers["webhook-id"] for post in hook.posts}) == 30


def test_refused_deferred_and_tried_again_under_the_same_id(world, room, hook, posting, counts):
    hook.script = {
        "p0@": Reply(422, b"no such customer"),
        "p1@": [Reply(503, headers={"Retry-After": "900"}), Reply(200)],
    }
    campaign_id, _, secret, _ = posting(5)
    numbers = counts(world.a, campaign_id)
    assert (numbers.accepted, numbers.failed, numbers.open) == (3, 1, 1)
    assert numbers.why["failed"] == {"rejected": 1}
    room.later(600).run()
    assert counts(world.a, campaign_id).open == 1, "the receiver asked for 15 minutes"
    room.later(301).run()
    numbers = counts(world.a, campaign_id)
    assert (numbers.accepted, numbers.failed, numbers.open, numbers.planned) == (4, 1, 0, 5)
    tries = [post for post in hook.posts if b"p1@" in post.body]
    assert len(tries) == 2 and len({post.headers["webhook-id"] for post in tries}) == 1
    assert tries[0].headers["webhook-timestamp"] != tries[1].headers["webhook-timestamp"]
    assert all(post.verify(secret) for post in tries)
    with bound(world.engine, world.a) as session:
        assert session.scalars(sa.text("SELECT address_hash FROM suppression")).all() == []


def test_no_answer_leaves_marketing_uncertain_and_is_never_repeated(world, room, hook, posting, counts, monkeypatch):
    short = hooks.Patience(connect_s=3, answer_s=0.3, most=500)
    monkeypatch.setitem(WebhookAdapter.__init__.__kwdefaults__, "patience", short)
    hook.script = {"p0@": Reply(act=silence)}
    campaign_id, *_ = posting(4)
    numbers = counts(world.a, campaign_id)
    assert (numbers.accepted, numbers.uncertain) == (3, 1)
    room.later(7200).run()
    assert len([post for post in hook.posts if b"p0@" in post.body]) == 1


def test_a_body_that_fails_for_one_person_fails_for_them_alone(world, hook, posting, counts):
    body = '{"n": {% if contact.email contains "p1@" %}seven{% else %}7{% endif %}}'
    campaign_id, *_ = posting(3, template=body)
    numbers = counts(world.a, campaign_id)
    assert (numbers.accepted, numbers.failed) == (2, 1)
    assert numbers.why["failed"] == {"render_failed": 1}
    assert [json.loads(post.body) for post in hook.posts] == [{"n": 7}] * 2


def test_a_receiver_that_is_gone_costs_nobody_a_try(world, room, hook, posting, counts):
    hook.answer = Reply(410)
    campaign_id, *_ = posting(8)
    numbers = counts(world.a, campaign_id)
    assert (numbers.failed, numbers.open) == (0, 8), "the breaker opened"
    with bound(world.engine, world.a) as session:
        assert set(session.scalars(sa.select(Delivery.attempt))) <= {0, 1}
    hook.answer = Reply(200)
    for _ in range(6):
        room.later(900).run()
    assert counts(world.a, campaign_id).accepted == 8


def test_another_address_holds_the_campaign(world, room, hook, posting, counts):
    hook.answer = Reply(503)
    campaign_id, _, _, channel = posting(3)
    posted = len(hook.posts)
    admin = world.client(world.a, Role.ADMIN)
    with bound(world.engine, world.a) as session:
        hooks.change(
            session, actor=world.a.actor(Role.ADMIN), channel_id=parse("chn", channel), expected=1,
            values={"url": hook.url + "&other=1"}, allow=(hook.address,), now=room.clock.now(),
        )  # fmt: skip
        session.commit()
    room.later(7200).run()
    assert len(hook.posts) == posted
    assert admin.get(f"/campaigns/{campaign_id}").get_json()["state"] == "held"
