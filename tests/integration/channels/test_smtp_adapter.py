"""The SMTP adapter against a real server on loopback (reliability.md 1 and 2)."""

import socket
import ssl
import threading
from dataclasses import replace
from uuid import UUID

import pytest

from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.types import (
    Outcome,
    OutcomeKind,
    OutcomeScope,
    Outgoing,
    Security,
    SmtpSettings,
    Stage,
    Timeouts,
)
from saas.kernel.clock import monotonic
from tests.smtp_sink import At, Do, SmtpSink, Then, make_certificate

pytestmark = pytest.mark.integration

ACCEPTED, REFUSED = OutcomeKind.ACCEPTED, OutcomeKind.REFUSED
DEFERRED, UNKNOWN = OutcomeKind.DEFERRED, OutcomeKind.UNKNOWN
PERSON, CONTENT, CHANNEL = OutcomeScope.RECIPIENT, OutcomeScope.CONTENT, OutcomeScope.CHANNEL
SHORT = Timeouts(connect_s=3, reply_s=3, answer_s=0.5)
FROM = "news@northwind.example"
TEXT = b"Subject: hi\r\n\r\nhello\r\n"


class Watch:
    """Writes down what happens, in order."""

    def __init__(self, *, stop_at: int | None = None) -> None:
        self.stop_at = stop_at
        self.log: list[tuple] = []
        self.outcomes: dict[int, Outcome] = {}

    def may_go_on(self, index):
        self.log.append(("asked", index))
        return index != self.stop_at

    def offered(self, index):
        self.log.append(("offered", index))

    def settled(self, index, outcome):
        assert index not in self.outcomes
        self.log.append(("settled", index))
        self.outcomes[index] = outcome

    def kinds(self):
        return {index: (found.kind, found.scope) for index, found in self.outcomes.items()}

    @property
    def was_offered(self):
        return [index for what, index in self.log if what == "offered"]


def adapter_for(sink, *, timeouts=SHORT, **changes):
    settings = SmtpSettings(UUID(int=1), sink.host, sink.port, Security.NONE, None, None)
    return SmtpAdapter(replace(settings, **changes), allow=(sink.address,), ehlo_name="[127.0.0.1]", timeouts=timeouts)


def letters(*names, text=TEXT):
    return [Outgoing(i, FROM, name if "@" in name else f"{name}@example.net", text) for i, name in enumerate(names)]


def deliver(sink, messages, *, watch=None, **changes):
    watch, adapter = watch or Watch(), adapter_for(sink, **changes)
    adapter.deliver(iter(messages), watch=watch)
    stage = adapter.stage
    adapter.close()
    watch.stage = stage
    return watch


def test_messages_arrive_over_one_connection_and_the_watch_hears_of_each_step():
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob"))
        assert [(m.mail_from, m.rcpt, m.data, m.answered) for m in sink.messages] == [
            (FROM, "ann@example.net", TEXT, True),
            (FROM, "bob@example.net", TEXT, True),
        ]
        assert sink.connections == 1
        assert sink.commands[-1] == "QUIT"
    assert watch.log == [(what, i) for i in (0, 1) for what in ("asked", "offered", "settled")]
    assert watch.outcomes[0] == Outcome(ACCEPTED, text="250 2.0.0 kept")


def test_it_connects_at_the_first_message_only():
    with SmtpSink() as sink:
        adapter = adapter_for(sink)
        adapter.deliver(iter(()), watch=Watch())
        adapter.close()
        assert sink.connections == 0
        adapter.deliver(iter(letters("ann")), watch=Watch())
        adapter.deliver(iter(letters("bob")), watch=Watch())
        assert sink.connections == 1
        adapter.close()
        adapter.close()


CONTENTS = [
    b"Subject: a\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
    b".\r\n",
    b"Subject: a\r\n\r\nno end",
    b"Subject: a\r\n\r\n" + b"x" * 300_000 + b"\r\n",
    b"",
]


