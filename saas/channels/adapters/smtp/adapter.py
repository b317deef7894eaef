"""Hands messages to a relay over one kept connection, one recipient per transaction (reliability.md 1)."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Final

from saas.channels.adapters.smtp.wire import Lost, Reply, Wire
from saas.channels.rules import classify, clean, wire_address
from saas.channels.types import (
    About,
    Outcome,
    OutcomeKind,
    OutcomeScope,
    Outgoing,
    Security,
    SmtpSettings,
    Stage,
    Timeouts,
    Watch,
)
from saas.kernel.errors import DomainError
from saas.platform import egress

_MOST_LOSSES: Final = 3
_GOODBYE_S: Final = 2.0
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


class _Down(Exception):
    """There is no connection to be had; nobody's message can leave now."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.outcome = _not_sent(text)


class SmtpAdapter:
    """An adapter (channels/types.py) for one channel configuration. Connects at the first message.

    `stage` says how far the latest message came.
    """

    def __init__(
        self, settings: SmtpSettings, *, allow: tuple[str, ...], ehlo_name: str, timeouts: Timeouts | None = None
    ) -> None:
        self._settings = settings
        self._allow = allow
        self._ehlo_name = ehlo_name
        self._timeouts = timeouts or Timeouts()
        self._wire: Wire | None = None
        self._losses = 0
        self.stage = Stage.CONNECT

    def deliver(self, messages: Iterator[Outgoing], *, watch: Watch) -> None:
        """Hand messages over one after the other; ends early, leaving the rest untouched, when told not to go on.

        When no connection can be made, this message and all after it are settled as deferred by the channel.
        """
        try:
            for message in messages:
                if not watch.may_go_on(message.index):
                    return
                try:
                    outcome = self._hand_over(message, watch)
                except _Down as down:
                    for waiting in chain((message,), messages):
                        watch.settled(waiting.index, down.outcome)
                    return
                watch.settled(message.index, outcome)
        except BaseException:
            self._drop()  # nobody knows what the connection is in the middle of
            raise

    def close(self) -> None:
        """Leave the relay politely; errors do not matter any more."""
        if self._wire is not None:
            try:
                self._wire.command("QUIT", timeout_s=_GOODBYE_S)
            except Lost:
                pass
            finally:
                self._drop()

    def _hand_over(self, message: Outgoing, watch: Watch) -> Outcome:
        refused = self._enter(message)
        return refused or self._transfer(message, watch)

    def _enter(self, message: Outgoing) -> Outcome | None:
        """Do all that comes before the content. Returns an outcome if it ends there. Raises _Down."""
        kept = self._wire is not None
        try:
            return self._envelope(message)
        except Lost as lost:
            self._drop()
            if not kept:
                return self._lost(lost)
        # A relay may have ended a kept connection for idleness; nothing was offered yet, so a new one is tried.
        try:
            return self._envelope(message)
        except Lost as lost:
            self._drop()
            return self._lost(lost)

    def _lost(self, lost: Lost) -> Outcome:
        self._losses += 1
        if self._losses >= _MOST_LOSSES:
            self._losses = 0
            raise _Down(lost.text)
        return _not_sent(lost.text)

    def _envelope(self, message: Outgoing) -> Outcome | None:
        """Open a transaction up to the point where the relay wants the content. The seam for pipelining."""
        sender, recipient = wire_address(message.sender), wire_address(message.recipient)
        if recipient is None:
            return Outcome(OutcomeKind.REFUSED, OutcomeScope.RECIPIENT, "This is not a mail address.")
        if sender is None:
            return Outcome(OutcomeKind.REFUSED, OutcomeScope.CHANNEL, "The sender is not a mail address.")
        wire = self._wire or self._open()
        self.stage = Stage.ENVELOPE
        refused = _unsupported(message, sender, recipient, wire)
        if refused is not None:
            return refused
        options = _options(message, sender, recipient, wire)
        steps = (
            (About.SENDER, f"MAIL FROM:<{sender}>{options}"),
            (About.RECIPIENT, f"RCPT TO:<{recipient}>"),
            (About.CONTENT, "DATA"),
        )
        for about, line in steps:
            answer = wire.command(line, timeout_s=self._timeouts.reply_s)
            if answer.code == 421:
                raise Lost(f"{answer.code} {answer.text}")
            if not (answer.code == 354 if about is About.CONTENT else answer.is_good):
                self._reset()
                return _before_content(answer, about)
        self._losses = 0
        return None

    def _transfer(self, message: Outgoing, watch: Watch) -> Outcome:
        """Send the content. From the final dot on, only an answer tells what became of the message."""
        wire, body = self._wire, _stuffed(message.message)
        assert wire is not None  # noqa: S101  _envelope has just used it
        self.stage = Stage.CONTENT
        watch.offered(message.index)
        try:
            wire.send(body, timeout_s=self._timeouts.reply_s)
        except Lost as lost:
            self._drop()
            return _not_sent(lost.text)
        try:
            wire.send(b".\r\n", timeout_s=self._timeouts.reply_s)
            answer = wire.reply(timeout_s=self._timeouts.answer_s)
        except Lost as lost:
            self._drop()
            return Outcome(OutcomeKind.UNKNOWN, text=clean(lost.text))
        outcome = classify(answer.code, answer.text, about=About.CONTENT)
        if answer.code == 421 or outcome.kind is OutcomeKind.UNKNOWN:
            self._drop()
        return outcome

    def _open(self) -> Wire:
        """Connect, protect the connection, sign in. Raises _Down: whatever fails here is about the channel."""
        try:
            self._connect()
        except (DomainError, Lost) as error:
            self._drop()
            raise _Down(error.text if isinstance(error, Lost) else error.detail) from None
        assert self._wire is not None  # noqa: S101  _connect sets it or raises
        return self._wire

    def _connect(self) -> None:
        settings, reply_s = self._settings, self._timeouts.reply_s
        self.stage = Stage.CONNECT
        connect_s = self._timeouts.connect_s
        sock = egress.connect(settings.host, settings.port, allow=self._allow, timeout_s=connect_s)
        if settings.security is Security.TLS:
            self.stage = Stage.PROTECT
            sock = egress.start_tls(sock, server_name=settings.host)
            self.stage = Stage.CONNECT
        wire = self._wire = Wire(sock, total_s=self._timeouts.total_s)
        greeting = wire.reply(timeout_s=reply_s)
        if not greeting.is_good:
            raise Lost(f"{greeting.code} {greeting.text}")
        wire.hello(self._ehlo_name, timeout_s=reply_s)
        if settings.security is Security.STARTTLS:
            self.stage = Stage.PROTECT
            wire.secure(server_name=settings.host, timeout_s=connect_s)
            wire.hello(self._ehlo_name, timeout_s=reply_s)
        if settings.username and settings.password:
            self.stage = Stage.SIGN_IN
            wire.sign_in(settings.username, settings.password, timeout_s=reply_s)

    def _reset(self) -> None:
        """Forget the transaction, so that the connection serves the next message."""
        try:
            done = self._wire is not None and self._wire.command("RSET", timeout_s=self._timeouts.reply_s).is_good
        except Lost:
            done = False
        if not done:
            self._drop()

    def _drop(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


def _not_sent(text: str) -> Outcome:
    return Outcome(OutcomeKind.DEFERRED, OutcomeScope.CHANNEL, clean(text))


def _before_content(answer: Reply, about: About) -> Outcome:
    outcome = classify(answer.code, answer.text, about=about)
    # Whatever a strange answer means, the content has not left yet.
    return outcome if outcome.kind in {OutcomeKind.REFUSED, OutcomeKind.DEFERRED} else _not_sent(outcome.text)


def _unsupported(message: Outgoing, sender: str, recipient: str, wire: Wire) -> Outcome | None:
    """Return why this relay cannot take this message, found out without asking it."""
    can = wire.extensions
    limit = can.get("SIZE", "")
    if limit.isdecimal() and 0 < int(limit) < len(message.message):
        return _content_refused(f"The message has {len(message.message)} bytes, the server takes {limit}.")
    if not message.message.isascii() and "8BITMIME" not in can:
        return _content_refused("The message is not plain ASCII, which is all that this server takes.")
    if "SMTPUTF8" in can or (sender + recipient).isascii():
        return None
    scope = OutcomeScope.CHANNEL if recipient.isascii() else OutcomeScope.RECIPIENT
    return Outcome(OutcomeKind.REFUSED, scope, "This server takes no addresses outside of ASCII (SMTPUTF8).")


def _content_refused(text: str) -> Outcome:
    return Outcome(OutcomeKind.REFUSED, OutcomeScope.CONTENT, text)


def _options(message: Outgoing, sender: str, recipient: str, wire: Wire) -> str:
    size = f" SIZE={len(message.message)}" if "SIZE" in wire.extensions else ""
    body = "" if message.message.isascii() else " BODY=8BITMIME"
    return size + body + ("" if (sender + recipient).isascii() else " SMTPUTF8")


def _stuffed(content: bytes) -> bytes:
    """Return the content as it goes over the wire (RFC 5321, 4.5.2), without the final dot.

    A bare CR or LF, which should not be there, would let a message end early at some relays and smuggle in another.
    """
    ends = content.count(b"\r\n")
    if content.count(b"\r") != ends or content.count(b"\n") != ends:
        content = _LINE_END.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed
