"""What changed since the last approval, in words; and why each sample person is shown (U7, U15)."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from flask_babel import gettext

from saas.audiences.models import ContactList
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.rules import segment
from saas.audiences.types import Known
from saas.campaigns.rules.diff import Change, Mark, Part, Piece, lines, words
from saas.campaigns.rules.document import FrequencyCap, Wave
from saas.campaigns.rules.quiet import QuietHours, SendWindow
from saas.campaigns.rules.samples import Ask, Facet, FacetKind
from saas.campaigns.service.changes import Changes
from saas.channels import queries as channels
from saas.http.types import Context
from saas.kernel.errors import Invalid
from saas.platform.db import bound_tenant
from saas.web import words as said
from saas.web.audiences.words import sentence
from saas.web.campaigns import delivery
from saas.web.campaigns.choices import late_word
from saas.web.campaigns.round_words import recurrence_word
from saas.web.campaigns.start_words import entry_word
from saas.web.campaigns.step_looks import past_word

_WAYS: Final = "next"  # what comes after a step is told of the flow, and changes no message
_LONG: Final = frozenset({"content.html", "content.text"})
# Sentences, in which single words change; other values are replaced as a whole.
_WRITTEN: Final = frozenset({"content.subject", "content.preheader", "audience.rule", "name", "at"})


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: what, and its words with what was removed and added."""

    label: str
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Source:
    """A long text that changed, by line; `pieces` is None for one too long to compare."""

    label: str
    step_no: int | None
    pieces: Sequence[Piece] | None


class Words:
    """Says documents' values in words, with what the workspace knows looked up once."""

    def __init__(self, context: Context, zone: str, *, titles: Mapping[int, str] | None = None) -> None:
        """titles: what steps are called, where a document has several."""
        self._session = context.session
        self._titles = titles or {}
        self._known: Mapping[str, Known] = known_attributes(context.session)
        self._zone = ZoneInfo(zone)
        self._says: Mapping[str, Callable[[Any], str]] = {
            "audience.list_id": self._list,
            "audience.rule": self._rule,
            "channel_id": self._channel,
            "settings.waves": self._waves,
            "settings.frequency_cap": self._cap,
            "settings.quiet_hours": self._quiet,
            "settings.send_window": lambda value: delivery.window_word(
                SendWindow.of(value["days"], value["from"], value["until"])
            ),
            "settings.in_silence": lambda _: str(gettext("what would have left then is not sent")),
            "at": self._at,
            "latest": self._at,
            "publish_from": self._at,
            "publish_until": self._at,
            "settings.accepts_from": self._at,
            "settings.accepts_until": self._at,
            "settings.conversion": lambda value: str(value["event"]),
            "settings.late": late_word,
            "entry": entry_word,
            "recurrence": recurrence_word,
            "local_time": past_word,
            "payload": self._payload,
        }

    def rows(self, changes: Iterable[Change]) -> list[Row]:
        """Return what changed in short, one line each."""
        return [self._row(change) for change in changes if change.field not in _LONG]

    def sources(self, found: Changes) -> list[Source]:
        """Return which long texts changed, and how."""
        return [
            Source(self._title(change), change.step_no, lines(change.before or "", change.after or ""))
            for change in found.changes
            if change.field in _LONG
        ]

    def facet(self, facet: Facet) -> str:
        """Return why somebody is in the sample pack: “language: de”, “has no city”."""
        if facet.kind is FacetKind.LANGUAGE:
            return str(gettext("language %(code)s", code=facet.value) if facet.value else gettext("no language"))
        if facet.kind is FacetKind.BRANCH:
            return self._rule(json.loads(facet.rule))
        label = self._label_of(facet.attribute)
        if facet.kind is FacetKind.MISSING:
            return str(gettext("has no %(what)s", what=label))
        return _condition(facet, label)

    def _row(self, change: Change) -> Row:
        old, new = (self.value(change.field, value) for value in (change.before, change.after))
        if change.field in _WRITTEN:
            return Row(self._title(change), words(old, new))
        both = (Piece(Mark.REMOVED, old), Piece(Mark.SAME, " "), Piece(Mark.ADDED, new))
        return Row(self._title(change), [piece for piece in both if piece.text])

    def _title(self, change: Change) -> str:
        name = _label(change)
        if change.step_no is None or change.step_no not in self._titles:
            return name
        return f"{self._titles[change.step_no]}: {name[:1].lower()}{name[1:]}"

    def value(self, field: str, value: Any) -> str:
        """Return the value of a field of the document, by its path, in words."""
        if field == "settings.speed_per_hour":
            return delivery.speed_word(value)
        if value is None:
            return _absent(field)
        say = self._says.get(field)
        if say is not None:
            return say(value)
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def _rule(self, rule: Any) -> str:
        kinds = {key: known.kind for key, known in self._known.items()}
        try:
            found = sentence(segment.parse(rule, kinds=kinds), known=self._known, zone=self._zone)
        except Invalid:
            return json.dumps(rule, ensure_ascii=False, sort_keys=True)
        return found or str(gettext("everybody"))

    def _list(self, value: str) -> str:
        row = self._session.get(ContactList, (bound_tenant(self._session), UUID(value)))
        return row.name if row is not None else str(gettext("a list that is gone"))

    def _channel(self, value: str) -> str:
        row = channels.find(self._session, UUID(value))
        return row.name if row is not None else str(gettext("a channel configuration that is gone"))

    def _waves(self, value: Sequence[Mapping[str, int]]) -> str:
        return delivery.waves_word([Wave(**wave) for wave in value]) or str(gettext("no waves"))

    def _cap(self, value: Mapping[str, int]) -> str:
        return delivery.cap_word(FrequencyCap(**value))

    def _quiet(self, value: Mapping[str, str]) -> str:
        return delivery.quiet_word(QuietHours.of(value["from"], value["until"]))

    def _at(self, value: Mapping[str, str]) -> str:
        return f"{value['wall'].replace('T', ' ')} {said.city(value['zone'])}"

    def _payload(self, value: Sequence[Mapping[str, Any]]) -> str:
        return ", ".join(_field_word(field) for field in value) or str(gettext("nothing"))

    def _label_of(self, attribute: str) -> str:
        return self._known[attribute].label if attribute in self._known else attribute


