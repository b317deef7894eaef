"""The journal: what is known of each message survives the process (ledger.md, journal)."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas.kernel.ids import uuid7
from saas.sending.service import journal
from saas.sending.types import CHUNK_PEOPLE, LANES, Mark

HOLDER = """
import sys, time
from pathlib import Path
from uuid import UUID
from saas.sending.service.journal import Journal
held = Journal(Path(sys.argv[1]), UUID(sys.argv[2]))
held.take_slot().begin(7, [1, 2])
print("held", flush=True)
time.sleep(60)
"""


IDS = st.lists(st.integers(1, 2**62), max_size=40, unique=True)


@given(st.dictionaries(st.integers(1, 2**62), IDS, max_size=LANES))
def test_what_was_written_is_read(tmp_path_factory, chunks):
    home = tmp_path_factory.mktemp("home")
    kept = journal.Journal(home, uuid7())
    for token, ids in chunks.items():
        slot = kept.take_slot()
        slot.begin(token, ids)
        for index in range(0, len(ids), 2):
            slot.mark(index, Mark.OFFERED)
    assert journal.read_slots(kept.path) == {
        token: {entry: Mark.UNTOUCHED if index % 2 else Mark.OFFERED for index, entry in enumerate(ids)}
        for token, ids in chunks.items()
    }
    kept.close(remove=True)
    assert journal.owners(home) == []


def test_a_slot_left_is_empty_and_free(tmp_path):
    kept = journal.Journal(tmp_path, uuid7())
    slots = [kept.take_slot() for _ in range(LANES)]
    for number, slot in enumerate(slots):
        slot.begin(number + 1, list(range(CHUNK_PEOPLE)))
    assert len(journal.read_slots(kept.path)) == LANES
    kept.leave_slot(slots[3])
    assert set(journal.read_slots(kept.path)) == set(range(1, LANES + 1)) - {4}
    kept.take_slot().begin(99, [5])
    assert journal.read_slots(kept.path)[99] == {5: Mark.UNTOUCHED}
    kept.close(remove=True)


def test_nobody_reads_the_evidence_of_the_living(tmp_path):
    owner = uuid7()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path), str(owner)], stdout=subprocess.PIPE, env=dict(os.environ)
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(journal.Alive):
            journal.Evidence(tmp_path, owner)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    evidence = journal.Evidence(tmp_path, owner)
    assert evidence.read() == {7: {1: Mark.UNTOUCHED, 2: Mark.UNTOUCHED}}
    evidence.close(remove=True)
    assert journal.owners(tmp_path) == []


def test_what_a_full_disk_cut_off_is_no_slot(tmp_path):
    owner = uuid7()
    kept = journal.Journal(tmp_path, owner)
    kept.take_slot().begin(7, [1])
    kept.close(remove=False)
    os.truncate(kept.path, 100)
    assert journal.read_slots(kept.path) == {}
