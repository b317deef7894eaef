"""Compare what the file, the table and the server say (reliability.md 3)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from saas.platform.seal.types import Identity, Mark, Verdict

MAY_SEND: Final = frozenset({Verdict.FIRST, Verdict.FRESH, Verdict.GOOD})
# The database is what it was; only this machine's file does not belong to it.
OF_THE_FILE: Final = frozenset({Verdict.FILE_MISSING, Verdict.OTHER_FILE})
REASONS: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        Verdict.OTHER_DATABASE: "the database is not the one that was sent from before: it was restored, copied or"
        " moved to another server",
        Verdict.OTHER_TIMELINE: "the database server was promoted, or recovered to an earlier moment",
        Verdict.BEHIND: "the database is older than the seal file: it was restored from a backup",
        Verdict.FILE_MISSING: "there is no seal file here although the database was sent from before: this is a copy"
        " that was started elsewhere, or the file was lost",
        Verdict.OTHER_FILE: "the seal file here belongs to another deployment, or to an earlier state of this one",
    }
)


def judge(*, file: Mark | None, table: Mark | None, here: Identity, empty: bool) -> Verdict:
    """Return what to think of this database. `empty`: it has no workspaces, so there is nothing to send twice.

    A file that is behind the table is well: another machine's sender raised the table, or a sender of this one died
    between table and file. The table is always written first, so it is never behind a healthy deployment's file.
    """
    if empty:
        return Verdict.FRESH
    if table is None:
        return Verdict.FIRST if file is None or file.epoch == 0 else Verdict.BEHIND
    if here != table.identity:
        same = here.system_identifier == table.identity.system_identifier
        return Verdict.OTHER_TIMELINE if same else Verdict.OTHER_DATABASE
    return _of_the_same(file, table)


def _of_the_same(file: Mark | None, table: Mark) -> Verdict:
    """Judge the file where the database is the one that the table was written in."""
    if file is None:
        return Verdict.FILE_MISSING
    if (file.deployment_id, file.identity) != (table.deployment_id, table.identity):
        return Verdict.OTHER_FILE
    return Verdict.BEHIND if table.epoch < file.epoch else Verdict.GOOD