def _field_word(field: Mapping[str, Any]) -> str:
    needed = field.get("required", True)
    missing = "" if needed else f", {gettext('may be missing')}"
    return f"{field['key']} ({field['kind']}{missing})"


def changed_steps(found: Changes) -> frozenset[int]:
    """Return the steps whose messages are not what they were."""
    return frozenset(change.step_no for change in found.changes if change.step_no is not None and change.field != _WAYS)


def changed_parts(found: Changes) -> frozenset[str]:
    """Return the parts of the page that are not what they were."""
    return frozenset(change.part.value for change in found.changes)


def compared_steps(found: Changes) -> frozenset[int]:
    """Return the steps that stand beside what they were: changed ones that there were before."""
    new = {change.step_no for change in found.changes if change.field == "step"}
    return frozenset(
        change.step_no
        for change in found.changes
        if change.step_no is not None
        and change.step_no not in new
        and change.field != _WAYS
        and change.part in {Part.CONTENT, Part.OTHER, Part.STEPS}
    )


def _label(change: Change) -> str:
    if change.field == "step":
        return str(gettext("New message") if change.before is None else gettext("Message taken out"))
    return label(change.field)


def label(field: str) -> str:
    """Return what a field of the document is called, by its path."""
    texts = {
        "audience.list_id": gettext("List"),
        "audience.rule": gettext("Audience rule"),
        "audience": gettext("Audience"),
        "topic": gettext("Topic of consent"),
        "time_zone": gettext("Time zone"),
        "at": gettext("Start"),
        "settings.speed_per_hour": gettext("Speed"),
        "settings.waves": gettext("Waves"),
        "settings.frequency_cap": gettext("To a person"),
        "settings.quiet_hours": gettext("Quiet hours"),
        "settings.send_window": gettext("Send window"),
        "settings.in_silence": gettext("When nothing may leave"),
        "channel_id": gettext("Channel configuration"),
        "channel.from_name": gettext("From name"),
        "channel.from_address": gettext("From address"),
        "channel.reply_to": gettext("Reply to"),
        "channel.url": gettext("Webhook address"),
        "content.subject": gettext("Subject"),
        "content.preheader": gettext("Preheader"),
        "content.html": gettext("HTML"),
        "content.text": gettext("Text part"),
        "name": gettext("Name of the step"),
        "payload": gettext("Fields of the call"),
        "workspace.name": gettext("Workspace"),
        "latest": gettext("No later than"),
        "publish_from": gettext("Not before"),
        "publish_until": gettext("Not after"),
        "settings.accepts_from": gettext("Calls from"),
        "settings.accepts_until": gettext("Calls until"),
        "settings.conversion": gettext("What counts as a conversion"),
        "entry": gettext("How people come in"),
        "recurrence": gettext("Comes again"),
        "settings.late": gettext("Late calls"),
        "settings.also_waiting": gettext("Those who wait"),
        "local_time": gettext("Whose clock"),
        "channel.return_path": gettext("Return path"),
        "channel.host": gettext("Mail server"),
        "channel.dkim_domain": gettext("Signed by"),
        "channel.dkim_selector": gettext("Key of the signature"),
    }
    plain = field.partition(".")[2] or field
    return str(texts.get(field) or plain.replace("_", " ").capitalize())


def _absent(field: str) -> str:
    """Return what null says of a field."""
    texts = {
        "settings.frequency_cap": delivery.cap_word(None),
        "settings.quiet_hours": delivery.quiet_word(None),
        "settings.send_window": str(gettext("always")),
        "settings.in_silence": str(gettext("it waits")),
        "step": "",
    }
    return str(texts.get(field, gettext("nothing")))


def _condition(facet: Facet, label: str) -> str:
    yes, value = facet.holds, facet.value
    if isinstance(value, bool):
        value = gettext("yes") if value else gettext("no")
    pairs = {
        Ask.IS_SET: (gettext("has %(what)s"), gettext("without %(what)s")),
        Ask.EQUALS: (gettext("%(what)s is “%(value)s”"), gettext("%(what)s is not “%(value)s”")),
        Ask.CONTAINS: (gettext("%(what)s contains “%(value)s”"), gettext("%(what)s does not contain “%(value)s”")),
        Ask.LESS: (gettext("%(what)s is below %(value)s"), gettext("%(what)s is not below %(value)s")),
        Ask.AT_MOST: (gettext("%(what)s is at most %(value)s"), gettext("%(what)s is not at most %(value)s")),
        Ask.MORE: (gettext("%(what)s is above %(value)s"), gettext("%(what)s is not above %(value)s")),
        Ask.AT_LEAST: (gettext("%(what)s is at least %(value)s"), gettext("%(what)s is not at least %(value)s")),
    }
    found = pairs[facet.ask or Ask.IS_SET]
    return str(found[0] if yes else found[1]) % {"what": label, "value": value}
