"""`saas simulate` and `saas why` as an operator runs them (U5, U14)."""

import json
import os
from datetime import timedelta

import pytest

from saas.kernel.clock import SystemClock
from tests import command, scenes
from tests.conftest import KEY

pytestmark = pytest.mark.integration


@pytest.fixture
def saas(app_settings):
    environ = {
        "PATH": os.environ["PATH"], "COLUMNS": "200", "DATABASE_URL": app_settings.database_url,
        "REDIS_URL": app_settings.redis_url, "SECRET_KEY": KEY, "MASTER_KEY": KEY,
    }  # fmt: skip

    def run(*words):
        return command.saas(environ, *words)

    return run


@pytest.fixture
def campaign(world):
    list_id, addresses = scenes.add_people(world, world.a, 2)
    channel_id = scenes.add_channel(world, world.a, 1)
    campaign_id = scenes.make_campaign(world, world.a)
    draft = scenes.dated_draft(list_id, channel_id, scenes.soon(48))
    scenes.save(world, world.a, campaign_id, draft)
    return campaign_id, addresses


def test_u14_a_draft_is_simulated_with_people_and_events_of_files(saas, campaign, tmp_path):
    campaign_id, _ = campaign
    people, events = tmp_path / "people.json", tmp_path / "events.json"
    people.write_text(json.dumps([{"name": "Kari"}, {"name": "Ola", "consent": None}]))
    events.write_text(json.dumps([{"person": "Kari", "what": "clicked", "step": 1, "after_minutes": 5}]))
    words = ("simulate", campaign_id, "--people", str(people), "--events", str(events))
    told = saas(*words)
    assert told.returncode == 0, told.stderr
    assert "Kari" in told.stdout
    assert "was handed over" in told.stdout
    assert "never agreed to this topic" in told.stdout
    found = json.loads(saas(*words, "--json").stdout)
    assert [person["ways"][0]["steps"][0]["state"] for person in found["people"]] == ["sent", "skipped"]
    tomorrow = f"{SystemClock().now() + timedelta(days=1):%Y-%m-%dT%H:%M}"
    moved = json.loads(saas(*words, "--json", "--at", tomorrow).stdout)
    assert moved["started_at"] == found["started_at"], "its own date, whenever it is published before"
    people.write_text(json.dumps([{"name": "Kari", "shoe": 43}]))
    wrong = saas(*words)
    assert wrong.returncode == 2
    assert "/people/0/shoe" in wrong.stderr


def test_u5_why_names_a_person_by_id_or_address(saas, campaign):
    campaign_id, addresses = campaign
    told = saas("why", campaign_id, addresses[0])
    assert told.returncode == 0, told.stderr
    assert "the campaign was never submitted" in told.stdout
    found = json.loads(saas("why", campaign_id, addresses[0], "--json").stdout)
    again = json.loads(saas("why", campaign_id, found["contact_id"], "--json").stdout)
    assert found == again
    assert saas("why", campaign_id, "nobody@example.org").returncode == 4
