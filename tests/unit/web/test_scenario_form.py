"""Rows of a simulation's form, without a browser (U14); words for what was told (U5, U6)."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_babel import Babel
from werkzeug.datastructures import MultiDict

from saas.audiences.types import AttributeKind
from saas.kernel.errors import Fault
from saas.reports.types import Station
from saas.web.foresight import scenario_form, told
from saas.web.foresight.scenario_form import Known, Rows

KNOWN = Known(
    "Europe/Oslo",
    {"city": AttributeKind.TEXT, "age": AttributeKind.NUMBER, "vip": AttributeKind.BOOLEAN},
    {"total": "number"},
    {"kari@example.org": "ctc_01h00000000000000000000000"}.get,
)


@pytest.fixture(autouse=True)
def _words():
    app = Flask(__name__)
    Babel(app)
    with app.test_request_context():
        yield


def typed(**columns):
    form = MultiDict()
    for name, values in columns.items():
        for value in values if isinstance(values, list) else [values]:
            form.add(name, value)
    return scenario_form.typed(form)


def test_rows_become_what_the_api_takes():
    rows = typed(
        at="2026-12-01T09:00",
        person_name=["Kari", "Ola"],
        person_consent=["given", "never"],
        person_hindrance=["", "suppressed"],
        person_contact=["kari@example.org", ""],
        person_attributes=["city = Oslo\r\nage=41\nvip = yes", ""],
        event_person="Kari",
        event_what="clicked",
        event_step="1",
        event_after="20",
    )
    body = scenario_form.body_of(rows, KNOWN)
    assert rows.errors == {}
    assert body["at"] == "2026-12-01T08:00:00+00:00"
    kari, ola = body["people"]
    assert kari["attributes"] == {"city": "Oslo", "age": 41, "vip": True}
    assert kari["contact_id"] == "ctc_01h00000000000000000000000"
    assert (ola["consent"], ola["suppressed"]) == (None, True)
    (event,) = body["events"]
    assert (event["step"], event["after_minutes"], event["at"]) == (1, 20, None)


def test_what_cannot_be_read_stands_beside_its_input():
    rows = typed(at="tomorrow", person_name="", person_contact="nobody@example.org", person_attributes="city: Oslo")
    scenario_form.body_of(rows, KNOWN)
    assert set(rows.errors) == {"at", "person_1_name", "person_1_contact", "person_1_attributes"}
    faults = [Fault("/events/1/step", "There is no step 9."), Fault("/people/0/name", "Taken."), Fault("/other", "No.")]
    assert scenario_form.by_place(faults) == {
        "event_2_step": "There is no step 9.",
        "person_1_name": "Taken.",
        "": "No.",
    }


def test_rows_are_added_and_taken_out():
    rows = Rows()
    assert scenario_form.reworked(rows, "add_person")
    assert scenario_form.reworked(rows, "add_event")
    assert (len(rows.people), len(rows.events)) == (1, 1)
    assert scenario_form.reworked(rows, "remove_event:0")
    assert scenario_form.reworked(rows, "remove_person:7"), "nothing is there to be taken out"
    assert (len(rows.people), len(rows.events)) == (1, 0)
    assert not scenario_form.reworked(rows, "simulate")
    for _ in range(2 * scenario_form.MOST):
        scenario_form.reworked(rows, "add_person")
    assert len(rows.people) == scenario_form.MOST


def test_a_station_is_told_with_its_facts():
    now = datetime(2026, 12, 1, 9, tzinfo=UTC)
    facts = {"values": {"city": "Oslo", "age": None}, "claimed_at": now, "tries": 2, "reason": "capped", "consent": {}}
    station = Station(3, "email", "Reminder", "skipped", now, now, None, "had got enough", facts)
    (line,) = told.Teller(None, "Europe/Oslo", now).lines([station])
    assert line.facts == [("city", "Oslo"), ("Taken out to be sent", "Tue 1 Dec 10:00"), ("Tries", "2")]
    assert (line.word, line.badge, line.left) == ("Skipped", "skipped", "")


def test_spans_are_said_in_the_unit_that_fits():
    said = [told.span(seconds) for seconds in (0, 0.01, 0.6, 42, 600, 9000)]
    assert said == ["0 s", "under 0.1 s", "0.6 s", "42 s", "10 min", "2 h 30 min"]
