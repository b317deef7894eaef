"""A rehearsal plays every work that the engine may leave on the agenda, or says why not (U14)."""

import importlib
import pkgutil

import saas.journeys
from saas.campaigns.steps.registry import KINDS
from saas.platform.agenda.types import Work
from saas.reports.service.playing import LEFT_OUT, PLAYED
from saas.reports.service.standins import STANDINS

# Steps whose work stays within the workspace's own tables: nobody outside hears of it, so the rehearsal does them.
INSIDE = {
    "ab_test", "change_list", "change_points", "condition", "decision", "email", "end", "engagement_split",
    "random_split", "segment_split", "set_attribute", "wait", "webhook_message",
}  # fmt: skip


def works_of_journeys():
    """Every kind of agenda work that a module of journeys names: those that it does, and those that it arms."""
    names = [each.name for each in pkgutil.walk_packages(saas.journeys.__path__, "saas.journeys.")]
    return {
        value.name
        for name in names
        for value in vars(importlib.import_module(name)).values()
        if isinstance(value, Work)
    }


def test_u14_each_work_of_the_engine_is_played_or_left_out_with_a_reason():
    found = works_of_journeys()
    assert {"campaign.start", "flow.step", "flow.update", "flow.call", "gate.tell", "call.file"} <= found
    assert found == set(PLAYED) | set(LEFT_OUT)
    assert not set(PLAYED) & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


def test_u14_each_step_that_reaches_outside_has_a_stand_in():
    """A new kind of step is entered here: among those that stay inside, or with a stand-in."""
    assert set(KINDS) == INSIDE | set(STANDINS)
    assert not INSIDE & set(STANDINS)
