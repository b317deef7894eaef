"""Which parts differ between two signed documents (U1): every leaf of a document has a name."""

import copy
import json

import pytest

from saas.campaigns.rules.changes import Changed, changed_in_bytes, changed_parts
from saas.campaigns.rules.document import canonical

DOCUMENT = {
    "format": 1, "campaign_id": "c", "kind": "dated", "purpose": "marketing", "topic": "newsletter",
    "audience": {"list_id": "l", "rule": None}, "payload": [], "workspace": {"name": "Northwind"},
    "time_zone": "Europe/Oslo", "settings": {"speed_per_hour": None, "waves": [], "frequency_cap": None, "quiet_hours": None},
    "steps": [{
        "step_no": 1, "kind": "email", "name": "Invitation", "channel_id": "x",
        "channel": {"kind": "smtp", "from_name": "N", "from_address": "a@n.example", "reply_to": None, "host": "h"},
        "at": {"wall": "2026-11-30T09:00", "zone": "Europe/Oslo"},
        "content": {"subject": "Hi", "preheader": "", "html": "<p>", "text": "t"}, "links": [], "used": [],
    }],
}  # fmt: skip


def step(path, value):
    return lambda d: d["steps"][0].update({path: value})


def inside(room, path, value):
    return lambda d: d["steps"][0][room].update({path: value})


@pytest.mark.parametrize(("change", "part"), [
    (lambda d: d.update(topic="sales"), Changed.TOPIC),
    (lambda d: d["audience"].update(rule={"all": []}), Changed.AUDIENCE),
    (lambda d: d.update(audience=None), Changed.AUDIENCE),
    (lambda d: d.update(payload=[{"key": "x"}]), Changed.CALL_FIELDS),
    (lambda d: d["workspace"].update(name="N"), Changed.WORKSPACE_NAME),
    (lambda d: d.update(time_zone="Europe/Paris"), Changed.TIME_ZONE),
    (lambda d: d["settings"].update(speed_per_hour=9), Changed.SPEED),
    (lambda d: d["settings"].update(waves=[1]), Changed.WAVES),
    (lambda d: d["settings"].update(frequency_cap={}), Changed.FREQUENCY_CAP),
    (lambda d: d["settings"].update(quiet_hours={"from": "21:00", "until": "08:00"}), Changed.QUIET_HOURS),
    (lambda d: d.update(purpose="transactional"), Changed.OTHER),
    (lambda d: d.update(new="thing"), Changed.OTHER),
    (step("at", None), Changed.START), (step("name", "x"), Changed.STEPS), (step("channel_id", "y"), Changed.CHANNEL),
    (step("links", ["l"]), Changed.LINKS), (step("new", 1), Changed.OTHER), (step("step_no", 2), Changed.STEPS),
    (inside("content", "subject", "x"), Changed.SUBJECT), (inside("content", "html", "x"), Changed.HTML),
    (inside("content", "text", "x"), Changed.TEXT), (inside("content", "preheader", "x"), Changed.PREHEADER),
    (inside("content", "new", "x"), Changed.OTHER), (inside("channel", "from_name", "x"), Changed.SENDER),
    (inside("channel", "reply_to", "x"), Changed.SENDER), (inside("channel", "host", "x"), Changed.CHANNEL),
    (inside("channel", "dkim_domain", "x"), Changed.CHANNEL),
])  # fmt: skip
def test_u1_each_part_has_its_name(change, part):
    after = copy.deepcopy(DOCUMENT)
    change(after)
    assert changed_parts(DOCUMENT, after) == changed_parts(after, DOCUMENT) == (part,)


def test_u1_several_parts_stand_in_one_order_and_the_same_is_nothing():
    after = copy.deepcopy(DOCUMENT)
    inside("content", "subject", "x")(after)
    step("at", None)(after)
    assert changed_parts(DOCUMENT, after) == (Changed.START, Changed.SUBJECT)
    assert changed_parts(DOCUMENT, json.loads(json.dumps(DOCUMENT))) == ()
    assert changed_in_bytes(canonical(DOCUMENT), canonical(after)) == (Changed.START, Changed.SUBJECT)


def test_u1_a_document_from_before_there_were_quiet_hours_says_that_there_are_none():
    before = copy.deepcopy(DOCUMENT)
    del before["settings"]["quiet_hours"]
    assert changed_parts(before, DOCUMENT) == changed_parts(DOCUMENT, before) == ()


def test_u1_a_step_more_or_less_is_a_change_of_steps():
    after = copy.deepcopy(DOCUMENT)
    after["steps"].append(after["steps"][0] | {"step_no": 2})
    assert changed_parts(DOCUMENT, after) == (Changed.STEPS,)
