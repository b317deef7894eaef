"""A life before it is lived: two workspaces, their people and campaigns, and all that will happen; made from a seed."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.faults.rig.dice import Dice
from tests.reference.words import Sending, Somebody

LEAST_PEOPLE, MOST_PEOPLE = 5, 40
# Days with a spring change, an autumn change, and none, each with a zone that knows them.
DAYS = (
    (datetime(2026, 11, 24, 9, tzinfo=UTC), ("Europe/Oslo", "Asia/Kathmandu", "Pacific/Kiritimati", "America/New_York")),
    (datetime(2027, 3, 28, 0, tzinfo=UTC), ("Europe/Oslo", "Europe/Paris")),
    (datetime(2027, 10, 31, 0, tzinfo=UTC), ("Europe/Oslo", "Europe/Paris")),
    (datetime(2027, 3, 14, 6, tzinfo=UTC), ("America/New_York",)),
    (datetime(2026, 11, 30, 22, tzinfo=UTC), ("Europe/Oslo", "America/New_York")),
)  # fmt: skip
POINTS = (
    "claim.before", "claim.after", "smtp.offered", "journal.offered", "smtp.mid_body", "smtp.after_dot",
    "smtp.after_reply", "journal.answered", "settle.before_commit", "settle.after_commit",
)  # fmt: skip
WORDS = (
    "later@rcpt", "later@dot", "nobody@rcpt", "nobody@dot", "no@rcpt", "no@dot", "policy@dot", "busy@rcpt", "cut",
    "silent",
)  # fmt: skip
PERSONAL = ("withdrawn", "given", "suppressed", "erased", "listed", "unlisted")
ORDERS = ("pause", "resume", "stop", "revoke")
EDITS = ("revise", "change_channel", "alter_document", "remove_approval")


@dataclass(frozen=True)
class Event:
    """Something that happens `at` so many seconds after the start.

    what: one of PERSONAL, ORDERS or EDITS, or call, repeat, die, lose_host, suspend, lose_bell, double_bell, jump,
    lose_commit. who: a person; campaign: a campaign. amid: at which message of the campaign it happens, 0 at once; -1:
    in the middle of a claim. point, nth: where a sender ends or sleeps. seconds: how far a clock jumps.
    people, keys: of a call.
    """

    at: float
    what: str
    campaign: int = -1
    who: int = -1
    amid: int = 0
    point: str = ""
    nth: int = 1
    seconds: float = 0
    people: tuple[int, ...] = ()
    keyed: bool = False


@dataclass(frozen=True)
class Life:
    """A whole life. answers: the provider's words for (campaign, person). quotas, caps: by workspace."""

    seed: int
    start: datetime
    people: tuple[Somebody, ...]
    campaigns: tuple[Sending, ...]
    answers: tuple[tuple[int, int, tuple[str, ...]], ...]
    quotas: tuple[tuple[int, int], ...]
    events: tuple[Event, ...]

    def without(self, dropped: range) -> "Life":
        """Return the same life with fewer events."""
        kept = tuple(event for number, event in enumerate(self.events) if number not in dropped)
        return replace(self, events=kept)


def life(seed: int) -> Life:
    """Make a life."""
    dice = Dice(seed, "life")
    start, zones = dice.pick(DAYS)
    people = _people(dice)
    campaigns = _campaigns(dice, start, zones)
    answers = _answers(dice, people, campaigns)
    quotas = tuple((place, 3 + dice.below(30)) for place in (0, 1) if dice.below(10) == 0)
    events = sorted(_events(dice, people, campaigns), key=lambda event: event.at)
    return Life(seed, start, people, campaigns, answers, quotas, tuple(events))


