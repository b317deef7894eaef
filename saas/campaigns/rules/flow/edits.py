"""What may change while a campaign runs: steps that have begun stay, and so does the place of those that come next.

S55-S61, R9, R10, R11. Pure, over documents and drafts: both have `start`, `steps`, `next`.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from saas.campaigns.rules.flow.shape import shape_of
from saas.kernel.errors import Fault

Raw = Mapping[str, Any]

_MAY_CHANGE: Final = frozenset({"name", "next"})  # of a step that has begun


def locked_changes(published: Raw, proposed: Raw, *, begun: Collection[int]) -> list[Fault]:
    """Return where a proposal changes what has begun, each with its place in the proposal.

    A way that ended at a step that has begun may be led on: that is an extension (R11).
    """
    if not begun:
        return []
    places = {step["step_no"]: f"/steps/{index}" for index, step in enumerate(proposed["steps"])}
    new = {step["step_no"]: step for step in proposed["steps"]}
    faults = []
    if _start(published) != _start(proposed):
        faults.append(Fault("/start", "The first steps have begun; they stay the first ones."))
    for step in published["steps"]:
        if step["step_no"] in begun:
            faults += _changed(step, new.get(step["step_no"]), places.get(step["step_no"], "/steps"))
    return faults


def _start(flow: Raw) -> tuple[int, ...]:
    return shape_of(flow).start


def _changed(before: Raw, after: Raw | None, place: str) -> Iterator[Fault]:
    no = before["step_no"]
    if after is None:
        yield Fault("/steps", f"Step {no} has begun; it cannot be taken out.")
        return
    for name in sorted((set(before) | set(after)) - _MAY_CHANGE):
        if before.get(name) != after.get(name):
            yield Fault(f"{place}/{name}", f"Step {no} has begun; it stays as it is.")
    for word, targets in (before.get("next") or {}).items():
        if targets and list((after.get("next") or {}).get(word) or ()) != list(targets):
            yield Fault(f"{place}/next/{word}", "People stand there now: what comes next keeps its place.")


def carried_over(published: Raw, draft: Raw, *, begun: Collection[int]) -> dict[str, Any]:
    """Return a draft in which what has begun is as it was published, and everything else as somebody changed it (R9).

    Both are drafts. New ways from steps that have begun are kept where the published ones ended.
    """
    own = {step["step_no"]: step for step in draft.get("steps") or ()}
    kept = [_carried(step, own.get(step["step_no"])) for step in published["steps"] if step["step_no"] in begun]
    rest = [step for step in draft.get("steps") or () if step["step_no"] not in begun]
    order = [step["step_no"] for step in published["steps"]] + [step["step_no"] for step in rest]
    steps = sorted([*kept, *rest], key=lambda step: order.index(step["step_no"]))
    return {**draft, "start": list(published.get("start") or []), "steps": steps}


def _carried(before: Raw, after: Raw | None) -> dict[str, Any]:
    led_on = {word: targets for word, targets in ((after or {}).get("next") or {}).items() if targets}
    return {**before, "next": {**led_on, **{word: to for word, to in (before.get("next") or {}).items() if to}}}


def left_alone(published: Raw, proposed: Raw) -> tuple[int, ...]:
    """Return the steps at which somebody may stand and that the proposal takes out, or makes another kind of."""
    new = {step["step_no"]: step["kind"] for step in proposed["steps"]}
    return tuple(step["step_no"] for step in published["steps"] if new.get(step["step_no"]) != step["kind"])
