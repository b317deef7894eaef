"""Random flows that can be published: every kind of step and of time."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random  # noqa: TID251  a seeded one
from typing import Any

from tests.reference.flow.times import moved, wall_of

AUDIENCES = {
    "aud_pro": {"list_id": None, "rule": {"attribute": "plan", "op": "eq", "value": "pro"}},
    "aud_buyers": {"list_id": None, "rule": {"attribute": "orders", "op": "gte", "value": 3}},
    "aud_news": {"list_id": "lst_news", "rule": {"consent": "newsletter", "is": "given"}},
}
MOST_STEPS = 16
_GAPS = (0, 0, 1, 5, 30, 90, 600, 1440)


@dataclass
class Bed:
    """Where a flow grows. at: a wall time, None while steps have none. without: kinds of steps that do not grow."""

    random: Random
    kind: str
    zone: str
    begin: datetime
    steps: list[dict[str, Any]] = field(default_factory=list)
    used: int = 0
    without: Collection[str] = ()

    def first_time(self) -> str | None:
        """Return the time of the first step."""
        if self.kind != "dated":
            return None
        wall = wall_of(self.begin, self.zone).replace(second=0, microsecond=0)
        return (wall + timedelta(minutes=self.random.choice([0, 2, 5, 30, 180]))).isoformat(timespec="minutes")

    def later(self, at: str | None) -> str | None:
        """Return the time of a step below one with that time; a call's steps get one from some step on."""
        if at is not None:
            return (datetime.fromisoformat(at) + timedelta(minutes=self.random.choice(_GAPS))).isoformat(
                timespec="minutes"
            )
        if self.kind == "api" and self.random.random() < 0.3:
            wall = wall_of(self.begin, self.zone) + timedelta(minutes=self.random.choice([120, 1440, 4000]))
            return wall.replace(second=0, microsecond=0).isoformat(timespec="minutes")
        return None

    def place(self, at: str | None, above: tuple[int, ...], direct: tuple[int, ...]) -> list[int]:
        """Grow what comes next and return its numbers. above: the messages on the way; direct: those just before."""
        if self.used >= MOST_STEPS or (above and self.random.random() < 0.12):
            return []
        if self.random.random() < 0.12:
            return self._several(at, above, direct)
        kind = self.random.choice(self._kinds(at, above, direct))
        step = self._new(kind, at)
        # Without times an engagement split cannot ask about the message just before.
        narrow = kind == "engagement_split" and at is None
        _OWN[kind](self, step, tuple(number for number in above if number not in direct) if narrow else above)
        messages = (*above, step["step_no"]) if kind in {"email", "webhook_message"} else above
        # Nobody can have reacted to what was sent a moment before.
        just = () if kind in {"wait", "decision"} else direct
        self._ways(step, messages, (*just, step["step_no"]) if messages != above else just)
        return [step["step_no"]]

    def _kinds(self, at: str | None, above: tuple[int, ...], direct: tuple[int, ...]) -> list[str]:
        kinds = [
            "email", "email", "email", "webhook_message", "random_split", "random_split", "segment_split", "condition",
            "gate", "gate", "set_attribute", "change_list", "change_points", "call_webhook", "other_campaign", "notify_staff",
            "ab_test",
        ]  # fmt: skip
        if at is None:
            kinds += ["wait", "wait", "wait", "wait", "decision", "decision", "decision"]
        if above and (at is not None or set(above) - set(direct)):
            kinds += ["engagement_split"] * 6
        kinds = [kind for kind in kinds if kind not in self.without]
        return [*kinds, "end"] if self.used else kinds

    def _new(self, kind: str, at: str | None) -> dict[str, Any]:
        self.used += 1
        step = {"step_no": self.used * 10 + self.random.randrange(10), "kind": kind, "name": f"{kind} {self.used}"}
        step["at"] = at
        often = 0.3 if kind in {"random_split", "segment_split", "ab_test"} else 0.12  # whose ways end when it is late
        if at is not None and self.random.random() < often:
            step["latest"] = (datetime.fromisoformat(at) + timedelta(minutes=self.random.choice([0, 3, 60]))).isoformat(
                timespec="minutes"
            )
        self.steps.append(step)
        return step

    def _several(self, at: str | None, above: tuple[int, ...], direct: tuple[int, ...]) -> list[int]:
        messages = [kind for kind in ("email", "webhook_message") if kind not in self.without]
        steps = [self._new(self.random.choice(messages), at) for _ in range(2)]
        steps += [self._new("email", at)] if self.random.random() < 0.3 else []
        for step in steps:
            _OWN[step["kind"]](self, step, above)
        numbers = tuple(step["step_no"] for step in steps)
        below = self.place(self.later(at), (*above, *numbers), direct + numbers)
        for step in steps:
            step["next"] = {"sent": below}
        return list(numbers)

    def _ways(self, step: dict[str, Any], above: tuple[int, ...], direct: tuple[int, ...]) -> None:
        step["next"] = {}
        if step["kind"] == "ab_test":
            self._messages_of_test(step, above, direct)
            return
        exits = exits_of(step)
        joins = bool(exits) and self.random.random() < 0.4
        shared = self.place(self.later(step["at"]), above, direct) if joins else None
        for way in exits:
            if shared is not None and (way == exits[0] or self.random.random() < 0.7):
                step["next"][way] = shared
            elif self.random.random() < 0.75:
                step["next"][way] = self.place(self.later(step["at"]), above, direct)
        if step.get("delivers") and not step["next"].get("accepted"):
            step["delivers"] = False  # what delivers leads to a message

    def _messages_of_test(self, step: dict[str, Any], above: tuple[int, ...], direct: tuple[int, ...]) -> None:
        at = self.later(step["at"])
        messages = [self._new("email", at) for _ in step["branches"]]
        for message in messages:
            _email(self, message, above)
        numbers = tuple(each["step_no"] for each in messages)
        below = self.place(self.later(at), above + numbers, direct + numbers)
        for branch, message in zip(step["branches"], messages, strict=True):
            message["next"] = {"sent": below} if below else {}
            step["next"][branch["key"]] = [message["step_no"]]


