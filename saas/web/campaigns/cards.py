"""Each step of a flow as pages show it: number, kind, name, what it does, its time, its alerts, how it stands."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from saas.campaigns.rules.flow.shape import Shape, shape_of
from saas.campaigns.steps.kind import Raw
from saas.kernel.errors import Fault
from saas.web.campaigns import flow_edits
from saas.web.campaigns.outline import Outline, outline_of, place_of
from saas.web.campaigns.step_looks import exit_word, look_of
from saas.web.campaigns.step_words import StepWords, wall_word


@dataclass(frozen=True, slots=True)
class Card:
    """One step. at, latest: its times as people read them, "" without any. alerts: what needs attention (S43).

    sends: other messages can be sent at once with it. fixed: it has begun and stays as it is (S60); placed: people come
    there next, so it stays where it is (S61). up, down: the steps that it can change places with.
    """

    no: int
    kind: str
    word: str
    icon: str
    tint: str
    name: str
    summary: str
    at: str
    latest: str
    sends: bool
    own_clock: bool = False
    alerts: Sequence[str] = ()
    fixed: bool = False
    placed: bool = False
    up: int | None = None
    down: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """A flow as pages draw it. exits: by place, what each exit is called.

    shut: places where nothing can be put; held: those of people who are held out.
    """

    outline: Outline
    cards: Mapping[int, Card]
    exits: Mapping[str, str]
    alerts: Sequence[str] = ()
    shut: frozenset[str] = field(default_factory=frozenset)
    held: frozenset[str] = field(default_factory=frozenset)

    def exits_of(self, step_no: int) -> list[str]:
        """Return the places behind a step."""
        return [place for place in self.exits if place.startswith(f"{step_no}.")]


def flow_of(session: Session, flow: Mapping[str, Any], *, zone: str, now: datetime) -> Flow:
    """Return a draft's flow, or a document's."""
    steps: dict[int, Raw] = {}
    for step in flow.get("steps") or []:
        steps.setdefault(step["step_no"], step)
    shape = shape_of(flow)
    words = StepWords(session, steps, zone=zone, now=now)
    cards = {no: _card(step, shape, words, now) for no, step in steps.items()}
    exits = {place_of(no, word): exit_word(steps[no], word) for no, node in shape.nodes.items() for word in node.exits}
    held = {
        place_of(no, branch["key"])
        for no, step in steps.items()
        for branch in step.get("branches") or ()
        if branch.get("holdout")
    }
    return Flow(outline_of(shape), cards, exits, held=frozenset(held))


def with_faults(flow: Flow, faults: Iterable[Fault], draft: Mapping[str, Any]) -> Flow:
    """Return a flow with what stops its submission beside the steps that it is about."""
    numbers = [step["step_no"] for step in draft.get("steps") or []]
    cards, general = dict(flow.cards), []
    for fault in faults:
        index = index_of(fault.pointer)
        if index is None or index >= len(numbers):
            if fault.pointer.startswith(("/start", "/steps")):
                general.append(fault.message)
            continue
        card = cards[numbers[index]]
        cards[card.no] = replace(card, alerts=[*card.alerts, fault.message])
    return replace(flow, cards=cards, alerts=general)


def with_locks(flow: Flow, *, begun: frozenset[int], placed: frozenset[int], shut: frozenset[str]) -> Flow:
    """Return a flow in which steps that have begun stay as they are, and others where they are (S60, S61)."""
    cards = {no: replace(card, fixed=no in begun, placed=no in placed) for no, card in flow.cards.items()}
    return replace(flow, cards=cards, shut=shut)


def with_moves(flow: Flow, draft: Mapping[str, Any], *, held: frozenset[int]) -> Flow:
    """Return a flow in which each step knows what it can change places with; those that are held stay."""
    shape = shape_of(draft)
    cards = {}
    for no, card in flow.cards.items():
        up, down = flow_edits.before_it(shape, no), flow_edits.after_it(shape, no)
        stays = no in held
        cards[no] = replace(card, up=None if stays or up in held else up, down=None if stays or down in held else down)
    return replace(flow, cards=cards)


def index_of(pointer: str) -> int | None:
    """Return which step of the list a fault is about, None for one about something else."""
    parts = pointer.split("/")
    return int(parts[2]) if len(parts) > 2 and parts[1] == "steps" and parts[2].isdecimal() else None


def _card(step: Raw, shape: Shape, words: StepWords, now: datetime) -> Card:
    look = look_of(step.get("kind"))
    return Card(
        no=step["step_no"],
        kind=step.get("kind") or "",
        word=str(look.word),
        icon=look.icon,
        tint=look.tint,
        name=step.get("name") or "",
        summary=words.summary(step),
        at=wall_word(step.get("at"), now=now),
        latest=wall_word(step.get("latest"), now=now),
        sends=shape.nodes[step["step_no"]].sends,
        own_clock=bool(step.get("local_time")),
    )
