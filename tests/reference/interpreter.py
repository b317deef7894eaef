"""Plays a life by the text: told every fact in order, it says what is wrong with it (product.md, ledger.md)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache, singledispatchmethod

from tests.reference.times import GRACE, effective
from tests.reference.way import OPEN, Way
from tests.reference.words import (
    Answered,
    Became,
    Began,
    Called,
    Changed,
    Died,
    Expected,
    Fact,
    Kept,
    Looked,
    Published,
    Sending,
    Slept,
    Somebody,
    Tampered,
    Told,
    Visited,
    Wanted,
)  # fmt: skip

Key = tuple[int, int, str]
_DEADLY = 3  # deaths over one person alone


@dataclass
class _Campaign:
    plan: Sending
    state: str = "draft"
    wall: str | None = None
    effective_at: datetime | None = None
    started_at: datetime | None = None
    is_tampered: bool = False
    tampered_visit: int = -1
    told_visit: int = -1
    begun: set[int] = field(default_factory=set)
    keys: set[tuple[int, str]] = field(default_factory=set)


@dataclass
class _Person:
    plan: Somebody
    consent: str
    is_listed: bool
    suppressed: bool
    is_erased: bool = False
    bounced: str = ""  # "maybe" until its sender's visit is over, then "surely"; "perhaps" for good when it died
    changed_visit: int = -1
    begun_at_change: Counter[str] = field(default_factory=Counter)


@dataclass
class _Last:
    """The newest message of a sender."""

    campaign: int
    person: int
    code: str | None = None
    was_answered: bool = False
    has_begun: bool = True


class Interpreter:
    """`tell` it everything; `findings` are what contradicts the text."""

    def __init__(self, people: Iterable[Somebody], campaigns: Iterable[Sending], quotas: Mapping[int, int]) -> None:
        self.findings: list[str] = []
        self.ways: dict[Key, Way] = {}
        self._people = {p.no: _Person(p, p.consent, p.listed, p.suppressed) for p in people}
        self._campaigns = {c.no: _Campaign(c, wall=c.wall) for c in campaigns}
        self._quotas = quotas
        self._visit = 0
        self._begun: Counter[str] = Counter()
        self._last: dict[str, _Last] = {}
        self._unread: dict[str, _Last] = {}
        self._wanted: dict[str, _Last] = {}
        self._in_flight: list[list[Key]] = []
        self._wordless: set[tuple[int, int]] = set()
        self._slack: Counter[str] = Counter()
        self._deaths = 0
        self._machines_lost = 0

    @singledispatchmethod
    def tell(self, fact: Fact) -> None:
        """Take in what happened next."""
        raise TypeError(fact)

    def expected(self) -> dict[Key, Expected]:
        """Say what each person may have become, now that nothing is left to do."""
        found = {}
        for key, way in self.ways.items():
            campaign = self._campaigns[way.campaign]
            states = way.ends(is_stopped=campaign.state == "stopped", poisoned=self._deaths >= _DEADLY)
            least = 1 if states == {"accepted"} else 0
            most = 1 + way.repeats if not way.marketing else 1
            found[key] = Expected(frozenset(states), least, most, campaign.started_at)
        return found

    def compare(self, became: Mapping[Key, Became]) -> None:
        """Judge what the engine says of everybody."""
        expected = self.expected()
        for key in expected.keys() - became.keys():
            self._wrong(f"lost: {key} is not in the engine's ledger")
        for key in became.keys() - expected.keys():
            self._wrong(f"different: {key} is nobody who entered")
        for key in sorted(expected.keys() & became.keys()):
            self._judge(key, expected[key], became[key])
        if not self._machines_lost:
            self._judge_in_flight(became)
        self._judge_quotas()

    def _judge(self, key: Key, expected: Expected, became: Became) -> None:
        way, copies = self.ways[key], len(self.ways[key].copies)
        if became.state == OPEN:
            self._wrong(f"unfinished: {key}, may be {sorted(expected.states)}")
        elif became.state not in expected.states:
            word = "lost" if not copies and became.state == "accepted" else "different"
            self._wrong(f"{word}: {key} is {became.state} ({became.reason}), may be {sorted(expected.states)}")
        elif became.state == "skipped" and became.reason not in way.reasons:
            self._wrong(f"different: {key} was skipped for {became.reason}, could be {sorted(way.reasons)}")
        if not expected.least <= copies <= expected.most:
            self._wrong(f"different: {key} has {copies} copies, {expected.least} to {expected.most} are right")
        if became.state == "accepted" and not copies:
            self._wrong(f"lost: {key} is accepted and nobody has it")
        tries = way.tries + (became.state == "accepted")
        if became.state in {"accepted", "failed"} and (became.attempt or 0) < min(tries, 5):
            self._wrong(f"different: {key} counts {became.attempt} tries, there were {tries}")

    def _judge_in_flight(self, became: Mapping[Key, Became]) -> None:
        """Each death leaves one person in doubt at most, beside those whom the provider gave no word about before."""
        unsure = sorted(
            key for key, each in became.items() if each.reason == "sender_died" and key[:2] not in self._wordless
        )
        of: dict[int, Key] = {}  # by death

        def find_death(key: Key, tried: set[int]) -> bool:
            for death in [n for n, keys in enumerate(self._in_flight) if key in keys and n not in tried]:
                tried.add(death)
                if death not in of or find_death(of[death], tried):
                    of[death] = key
                    return True
            return False

        without = [key for key in unsure if not find_death(key, set())]
        if without:
            self._wrong(f"different: {unsure} are uncertain, one message was in flight at each death, not {without}")

    def _judge_quotas(self) -> None:
        used: Counter[tuple[int, str]] = Counter()
        for way in self.ways.values():
            place = self._place_of(way)
            used.update((place, at.strftime("%Y-%m")) for at in way.copies)
        for (place, month), count in used.items():
            if place in self._quotas and count > self._quotas[place]:
                self._wrong(f"over the quota: {count} messages of workspace {place} in {month}")

    # What happens -------------------------------------------------------------------------------------------------

    @tell.register
    def _published(self, fact: Published) -> None:
        campaign = self._campaigns[fact.campaign]
        campaign.wall, plan = fact.wall, campaign.plan
        campaign.effective_at = fact.at if fact.wall is None else effective(fact.wall, plan.zone, fact.at)
        if campaign.state in {"draft", "held"}:
            campaign.state = "scheduled"

    @tell.register
    def _visited(self, fact: Visited) -> None:
        self._visit += 1
        if fact.starts:
            for campaign in self._campaigns.values():
                self._perhaps_start(campaign, fact.at)
        self._look(fact.at)

    def _perhaps_start(self, campaign: _Campaign, now: datetime) -> None:
        begins = campaign.state in {"scheduled", "active"} and campaign.started_at is None
        if not begins or campaign.effective_at is None or campaign.effective_at > now:
            return
        dated = campaign.plan.wall is not None
        late = campaign.state == "scheduled" and dated and now > campaign.effective_at + GRACE
        if campaign.is_tampered or late:  # the start looks at all that was signed
            campaign.state = "held"
            return
        campaign.state, campaign.started_at = "active", now
        for person in self._people.values() if dated else ():
            if person.is_listed and not person.is_erased and person.plan.place == campaign.plan.place:
                self._enter(campaign, person, "", now, single=False)

    def _enter(self, campaign: _Campaign, person: _Person, code: str, now: datetime, *, single: bool) -> None:
        number = campaign.plan.no
        way = Way(number, person.plan.no, code, campaign.plan.marketing, single, window_from=now, not_before=now)
        self.ways[number, person.plan.no, code] = way

    @tell.register
    def _looked(self, fact: Looked) -> None:
        self._look(fact.at)
        for person in self._people.values():
            person.bounced = "surely" if person.bounced == "maybe" else person.bounced
        for number, said in fact.states.items():
            campaign = self._campaigns[number]
            right = self._states_of(campaign)
            if said not in right:
                self._wrong(f"different: campaign {number} is {said}, the text has {sorted(right)} at {fact.at}")
            campaign.state = said

    def _states_of(self, campaign: _Campaign) -> set[str]:
        found = {campaign.state}
        if campaign.state == "active":
            if campaign.is_tampered:
                found.add("held")
            if campaign.plan.wall is not None:
                found |= self._perhaps_complete(campaign)
        if campaign.state == "stopping":
            found.add("stopped")
        return found

    def _perhaps_complete(self, campaign: _Campaign) -> set[str]:
        ways = [way for way in self.ways.values() if way.campaign == campaign.plan.no]
        all_over = all(way.ends(is_stopped=False, poisoned=self._deaths >= _DEADLY) for way in ways)
        return {"completed"} if all_over else set()

    def _look(self, now: datetime) -> None:
        for way in self.ways.values():
            campaign = self._campaigns[way.campaign]
            if campaign.state == "active" or campaign.told_visit == self._visit:
                way.look(now, self._reasons(way, now))

    @tell.register
    def _changed(self, fact: Changed) -> None:
        person = self._people[fact.person]
        match fact.what:
            case "given" | "withdrawn":
                person.consent = fact.what
            case "suppressed":
                person.suppressed = True
            case "erased":
                person.is_erased = True
            case "listed" | "unlisted":
                person.is_listed = fact.what == "listed"
        person.changed_visit, person.begun_at_change = self._visit, Counter(self._begun)

    @tell.register
    def _told(self, fact: Told) -> None:
        campaign = self._campaigns[fact.campaign]
        campaign.told_visit = self._visit
        match fact.order:
            case "pause":
                campaign.state = "paused"
            case "resume":
                campaign.state = "active"
            case "stop":
                campaign.state = "stopping"

    @tell.register
    def _tampered(self, fact: Tampered) -> None:
        campaign = self._campaigns[fact.campaign]
        campaign.tampered_visit, campaign.is_tampered = self._visit, True

    @tell.register
    def _called(self, fact: Called) -> None:
        campaign = self._campaigns[fact.campaign]
        for number, key, code, answer in fact.recipients:
            person = self._people[number]
            right = {answer} if fact.replay else self._right_answers(campaign, person, key)
            if answer not in right:
                self._wrong(f"different: the call for {number} was answered {answer}, the text has {sorted(right)}")
            if answer == "accepted" and not fact.replay:
                self._enter(campaign, person, code, fact.at, single=campaign.plan.marketing and not key)
                campaign.keys.add((number, key))

    def _right_answers(self, campaign: _Campaign, person: _Person, key: str) -> set[str]:
        if person.is_erased:
            return {"unknown_contact"}
        if person.suppressed or person.bounced == "surely":
            return {"suppressed"}
        if key and (person.plan.no, key) in campaign.keys:
            return {"duplicate"}
        right = {"accepted"}
        if not key and campaign.plan.marketing:
            mine = [
                way for way in self.ways.values()
                if (way.campaign, way.person, way.single) == (campaign.plan.no, person.plan.no, True)
            ]  # fmt: skip
            if any(way.is_open or len(way.may_be) > 1 for way in mine):
                right.add("duplicate")
            # Whoever was never handed over, and whom no visit could have passed over, still stands there.
            if any(way.may_be == {OPEN} and not way.reasons and not way.is_expired for way in mine):
                right.discard("accepted")
        return right | ({"suppressed"} if person.bounced else set())

    @tell.register
    def _wanted_now(self, fact: Wanted) -> None:
        self._wanted[fact.sender] = _Last(fact.campaign, fact.person)

    @tell.register
    def _began(self, fact: Began) -> None:
        self._wanted.pop(fact.sender, None)
        self._unread.pop(fact.sender, None)
        self._begun[fact.sender] += 1
        self._last[fact.sender] = _Last(fact.campaign, fact.person)
        campaign, person = self._campaigns[fact.campaign], self._people[fact.person]
        ways = [way for way in self._ways_of(fact.campaign, fact.person) if way.is_open]
        if not ways:
            self._wrong(f"doubled: {fact.person} in campaign {fact.campaign}, who is through or never entered")
            return
        if min(way.not_before for way in ways) > fact.at:
            self._wrong(f"too early: {fact.person} in campaign {fact.campaign} at {fact.at}")
        is_slack = cache(lambda: self._use_slack(fact.sender))  # one message uses it once, whatever it is needed for
        if campaign.state != "active" and not is_slack():
            self._wrong(f"sent to {fact.person} while campaign {fact.campaign} was {campaign.state}")
        if campaign.is_tampered and campaign.tampered_visit != self._visit and not is_slack():
            # Each claim compares; what was claimed before is what was signed.
            self._wrong(f"sent to {fact.person} although campaign {fact.campaign} is not what was signed")
        reasons = self._reasons(ways[0], fact.at) - {"quota"}
        if reasons == {"suppressed"} and not person.suppressed and person.bounced != "surely":
            reasons = set()  # the refusal may not be written down yet
        if reasons and not self._is_in_flight(person, fact.sender) and not is_slack():
            self._wrong(f"sent to {fact.person} in campaign {fact.campaign} in spite of {sorted(reasons)}")
        self._judge_pace(campaign, fact)

    def _is_in_flight(self, person: _Person, sender: str) -> bool:
        """One message may be ready while the one before it is on its way: it may leave after a refusal."""
        return person.changed_visit == self._visit and self._begun[sender] - person.begun_at_change[sender] <= 1

    def _use_slack(self, sender: str) -> bool:
        self._slack[sender] -= 1
        return self._slack[sender] >= 0

    def _judge_pace(self, campaign: _Campaign, fact: Began) -> None:
        plan, started = campaign.plan, campaign.started_at
        campaign.begun.add(fact.person)
        if started is None or plan.wall is None:
            return
        everybody = sum(1 for way in self.ways.values() if way.campaign == plan.no)
        after = fact.at - started
        most = float(everybody)
        if plan.waves:
            percent = sum(part for part, minutes in plan.waves if timedelta(minutes=minutes) <= after)
            most = everybody * percent / 100 + 1
        if plan.per_hour is not None:
            # The first five seconds' worth leave together.
            most = min(most, plan.per_hour * (after.total_seconds() + 5) / 3600 + 1)
        if len(campaign.begun) > most:
            self._wrong(f"too fast: {len(campaign.begun)} people of campaign {plan.no} after {after}, at most {most}")

    @tell.register
    def _kept(self, fact: Kept) -> None:
        way = self.ways.get((fact.campaign, fact.person, fact.code))
        if fact.sender in self._last:
            self._last[fact.sender].code = fact.code
        if way is None:
            self._wrong(f"different: {fact.person} got a message of campaign {fact.campaign} that nobody asked for")
            return
        wrong = way.keep(fact.at)
        if wrong is not None:
            self._wrong(f"{wrong} to {fact.person} in campaign {fact.campaign}")

    @tell.register
    def _answered(self, fact: Answered) -> None:
        last = self._last.get(fact.sender)
        ways = self._ways_of(fact.campaign, fact.person)
        mine = [way for way in ways if way.code == fact.code] if fact.code or len(ways) > 1 else ways
        for way in mine[:1]:
            way.answer(fact.word, fact.at)
        if last is not None and (last.campaign, last.person) == (fact.campaign, fact.person):
            last.was_answered = True
        else:  # refused before any content; the word about the one before may still be unread
            self._unread.pop(fact.sender, None)
            if last is not None and last.has_begun:
                self._unread[fact.sender] = last
            self._last[fact.sender] = _Last(fact.campaign, fact.person, fact.code, was_answered=True, has_begun=False)
        if fact.word == "nobody":
            self._people[fact.person].bounced = "maybe"
        if fact.word in {"cut", "silent"}:
            self._wordless.add((fact.campaign, fact.person))
        else:
            self._wordless.discard((fact.campaign, fact.person))

    @tell.register
    def _slept(self, fact: Slept) -> None:
        self._slack[fact.sender] = 2

    @tell.register
    def _died(self, fact: Died) -> None:
        self._deaths += 1
        self._machines_lost += fact.away
        for person in self._people.values():
            person.bounced = "perhaps" if person.bounced == "maybe" else person.bounced
        if fact.away:
            for way in self.ways.values():
                if self._campaigns[way.campaign].started_at is not None:
                    way.lose()
        self._in_flight.append([])
        for newest in (self._unread, self._last, self._wanted):
            self._died_over(newest.pop(fact.sender, None))

    def _died_over(self, last: _Last | None) -> None:
        """What it was about to send, or had just sent, may be in its journal as offered."""
        if last is None:
            return
        for way in self._ways_of(last.campaign, last.person):
            if last.code in {None, way.code} and (way.is_open or last.was_answered):
                way.die(was_kept=last.code is not None, was_answered=last.was_answered)
                self._in_flight[-1].append((way.campaign, way.person, way.code))

    # What holds ---------------------------------------------------------------------------------------------------

    def _ways_of(self, campaign: int, person: int) -> list[Way]:
        return [way for way in self.ways.values() if (way.campaign, way.person) == (campaign, person)]

    def _reasons(self, way: Way, now: datetime) -> set[str]:
        """Why this person must not, or may not, be sent to now (R5.9)."""
        person, campaign = self._people[way.person], self._campaigns[way.campaign]
        # Who is lost between claim and message is said to have unsubscribed, whatever it was.
        late = {"unsubscribed"} if person.changed_visit == self._visit else set()
        if person.is_erased:
            return {"erased"} | late
        found = {"suppressed"} | late if person.suppressed or person.bounced else set()
        if way.marketing:
            found |= {"withdrawn": {"unsubscribed"}, "none": {"no_consent"}}.get(person.consent, set())
            if campaign.plan.cap is not None and self._lately(way, campaign.plan.cap, now) >= campaign.plan.cap[0]:
                found.add("capped")
        return found | self._quota_reason(person.plan.place)

    def _lately(self, way: Way, cap: tuple[int, int], now: datetime) -> int:
        since = now - timedelta(days=cap[1])
        others = (w for w in self.ways.values() if w.person == way.person and w.marketing and w is not way)
        return sum(1 for w in others if any(at > since for at in w.copies) or "uncertain" in w.may_be)

    def _quota_reason(self, place: int) -> set[str]:
        quota = self._quotas.get(place)
        # Each try reserves; whether one that came to nothing is given back, the text does not say.
        tries = sum(max(1, way.answers + way.deaths) for way in self.ways.values() if self._place_of(way) == place)
        return {"quota"} if quota is not None and tries + self._deaths > quota else set()

    def _place_of(self, way: Way) -> int:
        return self._people[way.person].plan.place

    def _wrong(self, text: str) -> None:
        self.findings.append(text)
