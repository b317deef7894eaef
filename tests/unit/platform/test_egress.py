"""The one way out (security.md H)."""

import ast
import socket
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest

from saas.kernel.errors import Kind
from saas.platform import egress
from tests.smtp_sink import SmtpSink, make_certificate

SAAS = Path(egress.__file__).parents[1]

BLOCKED = (
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254",
    "168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1",
    "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::7f00:1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:0:127.0.0.1",
    "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1",
    "2001::1", "2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:a9fe:a9fe::1",
    "2002:808:808::1", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1",
)  # fmt: skip
PUBLIC = (
    "1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.1", "172.15.255.255",
    "172.32.0.1", "192.167.255.255", "198.17.255.255", "198.20.0.1", "223.255.255.255", "2606:4700:4700::1111",
    "2a00:1450:4001::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
)  # fmt: skip
REFUSED_HOSTS = (
    # other spellings of 127.0.0.1 and 169.254.169.254
    "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "127.0.0.01", "0",
    "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "127.0.0.1%00", "::1%lo", "fe80::1%eth0", "127.0.0.0x1",
    "１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "2852039166", "0xa9fea9fe", "169.254.43518",
    # names that mean something inside a network only, or nothing
    "localhost", "LOCALHOST", "localhost.", "localhost.localdomain", "x.localhost", "redis", "metadata",
    "metadata.google.internal", "METADATA.Google.Internal", "metadata.azure.internal", "instance-data.ec2.internal",
    "printer.local", "router.home.arpa", "smtp.example.com.", "",
    # junk
    "user@smtp.example.com", "smtp.example.com@127.0.0.1", "http://smtp.example.com", "smtp.example.com:25",
    "smtp.example.com/x", "smtp.example.com#@127.0.0.1", "smtp example.com", "smtp.example.com\r\nx", "a..b.example",
    "smtp.example.com\0", "-a.example", "a-.example", f"{'a' * 64}.example", f"{'a.' * 130}example", "bücher.example",
    ".", "..", "*", "smtp.exam\u2024ple",
)  # fmt: skip


