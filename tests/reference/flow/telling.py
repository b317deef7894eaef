"""Takes in what happened, fact by fact."""

from functools import singledispatch

from tests.reference.flow import single, steps
from tests.reference.flow.shape import Campaign, past, read
from tests.reference.flow.state import (
    CARRIED_OUT,
    Entry,
    Life,
    Occurrence,
    arrive,
    effective_at,
    end,
    occurrences,
    runs_of,
)
from tests.reference.flow.times import moment
from tests.reference.flow.words import (
    Called,
    Changed,
    Decided,
    Extended,
    Fact,
    Looked,
    Paused,
    Published,
    Released,
    Replied,
    Resumed,
    Seen,
    Settled,
    Stopped,
)  # fmt: skip


@singledispatch
def tell(fact: Fact, life: Life) -> None:
    """Take in what happened."""
    raise TypeError(fact, life)


@tell.register
def _published(fact: Published, life: Life) -> None:
    new = read(fact.campaign) if fact.campaign is not None else life.campaign
    if life.state == "draft":
        wrong = past(new, fact.at)
        if wrong:
            life.wrong(f"published although {wrong[0][0]} is in the past")
            return
        life.campaign, life.anchor = new, fact.at
        life.occurrences = {each.key: each for each in occurrences(new, life.script.until)} if _is_dated(new) else {}
        life.state = "scheduled" if new.kind == "dated" else "active"
        return
    if life.state not in {*CARRIED_OUT, "paused"}:
        life.wrong(f"published although the campaign is {life.state}")
        return
    _edit(life, new, fact)


def _is_dated(campaign: Campaign) -> bool:
    return any(step.at for step in campaign.steps.values())


def _edit(life: Life, new: Campaign, fact: Published) -> None:
    """A later publication: what has begun stays, all else is as written now, not sooner than R1 lets it (R9, R10)."""
    _judge_edit(life, new)
    life.campaign, life.anchor, life.floor = new, fact.at, None
    if new.recurrence:
        begun = {key: each for key, each in life.occurrences.items() if each.is_begun}
        last = max((each.day for each in begun.values()), default="")
        coming = [each for each in occurrences(new, life.script.until) if each.day > last]
        life.occurrences = {**begun, **{each.key: each for each in coming}}
        return
    _rewrite(life, new)
    for entry in life.in_order():
        gone = [no for no in entry.place if no not in new.steps or no in fact.moves]
        if entry.is_open and gone:
            if gone[0] not in fact.moves:
                life.wrong(f"different: {entry.way.entry_id} waits at {gone[0]}, and a publication took it away")
            target = fact.moves.get(gone[0])
            if target is None:
                end(life, entry, "removed")
            else:
                _take_away(life, entry)
                arrive(life, entry, (target,))


def _take_away(life: Life, entry: Entry) -> None:
    for passed in entry.way.path:
        if passed.left_at is None:
            passed.exit, passed.left_at = "", life.now


def _rewrite(life: Life, new: Campaign) -> None:
    """Give the only occurrence its new steps; those that have begun stay as they were."""
    old = life.occurrences.get("")
    if not _is_dated(new) and old is None:
        return
    runs = runs_of(new, 0)
    begun = {no: run for no, run in old.runs.items() if run.state != "planned"} if old else {}
    life.occurrences[""] = Occurrence("", new, {**runs, **begun}, is_begun=bool(old and old.is_begun))


def _judge_edit(life: Life, new: Campaign) -> None:
    occurrence = None if new.recurrence else life.occurrences.get("")
    begun = [run.step for run in occurrence.runs.values() if run.state != "planned"] if occurrence else []
    for step in begun:
        if new.steps.get(step.step_no) != step:
            life.wrong(f"different: step {step.step_no} has begun, and a publication changed it")
    if occurrence and occurrence.is_begun and new.start != life.campaign.start:
        life.wrong("different: the first steps have begun, and a publication changed which they are")
    same = [no for no, step in new.steps.items() if no in life.campaign.steps and life.campaign.steps[no].at == step.at]
    if wrong := past(new, life.now, same) if not new.recurrence else []:
        life.wrong(f"published although {wrong[0][0]} is in the past")


