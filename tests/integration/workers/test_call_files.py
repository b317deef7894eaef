"""Files of calls answered by real workers: killed in the middle, two at once, cancelled (R5.8; reliability.md 4)."""

import json
import os
import signal

import pytest
import sqlalchemy as sa

from saas.kernel.clock import SystemClock
from saas.kernel.ids import parse, show
from saas.permissions.types import Role
from tests import scenes
from tests.integration.workers.rig import wait_until
from tests.worlds import bound

pytestmark = [pytest.mark.integration, pytest.mark.e2e]
PEOPLE = 20_000


@pytest.fixture
def many(world, sink, runs):
    """A campaign on call whose first step is a wait: who comes in stands there. Everybody's ids."""
    place = world.a
    channel = scenes.add_channel(world, place, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, place, kind="api", purpose="transactional")
    draft = scenes.api_draft(channel)
    draft["steps"][0]["step_no"] = 2
    wait = {"step_no": 1, "kind": "wait", "name": "A day", "for": "delay", "minutes": 1440, "next": {"done": [2]}}
    scenes.save(world, place, campaign_id, draft | {"steps": [wait, *draft["steps"]]})
    scenes.approve(world, place, campaign_id, scenes.submit(world, place, campaign_id))
    runs.start_due()
    return campaign_id


@pytest.fixture
def people(world):
    now = SystemClock().now()
    with bound(world.engine, world.a) as session:
        session.execute(
            sa.text(
                "INSERT INTO contact (tenant_id, contact_id, email, email_key, attributes, created_at, updated_at, version)"
                " SELECT :t, gen_random_uuid(), n || '@example.net', n || '@example.net', '{}', :now, :now, 1"
                " FROM generate_series(1, :people) AS n"
            ),
            {"t": world.a.tenant_id, "now": now, "people": PEOPLE},
        )
        session.commit()
    return [f"{no}@example.net" for no in range(1, PEOPLE + 1)]


def lines(addresses):
    """One line each, every hundredth names nobody."""
    rows = [
        {"email": "nobody@example.org" if no % 100 == 0 else address, "context": {"reset_url": "https://id.example/r"}}
        for no, address in enumerate(addresses, 1)
    ]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Files:
    """Uploads to one campaign, and what became of them."""

    def __init__(self, world, campaign_id):
        self.world, self.campaign_id = world, campaign_id
        self.client = world.client(world.a, Role.MANAGER)

    def upload(self, content):
        headers = {"Content-Type": "application/x-ndjson"}
        path = f"/campaigns/{self.campaign_id}/trigger-file"
        answer = self.client.call("POST", path, data=content, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.get_json()["call_file_id"]

    def job(self, call_file_id):
        """The job; its counts balance at every look, and as many are in as it says."""
        found = self.client.get(f"/call-files/{call_file_id}").get_json()
        counts = found["counts"]
        assert counts["lines"] == sum(number for word, number in counts.items() if word != "lines")
        return found

    def entered(self):
        with bound(self.world.engine, self.world.a) as session:
            found = session.execute(
                sa.text(
                    "SELECT count(*), count(DISTINCT entry_key), count(DISTINCT contact_id) FROM entry WHERE campaign_id = :c"
                ),
                {"c": parse("cam", self.campaign_id)},
            )
            return tuple(found.one())

    def errors(self, call_file_id):
        text = self.client.get(f"/call-files/{call_file_id}/errors").get_data(as_text=True)
        return [json.loads(row)["line"] for row in text.splitlines()]


@pytest.fixture
def files(world, many):
    return Files(world, many)


def free(world, call_file_id):
    """Say whether nobody holds the file's row on the agenda."""
    with world.engine.connect() as connection:
        row = sa.text("SELECT 1 FROM agenda WHERE subject = :s FOR UPDATE SKIP LOCKED")
        return connection.scalar(row, {"s": str(parse("clf", call_file_id))}) == 1


def test_r5_8_killed_in_the_middle_nobody_enters_twice(world, people, files, fleet):
    call_file = files.upload(lines(people))
    fleet.dispatcher()
    pool = fleet.start("--queue", "maintenance")
    for mark in (1, PEOPLE // 3):
        wait_until(lambda least=mark: files.job(call_file)["counts"]["lines"] >= least, what="it is on its way")
        (worker,) = pool.workers()
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda dead=worker: pool.workers() and dead not in pool.workers(), what="the pool starts another")
    wait_until(lambda: files.job(call_file)["counts"]["lines"] >= PEOPLE // 2, what="half is answered")
    (worker,) = pool.workers()
    os.kill(worker, signal.SIGKILL)
    pool.kill()
    wait_until(lambda: free(world, call_file), what="the dead one's transaction is over")
    halfway = files.job(call_file)
    assert halfway["state"] == "running" and 0 < halfway["counts"]["lines"] < PEOPLE
    assert files.entered()[0] == halfway["counts"]["accepted"]
    assert files.errors(call_file) == list(range(100, halfway["counts"]["lines"] + 1, 100))
    fleet.start("--queue", "maintenance")
    wait_until(lambda: files.job(call_file)["state"] == "done", what="the rest is answered")
    found = files.job(call_file)
    assert {word: number for word, number in found["counts"].items() if number} == {
        "lines": PEOPLE, "accepted": PEOPLE * 99 // 100, "unknown_contact": PEOPLE // 100,
    }  # fmt: skip
    assert files.entered() == (PEOPLE * 99 // 100,) * 3
    assert files.errors(call_file) == list(range(100, PEOPLE + 1, 100))
    assert found["done_bytes"] == found["size_bytes"]


def test_r5_8_two_files_at_once(world, people, files, fleet):
    half = PEOPLE // 2
    first, second = files.upload(lines(people[:half])), files.upload(lines(people[:half][::-1]))
    fleet.dispatcher()
    fleet.start("--queue", "maintenance", "--processes", "2")
    wait_until(lambda: files.job(first)["counts"]["lines"] and files.job(second)["counts"]["lines"], what="both go on")
    wait_until(lambda: {files.job(first)["state"], files.job(second)["state"]} == {"done"}, what="both are answered")
    assert [files.job(each)["counts"]["accepted"] for each in (first, second)] == [half * 99 // 100] * 2
    entries, keys, contacts = files.entered()
    # Transactional calls without keys are always new: everybody once for each file that names them.
    assert entries == keys == 2 * half * 99 // 100 and contacts == half


def test_r5_8_cancelled_while_it_runs(world, people, files, fleet):
    call_file = files.upload(lines(people))
    fleet.dispatcher()
    fleet.start("--queue", "maintenance")
    wait_until(lambda: files.job(call_file)["counts"]["lines"], what="it is on its way")
    answer = files.client.post(f"/call-files/{call_file}/cancel")
    assert (answer.status_code, answer.get_json()["state"]) == (200, "cancelled")
    stood = answer.get_json()["counts"]
    other = files.upload(lines(people[:10]))
    wait_until(lambda: files.job(other)["state"] == "done", what="the worker goes on with something else")
    found = files.job(call_file)
    assert (found["state"], found["counts"]) == ("cancelled", stood)
    assert stood["lines"] < PEOPLE and files.entered()[0] == stood["accepted"] + 10
    with bound(world.engine, world.a) as session:
        kept = session.scalars(sa.text("SELECT name FROM stored_file")).all()
    assert set(kept) <= {f"errors-{show('clf', parse('clf', call_file))}.jsonl"}
