"""Random flows can all be published, hold every kind of step and of time, and their lives keep what the text promises."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache

from tests.reference.flow.forms import FORMS
from tests.reference.flow.judge import compare
from tests.reference.flow.life import play
from tests.reference.flow.nursery import grow, lived, written
from tests.reference.flow.shape import read
from tests.reference.flow.words import plain

SEEDS = range(500)
LIVES = range(150)


@cache
def life(seed):
    given, people, skeleton = grow(seed)
    script, told = lived(given, people, skeleton)
    return given, people, script, told


def test_every_flow_can_be_published_and_every_kind_is_common():
    kinds, campaigns, times = Counter(), Counter(), Counter()
    for seed in SEEDS:
        given, people, _ = grow(seed)
        read(given)
        assert 3 <= len(people) <= 40
        campaigns[given["kind"]] += 1
        for step in given["flow"]["steps"]:
            kinds[step["kind"]] += 1
            times.update(_timings(given, step))
    assert set(kinds) == set(FORMS) and min(kinds.values()) >= 100, kinds
    assert min(campaigns.values()) >= 150 and set(campaigns) == {"dated", "api", "flowing"}
    assert min(times.values()) >= 30 and len(times) == 19, times


def _timings(given, step):
    yield "at" if step["at"] else "at once"
    yield from ["latest"] if step.get("latest") else []
    yield from [f"local, {step['local_time']['past']}"] if step.get("local_time") else []
    yield from [f"wait for {step['for']}"] if step["kind"] == "wait" else []
    yield from [f"decision on {step['on']}"] if step["kind"] == "decision" else []
    yield from ["messages at once"] if any(len(to) > 1 for to in step["next"].values()) else []
    yield from ["gate that waits" if step["wait"] else "gate that tells"] if step["kind"] == "gate" else []
    yield from ["recurring"] if given.get("recurrence") else []
    yield from ["publish_until"] if given.get("publish_until") else []


def test_a_seed_always_grows_the_same():
    for seed in (0, 1, 2, 77):
        assert grow(seed) == grow(seed)
        given, people, skeleton = grow(seed)
        assert lived(given, people, skeleton)[1] == life(seed)[3]


def test_lives_are_lawful_and_happen_in_many_ways():
    facts, reasons, exits = Counter(), Counter(), Counter()
    for seed in LIVES:
        _, _, script, told = life(seed)
        assert told.findings == [], (seed, told.findings)
        assert compare(told, plain(told)) == []
        facts.update(type(each).__name__ for each in script.facts)
        reasons.update(each.end_reason for each in told.ways)
        exits.update(each.exit for way in told.ways for each in way.path)
    assert {
        "Published",
        "Called",
        "Seen",
        "Changed",
        "Looked",
        "Paused",
        "Resumed",
        "Stopped",
        "Decided",
        "Released",
    } <= set(facts)
    assert {"finished", "too_late", "missed_step", "stopped"} <= set(reasons), reasons
    assert {"yes", "no", "accepted", "rejected", "timeout", "done", "failed", "remaining", "opened", "clicked"} <= set(
        exits
    ), exits


def test_a_life_whose_every_outcome_is_told_is_the_same_life():
    for seed in LIVES:
        given, people, script, told = life(seed)
        again = play(given, people, written(given, script, told))
        assert again.findings == [], (seed, again.findings)
        assert (again.ways, again.steps, again.state) == (told.ways, told.steps, told.state), seed


def test_an_engine_that_works_every_five_minutes_is_never_early():
    for seed in range(40):
        given, people, script, told = life(seed)
        begin = script.facts[0].at
        visits = [begin + timedelta(minutes=5 * number) for number in range(12 * 24 * 3)]
        visited = play(given, people, replace(script, visits=visits))
        assert visited.findings == [], seed
        starts = {(each.occurrence, each.step_no): each.started_at for each in told.steps}
        for each in visited.steps:
            assert each.started_at is None or each.started_at in visits
            assert each.started_at is None or each.started_at >= starts[each.occurrence, each.step_no], seed


def test_everybody_walks_along_the_flow_and_meets_a_step_once():
    for seed in LIVES:
        given, _, script, told = life(seed)
        edits = [each.campaign for each in script.facts if getattr(each, "campaign", None)]
        campaign = read(edits[-1] if edits else given)
        for way in told.ways:
            numbers = [each.step_no for each in way.path]
            assert len(set(numbers)) == len(numbers), seed
            for each in way.path:
                below = campaign.leads_to(each.step_no)
                came = [b for b in way.path if (b.step_no, b.exit) in below]
                assert each.step_no in campaign.start or came, (seed, way.entry_id, each)
                assert all(b.left_at <= each.arrived_at for b in came)
            assert {m.step_no for m in way.messages} <= set(numbers)


def test_r1_r2_no_step_begins_before_its_time_or_before_those_above_it_ended():
    for seed in LIVES:
        given, _, _, told = life(seed)
        campaign = read(given)
        runs = {(each.occurrence, each.step_no): each for each in told.steps}
        for each in told.steps:
            assert each.started_at is None or each.effective_at <= each.started_at
            for number, _ in campaign.leads_to(each.step_no):
                above = runs.get((each.occurrence, number))
                if above and each.started_at and campaign.steps[number].kind != "ab_test":
                    assert above.finished_at <= each.started_at, (seed, each)


def test_nothing_of_a_life_depends_on_the_order_of_people():
    for seed in range(30):
        given, people, skeleton = grow(seed)
        assert lived(given, people[::-1], skeleton)[1] == life(seed)[3]
