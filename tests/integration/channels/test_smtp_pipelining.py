"""One round trip a message, and what happens when an answer is not the hoped-for one (RFC 2920; performance.md 11.3)."""

from collections import Counter
from dataclasses import replace

import pytest

from saas.channels.types import Outcome, Security, Trouble
from tests.integration.channels.rig import (
    ACCEPTED,
    CHANNEL,
    CONTENT,
    DEFERRED,
    FROM,
    HASTY,
    PATIENT,
    PERSON,
    REFUSED,
    UNKNOWN,
    Server,
    Watch,
    adapter_for,
    deliver,
    letters,
)
from tests.smtp_sink import At, Do, SmtpSink, Then, make_certificate

pytestmark = pytest.mark.integration

SERIAL = ("SIZE 20971520", "8BITMIME", "SMTPUTF8")
BIG = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 100_000


def verbs(sink):
    return [command.split(" ")[0] for command in sink.commands]


def all_accepted(sink, watch, names):
    assert watch.kinds() == dict.fromkeys(range(len(names)), (ACCEPTED, PERSON))
    assert Counter(message.rcpt[: -len("@example.net")] for message in sink.messages) == Counter(names)


def test_the_next_envelope_leaves_with_the_content():
    with SmtpSink() as sink:
        all_accepted(sink, deliver(sink, letters(*"abc")), "abc")
        assert sink.connections == 1
        # MAIL and RCPT always have company; the one DATA behind which more had come would be a content before its 354.
        assert Counter(command.split(" ")[0] for command in sink.hurried) == {"MAIL": 3, "RCPT": 3}


@pytest.mark.parametrize("way", [{}, {"gathers": True}, {"drip_s": 0.001}, {"gathers": True, "drip_s": 0.001}])
def test_answers_may_come_together_or_byte_by_byte(way):
    with SmtpSink() as sink:
        vars(sink).update(way)
        sink.script["b@example.net"] = "550-5.1.1 no\r\n550 5.1.1 such user"
        sink.script["d@example.net"] = Do(At.DOT, "452-4.3.1 not\r\n452 4.3.1 now")
        watch = deliver(sink, letters(*"abcde"))
        assert watch.outcomes[1] == Outcome(REFUSED, PERSON, "550 5.1.1 no such user", hard=True)
        assert watch.outcomes[3] == Outcome(DEFERRED, PERSON, "452 4.3.1 not now")
        assert [message.rcpt[0] for message in sink.messages] == ["a", "c", "e"]


def test_a_relay_without_pipelining_gets_one_line_at_a_time():
    with SmtpSink(extensions=SERIAL) as sink:
        sink.script["b@example.net"] = "550 5.1.1 no"
        watch = deliver(sink, letters(*"abc"))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (REFUSED, PERSON), 2: (ACCEPTED, PERSON)}
        assert sink.hurried == []
        assert verbs(sink) == [
            "EHLO", "MAIL", "RCPT", "DATA", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT",
        ]  # fmt: skip


@pytest.mark.parametrize("refused", ["a", "b", "ab", "bc", "c", "abcd"])
@pytest.mark.parametrize("connections", [1, 3])
def test_a_content_wanted_for_a_refused_recipient_is_an_empty_one(refused, connections):
    with SmtpSink() as sink:
        sink.is_lenient = True
        for name in refused:
            sink.script[f"{name}@example.net"] = "550 5.1.1 no such user"
        watch = deliver(sink, letters(*"abcd"), connections=connections)
        for index, name in enumerate("abcd"):
            assert watch.kinds()[index] == ((REFUSED, PERSON) if name in refused else (ACCEPTED, PERSON))
        assert Counter(message.rcpt[0] for message in sink.messages) == Counter(set("abcd") - set(refused))
        assert len(watch.was_offered) == 4 - len(refused)


