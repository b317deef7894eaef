"""Drafts of flows that hold every kind of step, and ways to spoil them, for tests of what people may send."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

from tests import scenes

NOWHERE = {"chn": "chn_x", "hook": "chn_y", "lst": "lst_x", "aud": "aud_x", "cam": "cam_x"}
HALVES = [{"key": "a", "name": "A", "weight": 50}, {"key": "b", "name": "B", "weight": 50}]
BODY = '{"who": {{ contact.email | json }}}'
SPOILED: list[Any] = [
    None, True, "", "\0", "\ud800", "x" * 70, "9" * 5000, 0, -1, 2**31, 10**400, 1e308, float("inf"), float("nan"), 0.1,
    [], {}, [[]], {"a": {}}, [None], {"\0": 1}, "2026-13-01T09:00", "0000-01-01T00:00", "2200-01-01T09:00",
]  # fmt: skip


def message(no: int, refs: Mapping[str, str] = NOWHERE, /, **more: Any) -> dict[str, Any]:
    content = {"subject": f"step {no}", "html": scenes.HTML, "text": scenes.TEXT}
    return {"step_no": no, "kind": "email", "name": f"M{no}", "channel_id": refs["chn"], "content": content, **more}


def every_kind(kind: str, refs: Mapping[str, str] = NOWHERE) -> dict[str, Any]:
    """A draft for campaigns of a kind with every kind of step that may stand in them, and nothing wrong with it."""

    def step(no: int, what: str, /, **more: Any) -> dict[str, Any]:
        return {"step_no": no, "kind": what, "name": f"{what} {no}", **more}

    looks = (
        step(3, "engagement_split", message=1, interactions=["opened"], next={"opened": [5], "remaining": [6]})
        if kind == "dated"
        else step(3, "decision", on="opened", message=1, within_minutes=60, next={"yes": [5], "no": [6]})
    )
    time = (
        step(5, "notify_staff", text="They came by", next={"done": [7]})
        if kind == "dated"
        else step(5, "wait", **{"for": "delay", "minutes": 60}, next={"done": [7]})
    )
    steps = [
        message(1, refs, next={"sent": [2]}),
        step(2, "random_split", branches=deepcopy(HALVES), next={"a": [3], "b": [4]}),
        looks,
        step(4, "change_points", points=5, next={"done": [7]}),
        time,
        step(6, "set_attribute", changes=[{"attribute": "city", "value": "Oslo"}], next={"done": [7]}),
        step(7, "segment_split", branches=[{"key": "a", "name": "A", "audience_id": refs["aud"]}],
             next={"a": [8], "remaining": [9]}),
        step(8, "call_webhook", channel_id=refs["hook"], body=BODY, fill=[{"attribute": "city", "field": "town"}],
             next={"done": [10], "failed": [10]}),
        step(9, "change_list", list_id=refs["lst"], action="add", next={"done": [10]}),
        step(10, "condition", rule={"all": [{"attribute": "city", "op": "eq", "value": "Oslo"}]},
             next={"yes": [11], "no": [12]}),
        step(11, "gate", channel_id=refs["hook"], delivers=True, wait=True, timeout_minutes=60, open_fields=["offer"],
             next={"accepted": [13], "rejected": [14]}),
        step(12, "webhook_message", channel_id=refs["hook"], body=BODY, next={"sent": [14]}),
        step(13, "ab_test", branches=[{"key": "a", "name": "A"}, {"key": "b", "name": "B"}], test_percent=20,
             decide_after_minutes=60, winner_by="opened", next={"a": [15], "b": [16]}),
        step(14, "other_campaign", campaign_id=refs["cam"], action="stop", next={}),
        message(15, refs, next={"sent": [17]}),
        message(16, refs, next={"sent": [17]}),
        step(17, "end", reason="done"),
    ]  # fmt: skip
    for each in steps:
        each["at"] = f"2040-12-{each['step_no']:02}T09:00" if kind == "dated" else None
    waves = [{"percent": 10, "after_minutes": 0}, {"percent": 90, "after_minutes": 60}]
    found = {"topic": "newsletter", "time_zone": scenes.ZONE, "start": [1], "steps": steps,
             "settings": {"waves": waves if kind == "dated" else []}}  # fmt: skip
    if kind != "api":
        found["audience"] = {"list_id": refs["lst"]}
    if kind == "flowing":
        found["entry"] = {"leaving": "stay", "re_entry": "never", "every_minutes": 5}
    return found


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _paths(each, (*path, name))
    elif isinstance(value, list):
        for no, each in enumerate(value):
            yield from _paths(each, (*path, no))


@st.composite
def spoiled(draw: st.DrawFn, draft: dict[str, Any], *, most: int = 3) -> dict[str, Any]:
    """A draft of which some places were replaced, taken out, doubled, or given a field of another kind."""
    found = deepcopy(draft)
    for _ in range(draw(st.integers(1, most))):
        *way, last = draw(st.sampled_from(list(_paths(found)) or [("steps",)]))
        holder: Any = found
        for part in way:
            holder = holder[part]
        what = draw(st.sampled_from(["replace", "replace", "take out", "double", "foreign", "lead"]))
        if what == "take out" and last in (holder if isinstance(holder, dict) else range(len(holder))):
            del holder[last]
        elif what == "double" and isinstance(holder, list):
            holder.append(deepcopy(holder[last]))
        elif what == "foreign" and isinstance(holder, dict):
            holder[draw(st.sampled_from(["points", "rule", "branches", "next", "x", "kind"]))] = draw(_EVERYTHING)
        elif what == "lead" and isinstance(holder, dict) and "step_no" in holder:
            holder["next"] = {draw(st.sampled_from(["sent", "done", "a", "yes"])): [draw(st.integers(1, 18))]}
        else:
            holder[last] = draw(_EVERYTHING)
    return found


_EVERYTHING = st.sampled_from(SPOILED) | st.sampled_from(["email", "wait", "end", "dated", "remaining", "a"])
