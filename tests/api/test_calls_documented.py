"""docs/calls.md: its examples are run as they stand, by curl and by Python, against a server on this machine."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from werkzeug.serving import make_server

from saas.kernel.clock import SystemClock
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.conftest import ROOT
from tests.engine_room import engine_room
from tests.smtp_sink import SmtpSink
from tests.worlds import bound

pytestmark = pytest.mark.integration
PAGE = (ROOT / "docs" / "calls.md").read_text(encoding="utf-8")


def example(language):
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture
def sink():
    with SmtpSink() as found:
        yield found


@pytest.fixture
def room(app, app_settings, sink, empty_agenda):
    with engine_room(app, app_settings, egress=(f"127.0.0.1:{sink.port}",)) as found:
        yield found


@pytest.fixture
def environ(app, world, room, sink):
    """The example's variables, and Kari and Ola among the people."""
    scenes.add_people(world, world.a, 2, tag="x")
    with bound(world.engine, world.a) as session:
        for name, was in (("kari", "x0"), ("ola", "x1")):
            session.execute(
                sa.text("UPDATE contact SET email = :e, email_key = :e WHERE email = :was"),
                {"e": f"{name}@example.org", "was": f"{was}@example.org"},
            )
        session.commit()
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    later(room)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield {
        "PATH": os.environ["PATH"], "API": f"http://127.0.0.1:{server.port}/api/v1", "COUNTERSIGN_KEY": world.a.key,
        "CAMPAIGN": campaign_id, "NO_PROXY": "127.0.0.1",
    }  # fmt: skip
    server.shutdown()
    thread.join()
    server.server_close()


def later(room):
    return room.at(SystemClock().now() + timedelta(seconds=1)).run(Queue.MAINTENANCE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_example_with_curl(world, environ, room, tmp_path):
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", example("sh")],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    job = json.loads(done.stdout)
    assert (job["state"], job["file_name"]) == ("queued", "calls.jsonl")
    assert job["size_bytes"] == (tmp_path / "calls.jsonl").stat().st_size
    later(room)
    counts = world.key(world.a).get(f"/call-files/{job['call_file_id']}").get_json()["counts"]
    assert {word: number for word, number in counts.items() if number} == {
        "lines": 3,
        "accepted": 2,
        "unknown_contact": 1,
    }


def test_the_example_with_python(environ, room, tmp_path):
    script = Path(tmp_path / "calls.py")
    script.write_text(example("python"), encoding="utf-8")
    program = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while program.poll() is None:
        later(room)
    said = program.communicate()[0].splitlines()
    assert program.returncode == 0, said
    assert said[0].startswith("done {") and "'accepted': 1" in said[0]
    assert json.loads(said[1])["status"] == "unknown_contact"


def test_the_page_names_every_count_and_state():
    from saas.journeys.service.call_files import NOTHING_YET
    from saas.journeys.types import CallFileState

    assert [word for word in NOTHING_YET if f"| `{word}` |" not in PAGE] == ["lines"]
    assert [state for state in CallFileState if f"`{state}`" not in PAGE] == []