@pytest.mark.parametrize("text", CONTENTS)
def test_dots_and_ends_survive(text):
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob", text=text))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        expected = text if text.endswith(b"\r\n") else text + b"\r\n"
        assert [m.data for m in sink.messages] == [expected] * 2


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n", b"\r\n.\r", b"\n.\r"])
def test_nothing_can_be_smuggled_in(end):
    text = b"Subject: a\r\n\r\nhi" + end + b"MAIL FROM:<evil@example.net>\r\nRCPT TO:<x@example.net>\r\nDATA\r\n"
    with SmtpSink() as sink:
        deliver(sink, letters("ann", text=text))
        assert [m.rcpt for m in sink.messages] == ["ann@example.net"]
        assert sink.messages[0].data.count(b"\n") == sink.messages[0].data.count(b"\r\n")
        assert not any("evil" in command for command in sink.commands)


@pytest.mark.parametrize(
    ("act", "kind", "scope", "offered"),
    [
        ("550 5.1.1 no such user", REFUSED, PERSON, False),
        ("450 4.2.1 later", DEFERRED, PERSON, False),
        ("550 5.7.1 blocked", REFUSED, CHANNEL, False),
        ("451 4.7.1 slow down", DEFERRED, CHANNEL, False),
        (Do(At.DATA, "554 5.7.1 not now"), REFUSED, CHANNEL, False),
        (Do(At.DATA, "250 strange"), DEFERRED, CHANNEL, False),
        (Do(At.DOT, "452 4.3.1 full"), DEFERRED, PERSON, True),
        (Do(At.DOT, "552 5.3.4 too big"), REFUSED, CONTENT, True),
        (Do(At.DOT, "554 5.7.1 spam"), REFUSED, CHANNEL, True),
        (Do(At.DOT, "550 5.1.1 late"), REFUSED, PERSON, True),
        (Do(At.DOT, "421 4.3.2 closing", Then.CLOSE), DEFERRED, CHANNEL, True),
        (Do(At.DOT, then=Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, then=Then.RESET), UNKNOWN, PERSON, True),
        (Do(At.DOT, then=Then.HANG), UNKNOWN, PERSON, True),
        (Do(At.DOT, "hello?", Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, "354 go on", Then.CLOSE), UNKNOWN, PERSON, True),
        (Do(At.DOT, "250 2.0.0 kept", Then.RESET), None, None, True),
        (Do(At.RCPT, then=Then.CLOSE), DEFERRED, CHANNEL, False),
        (Do(At.RCPT, "421 4.7.0 too many", Then.CLOSE), DEFERRED, CHANNEL, False),
        (Do(At.DATA, then=Then.CLOSE), DEFERRED, CHANNEL, False),
    ],
)
def test_one_bad_answer_does_not_hurt_the_next_person(act, kind, scope, offered):
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = act
        watch = deliver(sink, letters("ann", "bob", "cid"))
        kinds = watch.kinds()
        assert kinds[0] == kinds[2] == (ACCEPTED, PERSON)
        if kind is not None:
            assert kinds[1] == (kind, scope)
        assert (1 in watch.was_offered) is offered
        assert {m.rcpt for m in sink.messages if m.answered} >= {"ann@example.net", "cid@example.net"}
        assert len(sink.to("cid@example.net")) == 1


def test_a_refused_recipient_is_followed_by_rset():
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = "550 5.1.1 no"
        watch = deliver(sink, letters("bob", "ann"))
        assert [c.split(" ")[0] for c in sink.commands] == [
            "EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT",
        ]  # fmt: skip
        assert sink.connections == 1
    assert watch.outcomes[0] == Outcome(REFUSED, PERSON, "550 5.1.1 no", hard=True)


def test_a_refused_sender_is_about_the_channel():
    with SmtpSink() as sink:
        sink.script[FROM] = Do(At.MAIL, "550 5.1.1 unknown")
        watch = deliver(sink, letters("ann"))
    assert watch.kinds() == {0: (REFUSED, CHANNEL)}
    assert not watch.outcomes[0].hard


def test_cut_off_in_the_middle_of_the_content_is_not_sent():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = [Do(At.BODY, then=Then.RESET), "550 5.1.1 never asked"]
        text = b"Subject: big\r\n\r\n" + (b"x" * 76 + b"\r\n") * 200_000
        watch = deliver(sink, letters("ann", text=text))
        assert sink.messages == []
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert watch.was_offered == [0]


def test_a_slow_answer_is_waited_for():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = Do(At.DOT, "250 2.0.0 at last", after_s=0.7)
        watch = deliver(sink, letters("ann"), timeouts=Timeouts(connect_s=3, reply_s=0.3, answer_s=5))
    assert watch.kinds() == {0: (ACCEPTED, PERSON)}


