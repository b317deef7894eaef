import os
from datetime import UTC, datetime

import pytest

from saas.platform.embedded.inbox.store import Store
from saas.platform.embedded.inbox.types import Arrival

AT = datetime(2026, 3, 4, tzinfo=UTC)


def arrival(number, *, body=b"x\r\n"):
    head = f"Message-ID: <{number}@example.com>\r\nSubject: message {number}\r\n\r\n".encode()
    return Arrival(AT, "a@example.com", (f"p{number}@example.com",), head + body)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path)
    yield opened
    opened.close()


def test_messages_come_back_byte_for_byte_and_in_order(store):
    kept = store.append([arrival(1, body=bytes(range(256)) * 9), arrival(2)])
    assert [summary.id for summary in kept] == [1, 2]
    assert store.raw(1) == arrival(1, body=bytes(range(256)) * 9).content
    assert store.raw(2) == arrival(2).content
    assert store.raw(3) is None
    assert store.raw(0) is None
    assert [summary.id for summary in store.after(1)] == [2]
    assert (store.stats().messages, store.stats().distinct_message_ids) == (2, 2)


def test_a_restart_finds_everything_again(tmp_path):
    first = Store(tmp_path)
    first.append([arrival(1), arrival(2), arrival(2)])
    before = first.after(0)
    first.close()
    second = Store(tmp_path)
    assert second.after(0) == before
    assert second.stats().distinct_message_ids == 2
    assert second.append([arrival(3)])[0].id == 4
    second.close()


def test_any_torn_tail_is_cut_off_and_writing_goes_on(tmp_path):
    first = Store(tmp_path)
    first.append([arrival(1)])
    whole = (tmp_path / "messages.log").stat().st_size
    first.append([arrival(2)])
    first.close()
    data = (tmp_path / "messages.log").read_bytes()
    tails = [data[whole:cut] for cut in range(whole + 1, len(data))]
    tails += [bytes(9), b"\xff" * 99, data[whole:-1] + b"?", data[whole:-3] + bytes(3)]
    for tail in tails:
        (tmp_path / "messages.log").write_bytes(data[:whole] + tail)
        again = Store(tmp_path)
        assert [summary.id for summary in again.after(0)] == [1]
        assert again.append([arrival(3)])[0].id == 2
        assert again.raw(2) == arrival(3).content
        again.close()


def test_clearing_forgets_the_messages_but_not_the_numbers(tmp_path):
    first = Store(tmp_path)
    first.append([arrival(1), arrival(2)])
    first.clear()
    assert first.after(0) == []
    assert first.raw(1) is None
    assert first.stats().messages == first.stats().distinct_message_ids == 0
    first.close()
    second = Store(tmp_path)
    assert second.append([arrival(3)])[0].id == 3
    assert second.raw(3) == arrival(3).content
    second.close()


def test_a_failed_write_keeps_nothing_and_does_no_harm(store, tmp_path):
    store.append([arrival(1)])
    size = (tmp_path / "messages.log").stat().st_size
    real, store._file = store._file, os.open(os.devnull, os.O_RDONLY)  # a file that cannot be written
    try:
        with pytest.raises(OSError, match=r".+"):
            store.append([arrival(2)])
    finally:
        os.close(store._file)
        store._file = real
    assert (tmp_path / "messages.log").stat().st_size == size
    assert [summary.id for summary in store.after(0)] == [1]
    assert store.append([arrival(3)])[0].id == 2
    assert store.raw(2) == arrival(3).content
