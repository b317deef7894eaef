"""What is signed: one byte form, one hash, and nothing else is read (architecture.md 6, U1)."""

import copy
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saas.campaigns.rules.document import Damaged, canonical, hash_of, read, tries_for_s
from saas.campaigns.rules.quiet import QuietHours

CHANNEL = "0190b0c4-0000-7000-8000-000000000001"
DOCUMENT = {
    "format": 1, "campaign_id": "0190b0c4-0000-7000-8000-00000000000c", "kind": "dated", "purpose": "marketing",
    "topic": "newsletter", "payload": [], "workspace": {"name": "Northwind Outdoor"}, "time_zone": "Europe/Oslo",
    "audience": {"list_id": "0190b0c4-0000-7000-8000-000000000002", "rule": {"attribute": "orders", "op": "gte", "value": 10}},
    "steps": [{
        "step_no": 1, "kind": "email", "name": "Invitation", "channel_id": CHANNEL,
        "channel": {"kind": "smtp", "purpose": "marketing", "from_name": "Northwind Club", "from_address":
                    "club@news.northwind.example", "reply_to": None, "return_path": None, "host": "smtp.relay.example"},
        "at": {"wall": "2026-11-30T09:00", "zone": "Europe/Oslo"},
        "content": {"subject": "Hi", "preheader": "", "html": "<p>Grüße, 你好</p>", "text": "x"},
        "links": ["https://shop.northwind.example/sale"], "used": ["contact.first_name"],
    }],
}  # fmt: skip

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=4)
    ),
    max_leaves=6,
)


def shuffled(value):
    """The same value with every object's keys in the opposite order."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(list(value))}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path


def changed(document, path):
    found = copy.deepcopy(document)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    old = inner[path[-1]]
    inner[path[-1]] = {str: lambda: old + "x", int: lambda: old + 1, list: lambda: ["x"], type(None): lambda: "x"}[
        type(old)
    ]()
    return found


@settings(max_examples=40)
@given(st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), JSON, max_size=3))
def test_u1_canonical_bytes_do_not_depend_on_the_order_of_keys(document):
    assert canonical(document) == canonical(shuffled(document))
    assert json.loads(canonical(document)) == document


@pytest.mark.parametrize(("signed", "found"), [
    ({}, None), ({"settings": {"speed_per_hour": None}}, None), ({"settings": {"quiet_hours": None}}, None),
    ({"settings": {"quiet_hours": {"from": "21:00", "until": "08:00"}}}, QuietHours.of("21:00", "08:00")),
])  # fmt: skip
def test_r14_documents_from_before_there_were_quiet_hours_have_none(signed, found):
    stored = canonical(DOCUMENT | signed)
    assert read(stored, expected_hash=hash_of(stored)).quiet == found


def test_u1_canonical_bytes_are_these():
    assert canonical({"b": 1, "a": ["é", None, True]}) == '{"a":["é",null,true],"b":1}'.encode()
    assert hash_of(b"") == "v1:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("path", list(leaves(DOCUMENT)), ids=str)
def test_u1_every_part_is_part_of_the_hash(path):
    assert hash_of(canonical(changed(DOCUMENT, path))) != hash_of(canonical(DOCUMENT))


def test_u1_one_byte_changed_is_damage():
    stored = canonical(DOCUMENT)
    signed = hash_of(stored)
    assert read(stored, expected_hash=signed).content_hash == signed
    for index in range(0, len(stored), 7):
        altered = bytearray(stored)
        altered[index] ^= 1
        with pytest.raises(Damaged):
            read(bytes(altered), expected_hash=signed)
    for other in (stored + b" ", stored[:-1], b""):
        with pytest.raises(Damaged):
            read(other, expected_hash=signed)
    with pytest.raises(Damaged):
        read(stored, expected_hash="")


def test_the_engine_reads_what_was_written():
    stored = canonical(DOCUMENT)
    found = read(stored, expected_hash=hash_of(stored))
    assert (found.kind, found.purpose, found.topic) == ("dated", "marketing", "newsletter")
    assert found.list_id == UUID(DOCUMENT["audience"]["list_id"])
    assert found.rule == DOCUMENT["audience"]["rule"]
    step = found.step(1)
    assert step.at == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert step.channel_id == UUID(CHANNEL)
    assert step.channel == DOCUMENT["steps"][0]["channel"]
    assert step.content["html"] == "<p>Grüße, 你好</p>"
    with pytest.raises(KeyError):
        found.step(2)


def test_a_document_of_a_campaign_on_call_has_no_audience_and_no_time():
    document = {**DOCUMENT, "kind": "api", "audience": None, "steps": [{**DOCUMENT["steps"][0], "at": None}]}
    stored = canonical(document)
    found = read(stored, expected_hash=hash_of(stored))
    assert (found.list_id, found.rule, found.step(1).at) == (None, None, None)


def test_ledger_how_long_people_are_tried_again():
    assert tries_for_s("transactional") == 600
    assert tries_for_s("marketing") == 86_400
