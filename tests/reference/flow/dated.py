"""Cohorts: a dated step begins for all of its people at once and ends when each has an outcome (R1, R2, R4)."""

from collections import Counter
from datetime import datetime, timedelta

from tests.reference.flow import single, split, steps
from tests.reference.flow.shape import Step
from tests.reference.flow.state import Entry, Life, Occurrence, Run, come, effective_at, end, end_at, enter, leave
from tests.reference.flow.times import moment, zone_of
from tests.reference.flow.words import Effect, Way


def work(life: Life) -> bool:
    """Begin and end every dated step that can. Returns whether any did."""
    changed = False
    for occurrence in life.occurrences.values():
        for run in occurrence.runs.values():
            due = begins_at(life, occurrence, run)
            if due is not None and due <= life.now and not life.is_over():
                _begin(life, occurrence, run)
                changed = True
            if run.state == "running":
                changed = _go_on(life, occurrence, run) or changed
    return changed


def begins_at(life: Life, occurrence: Occurrence, run: Run) -> datetime | None:
    """Return when a step may begin: its own time and the end of every step that leads to it; None: nobody knows yet."""
    if run.state != "planned":
        return None
    found = effective_at(life, run)
    for number, _ in occurrence.campaign.leads_to(run.step.step_no):
        before = occurrence.runs.get(number)
        if before is None:
            continue
        ended = before.started if _is_first_part(before, run) else before.finished
        if ended is None:
            return None
        found = max(found, ended)
    return found


def _is_first_part(before: Run, run: Run) -> bool:
    """The message behind a test begins with the test's people; the others come when the test is decided."""
    return before.step.kind == "ab_test" and run.step.is_message


def dues(life: Life) -> list[datetime]:
    """Return when a dated step may have something to do."""
    found = []
    for occurrence in life.occurrences.values():
        for run in occurrence.runs.values():
            begins = begins_at(life, occurrence, run)
            found += [begins] if begins else []
            if run.state == "running" and run.started and run.step.kind == "gate":
                found.append(_times_out_at(run.step, run.started))
            if run.state == "running" and run.started and run.step.kind == "ab_test":
                found.append(single.decides_at(run.step, run.started))
    return found


def people_at(life: Life, occurrence: Occurrence, step_no: int) -> list[Entry]:
    """Return who is at a step, in order of their ids, without those who came too late to it."""
    mine = [entry for entry in life.in_order() if entry.way.occurrence == occurrence.key]
    return [entry for entry in mine if entry.stands_at(step_no) and not (entry.late and entry.is_at(step_no))]


# The beginning of a step ----------------------------------------------------------------------------------------------


def _begin(life: Life, occurrence: Occurrence, run: Run) -> None:
    if not occurrence.is_begun:
        occurrence.is_begun = True
        if life.campaign.kind == "dated":
            _fix_cohort(life, occurrence)
    run.effective, run.started, run.state = effective_at(life, run), life.now, "running"
    people = people_at(life, occurrence, run.step.step_no)
    for entry in people:
        entry.late = False
        come(life, entry, run.step.step_no)
    if run.skip or (run.latest is not None and life.now > run.latest):
        _too_late(life, run, people)
    elif run.step.kind in _BEGIN:
        _BEGIN[run.step.kind](life, occurrence, run, people)
    elif not run.step.is_message:
        _at_once(life, run, people)


def _fix_cohort(life: Life, occurrence: Occurrence) -> None:
    """Whoever is in the audience now is the cohort, nobody else ever (R4)."""
    for person in sorted(life.people.values(), key=lambda each: each.contact):
        if life.fits(person, occurrence.campaign.list_id, occurrence.campaign.audience):
            way = Way(life.take_id(person.no, occurrence.key), person.no, occurrence.key, life.now)
            enter(life, Entry(way, "cohort"))


def _too_late(life: Life, run: Run, people: list[Entry]) -> None:
    for entry in people:
        _out(life, entry, run.step, steps.too_late(run.step), "too_late")
    _finish(life, run)


def _out(life: Life, entry: Entry, step: Step, way: str, reason: str) -> None:
    if way != steps.OVER:
        leave(life, entry, step.step_no, way)
    else:
        end_at(life, entry, step, step.own.get("reason", reason) if step.kind == "end" else reason)


