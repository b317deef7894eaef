"""The one way out: every connection to a host that somebody typed in is made here (security.md H).

A name is looked up once, every address found is checked, and the connection goes to a checked address; there is no
second lookup that could answer otherwise. The refusals say nothing about what stands behind an address.

Two ways to use it: `connect` and `start_tls` wait; `resolve`, `begin`, `finish`, `protect` and `shake_hands` are the
same in steps, for a loop over sockets that never waits.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Final, TypeAlias

from saas.kernel.clock import monotonic
from saas.kernel.errors import DomainError, Kind, Unavailable

Connection: TypeAlias = socket.socket
Protected: TypeAlias = ssl.SSLSocket
Trust: TypeAlias = ssl.SSLContext
Ticket: TypeAlias = ssl.SSLSession
Target: TypeAlias = tuple[int, Any]  # an address family and an address that was checked
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

SMTP_PORTS: Final = (25, 465, 587, 2525)

# IANA special-purpose registries, RFC 6890 and its successors, and one public address of a cloud's own metadata.
_BLOCKED_4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32",
    )
)  # fmt: skip
_GLOBAL_6: Final = ipaddress.IPv6Network("2000::/3")
# Teredo lies in the first, 6to4 is the third: both carry an IPv4 address inside and no relay lives there.
_BLOCKED_6: Final = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
# The two forms in which a machine without IPv4 reaches IPv4 hosts; judged by the address inside.
_CARRIES_4: Final = tuple(map(ipaddress.IPv6Network, ("::ffff:0:0/96", "64:ff9b::/96")))

# What reading, writing and shaking hands raise on a connection that does not wait, when they would have to.
WANTS_READ: Final = (BlockingIOError, ssl.SSLWantReadError)
WANTS_WRITE: Final = ssl.SSLWantWriteError

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}")
_NUMBER: Final = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
_INTERNAL: Final = (".internal", ".local", ".localdomain", ".localhost", ".home.arpa", ".intranet", ".lan", ".corp")


class Refused(DomainError):
    """The target is none that may be connected to."""

    kind = Kind.INVALID
    code = "egress_refused"


class Unreachable(Unavailable):
    """Nothing could be connected to, or the connection ended."""

    code = "unreachable"


class NotTrusted(Unavailable):
    """The server did not prove by a certificate that it is the one named."""

    code = "tls_failed"


def connect(
    host: str,
    port: int,
    *,
    allow: tuple[str, ...],
    timeout_s: float,
    source_address: str | None = None,
    ports: tuple[int, ...] = SMTP_PORTS,
) -> Connection:
    """Return a TCP connection (TCP_NODELAY, keepalive) with `timeout_s` set as its timeout.

    `allow` is EGRESS_ALLOW: `host:port` (`[v6]:port`) exempt from the checks of port and address, `ports`
    those that all others may have. The name lookup and the connecting take `timeout_s` each at most.
    Raises Refused, Unreachable.
    """
    targets = resolve(host, port, allow=allow, timeout_s=timeout_s, ports=ports)
    end = monotonic() + timeout_s
    for target in targets:
        left = end - monotonic()
        if left <= 0:
            break
        try:
            sock = _connected(target, left, source_address)
        except OSError:
            continue
        sock.settimeout(timeout_s)
        return sock
    raise _unreachable()


def resolve(
    host: str, port: int, *, allow: tuple[str, ...], timeout_s: float, ports: tuple[int, ...] = SMTP_PORTS
) -> tuple[Target, ...]:
    """Return where a host may be connected to, every address checked. Raises Refused, Unreachable."""
    host = host.lower()
    check_target(host, port, allow=allow, ports=ports)
    found = _lookup(host, port) if _literal(host) else _lookup_within(host, port, timeout_s)
    if not exempt(host, port, allow=allow) and any(is_blocked(address) for address, _ in found):
        raise _refused()
    return tuple(target for _, target in found)


def begin(target: Target, *, source_address: str | None = None) -> Connection:
    """Begin to connect, and return at once; `finish` when the socket can be written to. Raises Unreachable."""
    try:
        return _connected(target, 0, source_address)
    except OSError:
        raise _unreachable() from None


def finish(sock: Connection) -> None:
    """Make sure that what was begun has led to a connection. Raises Unreachable; the caller closes."""
    try:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            return _prepare(sock)
    except OSError:
        pass
    raise _unreachable()


def check_target(host: str, port: int, *, allow: tuple[str, ...], ports: tuple[int, ...] = SMTP_PORTS) -> None:
    """Refuse without a lookup what can be told from host and port alone. Raises Refused.

    A host is an IP address in its one usual spelling, or an ASCII domain name with at least one dot and none at the
    end; names that only mean something inside a network are refused.
    """
    host = host.lower()
    if exempt(host, port, allow=allow):
        return
    address = _literal(host)
    if port not in ports or (address is None and not _is_public_name(host)):
        raise _refused()
    if address is not None and is_blocked(address):
        raise _refused()


def exempt(host: str, port: int, *, allow: tuple[str, ...]) -> bool:
    """Say whether the installation's settings name exactly this target."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return shown.lower() in allow


