"""A step as a form of its kind, and the form as a step (S33, S40)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from werkzeug.datastructures import MultiDict

from saas.audiences.types import AttributeKind
from saas.campaigns.rules.delivery import MAX_WAVES
from saas.campaigns.steps.engagement_split import INTERACTIONS
from saas.campaigns.steps.kind import Raw
from saas.campaigns.steps.set_attribute import WAYS
from saas.web.campaigns.step_fields import (
    SPARE,
    UNITS,
    Flag,
    Listed,
    Number,
    Part,
    Rows,
    Signed,
    Span,
    StepNo,
    Text,
    Values,
    span_shown,
    tidy,
)
from saas.web.forms import whole

CONTENT: Final = ("subject", "preheader", "html", "text")
PAST: Final = ("send", "next_day", "skip")


@dataclass(frozen=True, slots=True)
class _Several:
    """Some of a few words, each with a box of its own."""

    name: str

    def shown(self, step: Raw) -> dict[str, Any]:
        return {self.name: list(step.get(self.name) or ())}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        chosen = form.getlist(self.name)
        return {self.name: [word for word in INTERACTIONS if word in chosen]}

    def own(self, values: Values) -> dict[str, Any]:
        return {self.name: values[self.name]}

    def places(self, _: Values) -> Mapping[str, str]:
        return {f"/{self.name}": self.name}


class _Content:
    """A message's Liquid sources."""

    def shown(self, step: Raw) -> dict[str, Any]:
        content = step.get("content") or {}
        return {name: content.get(name) or "" for name in CONTENT}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        return {name: tidy(form.get(name, "")) for name in CONTENT}

    def own(self, values: Values) -> dict[str, Any]:
        return {"content": {name: values[name] for name in CONTENT}}

    def places(self, _: Values) -> Mapping[str, str]:
        return {"/content": "html", **{f"/content/{name}": name for name in CONTENT}}


class _Waves:
    """Parts of the people, each with its time after the start; without any, the campaign's count."""

    def shown(self, step: Raw) -> dict[str, Any]:
        rows = [self._row(wave) for wave in step.get("waves") or ()]
        empty = {"percent": "", "after": "", "unit": "hours" if rows else "minutes"}
        return {"waves": [*rows, *(dict(empty) for _ in range(min(SPARE, MAX_WAVES - len(rows))))]}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        lines = zip(form.getlist("wave_percent"), form.getlist("wave_after"), form.getlist("wave_unit"), strict=False)
        rows = [{"percent": part.strip(), "after": after.strip(), "unit": unit} for part, after, unit in lines]
        return {"waves": rows}

    def own(self, values: Values) -> dict[str, Any]:
        rows = [row for row in values["waves"] if row["percent"] or row["after"]]
        return {"waves": [self._wave(row) for row in rows]} if rows else {}

    def places(self, values: Values) -> Mapping[str, str]:
        found = {"/waves": "waves"}
        for no, _ in enumerate(values["waves"]):
            found |= {f"/waves/{no}": f"wave_percent_{no + 1}", f"/waves/{no}/after_minutes": f"wave_after_{no + 1}"}
        return found

    def _row(self, wave: Mapping[str, Any]) -> dict[str, str]:
        after, unit = span_shown(wave.get("after_minutes"))
        return {"percent": str(wave.get("percent", "")), "after": after, "unit": unit}

    def _wave(self, row: Mapping[str, str]) -> dict[str, Any]:
        after = whole(row["after"])
        minutes = after * UNITS.get(row["unit"], 1) if isinstance(after, int) else after
        return {"percent": whole(row["percent"]), "after_minutes": minutes}


class _LocalTime:
    """Whether the time is meant by each person's own clock, and what happens where it has passed."""

    def shown(self, step: Raw) -> dict[str, Any]:
        return {"local_time": (step.get("local_time") or {}).get("past", "")}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        return {"local_time": form.get("local_time", "")}

    def own(self, values: Values) -> dict[str, Any]:
        return {"local_time": {"past": values["local_time"]}} if values["local_time"] else {}

    def places(self, _: Values) -> Mapping[str, str]:
        return {"/local_time": "local_time"}