def test_stop_leaves_the_rest_untouched():
    with SmtpSink() as sink:
        watch = deliver(sink, letters("ann", "bob", "cid"), watch=Watch(stop_at=1))
        assert [m.rcpt for m in sink.messages] == ["ann@example.net"]
    assert watch.log == [("asked", 0), ("offered", 0), ("settled", 0), ("asked", 1)]


def test_offered_is_noted_before_the_first_byte_of_content():
    """Whoever dies in offered() has sent no content, and no later message finds half of a transaction."""

    class Dies(Watch):
        def offered(self, index):
            super().offered(index)
            raise KeyboardInterrupt

    with SmtpSink() as sink:
        adapter = adapter_for(sink)
        with pytest.raises(KeyboardInterrupt):
            adapter.deliver(iter(letters("ann")), watch=Dies())
        assert adapter._wire is None
        watch = Watch()
        adapter.deliver(iter(letters("bob")), watch=watch)
        adapter.close()
        assert [m.rcpt for m in sink.messages] == ["bob@example.net"]
        assert sink.connections == 2


def test_a_kept_connection_that_the_relay_ended_costs_nobody_anything():
    with SmtpSink(end_after=2) as sink:
        watch = deliver(sink, letters(*"abcdefg"))
        assert set(watch.kinds().values()) == {(ACCEPTED, PERSON)}
        assert [m.rcpt[0] for m in sink.messages] == list("abcdefg")
        assert sink.connections == 4


def test_421_on_a_kept_connection_is_tried_once_more_on_a_new_one():
    with SmtpSink() as sink:
        sink.script["bob@example.net"] = [Do(At.RCPT, "421 4.4.2 idle", Then.CLOSE), Do(At.DOT, "250 2.0.0 kept")]
        watch = deliver(sink, letters("ann", "bob"))
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        assert sink.connections == 2


def test_a_relay_that_always_hangs_up_is_left_alone_after_three():
    with SmtpSink() as sink:
        names = [f"p{n}" for n in range(20)]
        for name in names:
            sink.script[f"{name}@example.net"] = Do(At.RCPT, "421 4.7.0 no", Then.CLOSE)
        watch = deliver(sink, letters(*names))
        assert sink.connections == 3
    assert set(watch.kinds().values()) == {(DEFERRED, CHANNEL)}
    assert len(watch.outcomes) == 20 and watch.was_offered == []
    assert watch.outcomes[19].text.startswith("421 4.7.0")


def all_waiting(watch, count=3):
    assert watch.kinds() == dict.fromkeys(range(count), (DEFERRED, CHANNEL))
    assert watch.was_offered == []


def test_nothing_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    class Gone:
        host, address = "127.0.0.1", f"127.0.0.1:{port}"

    Gone.port = port
    watch = deliver(Gone, letters("ann", "bob", "cid"))
    all_waiting(watch)
    assert watch.stage is Stage.CONNECT


def test_a_target_that_is_not_allowed():
    with SmtpSink() as sink:
        settings = SmtpSettings(UUID(int=1), sink.host, sink.port, Security.NONE, None, None)
        watch = Watch()
        SmtpAdapter(settings, allow=(), ehlo_name="x.example").deliver(iter(letters("a", "b", "c")), watch=watch)
        all_waiting(watch)
        assert sink.connections == 0


@pytest.mark.parametrize("greeting", ["554 5.7.1 go away", "421 busy", "HTTP/1.1 400 Bad Request", "220-only\r\nx"])
def test_greetings_that_are_no_welcome(greeting):
    with SmtpSink(greeting=greeting) as sink:
        all_waiting(deliver(sink, letters("a", "b", "c")))


def test_a_server_that_never_greets_or_never_stops_talking():
    def serve(server, feed):
        conn, _ = server.accept()
        with conn:
            try:
                while feed:
                    conn.sendall(feed)
                conn.recv(1)
            except OSError:
                pass

    for feed in (b"", b"220-x\r\n" * 1000, b"x" * 65536):
        with socket.create_server(("127.0.0.1", 0)) as server:
            thread = threading.Thread(target=serve, args=(server, feed))
            thread.start()

            class There:
                host, port = "127.0.0.1", server.getsockname()[1]
                address = f"127.0.0.1:{port}"

            watch = deliver(There, letters("a", "b", "c"), timeouts=Timeouts(1, 2 if feed else 0.3, 2))
            all_waiting(watch)
            expected = "The server's answer is not SMTP." if feed else "The server did not answer in time."
            assert watch.outcomes[0].text == expected
            thread.join(5)


