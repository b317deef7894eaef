"""Calls by file by hand (S36): the form, progress, the error file, cancel; clean by axe."""

import csv
import io
import json
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from saas.journeys.service import calling
from saas.kernel.clock import SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Queue
from tests import scenes
from tests.web.conftest import LOOKS, email_of, visit

pytestmark = pytest.mark.web
URL = "https://id.northwind.example/r/1"


@pytest.fixture
def reset(world, room, sink):
    """An active campaign that starts on call, and its six people."""
    scenes.add_people(world, world.a, 6, tag="t")
    channel = scenes.add_channel(world, world.a, sink.port, purpose="transactional")
    campaign_id = scenes.make_campaign(world, world.a, kind="api", purpose="transactional")
    scenes.save(world, world.a, campaign_id, scenes.api_draft(channel))
    scenes.approve(world, world.a, campaign_id, scenes.submit(world, world.a, campaign_id))
    soon(room).run()
    return campaign_id


def soon(room):
    return room.at(SystemClock().now() + timedelta(seconds=1))


def file_of(*names):
    rows = [{"email": f"{name}@example.org", "context": {"reset_url": URL}} for name in names]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return {"name": "october.jsonl", "mimeType": "application/x-ndjson", "buffer": content}


def upload(visitor, world, campaign_id, file):
    page = visitor.page
    visitor.open(f"/w/{world.a.wsp}/campaigns/{campaign_id}")
    page.get_by_role("link", name="Call with a file").click()
    page.get_by_label("File", exact=True).set_input_files(file)
    visitor.press("Upload and call")
    page.wait_for_url("**/call-files/clf_*")


def test_a_file_is_uploaded_and_its_lines_are_answered(world, any_visitor, room, reset, request):
    visitor, page = any_visitor, any_visitor.page
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    upload(visitor, world, reset, file_of("t0", "t1", "t2", "nobody"))
    page.get_by_text("Queued").wait_for()
    soon(room).run(Queue.MAINTENANCE)
    if "no script" in request.node.name:
        page.get_by_role("link", name="Look again").click()
    page.get_by_role("link", name="Error file").wait_for()
    rows = page.locator("table:has(caption:text-is('What became of the lines')) tbody tr")
    cells = [row.locator("th, td").all_inner_texts() for row in rows.all()]
    numbers = {cell[0].strip(): cell[-1].strip() for cell in cells}
    assert (numbers["Accepted"], numbers["Unknown"], numbers["Lines answered"]) == ("3", "1", "4")
    with page.expect_download() as download:
        page.get_by_role("link", name="Error file").click()
    lines = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8"))))
    assert [(line["line"], line["recipient"], line["status"]) for line in lines] == [
        ("4", "nobody@example.org", "unknown_contact")
    ]
    page.get_by_role("link", name="Call with a file").click()
    expect(page.get_by_role("row", name="october.jsonl")).to_contain_text("Done")
    assert visitor.faults == []


def test_the_rest_is_cancelled_after_a_question(world, visitor, room, reset, monkeypatch):
    monkeypatch.setattr(calling, "LINES", 2)
    visitor.enter(email_of(world, world.a, Role.MANAGER))
    upload(visitor, world, reset, file_of("t0", "t1", "t2", "t3"))
    world.client(world.a, Role.MANAGER).post(f"/campaigns/{reset}/pause")
    soon(room).run(Queue.MAINTENANCE)
    visitor.page.reload()
    visitor.page.get_by_text("The file goes on by itself.").wait_for()
    visitor.press("Cancel…")
    visitor.press("Cancel the rest")
    assert "The rest of the file is not called" in visitor.said()
    visitor.page.get_by_text("Who had entered before stays").wait_for()


def test_what_is_wrong_with_a_file_stands_beside_it(world, visitor, reset):
    page = visitor.enter(email_of(world, world.a, Role.MANAGER)).page
    visitor.open(f"/w/{world.a.wsp}/campaigns/{reset}/call-files")
    visitor.press("Upload and call")
    expect(page.locator("#f-file-error")).to_have_text("Choose a file.")
    page.get_by_label("File", exact=True).set_input_files(file_of())
    visitor.press("Upload and call")
    expect(page.locator("#f-file-error")).to_have_text("The file is empty.")


def test_who_may_not_call_sees_no_way_there(world, visitor, reset):
    page = visitor.enter(email_of(world, world.a, Role.VIEWER)).page
    visitor.open(f"/w/{world.a.wsp}/campaigns/{reset}")
    expect(page.get_by_role("link", name="Call with a file")).to_have_count(0)
    assert visitor.open(f"/w/{world.a.wsp}/campaigns/{reset}/call-files").status == 403


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_the_pages_are_clean(world, browser, server, room, reset, size, scheme):
    """WCAG 2.2 AA by axe, no sideways scrolling, a quiet console."""
    client, answers = world.client(world.a, Role.MANAGER), []
    for names in (("t0", "nobody"), ("t1",)):
        answers.append(
            client.call(
                "POST",
                f"/campaigns/{reset}/trigger-file?file_name=october.jsonl",
                data=file_of(*names)["buffer"],
                headers={"Content-Type": "application/x-ndjson"},
            ).get_json()["call_file_id"]
        )
        if len(answers) == 1:
            soon(room).run(Queue.MAINTENANCE)
    here = f"/w/{world.a.wsp}"
    paths = [
        f"{here}/campaigns/{reset}",
        f"{here}/campaigns/{reset}/call-files",
        *(f"{here}/call-files/{one}" for one in answers),
    ]
    with visit(browser, server, viewport=size, color_scheme=scheme) as visitor:
        visitor.enter(email_of(world, world.a, Role.MANAGER))
        found = {}
        for path in paths:
            assert visitor.open(path).status == 200, path
            assert not visitor.overflows(), path
            found[path] = visitor.axe()
        assert {path: faults for path, faults in found.items() if faults} == {}
        assert visitor.faults == []
