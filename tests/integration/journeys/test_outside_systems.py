"""Steps that ask another system: sendgates (S10, S11, R6), webhook actions and webhook messages (S14)."""

import json
import re
from collections import Counter
from datetime import timedelta
from textwrap import dedent

import pytest
import sqlalchemy as sa

from saas.channels.service import hooks
from saas.channels.types import Purpose
from saas.journeys.service import gates
from saas.kernel.clock import SystemClock
from saas.kernel.errors import Invalid
from saas.kernel.ids import show
from saas.ledger.models import Contact, Entry, Gate, Passage
from saas.permissions.types import Role
from tests.conftest import ROOT
from tests.engine_room import engine_room
from tests.hook_sink import HookSink, Reply
from tests.integration.journeys.test_called_flows import start
from tests.integration.journeys.test_statements import counted

pytestmark = pytest.mark.integration

# The JSON that docs/gates.md shows: what the webhook is told, and a line of those who wait.
SAID = [
    json.loads(dedent(found))
    for found in re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "gates.md").read_text(), re.DOTALL)
]


@pytest.fixture
def hook():
    with HookSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, hook, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}", hook.address)) as found:
        yield found


@pytest.fixture
def webhook(flow, hook):
    """The id of a webhook that leads to the test's receiver."""
    vault = flow.world.app.extensions["countersign"].vault
    with flow.session() as session:
        row, _ = hooks.create(
            session, actor=flow.place.actor(Role.ADMIN), vault=vault, allow=(hook.address,), now=SystemClock().now(),
            draft=hooks.HookDraft(name="Shop", purpose=Purpose.MARKETING, url=hook.url),
        )  # fmt: skip
        session.commit()
        return show("chn", row.channel_id)


def gate_of(flow):
    (found,) = flow.rows(Gate)
    return found


def decide(flow, decisions, *, minutes, fields=None, finish=True):
    with flow.session() as session:
        gate = session.get(Gate, (flow.tenant_id, gate_of(flow).gate_id))
        words = []
        for address, decision in decisions.items():
            contact = session.query(Contact).filter_by(tenant_id=flow.tenant_id, email=address).one()
            words.append(gates.Word(contact.contact_id, decision, None, fields or {}))
        told = gates.decide(session, gate=gate, words=words, now=flow.at(minutes)) if words else 0
        if finish:
            for _ in range(2):  # idempotent
                gates.finish(session, actor=flow.place.actor(Role.MANAGER), gate=gate, now=flow.at(minutes))
        session.commit()
        return told


def gate(flow, webhook, when=None, **more):
    settings = {"wait": True, "delivers": True, "timeout_minutes": 60, "open_fields": ["offer"], **more}
    return flow.step(
        1, "gate", when, after={"accepted": 2, "rejected": 3, "timeout": 4}, channel_id=webhook, **settings
    )


def lettered(flow, no, when=None):
    step = flow.message(no, when)
    step["content"]["subject"] = f"step {no}"
    step["content"]["text"] = "{{ context.offer }}\n{{ unsubscribe_url }}"
    return step


@pytest.mark.parametrize("kind", ["dated", "api"])
def test_s10_r6_who_is_accepted_goes_on_with_what_was_filled_in(flow, hook, webhook, kind):
    flow.people(3)
    when = 0 if kind == "dated" else None
    steps = [gate(flow, webhook, when), lettered(flow, 2, when), flow.message(3, when), flow.message(4, when)]
    if kind == "dated":
        flow.publish(*steps).run(0)
        begun = 0
    else:
        start(flow, *steps)
        flow.call(*flow.addresses)
        flow.run(-50)
        begun = -50
    (post,) = hook.posts
    told = json.loads(post.body)
    assert (told["type"], told["people"]) == ("gate.opened", 3)
    assert set(told) == set(SAID[0]), "docs/gates.md"
    with flow.session() as session:
        found = list(gates.people(session, session.get(Gate, (flow.tenant_id, gate_of(flow).gate_id))))
    assert sorted(each["email"] for each in found) == sorted(flow.addresses)
    assert set(found[0]) == set(SAID[1]), "docs/gates.md"
    assert all(each["values"] == {"first_name": f"Name {each['email'].split('@')[0]}"} for each in found)
    a, b, c = flow.addresses
    assert decide(flow, {a: "accepted"}, minutes=begun + 1, fields={"offer": "Ten off"}, finish=False) == 1
    assert decide(flow, {b: "rejected"}, minutes=begun + 2) == 1
    flow.run(begun + 3).run(begun + 4)
    assert (flow.sent(2), flow.sent(3), flow.sent(4)) == (sorted([a, c]), [b], [])
    with_offer = [m.rcpt for m in flow.sink.messages if b"Ten off" in m.data]
    assert with_offer == [a]
    assert flow.exits(1) == {"accepted": 2, "rejected": 1}
    if kind == "dated":
        assert flow.state == "completed"
    with pytest.raises(gates.GateClosed):
        decide(flow, {a: "rejected"}, minutes=begun + 9, finish=False)


