"""State machines as data: one table lists every lawful move; the pictures, buttons and 409 answers come from it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)
M = TypeVar("M", bound=StrEnum)


class TransitionTable(Generic[S, M]):
    """The lawful moves of one kind of thing.

    back: moves that lead a thing back to the state that it had, and which states those can be; the thing keeps its own.
    """

    def __init__(
        self, lawful: Mapping[tuple[S, M], S], *, back: Mapping[tuple[S, M], tuple[S, ...]] | None = None
    ) -> None:
        self.lawful = MappingProxyType(dict(lawful))
        self.back = MappingProxyType(dict(back or {}))

    def after(self, state: S, move: M) -> S | None:
        """Return the state that the move leads to, None if it is not lawful from here."""
        return self.lawful.get((state, move))

    def returned(self, state: S, move: M, kept: S | None) -> S | None:
        """Return the state that a move leads back to, None if it is not lawful from here or nothing lawful was kept."""
        return kept if kept in self.back.get((state, move), ()) else None

    def moves(self, state: S) -> tuple[M, ...]:
        """Return the moves that are lawful from a state, in the table's order."""
        return tuple(m for (s, m) in (*self.lawful, *self.back) if s == state)

    def sources(self, move: M) -> tuple[S, ...]:
        """Return the states from which a move is lawful."""
        return tuple(s for (s, m) in (*self.lawful, *self.back) if m == move)

    def ways(self) -> tuple[tuple[S, M, S], ...]:
        """Return every way from a state to a state, in the table's order; those back to a kept state last."""
        onward = [(s, m, to) for (s, m), to in self.lawful.items()]
        return (*onward, *((s, m, to) for (s, m), all_kept in self.back.items() for to in all_kept))

    def as_mermaid(self, start: S) -> str:
        """Return the machine as a Mermaid state diagram; states that nothing leads out of are its ends."""
        lines = ["stateDiagram-v2", f"    [*] --> {start.value}"]
        lines += [f"    {s.value} --> {to.value}: {m.value}" for s, m, to in self.ways()]
        states = dict.fromkeys((*(s for s, _ in self.lawful), *self.lawful.values()))
        lines += [f"    {s.value} --> [*]" for s in states if not self.moves(s)]
        return "\n".join(lines)

    def as_table(self) -> str:
        """Return the lawful moves as a Markdown table."""
        rows = [("From", "Move", "To"), ("---", "---", "---")]
        rows += [(f"`{s.value}`", f"`{m.value}`", f"`{to.value}`") for s, m, to in self.ways()]
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)
