"""What rehearsals and the question why tell, in rows that pages show: times by the campaign's clock, facts in words."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext, ngettext

from saas.reports.rules.reasons import reason_in_words
from saas.reports.service.foreseeing import ForeseenStep
from saas.reports.service.simulating import StepCount
from saas.reports.types import Station
from saas.web import words
from saas.web.campaigns.cards import Card, Flow
from saas.web.campaigns.outline import place_of
from saas.web.campaigns.step_looks import look_of

_BADGES: Final[Mapping[str, str]] = {
    "passed": "done",
    "sent": "accepted",
    "waiting": "queued",
    "sending": "open",
    "skipped": "skipped",
    "failed": "failed",
    "uncertain": "uncertain",
    "cancelled": "cancelled",
    "ahead": "scheduled",
    "missed": "skipped",
}
_MINUTE: Final = 60
_LEAST: Final = 0.1
_IN_TEXTS: Final = frozenset({"changes", "counted", "tied"})
_LEFT_OUT: Final = _IN_TEXTS | {"reason", "stage", "planned_at", "revision_no"}


@dataclass(frozen=True, slots=True)
class Line:
    """One step on somebody's way. badge: a state of the macros; facts: (what, value)."""

    no: int
    name: str
    kind: str
    icon: str
    badge: str
    word: str
    at: str
    left: str
    text: str
    exit: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Teller:
    """Puts what happened into words. flow: of the revision that is told of; None where there is none."""

    flow: Flow | None
    zone: str
    now: datetime

    def when(self, moment: datetime | None) -> str:
        """Return a moment by the campaign's clock."""
        return words.when(moment, self.zone, now=self.now) if moment is not None else ""

    def lines(self, stations: Iterable[Station]) -> list[Line]:
        """Return the steps of a way."""
        return [self._line(each) for each in stations]

    def exits(self, step_no: int, counts: Mapping[str, int]) -> list[tuple[str, int]]:
        """Return how many took each exit of a step where the way parts."""
        if self.flow is not None and len(self.flow.exits_of(step_no)) < 2:
            return []
        return [(self._exit(step_no, word), many) for word, many in counts.items()]

    def outcomes(self, step: ForeseenStep | StepCount) -> list[tuple[str, int]]:
        """Return what became of messages, or of people: by state, and for skips by reason."""
        states = [(state_word(name), many) for name, many in step.states.items() if name not in {"passed", "skipped"}]
        reasons = [(reason_in_words(name), many) for name, many in step.reasons.items()]
        left = step.states.get("skipped", 0) - sum(step.reasons.values())
        return states + reasons + ([(state_word("skipped"), left)] if left > 0 else [])

    def _line(self, one: Station) -> Line:
        look = look_of(one.kind)
        exit_word = self._exit(one.step_no, one.exit) if one.exit and self._parts(one.step_no) else ""
        return Line(
            one.step_no, one.name, str(look.word), look.icon, _BADGES.get(one.state, "open"), state_word(one.state),
            self.when(one.at), self.when(one.left_at) if one.left_at != one.at else "",
            one.text, exit_word, list(self.facts(one.facts)),
        )  # fmt: skip

    def _parts(self, step_no: int) -> bool:
        return self.flow is not None and len(self.flow.exits_of(step_no)) > 1

    def _exit(self, step_no: int, word: str) -> str:
        return self.flow.exits.get(place_of(step_no, word), word) if self.flow is not None else word

    def facts(self, facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Yield what something was decided from."""
        for name, value in facts.items():
            if name in _LEFT_OUT or value is None or value == {}:
                continue
            if isinstance(value, Mapping):
                for inner, each in value.items():
                    if each is not None:
                        yield f"{fact_word(name)}: {fact_word(inner)}" if name != "values" else inner, self._value(each)
            else:
                yield fact_word(name), self._value(value)

    def _value(self, value: Any) -> str:
        if isinstance(value, datetime):
            return self.when(value)
        if isinstance(value, bool):
            return str(gettext("yes") if value else gettext("no"))
        if isinstance(value, int):
            return words.number(value)
        return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def card_of(flow: Flow | None, step_no: int) -> Card | None:
    """Return a step of the flow, None where it is none of it any more."""
    return flow.cards.get(step_no) if flow is not None else None


def span(seconds: float) -> str:
    """Return how long something takes, in the unit that says it best."""
    if 0 < seconds < _LEAST:
        return str(gettext("under %(num)s s", num=_LEAST))
    if seconds < _MINUTE:
        return str(gettext("%(num)s s", num=f"{seconds:.1f}" if 0 < seconds < 10 else f"{seconds:.0f}"))
    minutes = round(seconds / _MINUTE)
    if minutes < 2 * _MINUTE:
        return str(ngettext("%(num)d min", "%(num)d min", minutes))
    return str(gettext("%(hours)d h %(minutes)d min", hours=minutes // _MINUTE, minutes=minutes % _MINUTE))


def state_word(state: str) -> str:
    """Return what became of somebody at a step."""
    texts = {
        "passed": gettext("Went on"),
        "sent": gettext("Sent"),
        "accepted": gettext("Sent"),
        "waiting": gettext("Waits"),
        "sending": gettext("To be sent"),
        "open": gettext("To be sent"),
        "skipped": gettext("Skipped"),
        "failed": gettext("Failed"),
        "uncertain": gettext("Uncertain"),
        "cancelled": gettext("Cancelled"),
        "ahead": gettext("Ahead"),
        "missed": gettext("Came too late"),
    }
    return str(texts.get(state, state))


def basis_word(basis: str) -> str:
    """Return from what a number comes (docs/simulation.md)."""
    texts = {
        "engine": gettext("Counted over the audience of now"),
        "history": gettext("By how people reacted to the newest messages"),
        "unknown": gettext("Not known: everybody is taken to do nothing"),
        "not_done": gettext("Not carried out: everybody goes on"),
    }
    return str(texts.get(basis, basis))


def pace_word(basis: str) -> str:
    """Return from what a duration comes."""
    texts = {
        "history": gettext("measured in the last half year"),
        "rate": gettext("by the channel’s rate"),
        "assumed": gettext("assumed: 20 messages a second"),
        "pace": gettext("by its own speed, waves or quiet hours"),
        "nobody": gettext("nobody comes"),
        "timeout": gettext("its whole time limit"),
        "at_once": gettext("at once"),
    }
    return str(texts.get(basis, basis.replace("_", " ")))


def fact_word(name: str) -> str:
    """Return what a fact is called."""
    texts = {
        "effective_at": gettext("Effective start of the step"),
        "claimed_at": gettext("Taken out to be sent"),
        "settled_at": gettext("Answer of the receiving side"),
        "tries": gettext("Tries"),
        "until": gettext("Until"),
        "from": gettext("Not before"),
        "place": gettext("Place in the random order"),
        "over": gettext("Range of the branch, over"),
        "upto": gettext("Range of the branch, up to"),
        "people": gettext("People of the branch"),
        "consent": gettext("Consent"),
        "topic": gettext("topic"),
        "status": gettext("latest word"),
        "source": gettext("from"),
        "since": gettext("since"),
        "replaced_since": gettext("changed after the message"),
        "pointer": gettext("Part of the rule"),
        "event": gettext("What was waited for"),
        "occurred_at": gettext("When it happened"),
        "within_minutes": gettext("Within minutes"),
        "message": gettext("Message of step"),
        "points": gettext("Points"),
        "winner": gettext("Winner"),
        "winner_by": gettext("Chosen by"),
        "decide_at": gettext("Chosen at"),
        "test": gettext("Took part in the test"),
        "rest": gettext("Got the winner’s"),
    }
    return str(texts.get(name, name.replace("_", " ")))