def _people(dice: Dice) -> tuple[Somebody, ...]:
    found: list[Somebody] = []
    for place in (0, 1):
        for _ in range(LEAST_PEOPLE + dice.below(MOST_PEOPLE - LEAST_PEOPLE + 1) // (1 + place * 2)):
            consent = dice.pick(("given",) * 10 + ("withdrawn", "none"))
            found.append(Somebody(len(found), place, consent, dice.below(8) > 0, suppressed=dice.below(20) == 0))
    return tuple(found)


def _campaigns(dice: Dice, start: datetime, zones: tuple[str, ...]) -> tuple[Sending, ...]:
    kinds = dice.pick((("dated",), ("dated",), ("dated", "dated"), ("dated", "asked"), ("dated", "called"),
                       ("asked",), ("called",), ("called", "asked"), ("dated", "dated", "called")))  # fmt: skip
    found = []
    for number, kind in enumerate(kinds):
        place = number % 2 if dice.below(3) else 0
        zone = dice.pick(zones)
        plan = Sending(number, place, marketing=kind != "called", zone=zone, wall=None)
        cap = dice.pick((None,) * 8 + ((1, 7), (1, 7), (2, 1), (0, 1))) if plan.marketing else None
        if kind == "dated":
            plan = replace(plan, wall=_wall(dice, start, zone), **_pace(dice))
        found.append(replace(plan, cap=cap))
    return tuple(found)


def _wall(dice: Dice, start: datetime, zone: str) -> str:
    """A local time between one minute and some hours after the start, so that the five minutes' lead matters too."""
    minutes = dice.pick((2, 3, 4, 30, 60, 61, 90, 120, 180))
    at = (start + timedelta(minutes=minutes)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    if dice.below(4) == 0 and start.hour != 9:
        # The hour that the spring leaves out, or the autumn repeats.
        at = at.replace(hour=2, minute=30, day=start.day)
    text = at.isoformat(timespec="minutes")
    return text if _is_later(text, zone, start) else (at + timedelta(days=1)).isoformat(timespec="minutes")


def _is_later(text: str, zone: str, start: datetime) -> bool:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
    return moment.astimezone(UTC) > start + timedelta(minutes=1)


def _pace(dice: Dice) -> dict[str, object]:
    match dice.below(6):
        case 0:
            return {"waves": ((30, 0), (70, 10))}
        case 1:
            return {"waves": ((10, 0), (40, 3), (50, 45))}
        case 2:
            return {"per_hour": dice.pick((60, 600, 3600))}
    return {}


def _answers(
    dice: Dice, people: tuple[Somebody, ...], campaigns: tuple[Sending, ...]
) -> tuple[tuple[int, int, tuple[str, ...]], ...]:
    found = []
    for campaign in campaigns:
        for person in people:
            if person.place == campaign.place and dice.below(4) == 0:
                words = _words(dice)
                if campaign.wall is None:
                    # Somebody may be called several times; only their message's content says which one it is.
                    words = tuple(word.replace("@rcpt", "@dot") for word in words if word not in {"busy@rcpt", "cut"})
                found.append((campaign.no, person.no, words))
    return tuple(found)


def _words(dice: Dice) -> tuple[str, ...]:
    """Mostly one odd answer, sometimes many: a relay that greylists for ever."""
    if dice.below(12) == 0:
        return (dice.pick(("later@rcpt", "later@dot")),) * 7
    return tuple(dice.pick(WORDS) for _ in range(1 + dice.below(3)))


def _events(dice: Dice, people: tuple[Somebody, ...], campaigns: tuple[Sending, ...]) -> list[Event]:
    events: list[Event] = []
    for campaign in campaigns:
        mine = tuple(person.no for person in people if person.place == campaign.place)
        if campaign.wall is None:
            events += _calls(dice, campaign.no, mine)
        events += _orders(dice, campaign)
        events += _edits(dice, campaign)
    for _ in range(dice.below(8)):
        campaign = dice.pick(campaigns)
        who = dice.pick([person for person in people if person.place == campaign.place])
        amid = 1 + dice.below(6) if dice.below(2) else 0
        events.append(Event(_when(dice), dice.pick(PERSONAL), campaign.no, who.no, amid=amid))
    events += _faults(dice)
    return events


def _when(dice: Dice) -> float:
    """Seconds: many soon after the start or around the lead, the rest within some hours."""
    return float(dice.pick((1, 30, 240, 299, 300, 301, 360, 600, 1800, 3600, 5400, 7200, 7260, 10800)))


def _calls(dice: Dice, campaign: int, mine: tuple[int, ...]) -> list[Event]:
    found = []
    for _ in range(1 + dice.below(4)):
        asked = tuple(sorted(dice.sample(mine, 1 + dice.below(6))))
        call = Event(_when(dice), "call", campaign, people=asked, keyed=dice.below(2) == 0)
        found.append(call)
        if dice.below(2) == 0:
            found.append(replace(call, at=call.at + dice.pick((0, 60, 3600)), what="repeat"))
    return found


def _orders(dice: Dice, plan: Sending) -> list[Event]:
    """Pauses with their end, then stops of every kind; what happens amid a sending waits for it from the start."""
    found, campaign = [], plan.no
    if dice.below(3) == 0:
        # What starts on call is active from the beginning; what has a date can be paused only while it is sending.
        amid = dice.pick((0, 0, 1, 3)) if plan.wall is None else dice.pick((1, 2, 4))
        at = 0.0 if amid else dice.pick((30.0, 301.0, 1800.0))
        found.append(Event(at, "pause", campaign, amid=amid))
        found.append(Event(max(at, 300.0) + dice.pick((5, 120, 3000, 12000)), "resume", campaign))
    match dice.below(16):
        case 0 | 1:
            found.append(Event(dice.pick((1.0, 30.0, 240.0, 361.0)), "stop", campaign))
        case 2 | 3:
            found.append(Event(0.0, "stop", campaign, amid=1 + dice.below(6)))
        case 4 | 5:
            found.append(Event(0.0, "stop", campaign, amid=-1))
        case 6 | 7:
            amid = dice.pick((0, 1, 3))
            found.append(Event(0.0 if amid else dice.pick((30.0, 361.0)), "revoke", campaign, amid=amid))
    return found


def _edits(dice: Dice, campaign: Sending) -> list[Event]:
    if dice.below(5) > 1:
        return []
    what = dice.pick(EDITS)
    amid = 0 if what == "revise" else dice.pick((0, 0, 1, 3))
    at = dice.pick((60.0, 100.0)) if what == "revise" else 0.0 if amid else _when(dice)
    return [Event(at, what, campaign.no, amid=amid)]


def _faults(dice: Dice) -> list[Event]:
    found = []
    for what, one_in in (("die", 2), ("lose_host", 6), ("suspend", 4), ("lose_bell", 6), ("double_bell", 6),
                         ("jump", 6), ("lose_commit", 6)):  # fmt: skip
        if dice.below(one_in) == 0:
            found += [_fault(dice, what) for _ in range(1 + (what == "die" and dice.below(3) == 0))]
    return found


def _fault(dice: Dice, what: str) -> Event:
    seconds = dice.pick((-3600.0, -60.0, 30.0, 1200.0, 7200.0)) if what == "jump" else 0.0
    point = dice.pick(POINTS)
    nth = 1 if point.startswith(("claim", "settle")) else 1 + dice.below(3)
    at = _when(dice) if what == "jump" else dice.pick((0.0, 0.0, 300.0, 3600.0))
    return Event(at, what, point=point, nth=nth, seconds=seconds)