def is_blocked(address: Address) -> bool:
    """Say whether an address is not one of the public internet, or carries one inside that is not."""
    if isinstance(address, ipaddress.IPv4Address):
        return any(address in network for network in _BLOCKED_4)
    if any(address in network for network in _CARRIES_4):
        return is_blocked(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
    return address not in _GLOBAL_6 or any(address in network for network in _BLOCKED_6)


def start_tls(sock: Connection, *, server_name: str) -> Protected:
    """Return the connection under TLS 1.2 or newer, the certificate verified for the name. Raises NotTrusted."""
    try:
        protected = protect(sock, server_name=server_name, trust=trust())
    except NotTrusted:
        sock.close()
        raise
    try:
        shake_hands(protected)
    except OSError:  # it took too long
        protected.close()
        raise _unreachable() from None
    except (NotTrusted, Unreachable):
        protected.close()
        raise
    return protected


def trust() -> Trust:
    """Return whom we trust: the authorities of this host, TLS 1.2 or newer. Takes some milliseconds; keep it."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def protect(sock: Connection, *, server_name: str, trust: Trust, ticket: Ticket | None = None) -> Protected:
    """Return the connection as one under TLS whose hands are yet to be shaken. Raises NotTrusted.

    `ticket` of an earlier connection under the same `trust` to the same server saves work; it may be refused.
    """
    try:
        return trust.wrap_socket(sock, server_hostname=server_name, do_handshake_on_connect=False, session=ticket)
    except (ssl.SSLError, ValueError):
        raise NotTrusted("The server's certificate cannot be verified.") from None
    except OSError:
        raise _unreachable() from None


def shake_hands(sock: Protected) -> None:
    """Agree on keys, and verify the server's certificate. Raises NotTrusted, Unreachable, WANTS_READ, WANTS_WRITE."""
    try:
        sock.do_handshake()
    except (*WANTS_READ, WANTS_WRITE, TimeoutError):
        raise
    except (ssl.SSLError, ssl.CertificateError, ValueError):
        raise NotTrusted("The server's certificate cannot be verified.") from None
    except OSError:
        raise _unreachable() from None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host) if "%" not in host else None
    except ValueError:
        return None


def _is_public_name(host: str) -> bool:
    if len(host) > 253 or not _NAME.fullmatch(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        return False  # a last label that is a number makes an address in disguise: 127.1, 0x7f.1, 0177.0.0.1
    return not host.endswith(_INTERNAL)


def _lookup_within(host: str, port: int, timeout_s: float) -> Sequence[tuple[Address, Target]]:
    """Ask in a thread: the resolver knows no time limit, and one workspace's must not keep others waiting.

    A thread that nobody waits for any more ends by the resolver's own patience.
    """
    answer: SimpleQueue[Sequence[tuple[Address, Target]] | None] = SimpleQueue()

    def ask() -> None:
        try:
            answer.put(_lookup(host, port))
        except Unreachable:
            answer.put(None)

    Thread(target=ask, name="lookup", daemon=True).start()
    try:
        found = answer.get(timeout=timeout_s)
    except Empty:
        found = None
    if found is None:
        raise _unreachable() from None
    return found


def _lookup(host: str, port: int) -> Sequence[tuple[Address, Target]]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unreachable() from None
    return [(_address(target), (family, target)) for family, _, _, _, target in rows]


def _address(target: Sequence[Any]) -> Address:
    return ipaddress.ip_address(str(target[0]).partition("%")[0])


def _connected(target: Target, timeout_s: float, source_address: str | None) -> Connection:
    """Return a connection, or with a timeout of 0 the beginning of one. Raises OSError."""
    family, address = target
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if source_address is not None:
            sock.bind((source_address, 0))
        sock.settimeout(timeout_s)
        sock.connect(address)
        _prepare(sock)
    except BlockingIOError:
        return sock
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare(sock: Connection) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _refused() -> Refused:
    return Refused("Connections to this host and port are not allowed.")


def _unreachable() -> Unreachable:
    return Unreachable("The server cannot be reached.")