def exits_of(step: Mapping[str, Any]) -> list[str]:
    """Return the exits of a step that may lead somewhere."""
    fixed = {
        "email": ["sent"], "webhook_message": ["sent"], "condition": ["yes", "no"], "decision": ["yes", "no"],
        "gate": ["accepted", "rejected", "timeout"], "call_webhook": ["done", "failed"], "end": [],
    }  # fmt: skip
    if step["kind"] in fixed:
        return fixed[step["kind"]]
    if step["kind"] == "engagement_split":
        return [*step["interactions"], "remaining"]
    if "branches" not in step:
        return ["done"]
    keys = [branch["key"] for branch in step["branches"] if not branch.get("holdout")]
    return [*keys, "remaining"] if step["kind"] == "segment_split" else keys


def _email(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {"channel_id": "chn_mail", "content": {}}
    if step["at"] is not None and bed.random.random() < 0.25:
        step["local_time"] = {"past": bed.random.choice(["send", "next_day", "skip"])}


def _webhook_message(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {"channel_id": "chn_hook", "body": "{}"}


def _random_split(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    weights = bed.random.choice([[50, 50], [33.33, 33.33, 33.34], [10, 20, 70], [90, 10], [12.5, 87.5]])
    step["branches"] = [{"key": "abc"[no], "name": "abc"[no].upper(), "weight": w} for no, w in enumerate(weights)]
    if bed.random.random() < 0.65:
        step["branches"][-1]["holdout"] = True


def _ab_test(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {
        "branches": [{"key": key, "name": key.upper()} for key in "ab"],
        "test_percent": bed.random.choice([10, 20, 50, 100]),
        "decide_after_minutes": bed.random.choice([10, 60, 240]),
        "winner_by": bed.random.choice(["opened", "clicked", "converted"]),
    }


def _segment_split(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    chosen = bed.random.sample(sorted(AUDIENCES), bed.random.randint(1, 2))
    step["branches"] = [{"key": f"s{no}", "name": name, "audience_id": name} for no, name in enumerate(chosen)]


def _engagement_split(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    chosen = bed.random.choice(
        [["opened"], ["clicked", "opened"], ["converted", "clicked", "opened"], ["converted", "clicked"]]
    )
    step |= {"message": bed.random.choice(above), "interactions": chosen}
    step["ignore_machine_opens"] = bed.random.random() < 0.5


def _condition(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step["rule"] = any_rule(bed.random)


def _gate(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {
        "channel_id": "chn_hook", "delivers": bed.random.random() < 0.5, "wait": bed.random.random() < 0.8,
        "timeout_minutes": bed.random.choice([10, 60, 300]), "open_fields": ["greeting", "plan"],
    }  # fmt: skip


def _decision(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    about_messages = ["opened", "clicked"] * 2 if above else []
    step["on"] = bed.random.choice([*about_messages, "converted", "event"])
    step["within_minutes"] = bed.random.choice([60, 1440, 4000])
    if step["on"] in {"opened", "clicked"}:
        step["message"] = bed.random.choice(above)
    elif step["on"] == "event":
        step["event"] = "visited"


def _wait(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step["for"] = bed.random.choice(["delay", "date", "local_hour", "attribute"])
    if step["for"] == "delay":
        step["minutes"] = bed.random.choice([1, 45, 1440])
    elif step["for"] == "date":
        step["until"] = moved(f"{wall_of(bed.begin, bed.zone):%Y-%m-%dT09:00}", bed.random.randint(0, 3))
    elif step["for"] == "local_hour":
        step["time"] = bed.random.choice(["09:00", "02:30", "00:15", "23:45"])
    else:
        step |= {"attribute": "birthday", "days": bed.random.choice([-3, 0, 2]), "time": "08:30"}
        step["yearly"] = bed.random.random() < 0.7


def _set_attribute(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    change = bed.random.choice(
        [{"attribute": "plan", "value": "pro"}, {"attribute": "orders", "add": 2}, {"attribute": "plan", "copy": "city"},
         {"attribute": "seen", "now": True}, {"attribute": "orders", "clear": True},
         *([{"attribute": "plan", "context": "plan"}] if bed.kind != "dated" else [])]
    )  # fmt: skip
    step["changes"] = [change]


def _change_list(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {"list_id": "lst_news", "action": bed.random.choice(["add", "remove"])}


def _change_points(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step["points"] = bed.random.choice([-5, 1, 10])


def _call_webhook(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {"channel_id": "chn_hook", "body": "{}", "fill": [{"attribute": "plan", "field": "plan"}]}


def _other_campaign(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step |= {"campaign_id": "cmp_other", "action": bed.random.choice(["start", "stop"])}


def _notify_staff(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step["text"] = "Have a look"


def _end(bed: Bed, step: dict[str, Any], above: tuple[int, ...]) -> None:
    step["reason"] = bed.random.choice(["served", "not wanted"])


_OWN: Mapping[str, Callable[[Bed, dict[str, Any], tuple[int, ...]], None]] = {
    "email": _email, "webhook_message": _webhook_message, "random_split": _random_split, "ab_test": _ab_test,
    "segment_split": _segment_split, "engagement_split": _engagement_split, "condition": _condition, "gate": _gate,
    "decision": _decision, "wait": _wait, "set_attribute": _set_attribute, "change_list": _change_list,
    "change_points": _change_points, "call_webhook": _call_webhook, "other_campaign": _other_campaign,
    "notify_staff": _notify_staff, "end": _end,
}  # fmt: skip


def any_rule(random: Random) -> dict[str, Any]:
    """Return some rule of an audience."""
    return random.choice(
        [
            {"attribute": "vip", "op": "eq", "value": True},
            {"attribute": "orders", "op": "between", "value": [1, 4]},
            {"not": {"attribute": "plan", "op": "is_empty"}},
            {"any": [{"attribute": "plan", "op": "ne", "value": "pro"}, {"consent": "newsletter", "is": "given"}]},
            {"attribute": "birthday", "op": "before", "value": "1990-01-01"},
            {"all": [{"attribute": "city", "op": "starts_with", "value": "o"}]},
        ]
    )
