"""Each action of the audit chain has words for people (M7)."""

import ast
import re

import pytest
from flask import Flask
from flask_babel import Babel

from saas.web.activity.phrases import PHRASES, phrase, titles
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


@pytest.fixture
def speaking():
    app = Flask("words")
    Babel(app)
    with app.test_request_context():
        yield


def test_m7_facts_stand_in_their_place(speaking):
    assert phrase("revision.approved", {"revision": 2, "content_hash": "v1:0"}) == "approved revision 2"
    assert phrase("key.made", {"role": "manager"}) == "made an API key (Manager)"
    assert phrase("revision.approved", {}) == "approved revision …"
    assert phrase("moon.landed_on", {}) == "did: moon, landed on"
    assert dict(titles())["list.created"] == "Made the list"
    assert phrase("key.made", {"role": "100%"}) == "made an API key (100%)"