def test_r6_nobody_is_let_through_when_nobody_answers(flow, webhook):
    flow.people(2)
    flow.publish(gate(flow, webhook, 0), flow.message(2, 0), flow.message(3, 0), flow.message(4, 0)).run(0)
    flow.run(59)
    assert flow.sent() == []
    flow.run(60).run(61)
    assert (flow.sent(2), flow.sent(4)) == ([], sorted(flow.addresses))
    assert gate_of(flow).state == "timed_out"
    assert flow.state == "completed"


@pytest.mark.parametrize("kind", ["dated", "api"])
def test_r6_a_good_word_about_somebody_lets_nobody_through_who_is_not_released(flow, webhook, kind):
    flow.people(3)
    when = 0 if kind == "dated" else None
    steps = [gate(flow, webhook, when), flow.message(2, when), flow.message(3, when), flow.message(4, when)]
    begun = 0 if kind == "dated" else -50
    if kind == "dated":
        flow.publish(*steps).run(0)
    else:
        start(flow, *steps)
        flow.call(*flow.addresses)
        flow.run(begun)
    a, b, c = flow.addresses
    decide(flow, {a: "accepted", b: "rejected"}, minutes=begun + 1, finish=False)
    flow.run(begun + 60).run(begun + 61)
    assert (flow.sent(2), flow.sent(3), flow.sent(4)) == ([], [b], sorted([a, c]))
    notices = flow.world.client(flow.place, Role.MANAGER).get("/notices").get_json()["data"]
    assert any("Nobody answered at the gate" in each["text"] for each in notices)


def test_s15_a_webhook_message_with_a_date_keeps_its_speed_in_a_campaign_on_call_too(flow, hook, webhook):
    flow.people(3)
    post = flow.step(
        2, "webhook_message", 0, channel_id=webhook, body='{"to": {{ contact.email | json }}}', speed_per_hour=2
    )
    start(flow, flow.message(1, after=2), post)
    flow.call(*flow.addresses)
    flow.run(-50).run(0)
    assert len(hook.posts) == 1
    flow.run(30)
    assert len(hook.posts) == 2
    flow.run(60)
    assert Counter(json.loads(post.body)["to"] for post in hook.posts) == Counter(flow.addresses)


def test_s11_without_waiting_the_other_system_is_only_told(flow, hook, webhook):
    flow.people(2)
    flow.publish(
        gate(flow, webhook, 0, wait=False, delivers=False), flow.message(2, 0), flow.message(3, 0), flow.message(4, 0)
    ).run(0).run(1)
    assert flow.sent(2) == sorted(flow.addresses)
    assert json.loads(hook.posts[0].body)["type"] == "gate.passed"


def test_r6_only_declared_fields_can_be_filled(flow, webhook):
    flow.people(1)
    flow.publish(gate(flow, webhook, 0), flow.message(2, 0), flow.message(3, 0), flow.message(4, 0)).run(0)
    for fields in ({"subject": "x"}, {"offer": ["x"]}, {"offer": "x" * 5000}, {"offer": "a\0"}):
        with pytest.raises(Invalid) as refused:
            decide(flow, {flow.addresses[0]: "accepted"}, minutes=1, fields=fields, finish=False)
        assert refused.value.faults[0].pointer.startswith("/decisions/0/fields/")


BODY = '{"who": {{ contact.email | json }}}'


