"""What a step does to one person at once: conditions, splits that look once, actions."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.reference.flow import rules, split
from tests.reference.flow.shape import Step
from tests.reference.flow.state import Entry, Life
from tests.reference.flow.times import moment, next_clock, wall_of, zone_of
from tests.reference.flow.words import Effect, Message, Person

# Whoever is too late at a step goes on by the first of these that it has.
_TOO_LATE = ("remaining", "no", "timeout", "failed", "done", "sent")
_ENDS_TOO_LATE = ("random_split", "segment_split", "ab_test")
OVER = ""


def at_once(life: Life, entry: Entry, step: Step) -> str | None:
    """Do what a step does without waiting. Returns the exit, OVER where the way ends, None where somebody waits."""
    do = _DO.get(step.kind)
    return None if do is None else do(life, entry, step)


def too_late(step: Step) -> str:
    """Return the exit of whoever is too late at a step; OVER where the way ends."""
    if step.kind in _ENDS_TOO_LATE:
        return OVER
    return next((way for way in _TOO_LATE if way in step.exits), OVER)


def plan(entry: Entry, step: Step, not_before: datetime) -> Message:
    """Give somebody their message."""
    message = Message(step.step_no, not_before)
    entry.way.messages.append(message)
    return message


def did(life: Life, entry: Entry, step_no: int, *, machines: bool, until: datetime | None = None) -> set[str]:
    """Return what somebody did about a message that was sent to them, up to a moment, or up to now.

    Nothing where it was not sent.
    """
    message = entry.message(step_no)
    if message is None or message.outcome != "accepted":
        return set()
    found = set()
    for seen in [each for each in life.seen if until is None or each.at <= until]:
        if (seen.entry_id, seen.step_no) == (entry.way.entry_id, step_no):
            found |= {"opened"} if seen.what == "machine_opened" and machines else {seen.what} & {"opened", "clicked"}
        elif _is_conversion(life, seen, entry) and seen.at >= (message.settled_at or message.not_before):
            found.add("converted")
    return found


def _is_conversion(life: Life, seen: Any, entry: Entry) -> bool:
    same = seen.what == "event" and seen.name == life.campaign.conversion
    return same and seen.person == entry.way.person


# What they do ---------------------------------------------------------------------------------------------------------


def _condition(life: Life, entry: Entry, step: Step) -> str:
    person = life.person(entry)
    fits = rules.holds(step.own["rule"], person.attributes, person.consents, life.campaign.attributes)
    return "yes" if fits else "no"


def _segment(life: Life, entry: Entry, step: Step) -> str:
    person = life.person(entry)
    branches = step.own["branches"]
    return next((each["key"] for each in branches if life.in_audience(person, each["audience_id"])), "remaining")


def _engagement(life: Life, entry: Entry, step: Step) -> str:
    found = did(life, entry, step.own["message"], machines=not step.own.get("ignore_machine_opens"))
    return split.engagement(found, step.own["interactions"])


def _set_attribute(life: Life, entry: Entry, step: Step) -> str:
    person = life.person(entry)
    for change in step.own["changes"]:
        put(person, change["attribute"], _value(life, person, entry.context, change))
    return "done"


def put(person: Person, attribute: str, value: Any) -> None:
    """Give somebody a value; None takes it away."""
    if value is None:
        person.attributes.pop(attribute, None)
    else:
        person.attributes[attribute] = value


def _value(life: Life, person: Person, context: Mapping[str, Any], change: Mapping[str, Any]) -> Any:
    before = person.attributes.get(change["attribute"])
    values = {
        "value": lambda: change["value"],
        "add": lambda: number(before) + change["add"],
        "copy": lambda: person.attributes.get(change["copy"], before),
        "context": lambda: context.get(change["context"], before),
        "now": lambda: _now(life, change["attribute"]),
        "clear": lambda: None,
    }
    return next(value() for word, value in values.items() if word in change)


def _now(life: Life, attribute: str) -> str:
    if rules.kind_of(attribute, life.campaign.attributes) == "date":
        return wall_of(life.now, life.campaign.zone).date().isoformat()
    return f"{life.now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def number(value: Any) -> int | float:
    """Return a value as a number to count on from; what is none counts as 0."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else 0


def _change_list(life: Life, entry: Entry, step: Step) -> str:
    lists = life.person(entry).lists
    (lists.add if step.own["action"] == "add" else lists.discard)(step.own["list_id"])
    return "done"


def _change_points(life: Life, entry: Entry, step: Step) -> str:
    person = life.person(entry)
    put(person, "points", number(person.attributes.get("points")) + step.own["points"])
    return "done"


def _other_campaign(life: Life, entry: Entry, step: Step) -> str:
    what = f"{step.own['action']} {step.own['campaign_id']}"
    life.effects.append(Effect(life.now, entry.way.entry_id, step.step_no, what))
    return "done"


def _notify(life: Life, entry: Entry, step: Step) -> str:
    """Of a dated step the staff is told once, when it begins."""
    if life.run_at(entry, step.step_no) is None or entry.late:
        life.effects.append(Effect(life.now, entry.way.entry_id, step.step_no, "notify 1"))
    return "done"


def _gate(life: Life, entry: Entry, step: Step) -> str | None:
    return None if step.own["wait"] else "accepted"


_DO = {
    "condition": _condition,
    "segment_split": _segment,
    "engagement_split": _engagement,
    "set_attribute": _set_attribute,
    "change_list": _change_list,
    "change_points": _change_points,
    "other_campaign": _other_campaign,
    "notify_staff": _notify,
    "gate": _gate,
    "end": lambda _life, _entry, _step: OVER,
}


# Waits ----------------------------------------------------------------------------------------------------------------


def wait_until(own: Mapping[str, Any], person: Person, zone: str, arrived_at: datetime) -> datetime:
    """Return when a wait is over for somebody who arrived then; never before the arrival."""
    theirs = zone_of(person.attributes, zone)
    if own["for"] == "delay":
        return arrived_at + timedelta(minutes=own["minutes"])
    if own["for"] == "date":
        return max(arrived_at, moment(own["until"], zone))
    if own["for"] == "local_hour":
        return next_clock(own["time"], theirs, arrived_at)
    return _attribute(own, person, theirs, arrived_at)


def _attribute(own: Mapping[str, Any], person: Person, zone: str, arrived_at: datetime) -> datetime:
    given = str(person.attributes.get(own["attribute"]) or "")[:10]
    try:
        day = datetime.fromisoformat(given)
    except ValueError:
        return arrived_at
    away = timedelta(days=own.get("days") or 0)
    if not own.get("yearly"):
        return max(arrived_at, moment(f"{(day + away).date()}T{own['time']}", zone))
    year = wall_of(arrived_at, zone).year - 2
    while True:
        found = moment(f"{(_in_year(day, year) + away).date()}T{own['time']}", zone)
        if found >= arrived_at:
            return found
        year += 1


def _in_year(day: datetime, year: int) -> datetime:
    """Return the day in another year; 29 February is 1 March where there is none."""
    try:
        return day.replace(year=year)
    except ValueError:
        return datetime(year, 3, 1)  # noqa: DTZ001  a wall date
