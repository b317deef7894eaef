"""What tests of audiences need: a list, and imports done by the agenda's own loop."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from saas.audiences.jobs import import_handler
from saas.audiences.models import ContactList, Import
from saas.audiences.service import imports, lists
from saas.audiences.types import IMPORT_FILE
from saas.kernel.clock import Clock, FixedClock, SystemClock
from saas.permissions.types import Role
from saas.platform.agenda.types import Kinds
from saas.platform.agenda.work import Doer, work_once
from saas.platform.files import service as files
from saas.platform.secrets.service import Vault
from tests.worlds import Place, bound

ROOT = Path(__file__).parents[3]
SHARED = ROOT.parent / "shared" / "data"
BUNDLED = ROOT / "saas" / "cli" / "data"
VAULT = Vault(b"k" * 32)


def known_files() -> list[Path]:
    """Files whose counts are known: the bundled one, and larger ones where they lie beside the repository."""
    found = [BUNDLED / "contacts-2k.csv", SHARED / "contacts-10k.csv", SHARED / "contacts-ru-cp1251.csv"]
    return [path for path in found if path.exists()]


def expected_of(path: Path) -> dict[str, int | str]:
    return json.loads(path.with_suffix(".expected.json").read_text("utf-8"))


@dataclass
class Office:
    """A workspace with a list, where files are imported."""

    engine: sa.Engine
    place: Place
    list_id: object

    def session(self):
        return bound(self.engine, self.place)

    def new_list(self, name: str):
        with self.session() as session:
            row = make_list(session, self.place, name)
            session.commit()
        return row.list_id

    def upload(self, content: bytes, *, list_id=None, **how):
        upload = imports.Upload(blocks=[content], file_name="people.csv", **how)
        with self.session() as session:
            row = imports.start_import(
                session, actor=self.place.actor(Role.MANAGER), list_id=list_id or self.list_id, upload=upload,
                max_bytes=10**9, now=SystemClock().now(),
            )  # fmt: skip
            session.commit()
        return row.import_id

    def doer(self, clock: Clock) -> Doer:
        kinds = Kinds({IMPORT_FILE: import_handler(self.engine, VAULT, clock, at_once=8)})
        return Doer(self.engine, kinds, clock, ring=lambda _queue: None, leaving=lambda: False)

    def work(self) -> int:
        done = 0
        while work_once(self.doer(SystemClock()), IMPORT_FILE.queue):
            done += 1
        return done

    def work_later(self, import_id, *, hours: int = 1) -> Import:
        """Work once as if some time had passed: whatever a dead worker held is free again."""
        work_once(self.doer(FixedClock(SystemClock().now() + timedelta(hours=hours))), IMPORT_FILE.queue)
        return self.found(import_id)

    def run(self, content: bytes, **how) -> Import:
        """Import a file from beginning to end."""
        import_id = self.upload(content, **how)
        self.work()
        return self.found(import_id)

    def found(self, import_id) -> Import:
        with self.session() as session:
            return session.get_one(Import, (self.place.tenant_id, import_id))

    def errors(self, row: Import) -> str:
        if row.error_file_id is None:
            return ""
        with self.session() as session:
            return b"".join(files.read(session, row.error_file_id)).decode()

    def rows(self, statement: str, **values):
        with self.session() as session:
            return session.execute(sa.text(statement), {"tenant": self.place.tenant_id, **values}).all()


def make_list(session, place: Place, name: str) -> ContactList:
    return lists.create_list(
        session, actor=place.actor(Role.MANAGER), project_id=place.project_id, name=name, description="",
        now=SystemClock().now(),
    )  # fmt: skip


@pytest.fixture
def office(world, engine, empty_agenda) -> Office:
    with bound(engine, world.a) as session:
        row = make_list(session, world.a, "Customers")
        session.commit()
    return Office(engine, world.a, row.list_id)
