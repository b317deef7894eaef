"""A real SMTP server on loopback that does as it is told: for tests of whatever sends.

    with SmtpSink() as sink:
        sink.script["ann@example.net"] = "550 5.1.1 no such user"       # answer to RCPT
        sink.script["bob@example.net"] = Do(At.DOT, "452 4.3.1 full")    # answer after the final dot
        sink.script["cid@example.net"] = Do(At.DOT, then=Then.CLOSE)     # has the message, says nothing, closes
        ... settings with EGRESS_ALLOW=sink.address ...
        sink.wait_for(3); sink.messages

A script belongs to a recipient; a list is used up one contact after the other, its last entry stays. What the server
answers with 250, and what it keeps without an answer (CLOSE, RESET and HANG at the dot), stands in `messages`.
How it speaks is set on the sink before a connection is made: `at_once`, `drip_s`, `is_lenient`, `gathers`.
"""

import base64
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from saas.kernel.clock import SystemClock, monotonic


class At(StrEnum):
    """When a script acts."""

    MAIL = "mail"  # scripted by the sender's address
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"  # in the middle of the content
    DOT = "dot"


class Then(StrEnum):
    """What happens after the reply, if there is one."""

    GO_ON = "go on"
    CLOSE = "close"
    RESET = "reset"  # RST instead of FIN
    HANG = "hang"  # silent until the sink ends


@dataclass(frozen=True)
class Do:
    """One scripted act. `after_s` is waited before it."""

    at: At
    reply: str = ""
    then: Then = Then.GO_ON
    after_s: float = 0


@dataclass(frozen=True)
class Received:
    """A message that the server kept. `data` is without dot-stuffing; `answered` says whether 250 was sent for it."""

    mail_from: str
    rcpt: str
    data: bytes
    at: datetime
    at_s: float  # monotonic
    answered: bool


@dataclass(frozen=True)
class Certificate:
    """Files of a certificate; clients trust it when SSL_CERT_FILE names `authority`."""

    chain: Path
    authority: Path


class _Over(Exception):
    """The connection is to end."""


Script = str | Do | Sequence[str | Do]


