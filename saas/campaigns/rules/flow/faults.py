"""What is wrong with a flow: its graph, its kinds of steps, who refers to whom (docs/flow.md). Each with its place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from saas.campaigns.rules.flow.shape import MAX_AT_ONCE, MAX_STEPS, Shape, Tangled, circle, shape_of
from saas.campaigns.steps import ab_test
from saas.campaigns.steps.decision import OF_MESSAGE
from saas.campaigns.steps.registry import KINDS
from saas.campaigns.types import CampaignKind
from saas.kernel.errors import Fault

MAX_STEP_NO: Final = 9999
_MAX_FAULTS: Final = 100
_WORDS: Final[Mapping[CampaignKind, str]] = {
    CampaignKind.DATED: "a campaign with dates",
    CampaignKind.API: "a campaign that starts on call",
    CampaignKind.FLOWING: "a flowing campaign",
}


def flow_faults(draft: Mapping[str, Any], *, kind: CampaignKind) -> list[Fault]:
    """Return what is wrong with a draft's flow apart from its times and from what only the database knows.

    At most a hundred: of a flow that is wrong everywhere, the first ones say enough.
    """
    steps = draft.get("steps") or []
    if not steps:
        return [Fault("/steps", "A campaign has at least one step.")]
    if len(steps) > MAX_STEPS:
        return [Fault("/steps", f"A campaign has at most {MAX_STEPS} steps; here are {len(steps)}.")]
    shape = shape_of(draft)
    places = _places(steps)
    found = [
        *_bad_numbers(steps),
        *_bad_start(draft, shape),
        *_bad_kinds(steps, kind),
        *_bad_targets(steps, shape),
    ]
    return (found or list(_bad_graph(shape, steps, places)))[:_MAX_FAULTS]


def _places(steps: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    found: dict[int, str] = {}
    for index, step in enumerate(steps):
        found.setdefault(step["step_no"], f"/steps/{index}")
    return found


def _bad_numbers(steps: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    seen: set[int] = set()
    for index, step in enumerate(steps):
        no = step["step_no"]
        if not 1 <= no <= MAX_STEP_NO:
            yield Fault(f"/steps/{index}/step_no", f"A number from 1 to {MAX_STEP_NO}.")
        elif no in seen:
            yield Fault(f"/steps/{index}/step_no", f"There is another step {no}; each has a number of its own.")
        seen.add(no)


def _bad_start(draft: Mapping[str, Any], shape: Shape) -> Iterator[Fault]:
    for index, no in enumerate(draft.get("start") or ()):
        if no not in shape.nodes:
            yield Fault(f"/start/{index}", f"There is no step {no}.")
    yield from _bad_place(shape, shape.start, "/start")


def _bad_kinds(steps: Sequence[Mapping[str, Any]], kind: CampaignKind) -> Iterator[Fault]:
    for index, step in enumerate(steps):
        found = KINDS.get(step.get("kind") or "")
        if found is None:
            yield Fault(f"/steps/{index}/kind", f"There is no step kind “{step.get('kind')}”.")
        elif kind not in found.fits:
            yield Fault(f"/steps/{index}/kind", f"“{found.name}” has no place in {_WORDS[kind]}.")
        else:
            yield from found.missing(step, f"/steps/{index}")


def _bad_targets(steps: Sequence[Mapping[str, Any]], shape: Shape) -> Iterator[Fault]:
    for index, step in enumerate(steps):
        node = shape.nodes[step["step_no"]]
        if node.kind is None:
            continue
        for word, targets in (step.get("next") or {}).items():
            at = f"/steps/{index}/next/{word}"
            if word not in node.exits:
                yield Fault(at, f"Step {node.step_no} has no exit “{word}”; it has: {', '.join(node.exits) or 'none'}.")
                continue
            for place, target in enumerate(targets):
                if target not in shape.nodes:
                    yield Fault(f"{at}/{place}", f"There is no step {target}.")
            yield from _bad_place(shape, targets, at)


def _bad_place(shape: Shape, targets: Sequence[int], at: str) -> Iterator[Fault]:
    """Several steps in one place are messages at once (A2, R18)."""
    if len(targets) < 2:
        return
    if len(set(targets)) < len(targets):
        yield Fault(at, "A step is named twice here.")
    if len(targets) > MAX_AT_ONCE:
        yield Fault(at, f"At most {MAX_AT_ONCE} messages are sent at once.")
    for place, target in enumerate(targets):
        node = shape.nodes.get(target)
        if node is not None and not node.sends:
            yield Fault(f"{at}/{place}", "Only messages can be sent at once; a way goes on with one step.")


def _bad_graph(shape: Shape, steps: Sequence[Mapping[str, Any]], places: Mapping[int, str]) -> Iterator[Fault]:
    round_trip = circle(shape)
    if round_trip:
        words = " → ".join(str(no) for no in (*round_trip, round_trip[0]))
        yield Fault(f"{places[round_trip[-1]]}/next", f"The way goes in a circle: {words}.")
        return
    for no in shape.nodes:
        if no not in shape.reached:
            yield Fault(places[no], f"No way leads to step {no}. Connect it, or take it out.")
    yield from _bad_groups(shape, steps, places)
    yield from _bad_references(shape, steps, places)
    yield from _bad_variants(shape, places)
    try:
        shape.ways  # noqa: B018  worked out once, kept; it says when there are too many
    except Tangled as tangled:
        yield Fault(places[tangled.step_no], "Too many different ways meet here. Let them meet earlier, or end apart.")


def _bad_groups(shape: Shape, steps: Sequence[Mapping[str, Any]], places: Mapping[int, str]) -> Iterator[Fault]:
    raw = {step["step_no"]: step for step in reversed(steps)}
    for group in shape.groups:
        first = shape.nodes[group[0]]
        for no in group[1:]:
            if shape.nodes[no].next != first.next:
                yield Fault(
                    f"{places[no]}/next", f"It is sent together with step {first.step_no}; both go on to the same step."
                )
            if raw[no].get("at") != raw[group[0]].get("at"):
                yield Fault(f"{places[no]}/at", f"It is sent together with step {first.step_no}; both have one time.")
        for no in group:
            if len({frozenset(place) for place in _places_of(shape, no)}) > 1:
                yield Fault(
                    places[no], "It is sent together with other messages, and alone as well; make it two steps."
                )


def _places_of(shape: Shape, step_no: int) -> Iterator[tuple[int, ...]]:
    if step_no in shape.start:
        yield shape.start
    for feeder, word in shape.feeders[step_no]:
        yield shape.nodes[feeder].next[word]


def _bad_references(shape: Shape, steps: Sequence[Mapping[str, Any]], places: Mapping[int, str]) -> Iterator[Fault]:
    for step in steps:
        no, message = step["step_no"], step.get("message")
        refers = step.get("kind") == "engagement_split" or (
            step.get("kind") == "decision" and step.get("on") in OF_MESSAGE
        )
        if not refers:
            continue
        at, node = f"{places[no]}/message", shape.nodes.get(message or 0)
        if node is None or not node.sends:
            yield Fault(at, f"Step {message} is no message.")
        elif message not in shape.before(no):
            yield Fault(at, f"Step {message} does not come before this one on the same way.")
        elif step["kind"] == "engagement_split" and not step.get("at") and message in _directly_before(shape, no):
            yield Fault(
                at, "It looks at once after the message left: nobody could have reacted. Give it a date, or wait."
            )


def _bad_variants(shape: Shape, places: Mapping[int, str]) -> Iterator[Fault]:
    """Each variant of a test has a message of its own, to which nothing else leads (S16)."""
    for node in shape.nodes.values():
        if node.kind is None or node.kind.name != ab_test.KIND:
            continue
        for word, targets in node.next.items():
            fine = len(targets) == 1 and shape.nodes[targets[0]].sends and len(shape.feeders[targets[0]]) == 1
            if not fine:
                text = "A variant leads to one message, to which nothing else leads."
                yield Fault(f"{places[node.step_no]}/next/{word}", text)


def _directly_before(shape: Shape, step_no: int) -> frozenset[int]:
    """Return the steps after which somebody comes here without any time passing (R5.5)."""
    found: set[int] = set()
    left = [feeder for feeder, _ in shape.feeders[step_no]]
    while left:
        no = left.pop()
        kind = shape.nodes[no].kind
        if no not in found:
            found.add(no)
            if kind is None or kind.name not in {"wait", "decision", "gate"}:
                left += [feeder for feeder, _ in shape.feeders[no]]
    return frozenset(found)
