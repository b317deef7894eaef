"""Who goes where: exact random splits, engagement and tests (R7, R8)."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

BLOCK = 100
ORDER = ("converted", "clicked", "opened")


def rank(salt: bytes, step_no: int, entry_id: int) -> bytes:
    """Return what somebody is ordered by at a split."""
    return hashlib.sha256(salt + step_no.to_bytes(4, "big") + entry_id.to_bytes(8, "big")).digest()


def quotas(weights: Sequence[Any], size: int) -> list[int]:
    """Share `size` people out by weight: whole parts first, then by largest remainders; ties: the earlier branch."""
    shares = [Fraction(str(weight)) for weight in weights]
    together = sum(shares)
    wanted = [size * share / together for share in shares]
    found = [int(each) for each in wanted]
    left = size - sum(found)
    by_remainder = sorted(range(len(wanted)), key=lambda no: (found[no] - wanted[no], no))
    for no in by_remainder[:left]:
        found[no] += 1
    return found


def exact(salt: bytes, step_no: int, entry_ids: Iterable[int], branches: Sequence[tuple[str, Any]]) -> dict[int, str]:
    """Return everybody's branch; branches are (key, weight)."""
    ordered = sorted(entry_ids, key=lambda entry_id: rank(salt, step_no, entry_id))
    found: dict[int, str] = {}
    begin = 0
    for (key, _), quota in zip(branches, quotas([weight for _, weight in branches], len(ordered)), strict=True):
        found.update(dict.fromkeys(ordered[begin : begin + quota], key))
        begin += quota
    return found


def engagement(did: set[str], chosen: Sequence[str]) -> str:
    """Return the exit of somebody who was sent the message and did this: the first that holds counts (R7)."""
    if list(chosen) == ["opened"] and did:
        return "opened"
    return next((word for word in ORDER if word in chosen and word in did), "remaining")


def wrong_blocks(exits: Sequence[str], branches: Sequence[tuple[str, Any]]) -> list[str]:
    """Judge what an engine dealt out in order of arrival: each complete block of 100 is exact (R8)."""
    keys = [key for key, _ in branches]
    found = [f"nobody leaves by {each}" for each in sorted(set(exits) - set(keys))]
    right = dict(zip(keys, quotas([weight for _, weight in branches], BLOCK), strict=True))
    for begin in range(0, len(exits) - BLOCK + 1, BLOCK):
        dealt = Counter(exits[begin : begin + BLOCK])
        if {key: dealt[key] for key in keys} != right:
            found.append(f"arrivals {begin + 1} to {begin + BLOCK} are {dict(dealt)}, {right} is right")
    return found


def winner(keys: Sequence[str], sent: Mapping[str, int], won: Mapping[str, int]) -> str:
    """Return the branch with the best rate among its test people; ties: the earlier branch."""
    rates = [Fraction(won.get(key, 0), sent[key]) if sent.get(key) else Fraction(0) for key in keys]
    return keys[rates.index(max(rates))]