@tell.register
def _extended(fact: Extended, life: Life) -> None:
    """Whoever ended at a leaf goes on to what was put below it (R11)."""
    if life.state != "completed":
        life.wrong(f"extended although the campaign is {life.state}")
        return
    new = read(fact.campaign)
    before = life.campaign
    for number, step in before.steps.items():
        now = new.steps.get(number)
        if now is None or any(now.next.get(way) != targets for way, targets in step.next.items()):
            life.wrong(f"different: step {number} has been done, and the extension changed it")
    _judge_past(life, new)
    life.campaign, life.anchor, life.floor, life.state = new, fact.at, None, "active"
    for occurrence in life.occurrences.values():
        occurrence.campaign, occurrence.runs = new, {**runs_of(new, occurrence.days), **occurrence.runs}
    for entry in life.in_order():
        if entry.way.end_reason == "finished" and entry.last and new.steps[entry.last[0]].next.get(entry.last[1]):
            entry.way.ended_at, entry.way.end_reason = None, None
            arrive(life, entry, new.steps[entry.last[0]].next[entry.last[1]])


def _judge_past(life: Life, new: Campaign) -> None:
    if wrong := past(new, life.now, list(life.campaign.steps)):
        life.wrong(f"published although {wrong[0][0]} is in the past")


@tell.register
def _called(fact: Called, life: Life) -> None:
    single.called(life, fact)


@tell.register
def _seen(fact: Seen, life: Life) -> None:
    life.seen.append(fact)
    single.happened(life, fact)


@tell.register
def _changed(fact: Changed, life: Life) -> None:
    person = life.people[fact.person]
    match fact.what:
        case "attribute":
            steps.put(person, fact.name, fact.value)
        case "consent":
            person.consents[fact.name] = fact.value
        case "list":
            (person.lists.add if fact.value else person.lists.discard)(fact.name)
        case "suppressed":
            person.suppressed = True
        case "erased":
            person.erased = True
            _put_out(life, person.no, "erased")


def _put_out(life: Life, person: int, reason: str) -> None:
    for entry in life.in_order():
        if entry.is_open and entry.way.person == person:
            end(life, entry, reason)


@tell.register
def _settled(fact: Settled, life: Life) -> None:
    life.settled.append(fact)


@tell.register
def _decided(fact: Decided, life: Life) -> None:
    life.decided[fact.entry_id, fact.step_no] = fact


@tell.register
def _released(fact: Released, life: Life) -> None:
    """A release is done once; whoever stands at the gate alone is accepted by it (R6)."""
    life.released.add((fact.step_no, fact.occurrence))
    for entry in life.in_order():
        if entry.is_at(fact.step_no) and (entry.late or life.run_at(entry, fact.step_no) is None):
            life.let_go.add((entry.way.entry_id, fact.step_no))


@tell.register
def _replied(fact: Replied, life: Life) -> None:
    life.replies[fact.entry_id, fact.step_no] = fact


@tell.register
def _looked(fact: Looked, life: Life) -> None:
    del fact
    single.looked(life)


@tell.register
def _paused(fact: Paused, life: Life) -> None:
    del fact
    if life.state in CARRIED_OUT:
        life.state = "paused"
    else:
        life.wrong(f"paused although the campaign is {life.state}")


@tell.register
def _resumed(fact: Resumed, life: Life) -> None:
    """Overdue steps begin in order under R1, are left out, or get another time (R9)."""
    if life.state != "paused":
        life.wrong(f"resumed although the campaign is {life.state}")
        return
    life.anchor = fact.at
    if fact.how == "new_time" and fact.wall:
        life.floor = max(moment(fact.wall, life.campaign.zone), life.floor or fact.at)
    begun = any(each.is_begun for each in life.occurrences.values())
    life.state = "active" if begun or life.campaign.kind != "dated" else "scheduled"
    for occurrence in life.occurrences.values():
        for run in occurrence.runs.values():
            if run.state == "planned" and run.planned <= fact.at and fact.how == "skip":
                run.skip = True


@tell.register
def _stopped(fact: Stopped, life: Life) -> None:
    """Final: whoever is on their way is out, no step begins; what comes of messages in flight is still told (R12)."""
    if fact.person is not None:
        _put_out(life, fact.person, "stopped")
        return
    for occurrence in life.occurrences.values():
        for run in occurrence.runs.values():
            if run.state not in {"finished", "cancelled"}:
                run.effective, run.state = run.effective or effective_at(life, run), "cancelled"
    for entry in life.in_order():
        if entry.is_open:
            end(life, entry, "stopped")
    life.state = "stopped"