def test_total_time_ends_a_server_that_drips():
    def serve(server):
        conn, _ = server.accept()
        with conn:
            try:
                while True:
                    conn.sendall(b"2")
                    if stop.wait(0.05):
                        return
            except OSError:
                pass

    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()

        class There:
            host, port = "127.0.0.1", server.getsockname()[1]
            address = f"127.0.0.1:{port}"

        start = monotonic()
        all_waiting(deliver(There, letters("a", "b", "c"), timeouts=Timeouts(1, 5, 5, total_s=0.4)))
        assert monotonic() - start < 2
        stop.set()
        thread.join(5)


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "PLAIN", "LOGIN PLAIN XOAUTH2"])
def test_signing_in(mechanisms):
    with SmtpSink(login=("ann", "Zürich-7"), mechanisms=mechanisms) as sink:
        watch = deliver(sink, letters("ann"), username="ann", password="Zürich-7")
        assert watch.kinds() == {0: (ACCEPTED, PERSON)}


def test_a_refused_sign_in_makes_all_wait():
    with SmtpSink(login=("ann", "right")) as sink:
        watch = deliver(sink, letters("a", "b", "c"), username="ann", password="wrong")
        all_waiting(watch)
        assert watch.stage is Stage.SIGN_IN
        assert watch.outcomes[0].text == "535 5.7.8 wrong user name or password"
        assert sink.connections == 1


@pytest.mark.parametrize("sink", [SmtpSink, lambda: SmtpSink(login=("a", "b"), mechanisms="XOAUTH2 GSSAPI")])
def test_a_password_is_not_sent_where_it_is_not_asked_for(sink):
    with sink() as server:
        watch = deliver(server, letters("a", "b", "c"), username="ann", password="secret")
        all_waiting(watch)
        assert watch.stage is Stage.SIGN_IN
        assert not any(command.startswith("AUTH") for command in server.commands)


@pytest.mark.parametrize("way", [Security.TLS, Security.STARTTLS])
def test_protected(way, tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with SmtpSink(**{way.value: made}, login=("ann", "right")) as sink:
        watch = deliver(sink, letters("ann", "bob"), security=way, username="ann", password="right")
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        assert sink.connections == 1
        assert sink.commands.count("EHLO [127.0.0.1]") == (2 if way is Security.STARTTLS else 1)


@pytest.mark.parametrize("way", [Security.TLS, Security.STARTTLS])
@pytest.mark.parametrize(
    ("name", "days", "trusted"), [("127.0.0.1", 2, False), ("other.example", 2, True), ("127.0.0.1", -1, True)]
)
def test_a_bad_certificate_gets_no_password_and_no_message(way, name, days, trusted, tmp_path, monkeypatch):
    made = make_certificate(tmp_path, name=name, days=days)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority if trusted else make_certificate(tmp_path / "x").authority))
    with SmtpSink(**{way.value: made}, login=("ann", "right")) as sink:
        watch = deliver(sink, letters("a", "b", "c"), security=way, username="ann", password="right")
        all_waiting(watch)
        assert watch.stage is Stage.PROTECT
        assert not any(command.startswith(("AUTH", "MAIL")) for command in sink.commands)


def test_starttls_that_is_not_offered_ends_it():
    with SmtpSink(login=("ann", "right")) as sink:
        watch = deliver(sink, letters("a", "b", "c"), security=Security.STARTTLS, username="ann", password="right")
        all_waiting(watch)
        assert watch.stage is Stage.PROTECT
        assert [c.split(" ")[0] for c in sink.commands] == ["EHLO"]


def test_tls_to_a_plain_server_and_plain_to_a_tls_server(tmp_path):
    with SmtpSink() as sink:
        watch = deliver(sink, letters("a", "b", "c"), security=Security.TLS)
        all_waiting(watch)
    with SmtpSink(tls=make_certificate(tmp_path)) as sink:
        all_waiting(deliver(sink, letters("a", "b", "c")))


