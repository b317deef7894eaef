"""What changed in a flow since it was approved: steps added, taken out, moved, changed, in words (S55, S59, U7)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext
from sqlalchemy.orm import Session

from saas.campaigns.rules.diff import Change, Mark, Piece, words
from saas.campaigns.rules.flow.shape import Shape, shape_of
from saas.campaigns.steps.registry import KINDS
from saas.web.campaigns.cards import Card, Flow, flow_of
from saas.web.campaigns.differs import Row
from saas.web.campaigns.outline import place_of

_OF_PLACES = frozenset({"step", "next"})


class FlowChanges:
    """Compares two documents' flows; `rows` says what differs, `says` which differences those are."""

    def __init__(self, session: Session, before: Mapping[str, Any], after: Mapping[str, Any], *, now: datetime) -> None:
        self._shapes = shape_of(before), shape_of(after)
        self._flows = tuple(
            flow_of(session, document, zone=document["time_zone"] or "UTC", now=now) for document in (before, after)
        )

    def rows(self) -> list[Row]:
        """Return a line for each step that is new, gone, elsewhere, or does something else."""
        numbers = sorted({*self._old.cards, *self._new.cards})
        return [row for no in numbers for row in self._of_step(no)]

    def says(self, change: Change) -> bool:
        """Say whether the lines tell of a difference: no line of its own is needed for it."""
        if change.step_no is None:
            return change.field == "start"
        if change.field in _OF_PLACES:
            return True
        kind = KINDS.get(self._new.cards[change.step_no].kind) if change.step_no in self._new.cards else None
        own = kind is not None and not kind.sends and change.field.partition(".")[0] in kind.own
        return own and self._summaries(change.step_no) is not None

    @property
    def _old(self) -> Flow:
        return self._flows[0]

    @property
    def _new(self) -> Flow:
        return self._flows[1]

    def _of_step(self, no: int) -> Iterator[Row]:
        old, new = self._old.cards.get(no), self._new.cards.get(no)
        if old is None and new is not None:
            text = f"{_title(new)}; {_place(self._shapes[1], self._new, no)}"
            yield Row(str(gettext("New step %(no)s", no=no)), [Piece(Mark.ADDED, text)])
        elif new is None and old is not None:
            yield Row(str(gettext("Step %(no)s is taken out", no=no)), [Piece(Mark.REMOVED, _title(old))])
        else:
            yield from self._changed(no)

    def _changed(self, no: int) -> Iterator[Row]:
        before, after = _place(self._shapes[0], self._old, no), _place(self._shapes[1], self._new, no)
        title = gettext("Step %(no)s, %(name)s", no=no, name=self._new.cards[no].name)
        if before != after:
            pieces = [Piece(Mark.REMOVED, before), Piece(Mark.SAME, " "), Piece(Mark.ADDED, after)]
            yield Row(str(gettext("%(title)s, is moved", title=title)), pieces)
        found = self._summaries(no)
        kind = KINDS.get(self._new.cards[no].kind)
        if found is not None and (kind is None or not kind.sends):
            yield Row(str(title), words(*found))

    def _summaries(self, no: int) -> tuple[str, str] | None:
        """Return what a step did and does, None when that is the same."""
        old, new = self._old.cards.get(no), self._new.cards.get(no)
        if old is None or new is None or old.summary == new.summary:
            return None
        return old.summary, new.summary


def _title(card: Card) -> str:
    return f"“{card.name}”, {card.word}" + (f": {card.summary}" if card.summary else "")


def _place(shape: Shape, flow: Flow, no: int) -> str:
    """Return what leads to a step: "after step 2, Yes"."""
    places: Sequence[str] = [
        str(gettext("after step %(no)s", no=feeder))
        if len(shape.nodes[feeder].exits) == 1
        else str(gettext("after step %(no)s, %(way)s", no=feeder, way=flow.exits[place_of(feeder, word)]))
        for feeder, word in shape.feeders[no]
    ]
    return "; ".join(([str(gettext("first"))] if no in shape.start else []) + list(places))
