"""Flows, people and days that nobody planned: `grow(seed)` always grows the same.

What needs the ids of entries cannot stand in a script before a life is lived, so people have wishes (what they do
about a message, when they get it); `lived` turns them into facts where no engine is there to be asked.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random  # noqa: TID251  a seeded one
from typing import Any
from uuid import UUID

from tests.reference.flow.bed import AUDIENCES, MOST_STEPS, Bed, any_rule, exits_of
from tests.reference.flow.life import play
from tests.reference.flow.times import LEAD, moment, moved, wall_of
from tests.reference.flow.words import (
    Called,
    Changed,
    Dealt,
    Decided,
    Fact,
    Looked,
    Manner,
    Paused,
    Person,
    Published,
    Released,
    Replied,
    Resumed,
    Script,
    Seen,
    Settled,
    Stopped,
    Told,
)  # fmt: skip

ZONES = (
    "America/New_York", "Europe/Paris", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Cairo", "America/Sao_Paulo",
)  # fmt: skip
ATTRIBUTES = {
    "plan": "text", "orders": "number", "vip": "boolean", "birthday": "date", "seen": "datetime", "points": "number",
}  # fmt: skip
# Around these days clocks are changed somewhere; the last is an ordinary one.
_DAYS = ("2026-10-24", "2026-10-31", "2026-10-29", "2026-04-04", "2027-03-13", "2027-03-27", "2026-04-23", "2026-06-10")


@dataclass(frozen=True)
class Wish:
    """What somebody does so many seconds after they get a message, or after they come to a gate.

    what: opened, clicked, machine_opened; bought: an event; rejected or accepted at a gate; released: the whole gate, by nobody.
    """

    person: int | None
    step_no: int
    what: str
    after: int


@dataclass
class Skeleton:
    """A life to be: facts that need no entry ids, wishes, and how the world behaves."""

    facts: list[Fact]
    until: datetime
    wishes: list[Wish]
    manner: Manner
    counts: dict[str, int] = field(default_factory=dict)


def grow(seed: int, without: Collection[str] = ()) -> tuple[dict[str, Any], list[Person], Skeleton]:
    """Return a campaign that can be published, people, and a life for them. without: kinds of steps to leave out."""
    random = Random(seed)
    kind = ("dated", "api", "flowing")[seed % 3]
    begin = datetime.fromisoformat(f"{random.choice(_DAYS)}T{random.randrange(24):02}:{random.randrange(60):02}")
    begin = begin.replace(tzinfo=UTC)
    bed = Bed(random, kind, random.choice(ZONES), begin, without=without)
    start = bed.place(bed.first_time(), (), ())
    campaign = {
        "kind": kind, "zone": bed.zone, "salt": f"{random.getrandbits(128):032x}",
        "flow": {"start": start, "steps": bed.steps}, "settings": {"conversion": {"event": "bought"}},
        "marketing": kind == "dated" or random.random() < 0.8, "list_id": random.choice(["lst_news", None]),
        "audience": any_rule(random) if random.random() < 0.5 else None, "audiences": AUDIENCES,
        "attributes": ATTRIBUTES,
    }  # fmt: skip
    _settings(random, campaign, bed)
    people = [_person(random, no) for no in range(1, random.randint(3, 30) + 1)]
    return campaign, people, _skeleton(random, campaign, people, bed)


def lived(campaign: Mapping[str, Any], people: list[Person], skeleton: Skeleton) -> tuple[Script, Told]:
    """Return a whole script of a life without an engine, and how it went: wishes become facts until no more do.

    A pause that comes when everything is over is refused, and left out.
    """
    script = Script(list(skeleton.facts), skeleton.until, manner=skeleton.manner)
    planned = skeleton.facts
    for _ in range(3 * MOST_STEPS):
        told = play(campaign, people, script)
        if any("paused although" in each for each in told.findings):
            planned = [fact for fact in planned if not isinstance(fact, Paused | Resumed)]
        facts = [*planned, *_granted(told, skeleton.wishes)]
        if facts == script.facts:
            return script, told
        script = replace(script, facts=facts)
    return script, told


def written(campaign: Mapping[str, Any], script: Script, told: Told) -> Script:
    """Return the script of a life as an engine would have written it: every outcome, answer, exit and id is told."""
    kinds = {step["step_no"]: step["kind"] for step in campaign["flow"]["steps"]}
    facts, dealt, ids = list(script.facts), [], dict[tuple[int, str], list[int]]()
    calls = [each for each in facts if isinstance(each, Called)]
    for way in told.ways:
        if campaign["kind"] != "api":
            ids.setdefault((way.person, way.occurrence), []).append(way.entry_id)
        facts += [
            Settled(each.settled_at, way.entry_id, each.step_no, each.outcome)
            for each in way.messages
            if each.outcome and each.settled_at and each.outcome != "skipped"
        ]
        for each in way.path:
            if each.exit and kinds[each.step_no] in {"random_split", "ab_test"}:
                dealt.append((each.arrived_at, Dealt(way.entry_id, each.step_no, each.exit, each.left_at)))
            if each.exit in {"done", "failed"} and each.left_at and kinds[each.step_no] == "call_webhook":
                facts.append(Replied(each.left_at, way.entry_id, each.step_no, ok=each.exit == "done"))
    accepted = [call for call, answer in zip(calls, told.answers, strict=False) if answer[2] == "accepted"]
    named = dict(zip(map(id, accepted), (way.entry_id for way in told.ways), strict=False))
    facts = [replace(each, entry_id=named[id(each)]) if id(each) in named else each for each in facts]
    in_turn = [each for _, each in sorted(dealt, key=lambda pair: pair[0])]
    return Script(sorted(facts, key=lambda fact: fact.at), script.until, ids, in_turn)


def _granted(told: Told, wishes: list[Wish]) -> list[Fact]:
    found: list[Fact] = []
    for way in told.ways:
        for wish in wishes:
            for at in _when(way, wish):
                # Nobody does anything about what they get at that very moment: it could keep them from getting it.
                fact = _fact(wish, way, at + timedelta(seconds=max(wish.after, 1)))
                found += [] if fact in found else [fact]
    return found


def _when(way: Any, wish: Wish) -> list[datetime]:
    if wish.what == "released":
        return [each.arrived_at for each in way.path if each.step_no == wish.step_no]
    if wish.person != way.person:
        return []
    if wish.what in {"accepted", "rejected"}:
        return [each.arrived_at for each in way.path if each.step_no == wish.step_no]
    sent = [m for m in way.messages if m.step_no == wish.step_no and m.outcome == "accepted" and m.settled_at]
    return [each.settled_at for each in sent]


def _fact(wish: Wish, way: Any, at: datetime) -> Fact:
    if wish.what == "released":
        return Released(at, wish.step_no, way.occurrence)
    if wish.what in {"accepted", "rejected"}:
        return Decided(at, wish.step_no, way.entry_id, wish.what)
    return seen_by(wish, at, way.person, way.entry_id)


def seen_by(wish: Wish, at: datetime, person: int, entry_id: int) -> Seen:
    """Return the fact that a wish about a message becomes."""
    if wish.what == "bought":
        return Seen(at, person, "event", name="bought")
    return Seen(at, person, wish.what, entry_id, wish.step_no)


# Settings, people, days -----------------------------------------------------------------------------------------------


def _settings(random: Random, campaign: dict[str, Any], bed: Bed) -> None:
    if campaign["kind"] == "api":
        campaign["settings"]["late"] = random.choice(["prefix_only", "refuse", "send"])
        if random.random() < 0.3:
            campaign["settings"]["accepts_until"] = moved(f"{wall_of(bed.begin, bed.zone):%Y-%m-%dT%H:%M}", 2)
    elif campaign["kind"] == "flowing":
        campaign["entry"] = {
            "audience": random.choice(sorted(AUDIENCES)), "event": random.choice(["visited", None]),
            "leaving": random.choice(["stay", "leave"]), "every_minutes": random.choice([180, 360, 1440]),
            "re_entry": random.choice(["never", "after_finishing", "always"]),
        }  # fmt: skip
    elif random.random() < 0.3:
        rule = random.choice(["FREQ=DAILY", "FREQ=DAILY;INTERVAL=2", "FREQ=WEEKLY", "FREQ=MONTHLY"])
        campaign["recurrence"] = {"rule": rule, "until": None, "count": random.choice([2, 3])}
        for step in bed.steps:
            step.pop("latest", None)  # a wall time of one round would be that of all
    if random.random() < 0.1:
        campaign["publish_until"] = moved(f"{wall_of(bed.begin, bed.zone):%Y-%m-%dT%H:%M}", random.randint(1, 3))


def _person(random: Random, no: int) -> Person:
    attributes: dict[str, Any] = {}
    for key, values in (
        ("plan", ["basic", "pro", " Pro ", ""]), ("orders", [0, 1, 3, 12.5]), ("vip", [True, False]),
        ("birthday", ["1980-02-29", "1992-10-26", "2001-04-05"]), ("city", ["Oslo", "Lyon"]), ("time_zone", ZONES),
    ):  # fmt: skip
        if random.random() < 0.75:
            attributes[key] = random.choice(values)
    consents = {"newsletter": random.choice(["given", "given", "given", "withdrawn"])} if random.random() < 0.9 else {}
    lists = {"lst_news"} if random.random() < 0.7 else set()
    contact = str(UUID(int=random.getrandbits(128), version=4))
    return Person(no, contact, attributes, consents, lists, suppressed=random.random() < 0.05)


def _skeleton(random: Random, campaign: dict[str, Any], people: list[Person], bed: Bed) -> Skeleton:
    days = 70 if campaign.get("recurrence") else 6
    until = bed.begin + timedelta(days=days)
    facts: list[Fact] = [Published(bed.begin)]
    facts += [_doing(random, people, bed.begin) for _ in range(random.randint(2, 18))]
    if campaign["kind"] == "api":
        facts += [_call(random, people, bed.begin) for _ in range(random.randint(3, 25))]
    if campaign["kind"] == "flowing":
        facts += [Looked(bed.begin + timedelta(hours=hours)) for hours in range(0, 100, random.choice([1, 6, 24]))]
    facts += _orders(random, campaign, bed)
    facts.sort(key=lambda fact: fact.at)
    wishes = [wish for person in people for wish in _wishes(random, person.no, bed.steps)]
    wishes += [
        Wish(None, step["step_no"], "released", random.choice([0, 120, 3000]))
        for step in bed.steps if step["kind"] == "gate" and random.random() < 0.4
    ]  # fmt: skip
    return Skeleton(
        facts, until, wishes, Manner(random.choice([0, 7, 400]), random.choice([0, 9]), random.choice([0, 4]))
    )


def _some_time(random: Random, begin: datetime) -> datetime:
    return begin + timedelta(seconds=random.choice([random.randrange(1, 7200), random.randrange(1, 4 * 86400)]))


def _doing(random: Random, people: list[Person], begin: datetime) -> Fact:
    at, no = _some_time(random, begin), random.choice(people).no
    match random.randrange(6):
        case 0 | 1:
            return Seen(at, no, "event", name=random.choice(["bought", "visited"]))
        case 2:
            return Changed(at, no, "attribute", "plan", random.choice(["pro", "basic", None]))
        case 3:
            return Changed(at, no, "attribute", "orders", random.choice([0, 5, None]))
        case 4:
            return Changed(at, no, "list", "lst_news", random.random() < 0.5)
        case _:
            return Changed(at, no, "consent", "newsletter", random.choice(["given", "withdrawn"]))


def _call(random: Random, people: list[Person], begin: datetime) -> Fact:
    key = random.choice([None, None, "k1", "k2"])
    context = {"plan": "pro"} if random.random() < 0.5 else {}
    return Called(_some_time(random, begin), random.choice(people).no, key=key, context=context)


def _orders(random: Random, campaign: dict[str, Any], bed: Bed) -> list[Fact]:
    """Pauses when it is active, an edit that writes later times, a stop."""
    found: list[Fact] = []
    dated = campaign["kind"] == "dated"
    if random.random() < (0.7 if dated else 0.3):
        at = (_starts(campaign, bed) if dated else bed.begin) + timedelta(minutes=1, seconds=30)
        at += timedelta(minutes=random.choice([0, 0, 20, 100]) if dated else 0)
        wall = (wall_of(at, bed.zone) + timedelta(minutes=1200)).isoformat(timespec="minutes")[:16]
        how = random.choice(["now", "skip", "skip", "skip", "new_time", "new_time", "new_time"]) if dated else "now"
        resumed = at + timedelta(minutes=random.choice([1, 45, 200, 1000]))
        found += [Paused(at), Resumed(resumed, how, wall if how == "new_time" else None)]
    elif dated and not campaign.get("recurrence") and random.random() < 0.75:
        found.append(Published(bed.begin + timedelta(minutes=1), _put_off(campaign)))
    if random.random() < 0.12:
        found.append(Stopped(bed.begin + timedelta(hours=random.choice([5, 30]))))
    return found


def _starts(campaign: dict[str, Any], bed: Bed) -> datetime:
    """Return when a cohort enters (R1)."""
    first = min(step["at"] for step in campaign["flow"]["steps"])
    return max(bed.begin + LEAD, moment(first, bed.zone))


def _put_off(campaign: dict[str, Any]) -> dict[str, Any]:
    """Return the campaign with every step a day later; its end as well where it would end before it begins."""
    steps = [
        {**step, **{name: moved(step[name], 1) for name in ("at", "latest") if step.get(name)}}
        for step in campaign["flow"]["steps"]
    ]
    later = {**campaign, "flow": {**campaign["flow"], "steps": steps}}
    until = campaign.get("publish_until")
    if until and until < min(step["at"] for step in steps):
        later["publish_until"] = moved(until, 1)
    return later


def leaves(campaign: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return where ways end by an exit: step and exit. Messages that are sent at once with others are left out."""
    flow = campaign["flow"]
    places = [flow["start"], *(targets for step in flow["steps"] for targets in step["next"].values())]
    together = {number for place in places if len(place) > 1 for number in place}
    return [
        (step["step_no"], way)
        for step in flow["steps"]
        if step["step_no"] not in together
        for way in exits_of(step)
        if not step["next"].get(way)
    ]


