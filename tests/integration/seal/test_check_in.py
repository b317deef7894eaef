"""Each start of a sender raises the epoch; whatever is not the deployment that it says it is gets sealed."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from sqlalchemy.orm import Session

from saas.kernel.clock import SystemClock
from saas.kernel.errors import Conflict
from saas.platform.agenda.types import Queue
from saas.platform.roles import psycopg_url
from saas.platform.seal import file as seal_file
from saas.platform.seal import service
from saas.platform.seal.types import OtherDatabase, Sealed, WrongFile
from saas.sending.service import sealed
from saas.sending.service.owner import Owner

pytestmark = pytest.mark.integration


def check_in(installation, **changes):
    return sealed.check_in(installation.engine, file=changes.get("file", installation.file), now=SystemClock().now())


@pytest.fixture
def sent_from(installation):
    """An installation with a workspace, and a sender that has started once."""
    check_in(installation)
    installation.add_workspace()
    return installation


def test_every_start_raises_the_epoch_in_table_and_file(sent_from):
    first = check_in(sent_from)
    second = check_in(sent_from)
    assert not first.sealed and (first.epoch, second.epoch) == (2, 3)
    row, mark = sent_from.seal(), seal_file.read(sent_from.file)
    assert (row.epoch, row.deployment_id, row.system_identifier, row.timeline) == (
        mark.epoch, mark.deployment_id, mark.identity.system_identifier, mark.identity.timeline,
    )  # fmt: skip
    assert not list(sent_from.home.glob("*.new"))


def test_senders_that_start_at_once_take_their_turns(installation):
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(lambda _: check_in(installation), range(12)))
    assert not any(state.sealed for state in states)
    assert sorted(state.epoch for state in states) == list(range(1, 13))
    assert seal_file.read(installation.file).epoch == installation.seal().epoch == 12


@pytest.mark.parametrize("point", ["seal.begun", "seal.between"])
def test_no_death_at_the_first_start_seals(installation, point):
    installation.add_workspace()
    for _ in range(2):
        assert installation.check_in_elsewhere(fault=f"{point}:kill9") in {-signal.SIGKILL, 0}
    assert not check_in(installation).sealed
    assert seal_file.read(installation.file).epoch == installation.seal().epoch


def test_no_death_at_a_later_start_seals(sent_from):
    for _ in range(3):
        assert sent_from.check_in_elsewhere(fault="seal.between:kill9") == -signal.SIGKILL
    assert seal_file.read(sent_from.file).epoch == 1 and sent_from.seal().epoch == 4
    assert not check_in(sent_from).sealed


def test_a_copy_that_is_started_elsewhere_is_sealed_and_the_original_is_not(sent_from, tmp_path):
    copy = sent_from.copy(tmp_path / "elsewhere")
    state = check_in(copy)
    assert state.sealed and "restored, copied or moved" in state.reason
    assert copy.seal().sealed_at is not None and not copy.file.exists()
    assert check_in(copy).sealed, "it stays sealed"
    assert not check_in(sent_from).sealed


def test_a_copy_on_the_same_machine_is_sealed_too(sent_from):
    assert check_in(sent_from.copy(sent_from.home)).sealed


def test_a_table_that_is_older_than_the_file_seals(sent_from):
    check_in(sent_from)
    sent_from.change("UPDATE seal SET epoch = 1")
    state = check_in(sent_from)
    assert state.sealed and "older than the seal file" in state.reason


def test_a_table_without_its_row_seals(sent_from):
    sent_from.change("DELETE FROM seal")
    assert check_in(sent_from).sealed


def test_a_promoted_server_seals(sent_from):
    sent_from.change("UPDATE seal SET timeline = timeline + 1")
    assert "promoted" in check_in(sent_from).reason


@pytest.mark.parametrize("text", [None, '{"epoch": 1', "[]"])
def test_a_lost_or_broken_file_seals(sent_from, text):
    if text is None:
        sent_from.file.unlink()
    else:
        sent_from.file.write_text(text)
    assert "there is no seal file" in check_in(sent_from).reason


def test_another_deployments_file_seals(sent_from, yard, tmp_path):
    other = yard.make(tmp_path / "other")
    check_in(other)
    assert "another deployment" in check_in(sent_from, file=other.file).reason


def test_a_machine_without_the_file_does_not_stop_those_at_work(sent_from, tmp_path):
    """A second host is started without a copy of the file: it is refused, and nothing else happens."""
    owner = Owner(sent_from.engine, queue=Queue.BULK, clock=SystemClock(), home=sent_from.home)
    owner.start(on_fence=lambda: None)
    try:
        with pytest.raises(WrongFile, match="copy their seal file"):
            check_in(sent_from, file=tmp_path / "host2" / "seal.json")
        assert sent_from.seal().sealed_at is None
        copied = tmp_path / "host2" / "seal.json"
        copied.write_text(sent_from.file.read_text())
        assert not check_in(sent_from, file=copied).sealed
        assert not check_in(sent_from).sealed, "a file behind the table is well"
    finally:
        owner.end()
    assert check_in(sent_from, file=tmp_path / "host3" / "seal.json").sealed, "nobody is at work any more"


def test_the_register_of_a_copy_proves_nobody_alive(sent_from, tmp_path):
    owner = Owner(sent_from.engine, queue=Queue.BULK, clock=SystemClock(), home=sent_from.home)
    owner.start(on_fence=lambda: None)
    owner.stop_beating()
    copy = sent_from.copy(tmp_path / "elsewhere")
    copy.change("UPDATE seal SET system_identifier = :same", same=service_identity(copy))
    assert check_in(copy).sealed, "only the missing file tells"
    owner.end()


def service_identity(installation):
    with Session(installation.engine) as session:
        return service.identity_of(session).system_identifier


def test_a_new_database_in_an_old_home_is_no_copy(sent_from, yard):
    fresh = yard.make(sent_from.home)
    assert not check_in(fresh).sealed
    assert seal_file.read(fresh.file).deployment_id == fresh.seal().deployment_id


def test_without_a_place_for_the_file_nothing_may_be_sent(installation, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OSError, match="taken"):
        check_in(installation, file=tmp_path / "taken" / "seal.json")


def test_accepting_takes_over_and_survives_a_death_in_between(sent_from, tmp_path):
    copy = sent_from.copy(tmp_path / "elsewhere")
    with pytest.raises(Conflict):
        service.accept(sent_from.engine, file=sent_from.file, now=SystemClock().now())
    before = check_in(copy)
    with Session(copy.engine) as session, pytest.raises(Sealed):
        service.refuse_if_sealed(session)
    seal_file.write(copy.file, replace(seal_file.read(sent_from.file), epoch=9))  # as after a death before the commit
    assert check_in(copy).sealed
    copy.file.unlink()
    mark = service.accept(copy.engine, file=copy.file, now=SystemClock().now())
    assert mark.epoch > before.epoch and mark.deployment_id != seal_file.read(sent_from.file).deployment_id
    assert json.loads(copy.file.read_text())["epoch"] == mark.epoch == copy.seal().epoch
    assert not check_in(copy).sealed and not check_in(sent_from).sealed
    assert "another deployment" in check_in(copy, file=sent_from.file).reason


def test_a_connection_that_leads_elsewhere_is_noticed(sent_from, tmp_path):
    known = check_in(sent_from).identity
    copy = sent_from.copy(tmp_path / "elsewhere")
    with psycopg.connect(psycopg_url(sent_from.settings.database_url)) as connection:
        service.confirm(connection, known)
        with pytest.raises(OtherDatabase):
            service.confirm(connection, replace(known, timeline=2))
    with psycopg.connect(psycopg_url(copy.settings.database_url)) as connection, pytest.raises(OtherDatabase):
        service.confirm(connection, known)