@pytest.mark.parametrize("act", ["450 4.2.1 later", "550 5.7.1 no", Do(At.DATA, "451 4.3.0 no"), Do(At.DATA, "554 no")])
@pytest.mark.parametrize("lenient", [True, False])
def test_the_neighbours_of_a_refused_envelope_get_theirs_once(act, lenient):
    with SmtpSink() as sink:
        sink.is_lenient = lenient
        sink.script["b@example.net"] = sink.script["c@example.net"] = act
        watch = deliver(sink, letters(*"abcd"))
        assert watch.was_offered == [0, 3]
        assert [message.rcpt[0] for message in sink.messages] == ["a", "d"]
        assert sink.connections == 1


def test_a_relay_that_takes_a_recipient_after_it_refused_the_sender_gets_no_content():
    """An empty content would reach that recipient: better end the connection."""

    def serve(conn, _ending):
        conn.sendall(b"220 hi\r\n")
        conn.recv(1000)
        conn.sendall(b"250-x\r\n250 PIPELINING\r\n")
        conn.recv(1000)
        conn.sendall(b"550 5.7.1 not you\r\n250 ok\r\n354 go\r\n")
        said.append(conn.recv(1000))

    said = []
    with Server(serve) as server:
        watch = deliver(server, letters("a"))
    assert said == [b""]
    assert watch.kinds() == {0: (REFUSED, CHANNEL)}


@pytest.mark.parametrize(
    "odd",
    [
        "250 2.1.5 ok\r\n250 and more",
        "354 what for?",
        "250 2.1.5 ok\r\nxyz",
        Do(At.DATA, "354 go\r\n250 2.0.0 kept already"),
        Do(At.DATA, "250 strange"),
        Do(At.DATA, "hello"),
    ],
)
def test_after_an_odd_answer_things_are_said_one_at_a_time(odd):
    """Nobody's content leaves on a connection whose answers no longer fit, and nobody's message is lost or doubled."""
    with SmtpSink() as sink:
        sink.script["b@example.net"] = [odd, Do(At.DOT, "250 2.0.0 kept")]
        watch = deliver(sink, letters(*"abcdef"))
        assert {watch.kinds()[index] for index in (0, 2, 3, 4, 5)} == {(ACCEPTED, PERSON)}
        kept = Counter(message.rcpt[0] for message in sink.messages)
        assert kept == Counter("abcdef") if 1 in watch.was_offered else kept == Counter("acdef")
        assert watch.outcomes[1].kind is (ACCEPTED if 1 in watch.was_offered else DEFERRED)
        assert sink.connections == 2
        last = max(index for index, command in enumerate(sink.commands) if command.startswith("EHLO"))
        assert not any(
            command in sink.hurried for command in sink.commands[last:] if "c@" in command or "f@" in command
        )


def test_an_odd_answer_to_a_content_leaves_it_open():
    with SmtpSink() as sink:
        sink.script["b@example.net"] = Do(At.DOT, "354 more?")
        watch = deliver(sink, letters(*"abc"))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (UNKNOWN, PERSON), 2: (ACCEPTED, PERSON)}
        assert sink.connections == 2


@pytest.mark.parametrize(
    ("reply", "kind", "scope"),
    [
        ("552 5.3.4 too big", REFUSED, CONTENT),
        ("421 4.3.2 going down", DEFERRED, CHANNEL),
        ("452 4.3.1 disk full", DEFERRED, PERSON),
        ("250 2.0.0 kept", UNKNOWN, PERSON),
        ("nonsense", DEFERRED, CHANNEL),
    ],
)
@pytest.mark.parametrize("then", [Then.CLOSE, Then.RESET, Then.HANG])
def test_what_a_relay_says_in_the_middle_of_a_content(reply, kind, scope, then):
    """A refusal holds, since the dot never leaves after it; a promise for what it cannot have holds nothing."""
    with SmtpSink() as sink:
        sink.script["a@example.net"] = Do(At.BODY, reply, then)
        watch = deliver(sink, letters("a", text=BIG), timeouts=HASTY if then is Then.HANG else PATIENT)
        assert sink.messages == []
        possible = {(kind, scope)}
        if then is Then.RESET:
            possible.add((DEFERRED, CHANNEL))  # a reset may overtake the words before it
        assert watch.kinds()[0] in possible


