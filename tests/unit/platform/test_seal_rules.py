"""What follows from file, table and server; and that no death between them seals a healthy deployment."""

from dataclasses import replace
from uuid import UUID

import pytest

from saas.platform.seal.rules import MAY_SEND, OF_THE_FILE, REASONS, judge
from saas.platform.seal.types import Identity, Mark, Verdict

HERE = Identity("7428/16384/16702", 1)
OURS = Mark(UUID(int=1), HERE, 7)
THEIRS = Mark(UUID(int=2), HERE, 7)
ELSEWHERE = Identity("7428/16999/16702", 1)
PROMOTED = Identity("7428/16384/16702", 2)


def at(epoch):
    return replace(OURS, epoch=epoch)


@pytest.mark.parametrize(
    ("file", "table", "here", "verdict"),
    [
        (None, None, HERE, "first"),
        (at(0), None, HERE, "first"),  # died after the file was begun
        (at(0), at(1), HERE, "good"),  # died after the table's first commit
        (OURS, OURS, HERE, "good"),
        (at(6), OURS, HERE, "good"),  # died between table and file, or another machine raised the table
        (at(2), OURS, HERE, "good"),
        (at(8), OURS, HERE, "behind"),
        (OURS, None, HERE, "behind"),
        (None, OURS, HERE, "file_missing"),
        (THEIRS, OURS, HERE, "other_file"),
        (replace(OURS, identity=ELSEWHERE), OURS, HERE, "other_file"),
        (OURS, OURS, ELSEWHERE, "other_database"),
        (None, OURS, ELSEWHERE, "other_database"),
        (OURS, OURS, PROMOTED, "other_timeline"),
        (at(8), OURS, PROMOTED, "other_timeline"),
    ],
)
def test_verdicts(file, table, here, verdict):
    assert judge(file=file, table=table, here=here, empty=False) == verdict


@pytest.mark.parametrize("file", [None, OURS, THEIRS, at(9)])
@pytest.mark.parametrize("table", [None, OURS])
def test_an_empty_database_is_nobodys_copy(file, table):
    assert judge(file=file, table=table, here=HERE, empty=True) is Verdict.FRESH


def test_every_refusal_has_its_words():
    assert set(REASONS) == set(Verdict) - MAY_SEND
    assert set(REASONS) > OF_THE_FILE
