"""Chance for people who come one by one: permuted blocks of 100, in each of which the shares are exact (R8)."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from typing import Final

from saas.sending.rules.speed import shares

BLOCK: Final = 100


def dealt_out(keys: Sequence[str], weights: Sequence[int], *, seed: bytes, first: int) -> Iterator[str]:
    """Yield the branches of the people from place `first` on (counted from 0), without end.

    The same seed and place always give the same branch. weights: in any unit; of each 100 people every branch has its
    share by largest remainders.
    """
    for number in count(first // BLOCK):
        block = _block(keys, weights, seed, number)
        yield from block[first - number * BLOCK if number == first // BLOCK else 0 :]


def _block(keys: Sequence[str], weights: Sequence[int], seed: bytes, number: int) -> list[str]:
    slots = [key for key, people in zip(keys, shares(BLOCK, weights), strict=True) for _ in range(people)]
    order = sorted(range(BLOCK), key=lambda slot: sha256(seed + number.to_bytes(8, "big") + bytes([slot])).digest())
    return [slots[slot] for slot in order]
