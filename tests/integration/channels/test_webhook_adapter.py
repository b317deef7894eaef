"""The webhook adapter and the one call, against a real receiver: outcomes, bounds, and no way into our network."""

import socket
import ssl
from contextlib import contextmanager

import pytest

from saas.channels.adapters.webhook import wire
from saas.channels.adapters.webhook.adapter import WebhookAdapter
from saas.channels.adapters.webhook.signing import new_secret
from saas.channels.adapters.webhook.types import HookSecret, NoAnswer, Patience
from saas.channels.types import OutcomeKind, OutcomeScope, Outgoing, Trouble
from saas.kernel.clock import FixedClock, SystemClock, monotonic
from saas.kernel.errors import Invalid
from saas.platform import egress
from tests.hook_sink import HookSink, Reply, drip, drip_body, flood, hang_up, silence
from tests.integration.channels.rig import Watch
from tests.smtp_sink import make_certificate

pytestmark = pytest.mark.integration

ACCEPTED, REFUSED = OutcomeKind.ACCEPTED, OutcomeKind.REFUSED
DEFERRED, UNKNOWN = OutcomeKind.DEFERRED, OutcomeKind.UNKNOWN
PERSON, CHANNEL = OutcomeScope.RECIPIENT, OutcomeScope.CHANNEL
SECRET = new_secret()
NOW = SystemClock().now()
ONE = (HookSecret(SECRET),)
SHORT = Patience(connect_s=3, answer_s=0.5, most=500)


@pytest.fixture
def sink():
    with HookSink() as found:
        yield found


def bodies(*names):
    return [
        Outgoing(i, "", "", b'{"to": "%s"}' % name.encode(), message_id=f"id-{name}") for i, name in enumerate(names)
    ]


def deliver(sink, messages, *, watch=None, url=None, secrets=ONE, patience=SHORT):
    adapter = WebhookAdapter(
        url or sink.url, secrets=secrets, allow=(sink.address,), clock=FixedClock(NOW), patience=patience
    )
    watch = watch or Watch()
    adapter.deliver(iter(messages), watch=watch)
    watch.down = adapter.down
    adapter.close()
    assert watch.answered_for()
    return watch


def call(sink, body=b"{}", *, url=None, patience=SHORT):
    return wire.call(
        url or sink.url, body, secrets=[HookSecret(SECRET)], message_id="m1", at=NOW, allow=(sink.address,),
        patience=patience,
    )  # fmt: skip


def test_what_is_posted_and_who_can_check_it(sink):
    other = new_secret()
    watch = deliver(sink, bodies("ann", "bob"), secrets=(HookSecret(SECRET), HookSecret(other, NOW.replace(year=2999))))
    assert watch.kinds() == {0: (ACCEPTED, PERSON), 1: (ACCEPTED, PERSON)}
    assert watch.down is None
    first = sink.posts[0]
    assert first.line == "POST /in?from=countersign HTTP/1.1"
    assert first.body == b'{"to": "ann"}'
    assert first.headers["host"] == sink.address
    assert first.headers["content-type"] == "application/json"
    assert first.headers["webhook-id"] == "id-ann"
    assert first.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert first.verify(SECRET, now=NOW.timestamp()) and first.verify(other)
    assert not first.verify(new_secret())
    assert [post.headers["webhook-id"] for post in sink.posts] == ["id-ann", "id-bob"]


@pytest.mark.parametrize(
    ("status", "outcome", "goes_on"),
    [
        (202, (ACCEPTED, PERSON), True),
        (400, (REFUSED, PERSON), True),
        (503, (DEFERRED, PERSON), True),
        (429, (DEFERRED, CHANNEL), True),
        (410, (REFUSED, CHANNEL), True),
        (401, (REFUSED, CHANNEL), False),
    ],
)
def test_answers(sink, status, outcome, goes_on):
    sink.script["ann"] = Reply(status, b"reason", {"Retry-After": "7"})
    watch = deliver(sink, bodies("ann", "bob"))
    assert watch.kinds() == {0: outcome} | ({1: (ACCEPTED, PERSON)} if goes_on else {})
    assert watch.outcomes[0].text == f"{status} reason"
    assert watch.outcomes[0].retry_after_s == (7 if outcome[0] is DEFERRED else None)
    assert (watch.down is None) is goes_on


@pytest.mark.parametrize("text", ["-1", "1e9", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "٣"])
def test_other_words_of_retry_after_are_not_heeded(sink, text):
    sink.answer = Reply(raw=f"HTTP/1.1 503 x\r\nRetry-After: {text}\r\nContent-Length: 0\r\n\r\n".encode())
    assert call(sink).retry_after_s is None


def test_nobody_waits_for_ever(sink):
    sink.answer = Reply(503, headers={"Retry-After": "999999999"})
    assert call(sink).retry_after_s == 24 * 3600


