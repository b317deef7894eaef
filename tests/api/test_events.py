"""The events API (M25): what clients' systems tell of people, each fact once, and who it wakes."""

import math
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from saas.intake.service.events import record
from saas.intake.service.waking import wake
from saas.intake.types import Fact, Happening, Told
from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, uuid7
from saas.ledger.models import Event, Wait
from saas.ledger.types import FLOW_STEP
from saas.permissions.types import Role
from saas.platform.agenda.models import Agenda
from saas.platform.db import bound_tenant
from tests.api.audience_parts import refused, save
from tests.worlds import bound

pytestmark = pytest.mark.integration

ANN, BEA = "ann@example.org", "bea@example.org"


@pytest.fixture
def people(world):
    """Ann and Bea in A, Ann in B as well; contact ids by place and address."""
    found = {}
    for place, emails in ((world.a, (ANN, BEA)), (world.b, (ANN,))):
        key = world.key(place)
        for email, row in zip(emails, save(key, *({"email": e, "external_id": e[:3]} for e in emails)), strict=True):
            found[place.wsp, email] = row["contact_id"]
    return found


def tell(client, *events, **kwargs):
    answer = client.post("/events", {"events": list(events)}, **kwargs)
    assert answer.status_code == 200, answer.text
    results = answer.get_json()["results"]
    assert [row["index"] for row in results] == list(range(len(events)))
    return [row["status"] for row in results]


def kept(world, place):
    with bound(world.engine, place) as session:
        rows = session.scalars(sa.select(Event).order_by(Event.kind, Event.occurred_at)).all()
        return [(row.kind, row.contact_id, row.facts) for row in rows]


def wait_for(session, contact, listens, *, campaign=None, step=4, minutes=60):
    row = Wait(
        tenant_id=bound_tenant(session), entry_id=uuid7().int % 2**62, step_no=step, campaign_id=campaign or uuid7(),
        contact_id=parse("ctc", contact), due_at=SystemClock().now() + timedelta(minutes=minutes), listens=listens,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row


def test_who_may(world, people):
    refused(world, "POST", "/events", {"events": [{"name": "seen", "email": ANN}]}, allowed=(Role.ADMIN, Role.MANAGER))
    assert tell(world.key(world.a), {"name": "seen", "email": ANN}) == ["accepted"]


def test_each_way_to_name_somebody_and_strangers(world, people):
    key = world.key(world.a)
    told = tell(
        key,
        {"name": "order.placed", "contact_id": people[world.a.wsp, ANN], "properties": {"total": 12.5, "vip": True}},
        {"name": "order.placed", "email": " ANN@example.org "},
        {"name": "order.placed", "external_id": "bea", "properties": {"sku": "boots"}},
        {"name": "order.placed", "email": "nobody@example.org"},
        {"name": "order.placed", "contact_id": people[world.b.wsp, ANN]},
    )
    assert told == ["accepted", "accepted", "accepted", "unknown_contact", "unknown_contact"]
    rows = kept(world, world.a)
    assert [kind for kind, _, _ in rows] == ["custom:order.placed"] * 3
    facts = [facts["properties"] for _, _, facts in rows]
    assert {"total": 12.5, "vip": True} in facts and {"sku": "boots"} in facts and {} in facts
    assert kept(world, world.b) == []


def test_the_same_id_is_the_same_fact(world, people):
    key, now = world.key(world.a), SystemClock().now()
    first = {"name": "order.placed", "email": ANN, "id": "o-1"}
    assert tell(key, first, dict(first)) == ["accepted", "duplicate"]
    assert tell(key, first) == ["duplicate"]
    assert tell(key, first | {"occurred_at": (now - timedelta(days=40)).isoformat()}) == ["duplicate"]
    # The id is one person's and one name's; without an id each telling is a fact.
    assert tell(key, first | {"email": BEA}, first | {"name": "order.paid"}) == ["accepted", "accepted"]
    assert tell(world.key(world.b), first) == ["accepted"]
    bare = {"name": "seen", "email": ANN}
    assert tell(key, bare, bare) == ["accepted", "accepted"]
    assert len(kept(world, world.a)) == 5


def test_calls_at_the_same_time_write_one_fact(world, people):
    clients = [world.key(world.a) for _ in range(4)]
    event = {"name": "order.placed", "email": ANN, "id": "o-1"}
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda client: tell(client, event)[0], clients * 3))
    assert sorted(told) == ["accepted"] + ["duplicate"] * 11


def test_a_second_call_waits_until_the_first_is_known(world, people):
    """Told with another moment it would be another row: so it looks when the first one is committed."""
    contact = people[world.a.wsp, ANN]

    def happened():
        with bound(world.engine, world.a) as session:
            one = Happening(0, "order.placed", "contact_id", str(parse("ctc", contact)), None, "o-1", {})
            now = SystemClock().now()
            (found,) = record(session, actor=world.a.actor(Role.MANAGER), happenings=[one], now=now)
            yield found.status
            session.commit()
            yield None

    first = happened()
    assert next(first) is Told.ACCEPTED
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(lambda: tuple(happened()))
        with pytest.raises(TimeoutError):
            second.result(timeout=0.5)
        assert next(first) is None
        assert second.result(timeout=10)[0] is Told.DUPLICATE


