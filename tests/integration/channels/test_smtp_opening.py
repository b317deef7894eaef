"""From a name to a relay that listens: connecting, TLS, signing in, and whatever fails there (security.md H and L)."""

import socket
import ssl
from dataclasses import replace
from uuid import UUID

import pytest

from saas.channels.adapters.smtp.adapter import SmtpAdapter
from saas.channels.types import Security, SmtpSettings, Stage, Trouble
from saas.kernel.clock import monotonic
from tests.integration.channels.rig import (
    ACCEPTED,
    CHANNEL,
    DEFERRED,
    PATIENT,
    PERSON,
    Server,
    Watch,
    adapter_for,
    deliver,
    letters,
)
from tests.smtp_sink import SmtpSink, make_certificate

pytestmark = pytest.mark.integration


def all_waiting(watch, trouble=Trouble.CONNECT):
    """Nobody was offered anything; the one message that was made is deferred, the others were never made."""
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert watch.was_offered == []
    assert watch.down == watch.outcomes[0]
    assert watch.down.trouble is trouble


def test_nothing_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    class Gone:
        host, address = "127.0.0.1", f"127.0.0.1:{port}"

    Gone.port = port
    watch = deliver(Gone, letters("ann", "bob", "cid"), connections=4)
    all_waiting(watch)
    assert watch.stage is Stage.CONNECT


def test_a_target_that_is_not_allowed():
    with SmtpSink() as sink:
        settings = SmtpSettings(UUID(int=1), sink.host, sink.port, Security.NONE, None, None)
        watch = Watch()
        adapter = SmtpAdapter(settings, allow=(), ehlo_name="x.example")
        adapter.deliver(iter(letters("a", "b", "c")), watch=watch)
        watch.down = adapter.down
        all_waiting(watch)
        assert sink.connections == 0


@pytest.mark.parametrize("greeting", ["554 5.7.1 go away", "421 busy", "HTTP/1.1 400 Bad Request", "220-only\r\nx"])
def test_greetings_that_are_no_welcome(greeting):
    with SmtpSink(greeting=greeting) as sink:
        trouble = Trouble.PRESSURE if greeting.startswith("421") else Trouble.CONNECT
        all_waiting(deliver(sink, letters("a", "b", "c")), trouble)


@pytest.mark.parametrize("feed", [b"", b"220-x\r\n" * 1000, b"x" * 65536])
def test_a_server_that_never_greets_or_never_stops_talking(feed):
    def serve(conn, ending):
        while feed:
            conn.sendall(feed)
        ending.wait(5)

    with Server(serve) as server:
        watch = deliver(server, letters("a", "b", "c"), timeouts=PATIENT if feed else replace(PATIENT, reply_s=0.3))
    all_waiting(watch)
    expected = "The server's answer is not SMTP." if feed else "The server did not answer in time."
    assert watch.outcomes[0].text == expected


@pytest.mark.parametrize("timeouts", [replace(PATIENT, total_s=0.4), replace(PATIENT, reply_s=0.4)])
def test_time_is_for_the_whole_of_an_answer_however_it_drips(timeouts):
    def drip(conn, ending):
        while not ending.wait(0.05):
            conn.sendall(b"2")

    with Server(drip) as server:
        start = monotonic()
        all_waiting(deliver(server, letters("a", "b", "c"), timeouts=timeouts))
        assert monotonic() - start < PATIENT.reply_s


@pytest.mark.parametrize("mechanisms", ["PLAIN LOGIN", "LOGIN", "PLAIN", "LOGIN PLAIN XOAUTH2"])
def test_signing_in(mechanisms):
    with SmtpSink(login=("ann", "Zürich-7"), mechanisms=mechanisms) as sink:
        watch = deliver(sink, letters("ann"), username="ann", password="Zürich-7")
        assert watch.kinds() == {0: (ACCEPTED, PERSON)}


def test_a_refused_sign_in_makes_all_wait():
    with SmtpSink(login=("ann", "right")) as sink:
        watch = deliver(sink, letters("a", "b", "c"), username="ann", password="wrong")
        all_waiting(watch, Trouble.SIGN_IN)
        assert watch.stage is Stage.SIGN_IN
        assert watch.outcomes[0].text == "535 5.7.8 wrong user name or password"
        assert sink.connections == 1


