"""The look that passes usual recipients says exactly what the schema says."""

import pytest
from marshmallow import ValidationError

from saas.journeys.schemas import RecipientIn, TriggerIn
from saas.kernel.ids import show, uuid7

CONTACT = show("ctc", uuid7())

USUAL = [
    {"email": "a@example.org"},
    {"external_id": "crm-1", "entry_key": "", "context": {"name": "Ada", "n": 1}},
    {"email": "  Ada@EXAMPLE.org ", "entry_key": "k" * 200},
    {"contact_id": CONTACT, "context": {}},
    {"email": "é" * 320},
]
REFUSED = [
    {"email": ""},
    {"email": "x" * 321},
    {"email": "a\n@example.org"},
    {"email": "a\ud800@example.org"},
    {"email": "a\u202e@example.org"},
    {"email": None},
    {"email": 7},
    {"external_id": ""},
    {"external_id": "x" * 201},
    {"external_id": "a\0b"},
    {"email": "a@example.org", "entry_key": "k" * 201},
    {"email": "a@example.org", "entry_key": "\x85"},
    {"email": "a@example.org", "context": None},
    {"email": "a@example.org", "context": ["x"]},
    {"email": "a@example.org", "unknown": 1},
    {"contact_id": "ctc_1"},
    "a@example.org",
]


@pytest.mark.parametrize("row", USUAL)
def test_what_is_usual_is_read_as_the_schema_reads_it(row):
    assert TriggerIn().load({"recipients": [row]})["recipients"] == [RecipientIn().load(row)]


@pytest.mark.parametrize("row", REFUSED)
def test_what_the_schema_refuses_is_refused_in_its_words(row):
    with pytest.raises(ValidationError) as by_schema:
        RecipientIn().load(row)
    with pytest.raises(ValidationError) as refused:
        TriggerIn().load({"recipients": [{"email": "b@example.org"}, row]})
    assert refused.value.messages == {"recipients": {1: by_schema.value.messages}}


@pytest.mark.parametrize("rows", [[], [{"email": "a@example.org"}] * 1001, {}, "x", None])
def test_a_call_has_from_one_to_a_thousand_recipients(rows):
    with pytest.raises(ValidationError) as refused:
        TriggerIn().load({"recipients": rows})
    assert list(refused.value.messages) == ["recipients"]