@pytest.mark.parametrize("act", [silence, drip, hang_up], ids=["silence", "drip", "hang up"])
def test_no_answer_in_time_is_unknown_and_five_are_enough(sink, act):
    sink.answer = Reply(act=act)
    began = monotonic()
    watch = deliver(sink, bodies(*"abcdefgh"))
    assert monotonic() - began < 30
    assert watch.kinds() == dict.fromkeys(range(5), (UNKNOWN, PERSON))
    assert (watch.down.kind, watch.down.trouble) == (DEFERRED, Trouble.CONNECT)
    assert len(sink.posts) == 5


@pytest.mark.parametrize(
    "raw", [b"SMTP ready\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\0" * 5000, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 5000]
)
def test_what_is_no_http_is_no_answer(sink, raw):
    sink.answer = Reply(raw=raw)
    with pytest.raises(NoAnswer):
        call(sink)


def test_ten_gigabytes_are_cut_and_the_status_counts(sink):
    sink.answer = Reply(act=flood)
    assert deliver(sink, bodies("ann"), patience=Patience(3, 10, 500)).kinds() == {0: (ACCEPTED, PERSON)}
    answer = call(sink, patience=Patience(3, 10))
    assert (answer.status, len(answer.body), answer.is_whole) == (200, 64 * 1024, False)


def test_a_body_that_never_ends_is_cut_by_time(sink):
    sink.answer = Reply(act=drip_body)
    answer = call(sink)
    assert (answer.status, answer.is_whole) == (200, False)
    assert deliver(sink, bodies("ann")).kinds() == {0: (ACCEPTED, PERSON)}


@pytest.mark.parametrize(
    ("raw", "body", "is_whole"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", b"hello", True),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nl", b"", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhello", b"hello", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 501\r\n\r\n" + b"x" * 501, b"x" * 500, False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + b"x" * 500, b"x" * 500, True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    ],
)
def test_bodies_and_whether_they_are_whole(sink, raw, body, is_whole):
    sink.answer = Reply(raw=raw)
    answer = call(sink)
    assert (answer.is_whole, answer.body if is_whole else answer.body[: len(body)]) == (is_whole, body)


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/meta-data", "http://127.0.0.1:1/", "{own}"])
def test_no_redirect_is_followed(sink, to):
    with HookSink() as inside:
        sink.answer = Reply(307, headers={"Location": to.format(own=inside.url)})
        watch = deliver(sink, bodies(*"abcd"))
        assert inside.connections == 0
    assert watch.kinds() == dict.fromkeys(range(3), (REFUSED, CHANNEL))
    assert watch.down.trouble is Trouble.POLICY


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(sink, monkeypatch):
    """The check of the address happens when the connection is made: a name may lead elsewhere than it did."""
    inside = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sink.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: inside)
    watch = deliver(sink, bodies("ann", "bob"), url="https://hooks.northwind.example/in")
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)}
    assert (watch.down.trouble, watch.was_offered, sink.connections) == (Trouble.CONNECT, [], 0)
    with pytest.raises(egress.Refused):
        call(sink, url="https://hooks.northwind.example/in")
    with pytest.raises(Invalid):
        call(sink, url=sink.url.replace("127.0.0.1", "127.0.0.2"))


def test_a_refused_connection_is_the_channels_trouble(sink):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    adapter = WebhookAdapter(
        f"http://127.0.0.1:{port}/", secrets=(), allow=(f"127.0.0.1:{port}",), clock=FixedClock(NOW), patience=SHORT
    )
    watch = Watch()
    adapter.deliver(iter(bodies("ann", "bob")), watch=watch)
    assert watch.kinds() == {0: (DEFERRED, CHANNEL)} and watch.was_offered == []
    assert adapter.down.trouble is Trouble.CONNECT


def test_who_may_not_be_offered_gets_nothing(sink):
    watch = deliver(sink, bodies("ann", "bob", "cid"), watch=Watch(stop_at=1))
    assert watch.kinds() == {0: (ACCEPTED, PERSON)}
    assert watch.was_offered == [0] and len(sink.posts) == 1


@contextmanager
def tls_sink(certificate):
    """The same receiver behind TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain)
    with HookSink(tls=context) as sink:
        yield sink


def test_https_needs_a_certificate_of_that_name(tmp_path, monkeypatch):
    good = make_certificate(tmp_path / "good")
    other = make_certificate(tmp_path / "other", name="hooks.northwind.example")
    with tls_sink(good) as sink:
        url = sink.url.replace("http://", "https://")
        assert deliver(sink, bodies("ann"), url=url).down.trouble is Trouble.TLS
        monkeypatch.setenv("SSL_CERT_FILE", str(good.authority))
        assert deliver(sink, bodies("ann"), url=url).kinds() == {0: (ACCEPTED, PERSON)}
        assert sink.posts[0].verify(SECRET)
    monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
    with tls_sink(other) as sink:
        watch = deliver(sink, bodies("ann"), url=sink.url.replace("http://", "https://"))
        assert watch.kinds() == {0: (DEFERRED, CHANNEL)} and sink.posts == []
