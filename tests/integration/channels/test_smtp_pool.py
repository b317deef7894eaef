"""Several connections to one relay: when they are opened, what they share, how they end (performance.md 11.3)."""

import threading
from collections import Counter

import pytest

from saas.channels.types import Trouble
from saas.kernel.clock import monotonic
from tests.integration.channels.rig import (
    ACCEPTED,
    CHANNEL,
    DEFERRED,
    HASTY,
    PATIENT,
    PERSON,
    REFUSED,
    UNKNOWN,
    Watch,
    adapter_for,
    deliver,
    letters,
)
from tests.smtp_sink import At, Do, SmtpSink, Then

pytestmark = pytest.mark.integration


class SlowSink(SmtpSink):
    """Takes its time for each message, so that connections are busy."""

    delay_s = 0.02
    at_present = most_at_once = 0

    def keep(self, mail_from, rcpt, data, *, answered):
        with self._change:
            self.at_present += 1
            self.most_at_once = max(self.most_at_once, self.at_present)
        threading.Event().wait(self.delay_s)
        with self._change:
            self.at_present -= 1
        super().keep(mail_from, rcpt, data, answered=answered)


def people(count):
    return letters(*(f"p{number}" for number in range(count)))


def everybody_once(sink, watch, count):
    assert watch.kinds() == dict.fromkeys(range(count), (ACCEPTED, PERSON))
    assert Counter(message.rcpt for message in sink.messages) == Counter(each.recipient for each in people(count))


@pytest.mark.parametrize(("messages", "connections", "opened"), [(1, 4, 1), (40, 4, 4), (40, 1, 1), (40, 9, 9)])
def test_connections_are_opened_as_they_are_needed(messages, connections, opened):
    with SlowSink() as sink:
        everybody_once(sink, deliver(sink, people(messages), connections=connections), messages)
        assert sink.connections == opened


def test_connections_work_side_by_side():
    with SlowSink() as sink:
        sink.delay_s = 0.1
        adapter = adapter_for(sink, connections=5)
        adapter.deliver(iter(people(5)), watch=Watch())
        adapter.deliver(iter(people(20)), watch=Watch())
        assert sink.most_at_once > 1
        adapter.close()
        assert sink.commands[-5:] == ["QUIT"] * 5


def test_connections_are_kept_and_used_again():
    with SlowSink() as sink:
        adapter = adapter_for(sink, connections=3)
        for _ in range(4):
            watch = Watch()
            adapter.deliver(iter(people(12)), watch=watch)
            assert set(watch.kinds().values()) == {(ACCEPTED, PERSON)}
        adapter.close()
        assert sink.connections == 3
        assert len(sink.messages) == 48


def test_kept_connections_that_the_relay_ended_cost_nobody_anything():
    with SlowSink() as sink:
        adapter = adapter_for(sink, connections=4)
        adapter.deliver(iter(people(12)), watch=Watch())
        sink.messages.clear()
        sink.drop_connections()
        watch = Watch()
        adapter.deliver(iter(people(12)), watch=watch)
        everybody_once(sink, watch, 12)
        adapter.close()


def test_one_message_finds_its_way_past_many_kept_connections_that_have_ended():
    with SlowSink() as sink:
        adapter = adapter_for(sink, connections=6)
        adapter.deliver(iter(people(30)), watch=Watch())
        assert sink.connections == 6
        sink.drop_connections()
        sink.messages.clear()
        watch = Watch()
        adapter.deliver(iter(people(1)), watch=watch)
        everybody_once(sink, watch, 1)
        adapter.close()


def test_a_connection_that_was_half_open_when_all_was_done_says_nothing_about_the_relay():
    class Tarries(SlowSink):
        def _serve(self, conn):
            if self.connections and not ending.is_set():
                ending.wait()
                conn.close()  # whoever comes second waits for a greeting that never comes
                ended.set()
            else:
                super()._serve(conn)

    ending, ended = threading.Event(), threading.Event()
    with Tarries() as sink:
        adapter = adapter_for(sink, connections=2)
        adapter.deliver(iter(people(4)), watch=Watch())
        assert [lane.is_ready for lane in adapter._lanes.values()] == [True, False]
        adapter._left_at -= 5
        ending.set()
        assert ended.wait(60)
        watch = Watch()
        adapter.deliver(iter(people(20)), watch=watch)
        assert set(watch.kinds().values()) == {(ACCEPTED, PERSON)}
        assert adapter._peer.room == 2 and len(adapter._lanes) == 2
        adapter.close()