def test_nothing_is_written_behind_a_content_that_hangs():
    with SmtpSink() as sink:
        sink.script["a@example.net"] = Do(At.BODY, then=Then.HANG)
        watch = deliver(sink, letters("a", text=BIG), timeouts=replace(PATIENT, reply_s=0.3))
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert watch.outcomes[0].text == "The server did not answer in time."


def test_421_with_the_answer_to_a_content_ends_the_connection_and_costs_nobody_anything():
    with SmtpSink() as sink:
        sink.script["b@example.net"] = Do(At.DOT, "250 2.0.0 kept\r\n421 4.3.2 enough", Then.CLOSE)
        watch = deliver(sink, letters(*"abcd"))
        all_accepted(sink, watch, "abcd")
        assert sink.connections == 2


def test_pressure_is_named():
    with SmtpSink() as sink:
        sink.script["b@example.net"] = Do(At.DOT, "421 4.3.2 slow down", Then.CLOSE)
        sink.script["c@example.net"] = "451 4.7.1 greylisted"
        watch = deliver(sink, letters(*"abc"))
    assert [watch.outcomes[index].trouble for index in range(3)] == [None, Trouble.PRESSURE, Trouble.PRESSURE]


@pytest.mark.parametrize("every", [1, 2, 7])
@pytest.mark.parametrize("gathers", [True, False])
def test_a_relay_that_ends_connections_after_so_many_messages(every, gathers):
    names = [f"p{number}" for number in range(20)]
    with SmtpSink(end_after=every) as sink:
        sink.gathers = gathers
        watch = deliver(sink, letters(*names))
        # A reset may overtake the last answer; then that message's fate is open, and it is not sent again.
        kinds = Counter(watch.kinds().values())
        assert kinds[ACCEPTED, PERSON] + kinds[UNKNOWN, PERSON] == 20
        assert kinds[UNKNOWN, PERSON] <= 20 // every
        assert max(Counter(message.rcpt for message in sink.messages).values()) == 1
        assert len(sink.messages) == 20


@pytest.mark.parametrize("way", [Security.TLS, Security.STARTTLS])
def test_pipelining_under_tls_with_small_and_large_contents(way, tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    mixed = [*letters(*"abc"), *letters(*"defg", text=BIG[:2_000_000] + b"\r\n")[3:], *letters(*"abcdhij")[4:]]
    with SmtpSink(**{way.value: made}) as sink:
        watch = deliver(sink, mixed, security=way)
        assert set(watch.kinds().values()) == {(ACCEPTED, PERSON)}
        assert Counter(message.rcpt for message in sink.messages) == Counter(letter.recipient for letter in mixed)
        assert {len(message.data) for message in sink.messages} == {len(letter.message) for letter in mixed}


def test_a_hang_behind_the_dot_under_tls_leaves_it_open(tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with SmtpSink(tls=made) as sink:
        sink.script["b@example.net"] = Do(At.DOT, then=Then.HANG)
        watch = deliver(sink, letters(*"abc"), security=Security.TLS, timeouts=HASTY)
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (UNKNOWN, PERSON), 2: (ACCEPTED, PERSON)}
        assert Counter(message.rcpt[0] for message in sink.messages) == Counter("abc")


def test_cut_off_under_tls_before_the_last_record_is_not_sent(tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))

    class Cuts(Watch):
        def offered(self, index):
            super().offered(index)
            sink.drop_connections()

    with SmtpSink(tls=made) as sink:
        watch = deliver(sink, letters("a", text=BIG), security=Security.TLS, watch=Cuts())
        assert sink.messages == []
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}


def test_a_sender_line_is_made_for_each_sender():
    with SmtpSink() as sink:
        mixed = letters(*"abc")
        mixed[1] = type(mixed[1])(1, "other@lantern.example", "b@example.net", mixed[1].message)
        adapter = adapter_for(sink)
        adapter.deliver(iter(mixed), watch=Watch())
        adapter.close()
        assert [message.mail_from for message in sink.messages] == [FROM, "other@lantern.example", FROM]
