"""What a step does, in a sentence: one place for all pages. What kinds are called stands in step_looks.py (S33)."""

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask_babel import gettext, lazy_gettext, ngettext
from sqlalchemy.orm import Session

from saas.audiences.models import Audience, ContactList
from saas.audiences.queries.attributes import known_attributes
from saas.audiences.rules import segment
from saas.audiences.types import Known
from saas.campaigns.models import Campaign
from saas.campaigns.steps.kind import Raw
from saas.channels.models import ChannelConfiguration
from saas.kernel.errors import Invalid
from saas.kernel.ids import BadId, parse
from saas.platform.db import Model, bound_tenant
from saas.web import words
from saas.web.audiences.words import sentence
from saas.web.campaigns.step_looks import EXITS, branch_name, exit_word, percent

DAY_MIN: Final = 24 * 60
_WINNERS: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "opened": lazy_gettext("opened most"),
        "clicked": lazy_gettext("clicked most"),
        "converted": lazy_gettext("with most conversions"),
    }
)


def span(minutes: object) -> str:
    """Return a stretch of time in its largest unit that says it exactly: "2 days", "90 minutes"."""
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        return "?"
    if minutes and minutes % DAY_MIN == 0:
        return str(ngettext("one day", "%(num)d days", minutes // DAY_MIN))
    if minutes and minutes % 60 == 0:
        return str(ngettext("one hour", "%(num)d hours", minutes // 60))
    return str(ngettext("one minute", "%(num)d minutes", minutes))


def wall_word(wall: object, *, now: datetime) -> str:
    """Return a wall time as people read it, "Fri 20 Nov 07:30"; what is none as it was written."""
    text = wall.get("wall") if isinstance(wall, Mapping) else wall
    try:
        found = datetime.fromisoformat(str(text or ""))
    except ValueError:
        return str(text or "")
    pattern = "EEE d MMM HH:mm" if found.year == now.year else "EEE d MMM y HH:mm"
    return format_datetime(found.replace(tzinfo=None), pattern, locale=words.language())


class StepWords:
    """Says what steps do. Drafts and signed documents refer to things by different ids; both are understood."""

    def __init__(self, session: Session, steps: Mapping[int, Raw], *, zone: str, now: datetime) -> None:
        self._session, self._steps, self._now = session, steps, now
        self._zone = ZoneInfo(zone)
        self._known: Mapping[str, Known] = known_attributes(session)
        self._says: Mapping[str, Callable[[Raw], str]] = {
            "email": self._email,
            "webhook_message": self._to_webhook,
            "random_split": self._random_split,
            "ab_test": self._ab_test,
            "segment_split": self._segment_split,
            "engagement_split": self._engagement_split,
            "condition": self._condition,
            "gate": self._gate,
            "decision": self._decision,
            "wait": self._wait,
            "set_attribute": self._set_attribute,
            "change_list": self._change_list,
            "change_points": self._change_points,
            "call_webhook": self._call_webhook,
            "other_campaign": self._other_campaign,
            "notify_staff": self._notify_staff,
            "end": self._end,
        }

    def summary(self, step: Raw) -> str:
        """Return what a step does, in a sentence without its full stop."""
        say = self._says.get(step.get("kind") or "")
        return say(step) if say is not None else ""

    def title(self, step_no: object) -> str:
        """Return how a step is named where another one refers to it: "step 2, “Invitation”"."""
        step = self._steps.get(step_no) if isinstance(step_no, int) else None
        if step is None:
            return str(gettext("a message that is not chosen yet"))
        return str(gettext("step %(no)s, “%(name)s”", no=step_no, name=step.get("name") or ""))

    def _name(self, model: type[Model], prefix: str, given: object) -> str:
        return name_of(self._session, model, prefix, given) if given else str(gettext("nothing chosen yet"))

    def _label(self, key: object) -> str:
        return self._known[key].label if isinstance(key, str) and key in self._known else str(key or "?")

    def _email(self, step: Raw) -> str:
        subject = (step.get("content") or {}).get("subject")
        return f"“{subject}”" if subject else str(gettext("No subject yet"))

    def _webhook(self, step: Raw) -> str:
        return self._name(ChannelConfiguration, "chn", step.get("channel_id"))

    def _to_webhook(self, step: Raw) -> str:
        return str(gettext("To %(name)s", name=self._webhook(step)))

    def _random_split(self, step: Raw) -> str:
        return ", ".join(exit_word(step, each.get("key") or "") for each in step.get("branches") or ())

    def _ab_test(self, step: Raw) -> str:
        names = words.listed([branch_name(each) for each in step.get("branches") or ()])
        return str(
            gettext(
                "%(part)s get %(names)s by chance; after %(span)s the rest get the one %(by)s",
                part=percent(step.get("test_percent")),
                names=names,
                span=span(step.get("decide_after_minutes")),
                by=_WINNERS.get(step.get("winner_by") or "", "?"),
            )
        )

    def _segment_split(self, step: Raw) -> str:
        found = ", ".join(self._share(each) for each in step.get("branches") or ())
        return str(gettext("First of: %(names)s; the rest", names=found)) if found else ""

    def _share(self, branch: Mapping[str, Any]) -> str:
        if branch.get("name"):
            return str(branch["name"])
        return self._name(Audience, "aud", branch.get("audience_id"))

    def _engagement_split(self, step: Raw) -> str:
        chosen = ", ".join(str(EXITS.get(word, word)).lower() for word in step.get("interactions") or ())
        found = gettext("What people did with %(title)s: %(chosen)s; the rest", title=self.title(step.get("message")),
                        chosen=chosen or "?")  # fmt: skip
        machine = gettext("opens by programs do not count")
        return f"{found} ({machine})" if step.get("ignore_machine_opens") else str(found)

    def _condition(self, step: Raw) -> str:
        kinds = {key: known.kind for key, known in self._known.items()}
        try:
            found = sentence(segment.parse(step.get("rule"), kinds=kinds), known=self._known, zone=self._zone)
        except Invalid:
            return str(gettext("No question that can be asked yet"))
        return f"{found}?" if found else str(gettext("True for everybody"))

    def _gate(self, step: Raw) -> str:
        name = self._webhook(step)
        if not step.get("wait", True):
            return str(gettext("Hands people over to %(name)s and goes on", name=name))
        return str(gettext("%(name)s decides within %(span)s", name=name, span=span(step.get("timeout_minutes"))))

    def _decision(self, step: Raw) -> str:
        on, within = step.get("on"), span(step.get("within_minutes"))
        if on == "event":
            return str(gettext("“%(event)s” within %(span)s?", event=step.get("event") or "?", span=within))
        if on == "converted":
            return str(gettext("A conversion within %(span)s?", span=within))
        what = EXITS.get(on or "", "?")
        return str(
            gettext("%(what)s %(title)s within %(span)s?", what=what, title=self.title(step.get("message")),
                    span=within)
        )  # fmt: skip

    def _wait(self, step: Raw) -> str:
        mode, time = step.get("for"), step.get("time") or "?"
        if mode == "delay":
            return str(gettext("Waits %(span)s", span=span(step.get("minutes"))))
        if mode == "date":
            return str(gettext("Waits until %(at)s", at=wall_word(step.get("until"), now=self._now)))
        if mode == "local_hour":
            return str(gettext("Waits until %(time)s by the person’s clock", time=time))
        return self._wait_for_date(step, time) if mode == "attribute" else str(gettext("No time chosen yet"))

    def _wait_for_date(self, step: Raw, time: str) -> str:
        label, days = self._label(step.get("attribute")), step.get("days") or 0
        count = ngettext("one day", "%(num)d days", abs(days))
        if days < 0:
            found = gettext("Waits until %(count)s before %(date)s, %(time)s", count=count, date=label, time=time)
        elif days:
            found = gettext("Waits until %(count)s after %(date)s, %(time)s", count=count, date=label, time=time)
        else:
            found = gettext("Waits until %(date)s, %(time)s", date=label, time=time)
        return f"{found}, {gettext('each year')}" if step.get("yearly") else str(found)

    def _set_attribute(self, step: Raw) -> str:
        return "; ".join(self._change(change) for change in step.get("changes") or ())

    def _change(self, change: Mapping[str, Any]) -> str:
        label = self._label(change.get("attribute"))
        texts: tuple[tuple[str, Any], ...] = (
            ("value", lambda v: gettext("Sets %(what)s to %(value)s", what=label, value=value_word(v))),
            ("add", lambda v: gettext("Adds %(value)s to %(what)s", what=label, value=words.number(v))),
            ("copy", lambda v: gettext("Sets %(what)s to the value of %(other)s", what=label, other=self._label(v))),
            ("context", lambda v: gettext("Sets %(what)s to the call’s field %(field)s", what=label, field=v)),
            ("now", lambda _: gettext("Sets %(what)s to the present time", what=label)),
            ("clear", lambda _: gettext("Empties %(what)s", what=label)),
        )
        return next((str(say(change[way])) for way, say in texts if way in change), label)

    def _change_list(self, step: Raw) -> str:
        name = self._name(ContactList, "lst", step.get("list_id"))
        if step.get("action") == "remove":
            return str(gettext("Takes people off %(name)s", name=name))
        return str(gettext("Puts people on %(name)s", name=name))

    def _change_points(self, step: Raw) -> str:
        points = step.get("points") or 0
        if points < 0:
            return str(ngettext("Takes one point", "Takes %(num)d points", -points))
        return str(ngettext("Gives one point", "Gives %(num)d points", points))

    def _call_webhook(self, step: Raw) -> str:
        filled = ", ".join(self._label(each.get("attribute")) for each in step.get("fill") or ())
        if filled:
            return str(gettext("Asks %(name)s; its answer fills %(what)s", name=self._webhook(step), what=filled))
        return str(gettext("Calls %(name)s", name=self._webhook(step)))

    def _other_campaign(self, step: Raw) -> str:
        name = self._name(Campaign, "cam", step.get("campaign_id"))
        if step.get("action") == "stop":
            return str(gettext("Stops people’s way in “%(name)s”", name=name))
        return str(gettext("Starts “%(name)s” for people", name=name))

    def _notify_staff(self, step: Raw) -> str:
        return f"“{step.get('text') or ''}”"

    def _end(self, step: Raw) -> str:
        return str(step.get("reason") or gettext("The way ends here"))


def name_of(session: Session, model: type[Model], prefix: str, given: object) -> str:
    """Return the name of what a step refers to, by an id as drafts or as documents write it."""
    try:
        text = str(given)
        wanted = parse(prefix, text) if text.startswith(f"{prefix}_") else UUID(text)
    except (BadId, ValueError):
        return str(gettext("something that is gone"))
    row: Any = session.get(model, (bound_tenant(session), wanted))
    return str(row.name) if row is not None else str(gettext("something that is gone"))


def value_word(value: object) -> str:
    """Return an attribute's value as people write it."""
    if isinstance(value, bool):
        return str(gettext("yes") if value else gettext("no"))
    if isinstance(value, int | float):
        return words.number(value)
    return str(value)
