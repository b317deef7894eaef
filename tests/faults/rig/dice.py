"""Chance that a seed repeats."""

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """The same seed and name throw the same."""

    def __init__(self, seed: int, name: str = "") -> None:
        self._seed, self._name, self._thrown = seed, name, 0

    def below(self, limit: int) -> int:
        self._thrown += 1
        digest = sha256(f"{self._seed}:{self._name}:{self._thrown}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.below(1_000_000) / 1_000_000

    def pick(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def sample(self, things: Sequence[T], count: int) -> list[T]:
        """So many different ones, or all."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