@pytest.mark.parametrize("late", [False, True])
def test_a_relay_that_lets_us_have_two_connections_gets_two_for_a_while(late):
    with SlowSink() as sink:
        sink.at_once, sink.tells_late = 2, late
        adapter = adapter_for(sink, connections=4)
        for _ in range(3):
            sink.messages.clear()
            watch = Watch()
            adapter.deliver(iter(people(20)), watch=watch)
            everybody_once(sink, watch, 20)
            assert adapter.down is None
        assert sink.connections == 3  # the third was refused, and not tried again
        assert adapter._peer.room == 2
        adapter._peer._room_until = 0
        sink.at_once = None
        adapter.deliver(iter(people(20)), watch=Watch())
        assert sink.connections == 5
        adapter.close()


@pytest.mark.parametrize("act", [Do(At.RCPT, "421 4.7.0 one is enough", Then.CLOSE), Do(At.RCPT, then=Then.CLOSE)])
def test_connections_that_end_at_their_first_envelope_fail_nobody_while_another_works(act):
    with SlowSink() as sink:
        sink.script["p1@example.net"] = sink.script["p2@example.net"] = [act, Do(At.DOT, "250 2.0.0 kept")]
        everybody_once(sink, deliver(sink, people(20), connections=4), 20)


def test_nobody_there_makes_one_message_for_nothing_not_all():
    made = []

    def lazily():
        for each in people(50):
            made.append(each.index)
            yield each

    with SmtpSink(greeting="421 4.3.2 closed") as sink:
        watch = deliver(sink, lazily(), connections=4)
        assert sink.connections == 1
    assert made == [0]
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert watch.down.trouble is Trouble.PRESSURE


def test_messages_are_made_only_when_a_connection_can_take_them():
    ahead = []

    class Counts(Watch):
        def offered(self, index):
            super().offered(index)
            ahead.append(len(made) - len(self.was_offered))

    def lazily():
        for each in people(60):
            made.append(each.index)
            yield each

    made = []
    with SlowSink() as sink:
        watch = deliver(sink, lazily(), connections=3, watch=Counts())
        everybody_once(sink, watch, 60)
    assert max(ahead) <= 3 + 1


@pytest.mark.parametrize("stop_at", [0, 1, 7, 30])
@pytest.mark.parametrize("connections", [1, 4])
def test_stop_settles_what_was_offered_and_leaves_the_rest(stop_at, connections):
    with SlowSink() as sink:
        watch = deliver(sink, people(60), connections=connections, watch=Watch(stop_at=stop_at))
        assert set(watch.outcomes) == set(watch.was_offered)
        assert set(watch.kinds().values()) <= {(ACCEPTED, PERSON)}
        assert sorted(message.rcpt for message in sink.messages) == sorted(f"p{i}@example.net" for i in watch.outcomes)
        # After the no nobody was even asked about.
        position = watch.log.index(("asked", stop_at))
        assert {what for what, _ in watch.log[position + 1 :]} <= {"settled"}


def test_stop_waits_for_the_answers_that_are_due_and_no_longer_than_agreed():
    with SmtpSink() as sink:
        sink.script["p0@example.net"] = Do(At.DOT, then=Then.HANG)
        sink.script["p29@example.net"] = Do(At.DOT, "250 2.0.0 late", after_s=0.2)
        start = monotonic()
        watch = deliver(sink, people(60), connections=2, watch=Watch(stop_at=30), timeouts=HASTY)
        assert monotonic() - start < PATIENT.answer_s
        assert watch.kinds().pop(0) == (UNKNOWN, PERSON)
        assert watch.kinds()[29] == (ACCEPTED, PERSON)
        assert Counter(watch.kinds().values()) == {(UNKNOWN, PERSON): 1, (ACCEPTED, PERSON): len(watch.was_offered) - 1}


def test_an_adapter_that_was_stopped_goes_on_later():
    with SlowSink() as sink:
        adapter = adapter_for(sink, connections=3)
        first, second = Watch(stop_at=9), Watch()
        adapter.deliver(iter(people(20)), watch=first)
        adapter.deliver(iter([each for each in people(20) if each.index not in first.outcomes]), watch=second)
        adapter.close()
        everybody_once(sink, Joined(first, second), 20)


class Joined:
    def __init__(self, *watches):
        self._kinds = {index: kind for watch in watches for index, kind in watch.kinds().items()}

    def kinds(self):
        return dict(sorted(self._kinds.items()))


