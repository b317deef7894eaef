"""`saas contacts import` as an operator runs it, with a worker beside it."""

import base64
import os
import threading

import pytest

from saas.kernel.ids import show
from tests import command
from tests.integration.audiences.conftest import BUNDLED, expected_of

pytestmark = pytest.mark.integration


@pytest.fixture
def environ(app_settings):
    key = base64.b64encode(b"k" * 32).decode()
    return {
        "PATH": os.environ["PATH"],
        "DATABASE_URL": app_settings.database_url,
        "REDIS_URL": app_settings.redis_url,
        "SECRET_KEY": key,
        "MASTER_KEY": key,
    }


def saas(environ, *words):
    return command.saas(environ, "contacts", *map(str, words))


@pytest.fixture
def worker(office):
    """A worker that takes what comes until the test is over."""
    over = threading.Event()

    def work():
        while not over.wait(0.05):
            office.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join()


@pytest.mark.usefixtures("worker")
def test_import_is_watched_to_its_end(office, environ, tmp_path):
    file, errors = BUNDLED / "contacts-2k.csv", tmp_path / "errors.csv"
    workspace = show("wsp", office.place.tenant_id)
    answer = saas(environ, "import", file, "--workspace", workspace, "--list", "Customers", "--errors", errors)
    assert answer.returncode == 0, answer.stderr
    expected = expected_of(file)
    assert f"{expected['contacts']:,}" in answer.stdout and "done" in answer.stdout
    assert errors.read_text("utf-8").startswith("row,column,value,message,level")
    again = saas(environ, "import", file, "--workspace", workspace, "--list", show("lst", office.list_id))
    assert again.returncode == 0, again.stderr


@pytest.mark.usefixtures("worker")
def test_what_went_wrong_is_an_exit_code_and_one_line(office, environ, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("Name\nAnn\n")
    workspace = show("wsp", office.place.tenant_id)
    answer = saas(environ, "import", file, "--workspace", workspace, "--list", "Customers")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "No column holds the address" in answer.stderr
    assert saas(environ, "import", file, "--workspace", workspace, "--list", "Nobody").returncode == 4
    assert saas(environ, "import", file, "--workspace", "Nowhere", "--list", "Customers").returncode == 4
