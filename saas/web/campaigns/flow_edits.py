"""Changes of a draft's flow: put a step somewhere, take one out, lead a way elsewhere (S33, S59). Pure.

A place is "start" or an exit, "3.yes": what stands there is a list of steps. Drafts are taken as values; each function
returns another one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from saas.campaigns.rules.flow.faults import MAX_STEP_NO
from saas.campaigns.rules.flow.shape import Shape, shape_of
from saas.campaigns.steps import ab_test
from saas.campaigns.steps.registry import KINDS
from saas.web.campaigns.outline import START, place_of

Draft = Mapping[str, Any]
Step = Mapping[str, Any]
TAKE_AWAY: Final = ""  # instead of an exit's word: what followed goes as well


def steps_of(draft: Draft) -> list[dict[str, Any]]:
    """Return a draft's steps, each as a value of its own."""
    return [{**step, "next": {word: list(to) for word, to in (step.get("next") or {}).items()}}
            for step in draft.get("steps") or []]  # fmt: skip


def step_in(draft: Draft, step_no: int) -> dict[str, Any] | None:
    """Return a step by its number."""
    return next((step for step in steps_of(draft) if step["step_no"] == step_no), None)


def next_no(drafts: Iterable[Draft], *, used: Iterable[int] = ()) -> int:
    """Return the number of a new step: one more than any that a draft or document of the campaign ever had."""
    numbers = {step["step_no"] for draft in drafts for step in draft.get("steps") or []} | set(used)
    return min(max(numbers, default=0) + 1, MAX_STEP_NO)


def places(draft: Draft) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield every place of a flow with what stands there, nothing as well."""
    shape = shape_of(draft)
    yield START, shape.start
    for node in shape.nodes.values():
        for word in node.exits:
            yield place_of(node.step_no, word), tuple(node.next.get(word, ()))


def put(draft: Draft, step: Step, place: str) -> dict[str, Any]:
    """Put a new step in a place; what stood there follows by its first exit."""
    before = dict(places(draft))[place]
    exits = exits_of(step)
    added = {**step, "next": {exits[0]: list(before)} if exits and before else {}}
    return _led(draft, [*steps_of(draft), added], lambda where, to: (step["step_no"],) if where == place else to)


def put_beside(draft: Draft, step: Step, other: int) -> dict[str, Any]:
    """Send a new message at once with another one: at its time, leading where it leads (A2, R18)."""
    beside = step_in(draft, other) or {}
    added = {**step, "at": beside.get("at"), "latest": beside.get("latest"), "next": beside.get("next") or {}}
    steps = [*steps_of(draft), added]
    return _led(draft, steps, lambda _, to: (*to, step["step_no"]) if other in to else to)


def replace(draft: Draft, step: Step) -> dict[str, Any]:
    """Put a changed step in the place of the one with its number; exits that it has no more lead nowhere."""
    exits = exits_of(step)
    kept = (step_in(draft, step["step_no"]) or {}).get("next") or {}
    changed = {**step, "next": {word: to for word, to in kept.items() if word in exits}}
    steps = [changed if each["step_no"] == step["step_no"] else each for each in steps_of(draft)]
    return {**draft, "start": list(shape_of(draft).start), "steps": _same_time(steps, changed, draft)}


def remove(draft: Draft, step_no: int, *, follow: str) -> dict[str, Any]:
    """Take a step out. What comes by the exit `follow` is attached to the way before; what then no way leads to goes.

    Of several messages sent at once only this one goes.
    """
    shape = shape_of(draft)
    node = shape.nodes[step_no]
    alone = len(shape.group_of(step_no)) == 1
    after = tuple(node.next.get(follow, ())) if alone else ()

    def lead(_: str, to: tuple[int, ...]) -> tuple[int, ...]:
        if step_no not in to:
            return to
        return after if to == (step_no,) else tuple(no for no in to if no != step_no)

    steps = [step for step in steps_of(draft) if step["step_no"] != step_no]
    left = _led(draft, steps, lead)
    return _without(left, shape.reached - shape_of(left).reached)


def lost_with(draft: Draft, step_no: int, *, follow: str) -> list[int]:
    """Return the other steps that would go as well."""
    left = {step["step_no"] for step in remove(draft, step_no, follow=follow)["steps"]}
    return [step["step_no"] for step in steps_of(draft) if step["step_no"] not in {*left, step_no}]


def before_it(shape: Shape, step_no: int) -> int | None:
    """Return the step that a step can change places with upwards; None where there is none.

    Both have one way on, and nothing else leads to the lower one, so that everybody who comes to either comes to both.
    Messages that are sent at once move together. A test of variants leads to a message.
    """
    legs = shape.feeders[step_no]
    if not legs or step_no not in shape.reached or step_no in shape.start:
        return None
    upper, lower = shape.group_of(legs[0][0]), shape.group_of(step_no)
    if {no for no, _ in legs} != set(upper) or not all(_goes_one_way(shape, no) for no in (*upper, *lower)):
        return None
    tested = any(_is_test(shape, no) for no, _ in shape.feeders[upper[0]])
    return None if tested and not shape.nodes[step_no].sends else upper[0]


def after_it(shape: Shape, step_no: int) -> int | None:
    """Return the step that a step can change places with downwards; None where there is none."""
    below = next(iter(shape.targets(step_no)), None)
    return below if below is not None and before_it(shape, below) in shape.group_of(step_no) else None


def move_up(draft: Draft, step_no: int) -> dict[str, Any]:
    """Let a step change places with the one before it: it takes its place and its time (R3, S41)."""
    shape = shape_of(draft)
    above = before_it(shape, step_no)
    if above is None:
        msg = f"nothing is before step {step_no}"
        raise ValueError(msg)
    upper, lower = shape.group_of(above), shape.group_of(step_no)
    behind = next(iter(shape.nodes[step_no].next.values()), ())

    def lead(place: str, to: tuple[int, ...]) -> tuple[int, ...]:
        no = place.partition(".")[0]
        if no in map(str, lower):
            return upper
        return behind if no in map(str, upper) else lower if set(to) == set(upper) else to

    times = {True: _times_of(draft, above), False: _times_of(draft, step_no)}
    steps = steps_of(draft)
    moved = [
        {**step, **times[step["step_no"] in lower]} if step["step_no"] in {*upper, *lower} else step for step in steps
    ]
    return _led(draft, moved, lead)


def has_times(draft: Draft, *numbers: int) -> bool:
    """Say whether one of the steps has a time of its own."""
    return any((step_in(draft, no) or {}).get("at") for no in numbers)


def lead_to(draft: Draft, place: str, target: int | None) -> dict[str, Any]:
    """Let a way go on with a step that there is, or end; what only it led to stays, and is shown as not connected."""
    to = shape_of(draft).group_of(target) if target is not None else ()
    return _led(draft, steps_of(draft), lambda where, old: to if where == place else old)


def goes_on_with(draft: Draft, place: str) -> list[int]:
    """Return the steps that a way may go on with: none that comes before it, nothing goes in a circle."""
    shape = shape_of(draft)
    if place == START:
        return []
    here = int(place.partition(".")[0])
    there = dict(places(draft)).get(place, ())
    barred = {here, *shape.before(here), *there, *shape.group_of(here)}
    return [no for no in shape.nodes if no not in barred]


def exits_of(step: Step) -> tuple[str, ...]:
    """Return the words of a step's exits."""
    kind = KINDS.get(step.get("kind") or "")
    return kind.exits(step) if kind is not None else ()


