"""Each action of the audit chain has words for people (M7)."""

import ast
import re

import pytest
from flask import Flask
from flask_babel import Babel

from saas.web.activity.phrases import PHRASES, phrase, titles
from saas.web.agency import lines as agency
from tests.architecture.trees import calls, modules

ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def written():
    """The actions that the program writes as they stand in it; those that are put together are seen by other tests."""
    found = set()
    for path in modules():
        for _, called, node in calls(path):
            if called in {"audit.append", "append", "_audit"}:
                values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "action")]
                found |= {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}
    return {text for text in found if ACTION.fullmatch(text)}


def test_m7_every_action_has_a_phrase():
    assert len(written()) > 30
    assert sorted(written() - set(PHRASES)) == [], "saas/web/activity/phrases.py: one line for each"


def test_r14_every_action_of_the_agencys_journal_has_words():
    found = set()
    for path in modules():
        for _, called, node in calls(path):
            if called.rpartition(".")[2] in {"note", "_note_reach"}:
                values = [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg == "action")]
                found |= {v.value for v in values if isinstance(v, ast.Constant) and isinstance(v.value, str)}
    found = {text for text in found if ACTION.fullmatch(text)}
    assert len(found) == 8
    assert sorted(found ^ set(agency.PHRASES)) == [], "saas/web/agency/lines.py: one line for each"


@pytest.fixture
def speaking():
    app = Flask("words")
    Babel(app)
    with app.test_request_context():
        yield


def test_m7_facts_stand_in_their_place(speaking):
    assert phrase("campaign.completed", {}) == "finished: everybody is settled"
    assert phrase("campaign.completed", {"began": False}).startswith("ended before it began")
    assert phrase("revision.approved", {"revision": 2, "content_hash": "v1:0"}) == "approved revision 2"
    assert phrase("key.made", {"role": "manager"}) == "made an API key (Manager)"
    assert phrase("campaign.described", {"changed": ["tags"]}) == "changed its tags"
    assert phrase("campaign.described", {"changed": ["description", "tags"]}) == "changed its description and tags"
    assert phrase("campaign.described", {"changed": "100%"}) == "changed its 100%"
    assert phrase("revision.approved", {}) == "approved revision …"
    assert phrase("moon.landed_on", {}) == "did: moon, landed on"
    assert dict(titles())["list.created"] == "Made the list"
    assert phrase("key.made", {"role": "100%"}) == "made an API key (100%)"


def test_r14_the_agencys_journal_says_who_and_which_workspace(speaking):
    def said(action, person="Una Staff", workspace=None, to_self=False, **facts):
        return agency.said(action, facts, person=person, workspace=workspace, to_self=to_self)

    assert said("staff.appointed", role="agency_admin") == "gave Una Staff another role: Agency administrator"
    assert said("staff.given", workspace="North") == "gave Una Staff the workspace “North”"
    assert said("staff.taken", person=None) == "took a workspace from somebody"
    assert said("staff.dismissed", role="agency_member", to_self=True) == "left the staff (Agency member)"
    assert said("staff.invited", person="una@lantern.example") == "invited una@lantern.example to the staff (…)"
    assert said("moon.landed_on") == "did: moon, landed on"