@pytest.mark.parametrize("sink", [SmtpSink, lambda: SmtpSink(login=("a", "b"), mechanisms="XOAUTH2 GSSAPI")])
def test_a_password_is_not_sent_where_it_is_not_asked_for(sink):
    with sink() as server:
        watch = deliver(server, letters("a", "b", "c"), username="ann", password="secret")
        all_waiting(watch, Trouble.SIGN_IN)
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
        all_waiting(watch, Trouble.TLS)
        assert watch.stage is Stage.PROTECT
        assert not any(command.startswith(("AUTH", "MAIL")) for command in sink.commands)


def test_starttls_that_is_not_offered_ends_it():
    with SmtpSink(login=("ann", "right")) as sink:
        watch = deliver(sink, letters("a", "b", "c"), security=Security.STARTTLS, username="ann", password="right")
        all_waiting(watch, Trouble.TLS)
        assert watch.stage is Stage.PROTECT
        assert [c.split(" ")[0] for c in sink.commands] == ["EHLO"]


def test_tls_to_a_plain_server_and_plain_to_a_tls_server(tmp_path):
    with SmtpSink() as sink:
        watch = deliver(sink, letters("a", "b", "c"), security=Security.TLS)
        all_waiting(watch, Trouble.TLS)
    with SmtpSink(tls=make_certificate(tmp_path)) as sink:
        all_waiting(deliver(sink, letters("a", "b", "c"), timeouts=replace(PATIENT, reply_s=1)))


def test_answers_injected_before_the_handshake_are_not_believed(tmp_path, monkeypatch):
    """RFC 3207: what came in clear text before TLS must not be read as an answer under TLS."""
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    under_tls = []

    def serve(conn, _ending):
        conn.sendall(b"220 hi\r\n")
        conn.recv(1000)
        conn.sendall(b"250-x\r\n250 STARTTLS\r\n")
        conn.recv(1000)
        conn.sendall(b"220 go\r\n250-injected\r\n250 AUTH PLAIN\r\n")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.chain)
        with context.wrap_socket(conn, server_side=True) as protected:
            under_tls.append(protected.recv(1000))

    with Server(serve) as server:
        watch = deliver(server, letters("a", "b", "c"), security=Security.STARTTLS, username="a", password="secret")
    all_waiting(watch)
    assert watch.stage is Stage.PROTECT
    assert under_tls == []


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("way", [Security.TLS, Security.STARTTLS])
def test_a_later_connection_takes_up_the_keys_of_an_earlier_one(way, newest, tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with SmtpSink(**{way.value: made}) as sink:
        sink.newest_tls = newest
        adapter = adapter_for(sink, security=way)
        adapter.deliver(iter(letters("ann")), watch=Watch())
        (first,) = adapter._lanes.values()
        assert not first._wire._protected.session_reused
        sink.drop_connections()
        watch = Watch()
        adapter.deliver(iter(letters("bob")), watch=watch)
        (second,) = adapter._lanes.values()
        assert watch.kinds() == {0: (ACCEPTED, PERSON)}
        assert second._wire._protected.session_reused
        adapter.close()


def test_connections_come_from_the_address_that_was_asked_for():
    seen = []

    def serve(conn, _ending):
        seen.append(conn.getpeername()[0])

    with Server(serve) as server:
        deliver(server, letters("ann"), source_address="127.0.0.9")
    assert seen == ["127.0.0.9"]
    with SmtpSink() as sink:
        all_waiting(deliver(sink, letters("ann", "bob"), source_address="192.0.2.1"))
        assert sink.connections == 0


def test_temporary_trouble_with_signing_in_is_pressure():
    def serve(conn, _ending):
        conn.sendall(b"220 hi\r\n")
        conn.recv(1000)
        conn.sendall(b"250-x\r\n250 AUTH PLAIN\r\n")
        conn.recv(1000)
        conn.sendall(b"454 4.7.0 too many sign-ins\r\n")
        conn.recv(1000)

    with Server(serve) as server:
        watch = deliver(server, letters("ann", "bob"), username="ann", password="right")
    all_waiting(watch, Trouble.PRESSURE)
    assert watch.stage is Stage.SIGN_IN