def _at_once(life: Life, run: Run, people: list[Entry]) -> None:
    if run.step.kind == "notify_staff":
        life.effects.append(Effect(life.now, None, run.step.step_no, f"notify {len(people)}"))
    ways = [(entry, steps.at_once(life, entry, run.step)) for entry in people]
    for entry, way in ways:
        if way is not None:
            _out(life, entry, run.step, way, "finished")
    if all(way is not None for _, way in ways) and run.step.kind not in {"call_webhook", "gate"}:
        _finish(life, run)


def _random_split(life: Life, occurrence: Occurrence, run: Run, people: list[Entry]) -> None:
    del occurrence
    if life.campaign.kind != "dated" and life.script.manner is None:
        for entry in people:  # those of calls are dealt out in blocks, wherever the split stands (R8)
            told = life.dealt.get((entry.way.entry_id, run.step.step_no))
            if told is None:
                life.wrong(f"lost: {entry.way.entry_id} stands at split {run.step.step_no}, without an exit")
            else:
                leave(life, entry, run.step.step_no, told.exit)
        _finish(life, run)
        return
    dealt = split.exact(life.campaign.salt, run.step.step_no, [e.way.entry_id for e in people], run.step.branches)
    for entry in people:
        leave(life, entry, run.step.step_no, dealt[entry.way.entry_id])
    _finish(life, run)


def _ab_test(life: Life, occurrence: Occurrence, run: Run, people: list[Entry]) -> None:
    """The test's part goes on now: as the engine dealt them, else in order of the split."""
    del occurrence
    step, ids = run.step, [entry.way.entry_id for entry in people]
    percent, variants = step.own["test_percent"], len(step.branches)
    size = sum(split.quotas([*([percent] * variants), (100 - percent) * variants], len(ids))[:variants])
    decided_at = single.decides_at(step, life.now)
    told = {i: life.dealt[i, step.step_no] for i in ids if (i, step.step_no) in life.dealt}
    if told:
        first = {i: each.exit for i, each in told.items() if each.at is None or each.at < decided_at}
    else:
        ordered = sorted(ids, key=lambda i: split.rank(life.campaign.salt, step.step_no, i))
        first = split.exact(life.campaign.salt, step.step_no, ordered[:size], step.branches)
    _judge_test(life, step, first, size)
    for entry in people:
        if entry.way.entry_id in first:
            leave(life, entry, step.step_no, first[entry.way.entry_id])


def _judge_test(life: Life, step: Step, first: dict[int, str], size: int) -> None:
    if life.campaign.kind != "dated":
        return
    if len(first) != size:
        life.wrong(f"different: test {step.step_no} is on {len(first)} people, {size} is right")
    counted = Counter(first.values())
    shares = [counted[key] for key, _ in step.branches]
    if sum(shares) != len(first) or max(shares) - min(shares) > 1:
        life.wrong(f"different: test {step.step_no} shares its people out as {dict(counted)}")


_BEGIN = {"random_split": _random_split, "ab_test": _ab_test}


# While it runs --------------------------------------------------------------------------------------------------------


def _go_on(life: Life, occurrence: Occurrence, run: Run) -> bool:
    """Do what a running step can do now. Returns whether it did anything."""
    do = _messages if run.step.is_message else _RUNS[run.step.kind]
    return do(life, occurrence, run)


def _messages(life: Life, occurrence: Occurrence, run: Run) -> bool:
    number = run.step.step_no
    people = people_at(life, occurrence, number)
    changed = _planned(life, run, people)
    above = [occurrence.runs.get(no) for no, _ in occurrence.campaign.leads_to(number)]
    more_may_come = any(before and before.state != "finished" for before in above)
    settled = [entry for entry in people if (m := entry.message(number)) is not None and m.outcome is not None]
    is_over = len(settled) == len(people) and not more_may_come
    if not is_over and life.campaign.kind == "dated":  # those of calls go on one by one
        return changed
    for entry in settled:
        leave(life, entry, number, "sent")
    if is_over:
        _finish(life, run)
    return changed or is_over or bool(settled)