def extended(campaign: Mapping[str, Any], leaf: tuple[int, str], at: datetime) -> dict[str, Any]:
    """Return the campaign with two more steps below a leaf (R11), not before that moment."""
    wall = wall_of(at + timedelta(minutes=1), campaign["zone"]).isoformat(timespec="minutes")[:16]
    number = max(step["step_no"] for step in campaign["flow"]["steps"]) + 1
    more = [
        {"step_no": number, "kind": "email", "name": "More", "at": wall, "channel_id": "chn_mail", "content": {},
         "next": {"sent": [number + 1]}},
        {"step_no": number + 1, "kind": "change_points", "name": "Points", "at": wall, "points": 3, "next": {}},
    ]  # fmt: skip
    steps = [
        {**step, "next": {**step["next"], leaf[1]: [number]}} if step["step_no"] == leaf[0] else step
        for step in campaign["flow"]["steps"]
    ]
    return {**campaign, "flow": {**campaign["flow"], "steps": [*steps, *more]}}


def _wishes(random: Random, person: int, steps: list[dict[str, Any]]) -> list[Wish]:
    found = []
    asked = {step.get("message") for step in steps}
    for step in steps:
        is_asked = step["step_no"] in asked
        if step["kind"] in {"email", "webhook_message"} and random.random() < (0.95 if is_asked else 0.5):
            what = random.choice(["opened", "opened", "clicked", "clicked", "machine_opened", "bought"])
            what = "clicked" if is_asked and what == "machine_opened" and random.random() < 0.7 else what
            found.append(Wish(person, step["step_no"], what, random.choice([0, 60, 0 if is_asked else 4000])))
            if is_asked and random.random() < 0.4:
                found.append(Wish(person, step["step_no"], random.choice(["opened", "clicked"]), 5))
        if step["kind"] == "gate" and random.random() < 0.5:
            found.append(Wish(person, step["step_no"], random.choice(["rejected", "accepted"]), 30))
    return found
