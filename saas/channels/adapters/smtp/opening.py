"""From an address to a relay that listens: connect, protect the connection, greet, sign in."""

import base64
from collections.abc import Callable
from typing import Final

from saas.channels.adapters.smtp.letter import Offers
from saas.channels.adapters.smtp.peer import Peer
from saas.channels.adapters.smtp.wire import WRITE, Limit, Lost, Reply, Steps, Wire
from saas.channels.rules import classify
from saas.channels.types import About, OutcomeKind, Security, Stage, Trouble
from saas.kernel.clock import monotonic
from saas.platform import egress

_MOST_OFFERS: Final = 200


def connect(peer: Peer, limit: Limit, begun: Callable[[int], None]) -> Steps[egress.Connection]:
    """Connect to the first of the relay's addresses that answers; `begun` is told each socket's number.

    The time is shared out, so that an address at which nothing answers leaves some for the next. Raises Lost.
    """
    end = monotonic() + peer.timeouts.connect_s
    for number, target in enumerate(peer.targets):
        peer.stage = Stage.CONNECT
        limit.set((end - monotonic()) / (len(peer.targets) - number))
        try:
            sock = egress.begin(target, source_address=peer.settings.source_address)
        except egress.Unreachable:
            continue
        try:
            begun(sock.fileno())
            yield WRITE
            egress.finish(sock)
        except (Lost, egress.Unreachable):
            sock.close()
            continue
        except BaseException:
            sock.close()
            raise
        return sock
    raise Lost("The server cannot be reached.")


def introduce(wire: Wire, peer: Peer, limit: Limit) -> Steps[Offers]:
    """Protect the connection, greet, sign in; returns what the relay can do. Whatever fails here raises Lost."""
    settings, reply_s = peer.settings, peer.timeouts.reply_s
    if settings.security is Security.TLS:
        yield from _protect(wire, peer, limit)
        peer.stage = Stage.CONNECT
    greeting = yield from wire.answer(limit_s=reply_s)
    if not greeting.is_good:
        raise _no_welcome(greeting)
    offers = yield from _hello(wire, peer)
    if settings.security is Security.STARTTLS:
        yield from _starttls(wire, peer, limit, offers)
        offers = yield from _hello(wire, peer)
    if settings.username and settings.password:
        peer.stage = Stage.SIGN_IN
        yield from _sign_in(wire, settings.username, settings.password, offers, reply_s)
    peer.ticket = wire.ticket or peer.ticket
    return offers


def _protect(wire: Wire, peer: Peer, limit: Limit) -> Steps[None]:
    peer.stage = Stage.PROTECT
    limit.set(peer.timeouts.connect_s)
    try:
        yield from wire.protect(server_name=peer.settings.host, trust=peer.trust, ticket=peer.ticket)
    except (egress.NotTrusted, egress.Unreachable) as error:
        raise Lost(error.detail, Trouble.TLS) from None


def _hello(wire: Wire, peer: Peer) -> Steps[Offers]:
    answer = yield from wire.command(f"EHLO {peer.ehlo_name}", limit_s=peer.timeouts.reply_s)
    if answer.code != 250 or len(answer.lines) > _MOST_OFFERS:
        raise _no_welcome(answer)
    texts = (line.decode("utf-8", "replace").replace("AUTH=", "AUTH ", 1) for line in answer.lines[1:])
    words = (text.strip().upper().partition(" ") for text in texts)
    return Offers.read({keyword: rest.strip() for keyword, _, rest in words})


def _starttls(wire: Wire, peer: Peer, limit: Limit, offers: Offers) -> Steps[None]:
    peer.stage = Stage.PROTECT
    if not offers.starttls:
        raise Lost("The server does not offer STARTTLS.", Trouble.TLS)
    answer = yield from wire.command("STARTTLS", limit_s=peer.timeouts.reply_s)
    # What came before the handshake is not protected and must not be taken for answers after it (RFC 3207).
    if answer.code != 220 or wire.is_talking:
        raise _no_welcome(answer)
    yield from _protect(wire, peer, limit)


def _sign_in(wire: Wire, username: str, password: str, offers: Offers, reply_s: float) -> Steps[None]:
    """Sign in by AUTH PLAIN, else LOGIN (RFC 4954). Raises Lost with the server's answer when it is refused."""
    if "PLAIN" in offers.sign_in:
        steps = [("AUTH PLAIN " + _base64(f"\0{username}\0{password}"), 235)]
    elif "LOGIN" in offers.sign_in:
        steps = [("AUTH LOGIN", 334), (_base64(username), 334), (_base64(password), 235)]
    else:
        raise Lost("The server offers no way of signing in that we know.", Trouble.SIGN_IN)
    for line, expected in steps:
        answer = yield from wire.command(line, limit_s=reply_s)
        if answer.code != expected:
            found = classify(answer.code, answer.text, about=About.SENDER)
            later = found.kind is OutcomeKind.DEFERRED
            raise Lost(str(answer), Trouble.PRESSURE if later else Trouble.SIGN_IN)


def _no_welcome(answer: Reply) -> Lost:
    wants_less = answer.code == 421 or answer.text.startswith("4.7.")
    return Lost(str(answer), Trouble.PRESSURE if wants_less else Trouble.CONNECT)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
