"""People who go by themselves: calls before the first dated step, and flowing campaigns (R5, R15)."""

from datetime import datetime, timedelta

from tests.reference.flow import split, steps
from tests.reference.flow.shape import Step
from tests.reference.flow.state import Entry, Life, come, end, end_at, enter, leave
from tests.reference.flow.words import Called, Dealt, Person, Replied, Seen, Way


def work(life: Life) -> bool:
    """Move everybody who can move by themselves now. Returns whether anybody did."""
    moved = False
    for entry in life.in_order():
        for step_no in entry.place:
            if entry.stands_at(step_no) and _is_single(life, entry, step_no):
                moved = _at(life, entry, life.document(entry).steps[step_no]) or moved
    return moved


def dues(life: Life) -> list[datetime]:
    """Return when somebody may be able to move."""
    found = []
    for entry in life.in_order():
        found += [entry.due] if entry.is_open and entry.due else []
        for step_no in entry.place:
            dealt = life.dealt.get((entry.way.entry_id, step_no))
            found += [dealt.at] if dealt and dealt.at and entry.stands_at(step_no) else []
    for step_no, (first, _) in life.tested.items():
        step = life.campaign.steps.get(step_no)
        found += [decides_at(step, first)] if step and step.kind == "ab_test" else []
    return found


def _is_single(life: Life, entry: Entry, step_no: int) -> bool:
    """Say whether somebody goes through this step alone; whoever comes too late to a dated step does or ends."""
    run = life.run_at(entry, step_no)
    if run is None:
        return True
    if run.state == "planned" or entry.door == "cohort":
        return False
    if entry.late or entry.is_at(step_no) or _came_by_the_run(life, entry):
        return entry.late
    if life.campaign.settings.get("late") != "send":
        end(life, entry, "missed_step")
        return False
    entry.late = True
    return True


def _came_by_the_run(life: Life, entry: Entry) -> bool:
    """Whoever comes from a dated step, with its cohort, is never late (the rest of a test follows its first part)."""
    return entry.last is not None and life.run_at(entry, entry.last[0]) is not None


def _at(life: Life, entry: Entry, step: Step) -> bool:
    """Do what somebody's step does now. Returns whether they did anything."""
    arrived = False
    if not entry.is_at(step.step_no):
        come(life, entry, step.step_no)
        run = life.run_at(entry, step.step_no)
        if run is not None and run.latest is not None and life.now > run.latest:
            _pass_by(life, entry, step)
            return True
        _arrive(life, entry, step)
        arrived = True
    way = _exit(life, entry, step)
    if way is None:
        return arrived
    if way == steps.OVER:
        end_at(life, entry, step, step.own.get("reason", "finished"))
    else:
        leave(life, entry, step.step_no, way)
    return True


def _pass_by(life: Life, entry: Entry, step: Step) -> None:
    """Whoever comes late and later than the latest useful time has nothing of the step."""
    way = steps.too_late(step)
    if way == steps.OVER:
        end_at(life, entry, step, step.own.get("reason", "too_late") if step.kind == "end" else "too_late")
    else:
        leave(life, entry, step.step_no, way)


def _arrive(life: Life, entry: Entry, step: Step) -> None:
    life.arrivals.setdefault(step.step_no, []).append(entry.way.entry_id)
    entry.due = None
    if step.is_message:
        steps.plan(entry, step, life.now)
    elif step.kind == "wait":
        entry.due = steps.wait_until(step.own, life.person(entry), life.campaign.zone, life.now)
    elif step.kind == "decision":
        entry.due = life.now + timedelta(minutes=step.own["within_minutes"])
    elif step.kind == "gate":
        entry.due = life.now + timedelta(minutes=step.own["timeout_minutes"])
    elif step.kind == "ab_test":
        life.tested.setdefault(step.step_no, (life.now, None))


def _exit(life: Life, entry: Entry, step: Step) -> str | None:
    """Return the exit that is open to somebody now, None while they wait."""
    if step.is_message:
        message = entry.message(step.step_no)
        return "sent" if message and message.outcome else None
    special = _EXITS.get(step.kind)
    found = steps.at_once(life, entry, step)
    return special(life, entry, step) if found is None and special else found


def _wait(life: Life, entry: Entry, step: Step) -> str | None:
    return "done" if entry.due and life.now >= entry.due else None


def _gate(life: Life, entry: Entry, step: Step) -> str | None:
    key = (entry.way.entry_id, step.step_no)
    if key not in life.let_go and not (entry.due and life.now >= entry.due):
        return None
    return passes_by(life, entry, step.step_no, "accepted" if key in life.let_go else "timeout")


def passes_by(life: Life, entry: Entry, step_no: int, otherwise: str) -> str:
    """Return the exit of somebody who leaves a gate now; what the other side filled in goes along (R6)."""
    decided = life.decided.get((entry.way.entry_id, step_no))
    if decided is not None:
        entry.context = {**entry.context, **decided.fields}
    return "rejected" if decided is not None and decided.exit == "rejected" else otherwise


