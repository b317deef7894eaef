"""Everything else that is signed, in words, so that whoever signs sees all of it (R13, U1).

What the page's other parts tell stands in `_TOLD`. Whatever nobody has a word for is shown as it was written: no field
of a document is ever left out.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from flask_babel import gettext

from saas.campaigns.rules.document import LATE
from saas.campaigns.steps.kind import Raw
from saas.campaigns.types import CampaignKind
from saas.http.types import Context
from saas.web.campaigns import delivery, differs
from saas.web.campaigns.choices import late_word
from saas.web.campaigns.start_words import start_word
from saas.web.campaigns.step_looks import branch_name, past_word

# Of a campaign: the head of the page, the card of delivery, the outline of the flow and the messages tell these.
_TOLD: Final = frozenset(
    {"format", "campaign_id", "kind", "purpose", "audience", "start", "steps", "settings", "workspace"}
)
_TOLD_OF_SETTINGS: Final = frozenset(
    {"speed_per_hour", "waves", "frequency_cap", "quiet_hours", "send_window", "in_silence"}
)
# Of a step: its outline (cards.py) and its summary (step_words.py), or the message as it is shown.
_TOLD_OF_STEPS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "": frozenset({"step_no", "kind", "name", "next", "channel_id", "used"}),
        "email": frozenset({"content", "links"}),
        "webhook_message": frozenset({"content", "links", "body"}),
        "random_split": frozenset({"branches"}),
        "ab_test": frozenset({"branches", "test_percent", "decide_after_minutes", "winner_by"}),
        "engagement_split": frozenset({"message", "interactions", "ignore_machine_opens"}),
        "condition": frozenset({"rule"}),
        "gate": frozenset({"timeout_minutes"}),
        "decision": frozenset({"on", "message", "event", "within_minutes"}),
        "wait": frozenset({"for", "minutes", "until", "time", "attribute", "days", "yearly"}),
        "set_attribute": frozenset({"changes"}),
        "change_list": frozenset({"list_id", "action"}),
        "change_points": frozenset({"points"}),
        "other_campaign": frozenset({"campaign_id", "action"}),
        "notify_staff": frozenset({"text"}),
        "end": frozenset({"reason"}),
    }
)
Line = tuple[str, str]


@dataclass(frozen=True, slots=True)
class OfStep:
    """What is signed of one step beside its outline and its message."""

    title: str
    lines: Sequence[Line]


class Terms:
    """Says a document's terms line by line: what, and its words. `said` knows what the workspace calls things."""

    def __init__(self, context: Context, document: Mapping[str, Any], said: differs.Words) -> None:
        self._session, self._raw, self._said = context.session, document, said
        self._zone = document.get("time_zone") or "UTC"
        self._of_steps: Mapping[str, Callable[[Any], list[Line]]] = {
            "at": lambda value: self._one(gettext("Time"), value and said.value("at", value)),
            "latest": lambda value: self._one(gettext("No later than"), value and said.value("latest", value)),
            "local_time": lambda value: self._one(gettext("Whose clock"), value and past_word(value)),
            "speed_per_hour": lambda value: self._one(gettext("Speed"), value and delivery.speed_word(value)),
            "waves": lambda value: self._one(gettext("Waves"), value and said.value("settings.waves", value)),
            "channel": self._channel,
            "delivers": lambda value: self._one(gettext("What for"), _delivers_word(value)),
            "wait": lambda value: self._one(gettext("Waits"), _waits_word(value)),
            "open_fields": lambda value: self._one(gettext("It may fill in"), ", ".join(value or ())),
            "body": lambda value: self._one(gettext("Tells"), value),
            "fill": self._fill,
            "branches": self._branches,
        }

    def of_campaign(self) -> list[Line]:
        """Return what is signed of the campaign: who, when, again, calls, what counts."""
        settings = self._raw.get("settings") or {}
        found = [*self._who(), *self._language()]
        for field in ("topic", "time_zone", "recurrence", "publish_from", "publish_until", "entry", "payload"):
            found += self._field(field, self._raw.get(field))
        if self._raw["kind"] == CampaignKind.API:
            found += self._field("settings.late", settings.get("late") or LATE[0])
        for field in ("accepts_from", "accepts_until", "conversion", "also_waiting"):
            found += self._field(f"settings.{field}", settings.get(field))
        return [*found, *self._moves(), *self._unknown(settings)]

    def of_steps(self) -> list[OfStep]:
        """Return what is signed of each step that nothing else on the page tells; steps without any are left out."""
        found = (OfStep(_title(step), list(self._step(step))) for step in self._raw.get("steps") or ())
        return [each for each in found if each.lines]

    def _who(self) -> list[Line]:
        audience, who = self._raw.get("audience") or {}, str(gettext("Who"))
        found = [(who, start_word(self._session, self._raw, CampaignKind(self._raw["kind"])))]
        if audience.get("rule"):
            found.append((str(gettext("Audience rule")), self._said.value("audience.rule", audience["rule"])))
        return found

    def _language(self) -> list[Line]:
        language = self._raw.get("language")
        return [(str(gettext("Language")), str(language))] if language else []

    def _field(self, field: str, value: Any) -> list[Line]:
        if value is None or value is False or value == []:
            return []
        texts: Mapping[str, Callable[[Any], str]] = {
            "time_zone": str,
            "settings.late": late_word,
            "settings.also_waiting": lambda _: str(gettext("Changed delays also count for those who wait already")),
        }
        say = texts.get(field)
        return [(differs.label(field), say(value) if say is not None else self._said.value(field, value))]

    def _moves(self) -> list[Line]:
        found = self._raw.get("moves") or {}
        return [
            (
                str(gettext("Who waits at step %(no)s, which is taken out", no=no)),
                str(gettext("goes on with step %(no)s", no=to) if to is not None else gettext("ends there")),
            )
            for no, to in found.items()
        ]

    def _unknown(self, settings: Mapping[str, Any]) -> list[Line]:
        """Return what nobody has a word for, as it was written."""
        top = _TOLD | {"language", "topic", "time_zone", "recurrence", "publish_from", "publish_until", "entry"}
        known = _TOLD_OF_SETTINGS | {"late", "accepts_from", "accepts_until", "conversion", "also_waiting"}
        left = {name: value for name, value in self._raw.items() if name not in top | {"payload", "moves"}}
        left |= {name: value for name, value in settings.items() if name not in known}
        return [(name, _plain(value)) for name, value in left.items() if value is not None]

    def _step(self, step: Raw) -> Iterator[Line]:
        kind = step.get("kind") or ""
        told = _TOLD_OF_STEPS[""] | _TOLD_OF_STEPS.get(kind, frozenset())
        for name, value in step.items():
            if name in told:
                continue
            say = self._of_steps.get(name)
            if say is not None:
                yield from say(value)
            elif value is not None:
                yield name, _plain(value)

    def _one(self, label: str, text: Any) -> list[Line]:
        return [(str(label), str(text))] if text else []

    def _channel(self, channel: Mapping[str, Any]) -> list[Line]:
        """Return who a message is from, and what else of the configuration is signed."""
        return [
            (differs.label(f"channel.{name}"), str(value))
            for name, value in channel.items()
            if value and name not in {"kind", "purpose"}
        ]

    def _fill(self, fill: Sequence[Mapping[str, Any]] | None) -> list[Line]:
        found = ", ".join(f"{each.get('field')} → {each.get('attribute')}" for each in fill or ())
        return self._one(gettext("Its answer fills"), found)

    def _branches(self, branches: Sequence[Mapping[str, Any]] | None) -> list[Line]:
        """Return whom the branches of an audience split are for, in the order in which they are looked at."""
        return [
            (str(gettext("Branch “%(name)s”", name=branch_name(each))), self._branch(each)) for each in branches or ()
        ]

    def _branch(self, branch: Mapping[str, Any]) -> str:
        names = self._said.value("audience.list_id", branch["list_id"]) if branch.get("list_id") else "?"
        return f"{names}: {self._said.value('audience.rule', branch.get('rule') or {'all': []})}"


def _title(step: Raw) -> str:
    return str(gettext("Step %(no)s, %(name)s", no=step["step_no"], name=step.get("name") or ""))


def _delivers_word(delivers: Any) -> str:
    if delivers:
        return str(gettext("It decides about the message behind it"))
    return str(gettext("A hand-over without a message"))


def _waits_word(waits: Any) -> str:
    if waits is False:
        return str(gettext("No: people go on at once"))
    return str(gettext("Yes, for the other system’s word"))


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
