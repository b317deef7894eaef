"""Simulated lives (reliability.md 4.4): each seed is lived twice with the same trace, and judged by the reference."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.lives.living import Living
from tests.lives.plan import life
from tests.lives.shrinking import shrink
from tests.tally import size

pytestmark = pytest.mark.integration

REGRESSIONS = Path(__file__).with_name("regressions.txt")
BATCHES = 4
LIVED = Counter()  # in this process
ENOUGH = 200  # lives, from which on nothing may be rare
RARE = 0.05
OFTEN = (
    "kind: dated", "kind: asked", "kind: called",
    "timing: at its date", "timing: on call", "timing: waves", "timing: speed", "timing: cap",
    "edit: revise", "edit: change_channel", "edit: alter_document", "edit: remove_approval",
    "event: withdrawn", "event: given", "event: suppressed", "event: erased", "event: listed", "event: unlisted",
    "event: call", "event: repeat", "order: pause", "order: pause amid", "order: resume", "order: stop",
    "order: stop amid", "order: stop in a claim", "order: revoke",
    "fault: die", "fault: lose_host", "fault: suspend", "fault: lose_bell", "fault: double_bell", "fault: jump",
    "fault: lose_commit",
)  # fmt: skip


def seeds(batch):
    count, first = int(os.environ.get("LIVES", "0")) or size("lives"), int(os.environ.get("FIRST", "0"))
    return range(first + batch, first + count, BATCHES)


def live(installation, seed, plan=None):
    return Living(installation, plan or life(seed)).live()


def told_of(seed, plan, findings):
    events = "\n".join(f"    {event}" for event in plan.events)
    return "\n".join([f"seed {seed}:", *(f"  {finding}" for finding in findings[:10]), f"  {plan.campaigns}", events])


def lived_through(installation, seed, *, twice=True):
    """Live a seed. Returns its counts, and what went wrong in the smallest form that was found."""
    LIVED["lives"] += 1
    told = live(installation, seed)
    if told.findings:
        report(seed, told.findings)
        plan = life(seed)
        if "MUTANT" not in os.environ:
            plan = shrink(plan, lambda smaller: bool(live(installation, seed, smaller).findings))
        return told.counts, told_of(seed, plan, live(installation, seed, plan).findings or told.findings)
    if twice:
        again = live(installation, seed).trace
        if again != told.trace:
            first = next(n for n, pair in enumerate(zip(told.trace, again, strict=False)) if pair[0] != pair[1])
            return told.counts, f"seed {seed} is not repeatable: {told.trace[first]}\n  then {again[first]}"
    return told.counts, ""


def report(seed, findings):
    if "LIVES_REPORT" in os.environ:
        told = {"seed": seed, "finding": findings[0], "lives": LIVED["lives"]}
        Path(os.environ["LIVES_REPORT"]).write_text(json.dumps(told))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_lives(installation, record_property, batch):
    counts, wrong = Counter(), []
    for seed in seeds(batch):
        found, text = lived_through(installation, seed, twice="MUTANT" not in os.environ)
        counts += found
        counts["lives"] += 1
        if text:
            wrong.append(text)
        if text and "MUTANT" in os.environ:
            break
    record_property("lives", dict(counts))
    assert not wrong, "\n".join(wrong)
    if counts["lives"] >= ENOUGH:
        rare = {name: counts[name] for name in OFTEN if counts[name] < RARE * counts["lives"]}
        assert rare == {}, f"of {counts['lives']} lives"


def regressions():
    lines = (line.partition("#")[0].strip() for line in REGRESSIONS.read_text().splitlines())
    return [int(line) for line in lines if line]


@pytest.mark.skipif("MUTANT" in os.environ, reason="only new lives are to catch it")
@pytest.mark.parametrize("seed", regressions())
def test_what_once_went_wrong(installation, seed):
    _, wrong = lived_through(installation, seed)
    assert not wrong, wrong
