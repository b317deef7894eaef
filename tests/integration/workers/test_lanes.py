"""A relay that keeps one lane waiting keeps nobody else (ADR 0012, I12)."""

import pytest

from tests.integration.workers.rig import wait_until
from tests.smtp_sink import At, Do, Then

pytestmark = [pytest.mark.integration, pytest.mark.e2e]


def test_a_relay_that_hangs_keeps_nobody_else_waiting(world, runs, fleet, sink):
    """One process, two workspaces: the first one's relay has every message and answers none."""
    for number in range(8):
        sink.script[f"a{number}@example.org"] = Do(At.DOT, then=Then.HANG)
    a_id, _ = runs.begin(world.a, 8, tag="a")
    senders = fleet.senders()
    fleet.dispatcher()
    wait_until(lambda: sink.messages, what="the first one hangs")
    b_id, b_people = runs.begin(world.b, 40, tag="b")
    found = runs.finish(world.b, b_id)
    assert (found.accepted, runs.numbers(world.a, a_id).open) == (40, 8)
    assert {address: sink.copies()[address] for address in b_people} == dict.fromkeys(b_people, 1)
    assert len(senders.workers()) == 1


def test_told_to_go_while_a_relay_owes_an_answer(world, runs, fleet, sink):
    """It waits fifteen seconds for the answer; then it leaves, and the journal tells who is uncertain."""
    sink.script["a0@example.org"] = Do(At.DOT, then=Then.HANG)
    campaign_id, _ = runs.begin(world.a, 1, tag="a")
    senders = fleet.senders()
    fleet.dispatcher()
    wait_until(lambda: sink.messages, what="it hangs")
    assert senders.stop() < 45
    found = runs.finish(world.a, campaign_id)
    assert (found.uncertain, len(sink.messages)) == (1, 1)
