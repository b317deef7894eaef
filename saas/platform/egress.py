"""The one way out: every connection to a host that somebody typed in is made here (security.md H).

A name is looked up once, every address found is checked, and the connection goes to a checked address; there is no
second lookup that could answer otherwise. The refusals say nothing about what stands behind an address.
"""

import ipaddress
import re
import socket
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from saas.kernel.clock import monotonic
from saas.kernel.errors import DomainError, Kind, Unavailable

Connection: TypeAlias = socket.socket
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


def connect(host: str, port: int, *, allow: tuple[str, ...], timeout_s: float) -> Connection:
    """Return a TCP connection (TCP_NODELAY, keepalive) with `timeout_s` set as its timeout.

    `allow` is EGRESS_ALLOW: `host:port` (`[v6]:port`) exempt from the checks of port and address. The time of the
    name lookup is the resolver's own. Raises Refused, Unreachable.
    """
    host = host.lower()
    check_target(host, port, allow=allow)
    found = _lookup(host, port)
    if not exempt(host, port, allow=allow) and any(is_blocked(address) for address, _ in found):
        raise _refused()
    return _first_answering([target for _, target in found], timeout_s)


def check_target(host: str, port: int, *, allow: tuple[str, ...]) -> None:
    """Refuse without a lookup what can be told from host and port alone. Raises Refused.

    A host is an IP address in its one usual spelling, or an ASCII domain name with at least one dot and none at the
    end; names that only mean something inside a network are refused.
    """
    host = host.lower()
    if exempt(host, port, allow=allow):
        return
    address = _literal(host)
    if port not in SMTP_PORTS or (address is None and not _is_public_name(host)):
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


def start_tls(sock: Connection, *, server_name: str) -> ssl.SSLSocket:
    """Return the connection under TLS 1.2 or newer, the certificate verified for the name. Raises NotTrusted."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        return context.wrap_socket(sock, server_hostname=server_name)
    except (ssl.SSLError, ssl.CertificateError, ValueError):
        sock.close()
        raise NotTrusted("The server's certificate cannot be verified.") from None
    except OSError:
        sock.close()
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


def _lookup(host: str, port: int) -> Sequence[tuple[Address, tuple[int, Any]]]:
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _unreachable() from None
    return [(_address(target), (family, target)) for family, _, _, _, target in rows]


def _address(target: Sequence[Any]) -> Address:
    return ipaddress.ip_address(str(target[0]).partition("%")[0])


def _first_answering(targets: Iterable[tuple[int, Any]], timeout_s: float) -> Connection:
    end = monotonic() + timeout_s
    for family, target in targets:
        left = end - monotonic()
        if left <= 0:
            break
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            sock.connect(target)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.settimeout(timeout_s)
        except OSError:
            sock.close()
            continue
        return sock
    raise _unreachable()


def _refused() -> Refused:
    return Refused("Connections to this host and port are not allowed.")


def _unreachable() -> Unreachable:
    return Unreachable("The server cannot be reached.")
