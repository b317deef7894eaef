"""Simulations before publication: the engine itself, a virtual clock, and nothing that is kept (U14)."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from saas.campaigns.models import Revision
from saas.campaigns.rules.document import canonical, hash_of
from saas.kernel.errors import Invalid, NotFound
from saas.kernel.ids import parse, uuid7
from saas.ledger.models import Consent, Contact, Suppression
from saas.permissions.types import Role
from saas.reports.rules import scenario
from saas.reports.rules.scenario import Happening, Player, Scenario, What
from saas.reports.service.acting import Troupe
from saas.reports.service.simulating import Terms, simulate
from saas.reports.service.why import why
from tests import scenes
from tests.integration.journeys.test_flowing import OSLO, audience
from tests.worlds import bound

pytestmark = pytest.mark.integration


@pytest.fixture
def play(flow):
    renderer = flow.world.app.extensions["countersign.renderer"]

    def prepare(*steps, people=(), events=(), kind="dated", at=-30, until=None, **more):
        flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind=kind)
        if kind == "api":
            more.setdefault("payload", {"fields": []})
        scenes.save(flow.world, flow.place, flow.campaign_id, flow.draft(*steps, kind=kind, **more))
        terms = Terms(renderer, 300, flow.at(-60), at=flow.at(at), until=until)
        return lambda: simulate(
            flow.world.engine,
            actor=flow.place.actor(Role.MANAGER),
            campaign_id=parse("cam", flow.campaign_id),
            no=1,
            scenario=Scenario(people, events),
            terms=terms,
        )

    def run(*steps, **more):
        return prepare(*steps, **more)()

    run.prepare = prepare
    return run


def path(simulation, name):
    (person,) = [each for each in simulation.people if each.name == name]
    return [(s.step_no, s.state, s.exit) for way in person.ways for s in way.stations]


def contents(flow):
    """Every row of every table that either workspace sees, as one hash a table and workspace."""
    found = {}
    for place in (flow.world.a, flow.world.b):
        with bound(flow.world.engine, place) as session:
            tables = session.scalars(sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
            for table in sorted(set(tables) - {"alembic_version"}):
                if table.startswith("event_"):
                    continue  # parts of `event`
                text = f"SELECT count(*) || md5(coalesce(string_agg(t::text, chr(10) ORDER BY t::text), '')) FROM \"{table}\" t"
                found[place.wsp, table] = session.scalar(sa.text(text))
    return found


def test_u14_a_dated_flow_is_played_with_test_people(flow, play):
    flow.people(2)
    condition = flow.step(
        1, "condition", 0, after={"yes": 2, "no": 3}, rule={"attribute": "city", "op": "eq", "value": "Oslo"}
    )
    found = play(
        condition, flow.message(2, 0), flow.message(3, 30),
        people=[
            Player("Kari", attributes={"city": "Oslo"}),
            Player("Ola", attributes={"city": "Bergen"}),
            Player("Per", attributes={"city": "Oslo"}, consent=None),
            Player("Liv", listed=False),
        ],
    )  # fmt: skip
    assert path(found, "Kari") == [(1, "passed", "yes"), (2, "sent", "sent")]
    assert path(found, "Ola") == [(1, "passed", "no"), (3, "sent", "sent")]
    assert path(found, "Per") == [(1, "passed", "yes"), (2, "skipped", "sent")]
    assert path(found, "Liv") == []
    assert (found.state, found.complete) == ("completed", True)
    assert {step.step_no: step.people for step in found.steps} == {1: 3, 2: 2, 3: 1}
    assert found.steps[2].started_at == flow.at(30)


def test_u14_clicks_and_deadlines_by_the_virtual_clock(flow, play):
    flow.people(1)
    decision = flow.step(2, "decision", after={"yes": 3, "no": 4}, on="clicked", message=1, within_minutes=60)
    found = play(
        flow.message(1, after=2), decision, flow.message(3), flow.message(4),
        people=[Player("Kari"), Player("Ola")],
        events=[Happening("Kari", What.CLICKED, 1, after=timedelta(minutes=20))],
        kind="api",
    )  # fmt: skip
    assert path(found, "Kari") == [(1, "sent", "sent"), (2, "passed", "yes"), (3, "sent", "sent")]
    assert path(found, "Ola") == [(1, "sent", "sent"), (2, "passed", "no"), (4, "sent", "sent")]
    sent = {p.name: p.ways[0].stations[-1].facts["claimed_at"] for p in found.people}
    assert sent["Kari"] - found.started_at == timedelta(minutes=20)
    assert sent["Ola"] - found.started_at == timedelta(minutes=60)


def test_u14_nothing_is_kept_and_nothing_leaves(flow, play):
    flow.people(3, city="Oslo")
    change = flow.step(1, "set_attribute", 0, after={"done": 2}, changes=[{"attribute": "city", "value": "Bergen"}])
    listed = flow.step(2, "change_list", 0, after={"done": 3}, list_id=flow.list_id, action="remove")
    told = flow.step(3, "notify_staff", 0, after={"done": 4}, text="Look")
    prepared = play.prepare(change, listed, told, flow.message(4, 0))
    before = contents(flow)
    found = prepared()
    assert [person.ways[0].stations[-1].state for person in found.people] == ["sent"] * 3, "members of the audience"
    assert contents(flow) == before
    assert len(before) > 60
    assert flow.sink.messages == []


def submitted(flow, *steps, kind="dated"):
    """Submit a message, and put other steps before it into the stored document: their channels need not be there."""
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place, kind=kind)
    more = {"payload": {"fields": []}} if kind == "api" else {}
    messages = [step for step in steps if step["kind"] == "email"]
    scenes.save(
        flow.world, flow.place, flow.campaign_id, flow.draft(*messages, kind=kind, start=_all(messages), **more)
    )
    scenes.submit(flow.world, flow.place, flow.campaign_id)
    with flow.session() as session:
        row = session.scalars(sa.select(Revision).where(Revision.campaign_id == flow.id)).one()
        document = json.loads(row.document)
        others = [step for step in steps if step["kind"] != "email"]
        wall = {"zone": "UTC"}
        stored = [s | {"at": {"wall": s["at"], **wall} if "at" in s else None, "latest": None} for s in others]
        document |= {"start": [others[0]["step_no"]], "steps": [*stored, *document["steps"]]}
        row.document = canonical(document)
        row.content_hash = hash_of(row.document)
        session.commit()


def _all(messages):
    return [message["step_no"] for message in messages]


@pytest.mark.parametrize("kind", ["dated", "api"])
def test_u14_gates_answer_as_the_scenario_says(flow, kind):
    flow.people(1)
    when = (0,) if kind == "dated" else ()
    gate = flow.step(
        1, "gate", *when, after={"accepted": 2, "rejected": 3, "timeout": 4},
        channel_id=str(uuid7()), delivers=False, wait=True, timeout_minutes=30, open_fields=[],
    )  # fmt: skip
    submitted(flow, gate, *(flow.message(no, *when) for no in (2, 3, 4)), kind=kind)
    found = simulate(
        flow.world.engine,
        actor=flow.place.actor(Role.MANAGER),
        campaign_id=flow.id,
        no=1,
        scenario=Scenario(
            [Player("Kari"), Player("Ola"), Player("Per")],
            [
                Happening("Ola", What.ANSWER, 1, "rejected", after=timedelta(minutes=10)),
                Happening("Per", What.ANSWER, 1, "timeout"),
            ],
        ),
        terms=Terms(flow.world.app.extensions["countersign.renderer"], 300, flow.at(-30)),
    )
    assert [path(found, name)[-1][0] for name in ("Kari", "Ola", "Per")] == [2, 3, 4]
    per = found.people[2].ways[0].stations[-1].facts["claimed_at"]
    assert per == (flow.at(30) if kind == "dated" else flow.at(0)), "after the whole timeout"
    if kind == "dated":
        assert found.steps[1].started_at == flow.at(30), "the cohort goes on when the last one has an answer"


def test_u14_s16_a_test_of_variants_and_its_winner(flow, play):
    flow.people(1)
    test = flow.step(
        1, "ab_test", 0, after={"a": 2, "b": 3}, branches=[{"key": "a", "name": "A"}, {"key": "b", "name": "B"}],
        test_percent=50, decide_after_minutes=60, winner_by="clicked",
    )  # fmt: skip
    people = [Player(f"Person {no}") for no in range(8)]
    clicks = [Happening(each.name, What.CLICKED, 3, after=timedelta(minutes=5)) for each in people]
    found = play(test, flow.message(2, 0), flow.message(3, 0), people=people, events=clicks)
    assert [step.people for step in found.steps] == [8, 2, 6], "two of each, then the rest by the winner"
    assert found.state == "completed"
    late = [p for p in found.people if p.ways[0].stations[-1].facts["claimed_at"] == flow.at(60)]
    assert len(late) == 4


def test_u14_r17_a_local_hour_on_the_day_that_the_clock_changes(flow, play):
    flow.people(1)
    wait = flow.step(1, "wait", after={"done": 2}, **{"for": "local_hour", "time": "02:30"})
    spring = datetime(2027, 3, 28, 0, 15, tzinfo=UTC)
    found = play(
        wait, flow.message(2),
        people=[Player("Kari", attributes={"time_zone": "Europe/Oslo"}), Player("Ola", attributes={"time_zone": "UTC"})],
        kind="api", at=(spring - flow.start) / timedelta(minutes=1),
    )  # fmt: skip
    left = {person.name: person.ways[0].stations[0].left_at for person in found.people}
    assert left["Kari"] == datetime(2027, 3, 28, 1, 0, tzinfo=UTC), "the first moment after the gap"
    assert left["Ola"] == datetime(2027, 3, 28, 2, 30, tzinfo=UTC)


def test_u14_a_real_contact_takes_part_as_a_copy(flow, play):
    """A change in the simulation is seen further down, and the contact keeps what it had."""
    flow.people(2, city="Oslo")
    change = flow.step(1, "set_attribute", 0, after={"done": 2}, changes=[{"attribute": "city", "value": "Bergen"}])
    rule = {"attribute": "city", "op": "eq", "value": "Bergen"}
    condition = flow.step(2, "condition", 0, after={"yes": 3}, rule=rule)
    with flow.session() as session:
        contact_id = session.scalar(sa.select(Contact.contact_id).where(Contact.email == flow.addresses[0]))
    found = play(change, condition, flow.message(3, 0), people=[Player("Real", contact_id=contact_id)])
    assert path(found, "Real")[1:] == [(2, "passed", "yes"), (3, "sent", "sent")]
    assert flow.attributes(flow.addresses[0])["city"] == "Oslo"


def test_u14_flowing_people_enter_by_an_event_and_unsubscribe_on_the_way(flow, play):
    flow.people(1)
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60})
    found = play(
        flow.message(1, after=2), wait, flow.message(3),
        kind="flowing", entry={"event": "signed_up", "leaving": "stay", "re_entry": "never", "every_minutes": 60},
        people=[Player("Kari"), Player("Ola")],
        events=[
            Happening("Kari", What.EVENT, word="signed_up", after=timedelta(minutes=5)),
            Happening("Kari", What.UNSUBSCRIBED, after=timedelta(minutes=30)),
        ],
    )  # fmt: skip
    assert path(found, "Kari") == [(1, "sent", "sent"), (2, "passed", "done"), (3, "skipped", "sent")]
    assert path(found, "Ola") == []


@pytest.mark.parametrize("entry", [{}, {"leaving": "stay", "re_entry": "never", "every_minutes": 60}])
@pytest.mark.parametrize("named", [False, True])
def test_u14_r15_people_come_by_the_list_alone(flow, play, entry, named):
    """With people or without, and at the start or later: whoever comes onto the list is found there."""
    flow.people(2)
    people = [Player("Kari"), Player("Ola", enters_at=flow.at(600)), Player("Per", listed=False)] if named else []
    wait = flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60})
    found = play(flow.message(1, after=2), wait, flow.message(3), kind="flowing", entry=entry, people=people, at=0)
    whole = [(1, "sent", "sent"), (2, "passed", "done"), (3, "sent", "sent")]
    expected = {"Kari": whole, "Ola": whole, "Per": []} if named else {"Person 1": whole, "Person 2": whole}
    assert {person.name: path(found, person.name) for person in found.people} == expected
    assert found.complete
    if named:
        entered = {person.name: person.ways[0].entry.entered_at for person in found.people if person.ways}
        assert entered == {"Kari": flow.at(0), "Ola": flow.at(600)}


def test_u14_r15_audiences_are_compared_only_where_they_may_have_changed(flow, play):
    """Turns by `every_minutes` keep their rhythm: who matches at seven past comes in at the full hour."""
    flow.people(1)
    found = play(
        flow.message(1, after=2),
        flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 60 * 24 * 300}),
        flow.message(3),
        kind="flowing", entry={"every_minutes": 5}, audience=audience(flow, OSLO), at=0,
        people=[Player("Kari", attributes={"city": "Oslo"}), Player("Ola", attributes={"city": "Bergen"})],
        events=[Happening("Ola", What.CHANGED, attributes={"city": "Oslo"}, at=flow.at(60 * 24 * 20 + 7))],
    )  # fmt: skip
    entered = {person.name: person.ways[0].entry.entered_at for person in found.people}
    assert entered == {"Kari": flow.at(0), "Ola": flow.at(60 * 24 * 20 + 10)}
    assert [len(path(found, name)) for name in ("Kari", "Ola")] == [3, 3]
    assert (found.complete, found.turns < 40) == (True, True), found.turns


def test_u14_r15_a_step_that_changes_somebody_lets_them_leave(flow, play):
    flow.people(1)
    found = play(
        flow.step(1, "set_attribute", after={"done": 2}, changes=[{"attribute": "city", "value": "Bergen"}]),
        flow.step(2, "wait", after={"done": 3}, **{"for": "delay", "minutes": 90}),
        flow.message(3),
        kind="flowing", entry={"leaving": "leave", "every_minutes": 60}, audience=audience(flow, OSLO), at=0,
        people=[Player("Kari", attributes={"city": "Oslo"}), Player("Ola", attributes={"city": "Oslo"}, consent=None)],
    )  # fmt: skip
    ends = {(person.ways[0].entry.end_reason, person.ways[0].entry.ended_at) for person in found.people}
    assert ends == {("left", flow.at(60))}
    assert found.complete


def test_u14_real_work_is_not_kept_waiting(flow, play):
    """Whoever appends to the audit chain, changes the contact or the campaign meanwhile waits for nobody."""
    flow.people(1, city="Oslo")
    change = flow.step(1, "set_attribute", 0, after={"done": 2}, changes=[{"attribute": "city", "value": "Bergen"}])
    prepared = play.prepare(change, flow.message(2, 0))
    seen = []

    def look(run, now):
        with flow.session() as session:
            session.execute(sa.text("SET LOCAL lock_timeout = '500ms'"))
            session.execute(sa.text("SELECT FROM audit_head FOR UPDATE NOWAIT"))
            session.execute(sa.text("SELECT FROM contact FOR UPDATE NOWAIT"))
            session.execute(sa.text("SELECT FROM campaign FOR UPDATE NOWAIT"))
            session.execute(sa.text("SELECT FROM agenda FOR UPDATE NOWAIT"))
            seen.append(run.step_no)

    original = Troupe._after_message
    Troupe._after_message = lambda self, run, now: (look(run, now), original(self, run, now))[1]
    try:
        prepared()
    finally:
        Troupe._after_message = original
    assert seen == [2]


def test_u14_of_another_workspace_nobody_takes_part(flow, play):
    flow.people(1)
    list_id, addresses = scenes.add_people(flow.world, flow.world.b, 1, tag="stranger")
    assert list_id
    with bound(flow.world.engine, flow.world.b) as session:
        stranger = session.scalar(sa.select(Contact.contact_id).where(Contact.email == addresses[0]))
    with pytest.raises(Invalid) as refused:
        play(flow.message(1, 0), people=[Player("Stranger", contact_id=stranger)])
    assert refused.value.faults[0].pointer == "/people/0/contact_id"
    with pytest.raises(NotFound):
        simulate(
            flow.world.engine,
            actor=flow.world.b.actor(Role.MANAGER),
            campaign_id=flow.id,
            no=1,
            scenario=Scenario(),
            terms=Terms(flow.world.app.extensions["countersign.renderer"], 300, flow.at(-60)),
        )


def test_u14_a_draft_that_lacks_something_says_so(flow):
    flow.people(1)
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place)
    answer = flow.world.client(flow.place, Role.MANAGER).post(f"/campaigns/{flow.campaign_id}/revisions/1/simulate")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "draft_not_ready")


def test_u14_over_the_api(flow):
    flow.people(2)
    flow.campaign_id = scenes.make_campaign(flow.world, flow.place)
    scenes.save(flow.world, flow.place, flow.campaign_id, flow.draft(flow.message(1, 0)))
    path = f"/campaigns/{flow.campaign_id}/revisions/1/simulate"
    body = {
        "people": [{"name": "Kari", "attributes": {"city": "Oslo"}}, {"name": "Ola", "suppressed": True}],
        "events": [{"person": "Kari", "what": "clicked", "step": 1, "after_minutes": 5}],
    }
    answer = flow.world.client(flow.place, Role.APPROVER).post(path, body)
    assert answer.status_code == 200, answer.text
    kari, ola = answer.get_json()["people"]
    assert kari["ways"][0]["steps"][0]["text"] == "was handed over"
    assert kari["events"][0]["what"] == "clicked"
    assert ola["ways"][0]["steps"][0]["facts"]["reason"] == "suppressed"
    assert flow.world.client(flow.place, Role.VIEWER).post(path, body).status_code == 403
    wrong = {"people": [{"name": "Kari", "attributes": {"shoe": 1}}], "events": [{"person": "Per", "what": "opened"}]}
    answer = flow.world.client(flow.place, Role.MANAGER).post(path, wrong)
    assert [fault["pointer"] for fault in answer.get_json()["errors"]] == ["/events/0/person", "/events/0/step"]


def test_u14_time_zones_and_events_that_cannot_be_are_refused(flow, play):
    flow.people(1)
    with pytest.raises(Invalid) as refused:
        play(
            flow.message(1, 0),
            people=[Player("Kari", attributes={"time_zone": "Mars/X"}), Player("Ola", attributes={"time_zone": ""})],
            events=[
                Happening("Kari", What.EVENT, word="X Y"),
                Happening("Kari", What.EVENT, word="order.placed"),
                Happening("Kari", What.EVENT),
                Happening("Ola", What.CHANGED, attributes={"time_zone": "Oslo"}),
                Happening("Ola", What.CHANGED, attributes={"time_zone": "Europe/Oslo"}),
            ],
        )
    assert {fault.pointer for fault in refused.value.faults} == {
        "/people/0/attributes/time_zone", "/events/0/word", "/events/2/word", "/events/3/attributes/time_zone",
    }  # fmt: skip


def test_u14_what_was_simulated_is_what_then_happens(flow, play):
    """The same contacts, the same draft: simulated before the publication, then really sent."""
    flow.people(6)
    for address in flow.addresses[:3]:
        flow.set(address, city="Oslo")
    with flow.session() as session:
        rows = {row.email: row for row in session.scalars(sa.select(Contact))}
        withdrawn, suppressed = rows[flow.addresses[0]], rows[flow.addresses[4]]
        session.execute(sa.update(Consent).where(Consent.contact_id == withdrawn.contact_id).values(status="withdrawn"))
        session.add(
            Suppression(
                tenant_id=flow.tenant_id, address_hash=suppressed.address_hash, reason="manual", at=flow.at(-90)
            )
        )
        session.commit()
    rule = {"attribute": "city", "op": "eq", "value": "Oslo"}
    change = flow.step(4, "set_attribute", 10, after={"done": 5}, changes=[{"attribute": "city", "value": "Oslo"}])
    steps = (
        flow.step(1, "condition", 0, after={"yes": 2, "no": 3}, rule=rule), flow.message(2, 0), flow.message(3, 5, after=4),
        change, flow.step(5, "condition", 10, after={"yes": 6}, rule=rule), flow.message(6, 10),
    )  # fmt: skip
    simulated = play(*steps, settings={"frequency_cap": {"use": "own", "messages": 1, "days": 7}})
    found = {person.contact_id: path(simulated, person.name) for person in simulated.people}
    reasons = {p.contact_id: [s.facts.get("reason") for s in p.ways[0].stations] for p in simulated.people}
    assert flow.sink.messages == []
    scenes.approve(flow.world, flow.place, flow.campaign_id, scenes.submit(flow.world, flow.place, flow.campaign_id))
    flow.run(0).run(5).run(10).run(11)
    with flow.session() as session:
        for address in flow.addresses:
            contact_id = rows[address].contact_id
            told = why(session, actor=flow.place.actor(Role.MANAGER), campaign_id=flow.id, contact_id=contact_id)
            (way,) = told.ways
            assert [(s.step_no, s.state, s.exit) for s in way.stations] == found[contact_id]
            assert [s.facts.get("reason") for s in way.stations] == reasons[contact_id]
    assert Counter(reason for each in reasons.values() for reason in each if reason) == {
        "unsubscribed": 1, "suppressed": 2, "capped": 2,
    }  # fmt: skip


def crowd(flow):
    """Steps, people, and what they do within two minutes: click, click again, turn away, move, click on what follows."""
    steps = [
        flow.message(1, after=2),
        flow.step(2, "decision", after={"yes": 3, "no": 4}, on="clicked", message=1, within_minutes=21),
        flow.message(3, after=5),
        flow.message(4),
        flow.step(5, "decision", after={"yes": 6, "no": 7}, on="event", event="order.placed", within_minutes=1),
        flow.step(6, "condition", after={"yes": 8}, rule={"attribute": "city", "op": "eq", "value": "Oslo"}),
        flow.message(7),
        flow.message(8),
    ]
    people = [Player(f"P{no}", attributes={"city": "Oslo" if no % 2 else "Bergen"}) for no in range(36)]
    events = []
    for no, person in enumerate(people):
        clicks = timedelta(minutes=20, seconds=3 * no)  # the last ones after the deadline
        at = flow.at(0) + clicks
        events.append(Happening(person.name, What.CLICKED, 1, after=clicks))
        more = {
            1: Happening(person.name, What.EVENT, word="order.placed", at=at + timedelta(seconds=4)),
            2: Happening(person.name, What.UNSUBSCRIBED, at=at - timedelta(seconds=1)),
            3: Happening(person.name, What.CLICKED, 3, at=at + timedelta(seconds=2)),
            4: Happening(person.name, What.CHANGED, attributes={"city": "Oslo"}, at=at + timedelta(seconds=1)),
            5: Happening(person.name, What.EVENT, word="order.placed", at=at + timedelta(minutes=4)),
        }
        events += [more[no % 6]] if no % 6 in more else []
        if no % 6 == 4:
            events.append(Happening(person.name, What.EVENT, word="order.placed", at=at + timedelta(seconds=2)))
    return steps, people, events


def test_u14_where_much_happens_people_go_on_together_and_nobody_goes_another_way(flow, play, monkeypatch):
    flow.people(1)
    steps, people, events = crowd(flow)
    prepared = play.prepare(*steps, people=people, events=events, kind="api", at=0)
    exact = prepared()
    monkeypatch.setattr(scenario, "EXACTLY", 10)
    together = prepared()
    assert (exact.grain_s, together.grain_s) == (0, 60)
    assert together.turns < 0.75 * exact.turns, "a turn takes all who clicked meanwhile"
    assert (exact.complete, together.complete) == (True, True)
    for one, other in zip(exact.people, together.people, strict=True):
        assert path(together, other.name) == path(exact, one.name)
        assert [(a.what, a.at, a.text) for a in other.acted] == [(a.what, a.at, a.text) for a in one.acted]
        for way, same in zip(one.ways, other.ways, strict=True):
            for station, late in zip(way.stations, same.stations, strict=True):
                if station.left_at is not None:
                    assert timedelta() <= late.left_at - station.left_at < timedelta(seconds=2 * 60)
    assert {exit_ for person in exact.people for *_, exit_ in path(exact, person.name)} >= {"yes", "no", "sent"}