class _Shares(Rows):
    """The branches of a random split: their weights as numbers, and which one gets nothing."""

    def shown(self, step: Raw) -> dict[str, Any]:
        held = next((each.get("key") for each in step.get("branches") or () if each.get("holdout")), "")
        return {**super().shown(step), "holdout": held or ""}

    def typed(self, form: MultiDict[str, str]) -> dict[str, Any]:
        found = super().typed(form)
        line = form.get("holdout", "")
        rows = found["branches"]
        # A line that is new has no key yet: the radio names its place.
        names = [key.strip() for key in form.getlist("branch_key")]
        texts = list(zip(form.getlist("branch_name"), form.getlist("branch_weight"), strict=False))
        kept = [no for no, (name, weight) in enumerate(texts) if name.strip() or weight.strip()]
        held = int(line) - 1 if line.isascii() and line.isdecimal() else -1
        place = kept.index(held) if held in kept and held < len(names) else None
        return {**found, "holdout": rows[place]["key"] if place is not None else ""}

    def own(self, values: Values) -> dict[str, Any]:
        rows = [
            {**{name: text for name, text in row.items() if text and name != "weight"}, **_weight(row["weight"])}
            for row in self.filled(values)
        ]
        return {"branches": [row | {"holdout": True} if row["key"] == values["holdout"] else row for row in rows]}


class _Changes(Rows):
    """What attributes are set to."""

    def shown(self, step: Raw) -> dict[str, Any]:
        rows = [_shown_change(change) for change in step.get("changes") or ()]
        return {"changes": self._spare(rows)}

    def own(self, values: Values) -> dict[str, Any]:
        kinds = values["kinds"]
        return {"changes": [_change(row, kinds) for row in self.filled(values)]}


EMAIL: Final[tuple[Part, ...]] = (Text("channel_id"), _Content(), Number("speed_per_hour"), _Waves(), _LocalTime())
PARTS: Final[Mapping[str, tuple[Part, ...]]] = {
    "email": EMAIL,
    "webhook_message": (Text("channel_id"), Text("body"), Number("speed_per_hour"), _Waves()),
    "random_split": (_Shares("branches", "branch", ("name", "weight"), ("name", "weight"), keyed=True),),
    "ab_test": (
        Rows("branches", "branch", ("name",), ("name",), keyed=True),
        Number("test_percent"),
        Span("decide_after_minutes", "hours"),
        Text("winner_by"),
    ),
    "segment_split": (Rows("branches", "branch", ("audience_id", "name"), ("audience_id", "name"), keyed=True),),
    "engagement_split": (StepNo("message"), _Several("interactions"), Flag("ignore_machine_opens")),
    "condition": (),
    "gate": (
        Text("channel_id"),
        Flag("delivers"),
        Flag("wait", unless_said=True),
        Span("timeout_minutes"),
        Listed("open_fields"),
    ),
    "decision": (Text("on"), StepNo("message"), Text("event"), Span("within_minutes", "days")),
    "wait": (
        Text("for"),
        Span("minutes", "days"),
        Text("until"),
        Text("time"),
        Text("attribute"),
        Signed("days", "before"),
        Flag("yearly"),
    ),
    "set_attribute": (_Changes("changes", "change", ("attribute", "way", "text"), ("attribute", "text")),),
    "change_list": (Text("list_id"), Text("action")),
    "change_points": (Signed("points", "take"),),
    "call_webhook": (
        Text("channel_id"),
        Text("body"),
        Rows("fill", "fill", ("field", "attribute"), ("field", "attribute")),
    ),
    "other_campaign": (Text("campaign_id"), Text("action")),
    "notify_staff": (Text("text"),),
    "end": (Text("reason"),),
}
_OF_ALL: Final = ("name", "at", "latest")