def _decision(life: Life, entry: Entry, step: Step) -> str | None:
    arrived = entry.since or life.now
    assert entry.due is not None
    if any(answers(life, entry, step, seen) and arrived_in(step, seen, arrived, entry.due) for seen in life.seen):
        return "yes"
    return "no" if life.now >= entry.due else None


def answers(life: Life, entry: Entry, step: Step, seen: Seen) -> bool:
    """Say whether this is the fact that somebody's decision waits for."""
    on = step.own["on"]
    if on in {"opened", "clicked"}:
        words = {"opened": {"opened", "machine_opened"}, "clicked": {"clicked"}}[on]
        return (seen.entry_id, seen.step_no) == (entry.way.entry_id, step.own["message"]) and seen.what in words
    name = life.campaign.conversion if on == "converted" else step.own["event"]
    return (seen.person, seen.what, seen.name) == (entry.way.person, "event", name)


def arrived_in(step: Step, seen: Seen, arrived_at: datetime, due: datetime) -> bool:
    """Say whether a fact is in time: counted once, from the arrival (R15); about a message earlier facts count too."""
    return seen.at <= due and (step.own["on"] in {"opened", "clicked"} or seen.at >= arrived_at)


def _webhook(life: Life, entry: Entry, step: Step) -> str | None:
    return replied(life, entry, step)


def replied(life: Life, entry: Entry, step: Step) -> str | None:
    """Return the exit by what the other side answered, and fill in what the step takes from it."""
    key = (entry.way.entry_id, step.step_no)
    reply = life.replies.get(key)
    if reply is None:
        return life.script.manner.answer(entry.way.entry_id) if life.script.manner else None
    if key not in life.filled:
        life.filled.add(key)
        _fill(life.person(entry), step, reply)
    return "done" if reply.ok else "failed"


def _fill(person: Person, step: Step, reply: Replied) -> None:
    fill = step.own.get("fill") or ()
    for each in (fill if isinstance(fill, list | tuple) else (fill,)) if reply.ok else ():
        if each["field"] in reply.fields:
            steps.put(person, each["attribute"], reply.fields[each["field"]])


def _random_split(life: Life, entry: Entry, step: Step) -> str | None:
    dealt = life.dealt.get((entry.way.entry_id, step.step_no))
    if dealt is not None:
        return dealt.exit if dealt.at is None or dealt.at <= life.now else None
    if life.script.manner is None:
        life.wrong(f"lost: {entry.way.entry_id} stands at split {step.step_no}, and the engine wrote no exit")
    place = life.arrivals[step.step_no].index(entry.way.entry_id) % split.BLOCK
    return _nth(step, place)


def _nth(step: Step, place: int) -> str:
    for (key, _), quota in zip(step.branches, split.quotas([w for _, w in step.branches], split.BLOCK), strict=True):
        if place < quota:
            return key
        place -= quota
    raise ValueError(place)


# Tests of people who come one by one ----------------------------------------------------------------------------------


def decides_at(step: Step, since: datetime) -> datetime:
    """Return when a test is decided that began then."""
    return since + timedelta(minutes=step.own["decide_after_minutes"])


def _ab_test(life: Life, entry: Entry, step: Step) -> str | None:
    first, won = life.tested[step.step_no]
    is_decided = life.now >= decides_at(step, first)
    if is_decided and won is None:
        people = [e for e in life.in_order() if e.entered(step.step_no)]
        won = winner(life, step, people, until=decides_at(step, first))
        life.tested[step.step_no] = (first, won)
    dealt = life.dealt.get((entry.way.entry_id, step.step_no))
    if dealt is not None:
        return _as_dealt(life, dealt, won)
    if is_decided:
        return won
    if life.script.manner is None:
        return None  # whom the engine dealt no exit waits for the winner, and may be stopped before
    keys = [key for key, _ in step.branches]
    place = life.arrivals[step.step_no].index(entry.way.entry_id)
    is_test = place % split.BLOCK < split.quotas([step.own["test_percent"], 100 - step.own["test_percent"]], 100)[0]
    return keys[place % len(keys)] if is_test else None


def _as_dealt(life: Life, dealt: Dealt, won: str | None) -> str | None:
    if dealt.at is not None and dealt.at > life.now:
        return None
    if won is not None and dealt.exit != won:
        life.wrong(f"different: {dealt.entry_id} left test {dealt.step_no} by {dealt.exit}, {won} had won")
    return dealt.exit


