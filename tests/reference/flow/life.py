"""Plays a whole life by the text: `play` takes what happened in order of time and returns what has to be true."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from copy import deepcopy
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from tests.reference.flow import dated, single, split
from tests.reference.flow.shape import read
from tests.reference.flow.state import CARRIED_OUT, Entry, Life, Occurrence, are_all, effective_at, end
from tests.reference.flow.telling import tell
from tests.reference.flow.words import Person, Script, Stopped, Times, Told

INSTANT = timedelta(microseconds=1)


def play(given: Mapping[str, Any], people: Iterable[Person], script: Script) -> Told:
    """Play a life. Raises Refused when the campaign cannot be published."""
    first = min((fact.at for fact in script.facts), default=script.until)
    life = Life(read(given), {each.no: deepcopy(each) for each in people}, script, first)
    life.dealt = {(each.entry_id, each.step_no): each for each in script.dealt}
    for at, facts in groupby(sorted(script.facts, key=lambda fact: fact.at), key=lambda fact: fact.at):
        if at > script.until:
            break
        _go(life, at - INSTANT)
        life.now = at
        for fact in facts:
            tell(fact, life)
        if script.visits is None or at in script.visits:
            _work(life)
        _settle(life)
        _unsettled(life)
    _go(life, script.until)
    life.now = script.until
    _judge(life)
    return _told(life)


def _go(life: Life, until: datetime) -> None:
    """Do all that is due up to a moment, that moment included."""
    while (at := _next(life)) is not None and at <= until:
        life.now = at
        _work(life)


def _next(life: Life) -> datetime | None:
    """Return when there is something to do next."""
    visits = life.script.visits
    if visits is not None:
        place = bisect_left(visits, life.now + INSTANT)
        return visits[place] if place < len(visits) else None
    if life.state not in CARRIED_OUT:
        return None
    found = [*dated.dues(life), *single.dues(life), *_manner_dues(life)]
    if until := life.wall("publish_until"):
        found.append(until + INSTANT)
    return min((at for at in found if at > life.now), default=None)


def _work(life: Life) -> None:
    """Do all that can be done now, until nothing more can."""
    if life.state in CARRIED_OUT and life.campaign.kind != "dated":
        _close(life)  # nobody goes on at that moment
    if life.state in CARRIED_OUT:
        changed = True
        while changed:
            while _settle(life) or single.work(life):
                pass  # whoever goes alone comes as far as they can before a cohort is counted
            changed = dated.work(life)
        _close(life)
    if life.state == "scheduled" and any(each.is_begun for each in life.occurrences.values()):
        life.state = "active"
    if life.state in CARRIED_OUT and _is_completed(life):
        life.state = "completed"


def _settle(life: Life) -> bool:
    """Hand on the outcomes of messages that are there by now."""
    changed = False
    for fact in list(life.settled):
        entry = life.entries.get(fact.entry_id)
        message = entry.message(fact.step_no) if entry else None
        if message is not None:
            life.settled.remove(fact)
            if fact.at < message.not_before:
                life.wrong(f"too early: {fact.entry_id} at {fact.step_no}, not before {message.not_before}")
            message.outcome, message.settled_at = fact.outcome, fact.at
            changed = True
    if life.script.manner is None or life.state not in CARRIED_OUT:
        return changed
    for entry in life.entries.values():
        for message in entry.way.messages:
            if message.outcome is None and message.not_before + _manner(life) <= life.now:
                message.outcome, message.settled_at = life.script.manner.outcome(entry.way.entry_id), life.now
                changed = True
    return changed


def _unsettled(life: Life) -> None:
    for fact in life.settled:
        life.wrong(f"different: {fact.entry_id} got message {fact.step_no} ({fact.outcome}) and is not there")
    life.settled.clear()


def _manner(life: Life) -> timedelta:
    return timedelta(seconds=life.script.manner.seconds if life.script.manner else 0)


def _manner_dues(life: Life) -> list[datetime]:
    open_ones = [m for e in life.entries.values() for m in e.way.messages if m.outcome is None]
    return [m.not_before + _manner(life) for m in open_ones] if life.script.manner else []


def _close(life: Life) -> None:
    """After publish_until nothing begins; whoever waits is out. Without cohorts it is as if somebody stopped it."""
    if not life.is_over():
        return
    if life.campaign.kind != "dated":
        tell(Stopped(life.now), life)
        return
    dated.cancel(life, "publish_until")
    for entry in life.in_order():
        waits = [no for no in entry.place if (m := entry.message(no)) is None or m.outcome is not None]
        if entry.is_open and waits == list(entry.place) and not _is_running(life, entry):
            end(life, entry, "publish_until")


def _is_running(life: Life, entry: Entry) -> bool:
    runs = [life.run_at(entry, number) for number in entry.place]
    return any(run is not None and run.state == "running" for run in runs)


def _is_completed(life: Life) -> bool:
    """A campaign is completed when every way has ended; those that people can still enter never are."""
    if life.campaign.kind != "dated" and not life.is_over():
        return False
    cohorts = [each for each in life.occurrences.values() if _may_come(life, each)]
    is_last = len(cohorts) < len(life.occurrences) or are_all(life.campaign, len(cohorts))
    if not life.is_over() and not is_last:
        return False
    ended = all(run.state in {"finished", "cancelled"} for each in cohorts for run in each.runs.values())
    return ended and not any(entry.is_open for entry in life.entries.values())


def _may_come(life: Life, occurrence: Occurrence) -> bool:
    """Say whether an occurrence has begun or may begin; a campaign that runs waits for no round behind publish_until."""
    until = life.wall("publish_until")
    if occurrence.is_begun or until is None or life.state != "active":
        return True
    return min(effective_at(life, occurrence.runs[number]) for number in occurrence.campaign.start) <= until


# The answer -----------------------------------------------------------------------------------------------------------


def _judge(life: Life) -> None:
    """Judge what the engine dealt and whom it let in."""
    for person, ids in sorted(life.script.ids.items()):
        if unused := [each for each in ids if each not in life.used_ids]:
            life.wrong(f"different: {unused} of {person} are entries of nobody who enters")
    for step_no, step in life.campaign.steps.items():
        told = [each.exit for each in life.script.dealt if each.step_no == step_no]
        if step.kind == "random_split" and life.campaign.kind != "dated":
            life.findings += [f"split {step_no}: {each}" for each in split.wrong_blocks(told, step.branches)]


def _told(life: Life) -> Told:
    times = [
        Times(each.key, no, run.planned, run.effective or effective_at(life, run), run.started, run.finished, run.state)
        for each in life.occurrences.values()
        for no, run in each.runs.items()
    ]
    ways = [entry.way for entry in life.in_order()]
    return Told(
        life.state,
        ways,
        times,
        life.effects,
        life.answers,
        life.findings,
        sorted(life.people.values(), key=lambda each: each.no),
    )
