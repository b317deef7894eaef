"""The way out in steps, and how long it may take (security.md H; reliability.md 4.3, 28)."""

import select
import socket
import threading

import pytest

from saas.kernel.clock import monotonic
from saas.platform import egress


@pytest.fixture
def resolver_that_hangs(monkeypatch):
    ending = threading.Event()

    def lookup(*_args, **_kwargs):
        ending.wait(60)
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    yield
    ending.set()


def test_a_resolver_that_hangs_holds_nobody_for_longer_than_agreed(resolver_that_hangs):
    start = monotonic()
    with pytest.raises(egress.Unreachable) as caught:
        egress.connect("smtp.example.com", 25, allow=(), timeout_s=0.1)
    assert monotonic() - start < 30
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_an_address_is_looked_up_by_nobody_else(resolver_that_hangs, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, 1, 6, "", ("8.8.8.8", 25))])
    before = threading.active_count()
    assert egress.resolve("8.8.8.8", 25, allow=(), timeout_s=0) == ((socket.AF_INET, ("8.8.8.8", 25)),)
    assert threading.active_count() <= before


def test_what_resolves_to_a_blocked_address_is_refused_in_steps_too(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [(socket.AF_INET, 1, 6, "", ("10.0.0.1", 25))])
    with pytest.raises(egress.Refused):
        egress.resolve("smtp.example.com", 25, allow=(), timeout_s=30)


def test_begin_returns_at_once_and_finish_tells():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        targets = egress.resolve("127.0.0.1", port, allow=(f"127.0.0.1:{port}",), timeout_s=30)
        with egress.begin(targets[0], source_address="127.0.0.7") as sock:
            assert sock.gettimeout() == 0
            assert select.select([], [sock], [], 60)[1] == [sock]
            egress.finish(sock)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
            assert server.accept()[1][0] == "127.0.0.7"
    with pytest.raises(egress.Unreachable), egress.begin(targets[0]) as sock:
        select.select([], [sock], [], 60)
        egress.finish(sock)


def test_a_source_address_that_is_not_ours_reaches_nothing():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for source in ("192.0.2.1", "::1"):
            with pytest.raises(egress.Unreachable):
                egress.connect("127.0.0.1", port, allow=(f"127.0.0.1:{port}",), timeout_s=1, source_address=source)