def _planned(life: Life, run: Run, people: list[Entry]) -> bool:
    changed = False
    for entry in people:
        if not entry.is_at(run.step.step_no):
            come(life, entry, run.step.step_no)
        if entry.message(run.step.step_no) is None:
            _plan(life, entry, run)
            changed = True
    return changed


def _plan(life: Life, entry: Entry, run: Run) -> None:
    local = run.step.own.get("local_time")
    message = steps.plan(entry, run.step, life.now)
    if not local:
        return
    theirs = _theirs(life, entry, run)
    assert run.started is not None
    if theirs >= run.started:
        message.not_before = max(theirs, life.now)
    elif local["past"] == "skip":
        message.outcome, message.settled_at = "skipped", life.now
    elif local["past"] == "next_day":
        day = 0
        while theirs < run.started:
            day += 1
            theirs = _theirs(life, entry, run, day)
        message.not_before = max(theirs, life.now)


def _theirs(life: Life, entry: Entry, run: Run, days: int = 0) -> datetime:
    """Return the step's time by somebody's own clock."""
    return moment(run.wall + timedelta(days=days), zone_of(life.person(entry).attributes, life.campaign.zone))


def _gate(life: Life, occurrence: Occurrence, run: Run) -> bool:
    assert run.started is not None
    step_no = run.step.step_no
    people = people_at(life, occurrence, step_no)
    is_released = (step_no, occurrence.key) in life.released
    if people and not is_released and life.now < _times_out_at(run.step, run.started):
        return False
    for entry in people:
        otherwise = "accepted" if is_released else "timeout"
        leave(life, entry, step_no, single.passes_by(life, entry, step_no, otherwise))
    _finish(life, run)
    return True


def _times_out_at(step: Step, since: datetime) -> datetime:
    return since + timedelta(minutes=step.own["timeout_minutes"])


def _webhook(life: Life, occurrence: Occurrence, run: Run) -> bool:
    """Whoever was answered leaves; what comes next begins for a cohort when everybody has left."""
    people = people_at(life, occurrence, run.step.step_no)
    ways = [(entry, single.replied(life, entry, run.step)) for entry in people]
    answered = [(entry, way) for entry, way in ways if way is not None]
    is_over = len(answered) == len(people)
    for entry, way in answered:
        leave(life, entry, run.step.step_no, way)
    if is_over:
        _finish(life, run)
    return is_over or bool(answered)


def _test_goes_on(life: Life, occurrence: Occurrence, run: Run) -> bool:
    """When the test is decided the others follow the winner."""
    assert run.started is not None
    step, rest = run.step, people_at(life, occurrence, run.step.step_no)
    if rest and life.now < single.decides_at(step, run.started):
        return False
    tested = [e for e in life.in_order() if e.way.occurrence == occurrence.key and e.way_at(step.step_no)]
    won = single.winner(life, step, tested, until=single.decides_at(step, run.started))
    for entry in rest:
        dealt = life.dealt.get((entry.way.entry_id, step.step_no))
        if dealt is not None and dealt.exit != won:
            life.wrong(f"different: {entry.way.entry_id} left test {step.step_no} by {dealt.exit}, {won} had won")
        leave(life, entry, step.step_no, won)
        _go_past(life, occurrence, entry)
    _finish(life, run)
    return True


def _go_past(life: Life, occurrence: Occurrence, entry: Entry) -> None:
    """The winner's message may have been too late for everybody: then the others have nothing of it, too."""
    for number in entry.place:
        run = occurrence.runs.get(number)
        if run is not None and run.state == "finished":
            come(life, entry, number)
            leave(life, entry, number, "sent")


_RUNS = {"gate": _gate, "call_webhook": _webhook, "ab_test": _test_goes_on}


def _finish(life: Life, run: Run) -> None:
    run.finished, run.state = life.now, "finished"


def cancel(life: Life, reason: str) -> None:
    """Nothing begins any more: whoever waits for a step is out, what runs goes to its end."""
    for occurrence in life.occurrences.values():
        for run in occurrence.runs.values():
            if run.state == "planned":
                run.effective, run.state = effective_at(life, run), "cancelled"
                for entry in people_at(life, occurrence, run.step.step_no):
                    end(life, entry, reason)