def test_a_call_is_repeated_by_its_key(world, people):
    key, event = world.key(world.a), {"name": "seen", "email": ANN}
    for _ in range(2):
        assert tell(key, event, headers={"Idempotency-Key": "k"}) == ["accepted"]
    assert len(kept(world, world.a)) == 1


def test_a_thousand_in_a_call_and_no_more(world, people):
    key, event = world.key(world.a), {"name": "seen", "email": ANN}
    assert tell(key, *[event | {"id": str(n)} for n in range(1000)]) == ["accepted"] * 1000
    for many in (0, 1001):
        assert key.post("/events", {"events": [event] * many}).status_code == 422


def test_what_cannot_be_is_refused_with_its_place(world, people):
    key, now = world.key(world.a), SystemClock().now()
    good = {"name": "seen", "email": ANN}
    wrong = {
        "/events/1/name": good | {"name": "Seen it"},
        "/events/2": {"name": "seen"},
        "/events/3": good | {"external_id": "ann"},
        "/events/4/occurred_at": good | {"occurred_at": "yesterday"},
        "/events/5/properties/a": good | {"properties": {"a": {"b": 1}}},
        "/events/6/properties/a": good | {"properties": {"a": None}},
        "/events/7/properties": good | {"properties": {str(n): n for n in range(51)}},
        "/events/8/properties/a": good | {"properties": {"a": "x" * 501}},
        "/events/9/properties/a": good | {"properties": {"a": math.inf}},
        "/events/10/colour": good | {"colour": 1},
        "/events/11/name": good | {"name": "seen\n"},
        "/events/12/properties/a": good | {"properties": {"a": "\0"}},
        "/events/13/properties/a": good | {"properties": {"a": "\ud800"}},
        "/events/14/properties": good | {"properties": {"\0": 1}},
        "/events/15/properties": good | {"properties": {"\udfff": 1}},
        "/events/16/properties/a": good | {"properties": {"a": 10**400}},
    }
    answer = key.post("/events", {"events": [good, *wrong.values()]})
    assert answer.status_code == 422 and answer.mimetype == "application/problem+json"
    assert {error["pointer"] for error in answer.get_json()["errors"]} == set(wrong)
    for far in (now + timedelta(minutes=6), now - timedelta(days=401)):
        answer = key.post("/events", {"events": [good, good | {"occurred_at": far.isoformat()}]})
        assert answer.status_code == 422
        assert [error["pointer"] for error in answer.get_json()["errors"]] == ["/events/1/occurred_at"]
    assert kept(world, world.a) == []
    for near in (now + timedelta(minutes=4), now - timedelta(days=399)):
        assert tell(key, good | {"occurred_at": near.isoformat()}) == ["accepted"]


def test_whoever_waits_for_it_is_woken(world, people):
    now, campaign = SystemClock().now(), uuid7()
    ann, bea = people[world.a.wsp, ANN], people[world.a.wsp, BEA]
    listens = {"on": "event", "name": "order.placed"}
    with bound(world.engine, world.a) as session:
        waits = {
            "hers": wait_for(session, ann, listens, campaign=campaign),
            "conversion": wait_for(
                session, ann, {"on": "converted", "name": "order.placed"}, campaign=campaign, step=9
            ),
            "other name": wait_for(session, ann, listens | {"name": "order.paid"}),
            "other person": wait_for(session, bea, listens),
            "no listening": wait_for(session, ann, None),
            "too late": wait_for(session, ann, listens, minutes=-1),
            "since then": wait_for(session, ann, listens | {"since": (now + timedelta(hours=1)).isoformat()}),
        }
        keys = {name: (row.tenant_id, row.entry_id, row.step_no) for name, row in waits.items()}
        session.commit()
    assert tell(world.key(world.b), {"name": "order.placed", "email": ANN}) == ["accepted"]
    assert tell(world.key(world.a), {"name": "order.placed", "email": ANN, "id": "1"}) == ["accepted"]
    with bound(world.engine, world.a) as session:
        answers = {name: session.get(Wait, key).answer for name, key in keys.items()}
        assert {name for name, answer in answers.items() if answer is not None} == {"hers", "conversion"}
        assert answers["hers"] == "yes"
        armed = session.scalars(sa.select(Agenda.subject).where(Agenda.kind == FLOW_STEP.name)).all()
        assert sorted(armed) == [f"{campaign}:4", f"{campaign}:9"]
        due = session.get(Wait, keys["hers"]).due_at
        assert now <= due <= SystemClock().now()
    # A duplicate is no news, and whoever has an answer keeps it.
    tell(world.key(world.a), {"name": "order.placed", "email": ANN, "id": "1"}, {"name": "order.placed", "email": ANN})
    with bound(world.engine, world.a) as session:
        assert session.get(Wait, keys["hers"]).due_at == due


def test_opens_and_clicks_wake_those_of_that_message_only(world, people):
    now, ann = SystemClock().now(), people[world.a.wsp, ANN]
    about = {"on": "opened", "entry": 7, "step": 2}
    with bound(world.engine, world.a) as session:
        mine = wait_for(session, ann, about)
        for other in ({"step": 3}, {"entry": 8}, {"on": "clicked"}):
            wait_for(session, ann, about | other)
        assert wake(session, [Fact(mine.contact_id, now, about)], now) == 1
        session.refresh(mine)
        assert mine.answer == "yes"
        assert wake(session, [], now) == 0