def test_what_the_messages_raise_comes_out_after_the_answers_that_are_due():
    class Broken(Exception):
        pass

    def breaks():
        yield from people(20)
        raise Broken

    with SlowSink() as sink:
        adapter, watch = adapter_for(sink, connections=3), Watch()
        with pytest.raises(Broken):
            adapter.deliver(breaks(), watch=watch)
        everybody_once(sink, watch, 20)
        adapter.deliver(iter(people(1)), watch=Watch())
        adapter.close()


def test_when_the_watch_breaks_no_connection_is_used_again():
    class Breaks(Watch):
        def settled(self, index, outcome):
            if index == 5:
                raise KeyboardInterrupt
            super().settled(index, outcome)

    with SlowSink() as sink:
        adapter = adapter_for(sink, connections=3)
        with pytest.raises(KeyboardInterrupt):
            adapter.deliver(iter(people(20)), watch=Breaks())
        assert adapter._lanes == {} and adapter._masks == {}
        watch = Watch()
        adapter.deliver(iter(letters("x", "y")), watch=watch)
        adapter.close()
        assert watch.kinds() == dict.fromkeys((0, 1), (ACCEPTED, PERSON))
        assert max(Counter(message.rcpt for message in sink.messages).values()) == 1


def test_a_connection_that_hangs_does_not_hold_up_the_others():
    with SmtpSink() as sink:
        sink.script["p0@example.net"] = Do(At.DOT, then=Then.HANG)
        watch = deliver(sink, people(40), connections=3, timeouts=HASTY)
        assert watch.kinds()[0] == (UNKNOWN, PERSON)
        assert Counter(watch.kinds().values()) == {(ACCEPTED, PERSON): 39, (UNKNOWN, PERSON): 1}
        settled = [index for what, index in watch.log if what == "settled"]
        assert settled.index(0) >= 37  # all but the one that waited behind it


def test_a_relay_that_never_answers_gets_no_more():
    """Of each message that it took without a word nobody knows who has it; after a few in a row the rest waits."""
    with SmtpSink() as sink:
        for index in range(60):
            sink.script[f"p{index}@example.net"] = Do(At.DOT, then=Then.CLOSE)
        watch = deliver(sink, people(60), connections=3)
        kinds = Counter(watch.kinds().values())
        assert set(kinds) <= {(UNKNOWN, PERSON), (DEFERRED, CHANNEL)}
        assert 5 <= kinds[UNKNOWN, PERSON] <= 8
        assert watch.down is not None


def test_a_relay_that_goes_away_in_the_middle():
    """Whoever was not offered waits for the channel; whoever was has an answer or is open."""

    class Ends(Watch):
        def settled(self, index, outcome):
            super().settled(index, outcome)
            if len(self.outcomes) == 10:
                sink.__exit__(None, None, None)

    with SlowSink() as sink:
        watch = deliver(sink, people(60), connections=3, watch=Ends())
        kinds = Counter(watch.kinds().values())
        assert set(kinds) <= {(ACCEPTED, PERSON), (UNKNOWN, PERSON), (DEFERRED, CHANNEL)}
        assert watch.down.trouble is Trouble.CONNECT
        assert len(watch.outcomes) <= 20
        assert kinds[UNKNOWN, PERSON] <= 3
        accepted = {index for index, outcome in watch.outcomes.items() if outcome.kind is ACCEPTED}
        unsure = {index for index, outcome in watch.outcomes.items() if outcome.kind is UNKNOWN}
        kept = {int(message.rcpt[1:].split("@")[0]) for message in sink.messages}
        assert accepted <= kept <= accepted | unsure


def test_one_in_a_hundred_refused_hurts_nobody_else():
    with SmtpSink() as sink:
        for number in (3, 103, 203):
            sink.script[f"p{number}@example.net"] = Do(At.DOT, "554 5.7.1 spam")
        for number in (4, 104, 204):
            sink.script[f"p{number}@example.net"] = "550 5.1.1 no such user"
        watch = deliver(sink, people(300), connections=4)
        expected = {
            **dict.fromkeys((3, 103, 203), (REFUSED, CHANNEL)),
            **dict.fromkeys((4, 104, 204), (REFUSED, PERSON)),
        }
        assert {index: kind for index, kind in watch.kinds().items() if kind != (ACCEPTED, PERSON)} == expected
        assert Counter(Counter(message.rcpt for message in sink.messages).values()) == {1: 294}