def shown(step: Raw) -> dict[str, Any]:
    """Return a step as values of its form."""
    found: dict[str, Any] = {name: str(step.get(name) or "") for name in _OF_ALL}
    for part in PARTS.get(step.get("kind") or "", ()):
        found |= part.shown(step)
    return found


def typed(kind: str, form: MultiDict[str, str]) -> dict[str, Any]:
    """Return what was typed, as values of the form."""
    found: dict[str, Any] = {name: form.get(name, "").strip() for name in _OF_ALL}
    for part in PARTS[kind]:
        found |= part.typed(form)
    return found


def step_of(
    values: Values, *, kind: str, before: Mapping[str, Any], kinds: Mapping[str, AttributeKind]
) -> dict[str, Any]:
    """Return the step that the values make; number and ways are those of the step before.

    kinds: of the attributes, which say how a typed value is read.
    """
    step: dict[str, Any] = {
        "step_no": before["step_no"],
        "kind": kind,
        "name": values["name"],
        "at": values["at"] or None,
        "latest": values["latest"] or None,
        "next": before.get("next") or {},
    }
    for part in PARTS[kind]:
        step |= part.own({**values, "kinds": kinds})
    return _of_mode(step) if kind in _MODES else step


def places(kind: str, values: Values) -> dict[str, str]:
    """Return where a fault is shown: JSON pointer below the step to the name of an input."""
    found = {"": "name", **{f"/{name}": name for name in _OF_ALL}, "/rule": "rule"}
    for part in PARTS.get(kind, ()):
        found |= part.places(values)
    return found


# Of kinds with several ways to say it, which fields belong to which: the others are left out.
_MODES: Final[Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]]] = {
    "wait": (
        "for",
        {
            "delay": ("minutes",),
            "date": ("until",),
            "local_hour": ("time",),
            "attribute": ("time", "attribute", "days", "yearly"),
        },
    ),
    "decision": ("on", {"opened": ("message",), "clicked": ("message",), "converted": (), "event": ("event",)}),
}


def _of_mode(step: dict[str, Any]) -> dict[str, Any]:
    name, modes = _MODES[step["kind"]]
    meant = modes.get(step.get(name, ""))
    if meant is None:
        return step
    foreign = {field for fields in modes.values() for field in fields} - set(meant)
    return {field: value for field, value in step.items() if field not in foreign}


def _weight(text: str) -> dict[str, Any]:
    number = _number(text)
    return {} if number is None else {"weight": number}


def _number(text: str) -> int | float | str | None:
    try:
        found = Decimal(text.replace(" ", "").replace("\u00a0", "").replace(",", ".").rstrip("%"))
    except InvalidOperation:
        return text or None
    if not found.is_finite():
        return text
    return int(found) if found == found.to_integral_value() else float(found)


def _shown_change(change: Mapping[str, Any]) -> dict[str, str]:
    way = next((way for way in WAYS if way in change), "value")
    value = "" if way in {"now", "clear"} else change.get(way, "")
    if isinstance(value, bool):
        value = "yes" if value else "no"
    elif isinstance(value, float) and value.is_integer():
        value = int(value)  # the API keeps what is added with a fraction, if only .0
    return {"attribute": str(change.get("attribute") or ""), "way": way, "text": "" if value is None else str(value)}


def _change(row: Mapping[str, str], kinds: Mapping[str, AttributeKind]) -> dict[str, Any]:
    way, text = row["way"] if row["way"] in WAYS else "value", row["text"]
    if way in {"now", "clear"}:
        value: Any = True
    elif way == "add":
        value = _number(text) if text else None
    elif way == "value":
        value = _value(text, kinds.get(row["attribute"]))
    else:
        value = text
    found = {"attribute": row["attribute"]}
    return found if value is None else found | {way: value}


def _value(text: str, kind: AttributeKind | None) -> Any:
    if kind is AttributeKind.NUMBER:
        return _number(text)
    if kind is AttributeKind.BOOLEAN:
        return {"yes": True, "true": True, "no": False, "false": False}.get(text.lower(), text)
    return text or None