@pytest.mark.parametrize("kind", ["dated", "api"])
def test_s14_a_system_is_called_about_each_and_its_answer_fills_attributes(flow, hook, webhook, kind):
    flow.people(4)
    for address, tier in zip(flow.addresses, ["gold", "silver", None, "gold"], strict=True):
        filled = json.dumps({"customer": {"city": tier, "points": 7}}).encode()
        hook.script[address] = Reply(status=422) if tier is None else Reply(body=filled)
    when = 0 if kind == "dated" else None
    call = flow.step(
        1, "call_webhook", when, after={"done": 2, "failed": 3}, channel_id=webhook, body=BODY,
        fill=[{"attribute": "city", "field": "customer.city"}, {"attribute": "points", "field": "customer.points"}],
    )  # fmt: skip
    if kind == "dated":
        flow.publish(call, flow.message(2, when), flow.message(3, when)).run(0).run(1)
    else:
        start(flow, call, flow.message(2), flow.message(3))
        flow.call(*flow.addresses)
        flow.run(-50).run(-49)
    assert flow.exits(1) == {"done": 3, "failed": 1}
    assert flow.sent(3) == [flow.addresses[2]]
    assert flow.attributes(flow.addresses[0])["city"] == "gold"
    assert flow.attributes(flow.addresses[1])["points"] == 7
    if kind == "dated":
        assert flow.state == "completed"


def test_s14_what_is_busy_is_asked_again_with_the_same_id(flow, hook, webhook):
    flow.people(1)
    hook.script["who"] = [Reply(status=503), Reply(status=503), Reply()]
    call = flow.step(1, "call_webhook", 0, after={"done": 2}, channel_id=webhook, body=BODY)
    flow.publish(call, flow.message(2, 0)).run(0)
    flow.room.later(31).run()
    flow.room.later(130).run()
    flow.room.later(2).run()
    assert len(hook.posts) == 3
    assert len({post.headers["webhook-id"] for post in hook.posts}) == 1
    assert flow.sent(2) == flow.addresses


def test_a1_a_webhook_message_beside_a_mail(flow, hook, webhook):
    flow.people(3)
    post = flow.step(2, "webhook_message", 0, channel_id=webhook, body='{"to": {{ contact.email | json }}}')
    flow.publish(flow.message(1, 0), post, start=[1, 2]).run(0)
    assert flow.sent(1) == sorted(flow.addresses)
    assert Counter(json.loads(post.body)["to"] for post in hook.posts) == Counter(flow.addresses)
    assert flow.numbers(2).accepted == 3
    flow.room.later(timedelta(seconds=1).total_seconds()).run()
    assert flow.state == "completed"


def called(flow, webhook, **more):
    return flow.step(1, "call_webhook", 0, after={"done": 2, "failed": 3}, channel_id=webhook, body=BODY, **more)


def test_s14_what_an_answer_cannot_fill_is_said_beside_it(flow, hook, webhook):
    flow.people(2)
    a, b = flow.addresses
    hook.script[a] = Reply(body=b'{"points": "many", "city": "Umea"}')
    hook.script[b] = Reply(body=json.dumps({"city": "x" * 1900}).encode())
    fill = [{"attribute": "city", "field": "city"}, {"attribute": "points", "field": "points"}]
    flow.publish(called(flow, webhook, fill=fill), flow.message(2, 0), flow.message(3, 0)).run(0).run(1)
    assert flow.exits(1) == {"done": 2}
    assert flow.attributes(a)["city"] == "Umea"
    unfit = [row.facts["unfit"] for row in flow.rows(Passage, Passage.step_no == 1)]
    assert sorted(unfit) == [["city"], ["points"]]


def test_s14_a_system_is_called_no_faster_than_its_webhook_allows(flow, hook, webhook):
    flow.people(5)
    with flow.session() as session:
        session.execute(sa.text("UPDATE channel_configuration SET rate_per_minute = 60"))
        session.commit()
    flow.publish(called(flow, webhook), flow.message(2, 0), flow.message(3, 0)).run(0)
    assert len(hook.posts) == 1
    flow.room.later(1).run()
    assert len(hook.posts) == 2
    for _ in range(4):
        flow.room.later(1).run()
    assert (len(hook.posts), flow.exits(1)) == (5, {"done": 5})