@pytest.mark.parametrize("text", BLOCKED)
def test_addresses_that_are_not_public_are_blocked(text):
    assert egress.is_blocked(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_not(text):
    assert not egress.is_blocked(ip_address(text))


@pytest.fixture
def no_lookup(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("looked up or connected")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    monkeypatch.setattr(socket.socket, "connect", fail)


@pytest.mark.parametrize("host", [*BLOCKED, *REFUSED_HOSTS])
def test_what_can_be_told_from_the_host_is_refused_without_a_lookup(host, no_lookup):
    with pytest.raises(egress.Refused) as caught:
        egress.connect(host, 25, allow=(), timeout_s=1)
    assert caught.value.kind is Kind.INVALID
    assert caught.value.code == "egress_refused"
    assert caught.value.detail == "Connections to this host and port are not allowed."


@pytest.mark.parametrize("port", [-1, 0, 22, 24, 26, 80, 443, 3306, 5432, 6379, 8025, 65535, 65561, 99999])
def test_only_the_ports_of_mail(port, no_lookup):
    with pytest.raises(egress.Refused):
        egress.connect("smtp.example.com", port, allow=(), timeout_s=1)


def answers(monkeypatch, *rounds):
    """Let the resolver answer these addresses, one round after the other; returns the names asked for."""
    asked, left = [], list(rounds)

    def lookup(host, port, **kwargs):
        asked.append(host)
        found = left.pop(0)
        return [
            (socket.AF_INET6 if ":" in text else socket.AF_INET, socket.SOCK_STREAM, 6, "", (text, port))
            for text in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    return asked


@pytest.fixture
def connected(monkeypatch):
    """Note where connections go, and let none leave."""
    tried = []

    def connect(self, target):
        tried.append(target[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)
    return tried


@pytest.mark.parametrize(
    "found",
    [
        ["127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["2606:4700:4700::1111", "::1"],
        ["8.8.8.8", "::ffff:127.0.0.1"],
        ["fe80::1%eth0"],
    ],
)
def test_one_blocked_address_among_several_refuses_the_name(monkeypatch, connected, found):
    answers(monkeypatch, found)
    with pytest.raises(egress.Refused):
        egress.connect("smtp.example.com", 25, allow=(), timeout_s=1)
    assert connected == []


def test_a_name_is_looked_up_once_and_the_checked_address_is_used(monkeypatch, connected):
    asked = answers(monkeypatch, ["8.8.8.8", "1.1.1.1"], ["127.0.0.1"])
    with pytest.raises(egress.Unreachable):
        egress.connect("SMTP.example.com", 25, allow=(), timeout_s=1)
    assert asked == ["smtp.example.com"]
    assert connected == ["8.8.8.8", "1.1.1.1"]


def test_a_name_without_address_cannot_be_reached(monkeypatch):
    def lookup(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(egress.Unreachable) as caught:
        egress.connect("nowhere.example", 25, allow=(), timeout_s=1)
    assert caught.value.detail == "The server cannot be reached."
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_only_the_exact_exempt_target_is_exempt():
    with SmtpSink() as sink:
        sock = egress.connect("127.0.0.1", sink.port, allow=(sink.address,), timeout_s=5)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert sock.gettimeout() == 5
        assert sock.recv(4) == b"220 "
        sock.close()
        others = (("127.0.0.1", sink.port + 1), ("localhost", sink.port), ("127.1", sink.port), ("127.0.0.1.", 25))
        for host, port in others:
            with pytest.raises(egress.Refused):
                egress.connect(host, port, allow=(sink.address,), timeout_s=1)
        assert sink.connections == 1
        with pytest.raises(egress.Refused):
            egress.connect("127.0.0.1", sink.port, allow=(), timeout_s=1)


def test_an_exempt_name_and_an_exempt_v6_address():
    assert egress.exempt("mailhub", 25, allow=("mailhub:25",))
    assert egress.exempt("MAILHUB", 25, allow=("mailhub:25",))
    assert egress.exempt("::1", 25, allow=("[::1]:25",))
    assert not egress.exempt("::1", 25, allow=("::1:25",))


def test_a_closed_port_cannot_be_reached():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(egress.Unreachable):
        egress.connect("127.0.0.1", port, allow=(f"127.0.0.1:{port}",), timeout_s=1)


def test_tls_is_verified(tmp_path, monkeypatch):
    good = make_certificate(tmp_path / "good")
    other = make_certificate(tmp_path / "other", name="smtp.example.com")
    old = make_certificate(tmp_path / "old", days=-1)
    for made, trusted in ((other, other), (old, old), (good, other)):
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted.authority))
        with SmtpSink(tls=made) as sink, pytest.raises(egress.NotTrusted):
            egress.start_tls(_connected(sink), server_name="127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(good.authority))
    with SmtpSink(tls=good) as sink:
        sock = egress.start_tls(_connected(sink), server_name="127.0.0.1")
        assert sock.version() in {"TLSv1.2", "TLSv1.3"}
        assert sock.recv(4) == b"220 "
        sock.close()
    with SmtpSink() as plain, pytest.raises(egress.NotTrusted):
        egress.start_tls(_connected(plain), server_name="127.0.0.1")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(tmp_path, monkeypatch):
    made = make_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    with SmtpSink(tls=made) as sink:
        sink.newest_tls = ssl.TLSVersion.TLSv1_1
        with pytest.raises(egress.NotTrusted):
            egress.start_tls(_connected(sink), server_name="127.0.0.1")


def _connected(sink):
    return egress.connect("127.0.0.1", sink.port, allow=(sink.address,), timeout_s=5)


# Who may open connections without egress: our own servers of the embedded mode, on loopback or a Unix socket.
CLIENTS = {
    "socket", "ssl", "http.client", "urllib.request", "smtplib", "ftplib", "imaplib", "poplib", "telnetlib", "nntplib",
    "socketserver", "xmlrpc.client", "asyncio", "requests", "httpx", "urllib3", "aiohttp", "aiosmtplib", "pycurl",
}  # fmt: skip
ALLOWED = {
    "platform/egress.py": {"socket", "ssl"},
    "platform/embedded/valkey.py": {"socket"},  # asks our own Valkey for PONG
    "cli/demo/client.py": {"http.client"},  # the demo, a client of our own API on loopback
    "cli/demo/command.py": {"http.client"},  # names its errors
    "cli/demo/stage.py": {"socket"},  # binds, to see which ports are free; connects to nothing
    "platform/embedded/inbox/receiver.py": {"asyncio"},
    "platform/embedded/inbox/client.py": {"http.client", "urllib.request", "socket"},
    "platform/embedded/inbox/__main__.py": {"asyncio", "socket"},
}
# What a few others need of these modules, none of which opens a connection.
HARMLESS = {
    "notices/service/mail.py": {
        "socket.socket",
        "ssl.create_default_context",
    },  # a type; a context for smtplib's starttls
    "sending/service/owner.py": {"socket.gethostname"},
}
# http.client reads answers there, from a connection that egress made: these two names cannot open one.
READS_ANSWERS = {"channels/adapters/webhook/wire.py": {"http.client.HTTPException", "http.client.HTTPResponse"}}
# smtplib speaks the protocol there, over a connection that egress made.
OVER_EGRESS = ("notices/service/mail.py",)


def imported(tree):
    """Yield every module that a file imports, by whatever form of import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in {"__import__", "import_module"}:
                yield str(node.args[0].value)


def clients_in(source):
    return {name for name in imported(ast.parse(source)) if name in CLIENTS}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import socket", {"socket"}),
        ("from http import client", {"http.client"}),
        ("import urllib.request as r", {"urllib.request"}),
        ("from urllib import request, parse", {"urllib.request"}),
        ("def f():\n  from ssl import create_default_context", {"ssl"}),
        ("import importlib\nimportlib.import_module('requests')", {"requests"}),
        ("from urllib.parse import urlsplit\nfrom http import HTTPStatus", set()),
    ],
)
def test_the_search_finds(source, found):
    assert clients_in(source) == found


def used(source):
    """Return `module.name` for everything that a file takes from socket and ssl."""
    found = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in {"socket", "ssl"}
    }
    return found | {name for name in imported(ast.parse(source)) if name.startswith(("socket.", "ssl."))}


def test_nothing_but_egress_opens_connections():
    files = sorted(SAAS.rglob("*.py"))
    assert len(files) > 50
    wrong = {}
    for path in files:
        name, source = path.relative_to(SAAS).as_posix(), path.read_text()
        extra = clients_in(source) - ALLOWED.get(name, set())
        if name in OVER_EGRESS:
            extra -= {"smtplib"}
        taken = {each for each in imported(ast.parse(source)) if each.startswith("http.client.")}
        if name in READS_ANSWERS and taken == READS_ANSWERS[name] and "import http" not in source:
            extra -= {"http.client"}
        if name in HARMLESS and used(source) <= HARMLESS[name]:
            extra -= {"socket", "ssl"}
        if extra:
            wrong[name] = extra
    assert wrong == {}


@pytest.mark.parametrize("name", OVER_EGRESS)
def test_smtplib_gets_its_connections_from_egress(name):
    tree = ast.parse((SAAS / name).read_text())
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_smtplib(node.bases)]
    assert classes
    for each in classes:
        makers = [node for node in each.body if isinstance(node, ast.FunctionDef) and node.name == "_get_socket"]
        calls = [ast.unparse(node.func) for node in ast.walk(makers[0]) if isinstance(node, ast.Call)]
        assert "egress.connect" in calls
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_smtplib([node.func])]
    assert made == []


def _is_smtplib(nodes):
    return any(ast.unparse(node) in {"smtplib.SMTP", "smtplib.SMTP_SSL", "smtplib.LMTP"} for node in nodes)