def _led(
    draft: Draft, steps: Sequence[Mapping[str, Any]], lead: Callable[[str, tuple[int, ...]], tuple[int, ...]]
) -> dict[str, Any]:
    """Return the draft with these steps, every place leading where `lead` says."""
    shape = shape_of(draft)
    changed = []
    for step in steps:
        words = {word: lead(place_of(step["step_no"], word), tuple(to)) for word, to in (step["next"] or {}).items()}
        missing = {word: lead(place_of(step["step_no"], word), ()) for word in exits_of(step) if word not in words}
        is_new = step["step_no"] not in shape.nodes
        found = {word: list(to) for word, to in (step["next"] if is_new else {**words, **missing}).items() if to}
        changed.append({**step, "next": found})
    start = list(lead(START, shape.start)) if shape.nodes else [step["step_no"] for step in steps]
    return {**draft, "start": start, "steps": changed}


def _goes_one_way(shape: Shape, step_no: int) -> bool:
    return step_no in shape.nodes and len(shape.nodes[step_no].exits) == 1


def _is_test(shape: Shape, step_no: int) -> bool:
    kind = shape.nodes[step_no].kind
    return kind is not None and kind.name == ab_test.KIND


def _times_of(draft: Draft, step_no: int) -> dict[str, Any]:
    """Return what a step says about its time; nothing where it says nothing."""
    step = step_in(draft, step_no) or {}
    return {name: step.get(name) for name in ("at", "latest") if name in step}


def _without(draft: Draft, gone: Iterable[int]) -> dict[str, Any]:
    lost = set(gone)
    return {**draft, "steps": [step for step in draft["steps"] if step["step_no"] not in lost]}


def _same_time(steps: Sequence[dict[str, Any]], changed: Mapping[str, Any], draft: Draft) -> list[dict[str, Any]]:
    """Messages at once share one time: the changed one's."""
    group = _group(shape_of(draft), changed["step_no"])
    return [{**step, "at": changed.get("at")} if step["step_no"] in group else step for step in steps]


def _group(shape: Shape, step_no: int) -> tuple[int, ...]:
    found = shape.group_of(step_no) if step_no in shape.nodes else ()
    return found if len(found) > 1 else ()