def test_s14_a_system_that_does_not_know_us_is_left_alone_and_nobody_pays_for_it(flow, hook, webhook):
    flow.people(8)
    hook.answer = Reply(status=401)
    flow.publish(called(flow, webhook), flow.message(2, 0), flow.message(3, 0)).run(0)
    assert len(hook.posts) == 8
    hook.answer = Reply()
    flow.room.later(29).run()
    assert len(hook.posts) == 8
    flow.room.later(2).run()
    flow.room.later(1).run()
    assert (len(hook.posts), flow.exits(1)) == (16, {"done": 8})


def test_entries_of_a_cohort_that_stands_at_steps_are_never_ended(flow, hook, webhook):
    """ledger.md, flow in sets: also where people of a campaign with dates go on one by one."""
    flow.people(3)
    call = flow.step(2, "call_webhook", 0, after={"done": 3, "failed": 4}, channel_id=webhook, body=BODY)
    with counted(flow.room.engine) as statements:
        flow.publish(gate(flow, webhook, 0), call, flow.message(3, 0), flow.message(4, 0)).run(0)
        decide(flow, dict(zip(flow.addresses, ["accepted", "rejected", "accepted"], strict=True)), minutes=1)
        flow.run(2).run(3)
    assert flow.exits(1) == {"accepted": 2, "rejected": 1}
    assert flow.state == "completed"
    assert [text for text in statements if "UPDATE entry" in text and "ended_at" in text] == []


@pytest.mark.parametrize(
    ("kind", "late", "own"),
    [
        ("gate", "timeout", {"wait": True, "delivers": False, "timeout_minutes": 60, "open_fields": []}),
        ("call_webhook", "failed", {"body": "{}"}),
    ],
)
def test_r2_whoever_is_too_late_to_be_asked_about_goes_on(flow, hook, webhook, kind, late, own):
    flow.people(2)
    step = flow.step(1, kind, 0, latest=flow.wall(1), after={late: 2}, channel_id=webhook, **own)
    flow.publish(step, flow.message(2, 10)).run(5).run(10)
    assert flow.sent(2) == sorted(flow.addresses)
    assert (flow.exits(1), hook.posts) == ({late: 2}, [])


def test_r2_r5_who_came_late_to_a_dated_gate_holds_nobody_up_behind_it(flow, webhook):
    """S22: the cohort of the next step is complete without them; they pass that step alone, too."""
    flow.people(2)
    first = flow.step(9, "change_points", points=1, after={"done": 1})
    after = [flow.message(no, 0) for no in (2, 3, 4)]
    start(flow, first, gate(flow, webhook, 0, delivers=False), *after, settings={"late": "send"})
    flow.call(flow.addresses[0])
    flow.run(-50).run(0)
    with flow.clocked(30):
        flow.call(flow.addresses[1])
    flow.run(30).run(60)
    assert flow.sent(4) == flow.addresses[:1]
    flow.run(90)
    assert flow.sent(4) == sorted(flow.addresses)
    assert [row.end_reason for row in flow.rows(Entry)] == ["finished", "finished"]


def test_r6_a_campaigns_gates_are_listed_over_the_api(flow, webhook):
    flow.people(3)
    flow.publish(gate(flow, webhook, 0), flow.message(2, 0), flow.message(3, 0), flow.message(4, 0)).run(0)
    path = f"/campaigns/{flow.campaign_id}/gates"
    (listed,) = flow.world.client(flow.place, Role.MANAGER).get(path).get_json()["data"]
    row = gate_of(flow)
    assert (listed["gate_id"], listed["campaign_id"]) == (show("gat", row.gate_id), flow.campaign_id)
    assert (listed["step_no"], listed["state"], listed["people"]) == (1, "open", 3)
    assert flow.world.client(flow.place, Role.VIEWER).get(path).status_code == 403
    assert flow.world.client(flow.world.b, Role.ADMIN).get(path).status_code == 404
    waiting = flow.world.client(flow.place, Role.VIEWER).get(f"/campaigns/{flow.campaign_id}/people?step=1").get_json()
    assert [person["state"] for person in waiting["data"]] == ["waiting"] * 3
    decide(flow, {}, minutes=5)
    flow.run(6)
    assert [(each["state"], each["people"]) for each in
            flow.world.client(flow.place, Role.MANAGER).get(path).get_json()["data"]] == [("released", 0)]  # fmt: skip