class SmtpSink:
    """The server. `extensions` are the lines of its EHLO answer; STARTTLS and AUTH come by themselves."""

    host = "127.0.0.1"

    def __init__(
        self,
        *,
        tls: Certificate | None = None,
        starttls: Certificate | None = None,
        login: tuple[str, str] | None = None,
        mechanisms: str = "PLAIN LOGIN",
        extensions: Sequence[str] = ("PIPELINING", "SIZE 20971520", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"),
        greeting: str = "220 sink.example ESMTP",
        end_after: int | None = None,
        port: int = 0,
    ) -> None:
        self.tls, self.starttls, self.login, self.mechanisms = tls, starttls, login, mechanisms
        self.extensions, self.greeting = tuple(extensions), greeting
        self.end_after = end_after  # messages after which a connection is ended without a word, as idle relays do
        self.newest_tls = ssl.TLSVersion.TLSv1_3
        self.at_once: int | None = None  # connections beyond so many get a 421
        self.tells_late = False  # and not for a greeting, but as the answer to MAIL
        self.drip_s: float | None = None  # answers leave byte by byte, so long apart
        self.is_lenient = False  # DATA is answered by 354 even if there is no recipient
        self.gathers = False  # answers are held back while more commands have come, and leave together (RFC 2920)
        self.hurried: list[str] = []  # commands behind which more had come already; none may be when not PIPELINING
        self.script: dict[str, Script] = {}
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self._change = threading.Condition()
        self._context: ssl.SSLContext | None = None
        self._ending = threading.Event()
        self._open: set[_Talk] = set()
        self._listener = socket.create_server((self.host, port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def address(self) -> str:
        """`host:port`, as EGRESS_ALLOW wants it."""
        return f"{self.host}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._change:
            still = list(self._open)
        for each in still:
            each.end()
        self._thread.join(5)

    def wait_for(self, count: int, *, timeout_s: float = 60) -> list[Received]:
        """Return the messages once there are so many. Raises TimeoutError."""
        with self._change:
            if not self._change.wait_for(lambda: len(self.messages) >= count, timeout_s):
                raise TimeoutError(f"{len(self.messages)} messages instead of {count}")
            return list(self.messages)

    def to(self, address: str) -> list[Received]:
        """Return the messages of a recipient."""
        with self._change:
            return [each for each in self.messages if each.rcpt == address]

    def drop_connections(self) -> None:
        """End all connections from the server's side."""
        with self._change:
            still = list(self._open)
        for each in still:
            each.end()

    def next_act(self, address: str, at: At) -> Do | None:
        """Return what is scripted for an address at this point, using up one entry of a list."""
        with self._change:
            found = self.script.get(address)
            if found is None:
                return None
            acts = [found] if isinstance(found, str | Do) else list(found)
            act = acts[0] if isinstance(acts[0], Do) else Do(At.RCPT, acts[0])
            if act.at is not at:
                return None
            if len(acts) > 1:
                self.script[address] = acts[1:]
            return act

    def keep(self, mail_from: str, rcpt: str, data: bytes, *, answered: bool) -> None:
        """Note a message."""
        with self._change:
            at = SystemClock().now()
            self.messages.append(Received(mail_from, rcpt, data, at, monotonic(), answered))
            self._change.notify_all()

    def context(self, certificate: Certificate) -> ssl.SSLContext:
        """Return the one context of all connections, which lets clients take up their keys again."""
        with self._change:
            if self._context is None:
                self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                self._context.load_cert_chain(certificate.chain)
                if self.newest_tls < ssl.TLSVersion.TLSv1_2:
                    self._context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
                self._context.maximum_version = self.newest_tls
            return self._context

    def _accept(self) -> None:
        while not self._ending.is_set():
            try:
                conn, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        talk = _Talk(self, conn, self._ending)
        with self._change:
            self.connections += 1
            self._open.add(talk)
            talk.is_one_too_many = self.at_once is not None and len(self._open) > self.at_once
        try:
            if talk.is_one_too_many and not self.tells_late:
                talk.refuse()
            if self.tls is not None:
                talk.secure(self.tls)
            talk.run()
        except (OSError, _Over):
            pass
        finally:
            with self._change:
                self._open.discard(talk)
            talk.close()


class _Talk:
    """One connection."""

    def __init__(self, sink: SmtpSink, conn: socket.socket, ending: threading.Event) -> None:
        self.sink, self.conn, self.ending = sink, conn, ending
        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting = self.held = b""
        self.secured = sink.tls is not None
        self.signed_in = sink.login is None
        self.sender: str | None = None
        self.rcpts: list[str] = []
        self.kept = 0
        self.is_one_too_many = False

    def run(self) -> None:
        self.say(self.sink.greeting)
        if not self.sink.greeting.startswith("220"):
            return
        while True:
            line = self.line().decode("utf-8", "surrogateescape")
            with self.sink._change:
                self.sink.commands.append(line)
                if self.waiting:
                    self.sink.hurried.append(line)
            verb = line.split(" ", 1)[0].upper()
            handler = getattr(self, f"on_{verb.lower()}", None)
            if handler is None:
                self.say("500 5.5.2 what?")
            else:
                handler(line)

    def refuse(self) -> None:
        self.say("421 4.7.0 too many connections")
        raise _Over

    def on_ehlo(self, line: str) -> None:
        offers = ["sink.example", *self.sink.extensions]
        if self.sink.starttls is not None and not self.secured:
            offers.append("STARTTLS")
        if self.sink.login is not None:
            offers.append(f"AUTH {self.sink.mechanisms}")
        for offer in offers[:-1]:
            self.say(f"250-{offer}")
        self.say(f"250 {offers[-1]}")

    def on_starttls(self, line: str) -> None:
        if self.sink.starttls is None:
            self.say("502 5.5.1 no TLS here")
            return
        self.say("220 2.0.0 go ahead")
        self.secure(self.sink.starttls)

    def on_auth(self, line: str) -> None:
        words = line.split(" ")
        if words[1].upper() == "PLAIN":
            given = base64.b64decode(words[2]).decode().split("\0")[1:]
        else:
            given = [self.ask("VXNlcm5hbWU6"), self.ask("UGFzc3dvcmQ6")]
        self.signed_in = tuple(given) == self.sink.login
        self.say("235 2.7.0 welcome" if self.signed_in else "535 5.7.8 wrong user name or password")

    def on_mail(self, line: str) -> None:
        if self.is_one_too_many:
            self.refuse()
        if not self.signed_in:
            self.say("530 5.7.0 sign in first")
            return
        sender = line[line.index("<") + 1 : line.index(">")]
        if not self.act(sender, At.MAIL):
            self.sender, self.rcpts = sender, []
            self.say("250 2.1.0 ok")

    def on_rcpt(self, line: str) -> None:
        address = line[line.index("<") + 1 : line.index(">")]
        if self.sender is None:
            self.say("503 5.5.1 MAIL first")
        elif not self.act(address, At.RCPT):
            self.rcpts.append(address)
            self.say("250 2.1.5 ok")

    def on_data(self, line: str) -> None:
        if not self.rcpts:
            self.data_for_nobody()
            return
        rcpt = self.rcpts[0]
        if self.act(rcpt, At.DATA):
            return
        self.say("354 go ahead")
        if (broken := self.sink.next_act(rcpt, At.BODY)) is not None:
            self.conn.recv(1)
            self.do(broken)
        data = self.content()
        scripted = self.sink.next_act(rcpt, At.DOT)
        sender, self.sender, self.rcpts = self.sender or "", None, []
        if scripted is None:
            self.sink.keep(sender, rcpt, data, answered=True)
            self.say("250 2.0.0 kept")
        else:
            if scripted.reply.startswith("2") or not scripted.reply:
                self.sink.keep(sender, rcpt, data, answered=bool(scripted.reply))
            self.do(scripted)
        self.kept += 1
        if self.kept == self.sink.end_after:
            self.flush()
            raise _Over

    def data_for_nobody(self) -> None:
        if not self.sink.is_lenient:
            self.say("503 5.5.1 RCPT first")
            return
        self.say("354 go ahead")
        data, sender, self.sender = self.content(), self.sender or "", None
        if data:
            self.sink.keep(sender, "", data, answered=True)
        self.say("250 2.0.0 kept for nobody" if data else "554 5.5.1 no valid recipients")

    def on_rset(self, line: str) -> None:
        self.sender, self.rcpts = None, []
        self.say("250 2.0.0 ok")

    def on_noop(self, line: str) -> None:
        self.say("250 2.0.0 ok")

    def on_quit(self, line: str) -> None:
        self.say("221 2.0.0 bye")
        raise _Over

    def act(self, address: str, at: At) -> bool:
        """Do what is scripted here; False when nothing is."""
        found = self.sink.next_act(address, at)
        if found is None:
            return False
        self.do(found)
        return True

    def do(self, act: Do) -> None:
        if act.after_s:
            self.ending.wait(act.after_s)
        if act.reply:
            self.say(act.reply)
        if act.then is not Then.GO_ON:
            self.flush()
        if act.then is Then.HANG:
            self.ending.wait()
            raise _Over
        if act.then is Then.RESET:
            self.conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.conn.close()
        if act.then is not Then.GO_ON:
            raise _Over

    def content(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(each + b"\r\n" for each in lines)

    def ask(self, prompt: str) -> str:
        self.say(f"334 {prompt}")
        return base64.b64decode(self.line()).decode()

    def say(self, line: str) -> None:
        self.held += line.encode() + b"\r\n"
        if not (self.sink.gathers and b"\r\n" in self.waiting):
            self.flush()

    def flush(self) -> None:
        held, self.held = self.held, b""
        if self.sink.drip_s is None:
            self.conn.sendall(held)
            return
        for number in range(len(held)):
            self.conn.sendall(held[number : number + 1])
            self.ending.wait(self.sink.drip_s)

    def line(self) -> bytes:
        while b"\r\n" not in self.waiting:
            more = self.conn.recv(65536)
            if not more:
                raise _Over
            self.waiting += more
        line, _, self.waiting = self.waiting.partition(b"\r\n")
        return line

    def secure(self, certificate: Certificate) -> None:
        self.conn = self.sink.context(certificate).wrap_socket(self.conn, server_side=True)
        self.secured, self.waiting = True, b""

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.conn.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.end()
        self.conn.close()


def make_certificate(folder: Path, *, name: str = "127.0.0.1", days: int = 2) -> Certificate:
    """Make an authority and a certificate for an IPv4 address or a domain name; `days` < 0 has run out."""
    now = datetime.now(UTC)  # noqa: TID251  TLS libraries read the host's clock too
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
    own_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sink")])
    start = now - timedelta(days=10)
    blank = x509.CertificateBuilder().issuer_name(authority_name).not_valid_before(start)
    authority = (
        blank.subject_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    try:
        shown: x509.GeneralName = x509.IPAddress(IPv4Address(name))
    except ValueError:
        shown = x509.DNSName(name)
    signed = (
        blank.subject_name(own_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([shown]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "chain.pem", folder / "authority.pem")
    made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    made.chain.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return made
