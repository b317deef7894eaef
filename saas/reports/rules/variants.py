"""Who won a test of variants, when, and by what numbers; as the engine wrote it beside the run. Pure (S16, U5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a test decides, or has decided. counted: by variant how many were `sent` its message and how many `did`.

    decide_at: what happened up to then counts. winner: None until it is known. occurrence: the round it belongs to.
    """

    occurrence: str
    by: str
    decide_at: datetime
    winner: str | None
    counted: Mapping[str, Mapping[str, int]]

    @property
    def tied(self) -> Sequence[str]:
        """Return the variants that share the highest rate, where there are several; the first of them has won."""
        rates = {key: _rate(found) for key, found in self.counted.items()}
        best = [key for key, rate in rates.items() if rate == max(rates.values())]
        return sorted(best, key=lambda key: key != self.winner) if len(best) > 1 else ()

    @property
    def facts(self) -> dict[str, Any]:
        """Return the verdict as facts of a way."""
        counted = {key: dict(found) for key, found in self.counted.items()}
        return {"winner_by": self.by, "decide_at": self.decide_at, "winner": self.winner, "counted": counted,
                "tied": list(self.tied)}  # fmt: skip


def verdict(facts: Mapping[str, Any], *, by: str, occurrence: str = "") -> Verdict | None:
    """Return what a run's facts say of its test; None where none was begun."""
    if "decide_at" not in facts:
        return None
    moment = datetime.fromisoformat(facts["decide_at"])
    return Verdict(occurrence, by, moment, facts.get("winner"), facts.get("rates") or {})


def _rate(found: Mapping[str, int]) -> float:
    return found["did"] / found["sent"] if found["sent"] else 0.0