def test_answers_injected_before_the_handshake_are_not_believed(tmp_path, monkeypatch):
    """RFC 3207: what came in clear text before TLS must not be read as an answer under TLS."""
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    under_tls = []

    def serve(server):
        conn, _ = server.accept()
        with conn:
            conn.sendall(b"220 hi\r\n")
            conn.recv(1000)
            conn.sendall(b"250-x\r\n250 STARTTLS\r\n")
            conn.recv(1000)
            conn.sendall(b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(made.chain)
            try:
                with context.wrap_socket(conn, server_side=True) as protected:
                    under_tls.append(protected.recv(1000))
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()

        class There:
            host, port = "127.0.0.1", server.getsockname()[1]
            address = f"127.0.0.1:{port}"

        watch = deliver(There, letters("a", "b", "c"), security=Security.STARTTLS, username="a", password="secret")
        thread.join(5)
    all_waiting(watch)
    assert watch.stage is Stage.PROTECT
    assert under_tls == []


BARE = ("PIPELINING",)


def test_what_a_bare_server_cannot_take_is_refused_without_asking_it():
    with SmtpSink(extensions=BARE) as sink:
        watch = deliver(
            sink,
            [
                Outgoing(0, FROM, "ännä@example.net", TEXT),
                Outgoing(1, FROM, "ann@bücher.example", TEXT),
                Outgoing(2, FROM, "bob@example.net", "Subject: a\r\n\r\nä\r\n".encode()),
                Outgoing(3, "ä@northwind.example", "bob@example.net", TEXT),
                Outgoing(4, FROM, "bob@example.net", TEXT),
            ],
        )
        assert [m.rcpt for m in sink.messages] == ["ann@xn--bcher-kva.example", "bob@example.net"]
        assert not any("SIZE" in c or "BODY" in c or "UTF8" in c for c in sink.commands)
    assert watch.kinds() == {
        0: (REFUSED, PERSON),
        1: (ACCEPTED, PERSON),
        2: (REFUSED, CONTENT),
        3: (REFUSED, CHANNEL),
        4: (ACCEPTED, PERSON),
    }
    assert not any(outcome.hard for outcome in watch.outcomes.values())


def test_extensions_are_used_where_needed():
    text = "Subject: a\r\n\r\nä\r\n".encode()
    with SmtpSink() as sink:
        watch = deliver(sink, [Outgoing(0, FROM, "ännä@example.net", text), *letters("x", "bob")[1:]])
        assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
        mails = [c for c in sink.commands if c.startswith("MAIL")]
        assert mails == [
            f"MAIL FROM:<{FROM}> SIZE={len(text)} BODY=8BITMIME SMTPUTF8",
            f"MAIL FROM:<{FROM}> SIZE={len(TEXT)}",
        ]
        assert [m.rcpt for m in sink.messages] == ["ännä@example.net", "bob@example.net"]


def test_a_message_over_the_servers_limit():
    with SmtpSink(extensions=("SIZE 100",)) as sink:
        watch = deliver(sink, letters("ann", text=b"Subject: a\r\n\r\n" + b"x" * 200))
    assert watch.kinds() == {0: (REFUSED, CONTENT)}


@pytest.mark.parametrize(
    "address", ["", "ann", "ann@example.net>\r\nRCPT TO:<evil@example.net", "a b@example.net", "a@b@c.example"]
)
def test_what_is_no_address_never_reaches_the_wire(address):
    with SmtpSink() as sink:
        watch = deliver(sink, [Outgoing(0, FROM, address, TEXT), *letters("x", "ann")[1:]])
        assert watch.kinds() == {0: (REFUSED, PERSON), 1: (ACCEPTED, PERSON)}
        assert not any("evil" in c for c in sink.commands)


def test_answers_of_several_lines():
    with SmtpSink() as sink:
        sink.script["ann@example.net"] = Do(At.DOT, "550-5.7.1 blocked,\r\n550-5.7.1 see\r\n550 5.7.1 our page")
        watch = deliver(sink, letters("ann", "bob"))
    assert watch.outcomes[0] == Outcome(REFUSED, CHANNEL, "550 5.7.1 blocked, see our page")
    assert watch.kinds()[1] == (ACCEPTED, PERSON)