def winner(life: Life, step: Step, people: list[Entry], *, until: datetime) -> str:
    """Return the branch of a test with the best rate up to a moment (R8 says who is in it, S16 that it is decided)."""
    keys = [key for key, _ in step.branches]
    counting = {"opened", "clicked"} if step.own["winner_by"] == "opened" else {step.own["winner_by"]}
    sent, won = dict.fromkeys(keys, 0), dict.fromkeys(keys, 0)
    for entry in people:
        way = entry.way_at(step.step_no)
        messages = [entry.message(number) for number in step.next.get(way, ())] if way else []
        for message in messages:
            if way and message and message.outcome == "accepted":
                sent[way] += 1
                won[way] += bool(steps.did(life, entry, message.step_no, machines=False, until=until) & counting)
    return split.winner(keys, sent, won)


_EXITS = {
    "wait": _wait, "gate": _gate, "decision": _decision, "call_webhook": _webhook, "random_split": _random_split,
    "ab_test": _ab_test,
}  # fmt: skip


# Who comes in ---------------------------------------------------------------------------------------------------------


def called(life: Life, fact: Called) -> None:
    """One person of a call (R5). What the engine answered has to be what the text has."""
    answer = _answer(life, life.people[fact.person], fact)
    life.answers.append((life.now, fact.person, answer))
    if fact.answer is not None and fact.answer != answer:
        life.wrong(f"different: the call for {fact.person} was answered {fact.answer}, the text has {answer}")
    if answer == "accepted":
        given = fact.entry_id is not None and fact.entry_id not in life.entries
        entry_id = fact.entry_id if given and fact.entry_id is not None else life.take_id(fact.person, "call")
        life.used_ids.add(entry_id)
        enter(life, Entry(Way(entry_id, fact.person, "", life.now), "call", dict(fact.context), key=fact.key))


def _answer(life: Life, person: Person, fact: Called) -> str:
    begin, until = life.wall("accepts_from"), life.wall("accepts_until")
    if life.state != "active" or life.is_over() or life.is_before():
        return "refused"
    if (begin and life.now < begin) or (until and life.now >= until):
        return "refused"
    if _refuses_late(life):
        return "too_late"
    if person.erased or person.suppressed:
        return "unknown_contact" if person.erased else "suppressed"
    return _answer_again(life, person, fact)


def _answer_again(life: Life, person: Person, fact: Called) -> str:
    """A key counts once a person; without one a marketing campaign has one open entry of theirs (R5.7)."""
    mine = [entry for entry in life.entries.values() if entry.way.person == person.no]
    if fact.key and any(entry.key == fact.key for entry in mine):
        return "duplicate"
    if not fact.key and life.campaign.marketing and any(entry.is_open and not entry.key for entry in mine):
        return "duplicate"
    return "accepted"


def _refuses_late(life: Life) -> bool:
    if life.campaign.settings.get("late") != "refuse":
        return False
    runs = [run for each in life.occurrences.values() for run in each.runs.values() if _is_first(life, run.step)]
    return bool(runs) and all(run.state != "planned" for run in runs)


def _is_first(life: Life, step: Step) -> bool:
    above = life.campaign.leads_to(step.step_no)
    return step.step_no in life.campaign.start or any(life.campaign.steps[number].at is None for number, _ in above)


def looked(life: Life) -> None:
    """A flowing campaign looks who matches: whoever has come to match enters, who matches no more may leave (R15)."""
    audience_id = life.campaign.entry.get("audience")
    if life.state != "active" or not audience_id or life.is_over() or life.is_before():
        return
    by_event = life.campaign.entry.get("event") is not None
    now = {person.no for person in life.people.values() if life.in_audience(person, audience_id)}
    if life.campaign.entry.get("leaving") == "leave":
        for entry in life.in_order():
            if entry.is_open and entry.way.person in life.matching - now:
                end(life, entry, "left")
    new = sorted(now - life.matching, key=lambda number: life.people[number].contact)
    life.matching = now
    for number in () if by_event else new:
        _let_in(life, life.people[number], "audience")


def happened(life: Life, seen: Seen) -> None:
    """Somebody emitted an event: it may be the one by which people enter a flowing campaign."""
    is_entry = (
        life.campaign.kind == "flowing" and seen.what == "event" and seen.name == life.campaign.entry.get("event")
    )
    person = life.people[seen.person]
    audience_id = life.campaign.entry.get("audience")
    if audience_id and not life.in_audience(person, audience_id):
        return
    if is_entry and life.state == "active" and not (person.erased or life.is_over() or life.is_before()):
        _let_in(life, person, "event")


def _let_in(life: Life, person: Person, door: str) -> None:
    mine = [entry for entry in life.in_order() if entry.way.person == person.no]
    still = [entry for entry in mine if entry.is_open]
    again = life.campaign.entry.get("re_entry") or "never"
    if (again == "never" and mine) or (again == "after_finishing" and still):
        return
    for entry in still:
        end(life, entry, "re_entered")
    enter(life, Entry(Way(life.take_id(person.no, ""), person.no, "", life.now), door))
