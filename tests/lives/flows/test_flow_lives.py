"""Simulated lives of flows (reliability.md 4.4): each seed is lived twice with the same trace, judged by the reference."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from tests.lives.flows.living import Living
from tests.lives.flows.often import rare_ones
from tests.lives.flows.plan import life
from tests.lives.flows.shrinking import shrink
from tests.tally import size

pytestmark = pytest.mark.integration

REGRESSIONS = Path(__file__).with_name("regressions.txt")
BATCHES = int(os.environ.get("FLOW_BATCHES", "4"))
LIVED = Counter()  # in this process


def seeds(batch):
    count, first = int(os.environ.get("FLOWS", "0")) or size("flows"), int(os.environ.get("FIRST", "0"))
    return range(first + batch, first + count, BATCHES)


def live(installation, plan):
    return Living(installation, plan).live()


def lived_through(installation, seed, *, twice=True):
    """Live a seed. Returns its counts, and what went wrong in the smallest form that was found."""
    LIVED["lives"] += 1
    plan = life(seed)
    told = live(installation, plan)
    if told.findings:
        report(seed, told.findings)
        if "MUTANT" not in os.environ and "WHOLE" not in os.environ:
            plan = shrink(plan, lambda smaller: bool(live(installation, smaller).findings))
        return told.counts, told_of(seed, plan, live(installation, plan).findings or told.findings)
    if twice:
        again = live(installation, plan).trace
        if again != told.trace:
            pairs = zip(told.trace, again, strict=False)
            first = next((pair for pair in pairs if pair[0] != pair[1]), ("one is longer", ""))
            return told.counts, f"seed {seed} is not repeatable: {first[0]}\n  then {first[1]}"
    return told.counts, ""


def told_of(seed, plan, findings):
    lines = [f"seed {seed}:", *(f"  {finding}" for finding in findings[:8])]
    more = {name: value for name, value in plan.campaign.items() if name not in {"audiences", "attributes", "flow"}}
    lines += [f"  {more}", f"  start {plan.campaign['flow']['start']}"]
    lines += [f"    {step}" for step in plan.campaign["flow"]["steps"]]
    lines += [f"    {person}" for person in plan.people[:5]]
    lines += [f"    {fact}"[:300] for fact in plan.facts[:20]]
    lines += [f"    {each}" for each in (*plan.troubles, *plan.answers[:10], *plan.wishes[:10])]
    return "\n".join(lines)


def report(seed, findings):
    if "LIVES_REPORT" in os.environ:
        told = {"seed": seed, "finding": findings[0], "lives": LIVED["lives"]}
        Path(os.environ["LIVES_REPORT"]).write_text(json.dumps(told))


@pytest.mark.parametrize("batch", range(BATCHES))
def test_lives_of_flows(installation, record_property, batch):
    counts, wrong, failed = Counter(), [], []
    for seed in seeds(batch):
        found, text = lived_through(installation, seed, twice="MUTANT" not in os.environ)
        counts += found
        counts["lives"] += 1
        if text:
            wrong.append(text)
            failed.append(seed)
        if text and "MUTANT" in os.environ:
            break
    record_property("flows", dict(counts))
    if "FLOWS_TOLD" in os.environ:
        told = {"counts": counts, "failed": failed}
        (Path(os.environ["FLOWS_TOLD"]) / f"{batch}.json").write_text(json.dumps(told))
    assert not wrong, "\n".join(wrong)
    if "FLOWS_TOLD" not in os.environ:  # whoever is told of all batches judges them together
        rare = rare_ones(counts, counts["lives"])
        assert rare == {}, f"of {counts['lives']} lives"


def regressions():
    lines = (line.partition("#")[0].strip() for line in REGRESSIONS.read_text().splitlines())
    return [int(line) for line in lines if line]


@pytest.mark.skipif("MUTANT" in os.environ, reason="only new lives are to catch it")
@pytest.mark.parametrize("seed", regressions())
def test_what_once_went_wrong(installation, seed):
    _, wrong = lived_through(installation, seed)
    assert not wrong, wrong
